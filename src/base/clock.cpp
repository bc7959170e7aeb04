// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <time.h>

#include <algorithm>
#include <atomic>

#include "base/parker.hpp"

namespace cubby::detail {
namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;
constexpr std::int64_t kMaxOffset = std::int64_t{100} * 365 * 24 * 3600 * kNanosecondsPerSecond;

// Relaxed: whoever must see a new value has a happens-before edge from the thread that made it, and coherence then forbids an
// older one.
constinit std::atomic<std::int64_t> offset{0};

bool read_clock(clockid_t id, std::int64_t& nanoseconds) noexcept {
  timespec time;
  if (::clock_gettime(id, &time) != 0) return false;
  nanoseconds = std::int64_t{time.tv_sec} * kNanosecondsPerSecond + std::int64_t{time.tv_nsec};
  return true;
}

std::int64_t read_clock(clockid_t id) noexcept {
  std::int64_t nanoseconds = 0;
  read_clock(id, nanoseconds);
  return nanoseconds;
}

// How far the wall clock is ahead of the monotonic one. The two can't be read at one moment, and a thread may be descheduled in
// between: then it tries again.
std::int64_t wall_ahead() noexcept {
  constexpr std::int64_t kClose = 20'000;
  constexpr int kTries = 5;
  std::int64_t least = kNever, ahead = 0;
  for (int tries = 0; tries < kTries && least > kClose; ++tries) {
    const std::int64_t before = read_clock(CLOCK_MONOTONIC);
    const std::int64_t wall = read_clock(CLOCK_REALTIME);
    const std::int64_t took = read_clock(CLOCK_MONOTONIC) - before;
    if (took >= least) continue;
    least = took;
    ahead = wall - before - took / 2;
  }
  return ahead;
}

__extension__ using Wide = __int128;

std::int64_t from_wall(Wide nanoseconds) noexcept {
  return static_cast<std::int64_t>(std::clamp(nanoseconds - wall_ahead(), Wide{std::numeric_limits<std::int64_t>::min()},
                                              Wide{std::numeric_limits<std::int64_t>::max()}));
}

}  // namespace

std::int64_t now() noexcept { return read_clock(CLOCK_MONOTONIC) + offset.load(std::memory_order_relaxed); }

std::int64_t coarse_now() noexcept {
#if defined(CLOCK_MONOTONIC_COARSE)
  // The precise clock as of the kernel's last tick: an eighth of the cost, as it reads no hardware counter.
  if (std::int64_t time = 0; read_clock(CLOCK_MONOTONIC_COARSE, time)) [[likely]]
    return time + offset.load(std::memory_order_relaxed);
#endif
  return now();
}

// The coarse clock never runs ahead of the precise one, so what is past by it, is past. It lags by a tick (1 to 10 ms), rarely
// by some more, when the processor that keeps the time is late: with kMaxLag we allow for hundreds of ticks, where the kernel
// itself steps in after five. So a deadline beyond that is not past for certain, and in between the precise clock decides.
// Each answer is thus one that now() could have given within the call, and as now() never goes back between calls ordered by
// happens-before, "past" stays so on all threads.
bool is_past(std::int64_t deadline) noexcept {
  constexpr std::int64_t kMaxLag = 2 * kNanosecondsPerSecond;
  const std::int64_t time = coarse_now();
  if (deadline > time + kMaxLag) [[likely]]
    return false;
  return deadline <= time || deadline <= now();
}

std::int64_t deadline_after(std::chrono::nanoseconds duration) noexcept { return saturating_add(now(), duration.count()); }

// The wall clock moves with the testing offset as the monotonic clock does, so the offset cancels out: it is time that passed,
// not a change of the relation.
std::int64_t to_wall_milliseconds(std::int64_t deadline) noexcept {
  if (deadline == kNever) return kNever;
  // In 128 bits nothing overflows, and in milliseconds everything fits again.
  const Wide at = Wide{deadline} + wall_ahead() + kNanosecondsPerMillisecond / 2;
  const Wide whole = at / kNanosecondsPerMillisecond;
  return static_cast<std::int64_t>(at < 0 && whole * kNanosecondsPerMillisecond != at ? whole - 1 : whole);
}

std::int64_t from_wall_milliseconds(std::int64_t milliseconds) noexcept {
  return milliseconds == kNever ? kNever : from_wall(Wide{milliseconds} * kNanosecondsPerMillisecond);
}

std::int64_t from_wall_nanoseconds(std::int64_t nanoseconds) noexcept {
  return nanoseconds == kNever ? kNever : from_wall(Wide{nanoseconds});
}

std::int64_t clock_offset_for_testing() noexcept { return offset.load(std::memory_order_relaxed); }

void advance_clock_for_testing(std::int64_t nanoseconds) {
  std::int64_t old = offset.load(std::memory_order_relaxed);
  std::int64_t sum = 0;
  do {
    sum = std::min(saturating_add(old, std::max<std::int64_t>(nanoseconds, 0)), kMaxOffset);
  } while (!offset.compare_exchange_weak(old, sum, std::memory_order_relaxed));
  unpark_all_for_testing();
}

}  // namespace cubby::detail
