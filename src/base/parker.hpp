// SPDX-License-Identifier: Apache-2.0
#pragma once

// A place for one thread to sleep.
//
// Promises
//  - A Parker holds at most one permit. unpark() puts it there; park() and park_until() sleep until there is one and take it,
//    so an unpark that comes before the park is not lost. Both may also return early for no reason: callers loop around their
//    own condition.
//  - What happened before unpark() happens before the return of the park() that takes its permit.
//  - The memory of a thread's parker lives for ever: an unpark() that arrives when the thread is long gone is harmless (the
//    thread that has inherited the parker sees an early return).
//
// Thread safety: park and park_until belong to the owning thread; unpark may be called by any thread at any time.

#include <atomic>
#include <cstdint>

#if !defined(__linux__)
#include <condition_variable>
#include <mutex>
#endif

namespace cubby::detail {

class alignas(64) Parker {
 public:
  constexpr Parker() noexcept = default;
  Parker(const Parker&) = delete;
  Parker& operator=(const Parker&) = delete;

  // Sleeps until there is a permit.
  void park() noexcept;

  // Sleeps until there is a permit (true) or now() has reached the deadline (false); kNever waits as park does.
  bool park_until(std::int64_t deadline) noexcept;

  void unpark() noexcept;

 private:
  friend class ParkerList;

  // Invariant: only the owner moves from or to kEmpty and kParked; unpark only ever stores kPermit.
  static constexpr std::uint32_t kEmpty = 0;
  static constexpr std::uint32_t kPermit = 1;
  static constexpr std::uint32_t kParked = 2;

  bool take_permit_or_announce() noexcept;

  std::atomic<std::uint32_t> state_{kEmpty};
#if !defined(__linux__)
  std::mutex mutex_;
  std::condition_variable condition_;
#endif
  Parker* next_ = nullptr;       // of all parkers; never changes once set
  Parker* next_free_ = nullptr;  // of those that no thread owns
};

// The calling thread's parker. Usable during thread exit. Throws std::bad_alloc.
[[nodiscard]] Parker& this_thread_parker();

// Wakes every parked thread of the process, so that it looks at the clock again. Used by advance_clock_for_testing.
void unpark_all_for_testing() noexcept;

}  // namespace cubby::detail
