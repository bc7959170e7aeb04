// SPDX-License-Identifier: Apache-2.0
#include "server/sign_in_guard.hpp"

#include <algorithm>

namespace cubby::server {

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
  return std::min(kFirst * (1U << doublings), kLongest);
}

}  // namespace cubby::server
