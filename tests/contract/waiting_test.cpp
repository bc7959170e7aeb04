// SPDX-License-Identifier: Apache-2.0

// Section 6: what holds for every waiting call: timeouts, cancellation, close, and outliving the key.

#include <limits>

#include "support.hpp"

namespace cubby::contract {
namespace {

// A timeout has no default, and no number is one.
template <class Store>
concept WaitsWithoutTimeout =
    requires(Store store) { store.shift_wait("key"); } || requires(Store store) { store.pop_wait("key"); } ||
    requires(Store store) { store.wait("key"); } ||
    requires(Store store) { store.wait_for("key", [](const Value&) { return true; }); };
template <class Store>
concept WaitsForANumber =
    requires(Store store) { store.shift_wait("key", 5); } || requires(Store store) { store.wait("key", 5); };
static_assert(!WaitsWithoutTimeout<Datastore>);
static_assert(!WaitsForANumber<Datastore>);

struct WaitingCall {
  const char* name;
  void (*call)(Datastore& store, std::string_view key, Timeout timeout, std::stop_token stop);
};

/// Each is ended by push(key, 7) on an absent key, and by nothing else that happens here.
std::vector<WaitingCall> waiting_calls() {
  return {
      {"shift_wait", [](Datastore& store, std::string_view key, Timeout timeout,
                        std::stop_token stop) { store.shift_wait(key, timeout, stop); }},
      {"pop_wait", [](Datastore& store, std::string_view key, Timeout timeout,
                      std::stop_token stop) { store.pop_wait(key, timeout, stop); }},
      {"wait",
       [](Datastore& store, std::string_view key, Timeout timeout, std::stop_token stop) { store.wait(key, timeout, stop); }},
      {"wait", [](Datastore& store, std::string_view key, Timeout timeout,
                  std::stop_token stop) { store.wait(key, integers(7, 7), timeout, stop); }},
      {"wait_for",
       [](Datastore& store, std::string_view key, Timeout timeout, std::stop_token stop) {
         store.wait_for(
             key, [](const Value&) { return true; }, timeout, stop);
       }},
  };
}

using Waiting = ContractTest;

TEST_F(Waiting, EachCallIsEndedByWhatItWaitsForAndCountedWhileItWaits) {
  for (const WaitingCall& each : waiting_calls()) {
    SCOPED_TRACE(each.name);
    EXPECT_EQ(db_.stats().waiters, 0u);
    std::atomic<std::size_t> after{99};
    auto waiter = start([&] {
      each.call(db_, "key", kLong, {});
      after.store(db_.stats().waiters);
    });
    ASSERT_TRUE(waiting(db_, 1));
    db_.push("key", 7);
    EXPECT_TRUE(waiter.returned());
    EXPECT_EQ(after.load(), 0u) << "the count falls before the call returns";
    db_.clear();
  }
}

TEST_F(Waiting, TheCountOfWaitersFallsBeforeACallThatTimedOutReturns) {
  for (const WaitingCall& each : waiting_calls()) {
    try {
      each.call(db_, "key", 1ms, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::timeout);
    }
    EXPECT_EQ(db_.stats().waiters, 0u) << each.name;
  }
}

TEST_F(Waiting, ATimeoutNeverComesEarly) {
  for (const WaitingCall& each : waiting_calls()) {
    const auto begin = SteadyClock::now();
    try {
      each.call(db_, "key", 20ms, {});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::timeout);
    }
    EXPECT_GE(SteadyClock::now() - begin, 20ms) << each.name;
  }
}

TEST_F(Waiting, HugeTimeoutsAreSaturatedAndWait) {
  using Seconds = std::chrono::duration<double>;
  const Timeout timeouts[] = {std::chrono::hours::max(),
                              std::chrono::nanoseconds::max(),
                              Seconds(std::numeric_limits<double>::infinity()),
                              Seconds(1e300),
                              std::chrono::duration<std::int64_t, std::ratio<86400 * 365>>::max(),
                              std::nullopt};
  for (const Timeout timeout : timeouts) {
    auto queue = start([&] { return db_.shift_wait("queue", timeout); });
    auto value = start([&] { return db_.wait("key", 5, timeout); });
    ASSERT_TRUE(waiting(db_, 2));
    db_.push("queue", 1);
    db_.set("key", 5);
    EXPECT_EQ(queue.value(), Value(1));
    EXPECT_EQ(value.value(), Value(5));
    db_.clear();
  }
}

TEST_F(Waiting, HugeNegativeTimeoutsDoNotWait) {
  using Seconds = std::chrono::duration<double>;
  const Timeout timeouts[] = {std::chrono::hours::min(), Seconds(-std::numeric_limits<double>::infinity()), Seconds(-1e300)};
  for (const Timeout timeout : timeouts) {
    EXPECT_EQ(db_.shift_wait("key", timeout), std::nullopt);
    EXPECT_TRUE(throws(Errc::timeout, {}, [&] { return db_.wait("key", timeout); }));
  }
}

TEST_F(Waiting, AStopTokenCancelsEveryCall) {
  for (const WaitingCall& each : waiting_calls()) {
    SCOPED_TRACE(each.name);
    std::stop_source source;
    auto waiter = start([&] { each.call(db_, "some key", std::nullopt, source.get_token()); });
    ASSERT_TRUE(waiting(db_, 1));
    source.request_stop();
    EXPECT_TRUE(waiter.threw(Errc::cancelled, {each.name, name_, "some key"}));
    EXPECT_EQ(db_.stats().waiters, 0u);
    EXPECT_EQ(db_.push("some key", 7), 1u);
    EXPECT_EQ(db_.get("some key"), integers(7, 7)) << "a cancelled call takes nothing";
    db_.clear();
  }
}

TEST_F(Waiting, ATokenThatIsStoppedBeforeTheCallCancelsIt) {
  std::stop_source source;
  source.request_stop();
  for (const WaitingCall& each : waiting_calls()) {
    EXPECT_TRUE(throws(Errc::cancelled, {each.name, name_, "key"}, [&] { each.call(db_, "key", kLong, source.get_token()); }))
        << each.name;
    EXPECT_EQ(db_.stats().waiters, 0u);
  }
}

TEST_F(Waiting, ATokenThatIsNeverStoppedChangesNothing) {
  std::stop_source source;
  for (const WaitingCall& each : waiting_calls()) {
    auto waiter = start([&] { each.call(db_, "key", kLong, source.get_token()); });
    ASSERT_TRUE(waiting(db_, 1));
    db_.push("key", 7);
    EXPECT_TRUE(waiter.returned()) << each.name;
    db_.clear();
  }
}

TEST_F(Waiting, ACancelledWaiterLeavesTheOrderOfTheOthers) {
  std::stop_source source;
  auto first = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  auto second = start([&] { return db_.shift_wait("queue", kLong, source.get_token()); });
  ASSERT_TRUE(waiting(db_, 2));
  auto third = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 3));
  source.request_stop();
  EXPECT_TRUE(second.threw(Errc::cancelled));
  db_.push("queue", 1);
  db_.push("queue", 2);
  EXPECT_EQ(first.value(), Value(1));
  EXPECT_EQ(third.value(), Value(2));
}

TEST_F(Waiting, OneTokenCancelsManyCalls) {
  std::stop_source source;
  std::vector<Call<std::monostate>> waiters;
  for (const WaitingCall& each : waiting_calls()) {
    waiters.push_back(start([&, each] { each.call(db_, "key", kLong, source.get_token()); }));
  }
  ASSERT_TRUE(waiting(db_, waiters.size()));
  source.request_stop();
  for (auto& waiter : waiters) EXPECT_TRUE(waiter.threw(Errc::cancelled));
}

TEST_F(Waiting, CloseEndsEveryCallWithClosed) {
  std::vector<Call<std::monostate>> waiters;
  for (const WaitingCall& each : waiting_calls()) {
    waiters.push_back(start([&, each] { each.call(db_, "absent key", std::nullopt, {}); }));
    waiters.push_back(start([&, each] { each.call(db_, "another key", kLong, {}); }));
  }
  ASSERT_TRUE(waiting(db_, waiters.size()));
  close(name_);
  for (std::size_t index = 0; index < waiters.size(); ++index) {
    const char* key = index % 2 ? "another key" : "absent key";
    EXPECT_TRUE(waiters[index].threw(Errc::closed, {waiting_calls()[index / 2].name, name_, key}));
  }
}

TEST_F(Waiting, CloseOfOneStoreLeavesTheWaitersOfOthers) {
  Datastore other = open_other({});
  auto staying = start([&] { return db_.shift_wait("queue", kLong); });
  auto ending = start([&] { return other.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  ASSERT_TRUE(waiting(other, 1));
  close(other.name());
  EXPECT_TRUE(ending.threw(Errc::closed));
  EXPECT_EQ(db_.stats().waiters, 1u);
  db_.push("queue", 1);
  EXPECT_EQ(staying.value(), Value(1));
}

/// One waiter of each kind on a queue and on a counter. Whatever happens to the keys, they end with what is given to the names.
class OutlivingWaiters : public ContractTest {
 protected:
  void SetUp() override {
    db_.set("queue", Value::array({}));
    db_.set("key", 0);
    shifting_.emplace(start([&] { return db_.shift_wait("queue", kLong); }));
    ASSERT_TRUE(waiting(db_, 1));
    popping_.emplace(start([&] { return db_.pop_wait("queue", kLong); }));
    changing_.emplace(start([&] { return db_.wait("key", kLong); }));
    equal_.emplace(start([&] { return db_.wait("key", 5, kLong); }));
    predicate_.emplace(start([&] {
      return db_.wait_for(
          "key", [](const Value& value) { return value == Value(5); }, kLong);
    }));
    ASSERT_TRUE(waiting(db_, 5));
  }

  void expect_still_served() {
    EXPECT_EQ(db_.stats().waiters, 5u);
    EXPECT_EQ(db_.push("queue", 1), 1u);
    EXPECT_EQ(db_.push("queue", 2), 1u);
    db_.set("key", 5);
    EXPECT_EQ(shifting_->value(), Value(1));
    EXPECT_EQ(popping_->value(), Value(2));
    EXPECT_EQ(changing_->value(), Value(5));
    EXPECT_EQ(equal_->value(), Value(5));
    EXPECT_EQ(predicate_->value(), Value(5));
    EXPECT_EQ(db_.stats().waiters, 0u);
  }

  std::optional<Call<std::optional<Value>>> shifting_, popping_;
  std::optional<Call<Value>> changing_, equal_, predicate_;
};

TEST_F(OutlivingWaiters, OutliveErase) {
  EXPECT_TRUE(db_.erase("queue"));
  EXPECT_TRUE(db_.erase("key"));
  expect_still_served();
}

TEST_F(OutlivingWaiters, OutliveTake) {
  EXPECT_EQ(db_.take("queue"), Value::array({}));
  EXPECT_EQ(db_.take("key"), Value(0));
  expect_still_served();
}

TEST_F(OutlivingWaiters, OutliveClear) {
  db_.clear();
  db_.clear();
  expect_still_served();
}

TEST_F(OutlivingWaiters, OutliveExpiry) {
  db_.expire("queue", 5ms);
  db_.expire("key", 5ms);
  ASSERT_TRUE(eventually([&] { return db_.size() == 0; }));
  expect_still_served();
}

TEST_F(OutlivingWaiters, OutliveRemovalByModifyAndTransact) {
  db_.modify("queue", [](std::optional<Value>) -> std::optional<Value> { return std::nullopt; });
  db_.transact({"key", "unused"}, [](Transaction& transaction) { transaction.erase("key"); });
  EXPECT_EQ(db_.size(), 0u);
  expect_still_served();
}

TEST_F(OutlivingWaiters, StayWithTheNameWhenTheKeyIsRenamed) {
  db_.rename("queue", "moved queue");
  db_.rename("key", "moved key");
  EXPECT_EQ(db_.push("moved queue", 1), 1u);
  EXPECT_EQ(db_.get("moved queue"), integers(1, 1)) << "nobody waits for that name";
  db_.set("moved key", 5);
  expect_still_served();
}

TEST_F(OutlivingWaiters, AreServedByAKeyThatIsRenamedToTheirs) {
  db_.clear();
  db_.set("from", integers(1, 2));
  db_.set("from key", 5);
  db_.rename("from", "queue");
  db_.rename("from key", "key");
  EXPECT_EQ(shifting_->value(), Value(1));
  EXPECT_EQ(popping_->value(), Value(2));
  EXPECT_EQ(changing_->value(), Value(5));
  EXPECT_EQ(equal_->value(), Value(5));
  EXPECT_EQ(predicate_->value(), Value(5));
  EXPECT_EQ(db_.get("queue"), Value::array({}));
}

TEST_F(OutlivingWaiters, OutliveGrowthOfTheTable) {
  for (int key = 0; key < 20'000; ++key) db_.set(std::to_string(key), key);
  expect_still_served();
}

}  // namespace
}  // namespace cubby::contract
