// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

/// A histogram of times in nanoseconds with a fixed relative error, as HdrHistogram has it: each power of two is cut into 32
/// equal buckets, so that a percentile is off by at most 1/32 of itself, from 0 ns to 68 s (longer times count as that) in 8
/// KiB.
///
/// Thread safety: none. Each worker records into its own, and they are merged when the workers have ended.
namespace cubby::cli {

class Histogram {
 public:
  void record(std::uint64_t nanoseconds) {
    ++counts_[bucket_of(std::min(nanoseconds, kMost))];
    ++total_;
  }

  void merge(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
  }

  std::uint64_t total() const { return total_; }

  /// The time that `fraction` (0 to 1) of the recorded ones don't exceed; 0 if none was recorded.
  std::uint64_t quantile(double fraction) const {
    if (total_ == 0) return 0;
    const auto wanted = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
      seen += counts_[bucket];
      if (seen >= std::max<std::uint64_t>(wanted, 1)) return middle_of(bucket);
    }
    return kMost;
  }

 private:
  static constexpr unsigned kBits = 5;  // 2^5 buckets for each power of two
  static constexpr std::uint64_t kPerPower = std::uint64_t{1} << kBits;
  static constexpr unsigned kLargestPower = 36;
  static constexpr std::uint64_t kMost = (std::uint64_t{1} << kLargestPower) - 1;
  static constexpr std::size_t kBuckets = (kLargestPower - kBits + 1) * kPerPower;

  // Below 2 * kPerPower a bucket is one nanosecond wide; from there on its width doubles with each power of two.
  static std::size_t bucket_of(std::uint64_t time) {
    const auto width = static_cast<unsigned>(std::bit_width(time));
    const unsigned shift = width > kBits + 1 ? width - kBits - 1 : 0;
    return static_cast<std::size_t>(shift * kPerPower + (time >> shift));
  }
  static std::uint64_t middle_of(std::size_t bucket) {
    const std::uint64_t shift = bucket < 2 * kPerPower ? 0 : bucket / kPerPower - 1;
    const std::uint64_t low = (bucket - shift * kPerPower) << shift;
    return low + ((std::uint64_t{1} << shift) >> 1);
  }

  std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(kBuckets);
  std::uint64_t total_ = 0;
};

}  // namespace cubby::cli
