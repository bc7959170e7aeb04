// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cubby/cubby.hpp>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "child_process.hpp"
#include "durable.hpp"
#include "redis_server.hpp"
#include "report.hpp"
#include "statistics.hpp"
#if CUBBY_BENCH_LEVELDB
#include "stores/leveldb_store.hpp"
#endif
#if CUBBY_BENCH_ROCKSDB
#include "stores/rocksdb_store.hpp"
#endif

namespace bench {
namespace {

constexpr std::size_t kKeys = 20'000;

std::string versions() {
  std::ostringstream out;
  out << "cubby " << CUBBY_VERSION;
#if CUBBY_BENCH_LEVELDB
  out << ", LevelDB " << LevelDbStore::version();
#else
  out << ", LevelDB not installed";
#endif
#if CUBBY_BENCH_ROCKSDB
  out << ", RocksDB " << RocksDbStore::version();
#else
  out << ", RocksDB not installed";
#endif
  out << ", redis-server " << (RedisServer::is_installed() ? RedisServer::version() : "not installed");
  std::string fio = "fio not installed";
  if (is_installed("fio")) {
    fio = output_of({"fio", "--version"});
    fio.erase(fio.find_last_not_of('\n') + 1);
  }
  out << ", " << fio;
  return out.str();
}

std::string at(int threads) { return ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"); }

class DurableRows {
 public:
  explicit DurableRows(const DurableRun& run) : run_(run), sessions_(run.durable.sessions) {}

  std::vector<Target> all();

 private:
  std::vector<double> measured(const Series& series) const { return rates(run_.results, series); }

  void row(std::string what, double bound, bool at_least, const Series& left, const Series& right, std::string note = {}) {
    const auto ratio = summarise(ratios(measured(left), measured(right)));
    targets_.push_back({std::move(what), bound, at_least, ratio, std::move(note)});
  }

  /// Of several stores the one of the highest median (`lowest`: of the lowest), the first if none was measured.
  std::string best(const char* workload, std::size_t entries, int threads, std::initializer_list<const char*> stores,
                   bool lowest = false) const {
    std::string found = *stores.begin();
    std::optional<double> record;
    for (const char* store : stores) {
      const auto summary = summarise(measured({workload, entries, threads, store}));
      if (!summary || (record && (lowest ? summary->median >= *record : summary->median <= *record))) continue;
      record = summary->median;
      found = store;
    }
    return found;
  }

  void against_peers(const std::string& what, double bound, const char* workload, int threads) {
    const std::string peer = best(workload, kKeys, threads, {"LevelDB", "RocksDB"});
    const bool known = !measured({workload, kKeys, threads, peer}).empty();
    std::string note = known ? peer : "not measured, or LevelDB and RocksDB not installed";
    row(what + at(threads), bound, true, {workload, kKeys, threads, kDurable}, {workload, kKeys, threads, peer},
        std::move(note));
  }

  void figure(const char* what, double bound, const std::string& name) {
    Target target{what, bound, false, std::nullopt, {}};
    const auto found = run_.results.figures.find(name);
    if (found != run_.results.figures.end()) target.measured = Summary{found->second, found->second, found->second};
    targets_.push_back(std::move(target));
  }

  void opening(const char* what, double bound, const char* workload) {
    const std::string redis = best(workload, sessions_, 1, {"redis-server", "redis-server, rdbcompression no"}, true);
    const bool known = !measured({workload, sessions_, 1, redis}).empty();
    row(what, bound, true, {workload, sessions_, 1, redis}, {workload, sessions_, 1, kDurable},
        known ? redis : "not measured, or redis-server not installed");
  }

  void reading(const std::string& what, const std::string& workload) {
    const auto against = [&](const std::string& how, double bound, const char* beside, const char* reference,
                             const std::string& kind = {}) {
      row(what + how, bound, true, {workload + kind, sessions_, 2, std::string(kDurable) + beside},
          {workload + kind, sessions_, 2, std::string(kInMemory) + reference});
    };
    against(", nothing beside, against in memory", 0.95, kAlone, kAlone);
    against(" beside a writer, against in memory beside the same writer", 0.95, kWithWriter, kWithWriter);
    against(" beside a writer and checkpoints, against in memory beside the same writer and a busy thread", 0.95,
            kWithWriterAndCheckpoint, kWithWriterAndBusy);
    against(" beside a writer and checkpoints, against in memory beside the same writer: by processor time", 0.95,
            kWithWriterAndCheckpoint, kWithWriter, kPerProcessor);
    against(" beside a writer and checkpoints, against in memory beside the same writer: by the clock", 0,
            kWithWriterAndCheckpoint, kWithWriter);
  }

  const DurableRun& run_;
  const std::size_t sessions_;
  std::vector<Target> targets_;
};

std::vector<Target> DurableRows::all() {
  const std::string many = with_commas(sessions_) + " sessions";
  for (const int threads : {1, 2}) {
    row("set, burst of 64 MiB of log, against in memory" + at(threads), 0.5, true, {kBurstRate, kKeys, threads, kDurable},
        {kBurstRate, kKeys, threads, kInMemory});
  }
  for (const int threads : {1, 2}) {
    row("set, sustained: bytes of log against what the disk takes sequentially" + at(threads), 0.8, true,
        {kSustainedBytes, kKeys, threads, kDurable}, {kSequentialBytes, 0, 1, run_.sequential_writer}, run_.sequential_writer);
  }
  for (const int threads : {1, 2}) {
    row("set, sustained, against in memory" + at(threads), 0, true, {kSustainedRate, kKeys, threads, kDurable},
        {kSustainedRate, kKeys, threads, kInMemory});
  }
  for (const int threads : {1, 2}) against_peers("set, burst, against the best peer with its log on", 5, kBurstRate, threads);
  for (const int threads : {1, 2}) {
    against_peers("set, sustained, against the best peer with its log on", 5, kSustainedRate, threads);
  }
  against_peers("set, each synced, against the best peer", 1.5, kAlwaysRate, 64);
  figure("log bytes of a push of an integer", 48, "log bytes/push");
  figure("log bytes of a shift of an integer", 48, "log bytes/shift");
  figure("log bytes of a push, 100,000 items there", 48, "log bytes/push, 100,000 items there");
  figure("log bytes of a shift, 100,000 items there", 48, "log bytes/shift, 100,000 items there");
  opening(("opening " + many + " against redis-server loading: times faster than its log says").c_str(), 2, kOpening);
  opening("the same from the start of the process, until redis-server answers (ours: until it has ended)", 0, kAnswering);
  const auto latency = [&](const char* what, double bound, const char* figure, const char* left, const char* right) {
    row(std::string(what) + ", " + many, bound, false, {figure, sessions_, 1, left}, {figure, sessions_, 1, right});
  };
  latency("p99 of set beside a checkpoint, against none", 2, kP99, kCheckpoint, kNoCheckpoint);
  latency("p99 of set beside a checkpoint, against a busy thread instead", 2, kP99, kCheckpoint, kBusyCore);
  reading("get", kGetRate);
  reading("visit", kVisitRate);
  return std::move(targets_);
}

}  // namespace

void write_durable_targets(std::ostream& out, const DurableRun& run) {
  out << "Medians of the ratios of each round, with their quartiles.\n\n";
  write_target_table(out, DurableRows(run).all());
}

void write_durable_report(const std::filesystem::path& path, const std::string& command, const DurableRun& run) {
  std::ostringstream out;
  out << "## Durable mode\n\n";
  out << "Measured on " << today() << " with `" << command << "`: " << run.options.rounds << " interleaved rounds, "
      << std::min(run.options.rounds, 3) << " of what is sustained for " << run.durable.sustain_seconds << " seconds.\n\n";
  out << "- Machine: " << machine() << ".\n";
  out << "- File system: " << file_system_of(run.folder()) << ".\n";
  out << "- Compiler: " << compiler() << ", optimised.\n";
  out << "- " << versions() << ", all with their default options.\n";
  if (!run.sequential_writing.empty()) out << "- Sequential writing: " << run.sequential_writing << ".\n";
  for (const std::string& remark : run.remarks) out << "- " << remark << "\n";
  out << "\n### What must be seen of durable mode\n\n";
  write_durable_targets(out, run);
  out << "\n### All measurements of durable mode\n\n";
  write_measurement_table(out, run.results, "threads", kDurable);
  replace_section(path, "durable", out.str());
}

}  // namespace bench
