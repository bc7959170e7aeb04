// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace chat::load {

/// How long things took: counts in buckets that are a sixteenth of their value wide.
class Latencies {
 public:
  void add(std::chrono::nanoseconds latency) {
    ++counts_[bucket(static_cast<std::uint64_t>(std::max<std::int64_t>(0, latency.count())))];
    ++count_;
  }
  void merge(const Latencies& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
  }
  std::uint64_t count() const { return count_; }
  /// In microseconds; `part` of all took at most so long. 0 if there are none.
  double microseconds(double part) const {
    if (count_ == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_ - 1));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > wanted) return value(i) / 1000;
    }
    return 0;
  }

 private:
  static std::size_t bucket(std::uint64_t value) {
    if (value < 16) return value;
    const auto exponent = static_cast<unsigned>(std::bit_width(value)) - 5;
    return (exponent + 1) * 16 + ((value >> exponent) - 16);
  }
  /// The bucket's upper end.
  static double value(std::size_t bucket) {
    if (bucket < 16) return static_cast<double>(bucket);
    return static_cast<double>(bucket % 16 + 17) * static_cast<double>(std::uint64_t{1} << (bucket / 16 - 1));
  }

  std::array<std::uint64_t, 61 * 16> counts_{};
  std::uint64_t count_ = 0;
};

}  // namespace chat::load
