// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cubby/cubby.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "redis_server.hpp"
#include "report.hpp"
#include "serve.hpp"
#include "statistics.hpp"

namespace bench {
namespace {

class ServeRows {
 public:
  explicit ServeRows(const ServeRun& run) : run_(run) {}

  std::vector<Target> all();

 private:
  std::optional<Summary> measured(const std::string& workload, std::size_t entries, int threads, ServerKind kind) const {
    return summarise(rates(run_.results, {workload, entries, threads, name_of(kind)}));
  }

  /// cubby's against Redis's, round by round; without a bound it is there to be read only.
  void row(std::string what, std::optional<double> at_most, const std::string& workload, int threads, const char* unit,
           double unit_size = 1) {
    const std::size_t keys = run_.serve.keys;
    const auto ratio = summarise(ratios(rates(run_.results, {workload, keys, threads, name_of(ServerKind::cubby)}),
                                        rates(run_.results, {workload, keys, threads, name_of(ServerKind::redis)})));
    std::string note;
    const auto ours = measured(workload, keys, threads, ServerKind::cubby);
    const auto theirs = measured(workload, keys, threads, ServerKind::redis);
    if (ours && theirs)
      note = decimal(ours->median / unit_size) + " against " + decimal(theirs->median / unit_size) + " " + unit;
    targets_.push_back({std::move(what), at_most.value_or(0), !at_most, ratio, std::move(note)});
  }

  void time(const char* workload, const char* which, std::optional<double> at_most) {
    const std::string series = std::string(workload) + which;
    row(std::string(workload) + (which == kUserTime ? ": user time" : ": user and system time"), at_most, series,
        kServedClients, "ns");
  }

  void idle() {
    Target target{"", 8, false, std::nullopt, {}};
    std::size_t connections = 0;
    for (const auto& [series, values] : run_.results.series) {
      if (series.workload != kBytesIdle) continue;
      connections = series.entries;
      auto summary = summarise(values);
      if (!summary) continue;
      for (double* number : {&summary->median, &summary->lower, &summary->upper}) *number /= 1024;
      if (series.store == name_of(ServerKind::cubby)) {
        target.measured = summary;
      } else {
        target.note = "redis-server: " + decimal(summary->median);
      }
    }
    target.what = with_commas(connections) + " idle connections: KiB each";
    targets_.push_back(std::move(target));
  }

  const ServeRun& run_;
  std::vector<Target> targets_;
};

std::vector<Target> ServeRows::all() {
  for (const char* workload : {kGetDeep, kSetDeep}) {
    time(workload, kUserTime, 0.25);
    time(workload, kTotalTime, 0.4);
  }
  for (const char* workload : {kGetAlone, kSetAlone}) {
    time(workload, kUserTime, std::nullopt);
    time(workload, kTotalTime, 1.0);
  }
  for (const char* workload : {kSetLogged, kSetRewritten}) time(workload, kTotalTime, 0.3);
  for (const char* workload : {kLpush, kRpop, kIncr, kHsetMany, kHsetOne}) time(workload, kTotalTime, 0.5);
  row("memory for " + with_commas(run_.serve.keys) + " values of 200 bytes", 1.0, kBytesEach, 1, "bytes each");
  constexpr double kNanosecondsAMillisecond = 1e6;
  const std::string paced = kPacedGet;
  row("p99.9 of GET at half of redis-server's peak load, while a checkpoint runs", 1.0, paced + kBesideSave + kP999,
      kServedClients, "ms", kNanosecondsAMillisecond);
  row("the same without one", std::nullopt, paced + kP999, kServedClients, "ms", kNanosecondsAMillisecond);
  idle();
  return std::move(targets_);
}

}  // namespace

void write_serve_targets(std::ostream& out, const ServeRun& run) {
  out << "cubby divided by redis-server: medians of the ratios of each round, with their quartiles.\n\n";
  write_target_table(out, ServeRows(run).all());
}

void write_serve_report(const std::filesystem::path& path, const std::string& command, const ServeRun& run) {
  std::ostringstream out;
  out << "## The server\n\n";
  out << "Measured on " << today() << " with `" << command << "`: " << run.options.rounds << " interleaved rounds, "
      << std::min(run.options.rounds, 3) << " of memory.\n\n";
  out << "- Machine: " << machine() << ".\n";
  out << "- File system: " << file_system_of(run.folder()) << ".\n";
  out << "- Compiler: " << compiler() << ", optimised.\n";
  out << "- cubby " << CUBBY_VERSION << ", redis-server " << RedisServer::version()
      << ", redis-server without snapshots by itself and without compression of its files, both else with their default "
         "options but for what the rows name; redis-benchmark of the same version, over loopback TCP. Valkey is missing: "
         "Debian 12 has no package of it.\n";
  for (const std::string& remark : run.remarks) out << "- " << remark << "\n";
  out << "\n### What must be seen of the server\n\n";
  write_serve_targets(out, run);
  out << "\n### All measurements of the server\n\n";
  write_measurement_table(out, run.results, "clients");
  replace_section(path, "serve", out.str());
}

}  // namespace bench
