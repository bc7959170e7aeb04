// SPDX-License-Identifier: Apache-2.0
#include "base/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "unit/durations.hpp"

namespace cubby::detail {
namespace {

constexpr std::int64_t kEarliest = std::numeric_limits<std::int64_t>::min(), kLatest = std::numeric_limits<std::int64_t>::max();

static_assert(sizeof(Reminder) <= 48);

std::vector<Reminder*> collect_all(TimerWheel& wheel, std::int64_t now) {
  std::vector<Reminder*> all;
  Reminder* out[16];
  while (const std::size_t count = wheel.collect(now, out)) all.insert(all.end(), out, out + count);
  return all;
}

TEST(TimerWheel, EmptyWheel) {
  auto wheel = std::make_unique<TimerWheel>(1000);
  EXPECT_EQ(wheel->next_due(), kNever);
  EXPECT_EQ(wheel->size(), 0U);
  EXPECT_TRUE(collect_all(*wheel, kLatest).empty());
  EXPECT_EQ(wheel->collect(kLatest, {}), 0U);
  Reminder never;
  EXPECT_FALSE(wheel->disarm(never));
}

TEST(TimerWheel, ArmMoveDisarmCollect) {
  auto wheel = std::make_unique<TimerWheel>(0);
  Reminder reminder(7);
  EXPECT_TRUE(wheel->arm(reminder, 10 * kSecond));
  EXPECT_FALSE(wheel->arm(reminder, 20 * kSecond));
  EXPECT_EQ(wheel->size(), 1U);
  EXPECT_TRUE(wheel->arm(reminder, 5 * kSecond));
  EXPECT_TRUE(collect_all(*wheel, 5 * kSecond - 1).empty());
  EXPECT_EQ(collect_all(*wheel, 5 * kSecond + TimerWheel::kTick), std::vector<Reminder*>{&reminder});
  EXPECT_FALSE(wheel->disarm(reminder));
  EXPECT_EQ(wheel->next_due(), kNever);
  wheel->arm(reminder, 30 * kSecond);
  EXPECT_TRUE(wheel->disarm(reminder));
  EXPECT_FALSE(wheel->disarm(reminder));
  EXPECT_EQ(wheel->next_due(), kNever);
  EXPECT_EQ(wheel->size(), 0U);
}

TEST(TimerWheel, DueInThePastIsCollectedAtOnce) {
  auto wheel = std::make_unique<TimerWheel>(kSecond);
  Reminder first(1), second(2);
  wheel->arm(first, kEarliest);
  wheel->arm(second, kSecond - TimerWheel::kTick);
  EXPECT_LE(wheel->next_due(), kSecond);
  EXPECT_EQ(collect_all(*wheel, kSecond).size(), 2U);
}

TEST(TimerWheel, EndsOfTime) {
  auto wheel = std::make_unique<TimerWheel>(kEarliest);
  std::deque<Reminder> reminders;
  const std::int64_t dues[] = {kEarliest, kEarliest + 1, -1, 0, 1, kLatest - TimerWheel::kTick, kLatest - 1, kLatest};
  for (const std::int64_t due : dues)
    wheel->arm(reminders.emplace_back(static_cast<std::uint64_t>(due) * 0x9E3779B97F4A7C15U), due);
  EXPECT_EQ(wheel->size(), std::size(dues));
  EXPECT_EQ(collect_all(*wheel, kEarliest).size(), 1U);
  EXPECT_EQ(collect_all(*wheel, -1).size(), 1U);
  EXPECT_EQ(collect_all(*wheel, 0).size(), 2U);
  EXPECT_EQ(collect_all(*wheel, kLatest - 1).size(), 2U);  // those in the last tick have to wait for the end of time
  EXPECT_EQ(collect_all(*wheel, kLatest).size(), 2U);
  EXPECT_EQ(wheel->size(), 0U);
  EXPECT_EQ(wheel->next_due(), kNever);
}

TEST(TimerWheel, WakesUpInVainAtMostOncePerLevel) {
  std::mt19937_64 random(1);
  for (const std::int64_t ahead : {kMicrosecond, kMillisecond, kSecond, kHour, kYear, 100 * kYear}) {
    for (int i = 0; i < 200; ++i) {
      const std::int64_t start = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(kYear));
      auto wheel = std::make_unique<TimerWheel>(start);
      Reminder reminder(random());
      const std::int64_t due = start + 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(ahead));
      EXPECT_TRUE(wheel->arm(reminder, due));
      std::int64_t now = start;
      int in_vain = 0;
      while (true) {
        const std::int64_t next = wheel->next_due();
        ASSERT_GT(next, now);
        now = next;
        if (!collect_all(*wheel, now).empty()) break;
        ++in_vain;
      }
      EXPECT_GE(now, due);
      EXPECT_LT(now, due + TimerWheel::kTick);
      EXPECT_LE(in_vain, 8);
    }
  }
}

TEST(TimerWheel, FillsSmallBuffersAndKeepsTheRest) {
  auto wheel = std::make_unique<TimerWheel>(0);
  std::deque<Reminder> reminders;
  for (std::uint64_t i = 0; i < 10'000; ++i) wheel->arm(reminders.emplace_back(i), kHour);
  Reminder* out[3];
  std::size_t total = 0;
  while (const std::size_t count = wheel->collect(kHour + kSecond, out)) {
    total += count;
    ASSERT_EQ(wheel->size(), 10'000 - total);
    if (wheel->size() > 0) {
      ASSERT_LE(wheel->next_due(), kHour + kSecond);
    }
  }
  EXPECT_EQ(total, 10'000U);
}

// Random use against a multimap.
void run_against_model(std::uint64_t seed, std::int64_t start, const std::vector<std::int64_t>& spans) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::int64_t end) { return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end)); };
  auto wheel = std::make_unique<TimerWheel>(start);
  std::deque<Reminder> reminders;
  for (int i = 0; i < 300; ++i) reminders.emplace_back(random());
  std::multimap<std::int64_t, Reminder*> model;
  const auto forget = [&](Reminder* reminder) {
    const auto it = std::find_if(model.begin(), model.end(), [&](const auto& each) { return each.second == reminder; });
    if (it == model.end()) return false;
    model.erase(it);
    return true;
  };
  std::int64_t now = start;
  for (int step = 0; step < 6000; ++step) {
    Reminder& reminder = reminders[static_cast<std::size_t>(below(300))];
    const std::int64_t span = spans[static_cast<std::size_t>(below(static_cast<std::int64_t>(spans.size())))];
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const std::int64_t due = saturating_add(now, below(10) == 0 ? -below(span) : below(span));
        const std::int64_t before = wheel->next_due();
        const bool was_armed = forget(&reminder);
        const bool earlier = wheel->arm(reminder, due);
        model.emplace(due, &reminder);
        if (!was_armed && wheel->next_due() < before) {
          ASSERT_TRUE(earlier);
        }
        break;
      }
      case 4:
        ASSERT_EQ(wheel->disarm(reminder), forget(&reminder));
        break;
      default: {
        // Either to a random time or to just when the wheel says.
        const std::int64_t next = wheel->next_due();
        now = below(2) == 0 || next == kNever ? saturating_add(now, below(span)) : std::max(now, next);
        Reminder* out[10];
        std::size_t count = 0;
        do {
          count = wheel->collect(now, out);
          for (std::size_t i = 0; i < count; ++i) {
            ASSERT_LE(out[i]->due, now);
            ASSERT_TRUE(forget(out[i]));
          }
        } while (count == std::size(out));
        // At most a tick late.
        if (!model.empty()) {
          ASSERT_GT(saturating_add(model.begin()->first, TimerWheel::kTick), now);
          ASSERT_GT(wheel->next_due(), now);
        }
      }
    }
    ASSERT_EQ(wheel->size(), model.size());
    if (model.empty()) {
      ASSERT_EQ(wheel->next_due(), kNever);
    } else {
      ASSERT_LE(wheel->next_due(), saturating_add(std::max(model.begin()->first, now), TimerWheel::kTick));
    }
  }
  collect_all(*wheel, kLatest);
  ASSERT_EQ(wheel->size(), 0U);
}

TEST(TimerWheel, AgreesWithAModel) {
  const std::int64_t starts[] = {0, 1, 123'456'789'012'345, -kYear, kEarliest, kLatest - kHour};
  for (const std::int64_t start : starts) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      run_against_model(seed, start,
                        {kMicrosecond, kMillisecond, 20 * kMillisecond, kSecond, 80 * kSecond, kHour, 30 * 24 * kHour, kYear});
      run_against_model(seed, start, {kMillisecond, 100 * kMillisecond});
      run_against_model(seed, start, {kMillisecond, kHour, 100 * kYear, kLatest});
    }
  }
}

TEST(TimerWheel, ManyThreadsLoseAndDuplicateNothing) {
  constexpr std::size_t kThreads = 6, kEach = 64;
  constexpr int kRounds = 3000;
  auto wheel = std::make_unique<TimerWheel>(0);
  // `plain` is guarded by nothing but the wheel's own hand-over, which the thread sanitizer judges.
  struct Item {
    Reminder reminder;
    long plain = 0;
    std::atomic<bool> out{true};
  };
  std::vector<std::deque<Item>> items(kThreads);
  std::atomic<std::int64_t> time{0};
  std::atomic<std::size_t> running{kThreads};
  std::atomic<long> collected{0}, armed{0}, disarmed{0};
  std::mt19937_64 seeds(5);
  for (auto& own : items) {
    for (std::size_t i = 0; i < kEach; ++i) own.emplace_back().reminder.hash = seeds();
  }
  const auto collect = [&] {
    const std::int64_t now = time.fetch_add(50 * kMicrosecond, std::memory_order_relaxed);
    Reminder* out[7];
    const std::size_t count = wheel->collect(now, out);
    for (std::size_t i = 0; i < count; ++i) {
      auto* const item = reinterpret_cast<Item*>(out[i]);
      ++item->plain;
      ++collected;
      EXPECT_FALSE(item->out.exchange(true));
    }
  };
  static_assert(offsetof(Item, reminder) == 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      for (int round = 0; round < kRounds; ++round) {
        Item& item = items[t][random() % kEach];
        const std::int64_t due =
            time.load(std::memory_order_relaxed) + static_cast<std::int64_t>(random() % (40 * kMillisecond));
        if (item.out.load()) {  // only this thread arms its items: nobody can have it now
          ++item.plain;
          item.out = false;
          ++armed;
          wheel->arm(item.reminder, due);
        } else if (random() % 2 == 0 && wheel->disarm(item.reminder)) {
          ++item.plain;
          ++disarmed;
          EXPECT_FALSE(item.out.exchange(true));
        }
        if (random() % 4 == 0) collect();
        (void)wheel->next_due();
      }
      --running;
    });
  }
  std::thread collector([&] {
    while (running.load() > 0) collect();
  });
  for (auto& thread : threads) thread.join();
  collector.join();
  time = kHour;
  while (wheel->size() > 0) collect();
  EXPECT_EQ(armed.load(), collected.load() + disarmed.load());
  EXPECT_EQ(wheel->next_due(), kNever);
  for (const auto& own : items) {
    for (const Item& item : own) EXPECT_TRUE(item.out.load());
  }
}

// The pattern of a maintenance thread: nobody who arms for an earlier time than is known goes unheard.
TEST(TimerWheel, ArmTellsWhenTheSleeperMustWakeUp) {
  auto wheel = std::make_unique<TimerWheel>(0);
  constexpr int kThreads = 4, kRounds = 3000;
  std::atomic<std::uint64_t> wakes{0};
  std::atomic<int> running{kThreads};
  std::vector<std::deque<Reminder>> reminders(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(static_cast<std::uint64_t>(t));
      for (int round = 0; round < kRounds; ++round) {
        Reminder& reminder = reminders[static_cast<std::size_t>(t)].emplace_back(random());
        if (wheel->arm(reminder, kSecond + static_cast<std::int64_t>(random() % kHour))) ++wakes;
      }
      --running;
    });
  }
  // A sleeper that only looks again when it's told to must at the end know the true next time.
  std::uint64_t seen = 0;
  std::int64_t known = wheel->next_due();
  while (running.load() > 0 || seen != wakes.load()) {
    const std::uint64_t told = wakes.load();
    if (told != seen) {
      seen = told;
      known = wheel->next_due();
    }
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(known, wheel->next_due());
  EXPECT_LT(known, kHour);
}

}  // namespace
}  // namespace cubby::detail
