// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/command.hpp"
#include "server/settings.hpp"

namespace cubby::server {

/// Somebody who may sign in. Never changes once made, and lives as long as Users does.
struct User {
  std::string name;
  bool enabled = true;
  bool needs_no_password = false;
  std::vector<std::string> password_hashes;  ///< SHA-256, hexadecimal
  std::uint32_t categories = 0;              ///< CommandCategories whose commands are allowed
  bool all_commands = false;
  std::vector<std::string> allowed, denied;  ///< commands by name, over the categories
  std::uint32_t denied_categories = 0;
  bool all_keys = false;
  std::vector<std::string> key_patterns;
  bool all_channels = false;
  std::vector<std::string> channel_patterns;

  bool may_run(const CommandSpec& command) const;
  bool may_use_key(std::string_view key) const;
  bool may_use_channel(std::string_view channel, bool is_pattern = false) const;
};

/// Who may sign in: the user `default` of requirepass, and those of the users file, whose lines are Redis's ACL rules
/// ("user ann on #<sha256> ~session:* +@read +set").
///
/// Thread safety: all members, from any thread.
class Users {
 public:
  /// Throws SettingError with file and line.
  explicit Users(const Settings& settings);

  /// Whether `default` has to sign in.
  bool needs_password() const noexcept { return needs_password_.load(std::memory_order_relaxed); }
  /// Whom a new client is: null if it has to sign in.
  const User* initial() const;
  /// Null if the name or password is wrong. Compares in constant time.
  const User* sign_in(std::string_view name, std::string_view password) const;
  const User* find(std::string_view name) const;
  /// As CONFIG SET requirepass; empty: none.
  void set_default_password(std::string_view password);

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const User>, std::less<>> users_;
  std::vector<std::shared_ptr<const User>> former_;  ///< that somebody may still be
  std::atomic<bool> needs_password_{false};
};

}  // namespace cubby::server
