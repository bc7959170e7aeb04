// SPDX-License-Identifier: Apache-2.0

// Sections 4 and 5: keys, for_each, select, count.

#include <map>
#include <set>

#include "support.hpp"

namespace cubby::contract {
namespace {

using Scan = ContractTest;

std::string numbered(const char* prefix, int number) { return prefix + std::to_string(number); }

TEST_F(Scan, OfAnEmptyStoreSeesNothing) {
  EXPECT_TRUE(db_.keys().empty());
  db_.for_each([](std::string_view, const Value&) { FAIL(); });
  EXPECT_EQ(db_.count([](std::string_view, const Value&) { return true; }), 0u);
  EXPECT_TRUE(db_.select([](std::string_view, const Value& value) { return std::optional(value); }).empty());
}

TEST_F(Scan, KeysListsAllLiveKeys) {
  std::vector<std::string> expected;
  for (int key = 0; key < 3000; ++key) {
    db_.set(std::to_string(key), key);
    if (key % 3 == 0) {
      db_.erase(std::to_string(key));
    } else {
      expected.push_back(std::to_string(key));
    }
  }
  EXPECT_EQ(sorted(db_.keys()), sorted(expected));
}

TEST_F(Scan, KeysWithAPrefixListsThoseThatBeginWithIt) {
  for (const char* key : {"user:1", "user:2", "user:", "users", "use", "", "other"}) db_.set(key, 1);
  EXPECT_EQ(sorted(db_.keys("user:")), (std::vector<std::string>{"user:", "user:1", "user:2"}));
  EXPECT_EQ(db_.keys("").size(), 7u);
  EXPECT_TRUE(db_.keys("user:1 and more").empty());
  EXPECT_TRUE(db_.keys("none").empty());
}

TEST_F(Scan, ForEachGivesEveryKeyWithItsValueOnce) {
  std::map<std::string, Value, std::less<>> expected;
  for (int key = 0; key < 1000; ++key) {
    db_.set(std::to_string(key), key);
    expected.emplace(std::to_string(key), key);
  }
  db_.push("queue", 1);
  db_.push("queue", 2);
  expected.emplace("queue", integers(1, 2));
  std::map<std::string, Value, std::less<>> seen;
  db_.for_each([&](std::string_view key, const Value& value) { EXPECT_TRUE(seen.emplace(key, value).second) << key; });
  EXPECT_EQ(seen, expected);
}

TEST_F(Scan, ForEachWithAPrefix) {
  for (const char* key : {"a1", "a2", "b1"}) db_.set(key, 1);
  std::vector<std::string> seen;
  db_.for_each("a", [&](std::string_view key, const Value&) { seen.emplace_back(key); });
  EXPECT_EQ(sorted(seen), (std::vector<std::string>{"a1", "a2"}));
}

TEST_F(Scan, ForEachStopsWhereTheFunctionReturnsFalse) {
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), key);
  int calls = 0;
  db_.for_each([&](std::string_view, const Value&) { return ++calls < 10; });
  EXPECT_EQ(calls, 10);
}

TEST_F(Scan, SelectCollectsWhatTheFunctionReturnsUpToAMaximum) {
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), key);
  const auto small = [](std::string_view key, const Value& value) -> std::optional<Value> {
    if (value.as_int() >= 20) return std::nullopt;
    return Value::array({key, value});
  };
  const std::vector<Value> found = db_.select(small);
  EXPECT_EQ(found.size(), 20u);
  for (const Value& pair : found) EXPECT_EQ(std::to_string(pair[1].as_int()), pair[0].as_string());
  EXPECT_EQ(db_.select(small, 5).size(), 5u);
  EXPECT_EQ(db_.select(small, 20).size(), 20u);
  EXPECT_EQ(db_.select(small, 1000).size(), 20u);
  EXPECT_TRUE(db_.select(small, 0).empty());
}

TEST_F(Scan, CountCountsWhereTheFunctionIsTrue) {
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), key);
  EXPECT_EQ(db_.count([](std::string_view, const Value& value) { return value.as_int() % 10 == 0; }), 10u);
  EXPECT_EQ(db_.count([](std::string_view key, const Value&) { return key.size() == 1; }), 10u);
}

TEST_F(Scan, CallbacksMayCallTheStore) {
  for (int key = 0; key < 100; ++key) db_.set(numbered("key ", key), key);
  db_.for_each("key ", [&](std::string_view key, const Value& value) {
    EXPECT_EQ(db_.get(key), value);
    db_.set("copy of " + std::string(key), value);
    db_.increment("sum", value);
    EXPECT_TRUE(db_.erase(key));
    EXPECT_FALSE(db_.keys("copy").empty());
  });
  EXPECT_EQ(db_.keys("key ").size(), 0u);
  EXPECT_EQ(db_.keys("copy").size(), 100u);
  EXPECT_EQ(db_.get("sum"), Value(4950));
  EXPECT_EQ(db_.count([&](std::string_view key, const Value&) { return db_.exists(key); }), 101u);
  EXPECT_EQ(db_.select([&](std::string_view key, const Value&) { return db_.take(key); }).size(), 101u);
  EXPECT_EQ(db_.size(), 0u);
}

TEST_F(Scan, TheStoreMayBeClearedMeanwhile) {
  for (int key = 0; key < 1000; ++key) db_.set(std::to_string(key), key);
  int calls = 0;
  db_.for_each([&](std::string_view key, const Value& value) {
    db_.clear();
    ++calls;
    EXPECT_EQ(Value(std::stoi(std::string(key))), value) << "what is passed stays whole";
  });
  EXPECT_GE(calls, 1);
  EXPECT_LE(calls, 1000);
  EXPECT_EQ(db_.size(), 0u);
}

TEST_F(Scan, ACallbacksExceptionReachesTheCaller) {
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), key);
  int calls = 0;
  EXPECT_THROW(db_.for_each([&](std::string_view, const Value&) {
    if (++calls == 7) throw std::runtime_error("callback");
  }),
               std::runtime_error);
  EXPECT_EQ(calls, 7);
  EXPECT_THROW(db_.count([](std::string_view, const Value&) -> bool { throw std::runtime_error("callback"); }),
               std::runtime_error);
  EXPECT_THROW(db_.select([](std::string_view, const Value&) -> std::optional<Value> { throw std::runtime_error("callback"); }),
               std::runtime_error);
  EXPECT_EQ(db_.size(), 100u);
  EXPECT_EQ(db_.keys().size(), 100u);
}

TEST_F(Scan, DoesNotChaseKeysThatAreAddedDuringIt) {
  for (int key = 0; key < 100; ++key) db_.set(numbered("key ", key), key);
  constexpr int kFarTooMany = 1'000'000;
  int calls = 0;
  db_.for_each([&](std::string_view, const Value&) {
    for (int added = 0; added < 4; ++added) db_.set(numbered("added ", calls * 4 + added), 1);
    return ++calls < kFarTooMany;
  });
  EXPECT_LT(calls, kFarTooMany);
  EXPECT_GE(calls, 100);
}

TEST_F(Scan, SeesEveryKeyThatIsThereThroughoutExactlyOnceThoughTheTableGrows) {
  constexpr int kStaying = 1000;
  constexpr int kPassing = 20'000;
  for (int key = 0; key < kStaying; ++key) db_.set(numbered("staying ", key), key);
  std::atomic<bool> writing{true};
  auto writer = start([&] {
    for (int round = 0; round < 3; ++round) {  // grows, and shrinks again
      for (int key = 0; key < kPassing; ++key) db_.set(numbered("passing ", key), key);
      for (int key = 0; key < kPassing; ++key) db_.erase(numbered("passing ", key));
      for (int key = 0; key < kStaying; ++key) db_.increment(numbered("staying ", key), 0);
    }
    writing.store(false);
  });
  do {
    std::set<std::string, std::less<>> seen;
    int staying = 0;
    db_.for_each([&](std::string_view key, const Value& value) {
      EXPECT_TRUE(seen.emplace(key).second) << key << " was seen twice";
      if (!key.starts_with("staying ")) return;
      ++staying;
      EXPECT_EQ(numbered("staying ", static_cast<int>(value.as_int())), key);
    });
    ASSERT_EQ(staying, kStaying);
    const std::vector<std::string> keys = db_.keys("staying ");
    ASSERT_EQ(keys.size(), static_cast<std::size_t>(kStaying));
    ASSERT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size());
    ASSERT_EQ(db_.count([](std::string_view key, const Value&) { return key.starts_with("staying "); }),
              static_cast<std::size_t>(kStaying));
  } while (writing.load());
  EXPECT_TRUE(writer.returned());
  EXPECT_EQ(db_.size(), static_cast<std::size_t>(kStaying));
}

}  // namespace
}  // namespace cubby::contract
