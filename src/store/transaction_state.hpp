// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "store/multi_write.hpp"

/// What the user's function of transact works with. What it does is only noted down for each key, and turned into plans when
/// the function has returned.
///
/// Thread safety: belongs to the thread that writes.

namespace cubby::detail {

/// One end of an array that was changed: elements that were put there, the newest last. The older ones may be taken too.
class ArrayEnd {
 public:
  std::size_t size() const noexcept { return single_ ? 1 : items_.size() - taken_; }
  bool empty() const noexcept { return size() == 0; }
  void add(Value value) {
    if (items_.empty() && !single_) {
      single_ = std::move(value);
      return;
    }
    if (single_) {
      items_.push_back(*std::move(single_));
      single_.reset();
    }
    items_.push_back(std::move(value));
  }
  Value take_newest() noexcept {
    if (single_) return take_single();
    Value value = std::move(items_.back());
    items_.pop_back();
    return value;
  }
  Value take_oldest() noexcept { return single_ ? take_single() : std::move(items_[taken_++]); }
  /// The oldest first.
  std::span<const Value> items() const noexcept {
    return single_ ? std::span(&*single_, 1) : std::span(items_).subspan(taken_);
  }
  void clear() noexcept {
    single_.reset();
    items_.clear();
    taken_ = 0;
  }

 private:
  Value take_single() noexcept {
    Value value = *std::move(single_);
    single_.reset();
    return value;
  }

  std::optional<Value> single_;  ///< the only one, mostly: it takes no memory of its own; then items_ is empty
  std::vector<Value> items_;
  std::size_t taken_ = 0;
};

/// What is to become of a key.
struct Draft {
  Draft() = default;
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft() { drop_members(); }

  enum class Content : std::uint8_t {
    untouched,  ///< as in the entry
    value,      ///< `value`
    array,      ///< the base (the entry's queue, or `value`) less what was taken at its ends, with what was put there
    members,    ///< `members`: those of the entry, changed, or made of a value
    moved,      ///< as in the entry of `source`, which was renamed
  };

  KeyWrite* write = nullptr;
  bool there = false;
  bool changed = false;
  bool replaced = false;  ///< at some time: nothing of the entry is left
  Content content = Content::untouched;
  bool base_in_entry = false;
  Value value;
  std::size_t shifted = 0, popped = 0;  ///< taken from the base
  ArrayEnd front, back;
  Members members;
  Removed removed;                  ///< what has left the members of the entry
  std::vector<Value> patches;       ///< what the members were changed by, for the log
  bool log_whole = false;           ///< patches can't say it
  Deadline deadline;                ///< REQUIRES: never `keep` if moved, or if the entry is absent
  Draft* source = nullptr;          ///< of what was moved here
  bool deadline_of_source = false;  ///< and its deadline with it

  void become(Value with);
  void remove();
  void give_deadline(Deadline to) noexcept;
  /// What came with a rename is the key's own from now on.
  void own_deadline() noexcept;
  /// What is there is of this type. REQUIRES: there.
  bool is_array() const;
  /// REQUIRES: is_array(), there.
  void as_array();
  std::size_t array_size() const { return base_size() - shifted - popped + front.size() + back.size(); }
  std::optional<Value> take(bool last);
  /// REQUIRES: there.
  bool is_object() const { return type() == Type::object; }
  /// Makes it members to be changed; false where the object is small. REQUIRES: is_object(), there.
  bool as_members();
  /// Forgets what was planned for members.
  void drop_members() noexcept;
  /// REQUIRES: is_object(), there.
  std::optional<Value> member(std::string_view name) const;
  void for_members(std::size_t first, std::size_t count, FunctionRef<void(std::string_view, const Value&)> f) const;
  /// It is members already, or the entry holds such. REQUIRES: there.
  bool in_tree() const { return content == Content::members || (content == Content::untouched && write->entry->is_members()); }
  /// REQUIRES: there.
  Value current() const;
  Type type() const;
  std::optional<std::size_t> length() const;
  /// REQUIRES: is_array(), there.
  Value slice(std::size_t first, std::size_t count) const;
  /// kNoDeadline if there's none. From now on nobody else changes it. REQUIRES: there.
  std::int64_t current_deadline() const;

 private:
  const Entry& entry() const { return *(content == Content::moved ? source->write->entry : write->entry); }
  std::size_t base_size() const { return base_in_entry ? write->entry->queue().size() : value.size(); }
  Value base_at(std::size_t index) const { return base_in_entry ? write->entry->queue().at(index) : value[index]; }
};

class TransactionState {
 public:
  TransactionState(Store& store, MultiWrite& write);

  std::optional<Value> get(std::string_view key);
  bool visit(std::string_view key, FunctionRef<void(const Value&)> f);
  bool exists(std::string_view key) { return find(key, "exists").there; }
  std::optional<Type> type(std::string_view key);
  std::optional<std::size_t> length(std::string_view key);
  Value slice(std::string_view key, std::size_t first, std::size_t count);
  void set(std::string_view key, const Value& value, Deadline deadline, bool expired_already);
  bool set_once(std::string_view key, const Value& value, Deadline deadline, bool expired_already);
  std::optional<Value> swap(std::string_view key, const Value& value);
  bool erase(std::string_view key);
  std::optional<Value> take(std::string_view key);
  void rename(std::string_view from, std::string_view to);
  Value increment(Operation operation, std::string_view key, const Value& delta);
  std::optional<Value> modify(std::string_view key, FunctionRef<std::optional<Value>(std::optional<Value>)> f);
  std::size_t push(std::string_view key, const Value& value, bool at_front);
  std::optional<Value> shift(std::string_view key, bool last, WhenEmptied when_emptied);
  Duration default_ttl() const { return store_.options().default_ttl; }
  /// Empty: past already, so the key is removed.
  void expire(std::string_view key, std::optional<std::int64_t> deadline);
  /// kNoDeadline if absent, or if there's none.
  std::int64_t deadline(std::string_view key, const char* operation);
  bool remove_expiry(std::string_view key);
  bool unchanged(std::string_view key, const KeyVersion& version);

  // --- transaction_objects.cpp
  std::optional<Value> member(std::string_view key, std::string_view name);
  std::optional<std::size_t> visit_members(std::string_view key, std::span<const std::string_view> names,
                                           FunctionRef<void(std::size_t, const Value&)> f);
  std::optional<std::size_t> visit_members(std::string_view key, std::size_t first, std::size_t count,
                                           FunctionRef<void(std::string_view, const Value&)> f);
  Value update(std::string_view key, const Value& patch);
  MembersChanged change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied);
  std::optional<Value> modify_member(std::string_view key, std::string_view name,
                                     FunctionRef<std::optional<Value>(std::optional<Value>)> f);

  /// Turns the notes into plans.
  void plan();

 private:
  Draft& find_object(std::string_view key, const char* operation);
  template <class F>
  void change(Draft& draft, F&& f);
  MembersChanged merge(Draft& draft, const Value& patch);
  void plan_members(Draft& draft);
  Draft& find(std::string_view key, const char* operation);
  /// Something is stored there: its waiters come after those of the keys before.
  void note_stored(Draft& draft) noexcept;
  void plan(Draft& draft);
  void log_array(const Draft& draft) const;
  [[noreturn]] void not_an_array(const char* operation, std::string_view key) const;

  Store& store_;
  MultiWrite& write_;
  std::vector<Draft> drafts_;  ///< one for each key of the write, in its order
  std::uint32_t changes_ = 0;  ///< calls that stored something
  bool failed_ = false;        ///< memory ran out in the middle of a change: nothing may come of it
};

}  // namespace cubby::detail
