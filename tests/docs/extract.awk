# SPDX-License-Identifier: Apache-2.0
# awk -f extract.awk page.md... > snippets.cpp
#
# Makes one test of each block of a page that begins with ```cpp. A block that has a main() is a program: it gets a namespace of its
# own. Any other is the inside of a function, and has a store named `store` unless it opens one by that name itself. #include lines
# go to the top of the file, once each. Compilers and failing tests name the page and its line.

FNR == 1 {
  page = FILENAME
  sub(/^.*\//, "", page)
  sub(/\.md$/, "", page)
  gsub(/[^A-Za-z0-9]/, "_", page)
}

!inside && /^```cpp$/ {
  inside = 1
  first = FNR + 1
  text = ""
  program = opens = 0
  next
}

inside && /^```$/ {
  inside = 0
  ++count
  name = page "_line_" first
  line = "#line " first " \"" FILENAME "\"\n"
  if (program) {
    body = body "namespace " name " {\n" line text "}\nTEST_F(Docs, " name ") { " name "::run(); }\n\n"
  } else {
    body = body "TEST_F(Docs, " name ") {\n"
    if (!opens) body = body "[[maybe_unused]] cubby::Datastore store = cubby::open(\"docs\");\n"
    body = body line text "}\n\n"
  }
  next
}

inside && /^#include / {
  if (!($0 in included)) includes = includes $0 "\n"
  included[$0] = 1
  text = text "\n"
  next
}

inside {
  if (sub(/^int main\(\)/, "void run()")) program = 1
  if (/(auto|Datastore) store =/) opens = 1
  text = text $0 "\n"
}

END {
  if (inside) {
    print "extract.awk: a block is not closed in " FILENAME > "/dev/stderr"
    exit 1
  }
  if (count == 0) {
    print "extract.awk: no block found" > "/dev/stderr"
    exit 1
  }
  print "// Generated from the documentation by tests/docs/extract.awk.\n#include \"snippets.hpp\"\n"
  print includes
  printf "%s", body
}
