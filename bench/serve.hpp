// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "disk.hpp"
#include "harness.hpp"
#include "parts.hpp"
#include "server_process.hpp"

namespace bench {

/// What the mode `serve` can be told beside RunOptions.
struct ServeOptions {
  std::filesystem::path cubby;             ///< the command that is started
  std::filesystem::path parent = "build";  ///< where the folder of the data is made: not /tmp, which may be memory
  std::size_t keys = 1'000'000;
  int idle_connections = 10'000;
};

inline constexpr std::size_t kServedValueBytes = 200;
inline constexpr int kServedClients = 50;

/// As redis-benchmark names its keys.
std::string key_name(std::size_t i);
/// Hexadecimal digits, kServedValueBytes of them: nothing that can be compressed into nothing.
std::string value_text(std::size_t i);

/// One run of the mode: `cubby serve` and redis-server on loopback TCP, one measured while the other is idle. Its results are
/// in Results::series by rounds; names of workloads end in what is measured.
class ServeRun {
 public:
  ServeRun(const RunOptions& run_options, const ServeOptions& serve_options, Results& run_results)
      : options(run_options), serve(serve_options), results(run_results), folder_(serve.parent) {}

  void rounds(const char* title, int count, std::vector<Part> parts) {
    run_parts(title, count, std::move(parts), options, results);
  }
  /// A new server, whose folder is named after `purpose`.
  std::unique_ptr<ServerProcess> start(ServerKind kind, const std::string& purpose, bool durable) const;
  /// SETs all keys, each once.
  void load(ServerProcess& server) const;

  const std::filesystem::path& folder() const noexcept { return folder_.path(); }
  /// A line for the report.
  void remark(std::string line) { remarks.push_back(std::move(line)); }

  const RunOptions& options;
  const ServeOptions& serve;
  Results& results;
  std::vector<std::string> remarks;

 private:
  TemporaryFolder folder_;
};

/// The two servers of a group, each started and filled when it is first needed.
class ServerPair {
 public:
  using Fill = std::function<void(ServerProcess&)>;
  ServerPair(const ServeRun& run, std::string purpose, bool durable, Fill fill)
      : run_(run), purpose_(std::move(purpose)), durable_(durable), fill_(std::move(fill)) {}

  ServerProcess& operator[](ServerKind kind);

 private:
  const ServeRun& run_;
  const std::string purpose_;
  const bool durable_;
  const Fill fill_;
  std::map<ServerKind, std::unique_ptr<ServerProcess>> servers_;
};

/// What redis-benchmark does, but for how often.
struct Load {
  std::string workload;
  std::vector<std::string> arguments;  ///< such as -t get, or a command
  std::size_t range = 0;               ///< of its random numbers
  int pipeline = 1;
};

/// Lets redis-benchmark send `operations`, a multiple of the pipeline's depth, and notes the server's processor time for each.
/// `rests`: the time until the server has come to rest is in it.
void measure_load(ServerProcess& server, const Load& load, std::size_t operations, std::size_t keys, bool rests,
                  const Note& note);
/// What redis-benchmark says it got from the server, a second.
double rate_of(const ServerProcess& server, const Load& load, std::size_t operations);

/// The rows, group by group.
void run_serve_memory(ServeRun& run);
void run_serve_commands(ServeRun& run);
void run_serve_durable(ServeRun& run);

inline constexpr std::array kServerKinds = {ServerKind::cubby, ServerKind::redis};

/// Names that the report refers to.
inline constexpr const char* kUserTime = ": user time, ns";
inline constexpr const char* kSystemTime = ": system time, ns";
inline constexpr const char* kTotalTime = ": processor time, ns";
inline constexpr const char* kGetDeep = "GET, pipeline 32";
inline constexpr const char* kSetDeep = "SET, pipeline 32";
inline constexpr const char* kGetAlone = "GET, no pipeline";
inline constexpr const char* kSetAlone = "SET, no pipeline";
inline constexpr const char* kLpush = "LPUSH, pipeline 32";
inline constexpr const char* kRpop = "RPOP, pipeline 32";
inline constexpr const char* kIncr = "INCR, pipeline 32";
inline constexpr const char* kHsetMany = "HSET, 100,000 hashes of 10 fields, pipeline 32";
inline constexpr const char* kHsetOne = "HSET, one hash of a million fields, pipeline 32";
inline constexpr const char* kSetLogged = "SET, durable, pipeline 32";
inline constexpr const char* kSetRewritten = "SET, durable, checkpoints and rewriting of the log included, pipeline 32";
inline constexpr const char* kBytesEach = "a million values: bytes each";
inline constexpr const char* kBytesIdle = "idle connections: bytes each";
inline constexpr const char* kPacedGet = "GET, paced";
inline constexpr const char* kBesideSave = ", beside a checkpoint";
inline constexpr const char* kP999 = ": p99.9, ns";
inline constexpr const char* kLateP999 = ": sent late, p99.9, ns";
inline constexpr const char* kHalfOfPeak = "half of redis-server's peak load: GETs a second";

}  // namespace bench
