// SPDX-License-Identifier: Apache-2.0
#include "server/slow_log.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/settings.hpp"

namespace cubby::server {

namespace {

/// Whether the argument may be a password: that of AUTH, HELLO AUTH or CONFIG SET requirepass.
bool is_secret(Arguments arguments, std::size_t at) {
  if (at == 0) return false;
  if (is_word(arguments[0], "AUTH")) return true;
  if (is_word(arguments[0], "HELLO")) {
    return is_word(arguments[at - 1], "AUTH") || (at > 1 && is_word(arguments[at - 2], "AUTH"));
  }
  return is_word(arguments[0], "CONFIG") && at > 2 && find_setting(arguments[at - 1]) == find_setting("requirepass");
}

}  // namespace

void SlowLog::add(Arguments arguments, std::int64_t microseconds, const Client& client) {
  constexpr std::size_t kMostArguments = 32;
  constexpr std::size_t kMostBytes = 128;
  Entry entry;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  entry.at = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  entry.microseconds = microseconds;
  // Redis's way to say that something was left out takes the place of the last argument.
  const std::size_t shown = arguments.size() > kMostArguments ? kMostArguments - 1 : arguments.size();
  for (std::size_t at = 0; at < shown; ++at) {
    if (is_secret(arguments, at)) {
      entry.arguments.emplace_back("(redacted)");
      continue;
    }
    const std::string_view argument = arguments[at];
    std::string text(argument.substr(0, kMostBytes));
    if (argument.size() > kMostBytes) text += "... (" + std::to_string(argument.size() - kMostBytes) + " more bytes)";
    entry.arguments.push_back(std::move(text));
  }
  if (shown < arguments.size()) {
    entry.arguments.push_back("... (" + std::to_string(arguments.size() - shown) + " more arguments)");
  }
  entry.client = client.facts().address;
  entry.client_name = client.name;

  const std::lock_guard lock(mutex_);
  entry.id = next_id_++;
  entries_.push_front(std::move(entry));
  if (entries_.size() > most_) entries_.resize(most_);
}

std::vector<SlowLog::Entry> SlowLog::latest(std::size_t most) const {
  const std::lock_guard lock(mutex_);
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, entries_.size()));
  return {entries_.begin(), entries_.begin() + count};
}

std::size_t SlowLog::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

void SlowLog::reset() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

void SlowLog::limit(std::size_t most) {
  const std::lock_guard lock(mutex_);
  most_ = most;
  if (entries_.size() > most_) entries_.resize(most_);
}

}  // namespace cubby::server
