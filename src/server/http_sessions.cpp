// SPDX-License-Identifier: Apache-2.0
#include "server/http_sessions.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace cubby::server {

namespace {

/// 256 bits that nobody can guess.
std::string new_secret() {
  std::array<unsigned char, 32> bytes{};
  if (::getentropy(bytes.data(), bytes.size()) != 0) throw std::system_error(errno, std::generic_category(), "getentropy");
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

const HttpSessions::Session& HttpSessions::begin(const User& user, Clock::time_point now) {
  if (sessions_.size() >= kMost) {
    sessions_.erase(std::ranges::min_element(sessions_, {}, [](const auto& entry) { return entry.second.last_used; }));
  }
  std::string token = new_secret();
  Session session{&user, token, new_secret(), now, now};
  return sessions_.emplace(std::move(token), std::move(session)).first->second;
}

const HttpSessions::Session* HttpSessions::find(std::string_view token, Clock::time_point now) {
  const auto found = sessions_.find(token);
  if (found == sessions_.end()) return nullptr;
  Session& session = found->second;
  if (now - session.last_used > kIdle || now - session.since > kLongest) {
    sessions_.erase(found);
    return nullptr;
  }
  session.last_used = now;
  return &session;
}

void HttpSessions::end(std::string_view token) {
  const auto found = sessions_.find(token);
  if (found != sessions_.end()) sessions_.erase(found);
}

}  // namespace cubby::server
