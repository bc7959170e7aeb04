// SPDX-License-Identifier: Apache-2.0
#include "base/timer_wheel.hpp"

#include <bit>
#include <functional>
#include <limits>
#include <utility>

namespace cubby::detail {
namespace {

constexpr std::uint64_t kSignBit = std::uint64_t{1} << 63;
constexpr std::uint64_t kTickMask = static_cast<std::uint64_t>(TimerWheel::kTick) - 1;
constexpr std::uint64_t kLastTick = std::uint64_t{1} << (64 - TimerWheel::kTickBits);  // that of the last instant, and beyond

// Order-preserving from signed to unsigned.
constexpr std::uint64_t biased(std::int64_t time) noexcept { return static_cast<std::uint64_t>(time) ^ kSignBit; }

// The first tick that begins at `due` or later.
constexpr std::uint64_t tick_of_due(std::int64_t due) noexcept {
  return (biased(due) >> TimerWheel::kTickBits) + ((biased(due) & kTickMask) != 0 ? 1 : 0);
}

// The last tick that has begun at `now`: reminders up to it are due. At the end of time all are.
constexpr std::uint64_t tick_of_now(std::int64_t now) noexcept {
  return now == std::numeric_limits<std::int64_t>::max() ? kLastTick : biased(now) >> TimerWheel::kTickBits;
}

constexpr std::int64_t time_of_tick(std::uint64_t tick) noexcept {
  return tick >= kLastTick ? kNever : static_cast<std::int64_t>((tick << TimerWheel::kTickBits) ^ kSignBit);
}

static_assert(time_of_tick(tick_of_due(0)) == 0 && time_of_tick(tick_of_due(1)) == TimerWheel::kTick);
static_assert(time_of_tick(tick_of_due(kNever)) == kNever && tick_of_now(0) == tick_of_due(0));

void push(Reminder*& list, Reminder& reminder) noexcept {
  reminder.next = list;
  reminder.link_to = &list;
  if (list != nullptr) list->link_to = &reminder.next;
  list = &reminder;
}

void unlink(Reminder& reminder) noexcept {
  *reminder.link_to = reminder.next;
  if (reminder.next != nullptr) reminder.next->link_to = reminder.link_to;
  reminder.next = nullptr;
  reminder.link_to = nullptr;
}

void move_all(Reminder*& from, Reminder*& to) noexcept {
  to = std::exchange(from, nullptr);
  if (to != nullptr) to->link_to = &to;
}

}  // namespace

TimerWheel::TimerWheel(std::int64_t start) noexcept {
  for (auto& shard : shards_) shard.current = tick_of_now(start);
  for (auto& bound : bounds_) bound.store(kNever, std::memory_order_relaxed);
}

std::size_t TimerWheel::shard_of(std::uint64_t hash) noexcept {
  constexpr unsigned kShardBits = std::bit_width(kShards) - 1;
  return static_cast<std::size_t>((hash * 0x9E3779B97F4A7C15ULL) >> (64 - kShardBits));
}

void TimerWheel::Shard::insert(Reminder& reminder) noexcept {
  const std::uint64_t tick = tick_of_due(reminder.due);
  if (tick <= current) return push(ready, reminder);
  const unsigned level = static_cast<unsigned>(std::bit_width(tick ^ current) - 1) / kDigitBits;
  const std::size_t slot = (tick >> (level * kDigitBits)) % kSlots;
  push(slots[level][slot], reminder);
  occupied[level] |= std::uint64_t{1} << slot;
}

bool TimerWheel::Shard::remove(Reminder& reminder) noexcept {
  Reminder** const link = reminder.link_to;
  unlink(reminder);
  if (*link != nullptr) return false;
  // It was the last of its list, and link may be the list's head (or the next of the one before it): if it is a slot, mark it
  // as empty.
  Reminder** const begin = slots.front().data();
  Reminder** const end = slots.back().data() + kSlots;
  if (std::less<>{}(link, begin) || !std::less<>{}(link, end)) return link == &ready || link == &moving;
  const auto index = static_cast<std::size_t>(link - begin);
  occupied[index / kSlots] &= ~(std::uint64_t{1} << (index % kSlots));
  return true;
}

std::int64_t TimerWheel::Shard::bound() const noexcept {
  if (ready != nullptr || moving != nullptr) return time_of_tick(current);
  for (unsigned level = 0; level < kLevels; ++level) {
    if (occupied[level] == 0) continue;
    const unsigned shift = level * kDigitBits;
    const auto slot = static_cast<std::uint64_t>(std::countr_zero(occupied[level]));
    return time_of_tick((((current >> shift >> kDigitBits) << kDigitBits) | slot) << shift);
  }
  return kNever;
}

// ready and moving are empty.
bool TimerWheel::Shard::advance(std::uint64_t tick) noexcept {
  for (unsigned level = 0; level < kLevels; ++level) {
    if (occupied[level] == 0) continue;
    const unsigned shift = level * kDigitBits;
    const auto slot = static_cast<std::size_t>(std::countr_zero(occupied[level]));
    const std::uint64_t begin = (((current >> shift >> kDigitBits) << kDigitBits) | slot) << shift;
    if (begin > tick) break;
    current = begin;
    occupied[level] &= ~(std::uint64_t{1} << slot);
    move_all(slots[level][slot], level == 0 ? ready : moving);
    return true;
  }
  // Every slot begins after tick, so current may be tick: no reminder's highest differing digit changes by that.
  if (current < tick) current = tick;
  return false;
}

bool TimerWheel::arm(Reminder& reminder, std::int64_t due) noexcept {
  const std::size_t index = shard_of(reminder.hash);
  Shard& shard = shards_[index];
  const std::lock_guard lock(shard.mutex);
  if (reminder.link_to != nullptr) {
    shard.remove(reminder);
  } else {
    shard.count.store(shard.count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  reminder.due = due;
  shard.insert(reminder);
  const std::int64_t before = bounds_[index].load(std::memory_order_relaxed);
  const std::int64_t after = shard.bound();
  if (after != before) bounds_[index].store(after, std::memory_order_relaxed);
  return after < before;
}

bool TimerWheel::disarm(Reminder& reminder) noexcept {
  const std::size_t index = shard_of(reminder.hash);
  Shard& shard = shards_[index];
  const std::lock_guard lock(shard.mutex);
  if (reminder.link_to == nullptr) return false;
  shard.count.store(shard.count.load(std::memory_order_relaxed) - 1, std::memory_order_relaxed);
  if (shard.remove(reminder)) bounds_[index].store(shard.bound(), std::memory_order_relaxed);
  return true;
}

std::size_t TimerWheel::collect(std::int64_t now, std::span<Reminder*> out) noexcept {
  const std::uint64_t tick = tick_of_now(now);
  const std::size_t first = first_shard_.fetch_add(1, std::memory_order_relaxed);
  std::size_t collected = 0;
  for (std::size_t i = 0; i < kShards && collected < out.size(); ++i) {
    const std::size_t index = (first + i) % kShards;
    if (bounds_[index].load(std::memory_order_relaxed) > now) continue;
    collected += collect_shard(index, tick, out.subspan(collected));
  }
  return collected;
}

std::size_t TimerWheel::collect_shard(std::size_t index, std::uint64_t tick, std::span<Reminder*> out) noexcept {
  Shard& shard = shards_[index];
  std::size_t collected = 0;
  for (bool more = true; more && collected < out.size();) {
    // A new turn with the mutex for each batch, so that those who arm get theirs in between.
    const std::lock_guard lock(shard.mutex);
    std::size_t handed_out = 0;
    for (std::size_t work = 0; more && work < kBatch && collected < out.size(); ++work) {
      if (shard.ready != nullptr) {
        out[collected++] = shard.ready;
        unlink(*shard.ready);
        ++handed_out;
      } else if (Reminder* const reminder = shard.moving) {
        unlink(*reminder);
        // What is due at once needn't go through the levels below.
        if (tick_of_due(reminder->due) <= tick) {
          out[collected++] = reminder;
          ++handed_out;
        } else {
          shard.insert(*reminder);
        }
      } else {
        more = shard.advance(tick);
      }
    }
    shard.count.store(shard.count.load(std::memory_order_relaxed) - handed_out, std::memory_order_relaxed);
    bounds_[index].store(shard.bound(), std::memory_order_relaxed);
  }
  return collected;
}

std::size_t TimerWheel::size() const noexcept {
  std::size_t sum = 0;
  for (const auto& shard : shards_) sum += shard.count.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace cubby::detail
