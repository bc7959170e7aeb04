// SPDX-License-Identifier: Apache-2.0
#include "storage/log.hpp"

#include <algorithm>
#include <utility>

#include <cubby/error.hpp>

#include "base/clock.hpp"

/// When the log gets to the disk, and who is told.

namespace cubby::detail {

namespace {

constexpr std::int64_t kNoteInterval = 100'000'000;  // ns between notes of what is synced: each costs a page
constexpr std::int64_t kSyncAgain = 1'000'000;  // ns until who waits for an earlier generation to end is looked after again

}  // namespace

void Log::note_dirty() noexcept {
  if (dirty_.exchange(true, std::memory_order_seq_cst)) return;
  std::int64_t none = kNever;
  unsynced_since_.compare_exchange_strong(none, now(), std::memory_order_seq_cst);  // with note_synced_before()
  syncs_.wake();
}

void Log::note_synced_before(std::int64_t start) noexcept {
  // What is not synced yet came after the start.
  unsynced_since_.store(start, std::memory_order_seq_cst);
  std::int64_t since = start;
  if (!dirty_.load(std::memory_order_seq_cst)) {
    unsynced_since_.compare_exchange_strong(since, kNever, std::memory_order_seq_cst);
    since = kNever;
    // Who has made it dirty meanwhile may have found a time there, and left it to that.
    if (dirty_.load(std::memory_order_seq_cst)) {
      unsynced_since_.compare_exchange_strong(since, start, std::memory_order_seq_cst);
      since = start;
    }
  }
  // The next begins right away if this one has taken its time.
  const bool slow = now() - start > settings_.sync.length().count() / 4;
  watched_.store(syncs_by_itself_ && slow && since != kNever, std::memory_order_relaxed);
}

bool Log::is_behind() const noexcept {
  const std::int64_t since = unsynced_since_.load(std::memory_order_relaxed);
  const std::int64_t interval = settings_.sync.length().count();
  return since < kNever - interval && is_past(since + interval);
}

void Log::watch() noexcept {
  if (syncs_by_itself_) watched_.store(true, std::memory_order_relaxed);
}

void Log::acknowledge(const LogPlace& place) {
  Pending self;
  self.place = place;
  self.parker = &this_thread_parker();
  {
    const std::lock_guard lock(pending_lock_);
    if (synced_ >= place) return;
    if (failed()) {
      self.state.store(Pending::gave_up, std::memory_order_relaxed);
    } else if (!led_) {
      led_ = true;
      self.state.store(Pending::leads, std::memory_order_relaxed);
    } else {
      pending_.push_back(&self);
    }
  }
  int state = 0;
  // acquire: what is on the disk was synced before
  while ((state = self.state.load(std::memory_order_acquire)) != Pending::on_disk && state != Pending::gave_up) {
    if (state == Pending::leads) {
      lead(self);
    } else {
      self.parker->park();
    }
  }
  if (state == Pending::gave_up)
    throw Error(Errc::io, "the log can't be synced (" + failure() + "): what was written may be lost with the power");
}

void Log::lead(Pending& self) noexcept {
  std::vector<Parker*> woken;
  sync_pass(woken);
  Parker* next = nullptr;
  {
    const std::lock_guard lock(pending_lock_);
    if (failed()) {
      self.state.store(Pending::gave_up, std::memory_order_relaxed);
    } else if (synced_ >= self.place) {
      self.state.store(Pending::on_disk, std::memory_order_relaxed);
    } else {
      // An earlier generation hasn't ended: the log's thread looks after us.
      self.state.store(Pending::waiting, std::memory_order_relaxed);
      pending_.push_back(&self);
    }
    led_ = false;
    if (self.state.load(std::memory_order_relaxed) == Pending::on_disk && !pending_.empty()) {
      led_ = true;
      Pending* heir = pending_.front();
      pending_.erase(pending_.begin());
      next = heir->parker;
      heir->state.store(Pending::leads, std::memory_order_release);
    }
  }
  if (next != nullptr) next->unpark();  // before the others: the disk shall not wait
  if (self.state.load(std::memory_order_relaxed) == Pending::waiting) syncs_.wake();
  for (Parker* parker : woken) parker->unpark();
}

std::string Log::failure() const {
  const std::lock_guard lock(segments_lock_);
  return failure_;
}

void Log::settle(const LogPlace& synced, std::vector<Parker*>& settled) noexcept {
  const std::lock_guard lock(pending_lock_);
  if (synced_ < synced) synced_ = synced;
  std::erase_if(pending_, [&](Pending* each) {
    if (synced_ < each->place) return false;
    settled.push_back(each->parker);  // which lives for ever, unlike `each` once it knows
    each->state.store(Pending::on_disk, std::memory_order_release);
    return true;
  });
}

void Log::fail_all(const std::string& why) noexcept {
  {
    const std::lock_guard lock(segments_lock_);
    if (failure_.empty()) failure_ = why;
  }
  std::vector<Parker*> woken;
  {
    const std::lock_guard lock(pending_lock_);
    failed_.store(true, std::memory_order_release);
    for (Pending* each : pending_) {
      woken.push_back(each->parker);
      each->state.store(Pending::gave_up, std::memory_order_release);
    }
    pending_.clear();
  }
  for (Parker* parker : woken) parker->unpark();
}

bool Log::sync_pass(std::vector<Parker*>& settled) noexcept {
  watch();  // who holds the lock may be stuck
  const std::lock_guard lock(syncing_);
  watch();  // the one before has ended that
  if (failed()) return false;
  try {
    return sync_all(settled);
  } catch (const std::exception& error) {
    fail_all(error.what());  // before anybody else can sync, and take that for a success
    return false;
  }
}

bool Log::sync_all(std::vector<Parker*>& settled) {
  struct Goal {
    LogSegment* segment;
    bool ended;
    std::uint64_t tail;
  };
  const std::int64_t start = now();
  dirty_.exchange(false, std::memory_order_seq_cst);  // before the tails are read
  std::vector<Goal> goals;
  {
    const std::lock_guard segments(segments_lock_);
    for (const auto& segment : segments_) {
      const bool ended = segment->ended();  // before the tail
      goals.push_back({segment.get(), ended, segment->tail()});
    }
  }
  settings_.wait_for_publishers();  // invariant 1
  bool synced = false;
  bool covers_all = true;
  for (const Goal& goal : goals) {
    LogSegment& segment = *goal.segment;
    if (goal.tail > segment.synced() || !segment.note_is_synced()) {
      segment.sync_to(goal.tail);
      if (!segment.name_is_synced()) {
        settings_.files->sync_folder(settings_.folder);
        for (const Goal& each : goals) each.segment->set_name_synced();  // they were all made before
      }
      synced = true;
      const std::int64_t time = now();
      if (goal.ended || time - last_note_ >= kNoteInterval) {
        segment.note_synced();
        last_note_ = time;
      }
    }
    settle({std::uint64_t{segment.generation()} << 32 | segment.number(), goal.tail}, settled);
    if (!goal.ended) {
      covers_all = &goal == &goals.back() || goals.back().tail == kSegmentStart;
      break;  // invariant 4
    }
    if (segment.note_is_synced() && !segment.has_memory()) segment.close();
  }
  // Else an earlier generation hasn't ended: what is in the later one is as old as it was.
  covers_all ? note_synced_before(start) : watch();
  return synced;
}

void Log::run_syncs() {
  std::int64_t next_sync = kNever;
  std::int64_t took = 0;  // the last sync
  // So that what was appended first is on the disk when its interval is over: writers would have to wait then. A quarter of it
  // is for syncs that take longer than the last.
  const auto next = [&] {
    const std::int64_t since = std::min(unsynced_since_.load(std::memory_order_relaxed), now());
    const std::int64_t interval = settings_.sync.length().count();
    return since > kNever - interval ? kNever : since + std::max(interval - interval / 4 - took, interval / 4);
  };
  std::vector<Parker*> settled;
  while (syncs_.flag.begin_turn()) {
    bool urgent = false;
    {
      const std::lock_guard lock(pending_lock_);
      urgent = !led_ && !pending_.empty();
    }
    if (next_sync == kNever && syncs_by_itself_ && dirty_.load(std::memory_order_seq_cst)) {
      next_sync = next();
    }
    std::int64_t sleep_until = failed() ? kNever : next_sync;
    if (!failed() && (urgent || now() >= next_sync)) {
      next_sync = kNever;
      settled.clear();
      const std::int64_t start = now();
      const bool synced = sync_pass(settled);
      took = now() - start;
      // Once more when nothing follows: for the note of what was synced.
      if (synced && syncs_by_itself_) next_sync = next();
      for (Parker* each : settled) each->unpark();
      settings_.on_growth();
      if (!urgent || !settled.empty()) continue;
      sleep_until = std::min(next_sync, deadline_after(std::chrono::nanoseconds(kSyncAgain)));
    }
    syncs_.sleep_until(sleep_until);
  }
}

}  // namespace cubby::detail
