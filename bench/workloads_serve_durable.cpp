// SPDX-License-Identifier: Apache-2.0
// Processor time of logged writes, and reading at a given pace beside a checkpoint.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "paced_load.hpp"
#include "serve.hpp"

namespace bench {
namespace {

class Logged {
 public:
  explicit Logged(ServeRun& run)
      : run_(run), servers_(run, "durable", true, [&run](ServerProcess& server) { run.load(server); }) {}

  Part sets(const char* workload, ServerKind kind, std::size_t operations) {
    const std::size_t keys = run_.serve.keys;
    return {{workload, keys, kServedClients, name_of(kind)}, [=, this](const Note& note) {
              ServerProcess& server = settled(kind);
              measure_load(server, {workload, {"-t", "set"}, keys, 32}, operations, keys, true, note);
            }};
  }

  Part paced_gets(ServerKind kind, bool saves) {
    const Series series{kPacedGet + std::string(saves ? kBesideSave : ""), run_.serve.keys, kServedClients, name_of(kind)};
    return {series, [=, this](const Note& note) { time_gets(series, kind, saves, note); }};
  }

 private:
  ServerProcess& settled(ServerKind kind) {
    ServerProcess& server = servers_[kind];
    server.settle();
    sync_disk(run_.folder());
    return server;
  }

  /// Of redis-server, as redis-benchmark gets it without a pipeline; the highest of three.
  double half_of_peak() {
    double& half = run_.results.figures[kHalfOfPeak];
    if (half == 0) {
      const Load load{kGetAlone, {"-t", "get"}, run_.serve.keys, 1};
      for (int i = 0; i < 3; ++i) half = std::max(half, rate_of(servers_[ServerKind::redis], load, 100'000) / 2);
    }
    return half;
  }

  void time_gets(const Series& series, ServerKind kind, bool saves, const Note& note) {
    constexpr std::chrono::milliseconds kWarmUp(500);
    const std::chrono::milliseconds undisturbed(run_.options.quick ? 1000 : 3000);
    const double a_second = half_of_peak();
    ServerProcess& server = settled(kind);
    PacedLoad load({server.port(), kServedClients, a_second, run_.serve.keys, kServedValueBytes});
    std::this_thread::sleep_for(kWarmUp);
    const auto start = std::chrono::steady_clock::now();
    load.count(true);
    if (saves) {
      server.control().command({"BGSAVE"});
      server.wait_for_save();
    } else {
      std::this_thread::sleep_for(undisturbed);
    }
    load.count(false);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    load.stop();
    const auto noted = [&](const char* what, double value) {
      note({series.workload + what, series.entries, series.threads, series.store}, value);
    };
    noted(": p50, ns", load.latencies().quantile(0.5));
    noted(": p99, ns", load.latencies().quantile(0.99));
    noted(kP999, load.latencies().quantile(0.999));
    noted(": longest, ns", load.latencies().longest());
    noted(kLateP999, load.lateness().quantile(0.999));
    noted(": a second", static_cast<double>(load.latencies().count()) / seconds);
    if (saves) noted(": seconds of the checkpoint", seconds);
  }

  ServeRun& run_;
  ServerPair servers_;
};

}  // namespace

void run_serve_durable(ServeRun& run) {
  // A log of less than half of what the keys take, so that neither server begins to write its data anew, and one of twice that.
  const std::size_t little = run.serve.keys / 2 / 32 * 32;
  const std::size_t much = run.serve.keys * 2 / 32 * 32;
  Logged logged(run);
  std::vector<Part> parts;
  for (const ServerKind kind : kServerKinds) parts.push_back(logged.sets(kSetLogged, kind, little));
  if (!run.options.quick) {
    for (const ServerKind kind : kServerKinds) parts.push_back(logged.sets(kSetRewritten, kind, much));
  }
  for (const bool saves : {false, true}) {
    for (const ServerKind kind : kServerKinds) parts.push_back(logged.paced_gets(kind, saves));
  }
  run.rounds("serve, durable:", run.options.rounds, std::move(parts));
}

}  // namespace bench
