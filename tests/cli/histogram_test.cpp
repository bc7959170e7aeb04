// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace cubby::cli {
namespace {

TEST(Histogram, EmptyHasNoTimes) {
  const Histogram histogram;
  EXPECT_EQ(histogram.total(), 0U);
  EXPECT_EQ(histogram.quantile(0.5), 0U);
}

TEST(Histogram, SmallTimesAreExact) {
  for (std::uint64_t time = 0; time < 64; ++time) {
    Histogram histogram;
    histogram.record(time);
    EXPECT_EQ(histogram.quantile(0), time);
    EXPECT_EQ(histogram.quantile(1), time);
  }
}

TEST(Histogram, EveryTimeIsWithinAThirtySecondPart) {
  for (std::uint64_t power = 6; power < 36; ++power) {
    const std::uint64_t base = std::uint64_t{1} << power;
    for (const std::uint64_t time : {base - 1, base, base + 1, base + base / 3, base + base / 2, 2 * base - 1}) {
      Histogram histogram;
      histogram.record(time);
      const auto found = static_cast<double>(histogram.quantile(0.5));
      EXPECT_NEAR(found, static_cast<double>(time), static_cast<double>(time) / 32) << time;
    }
  }
}

TEST(Histogram, TimesBeyondTheLargestCountAsTheLargest) {
  Histogram histogram;
  histogram.record(~std::uint64_t{0});
  EXPECT_EQ(histogram.total(), 1U);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(1)), 68.7e9, 68.7e9 / 32);
}

TEST(Histogram, QuantilesFollowTheSortedTimes) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> spread(7, 2);
  std::vector<std::uint64_t> times(20000);
  Histogram histogram;
  for (std::uint64_t& time : times) {
    time = static_cast<std::uint64_t>(spread(random));
    histogram.record(time);
  }
  std::sort(times.begin(), times.end());
  for (const double fraction : {0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(times.size()))) - 1;
    const auto exact = static_cast<double>(times[rank]);
    EXPECT_NEAR(static_cast<double>(histogram.quantile(fraction)), exact, exact / 32 + 1) << fraction;
  }
}

TEST(Histogram, MergingIsRecordingIntoOne) {
  Histogram one;
  Histogram other;
  Histogram both;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? one : other).record(i * i);
    both.record(i * i);
  }
  one.merge(other);
  EXPECT_EQ(one.total(), both.total());
  for (const double fraction : {0.0, 0.1, 0.5, 0.9, 1.0}) EXPECT_EQ(one.quantile(fraction), both.quantile(fraction));
}

}  // namespace
}  // namespace cubby::cli
