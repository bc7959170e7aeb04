// SPDX-License-Identifier: Apache-2.0

// Section 6: shift_wait and pop_wait. wait and wait_for are in waiting_values_test.cpp, what holds for all of them in
// waiting_test.cpp.

#include "support.hpp"

namespace cubby::contract {
namespace {

using WaitingForElements = ContractTest;

TEST_F(WaitingForElements, TakesAnElementThatIsThereAtOnce) {
  db_.set("queue", integers(1, 4));
  EXPECT_EQ(db_.shift_wait("queue", 0s), Value(1));
  EXPECT_EQ(db_.pop_wait("queue", -1s), Value(4));
  EXPECT_EQ(db_.shift_wait("queue", kLong), Value(2));
  EXPECT_EQ(db_.pop_wait("queue", std::nullopt), Value(3));
  EXPECT_EQ(db_.get("queue"), Value::array({}));
}

TEST_F(WaitingForElements, IsEmptyOnTimeoutWhetherTheKeyIsAbsentOrEmpty) {
  for (const Timeout timeout : {Timeout(0s), Timeout(-5s), Timeout(5ms), Timeout(std::chrono::nanoseconds::min())}) {
    EXPECT_EQ(db_.shift_wait("absent", timeout), std::nullopt);
    EXPECT_EQ(db_.pop_wait("absent", timeout), std::nullopt);
    EXPECT_FALSE(db_.exists("absent"));
    db_.set("empty", Value::array({}));
    EXPECT_EQ(db_.shift_wait("empty", timeout), std::nullopt);
    EXPECT_EQ(db_.pop_wait("empty", timeout), std::nullopt);
    EXPECT_TRUE(db_.exists("empty"));
  }
}

TEST_F(WaitingForElements, ATimedOutWaiterTakesNothingLater) {
  EXPECT_EQ(db_.shift_wait("queue", 1ms), std::nullopt);
  EXPECT_EQ(db_.push("queue", 1), 1u);
  EXPECT_EQ(db_.get("queue"), integers(1, 1));
}

TEST_F(WaitingForElements, AnElementIsHandedOverAndTheKeyStaysAsAnEmptyArray) {
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  EXPECT_EQ(db_.push("queue", "element"), 1u) << "the length with the element";
  EXPECT_TRUE(db_.exists("queue"));
  EXPECT_EQ(db_.get("queue"), Value::array({}));
  EXPECT_EQ(db_.size(), 1u);
  EXPECT_EQ(waiter.value(), Value("element"));
}

TEST_F(WaitingForElements, UnshiftHandsOverToo) {
  auto waiter = start([&] { return db_.pop_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  EXPECT_EQ(db_.unshift("queue", 1), 1u);
  EXPECT_EQ(db_.get("queue"), Value::array({}));
  EXPECT_EQ(waiter.value(), Value(1));
}

TEST_F(WaitingForElements, ANullElementIsAnElement) {
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.push("queue", nullptr);
  EXPECT_EQ(waiter.value(), Value(nullptr));
}

TEST_F(WaitingForElements, WaitersAreServedInOrderOfArrival) {
  constexpr int kWaiters = 30;
  std::vector<Call<std::optional<Value>>> waiters;
  for (int index = 0; index < kWaiters; ++index) {
    waiters.push_back(
        start([this, index] { return index % 2 ? db_.shift_wait("queue", kLong) : db_.pop_wait("queue", kLong); }));
    ASSERT_TRUE(waiting(db_, waiters.size()));
  }
  for (int index = 0; index < kWaiters; ++index) EXPECT_EQ(db_.push("queue", index), 1u);
  for (int index = 0; index < kWaiters; ++index) EXPECT_EQ(waiters[static_cast<std::size_t>(index)].value(), Value(index));
}

TEST_F(WaitingForElements, OneElementWakesOneWaiter) {
  std::vector<Call<std::optional<Value>>> waiters;
  for (int index = 0; index < 5; ++index) waiters.push_back(start([&] { return db_.shift_wait("queue", kLong); }));
  ASSERT_TRUE(waiting(db_, 5));
  for (std::size_t left = 5; left-- > 0;) {
    db_.push("queue", 1);
    ASSERT_TRUE(waiting(db_, left));
  }
  db_.push("queue", 2);
  EXPECT_EQ(db_.get("queue"), integers(2, 2));
  for (auto& waiter : waiters) EXPECT_EQ(waiter.value(), Value(1));
}

TEST_F(WaitingForElements, ByWhateverOperationTheElementsCome) {
  struct Supply {
    const char* name;
    void (*give)(Datastore& store, const Value& array);
  };
  const Supply supplies[] = {
      {"set", [](Datastore& store, const Value& array) { store.set("queue", array); }},
      {"set with a time to live", [](Datastore& store, const Value& array) { store.set("queue", array, 1h); }},
      {"set_once", [](Datastore& store, const Value& array) { EXPECT_TRUE(store.set_once("queue", array)); }},
      {"swap", [](Datastore& store, const Value& array) { EXPECT_EQ(store.swap("queue", array), std::nullopt); }},
      {"modify",
       [](Datastore& store, const Value& array) {
         EXPECT_EQ(store.modify("queue", [&](std::optional<Value>) { return array; }), array);
       }},
      {"rename",
       [](Datastore& store, const Value& array) {
         store.set("from", array);
         store.rename("from", "queue");
       }},
      {"transact with set",
       [](Datastore& store, const Value& array) {
         store.transact({"queue"}, [&](Transaction& transaction) { transaction.set("queue", array); });
       }},
      {"transact with push",
       [](Datastore& store, const Value& array) {
         store.transact({"queue", "unused"}, [&](Transaction& transaction) {
           std::size_t length = 0;
           for (const Value& element : array.elements()) EXPECT_EQ(transaction.push("queue", element), ++length);
         });
       }},
  };
  for (const Supply& supply : supplies) {
    SCOPED_TRACE(supply.name);
    auto first = start([&] { return db_.shift_wait("queue", kLong); });
    ASSERT_TRUE(waiting(db_, 1));
    auto second = start([&] { return db_.pop_wait("queue", kLong); });
    ASSERT_TRUE(waiting(db_, 2));
    supply.give(db_, integers(1, 3));
    EXPECT_EQ(first.value(), Value(1));
    EXPECT_EQ(second.value(), Value(3));
    EXPECT_EQ(db_.get("queue"), integers(2, 2));
    EXPECT_EQ(db_.keys(), std::vector<std::string>{"queue"});
    db_.clear();
  }
}

TEST_F(WaitingForElements, MoreWaitersThanElementsLeaveTheRestWaiting) {
  std::vector<Call<std::optional<Value>>> waiters;
  for (std::size_t index = 0; index < 4; ++index) {
    waiters.push_back(start([&] { return db_.shift_wait("queue", kLong); }));
    ASSERT_TRUE(waiting(db_, index + 1));
  }
  db_.set("queue", integers(1, 2));
  ASSERT_TRUE(waiting(db_, 2));
  EXPECT_EQ(db_.get("queue"), Value::array({}));
  db_.set("queue", integers(3, 5));
  for (int index = 0; index < 4; ++index) EXPECT_EQ(waiters[static_cast<std::size_t>(index)].value(), Value(index + 1));
  EXPECT_EQ(db_.get("queue"), integers(5, 5));
}

TEST_F(WaitingForElements, OtherWaitersSeeTheInstantBetweenPushAndHandOff) {
  auto any = start([&] { return db_.wait("queue", kLong); });
  auto exact = start([&] { return db_.wait("queue", Value::array({"x"}), kLong); });
  auto empty = start([&] { return db_.wait("queue", Value::array({}), kLong); });
  auto taker = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 4));
  EXPECT_EQ(db_.push("queue", "x"), 1u);
  EXPECT_EQ(taker.value(), Value("x"));
  EXPECT_EQ(any.value(), Value::array({"x"}));
  EXPECT_EQ(exact.value(), Value::array({"x"}));
  EXPECT_EQ(empty.value(), Value::array({}));
}

TEST_F(WaitingForElements, ANonArrayAtTheCallIsTypeMismatch) {
  for (const Value& other : {Value(nullptr), Value(1), Value("text"), Value::object({})}) {
    db_.set("key", other);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"shift_wait", name_, "key"}, [&] { return db_.shift_wait("key", kLong); }))
        << other;
    EXPECT_TRUE(throws(Errc::type_mismatch, {"pop_wait", name_, "key"}, [&] { return db_.pop_wait("key", 0s); })) << other;
    EXPECT_EQ(db_.get("key"), other);
  }
}

TEST_F(WaitingForElements, AKeyThatComesToHoldANonArrayEndsEveryWaiterWithTypeMismatch) {
  struct Spoiler {
    const char* name;
    void (*spoil)(Datastore& store);
  };
  const Spoiler spoilers[] = {
      {"set", [](Datastore& store) { store.set("queue", "text"); }},
      {"set to null", [](Datastore& store) { store.set("queue", nullptr); }},
      {"set with a time to live", [](Datastore& store) { store.set("queue", 1, 1h); }},
      {"set_once", [](Datastore& store) { store.set_once("queue", 1); }},
      {"swap", [](Datastore& store) { store.swap("queue", 1); }},
      {"increment", [](Datastore& store) { store.increment("queue"); }},
      {"update", [](Datastore& store) { store.update("queue", Value::object({})); }},
      {"modify", [](Datastore& store) { store.modify("queue", [](std::optional<Value>) { return Value(1); }); }},
      {"rename",
       [](Datastore& store) {
         store.set("from", 1);
         store.rename("from", "queue");
       }},
      {"transact",
       [](Datastore& store) { store.transact({"queue"}, [](Transaction& transaction) { transaction.increment("queue"); }); }},
  };
  for (const Spoiler& spoiler : spoilers) {
    SCOPED_TRACE(spoiler.name);
    auto shifting = start([&] { return db_.shift_wait("queue", kLong); });
    auto popping = start([&] { return db_.pop_wait("queue", kLong); });
    ASSERT_TRUE(waiting(db_, 2));
    spoiler.spoil(db_);
    EXPECT_TRUE(shifting.threw(Errc::type_mismatch, {"shift_wait", name_, "queue"}));
    EXPECT_TRUE(popping.threw(Errc::type_mismatch, {"pop_wait", name_, "queue"}));
    EXPECT_TRUE(db_.exists("queue"));
    db_.clear();
  }
}

TEST_F(WaitingForElements, ATransactionIsOneInstantSoWhatItUndoesIsNotSeen) {
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.transact({"queue"}, [](Transaction& transaction) {
    transaction.set("queue", "no array");
    transaction.set("queue", integers(1, 1));
    transaction.shift("queue");
    transaction.push("queue", 2);
  });
  EXPECT_EQ(waiter.value(), Value(2));
}

TEST_F(WaitingForElements, ATransactionThatThrowsDeliversNothing) {
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  EXPECT_THROW(db_.transact({"queue"},
                            [](Transaction& transaction) {
                              transaction.push("queue", 1);
                              throw std::runtime_error("function");
                            }),
               std::runtime_error);
  EXPECT_FALSE(db_.exists("queue"));
  EXPECT_EQ(db_.stats().waiters, 1u);
  db_.push("queue", 2);
  EXPECT_EQ(waiter.value(), Value(2));
}

TEST_F(WaitingForElements, AQueueWithManyOfEachDeliversEveryElementOnce) {
  constexpr int kProducers = 3;
  constexpr int kConsumers = 3;
  constexpr int kEach = 2000;
  std::vector<std::vector<std::int64_t>> taken(kConsumers);
  std::atomic<int> left{kProducers * kEach};
  run_threads(kProducers + kConsumers, [&](int thread) {
    if (thread < kProducers) {
      for (int number = 0; number < kEach; ++number) db_.push("queue", thread * kEach + number);
      return;
    }
    auto& mine = taken[static_cast<std::size_t>(thread - kProducers)];
    while (left.fetch_sub(1) > 0) {
      const std::optional<Value> element = db_.shift_wait("queue", kLong);
      if (!element) {
        ADD_FAILURE() << "an element was lost";
        return;
      }
      mine.push_back(element->as_int());
    }
  });
  std::vector<std::int64_t> all;
  for (const auto& part : taken) all.insert(all.end(), part.begin(), part.end());
  all = sorted(all);
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kProducers * kEach));
  for (std::size_t index = 0; index < all.size(); ++index) ASSERT_EQ(all[index], static_cast<std::int64_t>(index));
  EXPECT_EQ(db_.get("queue"), Value::array({}));
}

using Races = PersistenceTest;

TEST_F(Races, ACancellationThatMeetsAnElementEitherReturnsOrLeavesIt) {
  for (int round = 0; round < 300; ++round) {
    std::stop_source source;
    auto waiter = start([&] { return db_.shift_wait("queue", kLong, source.get_token()); });
    if (round % 2 == 0) {
      ASSERT_TRUE(waiting(db_, 1));
    }
    run_threads(2, [&](int thread) {
      if (thread == 0) {
        db_.push("queue", round);
      } else {
        source.request_stop();
      }
    });
    if (waiter.returned()) {
      ASSERT_EQ(waiter.value(), Value(round));
    } else {
      ASSERT_TRUE(waiter.threw(Errc::cancelled));
      ASSERT_EQ(db_.shift("queue"), Value(round));
    }
    ASSERT_EQ(db_.get("queue"), Value::array({}));
    ASSERT_EQ(db_.stats().waiters, 0u);
  }
}

TEST_F(Races, ATimeoutThatMeetsAnElementEitherReturnsOrLeavesIt) {
  for (int round = 0; round < 300; ++round) {
    auto waiter = start([&] { return db_.pop_wait("queue", 10us * (round % 100)); });
    db_.push("queue", round);
    const std::optional<Value> element = waiter.value();
    ASSERT_EQ(element ? element : db_.pop("queue"), Value(round));
    ASSERT_EQ(db_.get("queue"), Value::array({}));
  }
}

TEST_F(Races, ACloseThatMeetsAnElementEitherReturnsItOrSavesIt) {
  for (int round = 0; round < 100; ++round) {
    Datastore store = open_file();
    auto waiter = start([&, store]() mutable { return store.shift_wait("queue", kLong); });
    if (round % 4 == 1) {  // for the rest the store may be closed before the waiter comes
      ASSERT_TRUE(waiting(store, 1));
    }
    bool pushed = false;
    run_threads(2, [&](int thread) {
      if (thread == 1) return close(file_store_name_);
      try {
        store.push("queue", round);
        pushed = true;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::closed);
      }
    });
    const Value saved = read_json(file())["queue"];
    if (waiter.returned()) {
      ASSERT_EQ(waiter.value(), Value(round));
      ASSERT_TRUE(pushed);
      ASSERT_EQ(saved, Value::array({}));
    } else {
      ASSERT_TRUE(waiter.threw(Errc::closed, {"shift_wait", file_store_name_, "queue"}));
      ASSERT_EQ(saved, pushed ? integers(round, round) : Value());
    }
    std::filesystem::remove(file());
  }
}

}  // namespace
}  // namespace cubby::contract
