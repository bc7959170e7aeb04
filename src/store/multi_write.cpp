// SPDX-License-Identifier: Apache-2.0
#include "store/multi_write.hpp"

#include <algorithm>
#include <utility>

namespace cubby::detail {

struct MultiWrite::Commit {
  CommitStatus status;
  std::vector<Marker> markers;
};

MultiWrite::MultiWrite(Store& store, Operation operation, std::span<const std::string_view> keys, For purpose)
    : record(thread_record()), store_(store), operation_(operation) {
  for (const std::string_view key : keys) store.check_key(operation, key);
  keys_.reserve(keys.size());
  for (const std::string_view key : keys) keys_.emplace_back(hash_key(key), key);
  std::sort(keys_.begin(), keys_.end());
  keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
  buckets_.reserve(keys_.size());  // KeyWrite points into it

  // We look at no entry but those whose buckets we have locked, which nobody else can remove. Those who wait for locks keep
  // only tables from being freed.
  epochs().enter(record, kNowhere);
  try {
    const std::string_view first = keys.empty() ? std::string_view() : keys.front();
    if (purpose == For::writing) {
      store.check_writable(operation, first, record);
    } else {
      store.check_not_locked(name_of(operation), first, record);
      store.check_readable(operation, first);
    }
    store.counters(record).count(operation);
    while (!lock_all()) unlock_all();
    look_up_all();
  } catch (...) {
    leave();
    throw;
  }
}

MultiWrite::~MultiWrite() { leave(); }

bool MultiWrite::lock_all() {
  for (const auto& [hash, key] : keys_) {
    if (!buckets_.empty() && buckets_.back().covers(hash)) continue;
    const Table::Held held = store_.table_.lock_settled(hash, buckets_);
    if (held.home == nullptr) return false;
    buckets_.push_back(held);
    // All of one table generation: one that clear() has replaced in between would not take part in the instant.
    if (held.table->chain != buckets_.front().table->chain) return false;
  }
  return true;
}

void MultiWrite::look_up_all() {
  constexpr std::size_t kAhead = 8;
  writes_ = std::vector<std::optional<KeyWrite>>(keys_.size());
  auto bucket = buckets_.begin();
  for (std::size_t index = 0; index < keys_.size(); ++index) {
    if (index + kAhead < keys_.size()) store_.table_.prefetch_slots(keys_[index + kAhead].first);
    const auto& [hash, key] = keys_[index];
    while (!bucket->covers(hash)) ++bucket;
    KeyWrite& write = writes_[index].emplace(store_, key, hash);
    write.held = &*bucket;
    write.look_up();
  }
}

void MultiWrite::unlock_all() noexcept {
  for (Table::Held& bucket : buckets_) store_.table_.unlock(bucket);
  buckets_.clear();
}

void MultiWrite::leave() noexcept {
  for (std::optional<KeyWrite>& write : writes_) {
    if (write) write->give_up();
  }
  unlock_all();
  wakeups_.deliver();
  store_.help_after_write(record);
  epochs().leave(record);
  tidy(record);
}

std::size_t MultiWrite::index_of(std::string_view key) const noexcept {
  constexpr std::size_t kFew = 8;
  if (keys_.size() <= kFew) {
    for (std::size_t index = 0; index < keys_.size(); ++index) {
      if (keys_[index].second == key) return index;
    }
    return kNone;
  }
  const std::pair wanted(hash_key(key), key);
  const auto found = std::lower_bound(keys_.begin(), keys_.end(), wanted);
  return found != keys_.end() && *found == wanted ? static_cast<std::size_t>(found - keys_.begin()) : kNone;
}

void MultiWrite::plan_move(KeyWrite& from, KeyWrite& to) {
  const Deadline deadline = from.entry->has_deadline() ? Deadline::at(from.entry->deadline()) : Deadline::none();
  if (from.entry->in_parts()) {
    if (from.entry->is_queue()) {
      to.plan_queue(deadline, false) = from.entry->queue();
    } else {
      to.plan_members(deadline, false) = from.entry->members();
    }
    to.parts_borrowed_ = true;
    from.parts_go_on_ = true;
  } else {
    to.plan_value(from.entry->value(), deadline);
  }
  if (from.entry->has_deadline()) to.deadline_from_ = &from;
  from.changes_ = true;
  LoggedOperation rename;
  rename.code = OperationCode::rename;
  rename.key = from.key;
  rename.other_key = to.key;
  // The value that `to` gets may go on to a waiter, so what is said comes with it.
  to.log_also(rename);
  to.log_as(OperationCode::end);
  from.log_as(OperationCode::end);
}

void MultiWrite::commit() {
  std::vector<KeyWrite*> changed;
  changed.reserve(writes_.size());
  for (std::optional<KeyWrite>& write : writes_) {
    if (write->planned()) changed.push_back(&*write);
  }
  if (changed.empty()) return;
  const Table::Chain& chain = *buckets_.front().table->chain;
  for (;;) {
    const PublishingGuard publishing(record);
    if (store_.state_.load(std::memory_order_acquire) & Store::kClosed) {
      store_.fail(Errc::closed, name_of(operation_), changed.front()->key, "the store was closed");
    }
    const Store::Standing standing = store_.standing(chain);
    if (standing != Store::Standing::sealed) {
      if (standing == Store::Standing::unlogged) store_.note_clear(record);
      return carry_out(changed, standing == Store::Standing::logged);
    }
    record.publishing.store(false, std::memory_order_release);
    store_.wait_for_clear(chain);
  }
}

/// In the order in which the caller has stored something: who waits for several keys gets the first.
void MultiWrite::serve(std::span<KeyWrite* const> changed) {
  std::vector<KeyWrite*> awaited;
  for (KeyWrite* write : changed) {
    if (store_.table_.has_waiters(*write->held)) awaited.push_back(write);
  }
  std::sort(awaited.begin(), awaited.end(),
            [](const KeyWrite* left, const KeyWrite* right) { return left->serve_order < right->serve_order; });
  for (KeyWrite* write : awaited) write->serve(wakeups_);
}

void MultiWrite::carry_out(std::span<KeyWrite* const> changed, bool logged) {
  // All keys are held: that of the only one is the instant.
  if (changed.size() == 1) return changed.front()->carry_out(operation_, record, wakeups_, logged);
  const std::uint32_t planned_version = store_.version_.load(std::memory_order_acquire);
  std::optional<LogEntry> log;
  if (logged) log.emplace(store_, operation_, changed, planned_version);
  auto commit = std::make_unique<Commit>();
  try {
    place_markers(*commit, changed);
  } catch (...) {
    retire_commit(commit.release());  // readers may have met its markers
    throw;
  }
  // From here on nothing fails. Waiters are told when all is over.
  serve(changed);
  for (KeyWrite* write : changed) {
    if (write->deadline_from_ == nullptr) write->settle();
  }
  for (KeyWrite* write : changed) {
    if (write->deadline_from_ != nullptr) write->settle();
  }
  if (log) {
    log->complete(changed, record);
  } else {
    for (KeyWrite* write : changed) write->note_logged({record.appended_segment, record.appended_end});
  }
  // What is logged belongs to the version that its place in the log was chosen by. No cut comes between: it waits for us.
  const std::uint32_t version = log ? commit->status.commit(planned_version) : commit->status.commit(store_.version_);
  for (KeyWrite* write : changed) {
    write->stamp(version);
    publish(*write);
  }
  for (KeyWrite* write : changed) {
    write->tell_watchers();
    write->finish(record);
  }
  retire_commit(commit.release());
}

void MultiWrite::retire_commit(Commit* commit) noexcept {
  const std::size_t bytes = sizeof(Commit) + commit->markers.size() * sizeof(Marker);
  retire(
      commit, [](void* old) { delete static_cast<Commit*>(old); }, bytes, kSomewhere);
}

void MultiWrite::place_markers(Commit& commit, std::span<KeyWrite* const> changed) {
  commit.markers.reserve(changed.size());  // slots point into it
  std::vector<std::pair<KeyWrite*, Marker*>> present, absent;
  present.reserve(changed.size());
  for (KeyWrite* write : changed) {
    commit.markers.push_back({&commit.status, write->occupant, write->fresh_});
    (write->occupant != nullptr ? present : absent).emplace_back(write, &commit.markers.back());
  }
  Table& table = store_.table_;
  std::size_t placed = 0;
  try {
    for (; placed < absent.size(); ++placed) {
      auto [write, marker] = absent[placed];
      table.insert(*write->held, table.reserve(*write->held), write->hash, make_word(write->hash, marker, SlotKind::marker));
    }
  } catch (...) {
    while (placed-- > 0) {
      KeyWrite& write = *absent[placed].first;
      write.shown_ = true;
      locate(write);
      table.remove(*write.held, write.position, write.hash);
    }
    throw;
  }
  for (auto [write, marker] : present) {
    if (!absent.empty()) locate(*write);
    table.replace(write->position, make_word(write->hash, marker, SlotKind::marker));
  }
  for (auto [write, marker] : absent) locate(*write);
}

/// An insert may have moved the key to a further bucket.
void MultiWrite::locate(KeyWrite& write) noexcept {
  write.position = store_.table_.locate(*write.held, write.hash, [&key = write.key](Word word) { return key_of(word) == key; });
}

void MultiWrite::publish(KeyWrite& write) noexcept {
  Table& table = store_.table_;
  if (write.fresh_ != nullptr) {
    table.replace(write.position, make_word(write.hash, write.fresh_, SlotKind::entry));
  } else {
    table.remove(*write.held, write.position, write.hash);
  }
  write.published_ = true;
}

}  // namespace cubby::detail
