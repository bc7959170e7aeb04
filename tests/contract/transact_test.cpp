// SPDX-License-Identifier: Apache-2.0

// Section 4: transact; section 5: what may be called inside the functions of transact and modify.

#include <limits>

#include "operations.hpp"
#include "support.hpp"

namespace cubby::contract {
namespace {

using Transact = ContractTest;

TEST_F(Transact, OffersItsOperationsAndSeesItsOwnChanges) {
  db_.set("a", 1);
  db_.set("gone", 1);
  db_.set("queue", integers(1, 3));
  const std::vector<std::string> keys{"a", "gone", "new", "queue", "counter", "lasting"};
  db_.transact(keys, [](Transaction& transaction) {
    EXPECT_EQ(transaction.get("a"), Value(1));
    transaction.set("a", 2);
    EXPECT_EQ(transaction.get("a"), Value(2));
    EXPECT_TRUE(transaction.erase("gone"));
    EXPECT_FALSE(transaction.erase("gone"));
    EXPECT_FALSE(transaction.exists("gone"));
    EXPECT_EQ(transaction.get("gone"), std::nullopt);
    EXPECT_FALSE(transaction.exists("new"));
    EXPECT_EQ(transaction.push("new", "x"), 1u);
    EXPECT_TRUE(transaction.exists("new"));
    EXPECT_EQ(transaction.push("queue", 4), 4u);
    EXPECT_EQ(transaction.shift("queue"), Value(1));
    EXPECT_EQ(transaction.pop("queue"), Value(4));
    EXPECT_EQ(transaction.increment("counter"), Value(1));
    EXPECT_EQ(transaction.increment("counter", 1.5), Value(2.5));
    transaction.set("lasting", 1, 1h);
    transaction.expire("a", 1h);
    transaction.expire("queue");
  });
  EXPECT_EQ(db_.get("a"), Value(2));
  EXPECT_FALSE(db_.exists("gone"));
  EXPECT_EQ(db_.get("new"), Value::array({"x"}));
  EXPECT_EQ(db_.get("queue"), integers(2, 3));
  EXPECT_EQ(db_.get("counter"), Value(2.5));
  for (const char* key : {"a", "queue", "lasting"}) EXPECT_TRUE(db_.ttl(key).has_value()) << key;
  EXPECT_EQ(db_.ttl("new"), std::nullopt);
  EXPECT_EQ(db_.size(), 5u);
}

TEST_F(Transact, ReturnsWhatTheFunctionReturned) {
  EXPECT_EQ(db_.transact({"a"}, [](Transaction& transaction) { return transaction.increment("a").as_int(); }), 1);
  EXPECT_EQ(db_.transact({"a"}, [](Transaction&) { return std::string("text"); }), "text");
  const auto moved = db_.transact({"a"}, [](Transaction&) { return std::make_unique<int>(7); });
  EXPECT_EQ(*moved, 7);
  static_assert(std::is_void_v<decltype(db_.transact({"a"}, [](Transaction&) {}))>);
}

TEST_F(Transact, TakesAnyRangeOfKeys) {
  const std::vector<std::string_view> views{"a", "b"};
  db_.transact(views, [](Transaction& transaction) { transaction.set("b", 1); });
  const char* const pointers[] = {"a", "b"};
  db_.transact(pointers, [](Transaction& transaction) { transaction.increment("b"); });
  EXPECT_EQ(db_.get("b"), Value(2));
  EXPECT_EQ(db_.transact(std::vector<std::string>{}, [](Transaction&) { return 5; }), 5);
}

TEST_F(Transact, AKeyNamedTwiceIsOneKey) {
  db_.transact({"a", "b", "a"}, [](Transaction& transaction) {
    transaction.increment("a");
    transaction.increment("a");
  });
  EXPECT_EQ(db_.get("a"), Value(2));
}

TEST_F(Transact, AnotherKeyIsInvalidArgument) {
  EXPECT_TRUE(throws(Errc::invalid_argument, {name_, "other"}, [&] {
    db_.transact({"a"}, [](Transaction& transaction) {
      transaction.set("a", 1);
      transaction.set("other", 1);
    });
  }));
  EXPECT_EQ(db_.size(), 0u);
  db_.transact({"a"}, [](Transaction& transaction) {
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.get("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.exists("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.erase("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.increment("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.push("other", 1); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.shift("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { return transaction.pop("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { transaction.expire("other", 1h); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { transaction.expire("other"); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"other"}, [&] { transaction.set("other", 1, 1h); }));
  });
}

TEST_F(Transact, AnExceptionLeavesEverythingAsItWas) {
  db_.set("a", 1);
  db_.set("queue", integers(1, 3), 1h);
  db_.set("gone", 1);
  EXPECT_THROW(db_.transact({"a", "queue", "gone", "new"},
                            [](Transaction& transaction) {
                              transaction.set("a", 2, 1h);
                              transaction.shift("queue");
                              transaction.push("queue", 4);
                              transaction.erase("gone");
                              transaction.set("new", 1);
                              throw std::runtime_error("function");
                            }),
               std::runtime_error);
  EXPECT_EQ(db_.get("a"), Value(1));
  EXPECT_EQ(db_.ttl("a"), std::nullopt);
  EXPECT_EQ(db_.get("queue"), integers(1, 3));
  EXPECT_TRUE(db_.ttl("queue").has_value());
  EXPECT_TRUE(db_.exists("gone"));
  EXPECT_FALSE(db_.exists("new"));
  EXPECT_EQ(db_.size(), 3u);
  EXPECT_EQ(db_.increment("a"), Value(2)) << "no key is locked any more";
}

TEST_F(Transact, ErrorsInsideAreThoseOfTheOperations) {
  db_.set("text", "text");
  db_.transact({"text", "absent", "max"}, [](Transaction& transaction) {
    EXPECT_TRUE(throws(Errc::type_mismatch, {"text"}, [&] { return transaction.increment("text"); }));
    EXPECT_TRUE(throws(Errc::type_mismatch, {"text"}, [&] { return transaction.push("text", 1); }));
    EXPECT_TRUE(throws(Errc::type_mismatch, {"text"}, [&] { return transaction.shift("text"); }));
    EXPECT_TRUE(throws(Errc::key_not_found, {"absent"}, [&] { return transaction.shift("absent"); }));
    EXPECT_TRUE(throws(Errc::key_not_found, {"absent"}, [&] { return transaction.pop("absent"); }));
    EXPECT_TRUE(throws(Errc::key_not_found, {"absent"}, [&] { transaction.expire("absent", 1h); }));
    transaction.set("max", std::numeric_limits<std::int64_t>::max());
    EXPECT_TRUE(throws(Errc::overflow, {"max"}, [&] { return transaction.increment("max"); }));
  });
  EXPECT_EQ(db_.get("text"), Value("text"));
  EXPECT_FALSE(db_.exists("absent"));
}

TEST_F(Transact, KeepsAndEndsDeadlinesAsTheOperationsDo) {
  db_.set("kept", 1, 1h);
  db_.set("ended", 1, 1h);
  db_.set("removed", 1);
  db_.transact({"kept", "ended", "removed", "never"}, [](Transaction& transaction) {
    transaction.set("kept", 2);
    transaction.erase("ended");
    transaction.set("ended", 2);
    transaction.expire("removed", 0s);
    EXPECT_FALSE(transaction.exists("removed"));
    transaction.set("never", 1, -1s);
    EXPECT_FALSE(transaction.exists("never"));
  });
  EXPECT_TRUE(db_.ttl("kept").has_value());
  EXPECT_EQ(db_.ttl("ended"), std::nullopt);
  EXPECT_EQ(sorted(db_.keys()), (std::vector<std::string>{"ended", "kept"}));
}

TEST_F(Transact, TransfersKeepTheirSum) {
  constexpr int kAccounts = 8;
  for (int account = 0; account < kAccounts; ++account) db_.set("account " + std::to_string(account), 1000);
  const auto key = [](int account) { return "account " + std::to_string(account % kAccounts); };
  std::vector<std::string> all;
  for (int account = 0; account < kAccounts; ++account) all.push_back(key(account));
  const auto sum = [&] {
    return db_.transact(all, [&](Transaction& transaction) {
      std::int64_t total = 0;
      for (const std::string& account : all) total += transaction.get(account)->as_int();
      return total;
    });
  };
  {
    Repeat auditor([&] { EXPECT_EQ(sum(), kAccounts * 1000); });
    run_threads(4, [&](int thread) {
      for (int round = 0; round < 2000; ++round) {
        const std::string from = key(thread + round);
        const std::string to = key(thread * 3 + round * 5 + 1);
        if (from == to) continue;
        db_.transact({from, to}, [&](Transaction& transaction) {
          transaction.increment(from, -7);
          transaction.increment(to, 7);
        });
      }
    });
  }
  EXPECT_EQ(sum(), kAccounts * 1000);
}

TEST_F(Transact, KeysNamedInAnyOrderByAnyThreadDoNotDeadlock) {
  run_threads(4, [&](int thread) {
    const std::string first = "key " + std::to_string(thread % 3);
    const std::string second = "key " + std::to_string((thread + 1) % 3);
    for (int round = 0; round < 1000; ++round) {
      const auto count = [&](Transaction& transaction) {
        transaction.increment(first);
        transaction.increment(second);
      };
      db_.transact({first, second}, count);
      db_.transact({second, first}, count);
    }
  });
  const Value total = db_.get("key 0")->as_int() + db_.get("key 1")->as_int() + db_.get("key 2")->as_int();
  EXPECT_EQ(total, Value(16'000));
}

TEST_F(Transact, TheFunctionMayReadOtherKeysThroughTheStore) {
  db_.set("other", 5, 1h);
  db_.transact({"key"}, [&](Transaction& transaction) {
    EXPECT_EQ(db_.get("other"), Value(5));
    EXPECT_TRUE(db_.visit("other", [](const Value& value) { EXPECT_EQ(value, Value(5)); }));
    EXPECT_TRUE(db_.exists("other"));
    EXPECT_TRUE(db_.ttl("other").has_value());
    transaction.set("key", *db_.get("other"));
  });
  EXPECT_EQ(db_.get("key"), Value(5));
}

/// What the functions of modify and transact may not call: everything but reads of keys.
void expect_only_reads(Datastore& store) {
  const std::string name(store.name());
  for (const Operation& operation : operations_on_a_key()) {
    const std::string_view operation_name = operation.name;
    const bool read = operation_name == "get" || operation_name == "visit" || operation_name == "visit_scalar" ||
                      operation_name == "exists" || operation_name == "ttl" || operation_name == "deadline" ||
                      operation_name == "visit_many" || operation_name == "type" || operation_name == "length" ||
                      operation_name == "slice" || operation_name == "member" || operation_name == "visit_members";
    if (read) {
      // What the other key holds has no members.
      EXPECT_NO_THROW(operation.call(store, operation_name.find("member") == std::string_view::npos ? "other" : "absent"))
          << operation_name;
    } else {
      EXPECT_TRUE(throws(Errc::invalid_argument, {operation_name, name}, [&] { operation.call(store, "other"); }))
          << operation_name;
    }
  }
  for (const Operation& operation : operations_on_all_keys()) {
    EXPECT_TRUE(throws(Errc::invalid_argument, {operation.name, name}, [&] { operation.call(store, ""); })) << operation.name;
  }
}

using Nested = ContractTest;

TEST_F(Nested, InsideModifyAnythingButReadingIsInvalidArgument) {
  db_.set("other", integers(1, 2));
  db_.modify("key", [&](std::optional<Value>) {
    expect_only_reads(db_);
    return Value(2);
  });
  EXPECT_EQ(db_.get("key"), Value(2)) << "a caught error doesn't spoil the call";
  EXPECT_EQ(db_.get("other"), integers(1, 2));
  EXPECT_EQ(db_.size(), 2u);
}

TEST_F(Nested, InsideTransactAnythingButReadingIsInvalidArgument) {
  db_.set("other", integers(1, 2));
  db_.transact({"key"}, [&](Transaction& transaction) {
    expect_only_reads(db_);
    transaction.set("key", 2);
  });
  EXPECT_EQ(db_.get("key"), Value(2));
  EXPECT_EQ(db_.get("other"), integers(1, 2));
  EXPECT_EQ(db_.size(), 2u);
}

TEST_F(Nested, TheOwnKeyCannotBeWrittenThroughTheStore) {
  db_.set("key", 1);
  EXPECT_TRUE(throws(Errc::invalid_argument, {"increment", name_, "key"}, [&] {
    db_.modify("key", [&](std::optional<Value>) {
      db_.increment("key");
      return Value(2);
    });
  }));
  EXPECT_TRUE(throws(Errc::invalid_argument, {"modify", name_, "key"}, [&] {
    db_.transact({"key"}, [&](Transaction&) { db_.modify("key", [](std::optional<Value> value) { return value; }); });
  }));
  EXPECT_EQ(db_.get("key"), Value(1));
}

TEST_F(Nested, WhatWasForbiddenInsideWorksAgainAfterwards) {
  db_.modify("key", [](std::optional<Value>) { return Value(1); });
  EXPECT_EQ(db_.increment("key"), Value(2));
  EXPECT_THROW(db_.transact({"key"}, [](Transaction&) { throw std::runtime_error("function"); }), std::runtime_error);
  EXPECT_EQ(db_.increment("key"), Value(3));
  db_.visit("key", [&](const Value&) { db_.increment("key"); });
  EXPECT_EQ(db_.get("key"), Value(4));
}

}  // namespace
}  // namespace cubby::contract
