# SPDX-License-Identifier: Apache-2.0
# Run as a script: writes OUTPUT, C++ that holds the text files FILES (separated by `|`) of the dashboard.

string(REPLACE "|" ";" files "${FILES}")
set(text "// Made of src/server/dashboard by cmake/CubbyEmbed.cmake.\n#include <array>\n\n#include \"server/dashboard_files.hpp\"\n
namespace cubby::server {\n\nnamespace {\n\nconstexpr std::array kDashboardFiles{\n")
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  if(extension STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL ".svg")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "${file}: no content type is known for ${extension}")
  endif()
  file(READ ${file} contents)
  string(APPEND text "    DashboardFile{\"${name}\", \"${type}\", R\"cubby_file(${contents})cubby_file\"},\n")
endforeach()
string(APPEND text "};\n\n}  // namespace\n
std::span<const DashboardFile> dashboard_files() { return kDashboardFiles; }\n\n}  // namespace cubby::server\n")
file(WRITE ${OUTPUT} "${text}")
