// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "child_process.hpp"
#include "durable.hpp"
#include "harness.hpp"
#include "report.hpp"
#include "serve.hpp"
#include "workloads.hpp"

namespace {

std::vector<int> default_threads() {
  std::vector<int> counts = {1, 2};
  for (const int count : {4, 8, 16}) {
    if (count <= static_cast<int>(std::thread::hardware_concurrency())) counts.push_back(count);
  }
  counts.push_back(1000);
  return counts;
}

/// As it is typed, without what says where the results go.
std::string command_line(int argc, char** argv) {
  std::string command = "./dev bench";
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--report" || argument == "--raw") {
      ++i;
    } else {
      command += " " + argument;
    }
  }
  return command;
}

/// A group that fails (a full disk, a redis-server that won't start) leaves the others their results.
template <class Run>
void run_groups(Run& run, std::initializer_list<std::pair<const char*, void (*)(Run&)>> groups) {
  for (const auto& [name, group] : groups) {
    try {
      group(run);
    } catch (const std::exception& error) {
      run.remark(std::string("Failed: ") + name + ": " + error.what());
      std::fprintf(stderr, "\n%s: %s\n", name, error.what());
    }
  }
}

void run_durable(bench::DurableRun& run) {
  run_groups<bench::DurableRun>(run, {{"log", bench::run_durable_log},
                                      {"writes", bench::run_durable_writes},
                                      {"synced writes", bench::run_durable_always},
                                      {"opening", bench::run_durable_opening},
                                      {"checkpoints", bench::run_durable_checkpoints}});
}

void run_serve(bench::ServeRun& run) {
  if (!run.options.list) {
    if (run.serve.cubby.empty()) throw std::runtime_error("which cubby? it wasn't built with this: --cubby PATH");
    for (const char* program : {"redis-server", "redis-benchmark"}) {
      if (!bench::is_installed(program)) throw std::runtime_error(std::string(program) + " isn't installed");
    }
  }
  run_groups<bench::ServeRun>(
      run,
      {{"memory", bench::run_serve_memory}, {"commands", bench::run_serve_commands}, {"durable", bench::run_serve_durable}});
}

int run(int argc, char** argv) {
  CLI::App app("Measures cubby against the design it replaces, against its peers and against the unsynchronised ceiling.");
  std::string mode = "full";
  std::string filter;
  std::string report;
  std::string raw;
  int rounds = 0;
  int slice = 0;
  bench::RunOptions options;
  options.threads = default_threads();
  bench::DurableOptions durable;
  bench::ServeOptions serve;
#ifdef CUBBY_BENCH_COMMAND
  serve.cubby = CUBBY_BENCH_COMMAND;
#endif
  app.add_option(
         "mode", mode,
         "full, quick (four minutes, three rounds, the main rows), durable (half an hour), or serve (a quarter of an hour)")
      ->check(CLI::IsMember({"full", "quick", "durable", "serve"}));
  app.add_flag("--quick", options.quick, "serve: two rounds, short ones; without a mode: the mode quick");
  app.add_option("--filter", filter,
                 "only series \"workload/entries/threads/store\" in which this regular expression is found");
  app.add_option("--rounds", rounds, "interleaved rounds (7; quick 3)")->check(CLI::PositiveNumber);
  app.add_option("--slice-ms", slice, "length of a slice; 2.5 times that at 1000 threads (160; quick 60)")
      ->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "thread counts, as 1,2,1000")->delimiter(',');
  app.add_option("--report", report, "Markdown file to put the report into, plots beside it");
  app.add_option("--raw", raw, "file for all single measurements, JSON");
  app.add_flag("--list", options.list, "print the names of the series and stop");
  app.add_flag("--cpu-time", options.processor_time, "rates by processor time, which says more on a machine that is busy");
  app.add_option("--sustain-seconds", durable.sustain_seconds, "durable: how long what is sustained is (60; 0: leave it out)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--always-seconds", durable.always_seconds, "durable: length of a slice of synced writes (5)")
      ->check(CLI::PositiveNumber);
  app.add_option("--sessions", durable.sessions, "durable: sessions in a checkpoint (1000000)")->check(CLI::PositiveNumber);
  app.add_option("--cubby", serve.cubby, "serve: the command that is started (the one that was built with this)");
  app.add_option("--keys", serve.keys, "serve: keys (1000000)")->check(CLI::Range(1000, 100'000'000));
  app.add_option("--data", durable.parent, "durable, serve: where the data's folder is made, and removed (build)");
  app.footer(
      "Examples:\n  cubby_bench quick\n  cubby_bench --filter '^(get|visit)/20000/2/' --rounds 15\n  cubby_bench --report "
      "docs/benchmarks.md\n  cubby_bench durable --rounds 3 --sustain-seconds 10\n  cubby_bench serve --quick");
  CLI11_PARSE(app, argc, argv);
  options.quick = options.quick || mode == "quick";
  options.rounds = rounds != 0 ? rounds : !options.quick ? 7 : mode == "serve" ? 2 : 3;
  options.slice = bench::milliseconds(slice != 0 ? slice : options.quick ? 60 : 160);
  if (!filter.empty()) options.filter = std::regex(filter);

  const auto start = std::chrono::steady_clock::now();
  const auto done = [start] {
    const auto minutes = std::chrono::duration<double, std::ratio<60>>(std::chrono::steady_clock::now() - start).count();
    std::fprintf(stderr, "done in %.1f minutes\n", minutes);
  };
  bench::Results results;
  if (mode == "durable") {
    bench::DurableRun run(options, durable, results);
    run_durable(run);
    if (options.list) return 0;
    bench::write_durable_targets(std::cout, run);
    if (!raw.empty()) bench::write_raw(raw, results);
    if (!report.empty()) bench::write_durable_report(report, command_line(argc, argv), run);
    done();
    return 0;
  }
  if (mode == "serve") {
    serve.parent = durable.parent;
    bench::ServeRun run(options, serve, results);
    run_serve(run);
    if (options.list) return 0;
    bench::write_serve_targets(std::cout, run);
    if (!raw.empty()) bench::write_raw(raw, results);
    if (!report.empty()) bench::write_serve_report(report, command_line(argc, argv), run);
    done();
    return 0;
  }
  bench::run_sessions(options, results, 20'000);
  bench::run_deadlines(options, results, 20'000);
  bench::run_counters_and_queues(options, results);
  bench::run_waiting(options, results);
  bench::run_sessions(options, results, 1'000'000);
  if (!options.quick) bench::run_deadlines(options, results, 1'000'000);
  bench::run_processes(options, results);
  if (options.list) return 0;

  bench::write_targets(std::cout, results);
  if (!raw.empty()) bench::write_raw(raw, results);
  if (!report.empty()) bench::write_report(report, command_line(argc, argv), options, results);
  done();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 3 && std::string(argv[1]) == "--child") return bench::run_child(argv[2]);
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cubby_bench: %s\n", error.what());
    return 1;
  }
}
