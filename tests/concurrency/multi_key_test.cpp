// SPDX-License-Identifier: Apache-2.0

// rename and transact take effect at one instant for all keys they touch; deadlines survive concurrent writes.

#include <numeric>
#include <set>

#include "support.hpp"

namespace cubby_test {
namespace {

class MultiKey : public StoreTest {};

TEST_F(MultiKey, ARenamedValueIsAlwaysAtExactlyOnePlace) {
  const int rounds = scaled(40'000, 3000);
  store().set("a", "it", 1h);
  // started and done count renames; even: a to b, odd: b to a.
  std::atomic<int> started{0};
  std::atomic<int> done{0};
  std::atomic<int> checked{0};
  Threads readers;
  readers.repeat(2, [&] {
    // If at most one rename overlapped the two reads, then: looking where it leaves from and then where it goes to misses it
    // never, looking the other way round finds it never twice.
    const int before = done.load();
    const std::string from = before % 2 == 0 ? "a" : "b";
    const std::string to = before % 2 == 0 ? "b" : "a";
    const bool at_from = store().get(from).has_value();
    const bool then_at_to = store().exists(to);
    if (started.load() <= before + 1) {
      ASSERT_TRUE(at_from || then_at_to) << "in neither, during rename " << before;
      checked.fetch_add(1);
    }
    const int again = done.load();
    const std::string leaves = again % 2 == 0 ? "a" : "b";
    const std::string enters = again % 2 == 0 ? "b" : "a";
    const bool at_enters = store().visit(enters, [](const Value& value) { ASSERT_EQ(value, Value("it")); });
    const bool then_at_leaves = store().get(leaves).has_value();
    if (started.load() <= again + 1) {
      ASSERT_FALSE(at_enters && then_at_leaves) << "in both, during rename " << again;
    }
    const int still = done.load();
    const bool has_deadline = store().ttl(still % 2 == 0 ? "a" : "b").has_value();
    if (started.load() == still) {
      ASSERT_TRUE(has_deadline);
    }
  });
  readers.repeat(1, [&] {
    const auto [a, b] =
        store().transact({"a", "b"}, [](cubby::Transaction& all) { return std::pair(all.exists("a"), all.exists("b")); });
    ASSERT_NE(a, b);
  });
  for (int round = 0; round < rounds; ++round) {
    started.fetch_add(1);
    round % 2 == 0 ? store().rename("a", "b") : store().rename("b", "a");
    done.fetch_add(1);
  }
  readers.stop();
  EXPECT_EQ(store().size(), 1U);
  std::cout << checked.load() << " pairs of reads overlapped at most one rename" << std::endl;
}

TEST_F(MultiKey, TokensRenamedByManyThreadsAreNeitherLostNorDoubled) {
  constexpr int kPlaces = 8;
  constexpr int kTokens = 4;
  const int each = scaled(15'000, 1200);
  std::vector<std::string> places;
  for (int place = 0; place < kPlaces; ++place) places.push_back(name_of("place/", place));
  for (int token = 0; token < kTokens; ++token) store().set(places[static_cast<std::size_t>(token)], token);
  const auto look = [&] {
    std::multiset<std::int64_t> tokens;
    store().transact(places, [&](cubby::Transaction& all) {
      for (const std::string& place : places) {
        if (const auto token = all.get(place)) tokens.insert(token->as_int());
      }
    });
    ASSERT_EQ(tokens, (std::multiset<std::int64_t>{0, 1, 2, 3}));
  };
  Threads readers;
  readers.repeat(1, look);
  std::atomic<int> moved{0};
  run_threads(4, [&](int thread) {
    Random random(seed_for(static_cast<std::uint64_t>(thread)));
    for (int count = 0; count < each; ++count) {
      const auto error = error_of([&] {
        store().rename(places[static_cast<std::size_t>(random.below(kPlaces))],
                       places[static_cast<std::size_t>(random.below(kPlaces))]);
        moved.fetch_add(1);
      });
      ASSERT_TRUE(!error || *error == Errc::key_not_found || *error == Errc::key_exists);
    }
  });
  readers.stop();
  look();
  EXPECT_GT(moved.load(), 0);
  EXPECT_EQ(store().size(), static_cast<std::size_t>(kTokens));
}

TEST_F(MultiKey, RenamesWhileTheTableGrows) {
  const int keys = scaled(60'000, 4000);
  for (int index = 0; index < 16; ++index) store().set(name_of("from/", index), index);
  Threads movers;
  movers.start(2, [&](int mover) {
    for (int round = 0; !movers.stopped(); ++round) {
      for (int index = mover; index < 16; index += 2) {
        const std::string there = name_of("to/", index);
        const std::string here = name_of("from/", index);
        round % 2 == 0 ? store().rename(here, there) : store().rename(there, here);
        ASSERT_EQ(store().get(round % 2 == 0 ? there : here), Value(index));
        ASSERT_FALSE(store().exists(round % 2 == 0 ? here : there));
      }
    }
  });
  for (int round = 0; round < 2; ++round) {
    for (int index = 0; index < keys; ++index) store().set(name_of("more/", index), index);
    for (int index = 0; index < keys; ++index) ASSERT_TRUE(store().erase(name_of("more/", index)));
  }
  movers.stop();
  EXPECT_EQ(store().size(), 16U);
}

TEST_F(MultiKey, TransfersKeepTheSum) {
  constexpr int kAccounts = 30;
  constexpr std::int64_t kEach = 1000;
  const int each = scaled(8000, 500);
  std::vector<std::string> accounts;
  for (int account = 0; account < kAccounts; ++account) {
    accounts.push_back(name_of("account/", account));
    store().set(accounts.back(), Value(kEach));
  }
  const auto sum = [&] {
    return store().transact(accounts, [&](cubby::Transaction& all) {
      std::int64_t total = 0;
      for (const std::string& account : accounts) total += all.get(account)->as_int();
      return total;
    });
  };
  struct ChangedMind : std::exception {};
  Threads readers;
  readers.repeat(1, [&] { ASSERT_EQ(sum(), kAccounts * kEach); });
  run_threads(8, [&](int thread) {
    Random random(seed_for(static_cast<std::uint64_t>(thread)));
    for (int count = 0; count < each; ++count) {
      const std::string& from = accounts[static_cast<std::size_t>(random.below(kAccounts))];
      const std::string& to = accounts[static_cast<std::size_t>(random.below(kAccounts))];
      const int amount = random.below(100);
      const bool give_up = random.one_in(5);
      try {
        // Keys come in any order, and may be named twice.
        store().transact({from, to}, [&](cubby::Transaction& all) {
          all.increment(from, -amount);
          if (give_up) throw ChangedMind();
          all.increment(to, amount);
        });
        ASSERT_FALSE(give_up);
      } catch (const ChangedMind&) {
        ASSERT_TRUE(give_up);
      }
    }
  });
  readers.stop();
  EXPECT_EQ(sum(), kAccounts * kEach);
}

TEST_F(MultiKey, DiningPhilosophers) {
  // Neighbours share a key, and everybody names them in another order: nobody starves, nothing is lost.
  constexpr int kSeats = 100;
  const int each = scaled(50, 4);
  run_threads(kSeats * 5, [&](int thread) {
    const int seat = thread % kSeats;
    const std::string left = name_of("fork/", seat);
    const std::string right = name_of("fork/", (seat + 1) % kSeats);
    for (int count = 0; count < each; ++count) {
      const auto eat = [&](cubby::Transaction& all) {
        all.increment(left);
        all.increment(right);
      };
      thread % 2 == 0 ? store().transact({left, right}, eat) : store().transact({right, left}, eat);
    }
  });
  for (int seat = 0; seat < kSeats; ++seat) ASSERT_EQ(store().get(name_of("fork/", seat)), Value(std::int64_t{10} * each));
}

TEST_F(MultiKey, QueuesThatFeedEachOther) {
  // An element goes from one queue to the next in one transaction, waiters at the end of the line take it.
  const int elements = scaled(6000, 500);
  constexpr int kStages = 4;
  std::vector<int> seen(static_cast<std::size_t>(elements), 0);
  Threads threads;
  std::atomic<bool> done{false};
  for (int stage = 0; stage + 1 < kStages; ++stage) {
    threads.start(2, [&, stage](int) {
      const std::string from = name_of("stage/", stage);
      const std::string to = name_of("stage/", stage + 1);
      while (!done.load()) {
        const bool moved = store().transact({from, to}, [&](cubby::Transaction& all) {
          const auto element = all.exists(from) ? all.shift(from) : std::nullopt;
          if (element) all.push(to, *element);
          return element.has_value();
        });
        if (!moved) std::this_thread::yield();
      }
    });
  }
  threads.start(1, [&](int) {
    for (int element = 0; element < elements; ++element) store().push("stage/0", element);
  });
  for (int count = 0; count < elements; ++count) {
    const auto element = store().shift_wait(name_of("stage/", kStages - 1), kGenerous);
    if (!element) break;
    ++seen[static_cast<std::size_t>(element->as_int())];
  }
  done = true;
  threads.join();
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), elements);
}

TEST_F(MultiKey, NoExpireIsLostToConcurrentWrites) {
  const int rounds = scaled(20'000, 1500);
  store().set("key", 0);
  Threads writers;
  writers.repeat(1, [&] { store().set("key", 1); });
  writers.repeat(1, [&] { store().increment("key"); });
  writers.repeat(1, [&] { store().modify("key", [](std::optional<Value> old) { return old; }); });
  writers.repeat(1, [&] {
    store().swap("key", 2);
    store().transact({"key", "other"}, [](cubby::Transaction& all) {
      all.set("key", 3);
      all.increment("other");
    });
  });
  for (int round = 0; round < rounds; ++round) {
    store().expire("key", 1h);
    const auto left = store().ttl("key");
    ASSERT_TRUE(left.has_value()) << "round " << round;
    ASSERT_GT(*left, 30min);
    ASSERT_TRUE(store().remove_expiry("key")) << "round " << round;
    ASSERT_FALSE(store().ttl("key").has_value()) << "round " << round;
    ASSERT_FALSE(store().remove_expiry("key"));
  }
}

TEST_F(MultiKey, NoExpireIsLostWhileTheTableGrows) {
  const int keys = scaled(100'000, 6000);
  constexpr int kDated = 64;
  std::atomic<bool> done{false};
  Threads threads;
  threads.start(1, [&](int) {
    for (int index = 0; index < keys; ++index) store().set(name_of("more/", index), index);
    for (int index = 0; index < keys; ++index) store().erase(name_of("more/", index));
    done = true;
  });
  threads.start(1, [&](int) {
    while (!done.load()) {
      for (int index = 0; index < kDated; ++index) store().set(name_of("dated/", index), index);
    }
  });
  for (int index = 0; index < kDated; ++index) store().set(name_of("dated/", index), index);
  for (int round = 0; !done.load(); ++round) {
    for (int index = 0; index < kDated; ++index) {
      if (round % 2 == 0) {
        store().expire(name_of("dated/", index), 1h);
      } else {
        ASSERT_TRUE(store().remove_expiry(name_of("dated/", index))) << index;
      }
    }
    for (int index = 0; index < kDated; ++index) {
      ASSERT_EQ(store().ttl(name_of("dated/", index)).has_value(), round % 2 == 0) << index << ", round " << round;
    }
  }
}

}  // namespace
}  // namespace cubby_test
