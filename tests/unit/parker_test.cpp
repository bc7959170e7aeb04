// SPDX-License-Identifier: Apache-2.0
#include "base/parker.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/parking_lot.hpp"
#include "unit/durations.hpp"

namespace cubby::detail {
namespace {

TEST(Parker, PermitBeforeParkReturnsAtOnce) {
  Parker& parker = this_thread_parker();
  EXPECT_EQ(&parker, &this_thread_parker());
  parker.unpark();
  parker.unpark();
  parker.park();
  EXPECT_FALSE(parker.park_until(now()));  // only one permit
  parker.unpark();
  EXPECT_TRUE(parker.park_until(kNever));
  parker.unpark();
  EXPECT_TRUE(parker.park_until(0));  // a permit counts even when the deadline is past
}

TEST(Parker, TimesOutAtTheDeadlineNotBefore) {
  Parker& parker = this_thread_parker();
  for (std::int64_t deadline : {std::int64_t{-5}, std::int64_t{0}, now() + kMillisecond, now() + 20 * kMillisecond}) {
    EXPECT_FALSE(parker.park_until(deadline));
    EXPECT_GE(now(), deadline);
  }
}

TEST(Parker, AdvancingTheClockWakesSleepers) {
  std::atomic<int> started{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&started, deadline = now() + 3600 * kSecond] {
      ++started;
      while (now() < deadline) this_thread_parker().park_until(deadline);
    });
  }
  while (started.load() < 4) std::this_thread::yield();
  advance_clock_for_testing(3601 * kSecond);
  for (auto& thread : threads) thread.join();
}

TEST(Parker, PingPongLosesNoPermit) {
  constexpr int kRounds = 20'000;
  std::atomic<int> turn{0};
  std::atomic<Parker*> other{nullptr};
  Parker& mine = this_thread_parker();
  std::thread thread([&] {
    other = &this_thread_parker();
    for (int i = 0; i < kRounds; ++i) {
      while (turn.load(std::memory_order_relaxed) != 2 * i + 1) this_thread_parker().park();
      turn.store(2 * i + 2, std::memory_order_relaxed);
      mine.unpark();
    }
  });
  while (other.load() == nullptr) std::this_thread::yield();
  for (int i = 0; i < kRounds; ++i) {
    turn.store(2 * i + 1, std::memory_order_relaxed);
    other.load()->unpark();
    while (turn.load(std::memory_order_relaxed) != 2 * i + 2) mine.park();
  }
  thread.join();
}

TEST(Parker, WhatHappenedBeforeUnparkIsSeen) {
  // Plain data: the thread sanitizer judges.
  int data = 0;
  std::atomic<bool> ready{false};
  std::atomic<Parker*> sleeper{nullptr};
  std::thread thread([&] {
    sleeper = &this_thread_parker();
    while (!ready.load(std::memory_order_relaxed)) this_thread_parker().park();
    this_thread_parker().park_until(now());  // takes the permit if `ready` was seen before it
    EXPECT_EQ(data, 42);
  });
  while (sleeper.load() == nullptr) std::this_thread::yield();
  data = 42;
  sleeper.load()->unpark();  // before `ready`: so whoever sees `ready` also finds this permit, or took it
  ready.store(true, std::memory_order_relaxed);
  sleeper.load()->unpark();
  thread.join();
}

TEST(Parker, MemoryIsRecycledAndLateUnparksAreHarmless) {
  Parker* first = nullptr;
  std::thread([&] { first = &this_thread_parker(); }).join();
  first->unpark();
  // The next thread inherits it (this process has no other threads now), permit included.
  std::thread([&] {
    EXPECT_EQ(first, &this_thread_parker());
    this_thread_parker().park();
  }).join();
  for (int i = 0; i < 2000; ++i) std::thread([&] { EXPECT_EQ(first, &this_thread_parker()); }).join();
}

struct ParksAtExit {
  ~ParksAtExit() {
    this_thread_parker().unpark();
    this_thread_parker().park();
  }
};

TEST(Parker, UsableInDestructorsOfThreadLocals) {
  std::thread([] {
    static thread_local ParksAtExit early;
    (void)&early;
    (void)this_thread_parker();
    static thread_local ParksAtExit late;
    (void)&late;
  }).join();
}

// A lock of two bits: LOCKED and PARKED.
class TinyLock {
 public:
  void lock() {
    while (true) {
      unsigned word = word_.load(std::memory_order_relaxed);
      if ((word & kLocked) == 0) {
        // Acquire: synchronises with the release in unlock.
        if (word_.compare_exchange_weak(word, word | kLocked, std::memory_order_acquire, std::memory_order_relaxed)) return;
        continue;
      }
      if ((word & kParked) == 0 && !word_.compare_exchange_weak(word, word | kParked, std::memory_order_relaxed)) continue;
      park(&word_, [this] { return word_.load(std::memory_order_relaxed) == (kLocked | kParked); });
    }
  }

  void unlock() {
    unsigned word = kLocked;
    // Release: to the acquire in lock.
    if (word_.compare_exchange_strong(word, 0, std::memory_order_release, std::memory_order_relaxed)) return;
    unpark_one(&word_, [this](bool found, bool more) {
      EXPECT_TRUE(found || !more);
      word_.store(more ? kParked : 0, std::memory_order_release);
    });
  }

 private:
  static constexpr unsigned kLocked = 1, kParked = 2;
  std::atomic<unsigned> word_{0};
};

TEST(ParkingLot, LockOfTwoBitsUnderManyThreads) {
  constexpr int kThreads = 64, kRounds = 500;
  TinyLock locks[3];
  int counters[3] = {};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const int which = (i + round) % 3;
        locks[which].lock();
        const int value = counters[which];
        if (round % 16 == 0) std::this_thread::yield();  // so that others do park
        counters[which] = value + 1;
        locks[which].unlock();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counters[0] + counters[1] + counters[2], kThreads * kRounds);
}

TEST(ParkingLot, ValidateFalseDoesNotSleep) {
  int word = 0;
  EXPECT_FALSE(park(&word, [] { return false; }));
  int calls = 0;
  unpark_one(&word, [&](bool found, bool more) {
    ++calls;
    EXPECT_FALSE(found);
    EXPECT_FALSE(more);
  });
  EXPECT_EQ(calls, 1);
}

TEST(ParkingLot, FirstComeFirstServedPerAddress) {
  constexpr int kAddresses = 300, kEach = 3;  // more addresses than queues: some share one
  static char addresses[kAddresses];
  std::vector<std::thread> threads;
  std::vector<std::atomic<int>> order(kAddresses * kEach);
  std::vector<std::atomic<int>> woken(kAddresses);
  std::atomic<int> asleep{0};
  for (int each = 0; each < kEach; ++each) {
    for (int address = 0; address < kAddresses; ++address) {
      const int before = asleep.load();
      threads.emplace_back([&, each, address] {
        EXPECT_TRUE(park(
            &addresses[address], [] { return true; }, [&] { ++asleep; }));
        order[static_cast<std::size_t>(address * kEach + each)] = ++woken[static_cast<std::size_t>(address)];
      });
      while (asleep.load() == before) std::this_thread::yield();
    }
  }
  for (int each = 0; each < kEach; ++each) {
    for (int address = kAddresses - 1; address >= 0; --address) {
      unpark_one(&addresses[address], [&](bool found, bool more) {
        EXPECT_TRUE(found);
        EXPECT_EQ(more, each + 1 < kEach);
      });
      while (woken[static_cast<std::size_t>(address)].load() == each) std::this_thread::yield();
    }
  }
  for (auto& thread : threads) thread.join();
  for (int address = 0; address < kAddresses; ++address) {
    for (int each = 0; each < kEach; ++each)
      EXPECT_EQ(order[static_cast<std::size_t>(address * kEach + each)].load(), each + 1);
  }
}

}  // namespace
}  // namespace cubby::detail
