// SPDX-License-Identifier: Apache-2.0
#include "resp_connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace bench {
namespace {

constexpr timeval kPatience{300, 0};

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// -1 if nobody listens there.
int connected(int family, const sockaddr* address, socklen_t size) {
  const int socket = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw std::runtime_error(std::string("cannot make a socket: ") + std::strerror(errno));
  if (connect(socket, address, size) == 0) return socket;
  close(socket);
  return -1;
}

}  // namespace

RespConnection::RespConnection(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket.string();
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  socket_ = connected(AF_UNIX, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (is_open()) be_patient();
}

RespConnection::RespConnection(std::uint16_t port) {
  const sockaddr_in address = loopback(port);
  socket_ = connected(AF_INET, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (!is_open()) return;
  be_patient();
  const int yes = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  const linger at_once{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

RespConnection::RespConnection(RespConnection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      received_(std::move(other.received_)),
      looked_at_(std::exchange(other.looked_at_, 0)) {}

void RespConnection::close() noexcept {
  if (is_open()) ::close(socket_);
  socket_ = -1;
}

std::string RespConnection::command(const std::vector<std::string>& words) {
  std::string reply = try_command(words);
  if (reply.starts_with('-')) throw std::runtime_error("the server says: " + reply.substr(1));
  return reply;
}

std::string RespConnection::try_command(const std::vector<std::string>& words) {
  std::string text;
  append_command(text, {words.begin(), words.end()});
  send(text);
  return receive();
}

void RespConnection::pipeline(std::size_t count, const std::function<void(std::size_t, std::string&)>& append) {
  constexpr std::size_t kAtOnce = 500;
  for (std::size_t begin = 0; begin < count; begin += kAtOnce) {
    const std::size_t end = std::min(count, begin + kAtOnce);
    std::string text;
    for (std::size_t i = begin; i < end; ++i) append(i, text);
    send(text);
    for (std::size_t i = begin; i < end; ++i) {
      if (const std::string reply = receive(); reply.starts_with('-')) {
        throw std::runtime_error("the server says: " + reply.substr(1));
      }
    }
  }
}

void RespConnection::append_command(std::string& text, const std::vector<std::string_view>& words) {
  text += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    text += "$" + std::to_string(word.size()) + "\r\n";
    text.append(word);
    text += "\r\n";
  }
}

void RespConnection::be_patient() const { setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience); }

void RespConnection::send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("the server takes no commands");
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string RespConnection::receive() {
  std::string line = receive_line();
  if (line.starts_with('-')) return line;
  const bool is_text = line.starts_with('$') && line != "$-1";
  line.erase(0, 1);
  if (!is_text) return line;
  const std::size_t size = std::stoull(line);
  while (received_.size() - looked_at_ < size + 2) receive_more();
  std::string text = received_.substr(looked_at_, size);
  looked_at_ += size + 2;
  return text;
}

std::string RespConnection::receive_line() {
  std::size_t end = 0;
  while ((end = received_.find("\r\n", looked_at_)) == std::string::npos) receive_more();
  std::string line = received_.substr(looked_at_, end - looked_at_);
  looked_at_ = end + 2;
  return line;
}

void RespConnection::receive_more() {
  received_.erase(0, std::exchange(looked_at_, 0));
  std::array<char, 16384> buffer;
  const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
  if (got <= 0) throw std::runtime_error("the server gives no answer");
  received_.append(buffer.data(), static_cast<std::size_t>(got));
}

std::uint16_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw std::runtime_error("cannot make a socket");
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  const bool found = bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                     getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  close(socket);
  if (!found) throw std::runtime_error("no port is free");
  return ntohs(address.sin_port);
}

}  // namespace bench
