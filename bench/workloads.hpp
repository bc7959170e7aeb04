// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "harness.hpp"

namespace bench {

/// The workloads, group by group. Each adds its measurements to `results`.
void run_sessions(const RunOptions& options, Results& results, std::size_t entries);
void run_deadlines(const RunOptions& options, Results& results, std::size_t entries);
void run_counters_and_queues(const RunOptions& options, Results& results);
void run_waiting(const RunOptions& options, Results& results);
/// What needs a process of its own: memory an entry, memory under refreshed deadlines, wake-ups of an idle process.
void run_processes(const RunOptions& options, Results& results);
/// What such a process does: prints one number.
int run_child(const std::string& task);

/// Names that the report refers to.
inline constexpr const char* kNoDeadline = "get, no deadline";
inline constexpr const char* kWithDeadline = "get, with deadline";
inline constexpr const char* kRefresh = "expire";
inline constexpr const char* kShortQueue = "short queue";
inline constexpr const char* kLongQueue = "behind a million";

}  // namespace bench
