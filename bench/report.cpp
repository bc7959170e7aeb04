// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <sys/utsname.h>
#include <tbb/version.h>
#include <unistd.h>

#include <boost/version.hpp>
#include <cmath>
#include <ctime>
#include <cubby/cubby.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "plot.hpp"
#include "statistics.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

/// Tables in the order of a reader's questions; workloads that aren't named here follow.
const std::vector<std::string> kWorkloads = {"get",
                                             "visit",
                                             "set",
                                             "95/5",
                                             "90/10",
                                             "50/50",
                                             "90/10 visit",
                                             "50/50 visit",
                                             "visit one key",
                                             "get one key",
                                             "set one key",
                                             "YCSB A",
                                             "YCSB B",
                                             "YCSB C",
                                             "YCSB D",
                                             "YCSB F",
                                             "increment, own keys",
                                             "increment, one key",
                                             "push+shift, own queues",
                                             "push+shift, one queue",
                                             "push+shift, integers",
                                             "push+shift, 200-byte items",
                                             "deadlines",
                                             "wake-up"};

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

/// What the others' rates are divided by.
std::string reference_of(const std::string& workload) {
  if (workload == "deadlines") return kNoDeadline;
  if (workload == "push+shift, integers" || workload == "push+shift, 200-byte items") return kShortQueue;
  return "cubby";
}

void write_workload(std::ostream& out, const std::string& workload, const Results& results) {
  std::set<std::pair<std::size_t, int>> columns;
  std::vector<std::string> stores;
  const std::string reference = reference_of(workload);
  for (const auto& [series, measured] : results.series) {
    if (series.workload != workload) continue;
    columns.emplace(series.entries, series.threads);
    if (std::find(stores.begin(), stores.end(), series.store) != stores.end()) continue;
    stores.insert(series.store == reference ? stores.begin() : stores.end(), series.store);
  }
  if (columns.empty()) return;
  out << "### " << workload << "\n\n|";
  for (const auto& [entries, threads] : columns) {
    out << " | " << with_commas(entries) << (entries == 1 ? " key, " : " keys, ")
        << with_commas(static_cast<std::size_t>(threads)) << (threads == 1 ? " thread" : " threads");
  }
  out << " |\n|---";
  for (std::size_t i = 0; i < columns.size(); ++i) out << "|---";
  out << "|\n";
  for (const std::string& store : stores) {
    out << "| " << store;
    for (const auto& [entries, threads] : columns) {
      const std::vector<double> own = rates(results, {workload, entries, threads, store});
      const auto rate = summarise(own);
      out << " | ";
      if (!rate) {
        out << "-";
        continue;
      }
      out << decimal(rate->median / 1e6);
      const auto ratio = summarise(ratios(own, rates(results, {workload, entries, threads, reference})));
      if (ratio && store != reference) out << " (" << decimal(ratio->median) << ")";
    }
    out << " |\n";
  }
#if BOOST_VERSION < 108300
  if (std::find(stores.begin(), stores.end(), "oneTBB concurrent_hash_map") != stores.end()) {
    out << "| boost::concurrent_flat_map";
    for (std::size_t i = 0; i < columns.size(); ++i) out << " | missing";
    out << " |\n";
  }
#endif
  out << "\n";
}

void write_generated(std::ostream& out, const std::string& plots, const std::string& command, const RunOptions& options,
                     const Results& results) {
  out << "Measured on " << today() << " with `" << command << "`: " << options.rounds << " interleaved rounds, slices of "
      << options.slice.count() << " ms (" << options.timing(0, 1000).measured.count() << " ms at 1,000 threads).\n\n";
  out << "- Machine: " << machine() << ".\n";
  out << "- Compiler: " << compiler() << ", optimised.\n";
  out << "- Libraries: cubby " << CUBBY_VERSION << ", oneTBB " << TBB_VERSION_MAJOR << "." << TBB_VERSION_MINOR << ", Boost "
      << BOOST_VERSION / 100000 << "." << BOOST_VERSION / 100 % 1000;
#if BOOST_VERSION < 108300
  out << " (boost::concurrent_flat_map came with 1.83, so it is missing here)";
#endif
  out << ", libcuckoo.\n\n";
  write_targets(out, results);
  out << "\n![Reads of random keys](" << plots << "/reads.svg)\n\n![Writes and mixes](" << plots << "/writes.svg)\n\n";
  out << "## All measurements\n\nMillion operations a second, medians; in parentheses the median ratio to the first row, "
         "formed round by "
         "round.\n\n";
  std::vector<std::string> workloads = kWorkloads;
  for (const auto& [series, measured] : results.series) {
    if (std::find(workloads.begin(), workloads.end(), series.workload) == workloads.end()) workloads.push_back(series.workload);
  }
  for (const std::string& workload : workloads) write_workload(out, workload, results);
  if (results.figures.contains("bytes an entry/cubby")) {
    out << "### Bytes an entry\n\nResident memory of a process of its own, a million sessions, key and value.\n\n| | bytes "
           "|\n|---|---|\n";
    const std::string prefix = "bytes an entry/";
    for (const auto& [name, bytes] : results.figures) {
      if (name.starts_with(prefix)) out << "| " << name.substr(prefix.size()) << " | " << decimal(bytes) << " |\n";
    }
    out << "\n";
  }
}

std::string quoted(const std::string& text) { return cubby::Value(text).to_json(); }

}  // namespace

std::string machine() {
  utsname system{};
  uname(&system);
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30);
  std::ostringstream out;
  out << cpu_model() << ", " << std::thread::hardware_concurrency() << " cores, " << decimal(memory) << " GiB, "
      << system.sysname << " " << system.release << " " << system.machine;
  return out.str();
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

std::string compiler() {
#ifdef __clang__
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

void replace_section(const std::filesystem::path& path, const std::string& mode, const std::string& text) {
  const std::string marker = "<!-- generated by ./dev bench" + (mode.empty() ? mode : " " + mode) + ": ";
  const std::string begin_marker = marker + "begin -->";
  const std::string end_marker = marker + "end -->";
  std::string before = "# Benchmarks\n\n";
  std::string after;
  if (std::ifstream in(path); in) {
    const std::string old{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const std::size_t begin = old.find(begin_marker);
    const std::size_t end = old.find(end_marker);
    if (begin == std::string::npos || end == std::string::npos) {
      throw std::runtime_error(path.string() + " has no place for the report: the two markers are missing");
    }
    before = old.substr(0, begin);
    after = old.substr(std::min(end + end_marker.size() + 1, old.size()));
  }
  std::ofstream out(path);
  out << before << begin_marker << "\n\n" << text;
  if (!text.ends_with("\n\n")) out << "\n";
  out << end_marker << "\n" << after;
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

void write_measurement_table(std::ostream& out, const Results& results, const std::string& workers,
                             const std::string& figures_of) {
  out << "| | keys | " << workers << " | | median | quartiles |\n|---|--:|--:|---|--:|---|\n";
  const auto number = [](double value) {
    return value >= 1000 ? with_commas(static_cast<std::size_t>(std::llround(value))) : decimal(value);
  };
  for (const auto& [series, values] : results.series) {
    const auto summary = summarise(values);
    if (!summary) continue;
    out << "| " << series.workload << " | " << with_commas(series.entries) << " | " << series.threads << " | " << series.store
        << " | " << number(summary->median) << " | " << number(summary->lower) << " to " << number(summary->upper) << " |\n";
  }
  for (const auto& [name, value] : results.figures) {
    out << "| " << name << " | | | " << figures_of << " | " << number(value) << " | |\n";
  }
}

void write_target_table(std::ostream& out, const std::vector<Target>& targets) {
  out << "| | target | measured | quartiles | met | |\n|---|---|---|---|---|---|\n";
  for (const Target& target : targets) {
    out << "| " << target.what << " | ";
    if (target.has_bound()) out << (target.at_least ? "at least " : "at most ") << decimal(target.bound);
    out << " | ";
    if (!target.measured) {
      out << "not measured | | | " << target.note << " |\n";
      continue;
    }
    const Summary& measured = *target.measured;
    out << "**" << decimal(measured.median) << "** | ";
    if (measured.lower != measured.upper) out << decimal(measured.lower) << " to " << decimal(measured.upper);
    out << " | " << (!target.has_bound() ? "" : target.met() ? "yes" : "**no**") << " | " << target.note << " |\n";
  }
}

void write_targets(std::ostream& out, const Results& results) {
  out << "## What must be seen\n\nMedians of the ratios of each round, with their quartiles.\n\n";
  write_target_table(out, evaluate(results));
}

void write_report(const std::filesystem::path& path, const std::string& command, const RunOptions& options,
                  const Results& results) {
  const std::filesystem::path plots = path.parent_path() / path.stem();
  std::filesystem::create_directories(plots);
  write_plot(plots / "reads.svg", {"get", "visit"}, results);
  write_plot(plots / "writes.svg", {"90/10", "50/50", "set"}, results);
  std::ostringstream text;
  write_generated(text, path.stem().string(), command, options, results);
  replace_section(path, {}, text.str());
}

void write_raw(const std::filesystem::path& path, const Results& results) {
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path);
  out.precision(10);
  out << "{\n  \"figures\": {";
  const char* separator = "\n";
  for (const auto& [name, value] : results.figures) {
    out << separator << "    " << quoted(name) << ": " << value;
    separator = ",\n";
  }
  out << "\n  },\n  \"operations a second\": [";
  separator = "\n";
  for (const auto& [series, measured] : results.series) {
    out << separator << "    {\"workload\": " << quoted(series.workload) << ", \"entries\": " << series.entries
        << ", \"threads\": " << series.threads << ", \"store\": " << quoted(series.store) << ", \"rounds\": [";
    separator = "";
    for (const double rate : measured) {
      out << separator << rate;
      separator = ", ";
    }
    out << "]}";
    separator = ",\n";
  }
  out << "\n  ]\n}\n";
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

}  // namespace bench
