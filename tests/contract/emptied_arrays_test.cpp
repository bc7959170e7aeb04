// SPDX-License-Identifier: Apache-2.0

// shift and pop with WhenEmptied::erase: a key that goes with its last element.

#include "support.hpp"

namespace cubby::contract {
namespace {

using EmptiedArrays = ContractTest;

constexpr WhenEmptied kErase = WhenEmptied::erase;

TEST_F(EmptiedArrays, TheLastElementTakesTheKeyAlong) {
  for (const bool pops : {false, true}) {
    for (const bool pushed : {false, true}) {
      const auto take = [&] { return pops ? db_.pop("key", kErase) : db_.shift("key", kErase); };
      if (pushed) {
        db_.push("key", 1);
        db_.push("key", 2);
      } else {
        db_.set("key", integers(1, 2));
      }
      EXPECT_EQ(take(), Value(pops ? 2 : 1));
      EXPECT_EQ(db_.get("key"), pops ? integers(1, 1) : integers(2, 2));
      EXPECT_EQ(take(), Value(pops ? 1 : 2));
      EXPECT_FALSE(db_.exists("key"));
      EXPECT_EQ(db_.size(), 0u);
      EXPECT_EQ(db_.push("key", 3), 1u);
      EXPECT_EQ(take(), Value(3));
    }
  }
}

TEST_F(EmptiedArrays, TheOnlyElementOfAStoredArray) {
  db_.set("key", Value::array({"an element that needs a block of its own"}));
  const std::optional<Value> taken = db_.shift("key", kErase);
  EXPECT_FALSE(db_.exists("key"));
  EXPECT_EQ(taken, Value("an element that needs a block of its own"));
}

TEST_F(EmptiedArrays, AnArrayThatIsEmptyGivesNothingAndGoesToo) {
  for (const bool pushed : {false, true}) {
    for (const bool pops : {false, true}) {
      db_.set("key", Value::array({}));
      if (pushed) {
        db_.push("key", 1);
        db_.shift("key");
      }
      EXPECT_EQ(pops ? db_.pop("key", kErase) : db_.shift("key", kErase), std::nullopt);
      EXPECT_FALSE(db_.exists("key"));
    }
  }
}

TEST_F(EmptiedArrays, AnAbsentKeyIsKeyNotFoundAndAnythingElseATypeMismatch) {
  EXPECT_TRUE(throws(Errc::key_not_found, {"shift", name_, "key"}, [&] { return db_.shift("key", kErase); }));
  EXPECT_TRUE(throws(Errc::key_not_found, {"pop", name_, "key"}, [&] { return db_.pop("key", kErase); }));
  for (const Value& other : {Value(nullptr), Value(1), Value(""), Value::object({}), Value::binary({})}) {
    db_.set("key", other);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"shift", name_, "key"}, [&] { return db_.shift("key", kErase); })) << other;
    EXPECT_TRUE(throws(Errc::type_mismatch, {"pop", name_, "key"}, [&] { return db_.pop("key", kErase); })) << other;
    EXPECT_EQ(db_.get("key"), other);
  }
}

TEST_F(EmptiedArrays, TheDeadlineGoesWithTheKey) {
  db_.set("key", integers(1, 2), 1h);
  db_.shift("key", kErase);
  EXPECT_TRUE(db_.ttl("key").has_value());
  db_.shift("key", kErase);
  db_.push("key", 1);
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
}

TEST_F(EmptiedArrays, IsAChangeForKeyVersions) {
  db_.push("key", 1);
  const KeyVersion filled = db_.version("key");
  db_.shift("key", kErase);
  EXPECT_FALSE(db_.unchanged("key", filled));
  const KeyVersion absent = db_.version("key");
  EXPECT_TRUE(db_.unchanged("key", absent));
  db_.push("key", 1);
  db_.shift("key", kErase);
  EXPECT_FALSE(db_.unchanged("key", absent)) << "it has been there in between";
}

TEST_F(EmptiedArrays, WaitsSeeTheKeyAbsentAndNeverEmpty) {
  db_.push("key", 1);
  std::vector<Value> seen;
  const auto note = [&](const WaitResult& result) { seen.push_back(result.value.value_or("an error")); };
  const Waiting equal = db_.wait_async("key", Value::array({}), 1h, note);
  const Waiting change = db_.wait_async("key", 1h, note);
  EXPECT_EQ(db_.shift("key", kErase), Value(1));
  EXPECT_TRUE(equal.active());
  EXPECT_TRUE(change.active()) << "absence ends no wait";
  db_.push("key", 2);
  EXPECT_FALSE(change.active());
  EXPECT_EQ(seen, std::vector<Value>{Value::array({2})});
  EXPECT_TRUE(equal.active());
}

TEST_F(EmptiedArrays, WaitersForElementsOutliveTheKey) {
  db_.push("key", 1);
  int tries = 0;
  const Waiting attempt = db_.attempt_async({"key"}, 1h, [&](std::error_code error) {
    if (!error) ++tries;
    return error || tries == 2;
  });
  EXPECT_EQ(tries, 1) << "it declines";
  EXPECT_EQ(db_.pop("key", kErase), Value(1));
  EXPECT_EQ(tries, 1);
  std::optional<Value> got;
  const Waiting behind = db_.shift_async({"key"}, End::first, 1h, [&](const WaitResult& result) { got = result.value; });
  db_.push("key", 2);
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(got, Value(2));
  EXPECT_EQ(db_.get("key"), Value::array({})) << "a hand-over empties it, and keeps it";
}

TEST_F(EmptiedArrays, InATransaction) {
  db_.set("stored", integers(1, 2), 1h);
  db_.push("queue", 1);
  db_.set("empty", Value::array({}));
  db_.transact({"stored", "queue", "empty", "made", "to"}, [&](Transaction& t) {
    EXPECT_EQ(t.pop("stored", kErase), Value(2));
    EXPECT_EQ(t.get("stored"), integers(1, 1));
    EXPECT_EQ(t.shift("stored", kErase), Value(1));
    EXPECT_FALSE(t.exists("stored"));
    EXPECT_EQ(t.push("stored", 3), 1u);
    EXPECT_EQ(t.ttl("stored"), std::nullopt);
    EXPECT_EQ(t.shift("queue", kErase), Value(1));
    EXPECT_TRUE(throws(Errc::key_not_found, {"shift", "queue"}, [&] { return t.shift("queue", kErase); }));
    EXPECT_EQ(t.shift("empty"), std::nullopt);
    EXPECT_TRUE(t.exists("empty"));
    EXPECT_EQ(t.shift("empty", kErase), std::nullopt);
    EXPECT_FALSE(t.exists("empty"));
    t.unshift("made", 1);
    t.rename("made", "to");
    EXPECT_EQ(t.pop("to", kErase), Value(1));
    EXPECT_FALSE(t.exists("to"));
    EXPECT_TRUE(db_.exists("queue")) << "nobody else sees it before all has happened";
  });
  EXPECT_EQ(db_.keys(), std::vector<std::string>{"stored"});
  EXPECT_EQ(db_.get("stored"), integers(3, 3));
  EXPECT_EQ(db_.ttl("stored"), std::nullopt);
}

TEST_F(EmptiedArrays, ATransactionThatThrowsHasTakenNothing) {
  db_.push("key", 1);
  EXPECT_THROW(db_.transact({"key"},
                            [](Transaction& t) {
                              t.shift("key", kErase);
                              throw std::runtime_error("function");
                            }),
               std::runtime_error);
  EXPECT_EQ(db_.get("key"), integers(1, 1));
}

TEST_F(EmptiedArrays, AReadOnlyStoreGivesNothing) {
  TemporaryFolder folder;
  Options options;
  options.persist = folder.path() / "store.json";
  write_text(options.persist, R"({"key": [1]})");
  options.read_only = true;
  Datastore store = open_other(options);
  EXPECT_TRUE(throws(Errc::read_only, {"shift"}, [&] { return store.shift("key", kErase); }));
  EXPECT_EQ(store.get("key"), integers(1, 1));
}

}  // namespace
}  // namespace cubby::contract
