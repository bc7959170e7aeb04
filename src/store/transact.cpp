// SPDX-License-Identifier: Apache-2.0
#include <deque>
#include <map>

#include "store/multi_write.hpp"

/// transact and rename, and the Transaction that the user's function works with. What it does is only noted down for each key,
/// and carried out when the function has returned.

namespace cubby::detail {

class TransactionState {
 public:
  TransactionState(Store& store, MultiWrite& write) : store_(store), write_(write) {}

  std::optional<Value> get(std::string_view key) {
    Draft& draft = find(key, "get");
    if (!draft.there) return std::nullopt;
    return value_of(draft);
  }

  bool exists(std::string_view key) { return find(key, "exists").there; }

  void set(std::string_view key, const Value& value, std::optional<std::int64_t> deadline) {
    store_.check_value_size(Operation::transact, key, value);
    Draft& draft = find(key, "set");
    if (!draft.there) draft.deadline = Deadline::none();
    if (deadline) draft.deadline = Deadline::at(*deadline);
    draft.there = true;
    draft.become(value);
  }

  bool erase(std::string_view key) {
    Draft& draft = find(key, "erase");
    const bool was_there = draft.there;
    draft.remove();
    return was_there;
  }

  Value increment(std::string_view key, const Value& delta) {
    Draft& draft = find(key, "increment");
    const Value old = !draft.there ? Value(0) : draft.is_array() ? Value() : value_of(draft);
    const Value result = store_.sum(Operation::increment, key, old, delta);
    if (!draft.there) draft.deadline = Deadline::none();
    draft.there = true;
    draft.become(result);
    return result;
  }

  std::size_t push(std::string_view key, const Value& value) {
    store_.check_value_size(Operation::transact, key, value);
    store_.check_item_depth(Operation::transact, key, value);
    Draft& draft = find(key, "push");
    if (draft.there && !draft.is_array()) not_an_array("push", key);
    if (!draft.there) {
      draft.deadline = Deadline::none();
      draft.there = true;
      draft.become(Value::array({}));
    }
    draft.as_array();
    draft.appended.push_back(ValueAccess::compact(value));
    return draft.array_size();
  }

  std::optional<Value> take(std::string_view key, bool last) {
    const char* operation = last ? "pop" : "shift";
    Draft& draft = find(key, operation);
    if (!draft.there) store_.fail(Errc::key_not_found, operation, key, "there is no such key");
    if (!draft.is_array()) not_an_array(operation, key);
    draft.as_array();
    if (draft.array_size() == 0) return std::nullopt;
    const std::size_t in_base = draft.base_size() - draft.shifted - draft.popped;
    if (last ? draft.appended.empty() : in_base != 0) {
      return draft.base_at(last ? draft.base_size() - 1 - draft.popped++ : draft.shifted++);
    }
    Value taken = last ? draft.appended.back() : draft.appended.front();
    last ? draft.appended.pop_back() : draft.appended.pop_front();
    return taken;
  }

  void expire(std::string_view key, std::optional<std::chrono::nanoseconds> ttl) {
    const std::chrono::nanoseconds length = ttl.value_or(store_.options().default_ttl);
    Draft& draft = find(key, "expire");
    if (!draft.there) store_.fail(Errc::key_not_found, "expire", key, "there is no such key");
    if (length.count() <= 0) {
      draft.remove();
    } else {
      draft.deadline = Deadline::at(deadline_after(length));
      draft.changed = true;
    }
  }

  /// Turns the notes into plans.
  void plan() {
    for (auto& [key, draft] : drafts_) {
      if (!draft.changed) continue;
      KeyWrite& write = *draft.write;
      if (!draft.there) {
        if (write.occupant != nullptr) write.plan_removal();
      } else if (draft.content == Draft::Content::value) {
        write.plan_value(draft.value, draft.deadline);
      } else if (draft.content == Draft::Content::untouched) {
        write.plan_same(draft.deadline);
      } else {
        const bool goes_on = draft.base_is_entry();
        Queue& queue = write.plan_queue(draft.deadline, goes_on);
        queue = goes_on ? write.entry->queue() : Queue::of(draft.value);
        for (std::size_t taken = 0; taken < draft.shifted; ++taken) queue.take_first(write.removed);
        for (std::size_t taken = 0; taken < draft.popped; ++taken) queue.take_last(write.removed);
        if (!draft.appended.empty()) queue.reserve_back(draft.appended.size());
        for (const Value& element : draft.appended) queue.append_back(element);
        log_array(draft);
      }
    }
  }

 private:
  /// What is to become of a key.
  struct Draft {
    enum class Content : std::uint8_t {
      untouched,  ///< as in the entry
      value,      ///< `value`
      array,      ///< the base (the entry's queue, or `value`) less what was taken at its ends, and then `appended`
    };

    KeyWrite* write = nullptr;
    bool there = false;
    bool changed = false;
    bool replaced = false;  ///< at some time: nothing of the entry is left
    Content content = Content::untouched;
    bool base_in_entry = false;
    Value value;
    std::size_t shifted = 0, popped = 0;
    std::deque<Value> appended;
    Deadline deadline;

    void become(Value with) {
      changed = true;
      replaced = true;
      content = Content::value;
      base_in_entry = false;
      value = std::move(with);
      shifted = popped = 0;
      appended.clear();
    }
    void remove() {
      become({});
      there = false;
      deadline = Deadline::none();
    }
    bool is_array() const {
      return content == Content::array || (content == Content::value ? value.is_array() : write->entry->is_array());
    }
    /// REQUIRES: is_array().
    void as_array() {
      if (content == Content::untouched) {
        base_in_entry = write->entry->is_queue();
        if (!base_in_entry) value = write->entry->value();
      }
      changed = true;
      content = Content::array;
    }
    bool base_is_entry() const { return content == Content::untouched || base_in_entry; }
    std::size_t base_size() const { return base_in_entry ? write->entry->queue().size() : value.size(); }
    Value base_at(std::size_t index) const { return base_in_entry ? write->entry->queue().at(index) : value[index]; }
    std::size_t array_size() const { return base_size() - shifted - popped + appended.size(); }
  };

  /// An array that was changed at its ends is logged by these changes.
  static void log_array(const Draft& draft) {
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
    for (const Value& element : draft.appended) say(OperationCode::push, &element);
    write.log_as(draft.deadline.kind != Deadline::Kind::keep ? OperationCode::expire : OperationCode::end);
  }

  Draft& find(std::string_view key, const char* operation) {
    const auto found = drafts_.find(key);
    if (found != drafts_.end()) return found->second;
    KeyWrite* write = write_.find(key);
    if (write == nullptr) store_.fail(Errc::invalid_argument, operation, key, "the key is not one of this transaction's");
    Draft draft;
    draft.write = write;
    draft.there = write->entry != nullptr;
    return drafts_.emplace(write->key, std::move(draft)).first->second;
  }

  static Value value_of(const Draft& draft) {
    if (draft.content == Draft::Content::value) return draft.value;
    if (draft.content == Draft::Content::untouched) return draft.write->entry->value();
    std::vector<Value> elements;
    elements.reserve(draft.array_size());
    const Value base = draft.base_in_entry ? draft.write->entry->value() : draft.value;
    for (std::size_t index = draft.shifted; index < base.size() - draft.popped; ++index) elements.push_back(base[index]);
    elements.insert(elements.end(), draft.appended.begin(), draft.appended.end());
    return make_array(elements);
  }

  [[noreturn]] void not_an_array(const char* operation, std::string_view key) const {
    store_.fail(Errc::type_mismatch, operation, key, "the key holds something else than an array");
  }

  Store& store_;
  MultiWrite& write_;
  std::map<std::string_view, Draft> drafts_;
};

void Store::transact(std::span<const std::string_view> keys, FunctionRef<void(Transaction&)> f) {
  MultiWrite write(*this, Operation::transact, keys);
  TransactionState state(*this, write);
  {
    const LockedStore locked{this, write.record.locked};
    write.record.locked = &locked;
    struct Restore {
      ThreadRecord& record;
      const LockedStore* outer;
      ~Restore() { record.locked = outer; }
    } const restore{write.record, locked.outer};
    Transaction transaction(state);
    f(transaction);
  }
  state.plan();
  write.commit();
}

void Store::rename(std::string_view from, std::string_view to) {
  const std::string_view keys[] = {from, to};
  MultiWrite write(*this, Operation::rename, keys);
  KeyWrite& source = *write.find(from);
  KeyWrite& target = *write.find(to);
  if (source.entry == nullptr) fail(Errc::key_not_found, "rename", from, "there is no such key");
  if (target.entry != nullptr) fail(Errc::key_exists, "rename", to, "the key is there already");
  write.plan_move(source, target);
  write.commit();
}

}  // namespace cubby::detail

namespace cubby {

std::optional<Value> Transaction::get(std::string_view key) const { return state_.get(key); }
void Transaction::set(std::string_view key, const Value& value) { state_.set(key, value, std::nullopt); }
void Transaction::set(std::string_view key, const Value& value, Duration ttl) {
  state_.set(key, value, detail::deadline_after(ttl.nanoseconds()));
  if (ttl.nanoseconds().count() <= 0) state_.erase(key);
}
bool Transaction::erase(std::string_view key) { return state_.erase(key); }
bool Transaction::exists(std::string_view key) const { return state_.exists(key); }
Value Transaction::increment(std::string_view key, const Value& delta) { return state_.increment(key, delta); }
std::size_t Transaction::push(std::string_view key, const Value& value) { return state_.push(key, value); }
std::optional<Value> Transaction::shift(std::string_view key) { return state_.take(key, false); }
std::optional<Value> Transaction::pop(std::string_view key) { return state_.take(key, true); }
void Transaction::expire(std::string_view key, Duration ttl) { state_.expire(key, ttl.nanoseconds()); }
void Transaction::expire(std::string_view key) { state_.expire(key, std::nullopt); }

}  // namespace cubby
