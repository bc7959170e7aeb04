// SPDX-License-Identifier: Apache-2.0
#include "store/maintenance.hpp"

#include <algorithm>
#include <system_error>

#include "base/thread.hpp"
#include "store/callback_waiter.hpp"
#include "store/store.hpp"

namespace cubby::detail {

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kGarbageInterval = 50 * kMillisecond;
constexpr std::int64_t kMoveInterval = 10 * kMillisecond;
constexpr std::int64_t kSysInterval = 100 * kMillisecond;
constexpr std::size_t kKeysAtOnce = 4096;

}  // namespace

Maintenance& maintenance() {
  static auto* one = new Maintenance;
  return *one;
}

void tidy(ThreadRecord& record) {
  if (epochs().tidy(record)) maintenance().garbage_waits();
}

void Maintenance::add(std::shared_ptr<Store> store) {
  const std::lock_guard lock(mutex_);
  stores_.push_back(std::move(store));
}

void Maintenance::remove(const Store* store) {
  const std::lock_guard lock(mutex_);
  std::erase_if(stores_, [store](const std::shared_ptr<Store>& each) { return each.get() == store; });
}

void Maintenance::wake_at(std::int64_t time) noexcept {
  if (!started_.load(std::memory_order_acquire)) start();
  // seq_cst, here and in run(): either the thread sees what is wanted before it sleeps, or we see that it sleeps.
  std::int64_t wanted = wanted_.load(std::memory_order_seq_cst);
  while (time < wanted && !wanted_.compare_exchange_weak(wanted, time, std::memory_order_seq_cst)) {
  }
  if (time < sleeps_until_.load(std::memory_order_seq_cst)) {
    if (Parker* parker = parker_.load(std::memory_order_acquire)) parker->unpark();
  }
}

void Maintenance::garbage_waits() noexcept {
  if (garbage_.load(std::memory_order_relaxed) || garbage_.exchange(true, std::memory_order_acq_rel)) return;
  wake_at(now() + kGarbageInterval);
}

void Maintenance::free_on_thread(void* object, void (*free)(void*)) {
  auto* errand = new Errand{object, free, errands_.load(std::memory_order_relaxed)};
  // release: synchronises with the exchange in work()
  while (!errands_.compare_exchange_weak(errand->next, errand, std::memory_order_release, std::memory_order_relaxed)) {
  }
  wake();
}

void Maintenance::start() {
  const std::lock_guard lock(starting_);
  if (started_.load(std::memory_order_relaxed)) return;
  try {
    start_thread("cubby", [this] { run(); }).detach();
  } catch (const std::system_error&) {
    return;  // no thread to be had now: whoever wants something next tries again
  }
  started_.store(true, std::memory_order_release);
}

void Maintenance::run() {
  Parker& parker = this_thread_parker();
  parker_.store(&parker, std::memory_order_release);
  for (;;) {
    wanted_.exchange(kNever, std::memory_order_seq_cst);  // acquires what is wanted
    std::int64_t next = work();
    sleeps_until_.store(next, std::memory_order_seq_cst);
    next = std::min(next, wanted_.load(std::memory_order_seq_cst));
    if (next > now()) parker.park_until(next);
    sleeps_until_.store(0, std::memory_order_seq_cst);
  }
}

std::int64_t Maintenance::work() {
  std::int64_t next = kNever;
  std::vector<std::shared_ptr<Store>> stores;
  {
    const std::lock_guard lock(mutex_);
    stores = stores_;
  }
  for (const std::shared_ptr<Store>& store : stores) {
    while (store->reap(kKeysAtOnce) == kKeysAtOnce) call_back(thread_record());
    next = std::min(next, store->next_reminder());
    if (store->table_moving() && !store->move_table()) next = std::min(next, now() + kMoveInterval);
    next = std::min(next, store->save_if_due(now()));
    if (store->shows_live_figures() && store->has_waiters()) {
      store->refresh_sys();
      next = std::min(next, now() + kSysInterval);
    }
  }
  stores.clear();
  end_late_waits();
  call_back(thread_record());

  // Garbage first, as it may bring errands.
  if (garbage_.load(std::memory_order_acquire) && now() >= garbage_look_) {
    // Writers free what they retire, into their own caches. This is for what the last of them left.
    const std::uint64_t seen = epochs().hand_overs();
    if (seen == garbage_seen_) {
      garbage_.store(false, std::memory_order_release);
      epochs().hand_over(thread_record(), true);
      if (epochs().pending()) garbage_.store(true, std::memory_order_release);
    }
    garbage_seen_ = epochs().hand_overs();
    garbage_look_ = now() + kGarbageInterval;
  }
  if (garbage_.load(std::memory_order_acquire)) next = std::min(next, garbage_look_);
  Errand* errand = errands_.exchange(nullptr, std::memory_order_acquire);
  while (errand != nullptr) {
    errand->free(errand->object);
    delete std::exchange(errand, errand->next);
  }
  call_back(thread_record());
  next = std::min(next, wait_timers().next_due());
  if (epochs().tidy(thread_record())) {
    garbage_.store(true, std::memory_order_release);
    next = std::min(next, now() + kGarbageInterval);
  }
  return next;
}

}  // namespace cubby::detail
