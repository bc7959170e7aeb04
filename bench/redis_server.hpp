// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

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

  /// One command; returns the reply's line (of a bulk string that is its length), throws if it is an error.
  std::string command(const std::vector<std::string>& words);
  /// Sets `count` strings, many at a time.
  void set_all(std::size_t count, const std::function<std::string(std::size_t)>& key,
               const std::function<std::string(std::size_t)>& value);

 private:
  bool connect_once();
  void wait_for_answer();
  void kill_and_wait() noexcept;
  void send(std::string_view text);
  std::string receive_line();

  std::filesystem::path folder_;
  std::filesystem::path log_;
  pid_t process_ = 0;
  int socket_ = -1;
  std::string received_;  ///< and not yet looked at
  double seconds_to_answer_ = 0;
};

}  // namespace bench
