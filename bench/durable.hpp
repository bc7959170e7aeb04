// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cubby/cubby.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "dataset.hpp"
#include "disk.hpp"
#include "harness.hpp"
#include "parts.hpp"

namespace bench {

/// What the mode `durable` can be told beside RunOptions.
struct DurableOptions {
  std::filesystem::path parent = "build";  ///< where the folder of the data is made: not /tmp, which may be memory
  int sustain_seconds = 60;                ///< 0: nothing sustained
  int always_seconds = 5;
  std::size_t sessions = 1'000'000;  ///< in checkpoints, opened and while reading
};

/// Sessions of 200 bytes: their JSON text, which is what the peers store, has that length; cubby stores them as values.
class DurableData {
 public:
  explicit DurableData(std::size_t size);

  std::size_t size() const noexcept { return keys_.size(); }
  const std::string& key(std::size_t i) const noexcept { return keys_[i]; }
  /// What a write puts there, version 0 or 1: from a pool of 20,000.
  const cubby::Value& value(std::size_t i, std::size_t version) const noexcept { return values_[version][i % kPool]; }
  const std::string& text(std::size_t i, std::size_t version) const noexcept { return texts_[version][i % kPool]; }

  /// What is loaded in the first place: of each key its own.
  static cubby::Value make(std::size_t i);
  static std::string make_text(std::size_t i);

  static constexpr std::size_t kPool = 20'000;

 private:
  std::vector<std::string> keys_;
  std::vector<cubby::Value> values_[2];
  std::vector<std::string> texts_[2];
};

/// One run of the mode. Its results are in Results::series, by rounds, as the others' are, but not all are rates: names of
/// workloads end in what is measured.
class DurableRun {
 public:
  DurableRun(const RunOptions& run_options, const DurableOptions& durable_options, Results& run_results)
      : options(run_options), durable(durable_options), results(run_results), folder_(durable.parent) {}

  using Note = bench::Note;
  using Part = bench::Part;
  void rounds(const char* title, int count, std::vector<Part> parts) {
    run_parts(title, count, std::move(parts), options, results);
  }

  const std::filesystem::path& folder() const noexcept { return folder_.path(); }
  /// A line for the report.
  void remark(std::string line) { remarks.push_back(std::move(line)); }

  const RunOptions& options;
  const DurableOptions& durable;
  Results& results;
  std::vector<std::string> remarks;
  std::string sequential_writer;  ///< name and description of what the disk was measured with
  std::string sequential_writing;

 private:
  TemporaryFolder folder_;
};

/// The rows, group by group.
void run_durable_writes(DurableRun& run);
void run_durable_always(DurableRun& run);
void run_durable_log(DurableRun& run);
void run_durable_opening(DurableRun& run);
void run_durable_checkpoints(DurableRun& run);

/// What the process that opens a store for run_durable_opening does: the seconds that took.
double open_child(const std::string& task);

/// Names that the report refers to.
inline constexpr const char* kDurable = "cubby, durable";
inline constexpr const char* kInMemory = "cubby, in memory";
inline constexpr const char* kBurstRate = "set, burst of 64 MiB of log: a second";
inline constexpr const char* kSustainedRate = "set, sustained: a second";
inline constexpr const char* kSustainedBytes = "set, sustained: bytes of log a second";
inline constexpr const char* kSequentialBytes = "sequential writing: bytes a second";
inline constexpr const char* kAlwaysRate = "set, each synced: a second";
inline constexpr const char* kOpening = "opening: seconds";
inline constexpr const char* kAnswering = "opening, until the process answers: seconds";
inline constexpr const char* kNoCheckpoint = "no checkpoint";
inline constexpr const char* kBusyCore = "no checkpoint, a busy thread";
inline constexpr const char* kCheckpoint = "a checkpoint";
inline constexpr const char* kP99 = "set: p99, ns";
inline constexpr const char* kGetRate = "get: a second";
inline constexpr const char* kVisitRate = "visit: a second";
inline constexpr const char* kPerProcessor = " of processor time";
inline constexpr const char* kAlone = ", alone";
inline constexpr const char* kWithWriter = ", a writer";
inline constexpr const char* kWithWriterAndBusy = ", a writer and a busy thread";
inline constexpr const char* kWithWriterAndCheckpoint = ", a writer and checkpoints";

}  // namespace bench
