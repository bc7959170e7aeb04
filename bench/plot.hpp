// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness.hpp"

namespace bench {

/// Bars of all stores for each workload, at 20,000 and 1,000,000 keys, 2 and 1,000 threads: an SVG that reads on a light and on
/// a dark page.
void write_plot(const std::filesystem::path& path, const std::vector<std::string>& workloads, const Results& results);

}  // namespace bench
