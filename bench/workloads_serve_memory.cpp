// SPDX-License-Identifier: Apache-2.0
// Memory for values and for connections that do nothing. Each measurement has a server of its own.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serve.hpp"

namespace bench {
namespace {

/// redis-server gives what a connection doesn't need any more back after five seconds.
constexpr std::chrono::seconds kIdle(7);

void measure_values(const ServeRun& run, ServerKind kind, const Note& note) {
  const auto server = run.start(kind, "memory", false);
  server->control().command({"SET", "first", "1"});  // what is needed once only, out of the way
  server->control().command({"DEL", "first"});
  const double before = server->resident_bytes();
  const auto said_before = server->info("memory", "used_memory_rss");
  run.load(*server);
  server->wait_for_rest();
  const auto keys = static_cast<double>(run.serve.keys);
  note({kBytesEach, run.serve.keys, 1, name_of(kind)}, (server->resident_bytes() - before) / keys);
  const auto said = static_cast<double>(server->info("memory", "used_memory_rss") - said_before);
  note({"a million values: bytes each by used_memory_rss", run.serve.keys, 1, name_of(kind)}, said / keys);
}

void use(RespConnection& connection) {
  if (!connection.is_open()) throw std::runtime_error("the server takes no more connections");
  connection.command({"GET", "first"});
}

void measure_connections(const ServeRun& run, ServerKind kind, std::size_t count, const Note& note) {
  constexpr std::size_t kFirst = 50;
  const auto server = run.start(kind, "idle", false);
  server->control().command({"SET", "first", "1"});
  std::vector<RespConnection> connections;
  connections.reserve(kFirst + count);
  const auto open_more = [&](std::size_t more) {
    for (std::size_t i = 0; i < more; ++i) use(connections.emplace_back(server->port()));
    std::this_thread::sleep_for(kIdle);
    server->wait_for_rest();
    return server->resident_bytes();
  };
  const double before = open_more(kFirst);
  const double after = open_more(count);
  // One that was refused later would be missing here.
  if (server->info("clients", "connected_clients") != kFirst + count + 1) throw std::runtime_error("connections got lost");
  note({kBytesIdle, count, 1, name_of(kind)}, (after - before) / static_cast<double>(count));
}

/// As many descriptors as there may be, for us and the servers we start; returns how many that is.
std::size_t raise_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace

void run_serve_memory(ServeRun& run) {
  constexpr std::size_t kOthers = 200;
  const std::size_t descriptors = raise_descriptors();
  const auto wanted = static_cast<std::size_t>(run.serve.idle_connections);
  const std::size_t connections = std::min(wanted, descriptors > kOthers ? descriptors - kOthers : 0);
  if (connections < wanted) {
    run.remark("Only " + std::to_string(connections) + " idle connections: a process here may have no more descriptors.");
  }
  std::vector<Part> parts;
  for (const ServerKind kind : kServerKinds) {
    parts.push_back(
        {{kBytesEach, run.serve.keys, 1, name_of(kind)}, [&run, kind](const Note& note) { measure_values(run, kind, note); }});
  }
  for (const ServerKind kind : kServerKinds) {
    parts.push_back({{kBytesIdle, connections, 1, name_of(kind)},
                     [&run, kind, connections](const Note& note) { measure_connections(run, kind, connections, note); }});
  }
  run.rounds("serve, memory:", run.options.quick ? 1 : std::min(run.options.rounds, 3), std::move(parts));
}

}  // namespace bench
