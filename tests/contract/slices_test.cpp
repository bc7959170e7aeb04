// SPDX-License-Identifier: Apache-2.0

// type, length and slice: what a key holds, without taking it out.

#include <deque>
#include <random>

#include "support.hpp"

namespace cubby::contract {
namespace {

using Slices = ContractTest;

const std::vector<std::pair<Value, Type>> kOfEachType{
    {nullptr, Type::null},
    {true, Type::boolean},
    {7, Type::integer},
    {7.5, Type::real},
    {"short", Type::string},
    {std::string(5000, 'l'), Type::string},
    {Value::binary(std::as_bytes(std::span("bytes", 5))), Type::binary},
    {Value::array({1, "two"}), Type::array},
    {Value::object({{"a", 1}, {"b", 2}, {"c", 3}}), Type::object},
};

std::string text_of(const std::optional<std::size_t>& number) { return number ? std::to_string(*number) : "-"; }

TEST_F(Slices, TypeTellsWhatTheKeyHolds) {
  for (const auto& [value, type] : kOfEachType) {
    db_.set("key", value);
    EXPECT_EQ(db_.type("key"), type) << value;
  }
  db_.set("queue", Value::array({}));
  db_.push("queue", 1);
  EXPECT_EQ(db_.type("queue"), Type::array);
  EXPECT_EQ(db_.type("absent"), std::nullopt);
}

TEST_F(Slices, LengthCountsElementsMembersAndBytes) {
  db_.set("array", Value::array({1, "two"}));
  EXPECT_EQ(db_.length("array"), 2u);
  db_.push("array", Value::array({1, 2, 3}));
  EXPECT_EQ(db_.length("array"), 3u);
  db_.shift("array");
  EXPECT_EQ(db_.length("array"), 2u);
  db_.set("object", Value::object({{"a", 1}, {"b", 2}, {"c", 3}}));
  EXPECT_EQ(db_.length("object"), 3u);
  db_.set("string", "short");
  EXPECT_EQ(db_.length("string"), 5u);
  db_.set("string", std::string(5000, 'l'));
  EXPECT_EQ(db_.length("string"), 5000u);
  db_.set("binary", Value::binary(std::as_bytes(std::span("bytes", 5))));
  EXPECT_EQ(db_.length("binary"), 5u);
  for (const Value& empty : {Value::array({}), Value::object({}), Value(""), Value::binary({})}) {
    db_.set("empty", empty);
    EXPECT_EQ(db_.length("empty"), 0u) << empty;
  }
  EXPECT_EQ(db_.length("absent"), std::nullopt);
}

TEST_F(Slices, LengthOfWhatHasNoneIsTypeMismatch) {
  for (const Value& value : {Value(nullptr), Value(true), Value(7), Value(7.5)}) {
    db_.set("key", value);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"length", name_, "key"}, [&] { return db_.length("key"); })) << value;
  }
}

TEST_F(Slices, SliceCopiesWhatTheArrayHasOfIt) {
  db_.set("stored", integers(1, 10));
  for (int number = 1; number <= 10; ++number) db_.push("queue", number);
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  for (const char* key : {"stored", "queue"}) {
    EXPECT_EQ(db_.slice(key, 0, 3), integers(1, 3)) << key;
    EXPECT_EQ(db_.slice(key, 4, 2), integers(5, 6)) << key;
    EXPECT_EQ(db_.slice(key, 8, 100), integers(9, 10)) << key;
    EXPECT_EQ(db_.slice(key, 9, kAll), integers(10, 10)) << key;
    EXPECT_EQ(db_.slice(key, 0, kAll), integers(1, 10)) << key;
    EXPECT_EQ(db_.slice(key, 3, 0), Value::array({})) << key;
    EXPECT_EQ(db_.slice(key, 10, 1), Value::array({})) << key;
    EXPECT_EQ(db_.slice(key, kAll, kAll), Value::array({})) << key;
    EXPECT_EQ(db_.get(key), integers(1, 10)) << key;
  }
}

TEST_F(Slices, AnAbsentKeyCountsAsAnEmptyArray) { EXPECT_EQ(db_.slice("absent", 0, 5), Value::array({})); }

TEST_F(Slices, SliceOfWhatIsNoArrayIsTypeMismatch) {
  for (const auto& [value, type] : kOfEachType) {
    if (type == Type::array) continue;
    db_.set("key", value);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"slice", name_, "key"}, [&] { return db_.slice("key", 0, 1); })) << value;
  }
}

TEST_F(Slices, ASliceStaysWhatItWas) {
  db_.set("key", Value::array({"an element that needs a block of its own", "another element that needs one, too", 3}));
  const Value slice = db_.slice("key", 0, 2);
  db_.push("key", 4);
  const Value of_queue = db_.slice("key", 1, 2);
  while (db_.shift("key")) {
  }
  db_.clear();
  EXPECT_EQ(slice, Value::array({"an element that needs a block of its own", "another element that needs one, too"}));
  EXPECT_EQ(of_queue, Value::array({"another element that needs one, too", 3}));
}

TEST_F(Slices, AnExpiredKeyIsAbsent) {
  db_.set("key", integers(1, 3), 1ms);
  outlive(1ms);
  EXPECT_EQ(db_.type("key"), std::nullopt);
  EXPECT_EQ(db_.length("key"), std::nullopt);
  EXPECT_EQ(db_.slice("key", 0, 3), Value::array({}));
}

TEST_F(Slices, CountAsReadsInTheFigures) {
  db_.set("key", integers(1, 3));
  const Stats before = db_.stats();
  db_.type("key");
  db_.length("key");
  db_.slice("key", 0, 1);
  db_.type("absent");
  EXPECT_EQ(db_.stats().reads, before.reads + 4);
  EXPECT_EQ(db_.stats().hits, before.hits + 3);
  const Datastore sys = open("sys");
  EXPECT_GE(sys.get("operations.slice")->as_int(), 1);
}

/// All slices of what should be `expected`, from a store or a transaction.
template <class On>
void expect_slices(const On& on, const std::deque<int>& expected) {
  const std::vector<Value> elements(expected.begin(), expected.end());
  ASSERT_EQ(on.length("key"), elements.size());
  for (std::size_t first = 0; first <= elements.size(); ++first) {
    for (std::size_t count = 0; count <= elements.size() + 1; ++count) {
      const std::size_t end = std::min(elements.size(), first + count);
      const std::span<const Value> wanted(elements.data() + first, end - first);
      ASSERT_EQ(on.slice("key", first, count), Value::array(wanted)) << first << '+' << count << " of " << elements.size();
    }
  }
}

template <class On>
void change_at_random(On& on, std::deque<int>& expected, std::mt19937& random) {
  const int number = static_cast<int>(random() % 1000);
  switch (random() % 5) {
    case 0:
    case 1:
      on.push("key", number);
      expected.push_back(number);
      break;
    case 2:
      on.unshift("key", number);
      expected.push_front(number);
      break;
    case 3:
      on.shift("key");
      if (!expected.empty()) expected.pop_front();
      break;
    default:
      on.pop("key");
      if (!expected.empty()) expected.pop_back();
  }
}

TEST_F(Slices, AreRightWhateverTheQueueHasBeenThrough) {
  std::mt19937 random(1);
  for (int round = 0; round < 30; ++round) {
    std::deque<int> expected;
    if (round % 2 != 0) {
      db_.set("key", integers(1, 20));
      for (int number = 1; number <= 20; ++number) expected.push_back(number);
    } else {
      db_.set("key", Value::array({}));
    }
    for (int change = 0; change < 60; ++change) {
      change_at_random(db_, expected, random);
      if (change % 4 == 0) {
        ASSERT_NO_FATAL_FAILURE(expect_slices(db_, expected));
      }
    }
  }
}

TEST_F(Slices, WalkOverManyChunks) {
  for (int number = 1001; number <= 2000; ++number) db_.push("key", number);
  for (int number = 1000; number >= 1; --number) db_.unshift("key", number);
  for (const std::size_t first : {std::size_t{0}, std::size_t{63}, std::size_t{950}, std::size_t{1000}, std::size_t{1900}}) {
    const int from = static_cast<int>(first) + 1;
    EXPECT_EQ(db_.slice("key", first, 100), integers(from, from + 99));
  }
}

TEST_F(Slices, ATransactionSeesItsOwnChanges) {
  std::mt19937 random(2);
  for (int round = 0; round < 20; ++round) {
    db_.erase("key");
    std::deque<int> expected;
    for (int number = 1; number <= round; ++number) expected.push_back(number);
    if (round % 2 != 0) {
      db_.set("key", integers(1, round));
    } else {
      for (const int number : expected) db_.push("key", number);
      if (round == 0) db_.set("key", Value::array({}));
    }
    db_.transact({"key"}, [&](Transaction& transaction) {
      for (int change = 0; change < 30; ++change) {
        ASSERT_NO_FATAL_FAILURE(expect_slices(transaction, expected));
        change_at_random(transaction, expected, random);
      }
    });
    ASSERT_NO_FATAL_FAILURE(expect_slices(db_, expected));
  }
}

TEST_F(Slices, InATransactionTypesAndLengthsAreThoseOfNow) {
  db_.set("key", "before");
  db_.set("moved", Value::object({{"a", 1}}));
  db_.transact({"key", "moved", "to"}, [&](Transaction& transaction) {
    EXPECT_EQ(transaction.type("key"), Type::string);
    EXPECT_EQ(transaction.length("key"), 6u);
    transaction.set("key", Value::array({1, 2}));
    EXPECT_EQ(transaction.type("key"), Type::array);
    EXPECT_EQ(transaction.length("key"), 2u);
    EXPECT_EQ(transaction.slice("key", 1, 5), Value::array({2}));
    transaction.push("key", 3);
    EXPECT_EQ(transaction.type("key"), Type::array);
    EXPECT_EQ(text_of(transaction.length("key")), "3");
    transaction.set("key", 5);
    EXPECT_EQ(transaction.type("key"), Type::integer);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"length", name_, "key"}, [&] { return transaction.length("key"); }));
    EXPECT_TRUE(throws(Errc::type_mismatch, {"slice", name_, "key"}, [&] { return transaction.slice("key", 0, 1); }));
    transaction.erase("key");
    EXPECT_EQ(transaction.type("key"), std::nullopt);
    EXPECT_EQ(transaction.length("key"), std::nullopt);
    EXPECT_EQ(transaction.slice("key", 0, 1), Value::array({}));
    transaction.rename("moved", "to");
    EXPECT_EQ(transaction.type("to"), Type::object);
    EXPECT_EQ(transaction.length("to"), 1u);
    EXPECT_EQ(transaction.type("moved"), std::nullopt);
    for (const auto& call : {+[](Transaction& on) { on.type("other"); }, +[](Transaction& on) { on.length("other"); },
                             +[](Transaction& on) { on.slice("other", 0, 1); }}) {
      EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { call(transaction); }));
    }
  });
}

TEST_F(Slices, VisitScalarVisitsNeitherArraysNorObjects) {
  for (int number = 0; number < 100; ++number) db_.push("queue", number);
  const auto expect_all = [](const auto& on) {
    EXPECT_EQ(on.visit_scalar("absent", [](const Value&) { FAIL(); }), std::nullopt);
    EXPECT_EQ(on.visit_scalar("queue", [](const Value&) { FAIL(); }), Type::array);
    for (const auto& [value, type] : kOfEachType) {
      const std::string key = value.to_json();
      std::optional<Value> seen;
      EXPECT_EQ(on.visit_scalar(key, [&](const Value& it) { seen = it; }), type);
      const bool expected = type != Type::array && type != Type::object;
      EXPECT_EQ(seen.has_value(), expected) << key;
      EXPECT_EQ(seen.value_or(value), value);
    }
  };
  std::vector<std::string> keys{"absent", "queue"};
  for (const auto& [value, type] : kOfEachType) {
    keys.push_back(value.to_json());
    db_.set(keys.back(), value);
  }
  expect_all(db_);
  db_.transact(keys, [&](Transaction& transaction) { expect_all(transaction); });
}

TEST_F(Slices, OfARenamedArrayInATransaction) {
  for (int number = 1; number <= 200; ++number) db_.push("from", number);
  db_.transact({"from", "to"}, [&](Transaction& transaction) {
    transaction.rename("from", "to");
    EXPECT_EQ(transaction.slice("to", 100, 3), integers(101, 103));
    transaction.push("to", 201);
    EXPECT_EQ(transaction.slice("to", 198, 10), integers(199, 201));
  });
  EXPECT_EQ(db_.slice("to", 0, 2), integers(1, 2));
}

}  // namespace
}  // namespace cubby::contract
