// SPDX-License-Identifier: Apache-2.0

// Section 6: wait and wait_for.

#include "support.hpp"

namespace cubby::contract {
namespace {

using WaitingForChange = ContractTest;

TEST_F(WaitingForChange, EndsAtTheFirstUnequalValueAndReturnsIt) {
  db_.set("key", 1);
  auto waiter = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.set("key", 2);
  EXPECT_EQ(waiter.value(), Value(2));
}

TEST_F(WaitingForChange, EvenIfThatIsUndoneAtOnce) {
  db_.set("key", 1);
  for (int round = 0; round < 100; ++round) {
    auto waiter = start([&] { return db_.wait("key", kLong); });
    ASSERT_TRUE(waiting(db_, 1));
    db_.set("key", 2);
    db_.set("key", 1);
    ASSERT_EQ(waiter.value(), Value(2));
  }
}

TEST_F(WaitingForChange, OfAnAbsentKeyEndsWithAnyValue) {
  auto waiter = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.set("key", nullptr);
  EXPECT_EQ(waiter.value(), Value(nullptr));
}

TEST_F(WaitingForChange, StoringAnEqualValueIsNoChange) {
  db_.set("key", 5);
  auto waiter = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.set("key", 5);
  db_.set("key", 5.0);
  db_.swap("key", 5);
  db_.increment("key", 0);
  db_.set("key", 5, 1h);
  db_.expire("key", 2h);
  db_.remove_expiry("key");
  EXPECT_EQ(db_.stats().waiters, 1u);
  db_.set("key", 6);
  EXPECT_EQ(waiter.value(), Value(6));
}

TEST_F(WaitingForChange, AbsenceEndsNoWait) {
  db_.set("key", 5);
  auto waiter = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.erase("key");
  db_.set("key", 5);
  db_.take("key");
  db_.set("key", 5);
  db_.clear();
  EXPECT_EQ(db_.stats().waiters, 1u);
  db_.set("key", 5);
  db_.set("key", 6);
  EXPECT_EQ(waiter.value(), Value(6));
}

TEST_F(WaitingForChange, AnArrayChangesByItsElements) {
  db_.set("key", integers(1, 2));
  auto first = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.push("key", 3);
  EXPECT_EQ(first.value(), integers(1, 3));
  auto second = start([&] { return db_.wait("key", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.shift("key");
  EXPECT_EQ(second.value(), integers(2, 3));
}

TEST_F(WaitingForChange, RunsIntoItsTimeout) {
  for (const Timeout timeout : {Timeout(0s), Timeout(-5s), Timeout(5ms)}) {
    EXPECT_TRUE(throws(Errc::timeout, {"wait", name_, "absent"}, [&] { return db_.wait("absent", timeout); }));
    db_.set("key", 1);
    EXPECT_TRUE(throws(Errc::timeout, {"wait", name_, "key"}, [&] { return db_.wait("key", timeout); }));
  }
}

using WaitingForValue = ContractTest;

TEST_F(WaitingForValue, ReturnsAtOnceIfTheKeyEqualsIt) {
  db_.set("key", 5.0);
  EXPECT_EQ(db_.wait("key", 5, 0s), Value(5));
  EXPECT_EQ(db_.wait("key", 5, -1s), Value(5));
  EXPECT_EQ(db_.wait("key", 5, std::nullopt), Value(5));
  db_.set("null", nullptr);
  EXPECT_EQ(db_.wait("null", nullptr, 0s), Value());
}

TEST_F(WaitingForValue, AbsenceIsNotNull) {
  EXPECT_TRUE(throws(Errc::timeout, {"wait", name_, "key"}, [&] { return db_.wait("key", nullptr, 1ms); }));
}

TEST_F(WaitingForValue, SeesItHoweverBriefly) {
  for (int round = 0; round < 100; ++round) {
    db_.set("key", 0);
    auto waiter = start([&] { return db_.wait("key", 50, kLong); });
    ASSERT_TRUE(waiting(db_, 1));
    for (int step = 0; step < 100; ++step) db_.increment("key");
    ASSERT_EQ(waiter.value(), Value(50));
  }
}

TEST_F(WaitingForValue, SeesArraysAsTheyGrowAndShrink) {
  auto grown = start([&] { return db_.wait("key", integers(1, 2), kLong); });
  auto shrunk = start([&] { return db_.wait("key", integers(2, 3), kLong); });
  auto front = start([&] { return db_.wait("key", Value::array({0, 2, 3}), kLong); });
  ASSERT_TRUE(waiting(db_, 3));
  db_.push("key", 1);
  db_.push("key", 2);
  db_.push("key", 3);
  db_.shift("key");
  db_.unshift("key", 0);
  db_.erase("key");
  EXPECT_EQ(grown.value(), integers(1, 2));
  EXPECT_EQ(shrunk.value(), integers(2, 3));
  EXPECT_EQ(front.value(), Value::array({0, 2, 3}));
}

TEST_F(WaitingForValue, IsNotEndedByOtherValues) {
  auto waiter = start([&] { return db_.wait("key", 5, kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  for (int other = 6; other < 100; ++other) db_.set("key", other);
  db_.transact({"key"}, [](Transaction& transaction) {
    transaction.set("key", 5);  // at no instant is it seen
    transaction.set("key", 7);
  });
  EXPECT_EQ(db_.stats().waiters, 1u);
  db_.set("key", 5);
  EXPECT_EQ(waiter.value(), Value(5));
}

TEST_F(WaitingForValue, RunsIntoItsTimeout) {
  db_.set("key", 1);
  for (const Timeout timeout : {Timeout(0s), Timeout(-5s), Timeout(5ms)}) {
    EXPECT_TRUE(throws(Errc::timeout, {"wait", name_, "key"}, [&] { return db_.wait("key", 2, timeout); }));
  }
}

using WaitingForPredicate = ContractTest;

TEST_F(WaitingForPredicate, IsTriedOnTheValueAtTheCall) {
  db_.set("key", 5);
  const auto positive = [](const Value& value) { return value.as_int() > 0; };
  EXPECT_EQ(db_.wait_for("key", positive, 0s), Value(5));
  EXPECT_EQ(db_.wait_for("key", positive, -1s), Value(5));
  EXPECT_EQ(db_.wait_for("key", positive, std::nullopt), Value(5));
}

TEST_F(WaitingForPredicate, ReturnsTheFirstValueItFindsTrue) {
  std::vector<std::int64_t> seen;
  auto waiter = start([&] {
    return db_.wait_for(
        "key",
        [&](const Value& value) {
          seen.push_back(value.as_int());
          return value.as_int() >= 10;
        },
        kLong);
  });
  ASSERT_TRUE(waiting(db_, 1));
  for (int number = 1; number <= 10; ++number) db_.set("key", number);
  EXPECT_EQ(waiter.value(), Value(10));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back(), 10);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end())) << "it may skip values and sees none out of order";
}

TEST_F(WaitingForPredicate, NeverMissesAValueThatStays) {
  for (int round = 0; round < 300; ++round) {
    const std::string key = std::to_string(round);
    auto waiter = start([&] {
      return db_.wait_for(
          key, [](const Value& value) { return value.as_int() == 20; }, kLong);
    });
    for (int number = 1; number <= 20; ++number) db_.increment(key);
    ASSERT_EQ(waiter.value(), Value(20));
  }
}

TEST_F(WaitingForPredicate, IsGivenTheLengthOfAnArray) {
  db_.set("key", integers(1, 2));
  std::vector<Value> given;
  EXPECT_EQ(db_.wait_for(
                "key",
                [&](const Value& length) {
                  given.push_back(length);
                  return true;
                },
                0s),
            integers(1, 2));
  EXPECT_EQ(given, std::vector<Value>{2});
  auto waiter = start([&] {
    return db_.wait_for(
        "key", [](const Value& length) { return length.as_int() >= 4; }, kLong);
  });
  ASSERT_TRUE(waiting(db_, 1));
  db_.push("key", 3);
  db_.unshift("key", 0);
  EXPECT_EQ(waiter.value(), integers(0, 3));
  db_.set("empty", Value::array({}));
  EXPECT_EQ(db_.wait_for(
                "empty", [](const Value& length) { return length == Value(0); }, 0s),
            Value::array({}));
}

TEST_F(WaitingForPredicate, RunsOnTheCallingThread) {
  std::atomic<bool> elsewhere{false};
  auto waiter = start([&] {
    const auto self = std::this_thread::get_id();
    return db_.wait_for(
        "key",
        [&](const Value& value) {
          if (std::this_thread::get_id() != self) elsewhere.store(true);
          return value == Value("enough");
        },
        kLong);
  });
  ASSERT_TRUE(waiting(db_, 1));
  for (int number = 0; number < 100; ++number) db_.set("key", number);
  db_.set("key", "enough");
  EXPECT_EQ(waiter.value(), Value("enough"));
  EXPECT_FALSE(elsewhere.load());
}

TEST_F(WaitingForPredicate, IsNotCalledForAbsence) {
  std::atomic<int> calls{0};
  const auto counting = [&](const Value&) { return ++calls > 0; };
  EXPECT_TRUE(throws(Errc::timeout, {"wait_for", name_, "key"}, [&] { return db_.wait_for("key", counting, 1ms); }));
  auto waiter = start([&] { return db_.wait_for("key", counting, kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.erase("key");
  db_.clear();
  EXPECT_EQ(calls.load(), 0);
  db_.set("key", 1);
  EXPECT_EQ(waiter.value(), Value(1));
  EXPECT_EQ(calls.load(), 1);
}

TEST_F(WaitingForPredicate, MayCallTheStore) {
  auto waiter = start([&] {
    return db_.wait_for(
        "key",
        [&](const Value& value) {
          db_.increment("calls");
          return db_.get("wanted") == value;
        },
        kLong);
  });
  ASSERT_TRUE(waiting(db_, 1));
  db_.set("wanted", 3);
  for (int number = 1; number <= 3; ++number) db_.set("key", number);
  EXPECT_EQ(waiter.value(), Value(3));
  EXPECT_TRUE(db_.exists("calls"));
}

TEST_F(WaitingForPredicate, ItsExceptionReachesTheCaller) {
  const auto throwing = [](const Value&) -> bool { throw std::runtime_error("predicate"); };
  db_.set("key", 1);
  EXPECT_THROW(db_.wait_for("key", throwing, kLong), std::runtime_error);
  std::atomic<bool> caught{false};
  auto waiter = start([&] {
    try {
      db_.wait_for("other", throwing, kLong);
    } catch (const std::runtime_error&) {
      caught.store(true);
    }
  });
  ASSERT_TRUE(waiting(db_, 1));
  db_.set("other", 1);
  EXPECT_TRUE(waiter.returned());
  EXPECT_TRUE(caught.load());
  EXPECT_EQ(db_.stats().waiters, 0u);
  EXPECT_EQ(db_.increment("other"), Value(2));
}

TEST_F(WaitingForPredicate, RunsIntoItsTimeout) {
  db_.set("key", 1);
  for (const Timeout timeout : {Timeout(0s), Timeout(-5s), Timeout(5ms)}) {
    EXPECT_TRUE(throws(Errc::timeout, {"wait_for", name_, "key"}, [&] {
      return db_.wait_for(
          "key", [](const Value&) { return false; }, timeout);
    }));
  }
}

}  // namespace
}  // namespace cubby::contract
