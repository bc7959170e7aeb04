// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "resp_connection.hpp"

namespace bench {

/// A redis-server of our own, which listens on a socket in its folder only, keeps no log and saves when told to.
class RedisServer {
 public:
  /// Starts it on the RDB file `file` of `folder`, if that is there, and waits until it answers.
  RedisServer(const std::filesystem::path& folder, const std::string& file);
  /// Ends it, without saving.
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  static bool is_installed();
  /// As it prints it.
  static std::string version();

  /// From its start until it answered a PING.
  double seconds_to_answer() const noexcept { return seconds_to_answer_; }
  /// What it says in its log that loading the file took.
  double seconds_to_load() const;

  /// One command; returns the reply, throws if it is an error.
  std::string command(const std::vector<std::string>& words) { return connection_->command(words); }
  /// Sets `count` strings, many at a time.
  void set_all(std::size_t count, const std::function<std::string(std::size_t)>& key,
               const std::function<std::string(std::size_t)>& value);

 private:
  void wait_for_answer();
  void kill_and_wait() noexcept;

  std::filesystem::path folder_;
  std::filesystem::path log_;
  pid_t process_ = 0;
  std::optional<RespConnection> connection_;
  double seconds_to_answer_ = 0;
};

}  // namespace bench
