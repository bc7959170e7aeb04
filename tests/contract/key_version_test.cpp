// SPDX-License-Identifier: Apache-2.0

// KeyVersion: whether a key was touched between two moments.

#include <functional>

#include "support.hpp"

namespace cubby::contract {
namespace {

using Versions = ContractTest;

/// What both ways of asking say; they must agree.
bool unchanged(Datastore& store, std::string_view key, const KeyVersion& version) {
  const bool answer = store.unchanged(key, version);
  const bool inside = store.transact({key}, [&](Transaction& t) { return t.unchanged(key, version); });
  EXPECT_EQ(answer, inside) << key;
  return answer;
}

TEST_F(Versions, WhatTouchesAKeyThatIsThere) {
  struct Case {
    const char* name;
    std::function<void(Datastore&)> touch;
  };
  const Case cases[] = {
      {"set equal", [](Datastore& s) { s.set("key", Value::array({1})); }},
      {"set back", [](Datastore& s) { s.set("key", 2), s.set("key", Value::array({1})); }},
      {"push", [](Datastore& s) { s.push("key", 1); }},
      {"push and pop", [](Datastore& s) { s.push("key", 1), s.pop("key"); }},
      {"swap", [](Datastore& s) { s.swap("key", Value::array({1})); }},
      {"modify", [](Datastore& s) { s.modify("key", [](std::optional<Value> old) { return old; }); }},
      {"transact",
       [](Datastore& s) {
         s.transact({"key", "x"}, [](Transaction& t) { t.set("key", 1), t.set("x", 1); });
       }},
      {"erase", [](Datastore& s) { s.erase("key"); }},
      {"erase and set", [](Datastore& s) { s.erase("key"), s.set("key", Value::array({1})); }},
      {"rename there and back", [](Datastore& s) { s.rename("key", "x"), s.rename("x", "key"); }},
      {"clear", [](Datastore& s) { s.clear(); }},
      {"clear and set", [](Datastore& s) { s.clear(), s.set("key", Value::array({1})); }},
      {"a later deadline", [](Datastore& s) { s.expire("key", 2h); }},
      {"an earlier deadline", [](Datastore& s) { s.expire("key", 1min); }},
      {"the same deadline", [](Datastore& s) { s.expire_at("key", *s.deadline("key")); }},
      {"no deadline", [](Datastore& s) { s.remove_expiry("key"); }},
      {"its end", [](Datastore& s) { s.expire("key", 0s); }},
  };
  for (const Case& each : cases) {
    db_.clear();
    db_.set("key", Value::array({1}), 1h);
    const KeyVersion version = db_.version("key");
    EXPECT_TRUE(unchanged(db_, "key", version));
    each.touch(db_);
    EXPECT_FALSE(unchanged(db_, "key", version)) << each.name;
  }
}

TEST_F(Versions, ReadingAndOtherKeysTouchNothing) {
  for (const bool there : {false, true}) {
    if (there) db_.set("key", 1, 1h);
    const KeyVersion version = db_.version("key");
    db_.get("key");
    db_.ttl("key");
    db_.version("key");
    db_.erase("other");
    for (int other = 0; other < 5000; ++other) db_.set(std::to_string(other), other);  // the table grows
    db_.transact({"key", "other"}, [](Transaction& t) { t.get("key"), t.ttl("key"), t.set("other", 1); });
    EXPECT_THROW(db_.transact({"key"},
                              [](Transaction& t) {
                                t.set("key", 2);
                                throw std::runtime_error("function");
                              }),
                 std::runtime_error);
    EXPECT_TRUE(unchanged(db_, "key", version)) << there;
  }
}

TEST_F(Versions, AKeyThatWasAbsentIsTouchedByComingToBe) {
  const KeyVersion version = db_.version("key");
  EXPECT_TRUE(unchanged(db_, "key", version));
  EXPECT_FALSE(db_.erase("key"));
  db_.clear();
  EXPECT_TRUE(unchanged(db_, "key", version)) << "it is absent still";
  db_.set("key", 1);
  EXPECT_FALSE(unchanged(db_, "key", version));
  db_.erase("key");
  EXPECT_FALSE(unchanged(db_, "key", version)) << "though it is gone again";
  const KeyVersion now = db_.version("key");
  EXPECT_TRUE(unchanged(db_, "key", now));
  db_.set("other", 1);
  db_.transact({"key", "other"}, [](Transaction& t) { t.rename("other", "key"); });
  db_.take("key");
  EXPECT_FALSE(unchanged(db_, "key", now));
  EXPECT_EQ(db_.stats().waiters, 0u);
}

TEST_F(Versions, ExpiryTouches) {
  db_.set("key", 1, 20ms);
  const KeyVersion version = db_.version("key");
  outlive(20ms);
  EXPECT_FALSE(unchanged(db_, "key", version));
  const KeyVersion gone = db_.version("key");
  EXPECT_TRUE(unchanged(db_, "key", gone)) << "it had expired by then";
}

TEST_F(Versions, AreOfOneKeyOfOneStore) {
  db_.set("key", 1);
  const KeyVersion version = db_.version("key");
  const KeyVersion absent = db_.version("absent");
  EXPECT_FALSE(unchanged(db_, "other", version));
  EXPECT_FALSE(unchanged(db_, "other", absent));
  EXPECT_FALSE(unchanged(db_, "key", KeyVersion()));
  Datastore other = open(fresh_store_name());
  other.set("key", 1);
  EXPECT_FALSE(unchanged(other, "key", version));
  EXPECT_FALSE(unchanged(other, "absent", absent));
}

TEST_F(Versions, MoveAndOutliveTheStore) {
  db_.set("key", std::string(5000, 'x'));
  KeyVersion first = db_.version("key");
  KeyVersion second = std::move(first);
  EXPECT_TRUE(unchanged(db_, "key", second));
  first = db_.version("absent");
  const std::string name = fresh_store_name();
  Datastore other = open(name);
  KeyVersion third = other.version("absent");
  close(name);
  EXPECT_TRUE(throws(Errc::closed, {"unchanged"}, [&] { return other.unchanged("absent", third); }));
  Datastore again = open(name);
  EXPECT_FALSE(unchanged(again, "absent", third));
}

TEST_F(Versions, AnOptimisticIncrementLosesNothing) {
  // As WATCH, GET, MULTI, SET, EXEC do it; the key comes to be and goes away as well.
  constexpr int kThreads = 4, kRounds = 2000;
  std::atomic<int> done{0};
  run_threads(kThreads, [&](int) {
    for (int round = 0; round < kRounds; ++round) {
      for (;;) {
        const KeyVersion version = db_.version("counter");
        const std::optional<Value> value = db_.get("counter");
        const std::int64_t next = (value ? value->as_int() : 0) + 1;
        const bool stored = db_.transact({"counter", "total"}, [&](Transaction& t) {
          if (!t.unchanged("counter", version)) return false;
          if (next == 3) {
            t.erase("counter");
            t.increment("total", 3);
          } else {
            t.set("counter", next);
          }
          return true;
        });
        if (stored) break;
      }
      done.fetch_add(1);
    }
  });
  const std::optional<Value> left = db_.get("counter");
  EXPECT_EQ(db_.get("total")->as_int() + (left ? left->as_int() : 0), kThreads * kRounds);
}

}  // namespace
}  // namespace cubby::contract
