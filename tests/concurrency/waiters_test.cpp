// SPDX-License-Identifier: Apache-2.0

// Waiting calls: order of arrival, one element for one waiter, and the races of elements with timeouts and cancellations.
// Closing is in close_test.cpp.

#include <set>
#include <stop_token>

#include "support.hpp"

namespace cubby_test {
namespace {

class Waiters : public StoreTest {
 protected:
  void expect_waiters(std::size_t count) {
    ASSERT_TRUE(poll_until([&] { return store().stats().waiters == count; })) << store().stats().waiters << " of " << count;
  }

  /// Starts `count` calls of shift_wait one after the other; call i stores what it got in place i.
  void line_up(Threads& threads, std::vector<std::optional<Value>>& got, const std::string& key) {
    for (std::size_t index = 0; index < got.size(); ++index) {
      threads.start(1, [this, &got, index, key](int) { got[index] = store().shift_wait(key, kGenerous); });
      expect_waiters(index + 1);
    }
  }

  static std::vector<Value> sequence(int count) {
    std::vector<Value> values;
    for (int index = 0; index < count; ++index) values.emplace_back(index);
    return values;
  }

  void expect_in_order(const std::vector<std::optional<Value>>& got) {
    for (std::size_t index = 0; index < got.size(); ++index) ASSERT_EQ(got[index], Value(index));
  }
};

TEST_F(Waiters, AreServedInOrderOfArrivalByPushes) {
  std::vector<std::optional<Value>> got(static_cast<std::size_t>(scaled(200, 50)));
  Threads threads;
  line_up(threads, got, "queue");
  for (std::size_t index = 0; index < got.size(); ++index) EXPECT_EQ(store().push("queue", Value(index)), 1U);
  threads.join();
  expect_in_order(got);
  EXPECT_EQ(store().get("queue"), Value::array({}));
}

TEST_F(Waiters, AreServedInOrderOfArrivalByWhateverBringsElements) {
  const auto bring = [&](const std::string& queue, const Value& elements, int way) {
    switch (way) {
      case 0:
        store().set(queue, elements);
        break;
      case 1:
        store().swap(queue, elements);
        break;
      case 2:
        EXPECT_TRUE(store().set_once(queue, elements));
        break;
      case 3:
        store().modify(queue, [&](std::optional<Value>) -> std::optional<Value> { return elements; });
        break;
      case 4:
        store().set("elsewhere", elements);
        store().rename("elsewhere", queue);
        break;
      case 5:
        store().transact({queue}, [&](cubby::Transaction& all) {
          for (const Value& element : elements.elements()) all.push(queue, element);
        });
        break;
      case 6:
        store().transact({queue}, [&](cubby::Transaction& all) { all.set(queue, elements); });
        break;
      case 7:
        store().set(queue, elements, 1h);
        break;
      default:
        for (std::size_t index = 0; index < elements.size(); ++index) {
          store().unshift(queue, elements[index]);  // each is taken before the next comes
        }
    }
  };
  for (int way = 0; way <= 8; ++way) {
    const std::string queue = name_of("queue/", way);
    std::vector<std::optional<Value>> got(static_cast<std::size_t>(scaled(20, 5)));
    Threads threads;
    line_up(threads, got, queue);
    bring(queue, Value::array(sequence(static_cast<int>(got.size()))), way);
    threads.join();
    SCOPED_TRACE(way);
    expect_in_order(got);
    expect_waiters(0);
    EXPECT_EQ(store().get(queue), Value::array({}));
  }
}

TEST_F(Waiters, LeaveWhatIsTooMuchForThem) {
  std::vector<std::optional<Value>> got(3);
  Threads threads;
  line_up(threads, got, "queue");
  store().set("queue", Value::array(sequence(5)));
  threads.join();
  expect_in_order(got);
  EXPECT_EQ(store().get("queue"), Value::array({3, 4}));
}

TEST_F(Waiters, TakeTheirOwnEnd) {
  std::optional<Value> first;
  std::optional<Value> second;
  std::optional<Value> third;
  Threads threads;
  threads.start(1, [&](int) { first = store().shift_wait("queue", kGenerous); });
  expect_waiters(1);
  threads.start(1, [&](int) { second = store().pop_wait("queue", kGenerous); });
  expect_waiters(2);
  threads.start(1, [&](int) { third = store().shift_wait("queue", kGenerous); });
  expect_waiters(3);
  store().set("queue", Value::array({1, 2, 3, 4}));
  threads.join();
  EXPECT_EQ(first, Value(1));
  EXPECT_EQ(second, Value(4));
  EXPECT_EQ(third, Value(2));
  EXPECT_EQ(store().get("queue"), Value::array({3}));
}

TEST_F(Waiters, AThousandAreWokenOneByOne) {
  const int count = kThreadSanitizer ? 200 : 1000;
  std::atomic<int> returned{0};
  Threads threads;
  threads.start(count, [&](int) {
    EXPECT_TRUE(store().shift_wait("queue", std::nullopt).has_value());
    returned.fetch_add(1);
  });
  expect_waiters(count);
  for (int pushed = 1; pushed <= count; ++pushed) {
    EXPECT_EQ(store().push("queue", pushed), 1U);
    expect_waiters(static_cast<std::size_t>(count - pushed));
    ASSERT_LE(returned.load(), pushed);
  }
  threads.join();
  EXPECT_EQ(returned.load(), count);
  EXPECT_EQ(store().get("queue"), Value::array({}));
}

TEST_F(Waiters, AThousandOnKeysOfTheirOwn) {
  const int count = kThreadSanitizer ? 200 : 1000;
  Threads threads;
  threads.start(count, [&](int index) { EXPECT_EQ(store().shift_wait(name_of("queue/", index), std::nullopt), Value(index)); });
  expect_waiters(count);
  EXPECT_EQ(store().size(), 0U);
  EXPECT_TRUE(store().keys().empty());
  for (int index = count - 1; index >= 0; --index) store().push(name_of("queue/", index), index);
  threads.join();
  expect_waiters(0);
}

TEST_F(Waiters, AllSeeOneInstant) {
  // wait() is not served one by one: everybody waits for the same thing.
  const int count = scaled(200, 50);
  Threads threads;
  threads.start(count, [&](int index) {
    if (index % 3 == 0) {
      EXPECT_EQ(store().wait("config", kGenerous), Value("on"));
    } else if (index % 3 == 1) {
      EXPECT_EQ(store().wait("config", "on", kGenerous), Value("on"));
    } else {
      EXPECT_EQ(store().wait_for(
                    "config", [](const Value& value) { return value == Value("on"); }, kGenerous),
                Value("on"));
    }
  });
  expect_waiters(static_cast<std::size_t>(count));
  store().set("config", "on");
  threads.join();
}

/// What a wait for an element gave, and what was pushed, and what is left.
struct Account {
  std::mutex mutex;
  std::multiset<std::int64_t> pushed;
  std::multiset<std::int64_t> taken;

  void push(std::int64_t element) {
    const std::lock_guard lock(mutex);
    pushed.insert(element);
  }
  void take(const Value& value) {
    const std::lock_guard lock(mutex);
    if (value.is_array()) {
      for (const Value& element : value.elements()) taken.insert(element.as_int());
    } else {
      taken.insert(value.as_int());
    }
  }
};

TEST_F(Waiters, TimeoutsRacingPushesConserveElements) {
  Account account;
  const int each = scaled(3000, 250);
  Threads waiters;
  std::atomic<int> timeouts{0};
  std::atomic<int> served{0};
  waiters.repeat(6, [&, random = Random(seed_for(1))](int index) mutable {
    for (int skip = 0; skip < index; ++skip) random.next();
    const auto patience = std::chrono::microseconds(random.below(150));
    const auto element = random.one_in(2) ? store().shift_wait("queue", patience) : store().pop_wait("queue", patience);
    (element ? served : timeouts).fetch_add(1);
    if (element) account.take(*element);
  });
  run_threads(2, [&](int index) {
    Random random(seed_for(static_cast<std::uint64_t>(100 + index)));
    for (int count = 0; count < each; ++count) {
      const std::int64_t element = index * each + count;
      store().push("queue", Value(element));
      account.push(element);
      if (random.one_in(3)) std::this_thread::sleep_for(std::chrono::microseconds(random.below(100)));
    }
  });
  waiters.stop();
  account.take(*store().get("queue"));
  EXPECT_EQ(account.taken, account.pushed);
  EXPECT_GT(timeouts.load() + served.load(), 0);
  expect_waiters(0);
}

TEST_F(Waiters, CancellationsRacingPushesConserveElements) {
  Account account;
  const int rounds = scaled(800, 80);
  std::atomic<int> cancelled{0};
  for (int round = 0; round < rounds; ++round) {
    // One waiter, one push and one cancellation at once.
    std::stop_source stop;
    run_threads(3, [&](int index) {
      Random random(seed_for(static_cast<std::uint64_t>(round * 3 + index)));
      spin(random.below(3000));
      if (index == 0) {
        const auto error = error_of([&] {
          const auto element = store().shift_wait("queue", kGenerous, stop.get_token());
          ASSERT_TRUE(element.has_value());
          account.take(*element);
        });
        EXPECT_TRUE(!error || *error == Errc::cancelled);
        if (error) cancelled.fetch_add(1);
      } else if (index == 1) {
        store().push("queue", round);
        account.push(round);
      } else {
        stop.request_stop();
      }
    });
    if (const auto left = store().take("queue")) account.take(*left);
    ASSERT_EQ(account.taken, account.pushed) << "round " << round << ", seed " << run_seed();
  }
  std::cout << cancelled.load() << " of " << rounds << " cancelled" << std::endl;
  expect_waiters(0);
}

TEST_F(Waiters, CancellingManyLeavesTheOthersInOrder) {
  const int count = scaled(100, 30);
  std::stop_source stop;
  std::vector<std::optional<Value>> got(static_cast<std::size_t>(count));
  std::atomic<int> cancelled{0};
  Threads threads;
  for (int index = 0; index < count; ++index) {
    threads.start(1, [&, index](int) {
      if (index % 2 == 0) {
        got[static_cast<std::size_t>(index)] = store().shift_wait("queue", kGenerous);
      } else if (error_of([&] { store().shift_wait("queue", kGenerous, stop.get_token()); }) == Errc::cancelled) {
        cancelled.fetch_add(1);
      }
    });
    expect_waiters(static_cast<std::size_t>(index + 1));
  }
  stop.request_stop();
  expect_waiters(static_cast<std::size_t>((count + 1) / 2));
  EXPECT_TRUE(poll_until([&] { return cancelled.load() == count / 2; }));
  for (int index = 0; index < count; index += 2) store().push("queue", index);
  threads.join();
  for (int index = 0; index < count; index += 2) EXPECT_EQ(got[static_cast<std::size_t>(index)], Value(index));
}

TEST_F(Waiters, RemovalsAndRenamesOfTheirQueueConserveElements) {
  // Nobody is orphaned: after each removal the waiters wait for the same name, and get what comes next.
  Account account;
  const int each = scaled(4000, 300);
  Threads others;
  others.repeat(3, [&] {
    if (const auto element = store().shift_wait("queue", 50ms)) account.take(*element);
  });
  others.repeat(1, [&] {
    if (const auto all = store().take("queue")) account.take(*all);
    std::this_thread::yield();
  });
  others.repeat(1, [&] {
    error_of([&] { store().rename("queue", "aside"); });
    if (const auto all = store().take("aside")) account.take(*all);
    std::this_thread::yield();
  });
  for (int count = 0; count < each; ++count) {
    store().push("queue", count);
    account.push(count);
    spin(count % 256);
    if (count % 64 == 0) std::this_thread::yield();
  }
  others.stop();
  for (const char* key : {"queue", "aside"}) {
    if (const auto all = store().take(key)) account.take(*all);
  }
  EXPECT_EQ(account.taken, account.pushed);
}

TEST_F(Waiters, OutliveTheirKey) {
  std::vector<std::optional<Value>> got(4);
  Threads threads;
  store().set("queue", Value::array({}));
  line_up(threads, got, "queue");
  store().erase("queue");
  store().push("queue", 0);
  store().clear();
  store().push("queue", 1);
  store().expire("queue", 0s);
  store().push("queue", 2);
  store().rename("queue", "elsewhere");
  store().push("queue", 3);
  threads.join();
  expect_in_order(got);
}

TEST_F(Waiters, AreAllToldThatTheQueueIsNone) {
  const int count = scaled(100, 30);
  std::atomic<int> told{0};
  Threads threads;
  threads.start(count, [&](int index) {
    const auto error =
        error_of([&] { index % 2 == 0 ? store().shift_wait("queue", kGenerous) : store().pop_wait("queue", kGenerous); });
    EXPECT_EQ(error, Errc::type_mismatch);
    told.fetch_add(1);
  });
  expect_waiters(static_cast<std::size_t>(count));
  store().set("queue", 5);
  store().erase("queue");  // too late
  threads.join();
  EXPECT_EQ(told.load(), count);
}

/// Four threads that call `call(round)` once a round; `act(round)` runs once all four are waiting.
template <class Call, class Act>
void lock_step(Datastore& store, int rounds, Call call, Act act) {
  std::atomic<int> round_open{0};
  std::atomic<int> returned{0};
  Threads threads;
  threads.start(4, [&](int) {
    for (int round = 1; round <= rounds; ++round) {
      ASSERT_TRUE(poll_until([&] { return round_open.load() >= round; }));
      call(round);
      returned.fetch_add(1);
    }
  });
  for (int round = 1; round <= rounds; ++round) {
    round_open.store(round);
    ASSERT_TRUE(poll_until([&] { return store.stats().waiters == 4; })) << "round " << round;
    act(round);
    ASSERT_TRUE(poll_until([&] { return returned.load() == 4 * round; })) << "round " << round;
  }
}

TEST_F(Waiters, NeverMissAnEqualValueHoweverBrief) {
  store().set("state", 0);
  lock_step(
      store(), scaled(1000, 150), [&](int round) { EXPECT_EQ(store().wait("state", round, kGenerous), Value(round)); },
      [&](int round) {
        store().set("state", round);
        store().set("state", 0);  // at once
      });
}

TEST_F(Waiters, NeverMissAChangeHoweverBrief) {
  store().set("state", 0);
  lock_step(
      store(), scaled(1000, 150), [&](int round) { EXPECT_EQ(store().wait("state", kGenerous), Value(round)); },
      [&](int round) {
        store().set("state", 0);  // no change
        store().erase("state");   // absence ends no wait
        store().set("state", 0);
        store().set("state", round);
        store().set("state", 0);
      });
}

TEST_F(Waiters, PredicatesNeverMissAValueThatStays) {
  const int rounds = scaled(3000, 200);
  std::atomic<int> reached{0};
  Threads threads;
  threads.start(4, [&](int) {
    for (int round = 1; round <= rounds; ++round) {
      const Value value = store().wait_for(
          "state", [&](const Value& seen) { return seen.as_int() >= round; }, kGenerous);
      ASSERT_GE(value.as_int(), round);
      if (round == rounds) reached.fetch_add(1);
    }
  });
  for (int round = 1; round <= rounds; ++round) store().set("state", round);
  EXPECT_TRUE(poll_until([&] { return reached.load() == 4; }));
}

TEST_F(Waiters, HaveOneDeadlineHoweverOftenTheyWake) {
  Threads writers;
  writers.repeat(2, [&] { store().increment("busy"); });
  const auto start = Clock::now();
  EXPECT_EQ(error_of([&] {
              store().wait_for(
                  "busy", [](const Value&) { return false; }, 200ms);
            }),
            Errc::timeout);
  EXPECT_EQ(error_of([&] { store().wait("busy", "never", 200ms); }), Errc::timeout);
  EXPECT_GE(Clock::now() - start, 399ms);
  EXPECT_LT(Clock::now() - start, kGenerous);
}

}  // namespace
}  // namespace cubby_test
