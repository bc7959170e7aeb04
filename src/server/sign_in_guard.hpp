// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace cubby::server {

/// Slows down who guesses passwords: each failure of an address makes the answer to its next one wait the longer, on whichever
/// connection. Who has the right password never waits.
///
/// Thread safety: all members, from any thread.
class SignInGuard {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kFirst{100}, kLongest{5000};
  /// An address that hasn't failed for so long begins anew.
  static constexpr std::chrono::seconds kForgiven{60};

  /// Notes a failure; how long its answer has to wait.
  std::chrono::milliseconds failed(const std::string& address, Clock::time_point now);

 private:
  struct Failures {
    unsigned count = 0;
    Clock::time_point last;
  };
  static constexpr std::size_t kMostAddresses = 10'000;

  std::mutex mutex_;
  std::map<std::string, Failures> addresses_;
};

}  // namespace cubby::server
