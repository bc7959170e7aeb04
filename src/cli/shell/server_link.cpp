// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/server_link.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cubby::cli::shell {

namespace {

constexpr int kConnectMilliseconds = 10'000;

std::string tls_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "the connection was cut";
  // What the system has refused, OpenSSL has no words for.
  if (ERR_GET_LIB(code) == ERR_LIB_SYS) return std::strerror(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? fmt::format("error {}", code) : reason;
}

bool is_ip(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address;
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 || ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

ServerLink::ServerLink(ServerAddress address, Signals& signals) : address_(std::move(address)), signals_(signals) {
  if (!address_.tls) return;
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (context_ == nullptr) throw StoreError("TLS can't be used: " + tls_reason());
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  if (address_.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context_.get());
  } else if (SSL_CTX_load_verify_locations(context_.get(), address_.ca_file.c_str(), nullptr) != 1) {
    throw UsageError(fmt::format("--cacert {} can't be read: {}", address_.ca_file, tls_reason()));
  }
  if (!address_.cert_file.empty() && SSL_CTX_use_certificate_chain_file(context_.get(), address_.cert_file.c_str()) != 1) {
    throw UsageError(fmt::format("--cert {} can't be read: {}", address_.cert_file, tls_reason()));
  }
  if (!address_.key_file.empty() &&
      SSL_CTX_use_PrivateKey_file(context_.get(), address_.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw UsageError(fmt::format("--key {} can't be used: {}", address_.key_file, tls_reason()));
  }
}

ServerLink::~ServerLink() { close(); }

std::string ServerLink::name() const {
  if (!address_.unixsocket.empty()) return address_.unixsocket;
  const bool brackets = address_.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", address_.host, brackets ? "]" : "", address_.port);
}

void ServerLink::close() {
  tls_.reset();
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  reader_.clear();
}

bool ServerLink::wait(short events, int timeout_ms) {
  for (;;) {
    std::array<pollfd, 2> descriptors{pollfd{socket_, events, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
    const int ready = ::poll(descriptors.data(), descriptors.size(), timeout_ms);
    if (ready == 0) return false;
    if (ready < 0 && errno != EINTR)
      throw LinkLost(fmt::format("the connection can't be waited for: {}", std::strerror(errno)));
    signals_.check();
    if (ready > 0 && descriptors[0].revents != 0) return true;
  }
}

void ServerLink::open() {
  close();
  try {
    address_.unixsocket.empty() ? connect_tcp() : connect_unix();
    if (address_.tls) start_tls();
  } catch (...) {
    close();
    throw;
  }
}

void ServerLink::connect_to(int family, const void* address, unsigned size) {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  socket_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (socket_ < 0) throw StoreError(fmt::format("no connection to {}: {}", name(), std::strerror(errno)));
  int error = ::connect(socket_, static_cast<const sockaddr*>(address), size) == 0 ? 0 : errno;
  if (error == EINPROGRESS || error == EINTR) {
    if (!wait(POLLOUT, kConnectMilliseconds)) throw StoreError(fmt::format("no connection to {}: it doesn't answer", name()));
    socklen_t length = sizeof error;
    ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &length);
  }
  if (error != 0) {
    const char* advice = error != ECONNREFUSED && error != ENOENT ? ""
                         : address_.unixsocket.empty()
                             ? "; start cubby serve, or name --port, or --dir to work without a server"
                             : "; no server is there: start cubby serve --unixsocket";
    throw StoreError(fmt::format("no connection to {}: {}{}", name(), std::strerror(error), advice));
  }
}

void ServerLink::connect_unix() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (address_.unixsocket.size() >= sizeof address.sun_path) {
    throw UsageError(fmt::format("--unixsocket {} is too long", address_.unixsocket));
  }
  std::memcpy(address.sun_path, address_.unixsocket.c_str(), address_.unixsocket.size() + 1);
  connect_to(AF_UNIX, &address, sizeof address);
}

void ServerLink::connect_tcp() {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address_.host.c_str(), address_.port.c_str(), &hints, &found);
  if (error != 0) throw StoreError(fmt::format("no connection to {}: {}", name(), ::gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);
  for (const addrinfo* at = found;; at = at->ai_next) {
    try {
      connect_to(at->ai_family, at->ai_addr, at->ai_addrlen);
      break;
    } catch (const StoreError&) {
      if (at->ai_next == nullptr) throw;
    }
  }
  const int yes = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  ::setsockopt(socket_, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
}

void ServerLink::start_tls() {
  tls_.reset(SSL_new(context_.get()));
  if (tls_ == nullptr || SSL_set_fd(tls_.get(), socket_) != 1) throw StoreError("TLS can't be used: " + tls_reason());
  const std::string& host = address_.host;
  if (is_ip(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), host.c_str());
  } else {
    SSL_set_tlsext_host_name(tls_.get(), host.c_str());
    SSL_set1_host(tls_.get(), host.c_str());
  }
  for (;;) {
    const int done = SSL_connect(tls_.get());
    if (done == 1) return;
    const int error = SSL_get_error(tls_.get(), done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
      const long verified = SSL_get_verify_result(tls_.get());
      const std::string reason = verified != X509_V_OK ? X509_verify_cert_error_string(verified) : tls_reason();
      throw StoreError(fmt::format("no TLS connection to {}: {}", name(), reason));
    }
    if (!wait(error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, kConnectMilliseconds)) {
      throw StoreError(fmt::format("no TLS connection to {}: it doesn't answer", name()));
    }
  }
}

void ServerLink::send(std::span<const std::string> command) {
  std::string bytes = fmt::format("*{}\r\n", command.size());
  for (const std::string& word : command) bytes.append(fmt::format("${}\r\n", word.size())).append(word).append("\r\n");
  for (std::string_view rest = bytes; !rest.empty();) {
    ssize_t sent = 0;
    short events = POLLOUT;
    if (tls_ != nullptr) {
      std::size_t count = 0;
      const int done = SSL_write_ex(tls_.get(), rest.data(), rest.size(), &count);
      const int error = done == 1 ? SSL_ERROR_NONE : SSL_get_error(tls_.get(), done);
      if (error == SSL_ERROR_WANT_READ) events = POLLIN;
      if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        throw LinkLost(fmt::format("the connection to {} is lost: {}", name(), tls_reason()));
      }
      sent = error == SSL_ERROR_NONE ? static_cast<ssize_t>(count) : -1;
    } else {
      sent = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        throw LinkLost(fmt::format("the connection to {} is lost: {}", name(), std::strerror(errno)));
      }
    }
    if (sent >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(sent));
    } else {
      wait(events, -1);
    }
  }
}

/// Reads what has come; false if there is nothing.
bool ServerLink::receive() {
  std::array<char, 16384> bytes;
  if (tls_ != nullptr) {
    std::size_t count = 0;
    const int done = SSL_read_ex(tls_.get(), bytes.data(), bytes.size(), &count);
    if (done == 1) {
      reader_.feed({bytes.data(), count});
      return true;
    }
    const int error = SSL_get_error(tls_.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return false;
    throw LinkLost(fmt::format("the connection to {} is lost: {}", name(),
                               error == SSL_ERROR_ZERO_RETURN ? "the server has closed it" : tls_reason()));
  }
  const ssize_t count = ::recv(socket_, bytes.data(), bytes.size(), 0);
  if (count > 0) {
    reader_.feed({bytes.data(), static_cast<std::size_t>(count)});
    return true;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  throw LinkLost(
      fmt::format("the connection to {} is lost: {}", name(), count == 0 ? "the server has closed it" : std::strerror(errno)));
}

std::optional<RespValue> ServerLink::take() {
  try {
    for (;;) {
      if (std::optional<RespValue> value = reader_.next()) return value;
      if (!receive()) return std::nullopt;
    }
  } catch (const RespError& error) {
    throw LinkLost(fmt::format("{}: {}", name(), error.what()));
  }
}

}  // namespace cubby::cli::shell
