// SPDX-License-Identifier: Apache-2.0
#include "serve.hpp"

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string_view>

#include "child_process.hpp"
#include "dataset.hpp"

namespace bench {
namespace {

std::vector<std::string> redis_benchmark(const ServerProcess& server, const Load& load, std::size_t operations) {
  std::vector<std::string> words = {"redis-benchmark", "-h", "127.0.0.1", "-p", std::to_string(server.port())};
  words.insert(words.end(), {"-c", std::to_string(kServedClients), "-P", std::to_string(load.pipeline)});
  words.insert(words.end(), {"-n", std::to_string(operations), "-r", std::to_string(load.range)});
  words.insert(words.end(), {"-d", std::to_string(kServedValueBytes), "--csv"});
  words.insert(words.end(), load.arguments.begin(), load.arguments.end());
  return words;
}

/// "GET","123456.78","0.123",... below a line of names; the name of a command may hold anything but this separator.
double rate_in(const std::string& csv) {
  constexpr std::string_view kSeparator = "\",\"";
  const std::size_t line = csv.find('\n');
  const std::size_t place = line == std::string::npos ? line : csv.find(kSeparator, line);
  if (place == std::string::npos) throw std::runtime_error("redis-benchmark says nothing of its rate: " + csv);
  return std::stod(csv.substr(place + kSeparator.size()));
}

}  // namespace

std::string key_name(std::size_t i) {
  char name[32];
  std::snprintf(name, sizeof name, "key:%012zu", i);
  return name;
}

std::string value_text(std::size_t i) {
  static constexpr char kDigits[] = "0123456789abcdef";
  Random random(i);
  std::string text;
  text.reserve(kServedValueBytes);
  while (text.size() < kServedValueBytes) {
    std::uint64_t bits = random();
    for (int digit = 0; digit < 8 && text.size() < kServedValueBytes; ++digit, bits <<= 4) text += kDigits[bits >> 60];
  }
  return text;
}

std::unique_ptr<ServerProcess> ServeRun::start(ServerKind kind, const std::string& purpose, bool durable) const {
  const std::string name = purpose + (kind == ServerKind::cubby ? "-cubby" : "-redis");
  return std::make_unique<ServerProcess>(kind, ServerSettings{folder() / name, durable, serve.cubby});
}

void ServeRun::load(ServerProcess& server) const {
  server.control().pipeline(serve.keys, [](std::size_t i, std::string& text) {
    RespConnection::append_command(text, {"SET", key_name(i), value_text(i)});
  });
  if (server.control().command({"DBSIZE"}) != std::to_string(serve.keys)) throw std::runtime_error("a server lacks keys");
}

ServerProcess& ServerPair::operator[](ServerKind kind) {
  std::unique_ptr<ServerProcess>& server = servers_[kind];
  if (!server) {
    std::unique_ptr<ServerProcess> started = run_.start(kind, purpose_, durable_);
    fill_(*started);
    started->wait_for_rest();
    server = std::move(started);
  }
  return *server;
}

void measure_load(ServerProcess& server, const Load& load, std::size_t operations, std::size_t keys, bool rests,
                  const Note& note) {
  const std::uint64_t commands_before = server.info("stats", "total_commands_processed");
  const ProcessorTime before = server.processor_time();
  const double rate = rate_of(server, load, operations);
  if (rests) {
    server.wait_for_save();
    server.wait_for_rest();
  }
  const ProcessorTime after = server.processor_time();
  // Beside what is measured there is what redis-benchmark asks at its beginning, and what we ask for; a checkpoint is waited
  // for at 50 questions a second.
  constexpr std::uint64_t kOthers = 10'000;
  const std::uint64_t commands = server.info("stats", "total_commands_processed") - commands_before;
  if (commands < operations || commands > operations + kOthers) {
    throw std::runtime_error("redis-benchmark sent " + std::to_string(commands) + " commands");
  }
  const auto noted = [&](const char* what, double value) {
    note({load.workload + what, keys, kServedClients, name_of(server.kind())}, value);
  };
  const double each = 1e9 / static_cast<double>(operations);
  noted(kUserTime, (after.user - before.user) * each);
  noted(kSystemTime, (after.system - before.system) * each);
  noted(kTotalTime, (after.user + after.system - before.user - before.system) * each);
  noted(": a second", rate);
}

double rate_of(const ServerProcess& server, const Load& load, std::size_t operations) {
  return rate_in(output_of(redis_benchmark(server, load, operations)));
}

}  // namespace bench
