// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace cubby::server {

/// Whom an address, without its port, is counted as: an IPv6 one as its network of 64 bits, as each machine has as many
/// addresses as it likes in it; one in brackets as without, and an IPv4 one in IPv6's clothes as an IPv4 one. What is no IP
/// address stays.
std::string network_of(std::string_view address);

/// Slows down who guesses passwords: each failure of an address makes the answer to its next one wait the longer, on whichever
/// connection. Who doesn't wait for the answers gains nothing: while an address has kMostAtOnce of them outstanding, its next
/// try isn't looked at. So the right password waits only beside somebody who keeps guessing. Addresses are those of
/// network_of().
///
/// Thread safety: all members, from any thread.
class SignInGuard {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kFirst{100}, kLongest{5000};
  /// Answers outstanding of one address.
  static constexpr std::size_t kMostAtOnce = 16;
  /// An address that hasn't failed for so long begins anew.
  static constexpr std::chrono::seconds kForgiven{60};

  /// Notes a failure; how long its answer has to wait.
  std::chrono::milliseconds failed(std::string_view address, Clock::time_point now);
  /// How long a try has to wait before it is looked at.
  std::chrono::milliseconds wait_before(std::string_view address, Clock::time_point now);
  /// False: wait_before() is zero for everybody.
  bool on_alert(Clock::time_point now) const noexcept {
    return now.time_since_epoch().count() < alert_until_.load(std::memory_order_relaxed);
  }

 private:
  struct Failures {
    std::string address;
    unsigned count = 0;
    Clock::time_point last;
    std::deque<Clock::time_point> answers;  ///< those outstanding: when they are due, in order
  };
  using Places = std::list<Failures>;
  static constexpr std::size_t kMostAddresses = 10'000;

  /// The address's, as the last one of all.
  Failures& failures_of(const std::string& address, Clock::time_point now);
  void forget_first();

  std::mutex mutex_;
  Places failures_;  ///< who has failed last is at the end
  std::map<std::string, Places::iterator, std::less<>> places_;
  std::atomic<Clock::rep> alert_until_{Clock::time_point::min().time_since_epoch().count()};
};

}  // namespace cubby::server
