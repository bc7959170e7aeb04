// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Durations in nanoseconds, as the library's clock counts.

#include <cstdint>

namespace cubby::detail {

inline constexpr std::int64_t kMicrosecond = 1000, kMillisecond = 1000 * kMicrosecond, kSecond = 1000 * kMillisecond;
inline constexpr std::int64_t kHour = 3600 * kSecond, kYear = 365 * 24 * kHour;

}  // namespace cubby::detail
