// SPDX-License-Identifier: Apache-2.0

// on_expired: once for each expiry, whoever finds it.

#include <map>
#include <mutex>

#include "support.hpp"

namespace cubby::contract {
namespace {

/// How often each key was told.
class Told {
 public:
  void add(std::string_view key) {
    const std::lock_guard lock(mutex_);
    ++times_[std::string(key)];
  }
  std::map<std::string, int> times() const {
    const std::lock_guard lock(mutex_);
    return times_;
  }
  int times(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = times_.find(key);
    return found == times_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int> times_;
};

class OnExpired : public ContractTest {
 protected:
  /// On the test's store; `told_` gets what it tells.
  void listen() {
    db_.on_expired([this](std::string_view key) { told_.add(key); });
  }
  void TearDown() override {
    for (const std::string& name : names()) open(name).on_expired({});  // what it refers to goes before the store
    ContractTest::TearDown();
  }
  /// Returns once all that had expired before has been told: reminders come in the order of deadlines, but for their ticks.
  void settle() {
    db_.set("the last one", 1, 50ms);
    ASSERT_TRUE(eventually([&] { return told_.times("the last one") == 1; }));
  }

  Told told_;
};

TEST_F(OnExpired, TellsEachKeyOnceThoughNobodyAsksForIt) {
  std::atomic<int> seen{0};
  Datastore store = db_;
  db_.on_expired([this, store, &seen](std::string_view key) {
    if (store.exists(key)) ++seen;
    told_.add(key);
  });
  std::map<std::string, int> expected;
  for (int number = 0; number < 300; ++number) {
    const std::string key = "key " + std::to_string(number);
    db_.set(key, number, std::chrono::milliseconds(1 + number % 20));
    expected[key] = 1;
  }
  ASSERT_TRUE(eventually([&] { return told_.times().size() == expected.size(); }));
  expected["the last one"] = 1;
  settle();
  EXPECT_EQ(told_.times(), expected);
  EXPECT_EQ(seen, 0) << "it is told when it is gone";
}

TEST_F(OnExpired, TellsNothingOfWhatUsersRemove) {
  listen();
  db_.set("expired now", 1, 1h);
  db_.expire("expired now", 0s);
  db_.set("set to end now", 1, 1h);
  db_.set("set to end now", 2, 0s);
  db_.set("lives on", 1, 1h);
  db_.set("lives on", 2, std::nullopt);
  db_.set("transacted", 1, 1h);
  db_.transact({"transacted"}, [](Transaction& t) { t.expire("transacted", 0s); });
  db_.set("cleared", 1, 1h);
  db_.clear();
  settle();
  EXPECT_EQ(told_.times(), (std::map<std::string, int>{{"the last one", 1}}));
}

TEST_F(OnExpired, TellsAnExpiryOrItWasPrevented) {
  listen();
  const auto found = [](auto call) {
    try {
      call();
      return true;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::key_not_found);
      return false;
    }
  };
  // Each tells whether the key was still there when it was removed, or freed from its deadline.
  const std::vector<std::function<bool(const std::string&)>> preventions{
      [&](const std::string& key) { return db_.erase(key); },
      [&](const std::string& key) { return db_.take(key).has_value(); },
      [&](const std::string& key) { return db_.remove_expiry(key); },
      [&](const std::string& key) { return found([&] { db_.expire(key, 1h); }); },
      [&](const std::string& key) { return found([&] { db_.expire(key, 0s); }); },
      [&](const std::string& key) { return found([&] { db_.shift(key, WhenEmptied::erase); }); },
      [&](const std::string& key) {
        bool there = false;
        db_.modify(key, [&](const std::optional<Value>& old) {
          there = old.has_value();
          return std::optional<Value>();
        });
        return there;
      },
      [&](const std::string& key) {
        return db_.transact({key}, [&](Transaction& t) { return t.exists(key) && t.remove_expiry(key); });
      },
  };
  std::map<std::string, int> expected{{"the last one", 1}};
  for (int round = 0; round < 20; ++round) {
    for (std::size_t which = 0; which < preventions.size(); ++which) {
      const std::string key = std::to_string(round) + '/' + std::to_string(which);
      db_.set(key, Value::array({1}), std::chrono::microseconds(100 * round));
      if (!preventions[which](key) && round != 0) expected[key] = 1;
    }
  }
  settle();
  EXPECT_EQ(told_.times(), expected);
}

TEST_F(OnExpired, CountsEachLifeOfAKeyOnceWhoeverFindsItsEnd) {
  // Right after the deadline the key is still in the table at times: then a write finds it there.
  listen();
  const std::vector<std::function<void(const std::string&)>> writes{
      [&](const std::string& key) { db_.set(key, 1, 1ms); },
      [&](const std::string& key) { EXPECT_TRUE(db_.set_once(key, 1, 1ms)); },
      [&](const std::string& key) {
        EXPECT_FALSE(db_.erase(key));
        db_.set(key, 1, 1ms);
      },
      [&](const std::string& key) {
        EXPECT_EQ(db_.push(key, 1), 1u);
        db_.expire(key, 1ms);
      },
      [&](const std::string& key) {
        db_.transact({key, "other"}, [&](Transaction& t) {
          EXPECT_FALSE(t.exists(key));
          t.set(key, 1, 1ms);
          t.increment("other");
        });
      },
      [&](const std::string& key) {
        db_.set("from", 1, 1ms);
        try {
          db_.rename("from", key);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Errc::key_not_found);
          db_.set(key, 1, 1ms);
        }
      },
      [&](const std::string& key) { db_.set(key, 1, 1ms); },
  };
  constexpr int kLives = 30;
  for (std::size_t write = 0; write < writes.size(); ++write) {
    const std::string key = "key " + std::to_string(write);
    for (int life = 0; life < kLives; ++life) {
      while (db_.exists(key)) {
      }
      writes[write](key);
    }
    ASSERT_TRUE(eventually([&] { return !db_.exists(key); }));
  }
  settle();
  for (std::size_t write = 0; write < writes.size(); ++write)
    EXPECT_EQ(told_.times("key " + std::to_string(write)), kLives) << write;
}

TEST_F(OnExpired, TellsWhatHadExpiredWhenAllWasCleared) {
  for (int round = 0; round < 20; ++round) {
    Told told;
    db_.on_expired([&told](std::string_view key) { told.add(key); });
    for (int number = 0; number < 50; ++number) db_.set("brief " + std::to_string(number), 1, 1ms);
    for (int number = 0; number < 50; ++number) db_.set("long " + std::to_string(number), 1, 1h);
    outlive(1ms);
    db_.clear();
    ASSERT_TRUE(eventually([&] { return told.times().size() == 50; })) << told.times().size();
    db_.on_expired({});
    for (const auto& [key, times] : told.times()) EXPECT_EQ(times, 1) << key;
    EXPECT_EQ(told.times("long 0"), 0);
  }
}

TEST_F(OnExpired, ReplacesTheOneBefore) {
  Told first;
  db_.on_expired([&first](std::string_view key) { first.add(key); });
  db_.set("one", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return first.times("one") == 1; }));
  listen();
  db_.set("two", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return told_.times("two") == 1; }));
  db_.on_expired({});
  db_.set("three", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return !db_.exists("three") && db_.size() == 0; }));
  EXPECT_EQ(first.times(), (std::map<std::string, int>{{"one", 1}}));
  EXPECT_EQ(told_.times(), (std::map<std::string, int>{{"two", 1}}));
}

TEST_F(OnExpired, TheFunctionMayCallTheStore) {
  Datastore store = db_;
  std::atomic<int> lives{0};
  db_.on_expired([store, &lives](std::string_view key) mutable {
    if (++lives < 5) store.set(key, lives.load(), 1ms);
    store.push("log", key);
  });
  db_.set("key", 0, 1ms);
  ASSERT_TRUE(eventually([&] { return db_.length("log") == 5u; }));
  EXPECT_EQ(lives, 5);
  db_.on_expired({});
}

TEST_F(OnExpired, TheFunctionMayNotWaitNorClose) {
  std::atomic<int> refused{0};
  Datastore store = db_;
  db_.on_expired([this, store, &refused](std::string_view) mutable {
    for (const auto& call : std::vector<std::function<void()>>{[&] { store.wait("key", 1h); },
                                                               [&] { store.shift_wait("key", 1h); }, [&] { close(name_); }}) {
      try {
        call();
      } catch (const Error& error) {
        if (error.code() == Errc::invalid_argument) ++refused;
      }
    }
  });
  db_.set("key", 0, 1ms);
  EXPECT_TRUE(eventually([&] { return refused == 3; }));
  db_.on_expired({});
}

TEST_F(OnExpired, TheFunctionMayReplaceItself) {
  Datastore store = db_;
  std::atomic<int> first{0}, second{0};
  db_.on_expired([store, &first, &second](std::string_view) mutable {
    ++first;
    store.on_expired([&second](std::string_view) { ++second; });
  });
  db_.set("one", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return first == 1; }));
  db_.set("two", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return second == 1; }));
  EXPECT_EQ(first, 1);
  db_.on_expired({});
}

TEST_F(OnExpired, IsOverWhenTheNextOneIsThere) {
  for (int round = 0; round < 10; ++round) {
    std::atomic<bool> running{false}, replacing{false}, over{false};
    db_.on_expired([&](std::string_view) {
      running = true;
      while (!replacing) std::this_thread::yield();
      for (int count = 0; count < 20; ++count) std::this_thread::yield();
      over = true;
    });
    db_.set("key", 1, 1ms);
    ASSERT_TRUE(eventually([&] { return running.load(); }));
    replacing = true;
    db_.on_expired({});
    ASSERT_TRUE(over);
  }
}

TEST_F(OnExpired, LetsGoOfWhatTheFunctionOwns) {
  const auto owned = std::make_shared<int>(1);
  db_.on_expired([owned](std::string_view) {});
  EXPECT_EQ(owned.use_count(), 2);
  db_.on_expired({});
  EXPECT_EQ(owned.use_count(), 1);
  db_.on_expired([owned](std::string_view) {});
  close(name_);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(OnExpired, ClosingEndsIt) {
  const std::string name = fresh_store_name();
  Datastore store = open(name);
  std::atomic<bool> closed{false}, late{false};
  std::atomic<int> running{0};
  store.on_expired([&](std::string_view) {
    ++running;
    if (closed) late = true;
    --running;
  });
  for (int number = 0; number < 2000; ++number) store.set("key " + std::to_string(number), 1, 1ms);
  close(name);
  EXPECT_EQ(running, 0);
  closed = true;
  // The keys of another store expire later.
  listen();
  ASSERT_NO_FATAL_FAILURE(settle());
  EXPECT_FALSE(late);
  EXPECT_TRUE(throws(Errc::closed, {"on_expired", name}, [&] { store.on_expired({}); }));
}

TEST_F(OnExpired, OfADurableStore) {
  TemporaryFolder folder;
  for (const Sync& sync : {Sync::always(), Sync::never()}) {
    Options options;
    options.directory = folder.path() / "durable";
    options.sync = sync;
    const std::string name = fresh_store_name();
    Datastore store = open(name, options);
    Told told;
    store.on_expired([&told](std::string_view key) { told.add(key); });
    for (int life = 1; life <= 10; ++life) {
      store.set("key", life, 1ms);
      ASSERT_TRUE(eventually([&] { return !store.exists("key"); }));
    }
    ASSERT_TRUE(eventually([&] { return told.times("key") == 10; }));
    store.set("cleared", 1, 1ms);
    outlive(1ms);
    store.clear();
    ASSERT_TRUE(eventually([&] { return told.times("cleared") == 1; }));
    close(name);
  }
}

}  // namespace
}  // namespace cubby::contract
