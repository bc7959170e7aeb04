// SPDX-License-Identifier: Apache-2.0

// Deadlines under load: nothing is seen after its deadline or gone before it, nothing that was re-armed or freed from its
// deadline is lost, and memory comes back.
//
// Deadlines are compared with the steady clock, read before a call whose result must not be too late and after one whose result
// must not be too early. kExactness is the millisecond to which times to live are exact.

#include "support.hpp"

namespace cubby_test {
namespace {

constexpr auto kExactness = 1ms;

std::int64_t to_ns(Clock::time_point time) { return time.time_since_epoch().count(); }
std::int64_t to_ns(std::chrono::nanoseconds time) { return time.count(); }

class Expiry : public StoreTest {
 protected:
  void expect_all_reclaimed() {
    EXPECT_TRUE(poll_until([&] { return store().stats().keys == 0; })) << store().stats().keys << " keys are left";
    EXPECT_TRUE(store().keys().empty());
  }
};

TEST_F(Expiry, NothingIsSeenPastItsDeadlineNorGoneBefore) {
  const int keys = scaled(200'000, 10'000);
  struct Times {
    std::atomic<std::int64_t> earliest{0};  // the deadline lies between these; 0: not stored yet
    std::atomic<std::int64_t> latest{0};
  };
  std::vector<Times> times(static_cast<std::size_t>(keys));
  std::atomic<std::int64_t> alive{0};
  std::atomic<std::int64_t> expired{0};
  Threads readers;
  readers.repeat(2, [&, random = Random(seed_for(1))](int reader) mutable {
    for (int skip = 0; skip <= reader; ++skip) random.next();
    for (int count = 0; count < 200; ++count) {
      const int index = random.below(keys);
      const Times& known = times[static_cast<std::size_t>(index)];
      const std::int64_t latest = known.latest.load();
      if (latest == 0) continue;
      const std::string key = name_of("key/", index);
      const std::int64_t before = to_ns(Clock::now());
      bool found = false;
      switch (count % 4) {
        case 0:
          found = store().get(key).has_value();
          break;
        case 1:
          found = store().exists(key);
          break;
        case 2:
          found = store().visit(key, [](const Value&) {});
          break;
        default:
          found = store().ttl(key).has_value();
      }
      const std::int64_t after = to_ns(Clock::now());
      if (found) {
        ASSERT_LE(before, latest + to_ns(kExactness)) << key << " was seen after its deadline";
      } else {
        ASSERT_GE(after, known.earliest.load() - to_ns(kExactness)) << key << " was gone before its deadline";
      }
      (found ? alive : expired).fetch_add(1, std::memory_order_relaxed);
    }
  });
  run_threads(2, [&](int writer) {
    Random random(seed_for(static_cast<std::uint64_t>(10 + writer)));
    for (int index = writer; index < keys; index += 2) {
      Times& known = times[static_cast<std::size_t>(index)];
      const auto ttl = std::chrono::microseconds(50'000 + random.below(450'000));
      const std::string key = name_of("key/", index);
      const std::int64_t before = to_ns(Clock::now());
      store().set(key, index, ttl);
      const std::int64_t after = to_ns(Clock::now());
      known.earliest.store(before + to_ns(ttl));
      known.latest.store(after + to_ns(ttl));
    }
  });
  std::int64_t last = 0;
  for (const Times& known : times) last = std::max(last, known.latest.load());
  ASSERT_TRUE(poll_until([&] { return to_ns(Clock::now()) > last + to_ns(kExactness); }));
  // Now all are absent to every operation, whether or not their memory is back.
  EXPECT_TRUE(store().keys().empty());
  EXPECT_EQ(store().count([](std::string_view, const Value&) { return true; }), 0U);
  expect_all_reclaimed();
  readers.stop();
  EXPECT_EQ(store().stats().expired, static_cast<std::uint64_t>(keys));
  std::cout << alive.load() << " reads found a key, " << expired.load() << " found it expired" << std::endl;
}

TEST_F(Expiry, GivesTheMemoryBack) {
  const int keys = scaled(100'000, 6000);
  const Value text(std::string(200, 'x'));
  std::size_t full = 0;
  for (int index = 0; index < keys; ++index) {
    store().set(name_of("key/", index), text, 5min);
  }
  full = store().stats().bytes;
  for (int index = 0; index < keys; ++index) store().expire(name_of("key/", index), 20ms);
  expect_all_reclaimed();
  EXPECT_TRUE(poll_until(
      [&] {
        store().exists("key/0");
        return store().stats().bytes < full / 20 + (256U << 10);
      },
      30s))
      << store().stats().bytes << " of " << full;
}

TEST_F(Expiry, ReArmedKeysStay) {
  // A deadline that comes near again and again, and is put off each time: a put-off that succeeded holds.
  constexpr int kKeys = 200;
  const int each = scaled(3000, 200);
  std::atomic<int> too_late{0};
  run_threads(4, [&](int thread) {
    Random random(seed_for(static_cast<std::uint64_t>(thread)));
    std::vector<std::string> armed;
    for (int count = 0; count < each; ++count) {
      const std::string key = name_of(name_of("key/", thread) + "/", count % kKeys);
      store().set(key, count, std::chrono::microseconds(500 + random.below(3000)));
      spin(random.below(500));
      if (random.one_in(32)) std::this_thread::yield();
      if (random.one_in(8)) std::this_thread::sleep_for(std::chrono::microseconds(random.below(3000)));
      const bool put_off = [&] {
        switch (random.below(3)) {
          case 0:
            return !error_of([&] { store().expire(key, 1h); });
          case 1:
            return store().remove_expiry(key);
          default:
            return !error_of([&] { store().transact({key}, [&](cubby::Transaction& all) { all.expire(key, 1h); }); });
        }
      }();
      if (!put_off) {
        too_late.fetch_add(1);
        ASSERT_FALSE(store().exists(key)) << key;
        continue;
      }
      armed.push_back(key);
      if (armed.size() < 20) continue;
      // By now the old deadlines of most of them have passed.
      for (const std::string& held : armed) ASSERT_TRUE(store().take(held).has_value()) << held << " was lost";
      armed.clear();
    }
  });
  std::cout << too_late.load() << " came too late" << std::endl;
  EXPECT_LT(too_late.load(), 4 * each);
}

TEST_F(Expiry, ALeaseHasOneHolderAtATime) {
  // set_once with a time to live as a lock: the next holder comes only when the lease has run out, and then somebody does.
  constexpr auto kLease = 2ms;
  const int leases = scaled(400, 120);
  struct Holding {
    std::int64_t before;  // the call that got it
    std::int64_t after;
  };
  std::mutex mutex;
  std::vector<Holding> holdings;
  std::atomic<int> held{0};
  run_threads(4, [&](int thread) {
    while (held.load() < leases) {
      const std::int64_t before = to_ns(Clock::now());
      if (!store().set_once("lease", thread, kLease)) {
        std::this_thread::yield();
        continue;
      }
      const std::int64_t after = to_ns(Clock::now());
      held.fetch_add(1);
      const std::lock_guard lock(mutex);
      holdings.push_back({before, after});
    }
  });
  // Who was descheduled within the call may not know of any instant at which it held the lease.
  std::erase_if(holdings, [&](const Holding& each) { return each.after >= each.before + to_ns(kLease) - to_ns(kExactness); });
  ASSERT_FALSE(holdings.empty());
  std::sort(holdings.begin(), holdings.end(), [](const Holding& a, const Holding& b) { return a.after < b.after; });
  for (std::size_t index = 1; index < holdings.size(); ++index) {
    ASSERT_GE(holdings[index].after, holdings[index - 1].before + to_ns(kLease) - to_ns(kExactness)) << "lease " << index;
  }
}

TEST_F(Expiry, MovesWithARename) {
  const int rounds = scaled(400, 60);
  constexpr int kKeys = 50;
  for (int round = 0; round < rounds; ++round) {
    std::int64_t latest = 0;
    for (int index = 0; index < kKeys; ++index) {
      store().set(name_of("from/", index), index, std::chrono::microseconds(20 * index + 100));
      latest = to_ns(Clock::now()) + to_ns(std::chrono::microseconds(20 * index + 100));
      const auto error = error_of([&] { store().rename(name_of("from/", index), name_of("to/", index)); });
      ASSERT_TRUE(!error || *error == Errc::key_not_found);
    }
    ASSERT_TRUE(poll_until([&] { return to_ns(Clock::now()) > latest + to_ns(kExactness); }));
    for (int index = 0; index < kKeys; ++index) {
      ASSERT_FALSE(store().exists(name_of("to/", index))) << index;
      ASSERT_FALSE(store().exists(name_of("from/", index))) << index;
    }
  }
  expect_all_reclaimed();
}

TEST_F(Expiry, NewKeysAreNotTakenForTheirExpiredForerunners) {
  // A key that expires and is set again without a deadline stays, though the reminder of the old one fires meanwhile.
  constexpr int kKeys = 100;
  const int rounds = scaled(100, 12);
  for (int round = 0; round < rounds; ++round) {
    run_threads(2, [&](int thread) {
      Random random(seed_for(static_cast<std::uint64_t>(round * 2 + thread)));
      for (int index = thread; index < kKeys; index += 2) {
        const std::string key = name_of("key/", index);
        store().set(key, 0, std::chrono::microseconds(random.below(3000)));
        if (random.one_in(3)) std::this_thread::sleep_for(std::chrono::microseconds(random.below(200)));
        switch (random.below(3)) {
          case 0:
            store().erase(key);
            store().set(key, 1);
            break;
          case 1:
            store().take(key);
            store().push(key, 1);
            break;
          default:
            store().set(key, 1, 1h);
            store().remove_expiry(key);
        }
      }
    });
    const auto start = Clock::now();
    ASSERT_TRUE(poll_until([&] { return Clock::now() > start + 4ms; }));
    for (int index = 0; index < kKeys; ++index) {
      ASSERT_TRUE(store().exists(name_of("key/", index))) << index << ", round " << round << ", seed " << run_seed();
      ASSERT_EQ(store().ttl(name_of("key/", index)), std::nullopt);
    }
    store().clear();
  }
}

TEST_F(Expiry, CountersStartAgainAndLoseNothingMeanwhile) {
  // A rate limiter: increments within one life of the key count up from 1 without a gap or a double.
  const auto end = Clock::now() + std::chrono::milliseconds(scaled(800, 800));
  std::mutex mutex;
  std::vector<std::int64_t> counts;
  std::atomic<int> lives{0};
  run_threads(4, [&](int) {
    std::vector<std::int64_t> mine;
    while (Clock::now() < end) {
      const std::int64_t count = store().increment("hits").as_int();
      mine.push_back(count);
      if (count == 1) {
        lives.fetch_add(1);
        error_of([&] { store().expire("hits", 5ms); });
      }
    }
    const std::lock_guard lock(mutex);
    counts.insert(counts.end(), mine.begin(), mine.end());
  });
  // Over all lives: as many ones as lives, and never more of a higher count than of a lower one.
  std::vector<std::int64_t> times(counts.size() + 2, 0);
  for (const std::int64_t count : counts) ++times[static_cast<std::size_t>(count)];
  EXPECT_EQ(times[1], lives.load());
  for (std::size_t count = 2; count < times.size(); ++count) ASSERT_LE(times[count], times[count - 1]) << count;
  EXPECT_GT(lives.load(), 1);
}

TEST_F(Expiry, WaitersOutliveTheQueueThatExpires) {
  const int rounds = scaled(150, 25);
  for (int round = 0; round < rounds; ++round) {
    store().set("queue", Value::array({}), 1ms);
    Threads threads;
    threads.start(3, [&](int) { EXPECT_TRUE(store().shift_wait("queue", kGenerous).has_value()); });
    ASSERT_TRUE(poll_until([&] { return store().stats().waiters == 3; }));
    ASSERT_TRUE(poll_until([&] { return !store().exists("queue"); }));
    for (int element = 0; element < 3; ++element) store().push("queue", element);
    threads.join();
    EXPECT_EQ(store().take("queue"), Value::array({}));
  }
}

}  // namespace
}  // namespace cubby_test
