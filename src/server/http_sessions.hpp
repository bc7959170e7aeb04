// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace cubby::server {

struct User;

/// Who has signed in by HTTP.
///
/// Thread safety: as an int.
class HttpSessions {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::hours kIdle{8}, kLongest{7 * 24};
  static constexpr std::size_t kMost = 1000;  ///< then the one that was idle the longest goes

  struct Session {
    const User* user;
    std::string token;  ///< the cookie's value
    std::string csrf;   ///< what requests that change something have to have in a header
    Clock::time_point since, last_used;
  };

  const Session& begin(const User& user, Clock::time_point now);
  /// Null if there is none, or it is too old; uses it.
  const Session* find(std::string_view token, Clock::time_point now);
  void end(std::string_view token);

 private:
  std::map<std::string, Session, std::less<>> sessions_;
};

}  // namespace cubby::server
