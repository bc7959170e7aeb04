// SPDX-License-Identifier: Apache-2.0

// Sections 4 and 6: expire, ttl, remove_expiry, and what an expired key is to every operation.

#include <limits>
#include <map>

#include "support.hpp"

namespace cubby::contract {
namespace {

constexpr auto kCentury = std::chrono::hours(24) * 365 * 100;

class Deadlines : public ContractTest {
 protected:
  /// Checks that `key` has what is left of `ttl`, which it was given between `before` and now.
  void expect_left(std::string_view key, std::chrono::nanoseconds ttl, SteadyClock::time_point before) {
    const auto left = db_.ttl(key);
    const auto after = SteadyClock::now();
    ASSERT_TRUE(left.has_value()) << key;
    EXPECT_LE(*left, ttl + kExactness) << key;
    EXPECT_GE(*left, ttl - (after - before) - kExactness) << key;
  }
};

TEST_F(Deadlines, ExpireSetsTheTimeLeft) {
  db_.set("key", 1);
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  for (const std::chrono::nanoseconds ttl :
       {std::chrono::nanoseconds(10min), std::chrono::nanoseconds(90'500ms), 3'600'000'000'001ns}) {
    const auto before = SteadyClock::now();
    db_.expire("key", ttl);
    expect_left("key", ttl, before);
  }
  EXPECT_EQ(db_.get("key"), Value(1));
}

TEST_F(Deadlines, SetAndSetOnceGiveTheTimeToLive) {
  const auto before = SteadyClock::now();
  db_.set("set", 1, 10min);
  db_.set_once("once", 1, 10min);
  expect_left("set", 10min, before);
  expect_left("once", 10min, before);
}

TEST_F(Deadlines, AnyDurationWillDo) {
  db_.set("key", 1);
  const auto before = SteadyClock::now();
  db_.expire("key", std::chrono::duration<double, std::ratio<3600>>(0.5));
  expect_left("key", 30min, before);
  db_.expire("key", std::chrono::duration<int, std::ratio<86400>>(2));
  expect_left("key", 48h, before);
}

TEST_F(Deadlines, ExpireWithoutATimeTakesTheDefault) {
  db_.set("key", 1);
  const auto before = SteadyClock::now();
  db_.expire("key");
  expect_left("key", 60min, before);
  Options options;
  options.default_ttl = 5min;
  Datastore store = open_other(options);
  store.set("key", 1);
  EXPECT_EQ(store.ttl("key"), std::nullopt) << "default_ttl is of expire(key) only";
  store.expire("key");
  ASSERT_TRUE(store.ttl("key").has_value());
  EXPECT_LE(*store.ttl("key"), 5min + kExactness);
}

TEST_F(Deadlines, ZeroOrLessRemovesTheKeyNow) {
  using Seconds = std::chrono::duration<double>;
  for (const Duration ttl : {Duration(0s), Duration(-1ns), Duration(std::chrono::hours::min()),
                             Duration(Seconds(-std::numeric_limits<double>::infinity()))}) {
    db_.set("key", 1);
    db_.expire("key", ttl);
    EXPECT_FALSE(db_.exists("key"));
    EXPECT_EQ(db_.size(), 0u);
  }
}

TEST_F(Deadlines, OfAnAbsentKeyAreKeyNotFoundOrNothing) {
  EXPECT_TRUE(throws(Errc::key_not_found, {"expire", name_, "key"}, [&] { db_.expire("key", 1h); }));
  EXPECT_TRUE(throws(Errc::key_not_found, {"expire", name_, "key"}, [&] { db_.expire("key"); }));
  EXPECT_TRUE(throws(Errc::key_not_found, {"expire", name_, "key"}, [&] { db_.expire("key", 0s); }));
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  EXPECT_FALSE(db_.remove_expiry("key"));
}

TEST_F(Deadlines, RemoveExpiryTellsWhetherThereWasOne) {
  db_.set("key", 1, 1h);
  EXPECT_TRUE(db_.remove_expiry("key"));
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  EXPECT_FALSE(db_.remove_expiry("key"));
  EXPECT_EQ(db_.get("key"), Value(1));
}

TEST_F(Deadlines, AreSaturatedAndNotWrappedRound) {
  using Seconds = std::chrono::duration<double>;
  const Duration huge[] = {std::chrono::hours::max(), std::chrono::nanoseconds::max(), Seconds(1e300),
                           Seconds(std::numeric_limits<double>::infinity())};
  for (const Duration ttl : huge) {
    db_.set("set", 1, ttl);
    db_.set("expired", 1);
    db_.expire("expired", ttl);
    EXPECT_TRUE(db_.set_once("once", 1, ttl));
    for (const char* key : {"set", "expired", "once"}) {
      EXPECT_EQ(db_.get(key), Value(1)) << key;
      ASSERT_TRUE(db_.ttl(key).has_value()) << key;
      EXPECT_GT(*db_.ttl(key), kCentury) << key;
      EXPECT_TRUE(db_.remove_expiry(key)) << key;
    }
    db_.clear();
  }
}

TEST_F(Deadlines, AreNeverEarly) {
  for (const auto ttl : {1ms, 7ms, 20ms}) {
    const auto before = SteadyClock::now();
    db_.set("key", 1, ttl);
    ASSERT_TRUE(eventually([&] { return !db_.exists("key"); }));
    EXPECT_GE(SteadyClock::now() - before, ttl - kExactness);
  }
}

TEST_F(Deadlines, MemoryOfExpiredKeysComesBack) {
  for (int key = 0; key < 1000; ++key) db_.set(std::to_string(key), key, 5ms);
  db_.set("staying", 1);
  ASSERT_TRUE(eventually([&] { return db_.size() == 1; }));
  EXPECT_TRUE(eventually([&] { return db_.stats().expired == 1000; }));
  EXPECT_EQ(db_.stats().keys, 1u);
  EXPECT_EQ(db_.get("staying"), Value(1));
}

TEST_F(Deadlines, ALaterOneReplacesAnEarlierOne) {
  db_.set("key", 1, 20ms);
  db_.expire("key", 1h);
  db_.set("removed", 1, 20ms);
  db_.remove_expiry("removed");
  db_.set("again", 1, 20ms);
  db_.erase("again");
  db_.set("again", 2);
  db_.set("control", 1, 20ms);
  outlive(20ms);
  ASSERT_TRUE(eventually([&] { return db_.size() == 3; })) << "the control key is gone";
  EXPECT_TRUE(db_.exists("key"));
  EXPECT_TRUE(db_.exists("removed"));
  EXPECT_EQ(db_.get("again"), Value(2)) << "the reminder of an erased key ends no later one";
}

TEST_F(Deadlines, AnEarlierOneReplacesALaterOne) {
  db_.set("key", 1, 1h);
  db_.expire("key", 5ms);
  outlive(5ms);
  EXPECT_FALSE(db_.exists("key"));
  EXPECT_TRUE(eventually([&] { return db_.size() == 0; }));
}

TEST_F(Deadlines, AKeyThatIsReArmedTimeAndAgainStays) {
  db_.set("key", 1, 1h);
  for (int round = 0; round < 10'000; ++round) db_.expire("key", std::chrono::seconds(60 + round % 7));
  EXPECT_TRUE(db_.exists("key"));
  db_.expire("key", 5ms);
  outlive(5ms);
  EXPECT_FALSE(db_.exists("key"));
}

TEST_F(Deadlines, SurviveEveryWriteThatIsNoRemoval) {
  db_.set("key", 1, 1h);
  db_.set("key", 2);
  db_.swap("key", 3);
  db_.increment("key");
  db_.decrement("key");
  db_.modify("key", [](std::optional<Value>) { return Value::array({}); });
  db_.push("key", 1);
  db_.unshift("key", 1);
  db_.shift("key");
  db_.pop("key");
  db_.set("key", Value::object({}));
  db_.update("key", Value::object({{"a", 1}}));
  db_.set_once("key", 1);
  db_.transact({"key"}, [](Transaction& transaction) { transaction.set("key", 5); });
  EXPECT_TRUE(db_.ttl("key").has_value());
  db_.rename("key", "other");
  EXPECT_TRUE(db_.ttl("other").has_value());
}

TEST_F(Deadlines, MovedByRenameEndTheKeyUnderItsNewName) {
  const auto before = SteadyClock::now();
  db_.set("from", 1, 20ms);
  db_.rename("from", "to");
  db_.set("from", 2);
  ASSERT_TRUE(eventually([&] { return !db_.exists("to"); }));
  EXPECT_GE(SteadyClock::now() - before, 20ms - kExactness);
  EXPECT_TRUE(eventually([&] { return db_.size() == 1; }));
  EXPECT_EQ(db_.get("from"), Value(2));
}

TEST_F(Deadlines, ThatReturnedAreNeverLostToAConcurrentWrite) {
  db_.set("key", 1);
  Repeat setter([&] { db_.set("key", 1); });
  Repeat incrementer([&] { db_.increment("key"); });
  Repeat modifier([&] { db_.modify("key", [](std::optional<Value> old) { return old; }); });
  for (int round = 0; round < 3000; ++round) {
    db_.expire("key", 1h);
    ASSERT_TRUE(db_.ttl("key").has_value()) << round;
    ASSERT_TRUE(db_.remove_expiry("key")) << round;
    ASSERT_EQ(db_.ttl("key"), std::nullopt) << round;
  }
}

/// Every operation on a key whose deadline has just passed: to each of them it is absent, whether its memory is back or not.
class ExpiredKeys : public ContractTest {
 protected:
  /// Gives `key` a deadline and returns when that is past.
  void expired(const char* key, const Value& value = 5) {
    db_.set(key, value, 2ms);
    outlive(2ms);
  }
};

TEST_F(ExpiredKeys, AreAbsentToReads) {
  expired("key");
  EXPECT_EQ(db_.get("key"), std::nullopt);
  expired("key");
  EXPECT_FALSE(db_.exists("key"));
  expired("key");
  EXPECT_FALSE(db_.visit("key", [](const Value&) { FAIL(); }));
  expired("key");
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
}

TEST_F(ExpiredKeys, AreAbsentToScans) {
  expired("key");
  EXPECT_TRUE(db_.keys().empty());
  expired("key");
  EXPECT_TRUE(db_.keys("k").empty());
  expired("key");
  db_.for_each([](std::string_view, const Value&) { FAIL(); });
  expired("key");
  EXPECT_EQ(db_.count([](std::string_view, const Value&) { return true; }), 0u);
  expired("key");
  EXPECT_TRUE(db_.select([](std::string_view, const Value& value) { return std::optional(value); }).empty());
}

TEST_F(ExpiredKeys, AreAbsentToWritesWhichLeaveNoDeadline) {
  const std::map<std::string, std::function<void()>> writes{
      {"set", [&] { db_.set("key", 1); }},
      {"set_once", [&] { EXPECT_TRUE(db_.set_once("key", 1)); }},
      {"swap", [&] { EXPECT_EQ(db_.swap("key", 1), std::nullopt); }},
      {"increment", [&] { EXPECT_EQ(db_.increment("key"), Value(1)); }},
      {"decrement", [&] { EXPECT_EQ(db_.decrement("key", -1), Value(1)); }},
      {"modify",
       [&] {
         db_.modify("key", [](std::optional<Value> old) {
           EXPECT_EQ(old, std::nullopt);
           return Value(1);
         });
       }},
      {"transact",
       [&] {
         db_.transact({"key"}, [](Transaction& transaction) {
           EXPECT_FALSE(transaction.exists("key"));
           EXPECT_EQ(transaction.get("key"), std::nullopt);
           EXPECT_EQ(transaction.increment("key"), Value(1));
         });
       }},
      {"rename",
       [&] {
         db_.set("from", 1);
         db_.rename("from", "key");
       }},
  };
  for (const auto& [name, write] : writes) {
    SCOPED_TRACE(name);
    expired("key");
    write();
    EXPECT_EQ(db_.get("key"), Value(1));
    EXPECT_EQ(db_.ttl("key"), std::nullopt);
  }
}

TEST_F(ExpiredKeys, AreAbsentToArraysAndObjects) {
  expired("key", integers(1, 3));
  EXPECT_EQ(db_.push("key", 9), 1u);
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  expired("key", integers(1, 3));
  EXPECT_EQ(db_.unshift("key", 9), 1u);
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  expired("key", "no array");
  EXPECT_EQ(db_.push("key", 9), 1u);
  expired("key", integers(1, 3));
  EXPECT_TRUE(throws(Errc::key_not_found, {"shift", "key"}, [&] { return db_.shift("key"); }));
  expired("key", integers(1, 3));
  EXPECT_TRUE(throws(Errc::key_not_found, {"pop", "key"}, [&] { return db_.pop("key"); }));
  expired("key", Value::object({{"a", 1}}));
  EXPECT_EQ(db_.update("key", Value::object({{"b", 2}})), Value::object({{"b", 2}}));
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
}

TEST_F(ExpiredKeys, AreAbsentToRemovals) {
  expired("key");
  EXPECT_FALSE(db_.erase("key"));
  expired("key");
  EXPECT_EQ(db_.take("key"), std::nullopt);
  expired("key");
  EXPECT_TRUE(throws(Errc::key_not_found, {"rename", "key"}, [&] { db_.rename("key", "to"); }));
  expired("key");
  EXPECT_TRUE(throws(Errc::key_not_found, {"expire", "key"}, [&] { db_.expire("key", 1h); }));
  expired("key");
  EXPECT_FALSE(db_.remove_expiry("key"));
  EXPECT_FALSE(db_.exists("key"));
}

TEST_F(ExpiredKeys, AreAbsentToWaits) {
  expired("key", integers(1, 3));
  EXPECT_EQ(db_.shift_wait("key", 0s), std::nullopt);
  expired("key", "no array");
  EXPECT_EQ(db_.pop_wait("key", 0s), std::nullopt);
  expired("key");
  EXPECT_TRUE(throws(Errc::timeout, {"wait", "key"}, [&] { return db_.wait("key", 5, 0s); }));
  expired("key");
  EXPECT_TRUE(throws(Errc::timeout, {"wait_for", "key"}, [&] {
    return db_.wait_for(
        "key", [](const Value&) { return true; }, 0s);
  }));
  expired("key");
  auto waiter = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.set("key", 5);
  EXPECT_EQ(waiter.value(), Value(5)) << "it was absent at the call, so any value ends the wait";
}

TEST_F(ExpiredKeys, AreAbsentOneByOneWhileOthersLive) {
  for (int key = 0; key < 100; ++key) db_.set("short " + std::to_string(key), key, 2ms);
  for (int key = 0; key < 100; ++key) db_.set("long " + std::to_string(key), key, 1h);
  outlive(2ms);
  EXPECT_EQ(db_.keys().size(), 100u);
  EXPECT_TRUE(db_.keys("short").empty());
  for (int key = 0; key < 100; ++key) EXPECT_FALSE(db_.exists("short " + std::to_string(key)));
}

}  // namespace
}  // namespace cubby::contract
