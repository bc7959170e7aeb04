// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <utility>
#include <vector>

#include "store/objects.hpp"
#include "store/transaction_state.hpp"

/// What a transaction does with the members of objects. The tree is changed at once, as a version of its own, and given to the
/// entry when the transaction is planned.

namespace cubby::detail {

bool Draft::as_members() {
  if (content == Content::members) return true;
  if (content == Content::moved) {
    own_deadline();
    become(current());
  }
  if (content == Content::untouched && write->entry->is_members()) {
    members = write->entry->members().successor();
    base_in_entry = true;
  } else {
    if (*length() <= Members::kLargestNode) return false;
    members = Members::of(current());
    base_in_entry = false;
  }
  changed = true;
  content = Content::members;
  return true;
}

void Draft::drop_members() noexcept {
  if (content != Content::members) return;
  if (base_in_entry) {
    removed.forget();  // it has left nothing that was ever seen
    members.abandon();
  } else {
    removed.free_now();
    members.destroy();
  }
  patches.clear();
  log_whole = false;
}

std::optional<Value> Draft::member(std::string_view name) const {
  if (content == Content::value) return value.find(name);
  if (content == Content::members) {
    const Member* const found = members.find(name);
    return found != nullptr ? std::optional(found->value()) : std::nullopt;
  }
  std::optional<Value> found;
  entry().with_member(name, [&](const Value& in_entry) { found = in_entry; });
  return found;
}

Draft& TransactionState::find_object(std::string_view key, const char* operation) {
  Draft& draft = find(key, operation);
  if (draft.there && !draft.is_object()) store_.fail_object(operation, key);
  return draft;
}

std::optional<Value> TransactionState::member(std::string_view key, std::string_view name) {
  const Draft& draft = find_object(key, "member");
  return draft.there ? draft.member(name) : std::nullopt;
}

std::optional<std::size_t> TransactionState::visit_members(std::string_view key, std::span<const std::string_view> names,
                                                           FunctionRef<void(std::size_t, const Value&)> f) {
  const Draft& draft = find_object(key, "visit_members");
  if (!draft.there) return std::nullopt;
  // All before the first call, which may change the object.
  std::vector<std::optional<Value>> members;
  members.reserve(names.size());
  for (const std::string_view name : names) members.push_back(draft.member(name));
  std::size_t found = 0;
  for (std::size_t index = 0; index < members.size(); ++index) {
    if (!members[index]) continue;
    ++found;
    f(index, *members[index]);
  }
  return found;
}

std::optional<std::size_t> TransactionState::visit_members(std::string_view key, std::size_t first, std::size_t count,
                                                           FunctionRef<void(std::string_view, const Value&)> f) {
  const Draft& draft = find_object(key, "visit_members");
  if (!draft.there) return std::nullopt;
  const std::size_t size = *draft.length();
  std::vector<std::pair<std::string, Value>> members;
  draft.for_members(first, count, [&](std::string_view name, const Value& value) { members.emplace_back(name, value); });
  for (const auto& [name, value] : members) f(name, value);
  return size;
}

void Draft::for_members(std::size_t first, std::size_t count, FunctionRef<void(std::string_view, const Value&)> f) const {
  if (content == Content::members) {
    return members.walk(first, count, [f](const Member& member) {
      f(member.name(), member.value());
      return true;
    });
  }
  if (content != Content::value) return entry().with_members(first, count, f);
  std::size_t index = 0;
  for (const auto& [name, member] : value.members()) {
    if (index >= first && index - first < count) f(name, member);
    ++index;
  }
}

/// A change of members that stays undone if it can't be done, which takes the whole transaction with it.
template <class F>
void TransactionState::change(Draft& draft, F&& f) {
  failed_ = true;
  f();
  failed_ = false;
  note_stored(draft);
}

/// REQUIRES: as_members() was true.
MembersChanged TransactionState::merge(Draft& draft, const Value& patch) {
  store_.check_object_size(Operation::transact, draft.write->key, draft.members.flat_size_with(patch));
  draft.patches.push_back(patch);
  MembersChanged changed;
  change(draft, [&] { changed = draft.members.merge(patch, draft.removed); });
  return changed;
}

Value TransactionState::update(std::string_view key, const Value& patch) {
  if (!patch.is_object()) store_.fail(Errc::type_mismatch, "update", key, "the patch is not an object");
  Draft& draft = find_object(key, "update");
  if (draft.there && draft.in_tree()) {
    draft.as_members();
    merge(draft, patch);
    return draft.current();
  }
  const Value result = merge_patch(draft.there ? draft.current() : Value::object({}), patch);
  set(key, result, Deadline::keep(), false);
  return result;
}

MembersChanged TransactionState::change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied) {
  if (!patch.is_object()) store_.fail(Errc::type_mismatch, "change_members", key, "the patch is not an object");
  Draft& draft = find_object(key, "change_members");
  MembersChanged changed;
  if (only_removes(patch)) {
    bool any = false;
    for (const auto& [name, nothing] : patch.members()) any = any || (draft.there && draft.member(name));
    if (!any && (draft.there || when_emptied == WhenEmptied::erase)) {
      if (draft.there) changed.size = *draft.length();
      return changed;
    }
  }
  if (draft.there && draft.as_members()) {
    changed = merge(draft, patch);
  } else {
    const Value old = draft.there ? draft.current() : Value::object({});
    changed = count_changes(old, patch);
    set(key, merge_patch(old, patch), Deadline::keep(), false);
  }
  if (changed.size == 0 && changed.removed != 0 && when_emptied == WhenEmptied::erase) draft.remove();
  return changed;
}

std::optional<Value> TransactionState::modify_member(std::string_view key, std::string_view name,
                                                     FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  const Draft& before = find_object(key, "modify_member");
  std::optional<Value> result = f(before.there ? before.member(name) : std::nullopt);
  Draft& draft = find_object(key, "modify_member");  // the function may have changed it
  if (!result && !(draft.there && draft.member(name))) return result;
  const Value* const value = result ? &*result : nullptr;
  if (value != nullptr) {
    store_.check_item_depth(Operation::transact, key, *value);
    store_.check_object_size(Operation::transact, key,
                             Members::flat_size(1, name.size(), Members::payload_size(ValueAccess::view(*value))));
  }
  if (!draft.there || !draft.as_members()) {
    set(key, with_member(draft.there ? draft.current() : Value::object({}), name, value), Deadline::keep(), false);
    return result;
  }
  const node::View view = value != nullptr ? ValueAccess::view(*value) : node::View();
  store_.check_object_size(Operation::transact, key, draft.members.flat_size_with(name, value != nullptr ? &view : nullptr));
  if (merges_as_is(result)) {
    draft.patches.push_back(member_patch(name, result));
  } else {
    draft.log_whole = true;
  }
  change(draft, [&] {
    if (value != nullptr) {
      draft.members.put(name, view, draft.removed);
    } else {
      draft.members.erase(name, draft.removed);
    }
  });
  return result;
}

void TransactionState::plan_members(Draft& draft) {
  KeyWrite& write = *draft.write;
  if (draft.members.size() < Members::kSmallestTree) {
    draft.become(draft.members.flatten());
    return write.plan_value(draft.value, draft.deadline);
  }
  if (store_.log_ != nullptr && (draft.replaced || draft.log_whole)) {
    draft.value = draft.members.flatten();
  }
  Members& planned = write.plan_members(draft.deadline, draft.base_in_entry);
  planned = std::exchange(draft.members, {});
  write.removed.take(draft.removed);
  if (draft.replaced || draft.log_whole) return write.log_as(OperationCode::set, &draft.value);
  LoggedOperation operation;
  operation.key = write.key;
  operation.code = OperationCode::merge;
  for (const Value& patch : draft.patches) {
    operation.value = &patch;
    write.log_also(operation);
  }
  write.log_as(draft.deadline.kind != Deadline::Kind::keep ? OperationCode::expire : OperationCode::end);
}

}  // namespace cubby::detail
