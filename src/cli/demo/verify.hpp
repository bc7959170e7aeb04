// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cubby/options.hpp>
#include <cubby/value.hpp>
#include <string>
#include <vector>

#include "cli/demo/session_cache.hpp"
#include "cli/demo/workload.hpp"

/// What the demo checks after its runs.
namespace cubby::cli {

struct Check {
  std::string name;  ///< for programs
  bool passed = false;
  std::string text;  ///< for people: what was compared, with the figures
};

/// That nothing was lost and nothing came twice: the counters add up to the increments that were done, and each message that
/// was pushed was consumed once or still lies in an inbox.
std::vector<Check> check_conservation(SessionCache& cache, const Plan& plan, const RunResult& result);

struct Reopened {
  std::vector<Check> checks;
  std::uintmax_t file_bytes = 0;  ///< of the file, or of all in the folder
  double save_seconds = 0;
  double load_seconds = 0;
};

/// Saves the open store `name` by closing it, opens again what it was opened with, and compares each value and each deadline.
Reopened close_and_reopen(const std::string& name, Options options);

}  // namespace cubby::cli
