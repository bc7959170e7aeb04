// SPDX-License-Identifier: Apache-2.0
#include "server/sign_in_guard.hpp"

#include <algorithm>

namespace cubby::server {

namespace {

void forget_given(std::deque<SignInGuard::Clock::time_point>& answers, SignInGuard::Clock::time_point now) {
  while (!answers.empty() && answers.front() <= now) answers.pop_front();
}

}  // namespace

std::chrono::milliseconds SignInGuard::failed(const std::string& address, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (addresses_.size() >= kMostAddresses) {
    std::erase_if(addresses_, [&](const auto& entry) { return now - entry.second.last > kForgiven; });
    // So many at once: none of them gets off lightly.
    if (addresses_.size() >= kMostAddresses && !addresses_.contains(address)) return kLongest;
  }
  Failures& failures = addresses_[address];
  if (now - failures.last > kForgiven) failures.count = 0;
  failures.last = now;
  const unsigned doublings = std::min(failures.count++, 10U);
  const std::chrono::milliseconds wait = std::min(kFirst * (1U << doublings), kLongest);
  // Waits grow, and when they are short again none of the long ones is left: the answers are in order.
  forget_given(failures.answers, now);
  failures.answers.push_back(now + wait);
  if (failures.answers.size() >= kMostAtOnce) {
    const Clock::rep until = failures.answers.back().time_since_epoch().count();
    alert_until_.store(std::max(until, alert_until_.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  }
  return wait;
}

std::chrono::milliseconds SignInGuard::wait_before(const std::string& address, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  const auto found = addresses_.find(address);
  if (found == addresses_.end()) return {};
  auto& answers = found->second.answers;
  forget_given(answers, now);
  if (answers.size() < kMostAtOnce) return {};
  // Until one more of them is given than there may be.
  return std::chrono::ceil<std::chrono::milliseconds>(answers[answers.size() - kMostAtOnce] - now);
}

}  // namespace cubby::server
