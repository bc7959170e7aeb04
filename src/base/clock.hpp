// SPDX-License-Identifier: Apache-2.0
#pragma once

// Time: one monotonic clock in nanoseconds, that all deadlines run on, and its relation to the wall clock.
//
// Promises
//  - now() never goes back, on any thread: what one thread has seen, a call that happens after it does not undercut.
//  - is_past(d) agrees with now(): it is true only if d <= now() at some instant of the call, false only if d > now() at some
//    instant of it. So a deadline once seen as past by any thread is past for every call that happens after.
//  - advance_clock_for_testing acts at once: on now(), is_past(), the wall clock conversions, and on threads asleep in
//    Parker::park_until (they wake up and look again).
//
// Thread safety: everything may be called from any thread.

#include <chrono>
#include <cstdint>
#include <limits>

namespace cubby::detail {

// The deadline that is never reached.
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// CLOCK_MONOTONIC plus the testing offset, in nanoseconds.
[[nodiscard]] std::int64_t now() noexcept;

// At most now(), and behind it by some milliseconds: the time of the kernel's last tick. Costs an eighth of now().
[[nodiscard]] std::int64_t coarse_now() noexcept;

// deadline <= now(), exact in effect, but as cheap as coarse_now() unless the deadline is less than 2 s ahead. kNever never is.
[[nodiscard]] bool is_past(std::int64_t deadline) noexcept;

[[nodiscard]] constexpr std::int64_t saturating_add(std::int64_t a, std::int64_t b) noexcept {
  if (b > 0 && a > std::numeric_limits<std::int64_t>::max() - b) return std::numeric_limits<std::int64_t>::max();
  if (b < 0 && a < std::numeric_limits<std::int64_t>::min() - b) return std::numeric_limits<std::int64_t>::min();
  return a + b;
}

// now() + duration, kNever if that is out of range.
[[nodiscard]] std::int64_t deadline_after(std::chrono::nanoseconds duration) noexcept;

// A monotonic deadline as wall-clock milliseconds since the epoch, rounded to the nearest; kNever stays kNever. A deadline that
// is read back from these milliseconds gives the same milliseconds again, as long as nobody sets the wall clock.
[[nodiscard]] std::int64_t to_wall_milliseconds(std::int64_t deadline) noexcept;

// The reverse; out of range saturates, and kNever stays kNever.
[[nodiscard]] std::int64_t from_wall_milliseconds(std::int64_t milliseconds) noexcept;
[[nodiscard]] std::int64_t from_wall_nanoseconds(std::int64_t nanoseconds) noexcept;

// Lets time jump forward (a negative argument counts as 0; the sum is capped at 100 years).
void advance_clock_for_testing(std::int64_t nanoseconds);

// What advance_clock_for_testing has added so far: CLOCK_MONOTONIC is now() less this.
[[nodiscard]] std::int64_t clock_offset_for_testing() noexcept;

}  // namespace cubby::detail
