// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "resp_connection.hpp"

namespace bench {

/// Seconds on a processor.
struct ProcessorTime {
  double user = 0;
  double system = 0;
};

/// Which server: its name in results, and how it is started.
enum class ServerKind { cubby, redis };
inline constexpr const char* name_of(ServerKind kind) noexcept {
  return kind == ServerKind::cubby ? "cubby serve" : "redis-server";
}

struct ServerSettings {
  std::filesystem::path folder;   ///< where it may write, made if it isn't there
  bool durable = false;           ///< its log reaches the disk within 100 ms (cubby) or a second (Redis)
  std::filesystem::path command;  ///< cubby's
};

/// A server of our own on a port of the loopback address; it ends with its object, and nothing is saved.
class ServerProcess {
 public:
  /// Starts it, and waits until it answers.
  ServerProcess(ServerKind kind, const ServerSettings& settings);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  ServerKind kind() const noexcept { return kind_; }
  std::uint16_t port() const noexcept { return port_; }
  /// A connection for whatever isn't measured.
  RespConnection& control() noexcept { return *control_; }
  /// The number that INFO `section` says of `field`. Throws if there is none.
  std::uint64_t info(const std::string& section, const std::string& field);

  /// Of all its threads, and of its children that have ended. In steps of 10 ms, as the kernel counts.
  ProcessorTime processor_time() const;
  /// Resident bytes.
  double resident_bytes() const;
  /// Until it has next to nothing to do any more.
  void wait_for_rest() const;
  /// Makes it write all its data anew, so that its log is as short as it gets, and waits for the end of that.
  void settle();
  /// As soon as neither a checkpoint nor a rewriting of its log goes on.
  void wait_for_save();

 private:
  void wait_for_answer();
  void kill_and_wait() noexcept;

  const ServerKind kind_;
  const std::filesystem::path log_;
  const std::uint16_t port_;
  pid_t process_ = 0;
  std::optional<RespConnection> control_;
};

}  // namespace bench
