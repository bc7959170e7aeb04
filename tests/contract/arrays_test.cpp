// SPDX-License-Identifier: Apache-2.0

// Section 4: push, unshift, shift, pop. Their waiting forms are in waiting_test.cpp.

#include <deque>
#include <random>

#include "support.hpp"

namespace cubby::contract {
namespace {

using Arrays = ContractTest;

TEST_F(Arrays, PushAndUnshiftReturnTheNewLengthAndMakeTheArrayIfAbsent) {
  EXPECT_EQ(db_.push("key", 2), 1u);
  EXPECT_EQ(db_.push("key", 3), 2u);
  EXPECT_EQ(db_.unshift("key", 1), 3u);
  EXPECT_EQ(db_.get("key"), integers(1, 3));
  EXPECT_EQ(db_.unshift("other", "first"), 1u);
  EXPECT_EQ(db_.get("other"), Value::array({"first"}));
}

TEST_F(Arrays, ShiftTakesTheFirstAndPopTheLast) {
  db_.set("key", integers(1, 4));
  EXPECT_EQ(db_.shift("key"), Value(1));
  EXPECT_EQ(db_.pop("key"), Value(4));
  EXPECT_EQ(db_.get("key"), integers(2, 3));
  EXPECT_EQ(db_.pop("key"), Value(3));
  EXPECT_EQ(db_.shift("key"), Value(2));
}

TEST_F(Arrays, AnEmptyArrayStaysAndGivesNothing) {
  db_.push("key", 1);
  EXPECT_EQ(db_.shift("key"), Value(1));
  EXPECT_EQ(db_.shift("key"), std::nullopt);
  EXPECT_EQ(db_.pop("key"), std::nullopt);
  EXPECT_TRUE(db_.exists("key"));
  EXPECT_EQ(db_.get("key"), Value::array({}));
  EXPECT_EQ(db_.push("key", 2), 1u);
}

TEST_F(Arrays, AStoredNullElementIsNotAbsence) {
  db_.push("key", nullptr);
  const std::optional<Value> element = db_.shift("key");
  ASSERT_TRUE(element.has_value());
  EXPECT_TRUE(element->is_null());
}

TEST_F(Arrays, ShiftAndPopOfAnAbsentKeyAreKeyNotFound) {
  EXPECT_TRUE(throws(Errc::key_not_found, {"shift", name_, "some key"}, [&] { return db_.shift("some key"); }));
  EXPECT_TRUE(throws(Errc::key_not_found, {"pop", name_, "some key"}, [&] { return db_.pop("some key"); }));
  EXPECT_FALSE(db_.exists("some key"));
}

TEST_F(Arrays, AKeyThatHoldsSomethingElseIsTypeMismatchAndUnchanged) {
  const Value others[] = {nullptr, true, 1, 1.5, "text", Value::binary({}), Value::object({})};
  for (const Value& other : others) {
    db_.set("key", other, 1h);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"push", name_, "key"}, [&] { return db_.push("key", 1); })) << other;
    EXPECT_TRUE(throws(Errc::type_mismatch, {"unshift", name_, "key"}, [&] { return db_.unshift("key", 1); })) << other;
    EXPECT_TRUE(throws(Errc::type_mismatch, {"shift", name_, "key"}, [&] { return db_.shift("key"); })) << other;
    EXPECT_TRUE(throws(Errc::type_mismatch, {"pop", name_, "key"}, [&] { return db_.pop("key"); })) << other;
    EXPECT_EQ(db_.get("key"), other);
    EXPECT_TRUE(db_.ttl("key").has_value());
  }
}

TEST_F(Arrays, TheCapHoldsForTheItemAndNotForTheArray) {
  Options options;
  options.max_value_bytes = 1234;
  Datastore store = open_other(options);
  const Value large(std::string(5000, 'x'));
  const std::string_view name = store.name();
  EXPECT_TRUE(throws(Errc::value_too_large, {"push", name, "key", "1234"}, [&] { return store.push("key", large); }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"unshift", name, "key", "1234"}, [&] { return store.unshift("key", large); }));
  EXPECT_FALSE(store.exists("key"));
  for (std::size_t length = 1; length <= 20; ++length) EXPECT_EQ(store.push("key", std::string(1000, 'x')), length);
  EXPECT_EQ(store.get("key")->size(), 20u);
}

TEST_F(Arrays, PushAndUnshiftKeepTheDeadlineAndSoDoShiftAndPop) {
  db_.set("key", integers(1, 3), 1h);
  db_.push("key", 4);
  db_.unshift("key", 0);
  db_.shift("key");
  db_.pop("key");
  EXPECT_TRUE(db_.ttl("key").has_value());
}

TEST_F(Arrays, ElementsOfEveryKindComeBackInOrder) {
  const Value items[] = {nullptr, true, -5, 0.5, "short", std::string(1000, 'x'), integers(1, 100), Value::object({{"a", 1}})};
  for (const Value& item : items) db_.push("key", item);
  EXPECT_EQ(db_.get("key"), Value::array(items));
  for (const Value& item : items) EXPECT_EQ(db_.shift("key"), item);
}

TEST_F(Arrays, AnArrayThatWasSetCanBeUsedAsAQueueAndTheSetValueDoesNotChange) {
  const Value original = integers(1, 1000);
  db_.set("key", original);
  db_.set("copy", original);
  EXPECT_EQ(db_.push("key", 1001), 1001u);
  EXPECT_EQ(db_.shift("key"), Value(1));
  EXPECT_EQ(db_.get("key"), integers(2, 1001));
  EXPECT_EQ(db_.get("copy"), integers(1, 1000));
  EXPECT_EQ(original, integers(1, 1000));
}

TEST_F(Arrays, AReadArrayIsUntouchedByWhatComesAfter) {
  for (int number = 1; number <= 500; ++number) db_.push("key", number);
  const Value read = *db_.get("key");
  for (int number = 0; number < 250; ++number) {
    db_.pop("key");
    db_.push("key", "other");
    db_.shift("key");
    db_.unshift("key", "first");
  }
  EXPECT_EQ(read, integers(1, 500));
}

TEST_F(Arrays, BehaveAsADequeOverALongRandomHistory) {
  std::mt19937 random(20240229);
  std::deque<int> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto choice = random() % 100;
    const bool growing = (step / 2000) % 2 == 0;
    if (choice < (growing ? 40u : 15u)) {
      model.push_back(step);
      ASSERT_EQ(db_.push("key", step), model.size());
    } else if (choice < (growing ? 60u : 30u)) {
      model.push_front(step);
      ASSERT_EQ(db_.unshift("key", step), model.size());
    } else if (choice < 98 && db_.exists("key")) {
      const bool front = choice % 2 == 0;
      const std::optional<Value> taken = front ? db_.shift("key") : db_.pop("key");
      if (model.empty()) {
        ASSERT_EQ(taken, std::nullopt);
      } else {
        ASSERT_EQ(taken, Value(front ? model.front() : model.back()));
        if (front) {
          model.pop_front();
        } else {
          model.pop_back();
        }
      }
    } else if (db_.exists("key")) {
      ASSERT_EQ(db_.get("key"), Value::array(std::vector<int>(model.begin(), model.end())));
    }
  }
}

TEST_F(Arrays, NoElementIsLostOrDoubledBetweenManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  std::vector<std::vector<std::int64_t>> taken(kThreads);
  db_.set("key", Value::array({}));
  run_threads(kThreads, [&](int thread) {
    for (int number = 0; number < kEach; ++number) {
      db_.push("key", thread * kEach + number);
      if (const std::optional<Value> element = db_.shift("key"))
        taken[static_cast<std::size_t>(thread)].push_back(element->as_int());
    }
  });
  std::vector<std::int64_t> all;
  for (const auto& part : taken) {
    all.insert(all.end(), part.begin(), part.end());
    std::vector<std::int64_t> last(kThreads, -1);
    for (std::int64_t element : part) {  // what one producer pushed comes in its order
      auto& previous = last[static_cast<std::size_t>(element / kEach)];
      EXPECT_GT(element, previous);
      previous = element;
    }
  }
  while (const std::optional<Value> element = db_.shift("key")) all.push_back(element->as_int());
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kThreads * kEach));
  all = sorted(all);
  for (std::size_t index = 0; index < all.size(); ++index) ASSERT_EQ(all[index], static_cast<std::int64_t>(index));
}

}  // namespace
}  // namespace cubby::contract
