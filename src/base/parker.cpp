// SPDX-License-Identifier: Apache-2.0
#include "base/parker.hpp"

#include <pthread.h>

#include <mutex>
#include <new>

#include "base/clock.hpp"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#else
#include <chrono>
#endif

namespace cubby::detail {

// All parkers there ever were, and which of them no thread owns.
class ParkerList {
 public:
  static Parker* acquire() {
    const std::lock_guard lock(mutex);
    if (Parker* const parker = free) {
      free = parker->next_free_;
      return parker;
    }
    auto* const parker = new Parker;
    parker->next_ = all;
    all = parker;
    return parker;
  }

  static void release(Parker* parker) noexcept {
    const std::lock_guard lock(mutex);
    parker->next_free_ = free;
    free = parker;
  }

  static void unpark_all() noexcept {
    const std::lock_guard lock(mutex);
    for (Parker* parker = all; parker != nullptr; parker = parker->next_) parker->unpark();
  }

 private:
  static constinit std::mutex mutex;
  static constinit Parker* all;
  static constinit Parker* free;
};

constinit std::mutex ParkerList::mutex;
constinit Parker* ParkerList::all = nullptr;
constinit Parker* ParkerList::free = nullptr;

namespace {

constinit thread_local Parker* own_parker __attribute__((tls_model("initial-exec"))) = nullptr;

void release_own_parker(void* parker) noexcept {
  own_parker = nullptr;
  ParkerList::release(static_cast<Parker*>(parker));
}

// A pthread key rather than a thread_local with a destructor: its destructor runs after those of all thread_locals, and again
// if one of the other keys' destructors has made us set it again.
pthread_key_t make_key() {
  pthread_key_t key{};
  if (pthread_key_create(&key, [](void* parker) { release_own_parker(parker); }) != 0) throw std::bad_alloc();
  return key;
}

Parker& adopt_parker() {
  static const pthread_key_t key = make_key();
  Parker* const parker = ParkerList::acquire();
  if (pthread_setspecific(key, parker) != 0) {
    ParkerList::release(parker);
    throw std::bad_alloc();
  }
  own_parker = parker;
  return *parker;
}

#if defined(__linux__)

// Sleeps while the word is `value`; deadline: CLOCK_MONOTONIC, kNever for none.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t value, std::int64_t deadline) noexcept {
  static_assert(sizeof word == sizeof value);
  timespec time{};
  if (deadline < 0) deadline = 0;
  time.tv_sec = static_cast<time_t>(deadline / 1'000'000'000);
  time.tv_nsec = static_cast<long>(deadline % 1'000'000'000);
  // FUTEX_WAIT_BITSET takes an absolute time of CLOCK_MONOTONIC.
  ::syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value, deadline == kNever ? nullptr : &time, nullptr,
            FUTEX_BITSET_MATCH_ANY);
}

void futex_wake_one(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 0);
}

#endif

}  // namespace

Parker& this_thread_parker() {
  if (own_parker != nullptr) [[likely]]
    return *own_parker;
  return adopt_parker();
}

void unpark_all_for_testing() noexcept { ParkerList::unpark_all(); }

// True: the permit was there, and is taken. False: kParked is announced.
bool Parker::take_permit_or_announce() noexcept {
  std::uint32_t state = kEmpty;
  // Acquire on failure: synchronises with the release in unpark.
  if (state_.compare_exchange_strong(state, kParked, std::memory_order_relaxed, std::memory_order_acquire)) return false;
  // Acquire: a later unpark may have stored the permit again since.
  state_.exchange(kEmpty, std::memory_order_acquire);
  return true;
}

void Parker::park() noexcept { park_until(kNever); }

#if defined(__linux__)

bool Parker::park_until(std::int64_t deadline) noexcept {
  if (take_permit_or_announce()) return true;
  while (true) {
    // The offset is read after kParked was announced: if it grows later, unpark_all_for_testing comes later still and ends
    // the sleep, so that it isn't slept past.
    const bool forever = deadline == kNever;
    futex_wait(state_, kParked, forever ? kNever : saturating_add(deadline, -clock_offset_for_testing()));
    std::uint32_t state = kPermit;
    // Acquire: synchronises with the release in unpark.
    if (state_.compare_exchange_strong(state, kEmpty, std::memory_order_acquire, std::memory_order_relaxed)) return true;
    if (!forever && now() >= deadline) {
      // Acquire: the permit may have arrived just now, and then it's taken.
      return state_.exchange(kEmpty, std::memory_order_acquire) == kPermit;
    }
  }
}

void Parker::unpark() noexcept {
  // Release: to the acquire of whoever takes the permit. An exchange even if a permit is there already, so that what this
  // thread did before is seen too.
  if (state_.exchange(kPermit, std::memory_order_release) == kParked) futex_wake_one(state_);
}

#else

bool Parker::park_until(std::int64_t deadline) noexcept {
  if (take_permit_or_announce()) return true;
  std::unique_lock lock(mutex_);
  // Acquire: synchronises with the release in unpark.
  while (state_.load(std::memory_order_acquire) != kPermit) {
    if (deadline == kNever) {
      condition_.wait(lock);
      continue;
    }
    const std::int64_t left = saturating_add(deadline, -now());
    if (left <= 0) break;
    constexpr std::int64_t kLongest = 3600 * std::int64_t{1'000'000'000};  // some libraries overflow on longer waits
    condition_.wait_for(lock, std::chrono::nanoseconds(left < kLongest ? left : kLongest));
  }
  // Acquire: as above.
  return state_.exchange(kEmpty, std::memory_order_acquire) == kPermit;
}

void Parker::unpark() noexcept {
  // Release: to the acquire of whoever takes the permit.
  if (state_.exchange(kPermit, std::memory_order_release) != kParked) return;
  // The mutex: the owner is either before its look at the state, or waits for the condition.
  { const std::lock_guard lock(mutex_); }
  condition_.notify_one();
}

#endif

}  // namespace cubby::detail
