// SPDX-License-Identifier: Apache-2.0

// The table grows and shrinks under readers, writers and scans, waits for no user code, and gives memory back.

#include <latch>
#include <unordered_set>

#include "support.hpp"

namespace cubby_test {
namespace {

class Growth : public StoreTest {
 protected:
  static constexpr int kPinned = 300;

  void pin_keys() {
    for (int index = 0; index < kPinned; ++index) store().set(name_of("pinned/", index), 0);
  }

  /// One scan: every pinned key once, no key twice.
  void scan() {
    int pinned = 0;
    std::unordered_set<std::string> seen;
    store().for_each([&](std::string_view key, const Value&) {
      if (key.starts_with("pinned/")) ++pinned;
      EXPECT_TRUE(seen.emplace(key).second) << key << " was seen twice";
    });
    ASSERT_EQ(pinned, kPinned);
  }
};

TEST_F(Growth, KeysThatStayAreAlwaysFoundAndScannedOnce) {
  pin_keys();
  const int keys = scaled(300'000, 12'000);
  constexpr int kWriters = 2;
  std::atomic<int> scans{0};
  Threads others;
  // Readers: a pinned key is there whatever moves.
  others.repeat(2, [&, random = Random(seed_for(1))](int reader) mutable {
    for (int skip = 0; skip <= reader; ++skip) random.next();
    for (int count = 0; count < 100; ++count) {
      const std::string key = name_of("pinned/", random.below(kPinned));
      ASSERT_TRUE(store().get(key).has_value()) << key;
      ASSERT_TRUE(store().visit(key, [](const Value& value) { ASSERT_TRUE(value.is_int()); }));
      ASSERT_TRUE(store().exists(key));
    }
  });
  // A writer that replaces the pinned keys' values, each only forward.
  others.repeat(1, [&, random = Random(seed_for(2))]() mutable {
    const std::string key = name_of("pinned/", random.below(kPinned));
    const std::int64_t before = store().get(key)->as_int();
    ASSERT_GT(store().increment(key).as_int(), before);
  });
  others.repeat(1, [&] {
    scan();
    scans.fetch_add(1);
  });
  for (int round = 0; round < 2; ++round) {
    run_threads(kWriters, [&](int writer) {
      for (int index = writer; index < keys; index += kWriters) store().set(name_of("more/", index), index);
    });
    EXPECT_EQ(store().size(), static_cast<std::size_t>(keys + kPinned));
    run_threads(kWriters, [&](int writer) {
      for (int index = writer; index < keys; index += kWriters) ASSERT_TRUE(store().erase(name_of("more/", index))) << index;
    });
    EXPECT_EQ(store().size(), static_cast<std::size_t>(kPinned));
  }
  others.stop();
  scan();
  EXPECT_GT(scans.load(), 0);
}

TEST_F(Growth, InsertersFindTheirOwnKeysAtOnce) {
  const int each = scaled(20'000, 1500);
  constexpr int kThreads = 8;
  run_threads(kThreads, [&](int thread) {
    Random random(seed_for(static_cast<std::uint64_t>(thread)));
    for (int index = 0; index < each; ++index) {
      ASSERT_TRUE(store().set_once(name_of(name_of("", thread) + "/", index), index));
      const int earlier = random.below(index + 1);
      ASSERT_EQ(store().get(name_of(name_of("", thread) + "/", earlier)), Value(earlier));
      ASSERT_FALSE(store().set_once(name_of(name_of("", thread) + "/", earlier), -1));
    }
  });
  EXPECT_EQ(store().size(), static_cast<std::size_t>(kThreads * each));
  std::vector<std::string> keys = store().keys();
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::unique(keys.begin(), keys.end()), keys.end());
  EXPECT_EQ(keys.size(), static_cast<std::size_t>(kThreads * each));
  EXPECT_EQ(store().keys("3/").size(), static_cast<std::size_t>(each));
}

TEST_F(Growth, ContendedInsertionsOfTheSameKeys) {
  // Everybody inserts the same keys: one wins each, none is there twice.
  const int keys = scaled(40'000, 3000);
  std::atomic<int> stored{0};
  run_threads(8, [&](int) {
    for (int index = 0; index < keys; ++index) stored.fetch_add(store().set_once(name_of("key/", index), index) ? 1 : 0);
  });
  EXPECT_EQ(stored.load(), keys);
  EXPECT_EQ(store().size(), static_cast<std::size_t>(keys));
  EXPECT_EQ(store().keys().size(), static_cast<std::size_t>(keys));
}

TEST_F(Growth, ScansEndThoughTheirCallbacksAddKeys) {
  for (int index = 0; index < 1000; ++index) store().set(name_of("first/", index), index);
  std::size_t first = 0;
  std::size_t calls = 0;
  store().for_each([&](std::string_view key, const Value&) {
    if (key.starts_with("first/")) ++first;
    for (int more = 0; more < 10; ++more) store().set(name_of("added/", 10 * calls + static_cast<std::size_t>(more)), 0);
    return ++calls < 20'000;
  });
  EXPECT_EQ(first, 1000U);
  EXPECT_LT(calls, 20'000U) << "the scan chases the keys that it adds";
}

TEST_F(Growth, ClearGivesMemoryBack) {
  const int keys = scaled(200'000, 10'000);
  const Value text(std::string(100, 'x'));
  store().set("warm", text);
  store().clear();
  for (int round = 0; round < 3; ++round) {
    for (int index = 0; index < keys; ++index) store().set(name_of("key/", index), text);
    const std::size_t full = store().stats().bytes;
    EXPECT_GE(full, static_cast<std::size_t>(keys) * 100);
    if (round < 2) {
      store().clear();
    } else {
      run_threads(2, [&](int thread) {
        for (int index = thread; index < keys; index += 2) store().erase(name_of("key/", index));
      });
    }
    EXPECT_EQ(store().size(), 0U);
    EXPECT_TRUE(poll_until(
        [&] {
          store().get("key/1");
          return store().stats().bytes < full / 20 + (256U << 10);
        },
        30s))
        << store().stats().bytes << " of " << full;
  }
}

TEST_F(Growth, ClearIsOneInstant) {
  constexpr int kKeys = 40;
  const int rounds = scaled(6000, 400);
  std::atomic<std::int64_t> full{0};  // the round whose keys are, or were, all there
  Threads readers;
  const auto gone = [](const std::optional<Value>& value, std::int64_t round) { return !value || value->as_int() > round; };
  readers.repeat(2, [&, random = Random(seed_for(3))](int reader) mutable {
    for (int skip = 0; skip <= reader; ++skip) random.next();
    const std::string first = name_of("key/", random.below(kKeys));
    const std::string second = name_of("key/", random.below(kKeys));
    const std::int64_t round = full.load();
    if (round == 0 || !gone(store().get(first), round)) return;
    // The clear of that round has been: nothing of the round is left.
    const auto left = store().get(second);
    ASSERT_TRUE(gone(left, round)) << "round " << round << ": " << first << " was gone, " << second << " is there";
  });
  readers.repeat(1, [&] {
    const std::int64_t round = full.load();
    if (round == 0 || !gone(store().get("key/0"), round)) return;
    store().for_each([&](std::string_view key, const Value& value) { ASSERT_GT(value.as_int(), round) << key; });
  });
  readers.repeat(1, [&] {
    // Of a clear, a transaction sees all or nothing too: keys are written in order, so what is there is a prefix.
    store().transact({"key/0", "key/1", "key/39"}, [&](cubby::Transaction& all) {
      EXPECT_TRUE(all.exists("key/0") || (!all.exists("key/1") && !all.exists("key/39")));
      EXPECT_TRUE(all.exists("key/1") || !all.exists("key/39"));
    });
  });
  for (std::int64_t round = 1; round <= rounds; ++round) {
    for (int index = 0; index < kKeys; ++index) store().set(name_of("key/", index), Value(round));
    full.store(round);
    store().clear();
  }
}

TEST_F(Growth, ClearsAndWritersFromManyThreads) {
  const int each = scaled(20'000, 1500);
  Threads clearing;
  clearing.repeat(1, [&] {
    store().clear();
    std::this_thread::yield();
  });
  run_threads(4, [&](int thread) {
    for (int index = 0; index < each; ++index) {
      store().set(name_of("key/", thread * each + index), index);
      store().increment("counter");
      store().push("queue", index);
    }
  });
  clearing.stop();
  store().clear();
  EXPECT_EQ(store().size(), 0U);
  EXPECT_TRUE(store().keys().empty());
  store().set("after", 1);
  EXPECT_EQ(store().keys(), std::vector<std::string>{"after"});
}

TEST_F(Growth, ABlockedModifyStopsNobodyElse) {
  // f of a modify stays in its callback while others insert ten times as many keys as there were. Those that fall into its
  // bucket (as the table was when it was locked) wait, each with the one key it holds; there are enough threads for that.
  const int before = scaled(20'000, 5000);
  const int more = scaled(200'000, 20'000);
  const int threads = kThreadSanitizer ? 64 : 200;
  const int allowed = kThreadSanitizer ? more / 100 : more / 1000;
  for (int index = 0; index < before; ++index) store().set(name_of("before/", index), index);
  store().set("blocked", 1);

  std::latch inside(1);
  std::latch leave(1);
  Threads blocked;
  blocked.start(1, [&](int) {
    store().modify("blocked", [&](std::optional<Value> old) -> std::optional<Value> {
      inside.count_down();
      leave.wait();
      return old.value().as_int() + 1;
    });
  });
  inside.wait();

  std::atomic<int> next{0};
  std::atomic<int> done{0};
  Threads inserters;
  inserters.start(threads, [&](int) {
    for (int index = next.fetch_add(1); index < more; index = next.fetch_add(1)) {
      store().set(name_of("more/", index), index);
      done.fetch_add(1);
    }
  });
  EXPECT_TRUE(poll_until([&] { return done.load() >= more - allowed; })) << done.load() << " of " << more;
  // Readers: nobody waits, not even for the key itself.
  EXPECT_EQ(store().get("blocked"), Value(1));
  EXPECT_TRUE(store().visit("blocked", [](const Value& value) { EXPECT_EQ(value, Value(1)); }));
  EXPECT_EQ(store().ttl("blocked"), std::nullopt);
  for (int index = 0; index < before; index += 7) ASSERT_EQ(store().get(name_of("before/", index)), Value(index));
  std::size_t scanned = 0;
  store().for_each([&](std::string_view, const Value&) { ++scanned; });
  EXPECT_GE(scanned, static_cast<std::size_t>(before + more - allowed + 1));
  leave.count_down();
  inserters.join();
  blocked.join();
  EXPECT_EQ(done.load(), more);
  EXPECT_EQ(store().get("blocked"), Value(2));
  EXPECT_EQ(store().size(), static_cast<std::size_t>(before + more + 1));
}

}  // namespace
}  // namespace cubby_test
