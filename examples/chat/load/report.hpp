// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "load/load.hpp"

namespace chat::load {

/// All that was measured: by network or not, mix and store, one entry for each round.
struct Measured {
  std::map<std::tuple<bool, Mix, std::string>, std::vector<Rates>> rounds;
  int workers = 0;
  int connections = 0;
  int seconds = 0;
};

/// Tables in Markdown.
std::string tables(const Measured& measured);
/// Puts the text into the file, between the lines <!-- measured:begin --> and <!-- measured:end -->, which must be there.
void replace_section(const std::filesystem::path& path, const std::string& text);
/// Bars: requests a second of each mix and store, as an SVG that reads on light and dark pages.
void write_plot(const std::filesystem::path& path, const Measured& measured);

}  // namespace chat::load
