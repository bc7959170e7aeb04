// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <ostream>
#include <string>

#include "harness.hpp"

namespace bench {

/// Writes the table of targets alone.
void write_targets(std::ostream& out, const Results& results);
/// Puts the report into the Markdown file at `path`, between its two markers, and the plots into the folder of the file's name
/// beside it. What is written around the markers by hand stays; a missing file is made.
void write_report(const std::filesystem::path& path, const std::string& command, const RunOptions& options,
                  const Results& results);
/// Writes every single measurement as JSON.
void write_raw(const std::filesystem::path& path, const Results& results);

}  // namespace bench
