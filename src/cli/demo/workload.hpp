// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/demo/histogram.hpp"
#include "cli/demo/session_cache.hpp"

/// The demo's load: many workers of a chat server on one session cache. The same plan gives each worker the same sequence of
/// operations on every design; how far it gets in the time is what is measured.
namespace cubby::cli {

enum Kind : std::size_t { kRead, kLook, kTouch, kUpdate, kCount, kPush, kConsumed };
inline constexpr std::size_t kKinds = 7;
inline constexpr std::array<const char*, kKinds> kKindNames{"reads (get)", "reads (visit)", "touches", "updates",
                                                            "counters",    "pushes",        "consumed"};
/// The same for programs.
inline constexpr std::array<const char*, kKinds> kKindKeys{"get",      "visit",  "touches", "updates",
                                                           "counters", "pushes", "consumed"};
/// Of 100 operations of a worker, how many are of each kind. What is consumed follows from what is pushed.
inline constexpr std::array<unsigned, kKinds - 1> kMix{40, 40, 10, 5, 4, 1};
/// One operation in so many is timed, as reading the clock twice costs about as much as reading a session.
inline constexpr std::uint64_t kTimedEvery = 16;

struct Plan {
  std::vector<Session> sessions;
  std::vector<std::string> inboxes;
  std::size_t senders = 0;    ///< workers that play the mix
  std::size_t consumers = 0;  ///< workers that wait on inboxes, at least two on each where there are enough
  std::chrono::duration<double> length{10};
  std::uint64_t seed = 1;
};

/// `workers` of both kinds, one in ten of them a consumer. Needs at least two.
Plan make_plan(std::vector<Session> sessions, std::size_t workers, std::chrono::duration<double> length, std::uint64_t seed);

struct KindResult {
  std::uint64_t operations = 0;
  Histogram latency;  ///< of the timed ones; for kConsumed from before the push to the delivery
};

struct RunResult {
  double seconds = 0;
  bool interrupted = false;
  std::array<KindResult, kKinds> kinds;
  // Sums over all messages of a scrambled (worker, number): equal if and, but for a chance of 2^-64, only if the messages are.
  std::uint64_t pushed_sum = 0;
  std::uint64_t consumed_sum = 0;
  std::uint64_t out_of_order = 0;  ///< messages a consumer got after a later one of the same sender

  std::uint64_t operations() const;
};

/// The scrambled identity of a message, for the sums above.
std::uint64_t identity(const Message& message);

/// Called about ten times a second with the time gone and the operations done so far.
using Observer = std::function<void(double seconds, std::uint64_t operations)>;

/// Fills the cache with the plan's sessions, runs the load, and returns what was done. It ends when the time is over, when
/// `interrupted` becomes true, or when a worker fails; that exception is thrown here.
RunResult run_workload(SessionCache& cache, const Plan& plan, const std::atomic<bool>& interrupted, const Observer& observe);

}  // namespace cubby::cli
