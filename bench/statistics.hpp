// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness.hpp"

namespace bench {

/// Median and quartiles. Of ratios, they are of the ratios formed round by round.
struct Summary {
  double median = 0;
  double lower = 0;
  double upper = 0;
};

std::optional<Summary> summarise(std::vector<double> values);
/// Left over right, round by round; rounds that lack either are left out.
std::vector<double> ratios(const std::vector<double>& left, const std::vector<double>& right);
/// The series' rates, empty if it wasn't measured.
std::vector<double> rates(const Results& results, const Series& series);

/// A row of "what must be seen".
struct Target {
  std::string what;
  double bound = 0;
  bool at_least = true;  ///< else at most
  std::optional<Summary> measured;
  std::string note;  ///< which peer was the best, for one

  /// Some rows are there to be read only: at least nothing.
  bool has_bound() const { return !at_least || bound > 0; }
  bool met() const { return measured && (at_least ? measured->median >= bound : measured->median <= bound); }
};

/// All rows, those that weren't measured included.
std::vector<Target> evaluate(const Results& results);

/// "20,000"
std::string with_commas(std::size_t number);
/// With the digits that matter.
std::string decimal(double number);

}  // namespace bench
