// SPDX-License-Identifier: Apache-2.0

// Equality and hashing, in place. Recursion ends at 512 levels, as values do.

#include <cmath>
#include <cubby/value.hpp>

#include "value/access.hpp"

namespace cubby {

namespace {

using namespace detail::node;

constexpr double kTwo63 = 9223372036854775808.0;

/// The integer that the real is exactly, if there is one.
std::optional<std::int64_t> exact_integer(double real) noexcept {
  if (!(real >= -kTwo63 && real < kTwo63)) return std::nullopt;  // NaN too
  const auto integer = static_cast<std::int64_t>(real);
  if (static_cast<double>(integer) != real) return std::nullopt;
  return integer;
}

bool equal_views(const View& left, const View& right) noexcept;

bool equal_objects(const std::byte* left_node, const std::byte* right_node) noexcept {
  const Object left(left_node), right(right_node);
  if (left.count() != right.count()) return false;
  for (std::size_t i = 0; i < left.count(); ++i) {
    if (left.name(i) != right.name(i)) return false;
    if (!equal_views(decode(left_node, left.slot(i)), decode(right_node, right.slot(i)))) return false;
  }
  return true;
}

bool equal_arrays(const std::byte* left, const std::byte* right) noexcept {
  const std::uint32_t elements = count(left);
  if (elements != count(right)) return false;
  for (std::size_t i = 0; i < elements; ++i) {
    if (!equal_views(decode(left, array_slot(left, i)), decode(right, array_slot(right, i)))) return false;
  }
  return true;
}

bool equal_views(const View& left, const View& right) noexcept {
  if (left.tag() != right.tag()) {
    if (left.tag() == kInteger && right.tag() == kReal) return exact_integer(right.real()) == left.integer();
    if (left.tag() == kReal && right.tag() == kInteger) return exact_integer(left.real()) == right.integer();
    return false;
  }
  if (left.tag() == kReal) return left.real() == right.real() || (std::isnan(left.real()) && std::isnan(right.real()));
  if (!is_node(left.tag())) return left.head == right.head && left.body == right.body;
  const std::uint64_t size = node_size(left.tag(), left.node());
  if (left.node() == right.node()) return true;
  if (size == node_size(right.tag(), right.node()) && std::memcmp(left.node(), right.node(), size) == 0) return true;
  // Numbers inside may be equal though their bytes differ.
  if (left.tag() == kArray) return equal_arrays(left.node(), right.node());
  return left.tag() == kObject && equal_objects(left.node(), right.node());
}

std::uint64_t mix(std::uint64_t seed, std::uint64_t word) noexcept {
  std::uint64_t x = (seed ^ word) * 0x9e3779b97f4a7c15;
  x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
  return x ^ x >> 29;
}

std::uint64_t hash_view(const View& value) noexcept;

std::uint64_t hash_real(double real) noexcept {
  if (const auto integer = exact_integer(real)) return mix(kInteger, static_cast<std::uint64_t>(*integer));
  return mix(kReal, std::isnan(real) ? 0 : std::bit_cast<std::uint64_t>(real));
}

std::uint64_t hash_container(std::uint64_t tag, const std::byte* node) noexcept {
  std::uint64_t hash = mix(tag, count(node));
  if (tag == kArray) {
    for (std::size_t i = 0; i < count(node); ++i) hash = mix(hash, hash_view(decode(node, array_slot(node, i))));
    return hash;
  }
  const Object object(node);
  for (std::size_t i = 0; i < object.count(); ++i) {
    hash = mix(hash, std::hash<std::string_view>{}(object.name(i)));
    hash = mix(hash, hash_view(decode(node, object.slot(i))));
  }
  return hash;
}

std::uint64_t hash_view(const View& value) noexcept {
  switch (value.tag()) {
    case kInteger:
      return mix(kInteger, value.body);
    case kReal:
      return hash_real(value.real());
    case kShortString:
    case kString:
      return mix(kString, std::hash<std::string_view>{}(value.string()));
    case kBinary: {
      const std::string_view bytes(reinterpret_cast<const char*>(text_bytes(value.node())), text_length(value.node()));
      return mix(kBinary, std::hash<std::string_view>{}(bytes));
    }
    case kArray:
    case kObject:
      return hash_container(value.tag(), value.node());
    default:
      return mix(value.tag(), 0);
  }
}

}  // namespace

bool Value::equal(const Value& left, const Value& right) noexcept {
  return equal_views(detail::ValueAccess::view(left), detail::ValueAccess::view(right));
}

}  // namespace cubby

std::size_t std::hash<cubby::Value>::operator()(const cubby::Value& value) const noexcept {
  return static_cast<std::size_t>(cubby::hash_view(cubby::detail::ValueAccess::view(value)));
}
