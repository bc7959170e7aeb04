// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reminders for deadlines: a hierarchical timing wheel (Varghese and Lauck, SOSP 1987).
//
// Promises
//  - arm and disarm are O(1) and never allocate; a reminder is moved down the levels at most seven times in its life.
//  - collect(now) hands out reminders with due <= now and no others; each is handed out at the latest by the first collect
//    whose now is kTick (0.26 ms) after its due.
//  - next_due() is a time before which collect has nothing to do, kNever when the wheel is empty. Who sleeps until next_due(),
//    collects, and so on, wakes up in vain at most once per level (eight) for a deadline.
//  - Whoever arms a reminder for an earlier time than was known is told so (arm returns true), and wakes the collecting thread.
//    It is told so per shard: next_due() itself may be earlier still.
//
// Thread safety: all members may be called from any thread. A reminder belongs to one shard, by its hash; the shard's mutex
// guards its links and due. No mutex is held for longer than it takes to move kBatch reminders. The memory of a reminder is the
// caller's: it must live until disarm returned (either answer) or collect handed it out; and who arms a reminder
// that collect has handed out must know that the collector is done with it.
//
// Time must not go back: a collect with an earlier `now` than one before it counts as one with that later `now`.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

#include "base/clock.hpp"

namespace cubby::detail {

struct Reminder {
  explicit Reminder(std::uint64_t key_hash = 0) noexcept : hash(key_hash) {}
  Reminder(const Reminder&) = delete;
  Reminder& operator=(const Reminder&) = delete;

  Reminder* next = nullptr;      // guarded by the shard's mutex, as the next two
  Reminder** link_to = nullptr;  // the pointer that points here; null: not in the wheel
  std::int64_t due = kNever;     // when it was armed for
  std::uint64_t hash;            // chooses the shard: constant while in use
};

class TimerWheel {
 public:
  static constexpr unsigned kTickBits = 18;
  static constexpr std::int64_t kTick = std::int64_t{1} << kTickBits;
  static constexpr std::size_t kBatch = 128;

  // Reminders are expected to be due after `start`: the current time.
  explicit TimerWheel(std::int64_t start) noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms the reminder, or moves it if it is armed. True: the time of its shard's next reminder got earlier.
  bool arm(Reminder& reminder, std::int64_t due) noexcept;

  // True: it was in the wheel, and is out. False: it isn't in the wheel (never armed, or handed out by collect).
  bool disarm(Reminder& reminder) noexcept;

  // Unlinks reminders that are due, roughly in the order of their due times, and returns how many are in `out`. If that
  // is less than out.size(), all that are due have been handed out (those armed meanwhile excepted).
  std::size_t collect(std::int64_t now, std::span<Reminder*> out) noexcept;

  // Eight relaxed loads from one cache line: cheap enough to look for a backlog at every write.
  [[nodiscard]] std::int64_t next_due() const noexcept {
    std::int64_t least = kNever;
    for (const auto& bound : bounds_) {
      const std::int64_t value = bound.load(std::memory_order_relaxed);
      if (value < least) least = value;
    }
    return least;
  }

  [[nodiscard]] std::size_t size() const noexcept;

 private:
  static constexpr std::size_t kShards = 8;
  static constexpr unsigned kDigitBits = 6;
  static constexpr std::size_t kSlots = std::size_t{1} << kDigitBits;
  static constexpr unsigned kLevels = 8;

  // Ticks are unsigned: time shifted to start at 0, over kTick. A reminder's tick is the first that begins at or after its due.
  //
  // Invariants, under the mutex:
  //  - a reminder whose tick is <= current, or that a collect has found due, is in ready; one that is being moved down is in
  //    moving (its tick is >= current); any other is in slots[l][d], where l is the place of the highest base-64 digit in
  //    which its tick differs from current, and d is its tick's digit there, which is greater than current's
  //  - hence all reminders of a level come before all of the levels above, and within a level, slots are in order
  //  - bit d of occupied[l] is set if and only if slots[l][d] isn't empty
  //  - bounds_[shard] is bound(): the start of the first slot's tick range, or of current if ready or moving isn't empty
  //  - current only grows, and only in collect, when moving is empty
  struct alignas(64) Shard {
    std::mutex mutex;
    std::uint64_t current = 0;
    Reminder* ready = nullptr;
    Reminder* moving = nullptr;
    std::atomic<std::size_t> count{0};  // written under the mutex
    std::array<std::uint64_t, kLevels> occupied{};
    std::array<std::array<Reminder*, kSlots>, kLevels> slots{};

    void insert(Reminder& reminder) noexcept;
    bool remove(Reminder& reminder) noexcept;  // true: a list became empty, so that the bound may have changed
    [[nodiscard]] std::int64_t bound() const noexcept;
    bool advance(std::uint64_t tick) noexcept;  // to the next slot in order; false: there is none up to tick
  };

  [[nodiscard]] static std::size_t shard_of(std::uint64_t hash) noexcept;
  std::size_t collect_shard(std::size_t index, std::uint64_t tick, std::span<Reminder*> out) noexcept;

  std::array<Shard, kShards> shards_;
  alignas(64) std::array<std::atomic<std::int64_t>, kShards> bounds_;  // written under the shard's mutex
  alignas(64) std::atomic<std::size_t> first_shard_{0};                // where the next collect begins, for fairness
};

}  // namespace cubby::detail
