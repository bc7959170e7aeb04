// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "store/key_write.hpp"
#include "store/maintenance.hpp"

/// Deadlines: re-arming without a lock, and removing what has expired.
///
/// A key with a deadline has one reminder in the wheel, armed for that deadline or an earlier one. Putting a deadline off
/// changes the entry's word only; the reminder fires, finds the later deadline, and is armed again.

namespace cubby::detail {

void Store::expire(Operation operation, std::string_view key, std::optional<std::int64_t> at) {
  check_key(operation, key);
  ThreadRecord& record = thread_record();
  const std::int64_t deadline = at ? as_deadline(*at) : 0;
  if (deadline > 0 && log_ == nullptr) {  // else the order in the log has to be that on the key
    const std::uint64_t hash = hash_key(key);
    const EpochGuard guard(record, place_of(hash));
    const PublishingGuard publishing(record);
    check_writable(operation, key, record);
    const Entry* found = nullptr;
    table_.find(hash, [&found, key](Word word) {
      if (!is_key(word, key)) return false;
      if (kind_of(word) == SlotKind::entry) found = pointer_of<const Entry>(word);  // a marker: wait for it under the lock
      return true;
    });
    if (found != nullptr && found->has_deadline()) {
      std::int64_t seen = found->deadline_word().load(std::memory_order_acquire);
      // Later, and the reminder is armed for no later than the old one. A cut wants the old deadline, for which a new entry is
      // needed.
      // The same one again is a write like others, which KeyVersion counts on.
      while (!(seen & kFrozen) && seen != kNoDeadline && seen < deadline && !is_past(seen) && !cut_wants(*found)) {
        // acq_rel: a writer that freezes the word after this takes the new deadline over
        if (found->deadline_word().compare_exchange_weak(seen, deadline, std::memory_order_acq_rel,
                                                         std::memory_order_acquire)) {
          Counters& figures = counters(record);
          figures.count(operation);
          figures.add(Figure::writes, 1);
          return;
        }
      }
    }
  }
  SingleWrite write(*this, operation, key);
  if (write.entry == nullptr) fail(Errc::key_not_found, name_of(operation), key, "there is no such key");
  if (deadline == 0) {
    write.plan_removal();
  } else if (log_ != nullptr && write.commit_later_deadline(deadline)) {
    return;
  } else if (write.entry->expired()) {
    fail(Errc::key_not_found, name_of(operation), key, "there is no such key");
  } else {
    write.plan_same(Deadline::at(deadline));
  }
  write.commit();
}

bool Store::remove_expiry(std::string_view key) {
  SingleWrite write(*this, Operation::remove_expiry, key);
  if (write.entry == nullptr || write.entry->deadline() == kNoDeadline) return false;
  write.plan_same(Deadline::none());
  write.commit();
  return true;
}

bool Store::cut_wants(const Entry& entry) const noexcept {
  const Cut* cut = cut_.load(std::memory_order_acquire);
  return cut != nullptr && entry.version() <= cut->version;
}

void Store::drop_reminder(Reminder& reminder) noexcept {
  // If the wheel has handed it out already, the reaper may be looking at it, within an epoch.
  wheel_.disarm(reminder);
  retire(
      static_cast<KeyReminder*>(&reminder), [](void* old) { delete static_cast<KeyReminder*>(old); }, sizeof(KeyReminder));
}

std::size_t Store::reap(std::size_t most) {
  constexpr std::size_t kAtOnce = 64;
  std::array<Reminder*, kAtOnce> due;
  std::vector<std::uint64_t> busy;
  ThreadRecord& record = thread_record();
  std::size_t seen = 0;
  if (busy_count_.load(std::memory_order_relaxed) != 0) {
    std::vector<std::uint64_t> again;
    {
      const std::lock_guard lock(busy_);
      again.swap(busy_hashes_);
      busy_count_.store(0, std::memory_order_relaxed);
    }
    const EpochGuard guard(record);
    for (const std::uint64_t hash : again) {
      if (!reap_hash(record, hash)) busy.push_back(hash);
    }
  }
  while (seen < most) {
    std::size_t count = 0;
    {
      const EpochGuard guard(record);
      count = wheel_.collect(now(), std::span(due).first(std::min(kAtOnce, most - seen)));
      // Only the hash is taken from the reminder: it may be the key's no more, and retired.
      for (std::size_t index = 0; index < count; ++index) {
        if (!reap_hash(record, due[index]->hash)) busy.push_back(due[index]->hash);
      }
    }
    tidy(record);
    seen += count;
    if (count < kAtOnce) break;
  }
  if (!busy.empty()) {
    const std::lock_guard lock(busy_);
    busy_hashes_.insert(busy_hashes_.end(), busy.begin(), busy.end());
    busy_count_.store(busy_hashes_.size(), std::memory_order_relaxed);
  }
  return seen;
}

std::int64_t Store::next_reminder() const noexcept {
  constexpr std::int64_t kBusy = 10'000'000;  // ns between looks at keys that somebody holds
  const std::int64_t next = wheel_.next_due();
  return busy_count_.load(std::memory_order_relaxed) == 0 ? next : std::min(next, now() + kBusy);
}

bool Store::reap_hash(ThreadRecord& record, std::uint64_t hash) {
  Table::Held bucket;
  if (!table_.try_lock(hash, bucket)) return false;  // the function of a modify may hold it for long
  for (;;) {
    // At most one key in practice; two may share a hash.
    const Table::Position position = table_.locate(bucket, hash, [hash](Word word) {
      const Entry* entry = entry_of(word);
      return entry->has_deadline() && entry->reminder() != nullptr && entry->expired() && hash_key(entry->key()) == hash;
    });
    if (position.word == 0) break;
    auto* entry = pointer_of<Entry>(position.word);
    // acq_rel, as in KeyWrite::settle(): no expire that has returned is lost
    const std::int64_t deadline = entry->deadline_word().fetch_or(kFrozen, std::memory_order_acq_rel) & ~kFrozen;
    if (!is_past(deadline)) {
      entry->deadline_word().store(deadline, std::memory_order_release);  // put off in the meantime
      continue;
    }
    // A cut needn't be left this: what has expired would not be loaded.
    table_.remove(bucket, position, hash);
    Counters& figures = counters(record);
    figures.add(Figure::expired, 1);
    note_expired(record, *entry);
    figures.add(Figure::bytes, 0 - static_cast<std::uint64_t>(entry->bytes()));
    drop_reminder(*entry->reminder());
    retire_entry(entry, hash, cut_.load(std::memory_order_acquire), false);
  }
  // What lives gets its reminder again, for the deadline that it has now.
  table_.locate(bucket, hash, [this, hash](Word word) {
    const Entry* entry = entry_of(word);
    if (!entry->has_deadline() || entry->reminder() == nullptr || hash_key(entry->key()) != hash) return false;
    auto& reminder = static_cast<KeyReminder&>(*entry->reminder());
    reminder.armed_for = entry->deadline();
    if (wheel_.arm(reminder, reminder.armed_for)) maintenance().wake_at(reminder.armed_for);
    return false;
  });
  table_.unlock(bucket);
  return true;
}

}  // namespace cubby::detail
