// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "server/network.hpp"
#include "server/server.hpp"
#include "server/temporary_folder.hpp"

/// A server with its network in this process, and sockets that talk to it.
namespace cubby::server::testing {

/// Waits until `holds()`, for half a minute at most, and returns whether it does.
template <class F>
bool eventually(F&& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

/// A TCP port that nobody listens on at the moment.
inline int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::socklen_t size = sizeof address;
  const bool bound = ::bind(descriptor, reinterpret_cast<::sockaddr*>(&address), size) == 0 &&
                     ::getsockname(descriptor, reinterpret_cast<::sockaddr*>(&address), &size) == 0;
  ::close(descriptor);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

/// A client's socket. What takes half a minute fails by an exception.
class Socket {
 public:
  static Socket to_port(int port, int receive_buffer = 0) {
    Socket socket(AF_INET);
    // Before connecting: the window is agreed on then.
    if (receive_buffer != 0) socket.set(SOL_SOCKET, SO_RCVBUF, receive_buffer);
    socket.set(IPPROTO_TCP, TCP_NODELAY, 1);
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket.connect(reinterpret_cast<const ::sockaddr*>(&address), sizeof address);
    return socket;
  }
  static Socket to_path(const std::string& path) {
    Socket socket(AF_UNIX);
    ::sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    socket.connect(reinterpret_cast<const ::sockaddr*>(&address), sizeof address);
    return socket;
  }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() { close(); }

  int descriptor() const { return descriptor_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) bytes.remove_prefix(send_some(bytes, 0));
  }
  /// As many as the system takes at once; 0: none. Empty: the connection is cut.
  std::optional<std::size_t> try_send(std::string_view bytes) {
    try {
      return send_some(bytes, MSG_DONTWAIT);
    } catch (const std::system_error& error) {
      if (error.code() == std::errc::operation_would_block || error.code() == std::errc::resource_unavailable_try_again)
        return 0;
      return std::nullopt;
    }
  }
  /// So many bytes; fewer if the other side has ended.
  std::string receive(std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t got = 0;
    while (got != count) {
      const ::ssize_t more = ::recv(descriptor_, bytes.data() + got, count - got, 0);
      if (more < 0 && errno != ECONNRESET) throw std::system_error(errno, std::generic_category(), "recv");
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    bytes.resize(got);
    return bytes;
  }
  /// All there is until the other side ends.
  std::string receive_all() {
    std::string all;
    for (;;) {
      const std::string bytes = receive(1 << 16);
      all += bytes;
      if (bytes.size() != 1 << 16) return all;
    }
  }
  /// Sends, and returns as many bytes of the answer as `expected` has, to be compared with it.
  std::string ask(std::string_view request, std::string_view expected) {
    send(request);
    return receive(expected.size());
  }

  void end_output() { ::shutdown(descriptor_, SHUT_WR); }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }
  /// Without saying goodbye.
  void cut() {
    const ::linger at_once{1, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
  }

 private:
  explicit Socket(int domain) : descriptor_(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const ::timeval most{30, 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
  }
  void set(int level, int option, int value) { ::setsockopt(descriptor_, level, option, &value, sizeof value); }
  void connect(const ::sockaddr* address, ::socklen_t size) {
    if (::connect(descriptor_, address, size) == 0) return;
    const int error = errno;
    close();
    throw std::system_error(error, std::generic_category(), "connect");
  }
  std::size_t send_some(std::string_view bytes, int flags) {
    const ::ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
    if (count < 0) throw std::system_error(errno, std::generic_category(), "send");
    return static_cast<std::size_t>(count);
  }

  int descriptor_;
};

/// A request as an array of its words.
inline std::string request_text(std::initializer_list<std::string_view> words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words)
    text.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
  return text;
}

/// A server that listens on a free port and on a Unix socket, unless `settings` say otherwise.
class NetworkServer {
 public:
  explicit NetworkServer(Settings settings = {}) {
    if (settings.unixsocket.empty()) settings.unixsocket = folder_.path() / "socket";
    settings.bind = {"127.0.0.1"};
    if (settings.threads == 0) settings.threads = 2;
    unixsocket_ = settings.unixsocket;
    const bool any_port = settings.port == Settings{}.port;
    const bool any_tls_port = settings.tls_port == kAnyPort;
    for (int attempt = 0;; ++attempt) {
      // Somebody else may take the port meanwhile.
      try {
        if (any_port) settings.port = free_port();
        if (any_tls_port) settings.tls_port = free_port();
        server_ = std::make_unique<Server>(settings);
        network_ = std::make_unique<Network>(*server_);
        break;
      } catch (const SettingError&) {
        if (attempt == 5) throw;
        network_.reset();
        server_.reset();
      }
    }
    tls_port_ = settings.tls_port;
    thread_ = std::thread([this] { network_->run(); });
  }
  ~NetworkServer() {
    stop();
    network_.reset();
    server_.reset();
  }
  NetworkServer(const NetworkServer&) = delete;
  NetworkServer& operator=(const NetworkServer&) = delete;

  static constexpr int kAnyPort = 1;

  Server& server() { return *server_; }
  Network& network() { return *network_; }
  int port() const { return network_->port(); }
  int tls_port() const { return tls_port_; }
  const std::string& unixsocket() const { return unixsocket_; }
  const TemporaryFolder& folder() const { return folder_; }

  Socket connect() { return Socket::to_port(port()); }
  Socket connect_to_path() { return Socket::to_path(unixsocket_); }

  /// As SIGTERM does, and waits until everybody has been answered.
  void stop() {
    if (!thread_.joinable()) return;
    network_->stop();
    thread_.join();
  }

 private:
  TemporaryFolder folder_;
  std::string unixsocket_;
  int tls_port_ = 0;
  std::unique_ptr<Server> server_;
  std::unique_ptr<Network> network_;
  std::thread thread_;
};

}  // namespace cubby::server::testing
