// SPDX-License-Identifier: Apache-2.0
#include "server_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "child_process.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kPatience(300);
/// More than there are idle connections.
constexpr const char* kMaxClients = "10100";

std::vector<std::string> command_line_of(ServerKind kind, const ServerSettings& settings, std::uint16_t port,
                                         const std::filesystem::path& log) {
  const std::string folder = std::filesystem::absolute(settings.folder).string();
  const std::string port_text = std::to_string(port);
  if (kind == ServerKind::cubby) {
    std::vector<std::string> words = {settings.command.string(),
                                      "serve",
                                      "--bind",
                                      "127.0.0.1",
                                      "--port",
                                      port_text,
                                      "--http-port",
                                      "0",
                                      "--maxclients",
                                      kMaxClients,
                                      "--loglevel",
                                      "warning",
                                      "--logfile",
                                      log.string()};
    if (settings.durable) words.insert(words.end(), {"--dir", folder, "--sync", "100ms"});
    return words;
  }
  // Its file isn't compressed, as cubby's isn't: it needs less processor time so.
  return {"redis-server",
          "--bind",
          "127.0.0.1",
          "--port",
          port_text,
          "--dir",
          folder,
          "--save",
          "",
          "--maxclients",
          kMaxClients,
          "--appendonly",
          settings.durable ? "yes" : "no",
          "--appendfsync",
          "everysec",
          "--rdbcompression",
          "no",
          "--logfile",
          log.string(),
          "--daemonize",
          "no"};
}

std::uint64_t number_in(const std::string& info, const std::string& field) {
  const std::size_t place = info.find("\n" + field + ":");
  if (place == std::string::npos) throw std::runtime_error("INFO says nothing of " + field);
  return std::stoull(info.substr(place + field.size() + 2));
}

}  // namespace

ServerProcess::ServerProcess(ServerKind kind, const ServerSettings& settings)
    : kind_(kind), log_(std::filesystem::absolute(settings.folder) / "server.log"), port_(free_port()) {
  std::filesystem::create_directories(settings.folder);
  process_ = start_program(command_line_of(kind, settings, port_, log_));
  try {
    wait_for_answer();
  } catch (...) {
    kill_and_wait();
    throw;
  }
}

ServerProcess::~ServerProcess() { kill_and_wait(); }

std::uint64_t ServerProcess::info(const std::string& section, const std::string& field) {
  return number_in(control_->command({"INFO", section}), field);
}

ProcessorTime ServerProcess::processor_time() const {
  std::ifstream in("/proc/" + std::to_string(process_) + "/stat");
  std::string text;
  std::getline(in, text);
  const std::size_t name_end = text.rfind(')');  // the second field, which may hold anything
  if (name_end == std::string::npos) throw std::runtime_error(std::string(name_of(kind_)) + " has ended");
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0;
  double system = 0;
  double children_user = 0;
  double children_system = 0;
  fields >> user >> system >> children_user >> children_system;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  return {(user + children_user) / ticks, (system + children_system) / ticks};
}

double ServerProcess::resident_bytes() const {
  // Not VmRSS, which may lag behind by some pages a thread.
  std::ifstream in("/proc/" + std::to_string(process_) + "/smaps_rollup");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("Rss:")) return std::stod(line.substr(4)) * 1024;
  }
  throw std::runtime_error("cannot read the memory of " + std::string(name_of(kind_)));
}

void ServerProcess::wait_for_rest() const {
  constexpr milliseconds kLook(300);
  constexpr double kAtRest = 0.02;  // two of the kernel's steps
  const auto end = Clock::now() + kPatience;
  for (double before = -1; Clock::now() < end; std::this_thread::sleep_for(kLook)) {
    const ProcessorTime time = processor_time();
    if (before >= 0 && time.user + time.system - before < kAtRest) return;
    before = time.user + time.system;
  }
  throw std::runtime_error(std::string(name_of(kind_)) + " does not come to rest");
}

void ServerProcess::settle() {
  wait_for_save();
  if (kind_ == ServerKind::cubby) {
    control_->command({"SAVE"});
  } else {
    control_->command({"BGREWRITEAOF"});
    wait_for_save();
  }
  wait_for_rest();
}

void ServerProcess::wait_for_save() {
  const auto end = Clock::now() + kPatience;
  for (; Clock::now() < end; std::this_thread::sleep_for(milliseconds(20))) {
    const std::string text = control_->command({"INFO", "persistence"});
    if (number_in(text, "rdb_bgsave_in_progress") == 0 && number_in(text, "aof_rewrite_in_progress") == 0) return;
  }
  throw std::runtime_error(std::string(name_of(kind_)) + " does not end its saving");
}

void ServerProcess::wait_for_answer() {
  const auto end = Clock::now() + kPatience;
  for (; Clock::now() < end; std::this_thread::sleep_for(milliseconds(1))) {
    if (waitpid(process_, nullptr, WNOHANG) == process_) {
      process_ = 0;
      throw std::runtime_error(std::string(name_of(kind_)) + " ended: see " + log_.string());
    }
    if (!control_ || !control_->is_open()) control_.emplace(port_);
    if (control_->is_open() && control_->try_command({"PING"}) == "PONG") return;
  }
  throw std::runtime_error(std::string(name_of(kind_)) + " did not answer");
}

void ServerProcess::kill_and_wait() noexcept {
  control_.reset();
  if (process_ == 0) return;
  kill(process_, SIGKILL);  // nothing of it is needed any more
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

}  // namespace bench
