// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "server/io_thread.hpp"
#include "server/server.hpp"
#include "server/sign_in_guard.hpp"

namespace boost::asio {
class io_context;
}

namespace cubby::server {

class Door;
class TlsContext;

/// The server's doors: TCP and TLS ports and a Unix socket, and the threads behind them.
///
/// Thread safety: stop() from any thread and from signal handlers that asio runs; the rest from the one that made it.
class Network {
 public:
  /// Opens the doors, so that clients may queue before them; SIGPIPE is ignored from then on. Throws SettingError that names
  /// the address and what is wrong.
  explicit Network(Server& server);
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  /// Where clients can connect: "127.0.0.1:7379".
  const std::vector<std::string>& addresses() const noexcept { return addresses_; }
  /// The TCP port, if there is one: what the system chose where the setting is 0 in tests.
  int port() const noexcept { return port_; }
  /// For what is to run beside: HTTP, signals. One thread, that of run().
  boost::asio::io_context& context() noexcept { return *context_; }
  std::size_t threads() const noexcept { return threads_.size(); }
  /// For those who sign in elsewhere.
  SignInGuard& sign_ins() noexcept { return sign_ins_; }

  /// Serves until stop(): then lets no more clients in, and returns when those that are there have had their last replies.
  void run();
  /// The first one counts.
  void stop();

 private:
  friend class Door;
  void open_tcp(const std::vector<std::string>& addresses, int port, bool tls);
  void open_unix(const std::string& path, int permissions);
  /// A socket that has been accepted.
  void enter(int descriptor, bool tls, const std::string& address, const std::string& local_address, bool is_tcp);

  Server& server_;
  SignInGuard sign_ins_;
  std::unique_ptr<boost::asio::io_context> context_;
  std::unique_ptr<TlsContext> tls_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::vector<std::string> addresses_;
  std::string unix_path_;
  int port_ = 0;
  std::size_t next_thread_ = 0;
  std::chrono::steady_clock::time_point refusal_logged_{};
  std::atomic<bool> stopping_{false};
};

}  // namespace cubby::server
