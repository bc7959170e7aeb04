// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "cli/text.hpp"

namespace cubby::cli {

namespace {

constexpr double kQuantiles[] = {0.5, 0.99, 0.999};

double rate(const RunResult& result, std::uint64_t operations) {
  return result.seconds > 0 ? static_cast<double>(operations) / result.seconds : 0;
}

std::string rate_text(const RunResult& result, std::uint64_t operations) {
  return grouped(static_cast<std::uint64_t>(rate(result, operations) + 0.5));
}

std::string latency_text(const Histogram& latency, double quantile) {
  if (latency.total() == 0) return "-";
  return brief(std::chrono::nanoseconds(static_cast<std::int64_t>(latency.quantile(quantile))));
}

std::string ratio_text(double replaced, double cubby) {
  if (replaced <= 0 || cubby <= 0) return "";
  const double ratio = cubby / replaced;
  return fmt::format("{:.{}f}x", ratio, ratio < 99.5 ? 1 : 0);
}

std::string row(std::string_view kind, std::string_view design, std::string_view rate, std::string_view ratio,
                std::string_view p50 = "", std::string_view p99 = "", std::string_view p999 = "") {
  std::string line = fmt::format("{:<14} {:<9} {:>11} {:>7} {:>8} {:>8} {:>8}", kind, design, rate, ratio, p50, p99, p999);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string kind_row(std::string_view name, std::string_view design, const RunResult& result, Kind kind,
                     const std::string& ratio) {
  const KindResult& figures = result.kinds[kind];
  return row(name, design, rate_text(result, figures.operations), ratio, latency_text(figures.latency, kQuantiles[0]),
             latency_text(figures.latency, kQuantiles[1]), latency_text(figures.latency, kQuantiles[2]));
}

std::string table(const Report& report) {
  const RunResult* replaced = report.replaced ? &report.replaced->result : nullptr;
  const RunResult* cubby = report.cubby ? &report.cubby->result : nullptr;
  const auto ratio = [&](auto&& operations) {
    if (replaced == nullptr || cubby == nullptr) return std::string();
    return ratio_text(rate(*replaced, operations(*replaced)), rate(*cubby, operations(*cubby)));
  };
  const std::string line = std::string(71, '-') + "\n";
  std::string text = row("operation", "design", "per second", "ratio", "p50", "p99", "p99.9") + line;
  for (std::size_t i = 0; i < kKinds; ++i) {
    const auto kind = static_cast<Kind>(i);
    std::string name = kKindNames[i];
    if (replaced != nullptr) text += kind_row(std::exchange(name, ""), "replaced", *replaced, kind, "");
    if (cubby != nullptr) {
      text += kind_row(name, "cubby", *cubby, kind, ratio([&](const RunResult& run) { return run.kinds[kind].operations; }));
    }
  }
  text += line;
  std::string name = "all";
  if (replaced != nullptr) text += row(std::exchange(name, ""), "replaced", rate_text(*replaced, replaced->operations()), "");
  if (cubby != nullptr) {
    text += row(name, "cubby", rate_text(*cubby, cubby->operations()),
                ratio([](const RunResult& run) { return run.operations(); }));
  }
  return text;
}

std::string check_lines(const std::string& title, const std::vector<Check>& checks) {
  std::string text;
  for (const Check& check : checks) text += fmt::format("  {}  {:<8}  {}\n", check.passed ? "ok" : "FAILED", title, check.text);
  return text;
}

Value checks_value(const std::vector<Check>& checks) {
  std::vector<std::pair<std::string, Value>> members;
  for (const Check& check : checks) {
    members.emplace_back(check.name, Value::object({{"passed", check.passed}, {"text", check.text}}));
  }
  return Value::object(members);
}

Value run_value(const DesignReport& design) {
  std::vector<std::pair<std::string, Value>> kinds;
  for (std::size_t i = 0; i < kKinds; ++i) {
    const KindResult& kind = design.result.kinds[i];
    kinds.emplace_back(kKindKeys[i], Value::object({{"operations", kind.operations},
                                                    {"per_second", rate(design.result, kind.operations)},
                                                    {"timed", kind.latency.total()},
                                                    {"p50_ns", kind.latency.quantile(kQuantiles[0])},
                                                    {"p99_ns", kind.latency.quantile(kQuantiles[1])},
                                                    {"p999_ns", kind.latency.quantile(kQuantiles[2])}}));
  }
  const std::uint64_t operations = design.result.operations();
  return Value::object({{"seconds", design.result.seconds},
                        {"operations", operations},
                        {"per_second", rate(design.result, operations)},
                        {"kinds", Value::object(kinds)},
                        {"checks", checks_value(design.checks)}});
}

bool all_passed(const std::vector<Check>& checks) {
  return std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.passed; });
}

}  // namespace

bool Report::verified() const {
  return (!replaced || all_passed(replaced->checks)) && (!cubby || all_passed(cubby->checks)) &&
         (!reopened || all_passed(reopened->checks));
}

std::string to_text(const Report& report) {
  std::string text = table(report);
  text += fmt::format(
      "\nreplaced: one std::shared_mutex around one unordered_map, values copied whole\n"
      "under it; reads take the {} lock. Its visit is a get: it can only copy.\n"
      "Latencies are of every {}th operation of a worker, good to 3%; those of\n"
      "\"consumed\" from push to delivery.\n",
      report.replaced_lock, kTimedEvery);
  if (report.durable) {
    text +=
        "\ncubby is durable here: each write is in its log before it can be seen, and on the\n"
        "disk within 100 ms. The replaced design keeps everything in memory.\n";
  }
  if (report.replaced && report.cubby) {
    const double replaced = rate(report.replaced->result, report.replaced->result.operations());
    const double cubby = rate(report.cubby->result, report.cubby->result.operations());
    text += fmt::format("\ncubby did {} the work ({} sessions, {} workers, {} cores).\n", ratio_text(replaced, cubby),
                        grouped(report.plan.sessions.size()), grouped(report.plan.senders + report.plan.consumers),
                        std::thread::hardware_concurrency());
  }
  text += "\nVerified:\n";
  if (report.replaced) text += check_lines("replaced", report.replaced->checks);
  if (report.cubby) text += check_lines("cubby", report.cubby->checks);
  if (report.reopened) {
    text += check_lines(report.durable ? "folder" : "file", report.reopened->checks);
    text +=
        fmt::format("\n{} in {:.0f} ms{}{}, and opened again in {:.0f} ms.\n", report.durable ? "Closed" : "Saved",
                    report.reopened->save_seconds * 1e3, report.durable ? ", leaving a checkpoint of " : " to a JSON file of ",
                    brief_bytes(report.reopened->file_bytes), report.reopened->load_seconds * 1e3);
    if (!report.kept.empty())
      text += fmt::format("It stays in {}; try: cubby get {} --indent 2 {} {}\n", report.kept, report.plan.sessions.front().key,
                          report.durable ? "--dir" : "--file", report.kept);
  } else {
    text += "  interrupted before cubby ran\n";
  }
  return text;
}

Value to_value(const Report& report) {
  std::vector<std::pair<std::string, Value>> members{
      {"sessions", report.plan.sessions.size()},
      {"workers", report.plan.senders + report.plan.consumers},
      {"consumers", report.plan.consumers},
      {"cores", std::thread::hardware_concurrency()},
      {"seed", report.plan.seed},
      {"timed_every", kTimedEvery},
      {"replaced_lock", report.replaced_lock},
      {"durable", report.durable},
      {"verified", report.verified()},
  };
  if (report.replaced) members.emplace_back("replaced", run_value(*report.replaced));
  if (report.cubby) members.emplace_back("cubby", run_value(*report.cubby));
  if (report.replaced && report.cubby) {
    const double replaced = rate(report.replaced->result, report.replaced->result.operations());
    if (replaced > 0) members.emplace_back("ratio", rate(report.cubby->result, report.cubby->result.operations()) / replaced);
  }
  if (report.reopened) {
    members.emplace_back(report.durable ? "folder" : "file",
                         Value::object({{"bytes", report.reopened->file_bytes},
                                        {"save_seconds", report.reopened->save_seconds},
                                        {"load_seconds", report.reopened->load_seconds},
                                        {"checks", checks_value(report.reopened->checks)}}));
  }
  return Value::object(members);
}

}  // namespace cubby::cli
