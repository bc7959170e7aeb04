// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "base/allocator.hpp"
#include "store/members.hpp"

/// From objects to members and back, and what a patch makes of them.

namespace cubby::detail {

using node::View;

std::uint64_t Members::payload_size(const View& value) noexcept {
  return node::is_node(value.tag()) ? node::node_size(value.tag(), value.node()) : scalar_payload_size(value.head, value.body);
}

std::uint64_t Members::flat_size(std::size_t count, std::uint64_t names, std::uint64_t payloads) noexcept {
  const std::uint64_t slots = node::object_slots_offset(static_cast<std::uint32_t>(count), node::name_width_for(names));
  return node::round_up_8(slots + 8 * std::uint64_t{count} + names) + payloads;
}

Members Members::of(const Value& object) {
  Members members;
  Removed none;
  const std::byte* const from = ValueAccess::node(object);
  const node::Object all(from);
  try {
    for (std::size_t index = 0; index < all.count(); ++index) {
      members.put(all.name(index), node::decode(from, all.slot(index)), none);
    }
  } catch (...) {
    members.destroy();
    throw;
  }
  return members;
}

Value Members::flatten() const {
  Composer composer;
  composer.open().reserve(count_);
  walk(0, count_, [&](const Member& member) {
    composer.open().push_back(Composer::existing(member.view(), member.name()));
    return true;
  });
  return composer.finish(composer.close_object(0));
}

namespace {

/// What a member that is there, or isn't, becomes by a change that is an object.
Value merged_member(const Member* old, const Value& patch, const View& change) {
  return merge_patch(old != nullptr ? old->value() : Value(), ValueAccess::from_view(ValueAccess::block(patch), change));
}

/// Calls `f(name, change)` for each member of the patch.
template <class F>
void for_each_change(const Value& patch, F&& f) {
  const std::byte* const from = ValueAccess::node(patch);
  const node::Object changes(from);
  for (std::size_t index = 0; index < changes.count(); ++index) {
    f(changes.name(index), node::decode(from, changes.slot(index)));
  }
}

}  // namespace

std::uint64_t Members::flat_size_with(const Value& patch) const {
  std::size_t count = count_;
  std::uint64_t names = names_, payloads = payloads_;
  for_each_change(patch, [&](std::string_view name, const View& change) {
    const Member* const old = find(name);
    if (old != nullptr) {
      --count;
      names -= name.size();
      payloads -= payload_size(old->view());
    }
    if (change.tag() == node::kNull) return;
    ++count;
    names += name.size();
    payloads += change.tag() == node::kObject ? payload_size(ValueAccess::view(merged_member(old, patch, change)))
                                              : payload_size(change);
  });
  return flat_size(count, names, payloads);
}

std::uint64_t Members::flat_size_with(std::string_view name, const View* value) const noexcept {
  Members with = *this;  // only its sums count
  if (const Member* const old = find(name)) with.note(*old, false);
  if (value == nullptr) return with.flat_size();
  return flat_size(with.count_ + 1, with.names_ + name.size(), with.payloads_ + payload_size(*value));
}

MembersChanged Members::merge(const Value& patch, Removed& removed) {
  MembersChanged changed;
  for_each_change(patch, [&](std::string_view name, const View& change) {
    if (change.tag() == node::kNull) {
      if (erase(name, removed)) ++changed.removed;
      return;
    }
    const bool added = change.tag() == node::kObject
                           ? put(name, ValueAccess::view(merged_member(find(name), patch, change)), removed)
                           : put(name, change, removed);
    if (added) ++changed.added;
  });
  changed.size = count_;
  return changed;
}

}  // namespace cubby::detail
