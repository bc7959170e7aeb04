// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace cubby::server {

class Server;
class SignInGuard;

/// What keeps HTTP clients from holding on to a server.
struct HttpLimits {
  /// In all, and of one address; /healthz has some besides (HttpSlots).
  std::size_t connections = 128, connections_of_address = 32;
  /// For a request to come in full, from the end of the one before it on; and for a response to be taken.
  std::chrono::milliseconds request_time{30'000}, response_time{30'000};
};

/// The HTTP port: what http_handler.hpp answers, for a bounded number of connections, each of which is bounded in time and
/// size.
///
/// Thread safety: belongs to the thread that runs the context; may be destroyed when nobody runs it any more.
class HttpServer {
 public:
  /// Listens on the addresses of the setting `bind`; port 0 is any that is free. Throws SettingError.
  HttpServer(Server& server, boost::asio::io_context& context, SignInGuard& sign_ins, int port, const HttpLimits& limits = {});
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  /// Cuts everybody off.
  ~HttpServer();

  int port() const noexcept;
  /// Where to point a browser: "http://127.0.0.1:7380/", of each address.
  const std::vector<std::string>& urls() const noexcept;

 private:
  class Doors;
  std::shared_ptr<Doors> doors_;
};

}  // namespace cubby::server
