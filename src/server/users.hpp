// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/command.hpp"
#include "server/settings.hpp"

namespace cubby::server {

/// Somebody who may sign in. Never changes once it can be found, and lives as long as Users does.
struct User {
  /// As Redis makes one: off, and nothing is allowed.
  explicit User(std::string user_name) : name(std::move(user_name)) {}

  std::string name;
  bool enabled = false;
  bool needs_no_password = false;
  std::vector<std::string> password_hashes;  ///< SHA-256, hexadecimal

  bool all_commands = false;
  std::set<const CommandSpec*> commands;  ///< those allowed, unless it is all
  std::string command_rules = "-@all";    ///< what has led to them

  struct KeyPattern {
    std::string pattern;
    bool may_write = true;
  };
  bool all_keys = false;
  std::vector<KeyPattern> key_patterns;
  bool all_channels = false;
  std::vector<std::string> channel_patterns;

  bool may_run(const CommandSpec& command) const { return all_commands || commands.contains(&command); }
  /// `to_write`: by a command that may change it, which may read it, too.
  bool may_use_key(std::string_view key, bool to_write = true) const;
  bool may_use_channel(std::string_view channel, bool is_pattern = false) const;

  /// One of Redis's ACL rules, such as "+@read", "~session:*" or ">password". Those for subcommands and selectors there are
  /// none of. Throws SettingError.
  void apply(std::string_view rule);

  /// The rules that make such a user; keys and channels by themselves are parts of it.
  std::string rules() const;
  std::string key_rules() const;
  std::string channel_rules() const;
};

/// The names and bits of CommandCategories, as Redis has them ("read"), and "fast" and "slow", whose bits are 0.
std::span<const std::pair<std::string_view, std::uint32_t>> category_names();
/// REQUIRES: one of those.
bool is_in_category(const CommandSpec& command, std::string_view category);

/// Who may sign in: the user `default` of requirepass, and those of the users file, whose lines are Redis's ACL rules
/// ("user ann on #<sha256> ~session:* +@read +set").
///
/// With a users file that doesn't name it and without requirepass, `default` is off.
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
  /// Null if there is none.
  const User* find(std::string_view name) const;
  /// By name.
  std::vector<const User*> all() const;
  /// As CONFIG SET requirepass; empty: none is needed. Whoever has signed in stays so.
  void set_default_password(std::string_view password);

 private:
  void read(const std::filesystem::path& file);
  void read_line(std::string_view line);
  void put(std::shared_ptr<const User> user);

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const User>, std::less<>> users_;
  std::vector<std::shared_ptr<const User>> former_;  ///< that somebody may still be
  std::atomic<bool> needs_password_{false};
};

}  // namespace cubby::server
