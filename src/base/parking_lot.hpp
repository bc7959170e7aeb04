// SPDX-License-Identifier: Apache-2.0
#pragma once

// Sleeping on an address, so that a lock can be two bits of any word (after WebKit's WTF::ParkingLot).
//
// Promises
//  - park(a, validate) calls validate() under the mutex of a's queue. If that is false, it returns false at once. Else the
//    thread is in the queue before any unpark_one(a) can look, and sleeps until one has chosen it; then it returns true.
//  - unpark_one(a, callback) takes the first sleeper of `a` out of the queue, calls callback(found, more_remain) under the same
//    mutex, so that the lock's word can be changed in the same step, and wakes the sleeper after the mutex is released.
//    First come, first served, per address.
//  - What happened before unpark_one() happens before the return of the park() it ends.
//
// Thread safety: everything may be called from any thread. The callbacks run under a mutex that other addresses share: they
// must be short, must not throw, and must not use the parking lot. An address is never dereferenced; it may be reused when
// nobody is parked on it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

#include "base/mutex.hpp"
#include "base/parker.hpp"

namespace cubby::detail {

namespace parking {

// A sleeping thread; lives on its stack. Invariant: a queue is a list (next) of the first sleepers of the distinct addresses,
// and each of them heads the list (next_same) of those of its address, in order of arrival, and knows its last one.
struct Sleeper {
  const void* address;
  Parker* parker;
  Sleeper* next = nullptr;
  Sleeper* next_same = nullptr;
  Sleeper* last_same = nullptr;
  std::atomic<bool> chosen{false};
};

struct alignas(64) Queue {
  BriefMutex mutex;
  Sleeper* first = nullptr;

  void add(Sleeper& sleeper) noexcept;
  Sleeper* remove_first(const void* address) noexcept;  // nullptr if there is none; its next_same tells whether more remain
};

Queue& queue_of(const void* address) noexcept;
void sleep(Sleeper& sleeper) noexcept;
void wake(Sleeper& sleeper) noexcept;

}  // namespace parking

// before_sleep runs after the thread is in the queue and the mutex is released.
template <class Validate, class BeforeSleep>
bool park(const void* address, Validate&& validate, BeforeSleep&& before_sleep) {
  parking::Sleeper sleeper{address, &this_thread_parker()};
  {
    parking::Queue& queue = parking::queue_of(address);
    const std::lock_guard lock(queue.mutex);
    if (!validate()) return false;
    queue.add(sleeper);
  }
  before_sleep();
  parking::sleep(sleeper);
  return true;
}

template <class Validate>
bool park(const void* address, Validate&& validate) {
  return park(address, std::forward<Validate>(validate), [] {});
}

template <class Callback>
void unpark_one(const void* address, Callback&& callback) {
  parking::Sleeper* sleeper = nullptr;
  {
    parking::Queue& queue = parking::queue_of(address);
    const std::lock_guard lock(queue.mutex);
    sleeper = queue.remove_first(address);
    callback(sleeper != nullptr, sleeper != nullptr && sleeper->next_same != nullptr);
  }
  if (sleeper != nullptr) parking::wake(*sleeper);
}

}  // namespace cubby::detail
