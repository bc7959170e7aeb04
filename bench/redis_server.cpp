// SPDX-License-Identifier: Apache-2.0
#include "redis_server.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "child_process.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kProgram = "redis-server";
constexpr const char* kSocket = "redis.sock";
constexpr std::chrono::seconds kPatience(300);

void append_word(std::string& text, std::string_view word) {
  text += "$" + std::to_string(word.size()) + "\r\n";
  text.append(word);
  text += "\r\n";
}

}  // namespace

RedisServer::RedisServer(const std::filesystem::path& folder, const std::string& file)
    : folder_(folder), log_(folder / "redis.log") {
  std::filesystem::remove(log_);
  std::filesystem::remove(folder_ / kSocket);
  const auto start = Clock::now();
  process_ = start_program({kProgram, "--dir", std::filesystem::absolute(folder_).string(), "--dbfilename", file, "--port", "0",
                            "--unixsocket", kSocket, "--save", "", "--appendonly", "no", "--logfile",
                            std::filesystem::absolute(log_).string(), "--daemonize", "no"});
  try {
    wait_for_answer();
  } catch (...) {
    kill_and_wait();
    throw;
  }
  seconds_to_answer_ = std::chrono::duration<double>(Clock::now() - start).count();
}

RedisServer::~RedisServer() { kill_and_wait(); }

bool RedisServer::is_installed() { return bench::is_installed(kProgram); }

std::string RedisServer::version() {
  const std::string text = output_of({kProgram, "--version"});  // "Redis server v=7.0.15 sha=..."
  const std::size_t begin = text.find("v=");
  return begin == std::string::npos ? text : text.substr(begin + 2, text.find(' ', begin) - begin - 2);
}

double RedisServer::seconds_to_load() const {
  constexpr std::string_view kLine = "DB loaded from disk: ";
  std::ifstream in(log_);
  for (std::string line; std::getline(in, line);) {
    const std::size_t place = line.find(kLine);
    if (place != std::string::npos) return std::stod(line.substr(place + kLine.size()));
  }
  throw std::runtime_error("redis-server did not load its file: see " + log_.string());
}

std::string RedisServer::command(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) append_word(text, word);
  send(text);
  const std::string reply = receive_line();
  if (reply.starts_with('-')) throw std::runtime_error("redis-server: " + reply.substr(1));
  return reply.substr(1);
}

void RedisServer::set_all(std::size_t count, const std::function<std::string(std::size_t)>& key,
                          const std::function<std::string(std::size_t)>& value) {
  constexpr std::size_t kAtOnce = 1000;
  for (std::size_t begin = 0; begin < count; begin += kAtOnce) {
    const std::size_t end = std::min(count, begin + kAtOnce);
    std::string text;
    for (std::size_t i = begin; i < end; ++i) {
      text += "*3\r\n$3\r\nSET\r\n";
      append_word(text, key(i));
      append_word(text, value(i));
    }
    send(text);
    for (std::size_t i = begin; i < end; ++i) {
      if (const std::string reply = receive_line(); reply != "+OK") throw std::runtime_error("redis-server: " + reply);
    }
  }
}

bool RedisServer::connect_once() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // As it is known from here: a path from the root may be longer than what fits.
  const std::string path = (folder_ / kSocket).string();
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("too long for a socket: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) throw std::runtime_error("cannot make a socket");
  const timeval patience{kPatience.count(), 0};
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
  close(socket_);
  socket_ = -1;
  return false;
}

void RedisServer::wait_for_answer() {
  const auto end = Clock::now() + kPatience;
  for (bool connected = false; Clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    if (waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = 0;
      throw std::runtime_error("redis-server ended: see " + log_.string());
    }
    if (!connected) connected = connect_once();
    if (!connected) continue;
    send("*1\r\n$4\r\nPING\r\n");
    if (receive_line() == "+PONG") return;  // else "-LOADING ..."
  }
  throw std::runtime_error("redis-server did not answer");
}

void RedisServer::kill_and_wait() noexcept {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
  if (process_ == 0) return;
  kill(process_, SIGKILL);  // nothing of it is needed any more
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

void RedisServer::send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("redis-server takes no commands");
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string RedisServer::receive_line() {
  std::size_t end = 0;
  while ((end = received_.find("\r\n")) == std::string::npos) {
    std::array<char, 16384> buffer{};
    const ssize_t got = recv(socket_, buffer.data(), buffer.size(), 0);
    if (got <= 0) throw std::runtime_error("redis-server gives no answer");
    received_.append(buffer.data(), static_cast<std::size_t>(got));
  }
  std::string line = received_.substr(0, end);
  received_.erase(0, end + 2);
  return line;
}

}  // namespace bench
