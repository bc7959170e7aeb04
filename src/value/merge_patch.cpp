// SPDX-License-Identifier: Apache-2.0

// RFC 7396 over sorted members: one merge pass a level, whole subtrees copied as they are. Recursion ends at the depth of the
// patch. Where members only get other values of the same size, the old node is copied as it is, and these are put over. And
// what one member is changed by.

#include <array>
#include <cstring>
#include <optional>

#include "value/access.hpp"

namespace cubby::detail {

namespace {

using node::Object;
using node::View;

Composer::Item merged(Composer& composer, const View& target, const View& patch) {
  if (patch.tag() != node::kObject) return Composer::existing(patch);
  // What is no object counts as an empty one. Even a patch for a new member is merged, to drop the nulls in it.
  const bool has_members = target.tag() == node::kObject;
  const std::size_t first = composer.open().size();
  const Object changes(patch.node());
  std::size_t t = 0;
  const std::size_t members = has_members ? node::count(target.node()) : 0;
  const auto keep_before = [&](const std::string_view* limit) {
    if (!has_members) return;
    const Object old(target.node());
    for (; t < members && (limit == nullptr || old.name(t) < *limit); ++t) {
      composer.open().push_back(Composer::existing(node::decode(target.node(), old.slot(t)), old.name(t)));
    }
  };
  for (std::size_t p = 0; p < changes.count(); ++p) {
    const std::string_view name = changes.name(p);
    const View change = node::decode(patch.node(), changes.slot(p));
    keep_before(&name);
    View before;
    if (t < members) {
      const Object old(target.node());
      if (old.name(t) == name) before = node::decode(target.node(), old.slot(t++));
    }
    if (change.tag() == node::kNull) continue;
    Composer::Item item = merged(composer, before, change);
    item.name = name;
    composer.open().push_back(item);
  }
  keep_before(nullptr);
  return composer.close_object(first);
}

/// Bytes that the slot points at; empty for arrays and objects.
std::optional<std::uint64_t> scalar_bytes(const std::byte* container, std::uint64_t slot) noexcept {
  switch (slot & 0xff) {
    case node::kWideInteger:
    case node::kWideReal:
      return 8;
    case node::kMediumString:
      return (slot >> 8 & 0xff) <= 10 ? 8 : 16;
    case node::kString:
    case node::kBinary:
      return node::node_size(slot & 0xff, container + (slot >> 32));
    case node::kArray:
    case node::kObject:
      return std::nullopt;
    default:
      return 0;
  }
}

/// The target with the patch's members put over its own, if it has all of them, and each takes as much room as before.
std::optional<Value> put_over(const std::byte* target, const std::byte* patch) {
  constexpr std::size_t kMost = 16;
  const Object members(target);
  const Object changes(patch);
  if (changes.count() > kMost) return std::nullopt;
  std::array<std::size_t, kMost> places;
  for (std::size_t index = 0; index < changes.count(); ++index) {
    const std::int64_t place = members.find(changes.name(index));
    if (place < 0 || (changes.slot(index) & 0xff) == node::kNull) return std::nullopt;
    places[index] = static_cast<std::size_t>(place);
    const auto before = scalar_bytes(target, members.slot(places[index]));
    if (!before || before != scalar_bytes(patch, changes.slot(index))) return std::nullopt;
  }
  const std::uint64_t size = node::container_size(target);
  const NewBlock fresh = allocate_block(size);
  std::memcpy(fresh.node(), target, size);
  std::byte* const slots = fresh.node() + node::object_slots_offset(members.count(), node::name_width(target));
  for (std::size_t index = 0; index < changes.count(); ++index) {
    constexpr std::uint64_t kOffset = 0xffff'ffff'0000'0000;
    const std::uint64_t from = changes.slot(index), old = members.slot(places[index]);
    const std::uint64_t bytes = *scalar_bytes(patch, from);
    if (bytes == 0) {
      node::store64(slots + 8 * places[index], from);
    } else {
      node::store64(slots + 8 * places[index], (from & ~kOffset) | (old & kOffset));
      std::memcpy(fresh.node() + (old >> 32), patch + (from >> 32), bytes);
    }
  }
  return ValueAccess::adopted(fresh.block, fresh.offset, node::kObject);
}

}  // namespace

Value merge_patch(const Value& target, const Value& patch) {
  if (target.is_object() && patch.is_object()) {
    if (auto result = put_over(ValueAccess::node(target), ValueAccess::node(patch))) return *std::move(result);
  }
  Composer composer;
  return composer.finish(merged(composer, ValueAccess::view(target), ValueAccess::view(patch)));
}

Value with_member(const Value& object, std::string_view name, const Value* value) {
  Composer composer;
  const std::byte* const from = ValueAccess::node(object);
  const Object members(from);
  for (std::size_t index = 0; index < members.count(); ++index) {
    if (members.name(index) != name) {
      composer.open().push_back(Composer::existing(node::decode(from, members.slot(index)), members.name(index)));
    }
  }
  if (value != nullptr) composer.open().push_back(Composer::existing(ValueAccess::view(*value), name));
  return composer.finish(composer.close_object(0));
}

}  // namespace cubby::detail
