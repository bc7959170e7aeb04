// SPDX-License-Identifier: Apache-2.0

// scan, the walk by a cursor, and random_key.

#include <map>
#include <set>

#include "support.hpp"

namespace cubby::contract {
namespace {

using Cursor = ContractTest;

/// A whole walk in steps of `count`; `between` runs after each.
template <class F>
std::multiset<std::string> walk(const Datastore& store, std::size_t count, F between) {
  std::multiset<std::string> seen;
  std::uint64_t cursor = 0;
  do {
    cursor = store.scan(cursor, count, [&](std::string_view key) { seen.emplace(key); });
    EXPECT_LT(cursor, std::uint64_t{1} << 48);
    between();
  } while (cursor != 0);
  return seen;
}

TEST_F(Cursor, SeesEachKeyOnce) {
  EXPECT_EQ(db_.scan(0, 10, [](std::string_view) { FAIL(); }), 0u);
  for (int key = 0; key < 5000; ++key) db_.set(std::to_string(key), key);
  for (const std::size_t count : {0u, 1u, 10u, 1000u, 1'000'000u}) {
    const auto seen = walk(db_, count, [] {});
    EXPECT_EQ(seen.size(), 5000u);
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 5000u);
  }
  std::size_t shown = 0, steps = 0;
  for (std::uint64_t cursor = 0; steps == 0 || cursor != 0; ++steps) {
    std::size_t here = 0;
    cursor = db_.scan(cursor, 10, [&](std::string_view, Type) { ++here; });
    EXPECT_LE(here, 100u) << "some ten";
    shown += here;
  }
  EXPECT_EQ(shown, 5000u);
  EXPECT_GT(steps, 50u);
}

TEST_F(Cursor, WhatStaysIsSeenOnceWhileTheTableGrowsAndShrinks) {
  for (int key = 0; key < 500; ++key) db_.set("staying " + std::to_string(key), key);
  int step = 0;
  const auto seen = walk(db_, 5, [&] {
    // Up to 20,000 keys more, and away again.
    for (int index = 0; index < 400; ++index) {
      const std::string key =
          "passing " + std::to_string(step % 100 < 50 ? step % 50 * 400 + index : (step + 1) % 50 * 400 + index);
      step % 100 < 50 ? db_.set(key, 1) : static_cast<void>(db_.erase(key));
    }
    ++step;
  });
  for (int key = 0; key < 500; ++key) EXPECT_EQ(seen.count("staying " + std::to_string(key)), 1u) << key;
}

TEST_F(Cursor, ShowsValuesOrTypesOfWhatLives) {
  db_.set("text", "x");
  db_.push("queue", 1);
  db_.set("object", Value::object({{"a", 1}}));
  db_.set("gone", 1, 1ms);
  outlive(1ms);
  std::map<std::string, Value> values;
  std::map<std::string, Type> types;
  EXPECT_EQ(db_.scan(0, 100, [&](std::string_view key, const Value& value) { values.emplace(key, value); }), 0u);
  EXPECT_EQ(db_.scan(0, 100, [&](std::string_view key, Type type) { types.emplace(key, type); }), 0u);
  EXPECT_EQ(values,
            (std::map<std::string, Value>{{"text", "x"}, {"queue", Value::array({1})}, {"object", Value::object({{"a", 1}})}}));
  EXPECT_EQ(types, (std::map<std::string, Type>{{"text", Type::string}, {"queue", Type::array}, {"object", Type::object}}));
}

TEST_F(Cursor, TheFunctionMayCallTheStoreAndThrow) {
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), key);
  walk(db_, 3, [] {});
  for (std::uint64_t cursor = 0, first = 1; first != 0 || cursor != 0; first = 0) {
    cursor = db_.scan(cursor, 3, [&](std::string_view key) {
      db_.erase(key);
      EXPECT_TRUE(throws(Errc::invalid_argument, {"shift_wait"}, [&] { return db_.shift_wait("q", 1h); }));
    });
  }
  EXPECT_EQ(db_.size(), 0u);
  db_.set("key", 1);
  EXPECT_THROW(db_.scan(0, 1000, [](std::string_view) { throw std::runtime_error("function"); }), std::runtime_error);
  EXPECT_EQ(db_.scan(~std::uint64_t{0}, 10, [](std::string_view) {}), 0u) << "any number is a cursor";
}

TEST_F(Cursor, RandomKeyReachesEveryLiveKey) {
  EXPECT_EQ(db_.random_key(), std::nullopt);
  db_.set("only", 1);
  EXPECT_EQ(db_.random_key(), "only");
  db_.set("gone", 1, 1ms);
  outlive(1ms);
  for (int draw = 0; draw < 100; ++draw) EXPECT_EQ(db_.random_key(), "only");
  std::set<std::string> left;
  for (int key = 0; key < 200; ++key) db_.set(std::to_string(key), key), left.insert(std::to_string(key));
  for (int draw = 0; draw < 1'000'000 && !left.empty(); ++draw) left.erase(*db_.random_key());
  EXPECT_TRUE(left.empty()) << left.size();
  for (int key = 0; key < 200; ++key) db_.erase(std::to_string(key));
  EXPECT_EQ(db_.random_key(), "only") << "in a table that is nearly empty";
}

}  // namespace
}  // namespace cubby::contract
