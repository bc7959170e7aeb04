// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// A connection to a server that speaks RESP2, cubby or redis-server. It waits minutes for a reply, then gives up.
class RespConnection {
 public:
  /// On a Unix socket or a port of the loopback address; is_open() is false if nobody listens there.
  explicit RespConnection(const std::filesystem::path& socket);
  explicit RespConnection(std::uint16_t port);
  ~RespConnection() { close(); }
  RespConnection(RespConnection&& other) noexcept;
  RespConnection& operator=(RespConnection&&) = delete;

  bool is_open() const noexcept { return socket_ >= 0; }
  /// For whoever reads and writes by themselves.
  int socket() const noexcept { return socket_; }
  /// At once, so that no port stays taken by a connection of the past.
  void close() noexcept;

  /// One command; returns its reply, of one that isn't a string or a number its length only. Throws if it is an error.
  std::string command(const std::vector<std::string>& words);
  /// As command(), but errors too are returned, with their minus.
  std::string try_command(const std::vector<std::string>& words);
  /// `count` commands, many at a time: `append` adds the i-th one to the text. Throws if a reply is an error.
  void pipeline(std::size_t count, const std::function<void(std::size_t i, std::string& text)>& append);

  /// Adds a command to `text`, as it goes over the wire.
  static void append_command(std::string& text, const std::vector<std::string_view>& words);

 private:
  void be_patient() const;
  void send(std::string_view text);
  std::string receive();
  std::string receive_line();
  void receive_more();

  int socket_ = -1;
  std::string received_;
  std::size_t looked_at_ = 0;  ///< of what was received
};

/// A port of the loopback address that nobody listens on now.
std::uint16_t free_port();

}  // namespace bench
