// SPDX-License-Identifier: Apache-2.0
#include "store/callback_waiter.hpp"

#include <array>
#include <new>
#include <string>
#include <vector>

#include "store/maintenance.hpp"

namespace cubby::detail {

void DueList::add(CallbackWaiter& waiter) noexcept {
  waiter.next_due_ = nullptr;
  (last_ != nullptr ? last_->next_due_ : first_) = &waiter;
  last_ = &waiter;
}

CallbackWaiter* DueList::take_first() noexcept {
  CallbackWaiter* waiter = first_;
  if (waiter != nullptr) first_ = waiter->next_due_;
  if (first_ == nullptr) last_ = nullptr;
  return waiter;
}

bool DueList::remove(CallbackWaiter& waiter) noexcept {
  CallbackWaiter* before = nullptr;
  for (CallbackWaiter* each = first_; each != nullptr; before = each, each = each->next_due_) {
    if (each != &waiter) continue;
    (before != nullptr ? before->next_due_ : first_) = each->next_due_;
    if (last_ == each) last_ = before;
    return true;
  }
  return false;
}

TimerWheel& wait_timers() noexcept {
  static auto* wheel = new TimerWheel(now());  // used until the very end of the process
  return *wheel;
}

void end_late_waits() noexcept {
  std::array<Reminder*, 64> due;
  for (std::size_t count = due.size(); count == due.size();) {
    count = wait_timers().collect(now(), due);
    for (std::size_t index = 0; index < count; ++index) static_cast<CallbackWaiter*>(due[index])->time_out();
  }
}

void call_back_due(ThreadRecord& record) noexcept {
  if (record.calling_back || record.locked != nullptr) return;
  record.calling_back = true;
  {
    const InCallback in_callback(record);
    while (!record.due->empty()) {
      while (CallbackWaiter* waiter = record.due->take_first()) waiter->run(record);
      if (std::optional<ExpiryNotice> notice = record.due->take_expired()) notice->tell();
    }
  }
  record.calling_back = false;
}

void call_back_elsewhere(ThreadRecord& record) {
  if (record.due == nullptr || record.calling_back) return;
  while (CallbackWaiter* waiter = record.due->take_first()) {
    maintenance().free_on_thread(waiter, [](void* due) { static_cast<CallbackWaiter*>(due)->deliver(); });
  }
}

CallbackWaiter* CallbackWaiter::make(std::shared_ptr<Store> store, Kind kind, std::optional<Value> expected, std::size_t keys,
                                     WaitFunction&& function) {
  void* memory = ::operator new(sizeof(CallbackWaiter) + keys * sizeof(WaitLink));
  auto* waiter = new (memory) CallbackWaiter(std::move(store), kind, std::move(expected), keys, std::move(function));
  for (std::size_t index = 0; index < keys; ++index) new (&waiter->links()[index]) WaitLink(*waiter);
  return waiter;
}

CallbackWaiter::CallbackWaiter(std::shared_ptr<Store> store, Kind what, std::optional<Value> expected, std::size_t keys,
                               WaitFunction&& function)
    : Waiter(what, std::move(expected), State::Beginning::preparing),
      Reminder(reinterpret_cast<std::uintptr_t>(this)),
      link_count_(static_cast<std::uint32_t>(keys)),
      store_(std::move(store)),
      function_(std::move(function)) {}

void CallbackWaiter::release() noexcept {
  // acq_rel: as in Value::release
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  this->~CallbackWaiter();
  ::operator delete(static_cast<void*>(this));
}

void CallbackWaiter::deliver() noexcept { due_list(thread_record()).add(*this); }

Waiter::State::Notice CallbackWaiter::notify_attempt() noexcept {
  return state_.notify(runner_.load(std::memory_order_relaxed) == &thread_record());
}

void CallbackWaiter::acknowledge(bool succeeded) noexcept {
  if (std::exchange(unsynced_, false) && !succeeded) error = Errc::io;
}

bool CallbackWaiter::call(std::optional<Errc> why) noexcept {
  WaitResult result;
  if (served_by != nullptr) result.index = static_cast<std::size_t>(served_by - links().data());
  if (why) {
    result.error = make_error_code(*why);
  } else if (kind != Kind::attempt) {
    result.value = std::move(value);
  }
  return function_(std::move(result));
}

void CallbackWaiter::run(ThreadRecord& record) noexcept {
  const bool tries = kind == Kind::attempt && !error;
  if (!state_.begin()) {  // cancelled after it was told; those behind it have been waiting for it
    leave();
    return release();
  }
  runner_.store(&record, std::memory_order_relaxed);
  if (tries) {
    while (!call(std::nullopt)) {
      runner_.store(nullptr, std::memory_order_relaxed);
      const State::Told told = state_.rearm();
      if (told == State::Told::nothing) return;  // it is another's already, maybe
      runner_.store(&record, std::memory_order_relaxed);
      if (told == State::Told::again) continue;
      const State::Interruption why = state_.stopped_by();
      leave();
      if (why != State::kCancelled) call(why == State::kClosed ? Errc::closed : Errc::timeout);
      return end();
    }
    leave();
  } else {
    leave();
    call(error);
  }
  end();
}

void CallbackWaiter::end() noexcept {
  function_.reset();
  store_.reset();
  runner_.store(nullptr, std::memory_order_relaxed);
  state_.finish();
  ended_.store(1, std::memory_order_release);  // synchronises with active() and await_end()
  ended_.notify_all();
  release();
}

void CallbackWaiter::leave() noexcept {
  std::vector<std::string> behind;
  for (WaitLink& link : links()) store_->leave_line(link, behind);
  if (wait_timers().disarm(*this)) release();
  store_->note_waiting(-1);
  if (kind != Kind::attempt) return;
  for (const std::string& key : behind) store_->serve_line(key);
}

bool CallbackWaiter::cancel() noexcept {
  bool told = false;
  if (!state_.give_up(&told)) return false;
  retain();  // what the callback owned may own the handle
  ended_.store(1, std::memory_order_release);
  function_.reset();
  if (!told) {  // else the thread that told it finds out
    if (thread_record().locked == nullptr) {
      leave();
      release();
      call_back(thread_record());
    } else {
      deliver();  // and leaves when the keys are free
    }
  }
  release();
  return true;
}

void CallbackWaiter::await_end() noexcept {
  ThreadRecord& record = thread_record();
  if (!active() || runner_.load(std::memory_order_relaxed) == &record) return;
  if (record.due != nullptr && record.due->remove(*this)) {
    {
      const InCallback in_callback(record);
      run(record);
    }
    return call_back(record);
  }
  ended_.wait(0, std::memory_order_acquire);
}

void CallbackWaiter::start_timer(std::int64_t deadline) noexcept {
  retain();
  if (wait_timers().arm(*this, deadline)) maintenance().wake_at(deadline);
  // Who ended it before has not found it in the wheel.
  if (!state_.waits() && wait_timers().disarm(*this)) release();
}

void CallbackWaiter::time_out() noexcept {
  if (state_.interrupt(State::kTimedOut)) {
    error = Errc::timeout;
    deliver();
  }
  release();
}

}  // namespace cubby::detail

namespace cubby {

bool Waiting::cancel() noexcept { return waiter_ != nullptr && waiter_->cancel(); }
bool Waiting::active() const noexcept { return waiter_ != nullptr && waiter_->active(); }

void Waiting::stop() noexcept {
  if (waiter_ == nullptr) return;
  detail::CallbackWaiter& waiter = *std::exchange(waiter_, nullptr);
  if (!waiter.cancel()) waiter.await_end();
  waiter.release();
}

}  // namespace cubby
