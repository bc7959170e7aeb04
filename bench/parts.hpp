// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <vector>

#include "harness.hpp"

namespace bench {

/// What a part of a round measured.
using Note = std::function<void(const Series&, double)>;

/// One store's part of a round; `run` notes what it measured.
struct Part {
  Series series;  ///< by which it is filtered and listed
  std::function<void(const Note&)> run;
};

/// Runs the parts, those that the filter leaves, round by round, in each round another one first, and adds to `results`.
void run_parts(const char* title, int count, std::vector<Part> parts, const RunOptions& options, Results& results);

}  // namespace bench
