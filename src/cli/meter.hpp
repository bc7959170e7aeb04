// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace cubby::cli {

/// Shows on standard error how far a piece of work is, as a bar that moves; nothing if that is no terminal.
class Meter {
 public:
  explicit Meter(std::string label);
  /// Wipes the bar, so that what is printed next starts on a clean line.
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// `all` 0: nobody knows. Cheap to call often.
  void show(std::uint64_t done, std::uint64_t all, const char* unit = nullptr);

 private:
  std::string label_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace cubby::cli
