// SPDX-License-Identifier: Apache-2.0
#include "statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "workloads.hpp"

namespace bench {
namespace {

constexpr const char* kCubby = "cubby";
constexpr const char* kCeiling = "unsynchronised flat map";
constexpr const char* kReaderLock = "replaced: reader lock";
constexpr const char* kExclusiveLock = "replaced: exclusive lock";

double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto index = static_cast<std::size_t>(place);
  if (index + 1 == sorted.size()) return sorted[index];
  const double part = place - static_cast<double>(index);
  return sorted[index] * (1 - part) + sorted[index + 1] * part;
}

/// Builds the rows from what was measured.
class Evaluation {
 public:
  explicit Evaluation(const Results& results) : results_(results) {}

  void against(const char* what, double bound, Series left, Series right, std::string note = {}) {
    const auto measured = summarise(ratios(rates(results_, left), rates(results_, right)));
    targets_.push_back({what, bound, true, measured, std::move(note)});
  }

  /// The best peer is the one with the highest median; the replaced design and the ceiling are none.
  void against_best(const std::string& what, double bound, const char* workload, std::size_t entries, int threads) {
    Series best;
    double highest = 0;
    for (const auto& [series, measured] : results_.series) {
      if (series.workload != workload || series.entries != entries || series.threads != threads) continue;
      if (series.store == kCubby || series.store == kCeiling || series.store == kReaderLock || series.store == kExclusiveLock)
        continue;
      const auto summary = summarise(measured);
      if (summary && summary->median > highest) {
        highest = summary->median;
        best = series;
      }
    }
    const std::string row =
        what + ", " + with_commas(entries) + " keys, " + with_commas(static_cast<std::size_t>(threads)) + " threads";
    against(row.c_str(), bound, {workload, entries, threads, kCubby}, best, best.store);
  }

  /// How cubby scales from `from` to `to` threads.
  void scaling(const char* what, double bound, const char* workload, std::size_t entries, int to, int from) {
    against(what, bound, {workload, entries, to, kCubby}, {workload, entries, from, kCubby});
  }

  void figure(const char* what, double bound, std::optional<double> value, std::string note = {}) {
    Target target{what, bound, false, std::nullopt, std::move(note)};
    if (value) target.measured = Summary{*value, *value, *value};
    targets_.push_back(std::move(target));
  }

  void all();

  std::vector<Target> take() { return std::move(targets_); }

 private:
  std::optional<double> figure_of(const std::string& name) const {
    const auto found = results_.figures.find(name);
    return found == results_.figures.end() ? std::nullopt : std::optional(found->second);
  }

  const Results& results_;
  std::vector<Target> targets_;
};

void Evaluation::all() {
  constexpr std::size_t kSmall = 20'000;
  constexpr std::size_t kLarge = 1'000'000;
  const auto replaced = [&](const char* what, double bound, const char* workload, const char* lock) {
    against(what, bound, {workload, kSmall, 1000, kCubby}, {workload, kSmall, 1000, lock});
  };
  replaced("get against exclusive lock + deep copy, 20,000 sessions, 1,000 workers", 12, "get", kExclusiveLock);
  replaced("visit against exclusive lock + deep copy, the same", 18, "visit", kExclusiveLock);
  replaced("get against reader lock + deep copy, the same", 6, "get", kReaderLock);
  replaced("visit against reader lock + deep copy, the same", 9, "visit", kReaderLock);
  for (const auto& [entries, get, visit] : {std::tuple(kSmall, 1.2, 1.2), std::tuple(kLarge, 1.5, 1.3)}) {
    for (const int threads : {2, 1000}) {
      against_best("get against the best peer that copies", get, "get", entries, threads);
      against_best("visit against the best peer visited in place", visit, "visit", entries, threads);
    }
  }
  for (const auto& [entries, bound] : {std::pair(kSmall, 0.9), std::pair(kLarge, 1.0)}) {
    for (const int threads : {2, 1000}) {
      const std::string what = "visit against the unsynchronised flat map, " + with_commas(entries) + " keys, " +
                               with_commas(static_cast<std::size_t>(threads)) + " threads";
      against(what.c_str(), bound, {"visit", entries, threads, kCubby}, {"visit", entries, threads, kCeiling});
    }
  }
  const auto scale = [&](const char* store) {
    return ratios(rates(results_, {"visit one key", kSmall, 2, store}), rates(results_, {"visit one key", kSmall, 1, store}));
  };
  targets_.push_back({"visit of one hot key: 2 threads over 1, against the same of the unsynchronised map",
                      0.95,
                      true,
                      summarise(ratios(scale(kCubby), scale(kCeiling))),
                      {}});
  for (const std::size_t entries : {kSmall, kLarge}) {
    const std::string what = "get of a key with a deadline against one without, " + with_commas(entries) + " keys";
    against(what.c_str(), 0.8, {"deadlines", entries, 2, kWithDeadline}, {"deadlines", entries, 2, kNoDeadline});
  }
  for (const auto& [workload, bound] : {std::pair("90/10", 1.2), std::pair("50/50", 1.0), std::pair("set", 0.8)}) {
    for (const std::size_t entries : {kSmall, kLarge}) {
      for (const int threads : {2, 1000}) {
        against_best(std::string(workload) + " against the best peer", bound, workload, entries, threads);
      }
    }
  }
  scaling("1,000 threads against 2: get of random keys", 0.7, "get", kSmall, 1000, 2);
  scaling("1,000 threads against 2: set of random keys", 0.7, "set", kSmall, 1000, 2);
  scaling("1,000 threads against 2: increment of own keys", 0.7, "increment, own keys", 1000, 1000, 2);
  scaling("1,000 threads against 2: push+shift on own queues", 0.7, "push+shift, own queues", 1000, 1000, 2);
  scaling("1,000 threads against 2: visit of one key", 0.3, "visit one key", kSmall, 1000, 2);
  scaling("1,000 threads against 2: increment of one key", 0.3, "increment, one key", 1, 1000, 2);
  scaling("1,000 threads against 2: push+shift on one queue", 0.3, "push+shift, one queue", 1, 1000, 2);
  for (const auto& [workload, bound] : {std::pair("push+shift, integers", 0.8), std::pair("push+shift, 200-byte items", 0.5)}) {
    const std::string what = std::string(workload) + ": behind a million elements against a short queue";
    against(what.c_str(), bound, {workload, kLarge, 1, kLongQueue}, {workload, kLarge, 1, kShortQueue});
  }
  for (const std::size_t entries : {kSmall, kLarge}) {
    const std::string what = "expire refresh of random sessions against get, " + with_commas(entries) + " keys";
    against(what.c_str(), 0.5, {"deadlines", entries, 2, kRefresh}, {"deadlines", entries, 2, kWithDeadline});
  }
  const auto added = figure_of("bytes added by refreshing");
  const auto refreshes = figure_of("refreshes");
  figure("memory after refreshing a million sessions, MiB more than before", 1.0,
         added ? std::optional(std::max(0.0, *added) / (1 << 20)) : std::nullopt,
         refreshes ? with_commas(static_cast<std::size_t>(*refreshes)) + " refreshes" : std::string());
  const auto ours = figure_of("bytes an entry/cubby");
  const auto text = figure_of("bytes an entry/unordered_map<string, string>, JSON text");
  figure("memory an entry, a million sessions, against unordered_map<string, string> of JSON text", 1.0,
         ours && text ? std::optional(*ours / *text) : std::nullopt);
  figure("wake-ups of an idle process with 10,000 keys and 1,000 waiters", 0, figure_of("wake-ups while idle"));
}

}  // namespace

std::optional<Summary> summarise(std::vector<double> values) {
  std::erase(values, 0.0);
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  return Summary{quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75)};
}

std::vector<double> ratios(const std::vector<double>& left, const std::vector<double>& right) {
  std::vector<double> result;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (left[i] > 0 && right[i] > 0) result.push_back(left[i] / right[i]);
  }
  return result;
}

std::vector<double> rates(const Results& results, const Series& series) {
  const auto found = results.series.find(series);
  return found == results.series.end() ? std::vector<double>() : found->second;
}

std::vector<Target> evaluate(const Results& results) {
  Evaluation evaluation(results);
  evaluation.all();
  return evaluation.take();
}

std::string with_commas(std::size_t number) {
  std::string text = std::to_string(number);
  for (std::size_t place = text.size(); place > 3;) {
    place -= 3;
    text.insert(place, ",");
  }
  return text;
}

std::string decimal(double number) {
  char text[32];
  const double size = std::fabs(number);
  const int digits = size >= 100 || size == 0 ? 0 : size >= 10 ? 1 : size >= 0.095 ? 2 : 3;
  std::snprintf(text, sizeof text, "%.*f", digits, number);
  return text;
}

}  // namespace bench
