// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include <cubby/options.hpp>

#include "base/clock.hpp"
#include "store/entry.hpp"

/// Deadlines as users give them and get them.
///
/// Thread safety: plain functions.

namespace cubby::detail {

/// The deadline that lies `ttl` ahead; empty if that is now or past already.
inline std::optional<std::int64_t> deadline_in(Duration ttl) noexcept {
  if (ttl.nanoseconds().count() <= 0) return std::nullopt;
  return deadline_after(ttl.nanoseconds());
}
inline std::optional<std::int64_t> deadline_at(TimePoint time) noexcept {
  const std::int64_t deadline = from_wall_nanoseconds(Duration(time.time_since_epoch()).nanoseconds().count());
  if (deadline <= now()) return std::nullopt;
  return deadline;
}

/// Empty for kNoDeadline, and once it is past.
inline std::optional<std::chrono::nanoseconds> time_until(std::int64_t deadline) noexcept {
  if (deadline == kNoDeadline) return std::nullopt;
  const std::int64_t left = deadline - now();
  if (left <= 0) return std::nullopt;
  return std::chrono::nanoseconds(left);
}
/// Empty for kNoDeadline.
inline std::optional<TimePoint> wall_time_of(std::int64_t deadline) noexcept {
  if (deadline == kNoDeadline) return std::nullopt;
  constexpr auto kLast = std::chrono::floor<std::chrono::milliseconds>(TimePoint::max());
  const std::int64_t milliseconds = to_wall_milliseconds(deadline);
  if (milliseconds >= kLast.time_since_epoch().count()) return kLast;
  return TimePoint(std::chrono::milliseconds(milliseconds));
}

}  // namespace cubby::detail
