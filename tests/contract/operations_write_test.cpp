// SPDX-License-Identifier: Apache-2.0

// Section 4: set, set_once, swap, increment, decrement, rename, erase, take, clear. Arrays, times and scans have files of their
// own.

#include <limits>

#include "operations.hpp"
#include "support.hpp"

namespace cubby::contract {
namespace {

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

using Keys = ContractTest;

TEST_F(Keys, AreByteStringsFromNothingTo65535Bytes) {
  const std::string longest(65535, 'k');
  const std::string with_nul("a\0b", 3);
  for (const std::string& key : {std::string(), longest, with_nul, std::string("a"), std::string("\xff\xfe")}) {
    db_.set(key, Value(key.size()));
  }
  EXPECT_EQ(db_.size(), 5u);
  EXPECT_EQ(db_.get(""), Value(0));
  EXPECT_EQ(db_.get(longest), Value(65535));
  EXPECT_EQ(db_.get(with_nul), Value(3));
  EXPECT_EQ(db_.get("a"), Value(1));
  EXPECT_EQ(db_.get(std::string(65534, 'k')), std::nullopt);
  EXPECT_TRUE(contains(db_.keys(), longest));
  EXPECT_TRUE(contains(db_.keys(), with_nul));
  EXPECT_TRUE(db_.erase(longest));
}

TEST_F(Keys, LongerThanThatAreInvalidArgumentInEveryOperation) {
  const std::string too_long(65536, 'k');
  for (const Operation& operation : operations_on_a_key()) {
    EXPECT_TRUE(throws(Errc::invalid_argument, {operation.name, name_}, [&] { operation.call(db_, too_long); }))
        << operation.name;
  }
  db_.set("key", 1);
  EXPECT_TRUE(throws(Errc::invalid_argument, {"rename", name_}, [&] { db_.rename("key", too_long); }));
  EXPECT_EQ(db_.keys(), std::vector<std::string>{"key"});
}

TEST_F(Keys, OfFullLengthWorkInEveryOperation) {
  const std::string longest(65535, 'k');
  for (const Operation& operation : operations_on_a_key()) {
    db_.clear();
    try {
      operation.call(db_, longest);
    } catch (const Error& error) {
      EXPECT_NE(error.code(), Errc::invalid_argument) << operation.name;
    }
  }
}

using Set = ContractTest;

TEST_F(Set, StoresAndReplaces) {
  db_.set("key", 1);
  EXPECT_EQ(db_.get("key"), Value(1));
  db_.set("key", "two");
  EXPECT_EQ(db_.get("key"), Value("two"));
  db_.set("key", Value::array({1, 2}));
  EXPECT_EQ(db_.get("key"), integers(1, 2));
  EXPECT_EQ(db_.size(), 1u);
}

TEST_F(Set, KeepsADeadlineThatTheKeyHas) {
  db_.set("key", 1, 1h);
  db_.set("key", 2);
  EXPECT_TRUE(db_.ttl("key").has_value());
  db_.set("plain", 1);
  EXPECT_EQ(db_.ttl("plain"), std::nullopt);
}

TEST_F(Set, WithATimeToLiveReplacesTheDeadline) {
  db_.set("key", 1, 1h);
  db_.set("key", 2, 48h);
  EXPECT_GT(db_.ttl("key").value(), 24h);
  db_.set("plain", 1);
  db_.set("plain", 2, 1h);
  EXPECT_TRUE(db_.ttl("plain").has_value());
  EXPECT_EQ(db_.get("plain"), Value(2));
}

TEST_F(Set, WithZeroOrLessToLiveRemovesTheKey) {
  for (const auto ttl : {0ns, -1ns, std::chrono::nanoseconds(-1h), std::chrono::nanoseconds::min()}) {
    db_.set("key", 1);
    db_.set("key", 2, ttl);
    EXPECT_FALSE(db_.exists("key"));
    EXPECT_EQ(db_.size(), 0u);
    EXPECT_NO_THROW(db_.set("absent", 2, ttl));
    EXPECT_FALSE(db_.exists("absent"));
  }
}

TEST_F(Set, OfAValueAboveTheCapNamesKeySizeAndCap) {
  Options options;
  options.max_value_bytes = 1234;
  Datastore store = open_other(options);
  const Value large(std::string(5000, 'x'));
  store.set("key", 1);
  EXPECT_TRUE(throws(Errc::value_too_large, {"set", store.name(), "key", "1234", "50"}, [&] { store.set("key", large); }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"set", store.name(), "key"}, [&] { store.set("key", large, 1h); }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"set_once", store.name(), "new"}, [&] { store.set_once("new", large); }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"swap", store.name(), "key"}, [&] { store.swap("key", large); }));
  EXPECT_TRUE(throws(Errc::value_too_large, {store.name(), "key"},
                     [&] { store.transact({"key"}, [&](Transaction& transaction) { transaction.set("key", large); }); }));
  EXPECT_EQ(store.get("key"), Value(1));
  EXPECT_FALSE(store.exists("new"));
  EXPECT_EQ(store.ttl("key"), std::nullopt);
  store.set("key", std::string(1000, 'x'));
  EXPECT_EQ(store.get("key")->size(), 1000u);
}

TEST_F(Set, TheDefaultCapIs64MebibytesAndZeroIsNone) {
  const Value large(std::string(65 << 20, 'x'));
  EXPECT_TRUE(throws(Errc::value_too_large, {"set", name_, "key"}, [&] { db_.set("key", large); }));
  Options options;
  options.max_value_bytes = 0;
  Datastore store = open_other(options);
  store.set("key", large);
  EXPECT_TRUE(store.visit("key", [](const Value& value) { EXPECT_EQ(value.size(), std::size_t{65} << 20); }));
}

using SetOnce = ContractTest;

TEST_F(SetOnce, StoresOnlyIfTheKeyIsAbsent) {
  EXPECT_TRUE(db_.set_once("key", 1));
  EXPECT_FALSE(db_.set_once("key", 2));
  EXPECT_EQ(db_.get("key"), Value(1));
  db_.set("null", nullptr);
  EXPECT_FALSE(db_.set_once("null", 1)) << "a stored null is not absence";
}

TEST_F(SetOnce, WithATimeToLiveArmsOnlyWhatItStored) {
  EXPECT_TRUE(db_.set_once("key", 1, 1h));
  EXPECT_TRUE(db_.ttl("key").has_value());
  db_.set("plain", 1);
  EXPECT_FALSE(db_.set_once("plain", 2, 1h));
  EXPECT_EQ(db_.ttl("plain"), std::nullopt);
  EXPECT_FALSE(db_.set_once("plain", 2, 0s));
  EXPECT_EQ(db_.get("plain"), Value(1)) << "nothing is stored, so nothing is removed";
}

TEST_F(SetOnce, HasOneWinnerAmongManyThreads) {
  for (int round = 0; round < 100; ++round) {
    const std::string key = std::to_string(round);
    std::atomic<int> winners{0};
    std::atomic<int> winner{-1};
    run_threads(4, [&](int thread) {
      if (!db_.set_once(key, thread)) return;
      winners.fetch_add(1);
      winner.store(thread);
    });
    EXPECT_EQ(winners.load(), 1);
    EXPECT_EQ(db_.get(key), Value(winner.load()));
  }
}

using Swap = ContractTest;

TEST_F(Swap, ReturnsTheOldValueAndKeepsTheDeadline) {
  EXPECT_EQ(db_.swap("key", 1), std::nullopt);
  EXPECT_EQ(db_.swap("key", 2), Value(1));
  db_.expire("key", 1h);
  EXPECT_EQ(db_.swap("key", nullptr), Value(2));
  EXPECT_EQ(db_.swap("key", 3), Value(nullptr)) << "a stored null is not absence";
  EXPECT_TRUE(db_.ttl("key").has_value());
}

using Increment = ContractTest;

TEST_F(Increment, AddsToANumberAndCountsAbsentAsZero) {
  EXPECT_EQ(db_.increment("key"), Value(1));
  EXPECT_EQ(db_.increment("key", 41), Value(42));
  EXPECT_EQ(db_.decrement("key"), Value(41));
  EXPECT_EQ(db_.decrement("key", 1), Value(40));
  EXPECT_EQ(db_.increment("key", -50), Value(-10));
  EXPECT_EQ(db_.get("key"), Value(-10));
  EXPECT_EQ(db_.decrement("down", 5), Value(-5));
}

TEST_F(Increment, KeepsIntegersExactAndARealOnEitherSideMakesItReal) {
  db_.set("integer", (std::int64_t{1} << 53) + 1);
  const Value exact = db_.increment("integer", 2);
  EXPECT_TRUE(exact.is_int());
  EXPECT_EQ(exact.as_int(), (std::int64_t{1} << 53) + 3);
  const Value from_delta = db_.increment("delta", 0.5);
  EXPECT_TRUE(from_delta.is_real());
  EXPECT_EQ(from_delta, Value(0.5));
  const Value integral = db_.increment("delta", 0.5);
  EXPECT_TRUE(integral.is_real()) << "1.0 stays real";
  const Value from_stored = db_.increment("delta", 1);
  EXPECT_TRUE(from_stored.is_real());
  EXPECT_EQ(db_.decrement("delta", 0.25), Value(1.75));
}

TEST_F(Increment, PastInt64IsOverflowAndChangesNothing) {
  db_.set("max", kMax);
  EXPECT_TRUE(throws(Errc::overflow, {"increment", name_, "max"}, [&] { return db_.increment("max"); }));
  EXPECT_EQ(db_.get("max"), Value(kMax));
  db_.set("min", kMin);
  EXPECT_TRUE(throws(Errc::overflow, {"decrement", name_, "min"}, [&] { return db_.decrement("min"); }));
  EXPECT_TRUE(throws(Errc::overflow, {"increment", name_, "min"}, [&] { return db_.increment("min", -1); }));
  EXPECT_EQ(db_.get("min"), Value(kMin));
  EXPECT_TRUE(throws(Errc::overflow, {"decrement", name_, "absent"}, [&] { return db_.decrement("absent", kMin); }));
  EXPECT_FALSE(db_.exists("absent"));
}

TEST_F(Increment, ReachesBothEndsOfInt64) {
  EXPECT_EQ(db_.increment("key", kMax), Value(kMax));
  EXPECT_EQ(db_.increment("low", kMin), Value(kMin));
  db_.set("minus one", -1);
  EXPECT_EQ(db_.decrement("minus one", kMin), Value(kMax)) << "subtracts, and doesn't add what can't be negated";
}

TEST_F(Increment, OfWhatIsNoNumberOrByWhatIsNoneIsTypeMismatch) {
  const Value others[] = {nullptr, true, "1", Value::binary({}), Value::array({}), Value::object({})};
  for (const Value& other : others) {
    db_.set("key", other);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"increment", name_, "key"}, [&] { return db_.increment("key"); })) << other;
    EXPECT_TRUE(throws(Errc::type_mismatch, {"decrement", name_, "key"}, [&] { return db_.decrement("key"); })) << other;
    EXPECT_EQ(db_.get("key"), other);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"increment", name_, "absent"}, [&] { return db_.increment("absent", other); }))
        << other;
    EXPECT_FALSE(db_.exists("absent"));
    db_.set("number", 5);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"decrement", name_, "number"}, [&] { return db_.decrement("number", other); }))
        << other;
    EXPECT_EQ(db_.get("number"), Value(5));
  }
}

TEST_F(Increment, KeepsTheDeadline) {
  db_.set("key", 1, 1h);
  db_.increment("key");
  db_.decrement("key");
  EXPECT_TRUE(db_.ttl("key").has_value());
}

using Rename = ContractTest;

TEST_F(Rename, MovesValueAndDeadline) {
  db_.set("from", 1, 1h);
  db_.rename("from", "to");
  EXPECT_FALSE(db_.exists("from"));
  EXPECT_EQ(db_.get("to"), Value(1));
  EXPECT_TRUE(db_.ttl("to").has_value());
  EXPECT_EQ(db_.size(), 1u);
  db_.set("from", 2);
  EXPECT_EQ(db_.ttl("from"), std::nullopt);
  db_.rename("from", "other");
  EXPECT_EQ(db_.ttl("other"), std::nullopt);
}

TEST_F(Rename, OfAnAbsentKeyIsKeyNotFound) {
  EXPECT_TRUE(throws(Errc::key_not_found, {"rename", name_, "from"}, [&] { db_.rename("from", "to"); }));
  db_.set("to", 1);
  EXPECT_TRUE(throws(Errc::key_not_found, {"rename", name_, "from"}, [&] { db_.rename("from", "to"); }));
  EXPECT_EQ(db_.get("to"), Value(1));
}

TEST_F(Rename, OntoAPresentKeyOrItselfIsKeyExists) {
  db_.set("from", 1);
  db_.set("to", 2, 1h);
  EXPECT_TRUE(throws(Errc::key_exists, {"rename", name_, "to"}, [&] { db_.rename("from", "to"); }));
  EXPECT_TRUE(throws(Errc::key_exists, {"rename", name_, "from"}, [&] { db_.rename("from", "from"); }));
  EXPECT_EQ(db_.get("from"), Value(1));
  EXPECT_EQ(db_.get("to"), Value(2));
  EXPECT_EQ(db_.ttl("from"), std::nullopt);
  EXPECT_TRUE(db_.ttl("to").has_value());
}

TEST_F(Rename, KeepsAQueueWorking) {
  for (int number = 0; number < 1000; ++number) db_.push("from", number);
  db_.rename("from", "to");
  EXPECT_EQ(db_.push("to", 1000), 1001u);
  EXPECT_EQ(db_.shift("to"), Value(0));
  EXPECT_EQ(db_.pop("to"), Value(1000));
  EXPECT_EQ(db_.push("from", 1), 1u);
}

using Removal = ContractTest;

TEST_F(Removal, EraseTellsWhetherTheKeyWasThere) {
  db_.set("key", nullptr, 1h);
  EXPECT_TRUE(db_.erase("key"));
  EXPECT_FALSE(db_.erase("key"));
  EXPECT_FALSE(db_.exists("key"));
  db_.set("key", 1);
  EXPECT_EQ(db_.ttl("key"), std::nullopt) << "the deadline ended with the key";
}

TEST_F(Removal, TakeRemovesAndReturns) {
  db_.set("key", "value", 1h);
  EXPECT_EQ(db_.take("key"), Value("value"));
  EXPECT_EQ(db_.take("key"), std::nullopt);
  db_.set("null", nullptr);
  EXPECT_EQ(db_.take("null"), Value(nullptr));
  db_.set("key", 1);
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  EXPECT_EQ(db_.size(), 1u);
}

TEST_F(Removal, ClearRemovesAllKeysAndTheirDeadlines) {
  for (int key = 0; key < 1000; ++key) db_.set(std::to_string(key), key, 1h);
  db_.clear();
  EXPECT_EQ(db_.size(), 0u);
  EXPECT_TRUE(db_.keys().empty());
  EXPECT_EQ(db_.get("1"), std::nullopt);
  db_.set("1", 1);
  EXPECT_EQ(db_.ttl("1"), std::nullopt);
  EXPECT_NO_THROW(db_.clear());
  EXPECT_NO_THROW(db_.clear());
  EXPECT_EQ(db_.size(), 0u);
}

TEST_F(Removal, TakeGivesAValueToOneThreadOnly) {
  constexpr int kKeys = 2000;
  for (int key = 0; key < kKeys; ++key) db_.set(std::to_string(key), key);
  std::atomic<int> taken{0};
  run_threads(4, [&](int) {
    for (int key = 0; key < kKeys; ++key) {
      if (db_.take(std::to_string(key))) taken.fetch_add(1);
    }
  });
  EXPECT_EQ(taken.load(), kKeys);
  EXPECT_EQ(db_.size(), 0u);
}

}  // namespace
}  // namespace cubby::contract
