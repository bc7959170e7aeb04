// SPDX-License-Identifier: Apache-2.0
#include "store/objects.hpp"

#include "store/key_write.hpp"

namespace cubby::detail {

bool only_removes(const Value& patch) noexcept {
  const std::byte* const from = ValueAccess::node(patch);
  const node::Object changes(from);
  for (std::size_t index = 0; index < changes.count(); ++index) {
    if (node::decode(from, changes.slot(index)).tag() != node::kNull) return false;
  }
  return true;
}

MembersChanged count_changes(const Value& object, const Value& patch) noexcept {
  MembersChanged changed;
  const node::Object members(ValueAccess::node(object));
  const std::byte* const from = ValueAccess::node(patch);
  const node::Object changes(from);
  for (std::size_t index = 0; index < changes.count(); ++index) {
    const bool there = members.find(changes.name(index)) >= 0;
    const bool removes = node::decode(from, changes.slot(index)).tag() == node::kNull;
    if (there && removes) ++changed.removed;
    if (!there && !removes) ++changed.added;
  }
  changed.size = members.count() + changed.added - changed.removed;
  return changed;
}

/// The members that are to be changed; null where the object is small, and as a node.
Members* KeyWrite::plan_change_of_members() {
  if (entry == nullptr) return nullptr;
  if (entry->is_members()) {
    Members& members = plan_members(Deadline::keep(), true);
    members = entry->members().successor();
    return &members;
  }
  if (*entry->length() <= Members::kLargestNode) return nullptr;
  Members& members = plan_members(Deadline::keep(), false);
  members = entry->with_value([](const Value& value) { return Members::of(value); });
  return &members;
}

/// Makes what has become small a node again.
void KeyWrite::plan_small_members() {
  if (fresh_->members().size() < Members::kSmallestTree) plan_value(fresh_->members().flatten(), Deadline::keep());
}

KeyWrite::Merged KeyWrite::plan_merge(const Value& patch) {
  Merged merged;
  if (Members* const members = plan_change_of_members()) {
    merged.changed = members->merge(patch, removed);
    merged.bytes = members->flat_size();
    plan_small_members();
  } else {
    const Value old = entry != nullptr ? entry->value() : Value::object({});
    const Value result = merge_patch(old, patch);
    merged.changed = count_changes(old, patch);
    merged.bytes = ValueAccess::stored_size(result);
    plan_value(result, Deadline::keep());
  }
  log_as(OperationCode::merge, &patch);
  return merged;
}

std::uint64_t KeyWrite::plan_member(std::string_view name, const Value* value) {
  std::uint64_t bytes = 0;
  if (Members* const members = plan_change_of_members()) {
    if (value != nullptr) {
      members->put(name, ValueAccess::view(*value), removed);
    } else {
      members->erase(name, removed);
    }
    bytes = members->flat_size();
    plan_small_members();
  } else {
    const Value result = with_member(entry != nullptr ? entry->value() : Value::object({}), name, value);
    bytes = ValueAccess::stored_size(result);
    plan_value(result, Deadline::keep());
  }
  log_as(OperationCode::end);
  return bytes;
}

Value Store::update(std::string_view key, const Value& patch) {
  SingleWrite write(*this, Operation::update, key);
  if (!patch.is_object()) fail(Errc::type_mismatch, "update", key, "the patch is not an object");
  check_object(Operation::update, key, write.entry);
  if (write.entry != nullptr && write.entry->is_members()) {
    check_object_size(Operation::update, key, write.plan_merge(patch).bytes);
    Value result = write.planned_value();
    write.commit();
    return result;
  }
  const Value result = merge_patch(write.entry != nullptr ? write.entry->value() : Value::object({}), patch);
  check_value_size(Operation::update, key, result);
  write.plan_value(result, Deadline::keep());
  write.log_as(OperationCode::merge, &patch);
  write.commit();
  return result;
}

MembersChanged Store::change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied) {
  SingleWrite write(*this, Operation::change_members, key);
  if (!patch.is_object()) fail(Errc::type_mismatch, "change_members", key, "the patch is not an object");
  check_object(Operation::change_members, key, write.entry);
  const KeyWrite::Merged merged = write.plan_merge(patch);
  const MembersChanged& changed = merged.changed;
  if (changed.added == 0 && changed.removed == 0) {
    const bool nothing = write.entry != nullptr ? only_removes(patch) : when_emptied == WhenEmptied::erase;
    if (nothing) return changed;
  }
  check_object_size(Operation::change_members, key, merged.bytes);
  if (changed.size == 0 && changed.removed != 0 && when_emptied == WhenEmptied::erase) write.plan_removal();
  write.commit();
  return changed;
}

std::optional<Value> Store::modify_member(std::string_view key, std::string_view name,
                                          FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  SingleWrite write(*this, Operation::modify_member, key);
  check_object(Operation::modify_member, key, write.entry);
  std::optional<Value> old;
  if (write.entry != nullptr) write.entry->with_member(name, [&](const Value& value) { old = value; });
  const bool was_there = old.has_value();
  std::optional<Value> result = call_locked(write.record, f, std::move(old));
  if (!result && !was_there) return result;
  if (result) {
    check_item_depth(Operation::modify_member, key, *result);
    // Before it is copied: name and value have to fit into one block, whatever they come to.
    check_object_size(Operation::modify_member, key,
                      Members::flat_size(1, name.size(), Members::payload_size(ValueAccess::view(*result))));
  }
  check_object_size(Operation::modify_member, key, write.plan_member(name, result ? &*result : nullptr));
  Value logged;
  if (log_ != nullptr) {
    if (merges_as_is(result)) {
      logged = member_patch(name, result);
      write.log_as(OperationCode::merge, &logged);
    } else {
      logged = write.planned_value();
      write.log_as(OperationCode::set, &logged);
    }
  }
  write.commit();
  return result;
}

}  // namespace cubby::detail
