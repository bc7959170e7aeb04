// SPDX-License-Identifier: Apache-2.0

// Callbacks that do what they may, and what they may not, while others work on the same keys; and the memory that overwriting,
// reading and waiting calls leave behind.

#include <latch>

#include "support.hpp"

namespace cubby_test {
namespace {

class Callbacks : public StoreTest {};

TEST_F(Callbacks, OfScansMayWrite) {
  const int keys = scaled(2000, 200);
  for (int index = 0; index < keys; ++index) store().set(name_of("key/", index), index);
  Threads scanners;
  const int scans = scaled(6, 2);
  scanners.start(4, [&](int scanner) {
    for (int scan = 0; scan < scans; ++scan) {
      int seen = 0;
      store().for_each("key/", [&](std::string_view key, const Value&) {
        ++seen;
        const std::string mine = name_of(std::string(key), scanner);
        store().set(name_of("copy/", mine), 1);
        store().increment(key);
        store().push(name_of("queue/", scanner), 1);
        store().shift(name_of("queue/", scanner));
        store().transact({key, "total"}, [&](cubby::Transaction& all) {
          all.increment(key);
          all.increment("total");
        });
        store().modify(key, [](std::optional<Value> old) -> std::optional<Value> { return old.value().as_int() + 1; });
        store().erase(name_of("copy/", mine));
      });
      EXPECT_EQ(seen, keys);
    }
  });
  scanners.join();
  EXPECT_EQ(store().get("total"), Value(4 * scans * keys));
  for (int index = 0; index < keys; ++index) ASSERT_EQ(store().get(name_of("key/", index)), Value(index + 12 * scans));
  EXPECT_EQ(store().keys("copy/").size(), 0U);
}

TEST_F(Callbacks, OfScansMayRemoveAndClear) {
  for (int round = 0; round < scaled(30, 5); ++round) {
    for (int index = 0; index < 500; ++index) store().set(name_of("key/", index), index);
    std::atomic<int> erased{0};
    run_threads(3, [&](int thread) {
      store().for_each([&](std::string_view key, const Value& value) {
        EXPECT_TRUE(value.is_int());
        erased.fetch_add(store().erase(key) ? 1 : 0);
        EXPECT_TRUE(value.is_int());  // the value is the callback's as long as it runs
        if (thread == 2 && value == Value(250)) store().clear();
      });
    });
    EXPECT_LE(erased.load(), 500);
    EXPECT_EQ(store().size(), 0U);
  }
}

TEST_F(Callbacks, OfVisitMayWriteTheVisitedKey) {
  const auto file = folder() / "store.json";
  Datastore saved = open_persistent("saved", file);
  const std::string text(500, 'a');
  saved.set("key", text);
  Threads writers;
  writers.repeat(2, [&](int writer) { saved.set("key", std::string(500, writer == 0 ? 'b' : 'c')); });
  for (int round = 0; round < scaled(100, 15); ++round) {
    const bool found = saved.visit("key", [&](const Value& value) {
      const std::string before(value.as_string());
      saved.set("key", text);
      saved.erase("other");
      saved.set("other", round);
      EXPECT_TRUE(saved.get("key").has_value());
      if (round % 10 == 0) saved.save();
      EXPECT_EQ(value.as_string(), before);  // unchanged, though it is overwritten long since
    });
    EXPECT_TRUE(found);
  }
}

TEST_F(Callbacks, OfSelectAndCountRunBesideWriters) {
  for (int index = 0; index < 300; ++index) store().set(name_of("stay/", index), 1);
  Threads writers;
  writers.repeat(2, [&, round = 0](int writer) mutable {
    ++round;
    const std::string key = name_of(name_of("go/", writer), round % 500);
    round / 500 % 2 == 0 ? store().set(key, 1) : static_cast<void>(store().erase(key));
  });
  for (int round = 0; round < scaled(500, 60); ++round) {
    ASSERT_EQ(store().count([](std::string_view key, const Value&) { return key.starts_with("stay/"); }), 300U);
    const auto found = store().select([](std::string_view key, const Value& value) -> std::optional<Value> {
      if (key.starts_with("stay/")) return value;
      return std::nullopt;
    });
    ASSERT_EQ(found.size(), 300U);
    ASSERT_EQ(store().select([](std::string_view, const Value& value) -> std::optional<Value> { return value; }, 10).size(),
              10U);
  }
}

TEST_F(Callbacks, OfModifyMayReadOtherKeysCrosswise) {
  // Two modifies that each read the other's key, and their own: reads take no lock, so there is nothing to deadlock.
  const int rounds = scaled(10'000, 800);
  store().set("a", 0);
  store().set("b", 0);
  run_threads(4, [&](int thread) {
    const std::string own = thread % 2 == 0 ? "a" : "b";
    const std::string other = thread % 2 == 0 ? "b" : "a";
    for (int round = 0; round < rounds; ++round) {
      store().modify(own, [&](std::optional<Value> old) -> std::optional<Value> {
        EXPECT_TRUE(store().exists(other));
        EXPECT_TRUE(store().get(other)->is_int());
        EXPECT_TRUE(store().visit(other, [](const Value& value) { EXPECT_TRUE(value.is_int()); }));
        EXPECT_EQ(store().ttl(other), std::nullopt);
        return old.value().as_int() + 1;
      });
    }
  });
  EXPECT_EQ(store().get("a"), Value(2 * rounds));
  EXPECT_EQ(store().get("b"), Value(2 * rounds));
}

TEST_F(Callbacks, OfModifyAndTransactMayNotWrite) {
  const int rounds = scaled(500, 60);
  run_threads(4, [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      const auto forbidden = [&](const auto& call) { EXPECT_EQ(error_of(call), Errc::invalid_argument); };
      const auto try_everything = [&] {
        forbidden([&] { store().set("other", 1); });
        forbidden([&] { store().increment("key"); });
        forbidden([&] { store().push("queue", 1); });
        forbidden([&] { store().shift_wait("queue", 0s); });
        forbidden([&] { store().clear(); });
        forbidden([&] { store().rename("key", "other"); });
        forbidden([&] { store().modify("other", [](std::optional<Value> old) { return old; }); });
        forbidden([&] { store().transact({"other"}, [](cubby::Transaction&) {}); });
      };
      if (thread % 2 == 0) {
        store().modify("key", [&](std::optional<Value> old) -> std::optional<Value> {
          try_everything();
          return (old ? old->as_int() : 0) + 1;
        });
      } else {
        store().transact({"key"}, [&](cubby::Transaction& all) {
          try_everything();
          forbidden([&] { all.set("not mine", 1); });
          all.increment("key");
        });
      }
    }
  });
  EXPECT_EQ(store().get("key"), Value(4 * rounds));
  EXPECT_EQ(store().size(), 1U);
}

TEST_F(Callbacks, ThatThrowLeaveNoLockAndNoChange) {
  struct Thrown : std::exception {};
  const int rounds = scaled(3000, 250);
  std::atomic<int> kept{0};
  run_threads(4, [&](int thread) {
    Random random(seed_for(static_cast<std::uint64_t>(thread)));
    for (int round = 0; round < rounds; ++round) {
      const bool give_up = random.one_in(2);
      const auto end = [&](int result) {
        if (give_up) throw Thrown();
        return result;
      };
      try {
        switch (random.below(3)) {
          case 0:
            store().modify(
                "key", [&](std::optional<Value> old) -> std::optional<Value> { return (old ? old->as_int() : 0) + end(1); });
            break;
          case 1:
            store().transact({"key", "new"}, [&](cubby::Transaction& all) {
              all.increment("key");
              all.erase("new");
              end(0);
            });
            break;
          default:
            store().set("seen", 0);
            store().visit("seen", [&](const Value&) { end(0); });
            store().for_each([&](std::string_view, const Value&) { end(0); });
            store().increment("key");
        }
        kept.fetch_add(1);
      } catch (const Thrown&) {
        EXPECT_TRUE(give_up);
      }
    }
  });
  EXPECT_EQ(store().get("key"), Value(kept.load()));
}

class Memory : public StoreTest {
 protected:
  static constexpr std::size_t kMebibyte = std::size_t{1} << 20;
  /// Of the gigabyte that is written. A thread that the machine lets rest inside a call holds back what the others replace
  /// meanwhile, some gigabyte a second.
  static constexpr std::size_t kLittleOfIt = 640 * kMebibyte;

  /// Runs `work`, which is to leave little behind, and fails if the store or the process held much more meanwhile.
  template <class F>
  void expect_bounded(std::size_t bytes, std::size_t resident, F&& work) {
    const std::size_t resident_before = resident_bytes();
    std::size_t most_bytes = 0;
    std::size_t most_resident = 0;
    std::atomic<bool> done{false};
    Threads sampler;
    sampler.start(1, [&](int) {
      while (!done.load()) {
        most_bytes = std::max(most_bytes, store().stats().bytes);
        most_resident = std::max(most_resident, resident_bytes());
        std::this_thread::sleep_for(1ms);
      }
    });
    work();
    done = true;
    sampler.join();
    EXPECT_LT(most_bytes, bytes);
    if (!kThreadSanitizer && !kAddressSanitizer) {
      EXPECT_LT(most_resident, resident_before + resident);
    }
  }
};

TEST_F(Memory, OfOverwrittenValuesIsUsedAgainThoughACallWaits) {
  // A thread that sleeps in a waiting call, and one that did something and went to sleep elsewhere, hold nothing back.
  const int each = scaled(250'000, 8000);
  std::latch slept(1);
  std::latch wake(1);
  Threads sleepers;
  sleepers.start(1, [&](int) { EXPECT_EQ(store().shift_wait("queue", std::nullopt), Value(1)); });
  sleepers.start(1, [&](int) { EXPECT_EQ(store().wait("state", std::nullopt), Value(1)); });
  sleepers.start(1, [&](int) {
    store().get("key");
    slept.count_down();
    wake.wait();
  });
  slept.wait();
  ASSERT_TRUE(poll_until([&] { return store().stats().waiters == 2; }));
  expect_bounded(128 * kMebibyte, kLittleOfIt, [&] {
    run_threads(4, [&](int thread) {
      const Value value(std::string(1024, static_cast<char>('a' + thread)));
      std::string fresh(1024, 'x');
      for (int count = 0; count < each; ++count) {
        fresh[static_cast<std::size_t>(count) % fresh.size()] = static_cast<char>('a' + count % 26);
        count % 2 == 0 ? store().set("key", value) : store().set("key", fresh);
      }
    });
  });
  store().push("queue", 1);
  store().set("state", 1);
  wake.count_down();
}

TEST_F(Memory, OfRemovedKeysIsUsedAgain) {
  const int each = scaled(250'000, 6000);
  expect_bounded(128 * kMebibyte, kLittleOfIt, [&] {
    run_threads(4, [&](int thread) {
      const std::string text(1024, 'x');
      for (int count = 0; count < each; ++count) {
        const std::string key = name_of(name_of("key/", thread) + "/", count);
        store().set(key, text);
        count % 2 == 0 ? static_cast<void>(store().erase(key)) : static_cast<void>(store().take(key));
      }
    });
  });
  EXPECT_EQ(store().size(), 0U);
}

TEST_F(Memory, OfQueuesIsUsedAgain) {
  const int each = scaled(250'000, 5000);
  expect_bounded(128 * kMebibyte, kLittleOfIt, [&] {
    run_threads(4, [&](int) {
      const std::string text(1024, 'x');
      for (int count = 0; count < each; ++count) {
        store().push("queue", text);
        ASSERT_TRUE(count % 3 == 0 ? store().pop("queue").has_value() : store().shift("queue").has_value());
      }
    });
  });
  EXPECT_EQ(store().get("queue"), Value::array({}));
}

TEST_F(Memory, OfDeadlinesDoesNotGrowWithReArming) {
  const int each = scaled(400'000, 15'000);
  constexpr int kSessions = 1000;
  for (int index = 0; index < kSessions; ++index) store().set(name_of("session/", index), index, 1h);
  expect_bounded(8 * kMebibyte, 64 * kMebibyte, [&] {
    run_threads(4, [&](int thread) {
      Random random(seed_for(static_cast<std::uint64_t>(thread)));
      for (int count = 0; count < each; ++count) {
        const std::string key = name_of("session/", random.below(kSessions));
        store().expire(key, std::chrono::seconds(60 + random.below(10'000)));
        if (count % 10 == 0) store().set(key, count, 2h);
      }
    });
  });
  EXPECT_EQ(store().size(), static_cast<std::size_t>(kSessions));
}

}  // namespace
}  // namespace cubby_test
