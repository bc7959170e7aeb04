// SPDX-License-Identifier: Apache-2.0
#include "store/transaction_state.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include "store/key_mark.hpp"

namespace cubby::detail {

void Draft::become(Value with) {
  drop_members();
  changed = true;
  replaced = true;
  content = Content::value;
  base_in_entry = false;
  value = std::move(with);
  shifted = popped = 0;
  front.clear();
  back.clear();
  source = nullptr;
  deadline_of_source = false;
}

void Draft::remove() {
  become({});
  there = false;
  deadline = Deadline::none();
}

void Draft::give_deadline(Deadline to) noexcept {
  deadline = to;
  deadline_of_source = false;
  changed = true;
}

void Draft::own_deadline() noexcept {
  if (!deadline_of_source) return;
  const std::int64_t time = current_deadline();
  deadline = time == kNoDeadline ? Deadline::none() : Deadline::at(time);
  deadline_of_source = false;
}

bool Draft::is_array() const {
  if (content == Content::members) return false;
  return content == Content::array || (content == Content::value ? value.is_array() : entry().is_array());
}

void Draft::as_array() {
  changed = true;
  if (content == Content::array) return;
  if (content == Content::moved) {
    own_deadline();
    become(current());
  }
  if (content == Content::untouched) {
    base_in_entry = write->entry->is_queue();
    if (!base_in_entry) value = write->entry->value();
  }
  content = Content::array;
}

std::optional<Value> Draft::take(bool last) {
  if (array_size() == 0) return std::nullopt;
  ArrayEnd& near = last ? back : front;
  if (!near.empty()) return near.take_newest();
  if (base_size() != shifted + popped) return base_at(last ? base_size() - 1 - popped++ : shifted++);
  return (last ? front : back).take_oldest();
}

Value Draft::current() const {
  if (content == Content::value) return value;
  if (content == Content::members) return members.flatten();
  if (content != Content::array) return entry().value();
  std::vector<Value> elements;
  elements.reserve(array_size());
  for (std::size_t index = front.items().size(); index > 0; --index) elements.push_back(front.items()[index - 1]);
  const Value base = base_in_entry ? write->entry->value() : value;
  for (std::size_t index = shifted; index + popped < base.size(); ++index) elements.push_back(base[index]);
  elements.insert(elements.end(), back.items().begin(), back.items().end());
  return make_array(elements);
}

Type Draft::type() const {
  if (content == Content::array) return Type::array;
  if (content == Content::members) return Type::object;
  return content == Content::value ? value.type() : entry().type();
}

std::optional<std::size_t> Draft::length() const {
  if (content == Content::array) return array_size();
  if (content == Content::members) return members.size();
  return content == Content::value ? length_of(value) : entry().length();
}

Value Draft::slice(std::size_t first, std::size_t count) const {
  if (content == Content::value) return slice_of(value, first, count);
  if (content != Content::array) return entry().slice(first, count);
  first = std::min(first, array_size());
  count = std::min(count, array_size() - first);
  // The same stretch, of each part: its begin there, and how much.
  std::size_t skip = first, left = count;
  const auto within = [&](std::size_t size) {
    const std::size_t begin = std::min(skip, size), length = std::min(left, size - begin);
    skip -= begin;
    left -= length;
    return std::pair(begin, length);
  };
  std::vector<Value> at_front;
  const auto [front_begin, front_count] = within(front.size());
  for (std::size_t index = front_begin; index < front_begin + front_count; ++index)
    at_front.push_back(front.items()[front.size() - 1 - index]);
  std::vector<std::span<const Value>> runs{at_front};
  std::vector<Value> of_base;
  const auto [base_begin, base_count] = within(base_size() - shifted - popped);
  if (base_in_entry) {
    write->entry->queue().add_runs(shifted + base_begin, base_count, runs);
  } else {
    for (std::size_t index = base_begin; index < base_begin + base_count; ++index) of_base.push_back(value[shifted + index]);
    runs.emplace_back(of_base);
  }
  const auto [back_begin, back_count] = within(back.size());
  runs.push_back(back.items().subspan(back_begin, back_count));
  return make_array(runs);
}

std::int64_t Draft::current_deadline() const {
  if (deadline_of_source) return source->write->hold_deadline();
  switch (deadline.kind) {
    case Deadline::Kind::keep:
      return write->hold_deadline();
    case Deadline::Kind::none:
      return kNoDeadline;
    case Deadline::Kind::at:
      break;
  }
  return deadline.time;
}

TransactionState::TransactionState(Store& store, MultiWrite& write) : store_(store), write_(write), drafts_(write.size()) {
  for (std::size_t index = 0; index < drafts_.size(); ++index) {
    Draft& draft = drafts_[index];
    draft.write = &write.at(index);
    draft.there = draft.write->entry != nullptr;
    if (!draft.there) draft.deadline = Deadline::none();
  }
}

Draft& TransactionState::find(std::string_view key, const char* operation) {
  const std::size_t index = write_.index_of(key);
  if (index == MultiWrite::kNone)
    store_.fail(Errc::invalid_argument, operation, key, "the key is not one of this transaction's");
  return drafts_[index];
}

void TransactionState::not_an_array(const char* operation, std::string_view key) const {
  store_.fail(Errc::type_mismatch, operation, key, "the key holds something else than an array");
}

std::optional<Value> TransactionState::get(std::string_view key) {
  const Draft& draft = find(key, "get");
  if (!draft.there) return std::nullopt;
  return draft.current();
}

bool TransactionState::visit(std::string_view key, FunctionRef<void(const Value&)> f) {
  const Draft& draft = find(key, "visit");
  if (!draft.there) return false;
  if (draft.content == Draft::Content::untouched) {
    draft.write->entry->with_value(f);
  } else {
    f(draft.current());
  }
  return true;
}

std::optional<Type> TransactionState::type(std::string_view key) {
  const Draft& draft = find(key, "type");
  if (!draft.there) return std::nullopt;
  return draft.type();
}

std::optional<std::size_t> TransactionState::length(std::string_view key) {
  const Draft& draft = find(key, "length");
  if (!draft.there) return std::nullopt;
  const std::optional<std::size_t> length = draft.length();
  if (!length) store_.fail_length("length", key);
  return length;
}

Value TransactionState::slice(std::string_view key, std::size_t first, std::size_t count) {
  const Draft& draft = find(key, "slice");
  if (!draft.there) return Value::array({});
  if (!draft.is_array()) not_an_array("slice", key);
  return draft.slice(first, count);
}

void TransactionState::set(std::string_view key, const Value& value, Deadline deadline, bool expired_already) {
  store_.check_value_size(Operation::transact, key, value);
  Draft& draft = find(key, "set");
  if (expired_already) return draft.remove();
  if (deadline.kind == Deadline::Kind::keep) {
    draft.own_deadline();
  } else {
    draft.give_deadline(deadline);
  }
  draft.become(value);
  draft.there = true;
  note_stored(draft);
}

void TransactionState::note_stored(Draft& draft) noexcept {
  if (draft.write->serve_order == 0) draft.write->serve_order = ++changes_;
}

bool TransactionState::set_once(std::string_view key, const Value& value, Deadline deadline, bool expired_already) {
  store_.check_value_size(Operation::transact, key, value);
  if (find(key, "set_once").there) return false;
  if (!expired_already) set(key, value, deadline, false);
  return true;
}

std::optional<Value> TransactionState::swap(std::string_view key, const Value& value) {
  store_.check_value_size(Operation::transact, key, value);
  std::optional<Value> old = get(key);
  set(key, value, Deadline::keep(), false);
  return old;
}

bool TransactionState::erase(std::string_view key) {
  Draft& draft = find(key, "erase");
  if (!draft.there) return false;
  draft.remove();
  return true;
}

std::optional<Value> TransactionState::take(std::string_view key) {
  std::optional<Value> old = get(key);
  erase(key);
  return old;
}

void TransactionState::rename(std::string_view from, std::string_view to) {
  Draft& source = find(from, "rename");
  Draft& target = find(to, "rename");
  if (!source.there) store_.fail(Errc::key_not_found, "rename", from, "there is no such key");
  if (target.there) store_.fail(Errc::key_exists, "rename", to, "the key is there already");
  if (source.content == Draft::Content::untouched && source.deadline.kind == Deadline::Kind::keep) {
    target.become({});
    target.content = Draft::Content::moved;
    target.source = &source;
    target.deadline_of_source = true;
  } else {
    const std::int64_t deadline = source.current_deadline();
    target.become(source.current());
    target.deadline = deadline == kNoDeadline ? Deadline::none() : Deadline::at(deadline);
  }
  target.there = true;
  note_stored(target);
  source.remove();
}

Value TransactionState::increment(Operation operation, std::string_view key, const Value& delta) {
  Draft& draft = find(key, name_of(operation));
  const Value old = !draft.there ? Value(0) : draft.is_array() ? Value() : draft.current();
  const Value result = store_.sum(operation, key, old, delta);
  set(key, result, Deadline::keep(), false);
  return result;
}

std::optional<Value> TransactionState::modify(std::string_view key, FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  std::optional<Value> result = f(get(key));
  if (result) {
    set(key, *result, Deadline::keep(), false);
  } else {
    erase(key);
  }
  return result;
}

std::size_t TransactionState::push(std::string_view key, const Value& value, bool at_front) {
  const char* operation = at_front ? "unshift" : "push";
  store_.check_value_size(Operation::transact, key, value);
  store_.check_item_depth(Operation::transact, key, value);
  Draft& draft = find(key, operation);
  if (draft.there && !draft.is_array()) not_an_array(operation, key);
  if (!draft.there) {
    draft.become(Value::array({}));
    draft.there = true;
  }
  draft.as_array();
  (at_front ? draft.front : draft.back).add(ValueAccess::compact(value));
  note_stored(draft);
  return draft.array_size();
}

std::optional<Value> TransactionState::shift(std::string_view key, bool last, WhenEmptied when_emptied) {
  const char* operation = last ? "pop" : "shift";
  Draft& draft = find(key, operation);
  if (!draft.there) store_.fail(Errc::key_not_found, operation, key, "there is no such key");
  if (!draft.is_array()) not_an_array(operation, key);
  const std::size_t size = *draft.length();
  if (size == 0 && when_emptied == WhenEmptied::keep) return std::nullopt;
  draft.as_array();
  std::optional<Value> taken = draft.take(last);
  if (size <= 1 && when_emptied == WhenEmptied::erase) draft.remove();
  return taken;
}

void TransactionState::expire(std::string_view key, std::optional<std::int64_t> deadline) {
  Draft& draft = find(key, "expire");
  if (!draft.there) store_.fail(Errc::key_not_found, "expire", key, "there is no such key");
  if (!deadline) return draft.remove();
  draft.give_deadline(Deadline::at(*deadline));
}

std::int64_t TransactionState::deadline(std::string_view key, const char* operation) {
  const Draft& draft = find(key, operation);
  return draft.there ? draft.current_deadline() : kNoDeadline;
}

bool TransactionState::remove_expiry(std::string_view key) {
  Draft& draft = find(key, "remove_expiry");
  if (!draft.there || draft.current_deadline() == kNoDeadline) return false;
  draft.give_deadline(Deadline::none());
  return true;
}

bool TransactionState::unchanged(std::string_view key, const KeyVersion& version) {
  KeyWrite& write = *find(key, "unchanged").write;
  const KeyMark* mark = store_.mark_of(version);
  if (mark == nullptr || !mark->is_of(store_, key)) return false;
  if (write.entry != nullptr && write.entry == mark->entry()) return write.hold_deadline() == mark->deadline();
  return write.entry == nullptr && mark->still_absent();
}

void TransactionState::plan() {
  if (failed_) throw std::bad_alloc();
  // Moves come first, while the sources' drafts say whether nothing else became of them.
  for (Draft& draft : drafts_) {
    if (draft.content != Draft::Content::moved || !draft.there || draft.source->there || !draft.deadline_of_source) continue;
    write_.plan_move(*draft.source->write, *draft.write);
    draft.changed = draft.source->changed = false;
  }
  for (Draft& draft : drafts_) {
    if (draft.changed) plan(draft);
  }
}

void TransactionState::plan(Draft& draft) {
  KeyWrite& write = *draft.write;
  if (!draft.there) {
    if (write.occupant != nullptr) write.plan_removal();
    return;
  }
  switch (draft.content) {
    case Draft::Content::value:
      return write.plan_value(draft.value, draft.deadline);
    case Draft::Content::untouched:
      return write.plan_same(draft.deadline);
    case Draft::Content::moved: {
      // The source was written again, or the deadline is another.
      draft.own_deadline();
      draft.value = draft.current();
      return write.plan_value(draft.value, draft.deadline);
    }
    case Draft::Content::members:
      return plan_members(draft);
    case Draft::Content::array:
      break;
  }
  const bool goes_on = draft.base_in_entry;
  Queue& queue = write.plan_queue(draft.deadline, goes_on);
  queue = goes_on ? write.entry->queue() : Queue::of(draft.value);
  for (std::size_t taken = 0; taken < draft.shifted; ++taken) queue.take_first(write.removed);
  for (std::size_t taken = 0; taken < draft.popped; ++taken) queue.take_last(write.removed);
  if (!draft.front.empty()) queue.reserve_front(draft.front.size());
  if (!draft.back.empty()) queue.reserve_back(draft.back.size());
  for (const Value& element : draft.front.items()) queue.append_front(element);
  for (const Value& element : draft.back.items()) queue.append_back(element);
  log_array(draft);
}

/// An array that was changed at its ends is logged by these changes.
void TransactionState::log_array(const Draft& draft) const {
  if (store_.log_ == nullptr) return;
  KeyWrite& write = *draft.write;
  LoggedOperation operation;
  operation.key = write.key;
  const auto say = [&](OperationCode code, const Value* value = nullptr) {
    operation.code = code;
    operation.value = value;
    write.log_also(operation);
  };
  if (draft.replaced) {
    operation.fresh = write.entry == nullptr;
    say(OperationCode::set, &draft.value);
    operation.fresh = false;
  }
  for (std::size_t taken = 0; taken < draft.shifted; ++taken) say(OperationCode::shift);
  for (std::size_t taken = 0; taken < draft.popped; ++taken) say(OperationCode::pop);
  for (const Value& element : draft.front.items()) say(OperationCode::unshift, &element);
  for (const Value& element : draft.back.items()) say(OperationCode::push, &element);
  write.log_as(draft.deadline.kind != Deadline::Kind::keep ? OperationCode::expire : OperationCode::end);
}

}  // namespace cubby::detail
