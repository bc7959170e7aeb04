// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "unit/durations.hpp"

namespace cubby::detail {
namespace {

using std::chrono::nanoseconds;
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

TEST(Clock, SaturatingAdd) {
  EXPECT_EQ(saturating_add(1, 2), 3);
  EXPECT_EQ(saturating_add(kNever, 1), kNever);
  EXPECT_EQ(saturating_add(kNever, kNever), kNever);
  EXPECT_EQ(saturating_add(kMin, -1), kMin);
  EXPECT_EQ(saturating_add(kMin, kNever), -1);
  EXPECT_EQ(saturating_add(kMin, kMin), kMin);
}

TEST(Clock, NowRisesAndBoundsTheCoarseClock) {
  std::int64_t last = now();
  for (int i = 0; i < 100'000; ++i) {
    const std::int64_t coarse = coarse_now();
    const std::int64_t time = now();
    ASSERT_LE(last, time);
    ASSERT_LE(coarse, time);
    last = time;
  }
}

TEST(Clock, DeadlineAfterSaturates) {
  const std::int64_t before = now();
  const std::int64_t deadline = deadline_after(nanoseconds(kSecond));
  EXPECT_LE(before + kSecond, deadline);
  EXPECT_LE(deadline, now() + kSecond);
  EXPECT_EQ(deadline_after(nanoseconds::max()), kNever);
  EXPECT_LT(deadline_after(nanoseconds::min()), 0);
}

TEST(Clock, IsPastAgreesWithNow) {
  EXPECT_FALSE(is_past(kNever));
  EXPECT_TRUE(is_past(kMin));
  EXPECT_TRUE(is_past(0));
  for (std::int64_t ahead : {std::int64_t{1}, kMillisecond / 100, kMillisecond, 3 * kMillisecond}) {
    for (int i = 0; i < 3; ++i) {
      const std::int64_t deadline = now() + ahead;
      bool past = false;
      do {
        const std::int64_t before = now();
        past = is_past(deadline);
        const std::int64_t after = now();
        if (past) {
          ASSERT_LE(deadline, after);
        } else {
          ASSERT_GT(deadline, before);
        }
      } while (!past);
    }
  }
}

TEST(Clock, AdvancingCountsAtOnce) {
  const std::int64_t deadline = deadline_after(std::chrono::hours(1));
  EXPECT_FALSE(is_past(deadline));
  const std::int64_t offset = clock_offset_for_testing();
  advance_clock_for_testing(3599 * kSecond);
  EXPECT_EQ(clock_offset_for_testing(), offset + 3599 * kSecond);
  EXPECT_FALSE(is_past(deadline));
  advance_clock_for_testing(kSecond);
  EXPECT_TRUE(is_past(deadline));
  EXPECT_LE(deadline, now());
  advance_clock_for_testing(-kSecond);
  EXPECT_TRUE(is_past(deadline));
}

TEST(Clock, PastStaysPastOnAllThreads) {
  std::atomic<std::int64_t> seen{0};  // deadlines up to this have been seen as past
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        const std::int64_t known = seen.load();
        if (!is_past(known)) ++wrong;
        const std::int64_t next = known + 1 > now() ? known + 1 : now() + 1;
        for (int tries = 0; tries < 100 && !stop.load(); ++tries) {
          if (!is_past(next)) continue;
          std::int64_t old = seen.load();
          while (old < next && !seen.compare_exchange_weak(old, next)) {
          }
          break;
        }
      }
    });
  }
  for (int i = 0; i < 100; ++i) {
    advance_clock_for_testing(i * kMillisecond);
    std::this_thread::yield();
  }
  const std::int64_t end = now() + 50 * kMillisecond;
  while (!is_past(end)) std::this_thread::yield();
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(Clock, WallClockConversionsRoundTripAndSaturate) {
  const auto wall =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(static_cast<double>(to_wall_milliseconds(now() - clock_offset_for_testing())), static_cast<double>(wall),
              60'000.0);
  EXPECT_EQ(to_wall_milliseconds(kNever), kNever);
  EXPECT_EQ(from_wall_milliseconds(kNever), kNever);
  EXPECT_EQ(from_wall_milliseconds(kNever - 1), kNever);
  EXPECT_EQ(from_wall_milliseconds(kMin), kMin);
  EXPECT_LT(to_wall_milliseconds(kMin), -9'000'000'000'000 + wall);
  EXPECT_GT(to_wall_milliseconds(kNever - 1), 9'000'000'000'000);
  EXPECT_LT(from_wall_milliseconds(0), now());
  for (std::int64_t ms :
       {wall - 1000, wall, wall + 1, wall + 86'400'000, std::int64_t{-1}, std::int64_t{0}, wall + 9'000'000'000}) {
    int same = 0;  // unless the thread was interrupted between two readings, or somebody set the clock
    for (int i = 0; i < 20; ++i) same += to_wall_milliseconds(from_wall_milliseconds(ms)) == ms ? 1 : 0;
    EXPECT_GT(same, 0) << ms;
  }
}

TEST(Clock, AdvancingMovesTheWallClockAlong) {
  const std::int64_t deadline = deadline_after(std::chrono::hours(1));
  const std::int64_t before = to_wall_milliseconds(deadline);
  advance_clock_for_testing(1800 * kSecond);
  EXPECT_NEAR(static_cast<double>(to_wall_milliseconds(deadline)), static_cast<double>(before), 1000.0);
}

}  // namespace
}  // namespace cubby::detail
