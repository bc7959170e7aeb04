// SPDX-License-Identifier: Apache-2.0
#include "server/sign_in_guard.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

namespace cubby::server {

namespace {

void forget_given(std::deque<SignInGuard::Clock::time_point>& answers, SignInGuard::Clock::time_point now) {
  while (!answers.empty() && answers.front() <= now) answers.pop_front();
}

}  // namespace

std::string network_of(std::string_view address) {
  std::string_view bare = address;
  if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
  const std::string text(bare.substr(0, bare.find('%')));  // without the scope
  ::in6_addr bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), &bytes) != 1) return std::string(address);
  std::array<char, INET6_ADDRSTRLEN> out{};
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
    ::inet_ntop(AF_INET, &bytes.s6_addr[12], out.data(), out.size());
    return out.data();
  }
  std::memset(&bytes.s6_addr[8], 0, 8);
  ::inet_ntop(AF_INET6, &bytes, out.data(), out.size());
  return std::string(out.data()) + "/64";
}

void SignInGuard::forget_first() {
  places_.erase(failures_.front().address);
  failures_.pop_front();
}

SignInGuard::Failures& SignInGuard::failures_of(const std::string& address, Clock::time_point now) {
  if (const auto found = places_.find(address); found != places_.end()) {
    failures_.splice(failures_.end(), failures_, found->second);
    Failures& failures = failures_.back();
    if (now - failures.last > kForgiven) failures.count = 0;
    return failures;
  }
  while (!failures_.empty() && now - failures_.front().last > kForgiven) forget_first();
  const bool crowded = failures_.size() >= kMostAddresses;
  if (crowded) forget_first();
  failures_.emplace_back();
  failures_.back().address = address;
  // So many at once: none of them gets off lightly.
  if (crowded) failures_.back().count = 10;
  places_.emplace(address, std::prev(failures_.end()));
  return failures_.back();
}

std::chrono::milliseconds SignInGuard::failed(std::string_view address, Clock::time_point now) {
  const std::string network = network_of(address);
  const std::lock_guard lock(mutex_);
  Failures& failures = failures_of(network, now);
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

std::chrono::milliseconds SignInGuard::wait_before(std::string_view address, Clock::time_point now) {
  const std::string network = network_of(address);
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(network);
  if (found == places_.end()) return {};
  auto& answers = found->second->answers;
  forget_given(answers, now);
  if (answers.size() < kMostAtOnce) return {};
  // Until one more of them is given than there may be.
  return std::chrono::ceil<std::chrono::milliseconds>(answers[answers.size() - kMostAtOnce] - now);
}

}  // namespace cubby::server
