// SPDX-License-Identifier: Apache-2.0
#include "harness.hpp"

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <ctime>
#include <utility>

namespace bench {
namespace {

/// Many times a slice; loading a store of a million sessions stays below it.
constexpr std::chrono::seconds kHung(6);

struct Planned {
  Series series;
  int round = 0;
};

/// Files what Google Benchmark measured, run by run in the order of registration, and shows where we are.
class Recorder : public benchmark::BenchmarkReporter {
 public:
  Recorder(const char* title, std::vector<Planned> plan, int rounds, Results& results)
      : title_(title), plan_(std::move(plan)), rounds_(rounds), results_(results), terminal_(isatty(STDERR_FILENO) != 0) {}

  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const Planned& planned = plan_[next_++];
      const double rate = run.counters.contains("items_per_second") ? run.counters.at("items_per_second").value : 0.0;
      std::vector<double>& rates = results_.series[planned.series];
      rates.resize(static_cast<std::size_t>(rounds_));
      rates[static_cast<std::size_t>(planned.round)] = rate;
      if (terminal_) {
        std::fprintf(stderr, "\r\033[K%s %3zu%%  round %d/%d  %s  %.2f M/s", title_, next_ * 100 / plan_.size(),
                     planned.round + 1, rounds_, planned.series.name().c_str(), rate / 1e6);
      } else if (next_ == plan_.size() || plan_[next_].round != planned.round) {
        std::fprintf(stderr, "%s %3zu%%  round %d/%d done\n", title_, next_ * 100 / plan_.size(), planned.round + 1, rounds_);
      }
    }
  }

  void Finalize() override {
    if (terminal_) std::fputs("\r\033[K", stderr);
  }

 private:
  const char* title_;
  std::vector<Planned> plan_;
  int rounds_;
  Results& results_;
  bool terminal_;
  std::size_t next_ = 0;
};

}  // namespace

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

std::string Series::name() const {
  return workload + "/" + std::to_string(entries) + "/" + std::to_string(threads) + "/" + store;
}

void run_group(const char* title, Group group, const RunOptions& options, Results& results) {
  for (Block& block : group) {
    std::erase_if(block.cases, [&](const Case& one) {
      return !std::regex_search(Series{block.workload, block.entries, block.threads, one.store}.name(), options.filter);
    });
  }
  std::vector<Planned> plan;
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t b = 0; b < group.size(); ++b) {
      Block& block = group[b];
      for (std::size_t i = 0; i < block.cases.size(); ++i) {
        Case& one = block.cases[(i + b + static_cast<std::size_t>(round)) % block.cases.size()];
        plan.push_back({{block.workload, block.entries, block.threads, one.store}, round});
        const std::string name = plan.back().series.name();
        if (options.list) {
          if (round == 0) std::puts(name.c_str());
          continue;
        }
        const Timing timing = options.timing(block.entries, block.threads);
        const int cores = std::min(block.threads, static_cast<int>(std::thread::hardware_concurrency()));
        const int patience = options.quick ? 1 : 3;
        const double share = options.processor_time ? 1.0 / cores : 0.0;
        benchmark::RegisterBenchmark(name.c_str(),
                                     [&one, timing, share, patience](benchmark::State& state) {
                                       std::uint64_t operations = 0;
                                       const auto start = std::chrono::steady_clock::now();
                                       for (auto _ : state) {
                                         if (one.hung >= patience) {
                                           state.SkipWithError("left out");
                                           return;
                                         }
                                         const Slice slice = one.run(timing);
                                         operations += slice.operations;
                                         state.SetIterationTime(share > 0 ? slice.processor_seconds * share : slice.seconds);
                                         if (std::chrono::steady_clock::now() - start > kHung) ++one.hung;
                                       }
                                       state.SetItemsProcessed(static_cast<std::int64_t>(operations));
                                     })
            ->Iterations(1)
            ->UseManualTime();
      }
    }
  }
  if (options.list || plan.empty()) return;
  Recorder recorder(title, std::move(plan), options.rounds, results);
  benchmark::RunSpecifiedBenchmarks(&recorder);
  benchmark::ClearRegisteredBenchmarks();
}

}  // namespace bench
