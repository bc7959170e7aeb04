// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "durable.hpp"
#include "harness.hpp"
#include "serve.hpp"
#include "statistics.hpp"

namespace bench {

/// Writes the table of targets alone.
void write_targets(std::ostream& out, const Results& results);
/// Puts the report into the Markdown file at `path`, between its two markers, and the plots into the folder of the file's name
/// beside it. What is written around the markers by hand stays; a missing file is made.
void write_report(const std::filesystem::path& path, const std::string& command, const RunOptions& options,
                  const Results& results);
/// Writes every single measurement as JSON. The mode `durable` has others beside rates: a workload's name says what.
void write_raw(const std::filesystem::path& path, const Results& results);

/// The same of the mode `durable`, whose report has two markers of its own in the same file.
void write_durable_targets(std::ostream& out, const DurableRun& run);
void write_durable_report(const std::filesystem::path& path, const std::string& command, const DurableRun& run);

/// And of the mode `serve`.
void write_serve_targets(std::ostream& out, const ServeRun& run);
void write_serve_report(const std::filesystem::path& path, const std::string& command, const ServeRun& run);

/// What the reports are made of.
void write_target_table(std::ostream& out, const std::vector<Target>& targets);
/// Every series and figure; `workers` heads the column of threads, and the figures are those of the store `figures_of`.
void write_measurement_table(std::ostream& out, const Results& results, const std::string& workers,
                             const std::string& figures_of = {});
/// Replaces what the file has between the markers of `./dev bench` (`mode` empty) or `./dev bench mode`, which must be there.
/// A missing file is made.
void replace_section(const std::filesystem::path& path, const std::string& mode, const std::string& text);
std::string machine();
std::string compiler();
std::string today();

}  // namespace bench
