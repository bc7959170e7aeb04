// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace bench {

/// How often what took how long: 32 steps an octave, so that a quantile is right to 3%, however many there are.
class Latencies {
 public:
  void add(std::chrono::nanoseconds taken) noexcept {
    const auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(taken.count(), 0));
    ++counts_[place_of(time)];
    ++count_;
    longest_ = std::max(longest_, time);
  }
  std::uint64_t count() const noexcept { return count_; }
  double longest() const noexcept { return static_cast<double>(longest_); }
  /// In nanoseconds.
  double quantile(double q) const noexcept {
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t place = 0; place < counts_.size(); ++place) {
      seen += counts_[place];
      if (seen > rank) return middle_of(place);
    }
    return longest();
  }

 private:
  static constexpr unsigned kBits = 5;
  static constexpr std::size_t kSteps = std::size_t{1} << kBits;

  static std::size_t place_of(std::uint64_t time) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(time));
    if (width <= kBits + 1) return static_cast<std::size_t>(time);
    const unsigned shift = width - kBits - 1;
    return (shift << kBits) + static_cast<std::size_t>(time >> shift);
  }
  static double middle_of(std::size_t place) noexcept {
    if (place < 2 * kSteps) return static_cast<double>(place);
    const std::size_t shift = place / kSteps - 1;
    const std::size_t low = (place - shift * kSteps) << shift;
    return static_cast<double>(low) + static_cast<double>((std::size_t{1} << shift) - 1) / 2;
  }

  std::array<std::uint64_t, 64 * kSteps> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t longest_ = 0;
};

}  // namespace bench
