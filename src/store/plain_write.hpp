// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "store/key_write.hpp"

/// The short way of what most writes are: another value, which is not in parts, for a key that is there, while nobody waits for
/// keys of its bucket and no cut is being taken; in a durable store `set` only. All that SingleWrite has for other cases is
/// left out.
///
///   {
///     PlainWrite write(store, record, operation, key);
///     if (write.possible()) done = write.commit(...);
///   }
///   if (done) tidy(record); else SingleWrite has to do it, from the beginning
///
/// Thread safety: an object belongs to the thread that writes.

namespace cubby::detail {

class PlainWrite {
 public:
  /// Locks the key's bucket and looks the key up.
  PlainWrite(Store& store, ThreadRecord& record, Operation operation, std::string_view key)
      : store_(store),
        record_(record),
        operation_(operation),
        key_(key),
        hash_(hash_key(key)),
        guard_(record, place_of(hash_)) {
    if ((store.log_ != nullptr && operation != Operation::set) || record.locked != nullptr || key.size() > kMaxKeyBytes ||
        store.state_.load(std::memory_order_acquire) != 0) [[unlikely]]
      return;
    bucket_ = store.table_.lock(hash_);
    position_ = store.table_.locate(bucket_, hash_, [key](Word word) { return is_key(word, key); });
    if (position_.word == 0 || store.table_.has_waiters(bucket_)) return;
    auto* found = pointer_of<Entry>(position_.word);  // markers are seen by readers only
    if (!found->in_parts() && !found->expired()) entry_ = found;
  }
  ~PlainWrite() {
    if (bucket_.home == nullptr) return;
    store_.table_.unlock(bucket_);
    store_.help_after_write(record_);
  }
  PlainWrite(const PlainWrite&) = delete;
  PlainWrite& operator=(const PlainWrite&) = delete;

  /// False: nothing was done.
  bool possible() const noexcept { return entry_ != nullptr; }
  /// What the key holds. REQUIRES: possible().
  const Entry& entry() const noexcept { return *entry_; }

  /// Puts the value in the place of the old one. False: nothing was done. Throws what Entry::make() does. REQUIRES: possible().
  bool commit(const Value& value, Deadline deadline) {
    Entry& old = *entry_;
    if (!keeps_reminder(deadline)) return false;
    const PublishingGuard publishing(record_);
    if (store_.state_.load(std::memory_order_acquire) & Store::kClosed) return false;
    const Store::Standing standing = store_.standing(*bucket_.table->chain);
    const bool logged = store_.log_ != nullptr;
    if (logged && standing != Store::Standing::logged) return false;  // a clear() comes or has come
    Entry* fresh = Entry::make({key_, &value, old.has_deadline()});
    // acquire, and in this order: a write that reads a raised version sees the cut (invariant 1 of cut.hpp)
    const std::uint32_t version = store_.version_.load(std::memory_order_acquire);
    if (store_.cut_.load(std::memory_order_acquire) != nullptr) {
      Entry::dispose(fresh);
      return false;
    }
    LoggedOperation set;
    std::optional<LogEntry> log;
    if (logged) {
      set.code = OperationCode::set;
      set.key = key_;
      set.value = &value;
      if (deadline.kind == Deadline::Kind::at) {
        set.deadline = LoggedOperation::Deadline::at;
        set.deadline_ms = to_wall_milliseconds(deadline.time);
      } else if (deadline.kind == Deadline::Kind::none) {
        set.deadline = LoggedOperation::Deadline::none;
      }
      try {
        log.emplace(store_, operation_, set, version);
      } catch (...) {
        Entry::dispose(fresh);
        throw;
      }
    }
    // From here on nothing fails.
    if (old.has_deadline()) {
      // acq_rel: an expire before it is seen, one after it sees it (invariant 2 of entry.hpp)
      const std::int64_t frozen = old.deadline_word().fetch_or(kFrozen, std::memory_order_acq_rel) & ~kFrozen;
      fresh->deadline_word().store(deadline.kind == Deadline::Kind::keep ? frozen : deadline.time, std::memory_order_relaxed);
      fresh->reminder() = old.reminder();
    }
    if (log) log->complete(set, record_);
    fresh->set_version(version);
    fresh->set_created(old.created());
    store_.table_.replace(position_, make_word(hash_, fresh, SlotKind::entry));
    const std::size_t old_bytes = old.bytes();
    count(fresh->bytes() - old_bytes);
    epochs().retire(
        record_, &old, [](void* entry) { Entry::drop(static_cast<Entry*>(entry)); }, old_bytes, place_of(hash_));
    return true;
  }

 private:
  /// Whether what the key has for a deadline, and its reminder, does for the new one.
  bool keeps_reminder(const Deadline& deadline) const noexcept {
    if (deadline.kind == Deadline::Kind::keep) return true;
    if (!entry_->has_deadline()) return deadline.kind == Deadline::Kind::none;
    if (deadline.kind == Deadline::Kind::none) return false;
    const auto* reminder = static_cast<const KeyReminder*>(entry_->reminder());
    return reminder != nullptr && reminder->armed_for <= deadline.time;
  }
  void count(std::uint64_t bytes) noexcept {
    Counters& counters = store_.counters(record_);
    counters.count(operation_);
    counters.add(Figure::writes, 1);
    counters.add(Figure::bytes, bytes);
  }

  Store& store_;
  ThreadRecord& record_;
  const Operation operation_;
  const std::string_view key_;
  const std::uint64_t hash_;
  const EpochGuard guard_;
  Table::Held bucket_;
  Table::Position position_;
  Entry* entry_ = nullptr;
};

}  // namespace cubby::detail
