// SPDX-License-Identifier: Apache-2.0

// A value's bytes: whatever they are, verifying reads nothing outside them; and what passes can be used in every way.
// The first byte is the tag, the rest the node.

#include <cstdio>
#include <cstdlib>
#include <cubby/cubby.hpp>
#include <vector>

#include "value/access.hpp"

namespace {

using cubby::Value;
using cubby::detail::ValueAccess;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::vector<std::byte> node_bytes(const Value& value) {
  std::vector<std::byte> bytes(ValueAccess::node_size(value));
  ValueAccess::copy_node(value, bytes.data());
  return bytes;
}

/// The same value, made through the public face from what can be read.
Value rebuild(const Value& value) {
  if (value.is_array()) {
    std::vector<Value> elements;
    for (const Value& element : value.elements()) elements.push_back(rebuild(element));
    return Value::array(elements);
  }
  if (value.is_object()) {
    std::vector<std::pair<std::string_view, Value>> members;
    for (const auto& [name, member] : value.members()) {
      check(value.contains(name), "every member is found by its name");
      members.emplace_back(name, rebuild(member));
    }
    return Value::object(members);
  }
  if (value.is_binary()) return Value::binary(value.as_binary());
  if (value.is_string()) return Value(value.as_string());
  if (value.is_real()) return Value(value.as_double());
  if (value.is_int()) return Value(value.as_int());
  return value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::uint64_t tag = data[0];
  // Memory of exactly this size, so that a read beyond it is seen.
  const std::vector<std::byte> bytes(reinterpret_cast<const std::byte*>(data) + 1,
                                     reinterpret_cast<const std::byte*>(data) + size);
  if (!cubby::detail::verify_node(tag, bytes)) return 0;
  const Value value = ValueAccess::from_node(tag, bytes.data());
  check(ValueAccess::is_whole_block(value), "a block of its own");
  const Value again = rebuild(value);
  check(again == value, "the value can be made through the public face");
  check(node_bytes(again) == bytes, "a value has one representation");
  check(std::hash<Value>{}(again) == std::hash<Value>{}(value), "equal values have equal hashes");
  try {
    (void)Value::parse(value.to_json());
  } catch (const cubby::Error& error) {
    check(error.code() == cubby::Errc::invalid_argument, "only strings that are no UTF-8 can't be printed");
  }
  (void)cubby::detail::merge_patch(value, value);
  return 0;
}
