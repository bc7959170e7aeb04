// SPDX-License-Identifier: Apache-2.0

// Waits with callbacks: no element is lost or delivered twice, nobody sleeps while there is something for it, and whoever is
// cancelled, late or destroyed is not called.

#include <deque>
#include <numeric>

#include "base/clock.hpp"
#include "support.hpp"

namespace cubby_test {
namespace {

using cubby::End;
using cubby::Waiting;
using cubby::WaitResult;

class CallbackWaiters : public StoreTest {};

TEST_F(CallbackWaiters, ElementsGoToThreadsAndCallbacksOnce) {
  constexpr int kProducers = 3, kThreads = 2, kChains = 8;
  const int each = scaled(3000, 500);
  const std::vector<std::string> queues{"a", "b", "c"};
  std::atomic<std::int64_t> received{0}, sum{0};
  const auto take = [&](const Value& value) {
    sum.fetch_add(value.as_int());
    received.fetch_add(1);
  };
  // Each callback waits again, from within.
  std::mutex lock;
  std::deque<Waiting> handles;
  std::atomic<bool> stop{false};
  std::function<void()> wait_again = [&] {
    if (stop) return;
    Waiting waiting = store().shift_async(queues, End::first, std::nullopt, [&](const WaitResult& result) {
      if (!result.value) return;
      take(*result.value);
      wait_again();
    });
    const std::lock_guard guard(lock);
    handles.push_back(std::move(waiting));
  };
  for (int chain = 0; chain < kChains; ++chain) wait_again();
  Threads threads;
  threads.start(kProducers, [&](int producer) {
    for (int number = 1; number <= each; ++number) {
      const std::string& queue = queues[static_cast<std::size_t>(producer + number) % queues.size()];
      number % 5 == 0 ? store().unshift(queue, number) : store().push(queue, number);
    }
  });
  threads.start(kThreads, [&](int thread) {
    while (!stop) {
      if (const auto value = store().pop_wait(queues[static_cast<std::size_t>(thread)], 1ms)) take(*value);
    }
  });
  const std::int64_t expected = std::int64_t{kProducers} * each;
  EXPECT_TRUE(poll_until([&] { return received == expected; })) << received << " of " << expected;
  stop = true;
  threads.join();
  handles.clear();
  EXPECT_EQ(received, expected);
  EXPECT_EQ(sum, std::int64_t{kProducers} * each * (each + 1) / 2);
  EXPECT_EQ(store().stats().waiters, 0U);
}

TEST_F(CallbackWaiters, AnElementMeetsTimeoutCancellationAndDestruction) {
  const int most_rounds = scaled(1500, 200);
  const auto enough = Clock::now() + 20s;  // each round needs the other thread to run, which takes its time on a busy machine
  int rounds = 0;
  std::int64_t called = 0, late = 0, cancelled = 0;
  std::atomic<int> round{0}, pushed{0};
  Threads threads;
  threads.start(1, [&](int) {
    for (int number = 1;; ++number) {
      for (int seen = round; seen < number; seen = round) round.wait(seen);
      if (round > most_rounds) return;
      store().push(number % 2 == 0 ? "a" : "b", number);
      pushed = number;
      pushed.notify_one();
    }
  });
  struct Stop {
    std::atomic<int>& round;
    const int last;
    ~Stop() {
      round = last;
      round.notify_one();
    }
  };
  std::unique_ptr<Stop> stop(new Stop{round, most_rounds + 1});
  for (int number = 1; number <= most_rounds && Clock::now() < enough; ++number) {
    ++rounds;
    std::atomic<int> calls{0};
    std::optional<Value> value;
    bool gave_up = false;
    {
      Waiting waiting = store().shift_async({"a", "b"}, End::first, number % 3 == 0 ? cubby::Timeout(200us) : std::nullopt,
                                            [&](WaitResult result) {
                                              value = std::move(result.value);
                                              calls.fetch_add(1);
                                              calls.notify_one();
                                            });
      round = number;
      round.notify_one();
      if (number % 3 == 0) {
        calls.wait(0);
      } else {
        for (int spin = number % 20; spin > 0; --spin) std::this_thread::yield();
        if (number % 3 == 1) gave_up = waiting.cancel();
      }
    }  // the handle's end waits for a callback that has begun
    const int seen = calls;
    ASSERT_LE(seen, 1);
    ASSERT_TRUE(!gave_up || seen == 0);
    called += value.has_value();
    late += seen == 1 && !value;
    cancelled += seen == 0;
    for (int now = pushed; now < number; now = pushed) pushed.wait(now);
    const std::string queue = number % 2 == 0 ? "a" : "b";
    const auto left = store().shift(queue);
    ASSERT_EQ(value.has_value(), !left.has_value()) << number;
    ASSERT_EQ(value ? *value : *left, Value(number));
  }
  stop.reset();
  threads.join();
  EXPECT_EQ(called + late + cancelled, rounds);
  EXPECT_EQ(store().stats().waiters, 0U);
}

TEST_F(CallbackWaiters, AttemptsMoveTokensWhileThievesAreAtWork) {
  // Tokens go round through lists: each mover waits for its list and moves one token on, as BLMOVE does, and waits again. A
  // thief takes tokens and puts them back. None may be lost, and none may lie where a mover sleeps.
  constexpr int kLists = 4, kTokens = 6;
  const int moves = scaled(8000, 1000);
  const auto name = [](int list) { return "list " + std::to_string(list % kLists); };
  std::atomic<int> moved{0};
  std::atomic<bool> stop{false};
  std::mutex lock;
  std::deque<Waiting> handles;
  std::function<void(int)> begin = [&](int list) {
    Waiting waiting =
        store().attempt_async(std::vector<std::string>{name(list)}, std::nullopt, [&, list](std::error_code error) {
          if (error || stop) return true;
          const std::string from = name(list), to = name(list + 1);
          const bool done = store().transact({from, to}, [&](cubby::Transaction& t) {
            if (!t.exists(from)) return false;
            const auto token = t.shift(from);
            if (!token) return false;
            if (t.get(from)->size() == 0) t.erase(from);
            t.push(to, *token);
            return true;
          });
          if (!done) return false;
          moved.fetch_add(1);
          begin(list);
          return true;
        });
    const std::lock_guard guard(lock);
    handles.push_back(std::move(waiting));
    while (handles.size() > 64 && !handles.front().active()) handles.pop_front();
  };
  Threads threads;
  threads.start(1, [&](int) {
    for (std::uint64_t turn = 0; !stop; ++turn) {
      const std::string list = name(static_cast<int>(turn % kLists));
      if (!store().exists(list)) continue;
      try {
        if (const auto token = store().pop(list)) store().push(name(static_cast<int>(turn / 7 % kLists)), *token);
      } catch (const cubby::Error& error) {
        ASSERT_EQ(error.code(), Errc::key_not_found);
      }
      if (turn % 64 == 0) std::this_thread::yield();
    }
  });
  for (int list = 0; list < kLists; ++list) {
    begin(list);
    begin(list);
  }
  // The callbacks of one thread go on as long as there is a token to move: they are asked to stop from outside.
  threads.start(2, [&](int thread) {
    for (int token = thread; token < kTokens; token += 2) store().push(name(token), token);
  });
  EXPECT_TRUE(poll_until([&] { return moved >= moves; })) << moved;
  stop = true;
  threads.join();
  std::vector<std::int64_t> tokens;
  for (int list = 0; list < kLists; ++list) {
    if (const auto value = store().get(name(list))) {
      for (const Value& token : value->elements()) tokens.push_back(token.as_int());
    }
  }
  std::sort(tokens.begin(), tokens.end());
  std::vector<std::int64_t> all(kTokens);
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(tokens, all);
  {
    const std::lock_guard guard(lock);
    handles.clear();
  }
  EXPECT_EQ(store().stats().waiters, 0U);
}

TEST_F(CallbackWaiters, NoAttemptSleepsOverAnElement) {
  const int rounds = scaled(500, 100);
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> taken{0};
    const auto take = [&](std::error_code) {
      const bool got = store().transact({"q"}, [](cubby::Transaction& t) { return t.exists("q") && t.shift("q").has_value(); });
      if (got) taken.fetch_add(1);
      return got;
    };
    Waiting first, second;
    Threads threads;
    threads.start(1, [&](int) { first = store().attempt_async({"q", "r"}, std::nullopt, take); });
    threads.start(1, [&](int) { second = store().attempt_async({"q"}, std::nullopt, take); });
    threads.start(2, [&](int) { store().push("q", 1); });
    threads.join();
    ASSERT_EQ(taken, 2) << round;
    ASSERT_FALSE(first.active() || second.active());
    store().clear();
  }
}

TEST_F(CallbackWaiters, ClearAndGrowthLoseNobody) {
  const int rounds = scaled(20000, 2000);
  std::atomic<bool> stop{false};
  Threads threads;
  threads.start(1, [&](int) {
    for (int number = 0; !stop; ++number) {
      store().set("filler " + std::to_string(number % 3000), number);
      if (number % 700 == 0) store().clear();
    }
  });
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> calls{0};
    Waiting waiting = store().shift_async({"q", "r", "s"}, End::first, std::nullopt, [&](WaitResult) { calls.fetch_add(1); });
    store().push(round % 2 == 0 ? "r" : "s", round);
    ASSERT_EQ(calls, 1) << "served before push returns";
  }
  stop = true;
  threads.join();
  EXPECT_EQ(store().stats().waiters, 0U);
}

TEST_F(CallbackWaiters, TimeoutsComeInTimeAndOnlyOnce) {
  constexpr int kWaits = 2000;
  std::vector<std::atomic<int>> calls(kWaits);
  std::vector<Waiting> handles;
  for (int index = 0; index < kWaits; ++index) {
    auto& counter = calls[static_cast<std::size_t>(index)];
    handles.push_back(
        store().shift_async({"q" + std::to_string(index % 10), "all"}, End::first, 1h + std::chrono::milliseconds(index),
                            [&counter](const WaitResult& result) { counter += result.error == Errc::timeout ? 1 : 1000; }));
  }
  EXPECT_EQ(store().stats().waiters, static_cast<std::size_t>(kWaits));
  for (int index = 0; index < kWaits; index += 3) EXPECT_EQ(handles[static_cast<std::size_t>(index)].cancel(), true);
  cubby::detail::advance_clock_for_testing(std::chrono::nanoseconds(2h).count());
  EXPECT_TRUE(poll_until([&] { return store().stats().waiters == 0; })) << store().stats().waiters;
  handles.clear();
  for (int index = 0; index < kWaits; ++index) EXPECT_EQ(calls[static_cast<std::size_t>(index)], index % 3 == 0 ? 0 : 1);
}

TEST_F(CallbackWaiters, CloseEndsEachOnce) {
  const int rounds = scaled(60, 10);
  for (int round = 0; round < rounds; ++round) {
    const std::string name = "closing " + std::to_string(round);
    cubby::Datastore closing = cubby::open(name);
    constexpr int kWaits = 200;
    std::atomic<int> closed{0}, elements{0}, tried{0};
    std::vector<Waiting> handles;
    for (int index = 0; index < kWaits; ++index) {
      const std::vector<std::string> keys{"q" + std::to_string(index % 7), "r"};
      if (index % 4 == 0) {
        handles.push_back(closing.attempt_async(keys, std::nullopt, [&](std::error_code error) {
          if (error == Errc::closed) tried.fetch_add(1);
          return false;
        }));
      } else {
        handles.push_back(closing.shift_async(keys, End::first, std::nullopt, [&](const WaitResult& result) {
          (result.error == Errc::closed ? closed : elements).fetch_add(1);
        }));
      }
    }
    Threads threads;
    threads.start(1, [&](int) {
      try {
        for (int index = 0; index < 100; ++index) closing.push("q" + std::to_string(index % 7), index);
      } catch (const cubby::Error& error) {
        ASSERT_EQ(error.code(), Errc::closed);
      }
    });
    cubby::close(name);
    threads.join();
    handles.clear();
    EXPECT_EQ(closed + elements, kWaits * 3 / 4);
    EXPECT_EQ(tried, kWaits / 4);
  }
}

}  // namespace
}  // namespace cubby_test
