// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <cubby/waiting.hpp>

#include "base/timer_wheel.hpp"
#include "store/expiry_listener.hpp"
#include "store/store.hpp"

/// A wait with a callback instead of a thread: one block of memory, with a link for each key.
///
/// References
///  1. The handle's (Waiting), while there is one.
///  2. The wait's, from arming on. It belongs to whoever ended the wait, or was told of an element first (WaiterState); that
///  thread
///     notes the waiter in its own list of what is due, and calls back when its call is over (call_back). Who rearms gives it
///     up.
///  3. The timer's, while it is in the wheel: given up by whoever takes it out.
///
/// Thread safety: as said with each member.

namespace cubby::detail {

class CallbackWaiter final : public Waiter, public Reminder {
 public:
  /// With the handle's reference, preparing.
  static CallbackWaiter* make(std::shared_ptr<Store> store, Kind kind, std::optional<Value> expected, std::size_t keys,
                              WaitFunction&& function);

  std::span<WaitLink> links() noexcept { return {reinterpret_cast<WaitLink*>(this + 1), link_count_}; }
  State& state() noexcept { return state_; }
  Store& store() noexcept { return *store_; }
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;

  // For writers.
  void deliver() noexcept override;
  State::Notice notify_attempt() noexcept override;
  void note_logged(const LogPlace&) noexcept override { unsynced_ = true; }
  /// Until it was called back: the log's sync has succeeded, or failed.
  void acknowledge(bool succeeded) noexcept;

  // For its handle.
  bool cancel() noexcept;
  bool active() const noexcept { return ended_.load(std::memory_order_acquire) == 0; }
  /// Returns when the callback has, if it is this thread's to wait for.
  void await_end() noexcept;

  /// Time is over. Gives up the timer's reference.
  void time_out() noexcept;
  /// Puts it into the wheel, unless it has ended. REQUIRES: armed.
  void start_timer(std::int64_t deadline) noexcept;

  /// Calls back. REQUIRES: the wait's reference is the caller's; outside of epochs and locks.
  void run(ThreadRecord& record) noexcept;

 private:
  friend class DueList;

  CallbackWaiter(std::shared_ptr<Store> store, Kind what, std::optional<Value> expected, std::size_t keys,
                 WaitFunction&& function);
  ~CallbackWaiter() override = default;
  /// Takes all links and the timer away, and lets those behind have their turn.
  void leave() noexcept;
  void end() noexcept;
  bool call(std::optional<Errc> why) noexcept;

  std::atomic<std::uint32_t> references_{1};
  std::atomic<std::uint32_t> ended_{0};
  const std::uint32_t link_count_;
  bool unsynced_ = false;
  std::atomic<ThreadRecord*> runner_{nullptr};  ///< on whose stack the callback is
  CallbackWaiter* next_due_ = nullptr;
  std::shared_ptr<Store> store_;
  WaitFunction function_;
};

/// What one thread owes: callbacks, in order, and expiries to be told, in order.
class DueList {
 public:
  bool empty() const noexcept { return first_ == nullptr && expired_.empty(); }
  void add(ExpiryNotice notice) { expired_.push_back(std::move(notice)); }
  std::optional<ExpiryNotice> take_expired() noexcept {
    if (expired_.empty()) return std::nullopt;
    std::optional<ExpiryNotice> notice(std::move(expired_.front()));
    expired_.pop_front();
    return notice;
  }
  void add(CallbackWaiter& waiter) noexcept;
  CallbackWaiter* take_first() noexcept;
  /// True if it was there, and is no more.
  bool remove(CallbackWaiter& waiter) noexcept;
  template <class F>
  void for_each(F&& f) {
    for (CallbackWaiter* each = first_; each != nullptr; each = each->next_due_) f(*each);
  }

 private:
  CallbackWaiter* first_ = nullptr;
  CallbackWaiter* last_ = nullptr;
  std::deque<ExpiryNotice> expired_;
};

inline DueList& due_list(ThreadRecord& record) {
  if (record.due == nullptr) record.due = new DueList;  // stays with the record, which is used again
  return *record.due;
}

/// The timeouts of all waits with callbacks, for maintenance.
TimerWheel& wait_timers() noexcept;
/// Ends waits whose time is over.
void end_late_waits() noexcept;

/// Calls back what is due on this thread, unless it holds keys or is calling back already. The end of every call that writes.
void call_back_due(ThreadRecord& record) noexcept;
inline void call_back(ThreadRecord& record) noexcept {
  if (record.due != nullptr && !record.due->empty()) [[unlikely]]
    call_back_due(record);
}
/// The same on maintenance's thread, for calls that only read.
void call_back_elsewhere(ThreadRecord& record);

}  // namespace cubby::detail
