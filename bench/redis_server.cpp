// SPDX-License-Identifier: Apache-2.0
#include "redis_server.hpp"

#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "child_process.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kProgram = "redis-server";
constexpr const char* kSocket = "redis.sock";
constexpr std::chrono::seconds kPatience(300);

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

void RedisServer::set_all(std::size_t count, const std::function<std::string(std::size_t)>& key,
                          const std::function<std::string(std::size_t)>& value) {
  connection_->pipeline(count, [&](std::size_t i, std::string& text) {
    RespConnection::append_command(text, {"SET", key(i), value(i)});
  });
}

void RedisServer::wait_for_answer() {
  const auto end = Clock::now() + kPatience;
  for (; Clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    if (waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = 0;
      throw std::runtime_error("redis-server ended: see " + log_.string());
    }
    // As it is known from here: a path from the root may be longer than what fits.
    if (!connection_ || !connection_->is_open()) connection_.emplace(folder_ / kSocket);
    if (connection_->is_open() && connection_->try_command({"PING"}) == "PONG") return;  // else "-LOADING ..."
  }
  throw std::runtime_error("redis-server did not answer");
}

void RedisServer::kill_and_wait() noexcept {
  connection_.reset();
  if (process_ == 0) return;
  kill(process_, SIGKILL);  // nothing of it is needed any more
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

}  // namespace bench
