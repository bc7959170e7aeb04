// SPDX-License-Identifier: Apache-2.0

// Many threads on few keys: no update is lost, no element is delivered twice, and threads come and go.

#include <numeric>

#include "support.hpp"

namespace cubby_test {
namespace {

constexpr int kWorkers = kThreadSanitizer ? 200 : 1000;  // starting a thread costs ThreadSanitizer milliseconds

/// The integers of an array.
std::vector<std::int64_t> integers(const Value& array) {
  std::vector<std::int64_t> result;
  for (const Value& element : array.elements()) result.push_back(element.as_int());
  return result;
}

/// 0, 1, ... n - 1, or a failure.
void expect_each_once(std::vector<std::int64_t> numbers, std::int64_t count) {
  ASSERT_EQ(static_cast<std::int64_t>(numbers.size()), count);
  std::sort(numbers.begin(), numbers.end());
  for (std::int64_t index = 0; index < count; ++index) ASSERT_EQ(numbers[static_cast<std::size_t>(index)], index);
}

template <class T>
std::vector<T> joined(const std::vector<std::vector<T>>& parts) {
  std::vector<T> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

class Workers : public StoreTest {};

TEST_F(Workers, IncrementOneKeyAThousandAtOnce) {
  const int each = scaled(200, 10);
  std::vector<std::vector<std::int64_t>> seen(kWorkers);
  run_threads(kWorkers, [&](int worker) {
    auto& mine = seen[static_cast<std::size_t>(worker)];
    for (int count = 0; count < each; ++count) mine.push_back(store().increment("counter").as_int() - 1);
    EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
  });
  EXPECT_EQ(store().get("counter"), Value(std::int64_t{kWorkers} * each));
  expect_each_once(joined(seen), std::int64_t{kWorkers} * each);
}

TEST_F(Workers, UpdateOneKeyInEveryWay) {
  const int each = scaled(60, 4);
  run_threads(kWorkers, [&](int worker) {
    for (int count = 0; count < each; ++count) {
      switch ((worker + count) % 4) {
        case 0:
          store().increment("counter", 2);
          break;
        case 1:
          store().decrement("counter", -2);
          break;
        case 2:
          store().modify("counter",
                         [](std::optional<Value> old) -> std::optional<Value> { return (old ? old->as_int() : 0) + 2; });
          break;
        default:
          store().transact({"counter", "other"}, [](cubby::Transaction& all) {
            all.increment("counter", 1);
            all.increment("other");
            all.increment("counter", 1);
          });
      }
    }
  });
  EXPECT_EQ(store().get("counter"), Value(std::int64_t{kWorkers} * each * 2));
  EXPECT_EQ(store().get("other"), Value(std::int64_t{kWorkers} * each / 4));
}

TEST_F(Workers, PushToOneQueueAThousandAtOnce) {
  const int each = scaled(100, 8);
  std::vector<std::vector<std::int64_t>> lengths(kWorkers);
  run_threads(kWorkers, [&](int worker) {
    for (int count = 0; count < each; ++count) {
      const std::size_t length = store().push("queue", number(worker * each + count));
      lengths[static_cast<std::size_t>(worker)].push_back(static_cast<std::int64_t>(length) - 1);
    }
  });
  const std::vector<std::int64_t> queue = integers(*store().get("queue"));
  std::vector<std::int64_t> last(kWorkers, -1);
  for (std::size_t place = 0; place < queue.size(); ++place) {
    const auto worker = static_cast<std::size_t>(queue[place] / each);
    ASSERT_GT(queue[place] % each, last[worker]) << "at " << place;
    last[worker] = queue[place] % each;
    // The length that the push returned is the element's place.
    ASSERT_EQ(lengths[worker][static_cast<std::size_t>(queue[place] % each)], static_cast<std::int64_t>(place));
  }
  expect_each_once(queue, std::int64_t{kWorkers} * each);
}

TEST_F(Workers, UnshiftAndPopFromBothEnds) {
  const int each = scaled(100, 8);
  std::vector<std::vector<std::int64_t>> taken(kWorkers);
  store().set("queue", Value::array({}));
  run_threads(kWorkers, [&](int worker) {
    for (int count = 0; count < each; ++count) {
      const Value element = number(worker * each + count);
      (worker + count) % 2 == 0 ? store().push("queue", element) : store().unshift("queue", element);
      if (count % 2 == 0) continue;
      const std::optional<Value> got = worker % 2 == 0 ? store().pop("queue") : store().shift("queue");
      if (got) taken[static_cast<std::size_t>(worker)].push_back(got->as_int());
    }
  });
  std::vector<std::int64_t> all = joined(taken);
  for (const std::int64_t element : integers(*store().get("queue"))) all.push_back(element);
  expect_each_once(std::move(all), std::int64_t{kWorkers} * each);
}

TEST_F(Workers, DeliverEachElementOnceFromProducersToWaitingConsumers) {
  const int producers = kWorkers / 2;
  const int consumers = kWorkers / 2;
  const int each = scaled(100, 6);
  std::vector<std::vector<std::int64_t>> taken(consumers);
  Threads consuming;
  consuming.start(consumers, [&](int consumer) {
    while (true) {
      const auto element = consumer % 2 == 0 ? store().shift_wait("queue", kGenerous) : store().pop_wait("queue", kGenerous);
      ASSERT_TRUE(element.has_value()) << "no element came";
      if (element->as_int() < 0) return;
      taken[static_cast<std::size_t>(consumer)].push_back(element->as_int());
    }
  });
  run_threads(producers, [&](int producer) {
    for (int count = 0; count < each; ++count) store().push("queue", number(producer * each + count));
  });
  // The ends come when all is taken: pop_wait would overtake with them.
  ASSERT_TRUE(poll_until([&] {
    std::size_t length = 1;
    store().visit("queue", [&length](const Value& queue) { length = queue.size(); });
    return length == 0;
  }));
  for (int consumer = 0; consumer < consumers; ++consumer) store().push("queue", -1);
  consuming.join();
  expect_each_once(joined(taken), std::int64_t{producers} * each);
  EXPECT_EQ(store().get("queue"), Value::array({}));
  EXPECT_EQ(store().stats().waiters, 0U);
}

TEST_F(Workers, DeliverInOrderToASingleConsumer) {
  const int producers = 16;
  const int each = scaled(4000, 300);
  Threads producing;
  producing.start(producers, [&](int producer) {
    for (int count = 0; count < each; ++count) store().push("queue", number(producer * each + count));
  });
  std::vector<std::int64_t> next(producers, 0);
  for (int count = 0; count < producers * each; ++count) {
    const std::optional<Value> element = store().shift_wait("queue", kGenerous);
    ASSERT_TRUE(element.has_value());
    ASSERT_EQ(element->as_int() % each, next[static_cast<std::size_t>(element->as_int() / each)]++);
  }
  producing.join();
  EXPECT_EQ(store().shift_wait("queue", 0s), std::nullopt);
}

TEST_F(Workers, PassABallThroughTwoQueues) {
  // Either side sleeps until the other has pushed: a lost wake-up ends it.
  const int passes = scaled(20'000, 1500);
  Threads other;
  other.start(1, [&](int) {
    for (int pass = 0; pass < passes; ++pass) {
      const std::optional<Value> ball = store().shift_wait("there", kGenerous);
      ASSERT_TRUE(ball.has_value()) << "pass " << pass;
      store().push("back", *ball);
    }
  });
  for (int pass = 0; pass < passes; ++pass) {
    store().push("there", pass);
    ASSERT_EQ(store().shift_wait("back", kGenerous), Value(pass));
  }
}

TEST_F(Workers, ElectOneWinner) {
  const int rounds = scaled(20, 2);
  for (int round = 0; round < rounds; ++round) {
    std::atomic<int> winners{0};
    std::atomic<int> takers{0};
    const std::string key = name_of("office/", round);
    const int candidates = round == 0 ? kWorkers : 50;
    run_threads(candidates, [&](int worker) {
      if (store().set_once(key, worker)) winners.fetch_add(1);
      EXPECT_TRUE(store().exists(key));
    });
    EXPECT_EQ(winners.load(), 1);
    run_threads(candidates, [&](int) {
      if (store().take(key)) takers.fetch_add(1);
    });
    EXPECT_EQ(takers.load(), 1);
    EXPECT_FALSE(store().exists(key));
  }
}

TEST_F(Workers, SwapTokensWithoutLosingOne) {
  const int each = scaled(100, 8);
  std::vector<std::vector<std::int64_t>> got(kWorkers);
  run_threads(kWorkers, [&](int worker) {
    for (int count = 0; count < each; ++count) {
      const std::optional<Value> old = store().swap("token", number(worker * each + count));
      if (old) got[static_cast<std::size_t>(worker)].push_back(old->as_int());
    }
  });
  std::vector<std::int64_t> all = joined(got);
  all.push_back(store().get("token")->as_int());
  expect_each_once(std::move(all), std::int64_t{kWorkers} * each);
}

TEST_F(Workers, MergeIntoOneObject) {
  const int each = scaled(5, 1);
  const int workers = 200;
  run_threads(workers, [&](int worker) {
    for (int count = 0; count < each; ++count) {
      const std::string member = name_of("m", worker * each + count);
      const Value after = store().update("object", Value::object({{member, Value(worker)}}));
      EXPECT_EQ(after[member], Value(worker));
    }
  });
  EXPECT_EQ(store().get("object")->size(), static_cast<std::size_t>(workers * each));
}

TEST_F(Workers, ComeAndGo) {
  const int waves = scaled(60, 3);
  constexpr int kWave = 100;
  const std::size_t resident_before = resident_bytes();
  std::atomic<std::size_t> most_resident{0};
  for (int wave = 0; wave < waves; ++wave) {
    Threads threads;
    threads.start(kWave, [&](int index) {
      const std::string own = name_of("own/", index);
      store().increment("all");
      store().set(own, Value(std::string(100, 'x')));
      EXPECT_TRUE(store().get(own).has_value());
      store().push("queue", index);
      EXPECT_TRUE(store().shift_wait("queue", kGenerous).has_value());
      store().expire(own, 1h);
      if (index % 10 == 0) store().erase(own);
    });
    threads.join();
    most_resident = std::max(most_resident.load(), resident_bytes());
  }
  EXPECT_EQ(store().get("all"), Value(std::int64_t{waves} * kWave));
  EXPECT_EQ(store().get("queue"), Value::array({}));
  EXPECT_LE(store().size(), static_cast<std::size_t>(kWave + 2));
  // What threads that are gone have left behind is used again: thousands would otherwise leave their records, or garbage.
  EXPECT_LT(store().stats().bytes, std::size_t{4} << 20);
  if (!kThreadSanitizer && !kAddressSanitizer) {
    EXPECT_LT(most_resident.load(), resident_before + (std::size_t{128} << 20));
  }
}

TEST_F(Workers, ReadersSeeEachWriterGoForward) {
  // A reader never sees a key go back, though many readers look on.
  std::atomic<bool> done{false};
  Threads writers;
  writers.start(1, [&](int) {
    for (int count = 1; count <= scaled(30'000, 3000); ++count) store().set("clock", count);
    done = true;
  });
  run_threads(64, [&](int) {
    std::int64_t last = 0;
    do {
      std::int64_t seen = last;
      if (const auto value = store().get("clock")) seen = value->as_int();
      ASSERT_GE(seen, last);
      last = seen;
      store().visit("clock", [&seen](const Value& value) { seen = value.as_int(); });
      ASSERT_GE(seen, last);
      last = seen;
    } while (!done.load());
  });
}

TEST_F(Workers, OthersSeeWhatHappenedBefore) {
  // A call happens-before every call that sees its effect: plain memory written before a set is seen after the get. What breaks
  // it is found by ThreadSanitizer.
  const int rounds = scaled(5000, 1000);
  std::vector<int> plain(static_cast<std::size_t>(rounds), 0);
  Threads writer;
  writer.start(1, [&](int) {
    for (int round = 0; round < rounds; ++round) {
      plain[static_cast<std::size_t>(round)] = round + 1;
      store().set("published", round);
    }
  });
  for (int last = -1; last < rounds - 1;) {
    store().visit("published", [&last](const Value& value) { last = static_cast<int>(value.as_int()); });
    if (last < 0) continue;
    ASSERT_EQ(plain[static_cast<std::size_t>(last)], last + 1);
  }
}

}  // namespace
}  // namespace cubby_test
