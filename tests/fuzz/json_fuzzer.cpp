// SPDX-License-Identifier: Apache-2.0

// JSON text: whatever it is, reading it ends in a value or in Errc::parse; and the value survives being printed and read again.

#include <cstdio>
#include <cstdlib>
#include <cubby/cubby.hpp>
#include <string_view>
#include <vector>

#include "value/access.hpp"

namespace {

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void check_value(const cubby::Value& value) {
  using cubby::detail::ValueAccess;
  const std::string text = value.to_json();
  const cubby::Value again = cubby::Value::parse(text);
  check(again == value, "what is printed reads back");
  check(std::hash<cubby::Value>{}(again) == std::hash<cubby::Value>{}(value), "equal values have equal hashes");
  check(again.to_json() == text, "printing is a function of the value");
  check(cubby::Value::parse(value.to_json(2)) == value, "indented text reads back");
  std::vector<std::byte> node(ValueAccess::node_size(value));
  ValueAccess::copy_node(value, node.data());
  check(!ValueAccess::is_counted(value) || cubby::detail::verify_node(ValueAccess::tag(value), node),
        "the value's bytes verify");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  bool is_value = false;
  try {
    const cubby::Value value = cubby::Value::parse(text);
    is_value = true;
    check_value(value);
  } catch (const cubby::Error& error) {
    check(!is_value && error.code() == cubby::Errc::parse, "only reading the first text may fail, as Errc::parse");
    check(error.offset() <= size, "the offset lies in the text");
  }
  std::size_t members = 0;
  try {
    cubby::detail::parse_json_object(text, [&](std::string_view, const cubby::Value& value, std::size_t offset) {
      ++members;
      check(offset <= size, "the member's end lies in the text");
      check_value(value);
    });
    check(is_value || members > 0, "an object's text is a value's, unless it nests a level deeper");
  } catch (const cubby::Error& error) {
    check(error.code() == cubby::Errc::parse, "only Errc::parse may come");
  }
  return 0;
}
