// SPDX-License-Identifier: Apache-2.0

// Section 7: what is saved while others write is a prefix of history; section 5: rename, clear and transact take effect at one
// instant for all who look.

#include "support.hpp"

namespace cubby::contract {
namespace {

constexpr int kSaves = 40;

class ConsistentCut : public PersistenceTest {
 protected:
  /// Saves kSaves times while `write` runs over and over on a thread of its own, and checks each file.
  template <class Write, class Check>
  void check_saves(Write write, Check check) {
    std::atomic<int> rounds{0};
    Repeat writer([&] {
      write();
      rounds.fetch_add(1);
    });
    for (int save = 0; save < kSaves; ++save) {
      const int before = rounds.load();
      store_.save();
      check(read_json(file()));
      if (HasFailure()) return;
      ASSERT_TRUE(eventually([&] { return rounds.load() > before; })) << "a save stops the writer";
    }
  }

  Datastore store_ = open_file();
};

TEST_F(ConsistentCut, HoldsNoEffectWithoutItsCause) {
  check_saves(
      [&] {
        store_.increment("a");
        store_.increment("b");
      },
      [](const Value& saved) {
        const std::int64_t a = saved.find("a").value_or(0).as_int();
        const std::int64_t b = saved.find("b").value_or(0).as_int();
        EXPECT_GE(a, b);
        EXPECT_LE(a, b + 1);
      });
}

TEST_F(ConsistentCut, HoldsNoEffectWithoutItsCauseInAStoreOfManyKeys) {
  for (int key = 0; key < 5000; ++key) store_.set("filler " + std::to_string(key), key);
  std::int64_t round = 0;
  check_saves(
      [&] {
        ++round;
        for (int key = 0; key < 20; ++key) store_.set("chain " + std::to_string(key), round);
      },
      [](const Value& saved) {
        std::int64_t previous = std::numeric_limits<std::int64_t>::max();
        std::int64_t first = -1;
        for (int key = 0; key < 20; ++key) {
          const std::int64_t value = saved.find("chain " + std::to_string(key)).value_or(0).as_int();
          if (first < 0) first = value;
          EXPECT_LE(value, previous) << key;
          EXPECT_GE(value, first - 1) << key;
          previous = value;
        }
      });
}

TEST_F(ConsistentCut, HoldsNoEffectWithoutItsCauseOnAnotherThread) {
  std::atomic<std::int64_t> written{0};
  Repeat follower([&] {
    const std::int64_t cause = written.load();  // the set of "cause" has returned
    store_.set("effect", cause);
  });
  check_saves(
      [&] {
        const std::int64_t next = written.load() + 1;
        store_.set("cause", next);
        written.store(next);
      },
      [](const Value& saved) {
        EXPECT_GE(saved.find("cause").value_or(0).as_int(), saved.find("effect").value_or(0).as_int());
      });
}

TEST_F(ConsistentCut, HoldsWhatReturnedBeforeTheSave) {
  Repeat other([&] { store_.increment("other"); });
  for (int save = 0; save < kSaves; ++save) {
    store_.set("key", save);
    store_.erase("key " + std::to_string(save - 1));
    store_.set("key " + std::to_string(save), save);
    store_.save();
    const Value saved = read_json(file());
    ASSERT_EQ(saved["key"], Value(save));
    ASSERT_TRUE(saved.contains("key " + std::to_string(save)));
    ASSERT_FALSE(saved.contains("key " + std::to_string(save - 1)));
  }
}

TEST_F(ConsistentCut, HoldsARenameWholeOrNotAtAll) {
  store_.set("0", "value", 10h);
  int at = 0;
  check_saves(
      [&] {
        const int next = (at + 1) % 50;
        store_.rename(std::to_string(at), std::to_string(next));
        at = next;
      },
      [](const Value& saved) {
        EXPECT_EQ(saved.size(), 2u) << "the key and the reserved member";
        EXPECT_EQ(saved["$cubby"]["expires"].size(), 1u);
        for (const auto& [name, value] : saved.members()) {
          if (name == "$cubby") continue;
          EXPECT_EQ(value, Value("value"));
          EXPECT_TRUE(saved["$cubby"]["expires"].contains(name)) << "the deadline moves with the value";
        }
      });
}

TEST_F(ConsistentCut, HoldsATransactionWholeOrNotAtAll) {
  constexpr int kAccounts = 20;
  for (int account = 0; account < kAccounts; ++account) store_.set(std::to_string(account), 1000);
  int round = 0;
  check_saves(
      [&] {
        ++round;
        const std::string from = std::to_string(round % kAccounts);
        const std::string to = std::to_string((round * 7 + 3) % kAccounts);
        if (from == to) return;
        store_.transact({from, to}, [&](Transaction& transaction) {
          transaction.increment(from, -13);
          transaction.increment(to, 13);
        });
      },
      [](const Value& saved) {
        std::int64_t sum = 0;
        for (const auto& [name, value] : saved.members()) sum += value.as_int();
        EXPECT_EQ(sum, kAccounts * 1000);
        EXPECT_EQ(saved.size(), static_cast<std::size_t>(kAccounts));
      });
}

TEST_F(ConsistentCut, HoldsAClearWholeOrNotAtAll) {
  constexpr int kKeys = 50;
  check_saves(
      [&] {
        for (int key = 0; key < kKeys; ++key) store_.set(std::to_string(key), key);
        store_.clear();
      },
      [](const Value& saved) {
        // The keys are written in order, so a prefix of history holds a prefix of them.
        for (std::size_t key = 0; key < saved.size(); ++key) EXPECT_TRUE(saved.contains(std::to_string(key))) << saved.size();
      });
}

TEST_F(ConsistentCut, HoldsAnElementInOneQueueOrTheOther) {
  for (int number = 0; number < 100; ++number) store_.push("left", number);
  store_.set("right", Value::array({}));
  check_saves(
      [&] {
        store_.transact({"left", "right"}, [](Transaction& transaction) {
          if (const auto element = transaction.shift("left")) transaction.push("right", *element);
        });
        store_.transact({"left", "right"}, [](Transaction& transaction) {
          if (const auto element = transaction.pop("right")) transaction.push("left", *element);
        });
      },
      [](const Value& saved) { EXPECT_EQ(saved["left"].size() + saved["right"].size(), 100u); });
}

TEST_F(ConsistentCut, HoldsAQueueAsItWasAtOneMoment) {
  int next = 0;
  check_saves(
      [&] {
        if (store_.push("queue", next++) > 100) store_.shift("queue");
      },
      [](const Value& saved) {
        const Value queue = saved["queue"];
        if (!queue.is_array()) return;
        for (std::size_t index = 1; index < queue.size(); ++index) {
          EXPECT_EQ(queue[index].as_int(), queue[index - 1].as_int() + 1);
        }
      });
}

TEST_F(ConsistentCut, IsTakenAtTheCloseToo) {
  for (int round = 0; round < 20; ++round) {
    Datastore store = open_file();
    auto writer = start([store]() mutable {
      for (;;) {
        store.increment("a");
        store.increment("b");
      }
    });
    const std::int64_t target = 10 * (round + 1);
    ASSERT_TRUE(eventually([&] { return store.get("b").value_or(0).as_int() >= target; }));
    close(file_store_name_);
    EXPECT_TRUE(writer.threw(Errc::closed));
    const Value saved = read_json(file());
    ASSERT_GE(saved["b"].as_int(), target);
    ASSERT_GE(saved["a"].as_int(), saved["b"].as_int());
    ASSERT_LE(saved["a"].as_int(), saved["b"].as_int() + 1 + round) << "each round may leave one increment of a behind";
  }
}

using OneInstant = ContractTest;

TEST_F(OneInstant, ARenameIsSeenAsOneMove) {
  db_.set("a", 0);
  std::atomic<bool> forward{true};
  Repeat mover([&] {
    const bool there = forward.exchange(!forward.load());
    db_.rename(there ? "a" : "b", there ? "b" : "a");
  });
  for (int round = 0; round < 2000; ++round) {
    const auto both = db_.transact({"a", "b"}, [](Transaction& transaction) {
      return static_cast<int>(transaction.exists("a")) + static_cast<int>(transaction.exists("b"));
    });
    ASSERT_EQ(both, 1);
  }
}

TEST_F(OneInstant, AClearLeavesNoPairHalf) {
  Repeat pairs([&] {
    db_.transact({"a", "b"}, [](Transaction& transaction) {
      transaction.set("a", 1);
      transaction.set("b", 1);
    });
    db_.clear();
  });
  for (int round = 0; round < 2000; ++round) {
    ASSERT_TRUE(
        db_.transact({"a", "b"}, [](Transaction& transaction) { return transaction.exists("a") == transaction.exists("b"); }));
  }
}

TEST_F(OneInstant, ReadersSeeATransactionsKeysInOrder) {
  // Both keys change at one instant: who saw the new value of one then sees at least it in the other.
  Repeat writer([&] {
    db_.transact({"a", "b"}, [](Transaction& transaction) {
      transaction.increment("a");
      transaction.increment("b");
    });
  });
  for (int round = 0; round < 20'000; ++round) {
    const std::int64_t a = db_.get("a").value_or(0).as_int();
    ASSERT_GE(db_.get("b").value_or(0).as_int(), a);
    const std::int64_t b = db_.get("b").value_or(0).as_int();
    ASSERT_GE(db_.get("a").value_or(0).as_int(), b);
  }
}

TEST_F(OneInstant, WhatAReturnedClearRemovedIsNotSeenAgain) {
  std::atomic<std::int64_t> generation{0};
  Repeat writer([&] {
    const std::int64_t next = generation.load() + 1;
    for (const char* key : {"a", "b", "c"}) db_.set(key, next);
    db_.clear();
    generation.store(next);
  });
  for (int round = 0; round < 5000; ++round) {
    const std::int64_t cleared = generation.load();
    for (const char* key : {"c", "b", "a"}) {
      if (const auto value = db_.get(key)) {
        ASSERT_GT(value->as_int(), cleared) << key;
      }
    }
  }
}

}  // namespace
}  // namespace cubby::contract
