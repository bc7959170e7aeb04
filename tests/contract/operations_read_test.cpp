// SPDX-License-Identifier: Apache-2.0

// Section 4: get, visit, exists, size, stats, and what save and load say where no file is configured.

#include "support.hpp"

namespace cubby::contract {
namespace {

using Read = ContractTest;

TEST_F(Read, GetOfAnAbsentKeyIsEmptyAndOfAStoredNullIsNot) {
  EXPECT_EQ(db_.get("key"), std::nullopt);
  db_.set("key", nullptr);
  ASSERT_TRUE(db_.get("key").has_value());
  EXPECT_TRUE(db_.get("key")->is_null());
  EXPECT_TRUE(db_.exists("key"));
}

TEST_F(Read, GetGivesBackEveryTypeUnchanged) {
  const std::vector<std::byte> bytes(100, std::byte{7});
  const Value values[] = {nullptr,
                          true,
                          false,
                          -1,
                          2.5,
                          "",
                          "fourteen bytes",
                          "a string of more than fourteen bytes",
                          Value::binary(bytes),
                          Value::array({}),
                          Value::array({1, "two", Value::array({3.0})}),
                          Value::object({}),
                          Value::object({{"a", 1}, {"b", Value::object({{"c", nullptr}})}})};
  for (const Value& value : values) {
    db_.set("key", value);
    EXPECT_EQ(db_.get("key"), value);
    EXPECT_EQ(db_.get("key")->type(), value.type());
  }
}

TEST_F(Read, AValueOutlivesTheKeyItCameFrom) {
  const std::string text(1000, 'x');
  db_.set("key", text);
  const Value value = *db_.get("key");
  db_.set("key", "other");
  db_.erase("key");
  close(name_);
  EXPECT_EQ(value.as_string(), text);
}

TEST_F(Read, VisitSeesTheValueInPlaceAndTellsWhetherItWasThere) {
  int calls = 0;
  EXPECT_FALSE(db_.visit("key", [&](const Value&) { ++calls; }));
  EXPECT_EQ(calls, 0);
  db_.set("key", 42);
  std::int64_t seen = 0;
  EXPECT_TRUE(db_.visit("key", [&](const Value& value) {
    ++calls;
    seen = value.as_int();
    return "ignored";
  }));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(seen, 42);
}

TEST_F(Read, VisitMayCallTheStore) {
  db_.set("key", 1);
  EXPECT_TRUE(db_.visit("key", [&](const Value& value) {
    db_.set("key", 2);
    EXPECT_EQ(db_.get("key"), Value(2));
    EXPECT_EQ(value, Value(1)) << "what is visited doesn't change";
    db_.erase("key");
    db_.push("queue", 1);
    EXPECT_EQ(db_.keys(), std::vector<std::string>{"queue"});
    db_.clear();
    EXPECT_EQ(value, Value(1));
  }));
  EXPECT_EQ(db_.size(), 0u);
}

TEST_F(Read, AVisitorsExceptionReachesTheCaller) {
  db_.set("key", 1);
  EXPECT_THROW(db_.visit("key", [](const Value&) { throw std::runtime_error("visitor"); }), std::runtime_error);
  EXPECT_EQ(db_.get("key"), Value(1));
  db_.set("key", 2);
  EXPECT_EQ(db_.get("key"), Value(2));
}

TEST_F(Read, AVisitedQueueIsAnArray) {
  for (int number = 1; number <= 100; ++number) db_.push("queue", number);
  db_.shift("queue");
  EXPECT_TRUE(db_.visit("queue", [](const Value& value) { EXPECT_EQ(value, integers(2, 100)); }));
  EXPECT_EQ(db_.get("queue"), integers(2, 100));
}

TEST_F(Read, ExistsTellsWhetherTheKeyIsThere) {
  EXPECT_FALSE(db_.exists("key"));
  db_.set("key", Value::array({}));
  EXPECT_TRUE(db_.exists("key"));
  db_.erase("key");
  EXPECT_FALSE(db_.exists("key"));
}

TEST_F(Read, SizeIsExactWhenNoCallIsRunning) {
  EXPECT_EQ(db_.size(), 0u);
  run_threads(4, [&](int thread) {
    for (int key = 0; key < 500; ++key) db_.set(std::to_string(thread * 500 + key), key);
    for (int key = 0; key < 100; ++key) db_.erase(std::to_string(thread * 500 + key));
  });
  EXPECT_EQ(db_.size(), 1600u);
  EXPECT_EQ(db_.size(), db_.keys().size());
  db_.rename("100", "renamed");
  db_.set("101", 1);
  db_.push("queue", 1);
  db_.shift("queue");
  EXPECT_EQ(db_.size(), 1601u);
}

TEST_F(Read, SaveAndLoadWithoutAFileAreConfig) {
  EXPECT_TRUE(throws(Errc::config, {"save", name_}, [&] { db_.save(); }));
  EXPECT_TRUE(throws(Errc::config, {"load", name_}, [&] { db_.load(); }));
}

using Statistics = ContractTest;

TEST_F(Statistics, OfAFreshStoreAreZero) {
  const Stats stats = db_.stats();
  EXPECT_EQ(stats.keys, 0u);
  EXPECT_EQ(stats.reads, 0u);
  EXPECT_EQ(stats.hits, 0u);
  EXPECT_EQ(stats.writes, 0u);
  EXPECT_EQ(stats.expired, 0u);
  EXPECT_EQ(stats.waiters, 0u);
  EXPECT_EQ(stats.saves, 0u);
  EXPECT_EQ(stats.last_save_error, "");
}

TEST_F(Statistics, CountReadsHitsAndWrites) {
  db_.set("key", 1);
  db_.set("other", 1);
  db_.increment("key");
  EXPECT_EQ(db_.stats().writes, 3u);
  EXPECT_EQ(db_.stats().keys, 2u);
  db_.get("key");
  db_.get("absent");
  db_.visit("key", [](const Value&) {});
  db_.visit_scalar("key", [](const Value&) {});
  db_.exists("absent");
  db_.ttl("key");
  EXPECT_EQ(db_.stats().reads, 6u);
  EXPECT_EQ(db_.stats().hits, 4u);
  db_.erase("key");
  EXPECT_EQ(db_.stats().keys, db_.size());
}

TEST_F(Statistics, CountAllThreadsThoseThatEndedIncluded) {
  db_.set("key", 1);
  for (int round = 0; round < 5; ++round) {
    run_threads(4, [&](int) {
      for (int read = 0; read < 100; ++read) db_.get("key");
    });
  }
  EXPECT_EQ(db_.stats().reads, 2000u);
  EXPECT_EQ(db_.stats().hits, 2000u);
}

TEST_F(Statistics, CountEachStoreApart) {
  Datastore other = open_other({});
  other.set("key", 1);
  other.get("key");
  EXPECT_EQ(db_.stats().reads, 0u);
  EXPECT_EQ(db_.stats().writes, 0u);
  EXPECT_EQ(other.stats().reads, 1u);
}

TEST_F(Statistics, BytesGrowWithTheContents) {
  const std::size_t before = db_.stats().bytes;
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), std::string(1000, 'x'));
  EXPECT_GE(db_.stats().bytes, before + 100'000);
}

using Batches = ContractTest;

TEST_F(Batches, VisitManyVisitsThoseThatAreThereInOrder) {
  EXPECT_EQ(db_.visit_many(std::vector<std::string>{}, [](std::size_t, const Value&) { FAIL(); }), 0u);
  for (int key = 0; key < 1000; key += 2) db_.set(std::to_string(key), key);
  db_.push("queue", 1);
  db_.set("gone", 1, 1ms);
  outlive(1ms);
  std::vector<std::string> keys;
  for (int key = 0; key < 1000; ++key) keys.push_back(std::to_string(key * 7 % 1000));
  keys.insert(keys.end(), {"queue", "gone", "0", "0"});
  db_.prefetch(keys);
  std::size_t next = 0;
  const auto expect = [&](std::size_t index, const Value& value) {
    EXPECT_GE(index, next);
    next = index + 1;
    ASSERT_LT(index, keys.size());
    EXPECT_EQ(value, keys[index] == "queue" ? Value::array({1}) : Value(std::stoi(keys[index])));
  };
  const Stats before = db_.stats();
  EXPECT_EQ(db_.visit_many(keys, expect), 503u);
  EXPECT_EQ(next, keys.size());
  EXPECT_EQ(db_.stats().hits - before.hits, 503u);
  EXPECT_EQ(db_.stats().reads - before.reads, keys.size());
}

TEST_F(Batches, VisitManysFunctionMayCallTheStoreAndThrow) {
  for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), key);
  std::vector<std::string> keys;
  for (int key = 0; key < 100; ++key) keys.push_back(std::to_string(key));
  // What is not visited yet may go meanwhile.
  EXPECT_EQ(db_.visit_many(keys, [&](std::size_t index, const Value&) { db_.erase(std::to_string(index + 1)); }), 50u);
  EXPECT_THROW(db_.visit_many(keys, [](std::size_t, const Value&) { throw std::runtime_error("function"); }),
               std::runtime_error);
  EXPECT_EQ(db_.increment("0"), Value(1));
  keys.push_back(std::string(65536, 'k'));
  EXPECT_TRUE(throws(Errc::invalid_argument, {"visit"}, [&] {
    return db_.visit_many(keys, [](std::size_t, const Value&) { ADD_FAILURE() << "before the keys were looked at"; });
  }));
}

}  // namespace
}  // namespace cubby::contract
