// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <utility>

namespace cubby::cli {

/// Shows on standard error how far a run is and how fast: a bar that moves if that is a terminal, else a line each second.
class Progress {
 public:
  Progress(std::string label, double seconds);
  /// Wipes the bar, so that what is printed next starts on a clean line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(double elapsed, std::uint64_t operations);

 private:
  /// Million operations a second over about the last second.
  double rate() const;
  void draw_bar(double elapsed) const;

  std::string label_;
  double seconds_;
  bool terminal_;
  double next_line_ = 1;
  std::deque<std::pair<double, std::uint64_t>> recent_{{0, 0}};
};

}  // namespace cubby::cli
