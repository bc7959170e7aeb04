// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "cli/shell/link.hpp"
#include "cli/shell/signals.hpp"

namespace cubby::cli::shell {

/// Where a server is, and how it is talked to.
struct ServerAddress {
  std::string host = "127.0.0.1";
  std::string port = "7379";
  std::string unixsocket;  ///< instead of both
  bool tls = false;
  std::string ca_file;              ///< empty: who the system trusts
  std::string cert_file, key_file;  ///< the client's own; empty: none
};

/// A connection to a server.
class ServerLink final : public Link {
 public:
  /// Throws UsageError for certificates that can't be read.
  ServerLink(ServerAddress address, Signals& signals);
  ~ServerLink() override;

  std::string name() const override;
  void open() override;
  void send(std::span<const std::string> command) override;
  int descriptor() const override { return socket_; }
  std::optional<RespValue> take() override;
  void close() override;

 private:
  void connect_unix();
  void connect_tcp();
  void connect_to(int family, const void* address, unsigned size);
  void start_tls();
  /// Waits until the socket is ready for `events` or `deadline_ms` have passed; false then. Throws Interrupted.
  bool wait(short events, int timeout_ms);
  bool receive();

  const ServerAddress address_;
  Signals& signals_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, &SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> tls_{nullptr, &SSL_free};
  int socket_ = -1;
  RespReader reader_;
};

}  // namespace cubby::cli::shell
