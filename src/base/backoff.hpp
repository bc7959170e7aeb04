// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How long to wait before what has failed is tried again: twice as long after each failure, up to a limit. What fails for long
/// (a full disk) shall not be tried all the time, and what fails once (a disk that is busy) be tried soon.
///
/// Thread safety: plain functions.

#include <algorithm>
#include <chrono>

namespace cubby::detail {

class Backoff {
 public:
  constexpr Backoff(std::chrono::nanoseconds first, std::chrono::nanoseconds longest) noexcept
      : first_(first), longest_(longest), next_(first) {}

  /// It has failed: wait so long.
  [[nodiscard]] std::chrono::nanoseconds failed() noexcept {
    const auto wait = next_;
    next_ = std::min(2 * next_, longest_);
    return wait;
  }
  void succeeded() noexcept { next_ = first_; }

 private:
  std::chrono::nanoseconds first_;
  std::chrono::nanoseconds longest_;
  std::chrono::nanoseconds next_;
};

}  // namespace cubby::detail
