// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "storage/operations.hpp"
#include "store/store.hpp"

/// The parts that all writes are made of. store.hpp says in which order they come, and why.
///
/// Thread safety: an object belongs to the thread that writes.

namespace cubby::detail {

/// The reminder of one key; belongs to its entry, and is changed under the key's bucket lock. Whoever takes it off the entry
/// drops it; the reaper, which may have been handed it by the wheel, looks at it within an epoch only.
struct KeyReminder : Reminder {
  using Reminder::Reminder;
  std::int64_t armed_for = kNever;  ///< never later than the key's deadline, unless that is none
};

/// A key whose bucket is held, and what is to become of it.
struct KeyWrite {
  KeyWrite(Store& owner, std::string_view name, std::uint64_t key_hash) : store(owner), key(name), hash(key_hash) {}
  KeyWrite(const KeyWrite&) = delete;
  KeyWrite& operator=(const KeyWrite&) = delete;
  ~KeyWrite();
  /// Frees what was planned and not published. REQUIRES: the bucket held still, or nothing planned.
  void give_up() noexcept;

  /// Finds the key. REQUIRES: `held` covers its hash.
  void look_up();

  // Planning: may throw, and has changed nothing then. The last plan counts.
  void plan_value(const Value& value, Deadline deadline);
  /// The caller fills the queue; `goes_on`: with the one that the key holds now, changed.
  Queue& plan_queue(Deadline deadline, bool goes_on);
  /// The array that the key holds, or an empty one, as a queue to be changed. After that nothing may fail but reserving.
  Queue& plan_change_of_array();
  /// As plan_queue().
  Members& plan_members(Deadline deadline, bool goes_on);
  /// The object that the key holds, or an empty one, merged with a patch, an object. What has come of it, and the size of the
  /// object as a node. REQUIRES: entry is an object, or null.
  struct Merged {
    MembersChanged changed;
    std::uint64_t bytes = 0;
  };
  Merged plan_merge(const Value& patch);
  /// The same with this member as it is, or with null without it; the size of the object.
  std::uint64_t plan_member(std::string_view name, const Value* value);
  /// The value that is there, with another deadline. REQUIRES: entry.
  void plan_same(Deadline deadline);
  void plan_removal() noexcept;
  bool planned() const noexcept { return changes_; }
  /// The value that is planned. REQUIRES: one is. Throws std::bad_alloc, Errc::value_too_large.
  Value planned_value() const { return fresh_->value(); }
  /// The plan is what is there: it takes effect only if somebody in line can be given of it.
  void only_serves() noexcept {
    only_serves_ = true;
    logged_ = OperationCode::end;
  }
  /// The deadline that the key has, or kNoDeadline. Nobody changes it until this is published or given up. REQUIRES: entry.
  std::int64_t hold_deadline() noexcept;

  // What a durable store's log is told of it: planning a value, a removal or a deadline says so itself. These come after the
  // plan, and say it shorter. What they are given must live until the commit.
  void log_as(OperationCode code, const Value* value = nullptr) {
    logged_ = code;
    logged_value_ = value;
  }
  /// Besides, before what was planned (or instead, with log_as(end)): in this order.
  void log_also(const LoggedOperation& operation) { also_logged_.push_back(operation); }
  /// Bytes for the log, with room for all that serve() may hand over.
  void measure_log(OperationWriter& to) const;
  /// The same, after serve().
  void write_log(OperationWriter& to) const;

  /// Hands elements over to waiters, and ends those whose condition now holds. Claims; delivering is the caller's.
  void serve(Wakeups& wakeups) noexcept;
  /// Tells those whom serve() has handed something what to wait for.
  void note_logged(const LogPlace& place) noexcept;
  /// Freezes the old deadline and gives it to the new entry, if that is to keep it.
  void settle() noexcept;
  /// The deadline that the old entry had last. REQUIRES: settled.
  std::int64_t frozen_deadline() const noexcept { return frozen_deadline_; }
  /// Stamps the new entry, and leaves the old one to a cut that wants it.
  void stamp(std::uint32_t version) noexcept;
  /// Makes it visible. Of a single key: this is the instant.
  void publish() noexcept;
  /// Wakes those who look for themselves. After publishing, as they look at the table.
  void tell_watchers() noexcept;
  /// Retires what was replaced, and arms or drops the reminder.
  void finish(ThreadRecord& record) noexcept;
  /// All of this in its order, for a key that is written alone. REQUIRES: within a PublishingGuard.
  void carry_out(Operation operation, ThreadRecord& record, Wakeups& wakeups, bool logged);

  Store& store;
  const std::string_view key;
  const std::uint64_t hash;
  const Table::Held* held = nullptr;
  Table::Position position;
  Entry* occupant = nullptr;  ///< in the slot, live or expired
  Entry* entry = nullptr;     ///< the same if live, else null

  Removed removed;                ///< what leaves the parts that go on
  bool noted_waiter = false;      ///< the call that holds it has put its waiter into line
  std::uint32_t serve_order = 0;  ///< of several keys: whose waiters come first

 private:
  friend class SingleWrite;
  friend class MultiWrite;

  void plan(const Entry::Plan& plan, Deadline deadline, bool goes_on);
  bool expires_with(const Deadline& deadline) const noexcept;
  Members* plan_change_of_members();
  void plan_small_members();
  std::size_t count_takers() const;
  void log_operations(OperationWriter& to) const;
  void discard() noexcept;
  bool takers_wait() const;
  void serve_all(KeyWaiters& waiters, Wakeups& wakeups);
  void serve_others(WaitLine& line, Wakeups& wakeups);
  WaitLink* next_taker(WaitLine& line, Wakeups& wakeups);

  bool changes_ = false;
  Entry* fresh_ = nullptr;    ///< null: the key is removed
  bool parts_go_on_ = false;  ///< what the occupant is made of belongs to fresh_
  bool published_ = false;
  bool shown_ = false;  ///< not published, but a reader may have met it in a marker
  bool watched_ = false;
  bool holds_deadline_ = false;
  bool parts_borrowed_ = false;  ///< the parts of fresh_ are another key's until it is published
  Deadline deadline_{};
  std::int64_t frozen_deadline_ = kNoDeadline;
  const KeyWrite* deadline_from_ = nullptr;  ///< whose frozen deadline becomes ours
  std::int64_t final_deadline_ = kNoDeadline;
  KeyReminder* new_reminder_ = nullptr;
  OperationCode logged_ = OperationCode::end;  ///< end: nothing
  const Value* logged_value_ = nullptr;
  std::vector<LoggedOperation> also_logged_;
  bool only_serves_ = false;
  bool handed_over_ = false;
  std::vector<Waiter*> handed_;  ///< who was given an element, in order; durable stores only
};

/// The record of one write in a durable store's log.
class LogEntry {
 public:
  /// Room for what `writes` will say. Throws what Log::reserve() does, as an error of the store.
  LogEntry(Store& store, Operation operation, std::span<KeyWrite* const> writes, std::uint32_t version);
  /// Of one operation.
  LogEntry(Store& store, Operation operation, const LoggedOperation& logged, std::uint32_t version);
  /// Gives the room up unless it was completed.
  ~LogEntry();
  LogEntry(const LogEntry&) = delete;
  LogEntry& operator=(const LogEntry&) = delete;

  /// The record counts from here on, and is what the thread's call will be acknowledged for.
  void complete(std::span<KeyWrite* const> writes, ThreadRecord& record) noexcept;
  void complete(const LoggedOperation& logged, ThreadRecord& record) noexcept;

 private:
  void reserve(Operation operation, std::string_view key, std::uint32_t version, std::uint64_t body);
  void finish(OperationWriter& writer, ThreadRecord& record) noexcept;

  Store& store_;
  std::optional<Log::Record> record_;
};

/// A write of one key, from lock to wake-up.
class SingleWrite : public KeyWrite {
 public:
  /// Checks, enters the epoch, locks and looks up.
  SingleWrite(Store& store, Operation operation, std::string_view key);
  /// The store's own writes, to read_only stores too: unchecked, and not counted.
  SingleWrite(Store& store, std::string_view key);
  /// The same while the store is loaded: what is there counts whatever its deadline, unless `fresh`.
  SingleWrite(Store& store, std::string_view key, bool fresh);
  /// Unlocks, delivers, and helps along what is due.
  ~SingleWrite();

  /// Carries out what was planned.
  void commit();
  /// Only puts the deadline off, in place; false if that takes a new entry. Durable stores only.
  bool commit_later_deadline(std::int64_t deadline);

  ThreadRecord& record;

 private:
  void begin();

  const Operation operation_;
  std::optional<EpochGuard> guard_;
  Table::Held bucket_;
  Wakeups wakeups_;
};

/// A look at a key under its bucket's lock. REQUIRES: within an epoch, as long as it lives.
class KeyLook {
 public:
  KeyLook(Store& store, std::uint64_t hash, std::string_view key) : write_(store, key, hash), bucket_(store.table_.lock(hash)) {
    write_.held = &bucket_;
    write_.look_up();
  }
  ~KeyLook() { write_.store.table_.unlock(bucket_); }
  KeyLook(const KeyLook&) = delete;
  KeyLook& operator=(const KeyLook&) = delete;

  /// Null if the key is absent.
  Entry* entry() const noexcept { return write_.entry; }
  const Table::Held& bucket() const noexcept { return bucket_; }

 private:
  KeyWrite write_;
  Table::Held bucket_;
};

}  // namespace cubby::detail
