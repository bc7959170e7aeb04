// SPDX-License-Identifier: Apache-2.0

// Section 4: update and modify.

#include "support.hpp"

namespace cubby::contract {
namespace {

Value json(std::string_view text) { return Value::parse(text); }

using Update = ContractTest;

TEST_F(Update, MergesDeeplyAndReturnsTheNewValue) {
  db_.set("key", json(R"({"a": 1, "b": {"c": 2, "d": 3}})"));
  const Value expected = json(R"({"a": 1, "b": {"c": 4, "d": 3, "e": 5}, "f": [1]})");
  EXPECT_EQ(db_.update("key", json(R"({"b": {"c": 4, "e": 5}, "f": [1]})")), expected);
  EXPECT_EQ(db_.get("key"), expected);
}

TEST_F(Update, FollowsTheExamplesOfRfc7396) {
  struct Example {
    const char *original, *patch, *result;
  };
  const Example examples[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      {R"({"a":"foo"})", R"({"a":{"b":null,"c":1}})", R"({"a":{"c":1}})"},
      {R"({"a":1})", R"({})", R"({"a":1})"},
  };
  for (const Example& example : examples) {
    db_.set("key", json(example.original));
    EXPECT_EQ(db_.update("key", json(example.patch)), json(example.result)) << example.original << " + " << example.patch;
    EXPECT_EQ(db_.get("key"), json(example.result));
  }
}

TEST_F(Update, OfAnAbsentKeyStartsFromAnEmptyObject) {
  EXPECT_EQ(db_.update("key", json(R"({"a": 1, "b": null, "c": {"d": null}})")), json(R"({"a": 1, "c": {}})"));
  EXPECT_EQ(db_.get("key"), json(R"({"a": 1, "c": {}})"));
  EXPECT_EQ(db_.update("other", Value::object({})), Value::object({}));
  EXPECT_TRUE(db_.exists("other"));
}

TEST_F(Update, WithANonObjectOnEitherSideIsTypeMismatch) {
  const Value others[] = {nullptr, true, 1, 1.5, "text", Value::binary({}), Value::array({})};
  for (const Value& other : others) {
    db_.set("key", other);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"update", name_, "key"}, [&] { db_.update("key", json(R"({"a": 1})")); }))
        << other;
    EXPECT_EQ(db_.get("key"), other);
    EXPECT_TRUE(throws(Errc::type_mismatch, {"update", name_, "absent"}, [&] { db_.update("absent", other); })) << other;
    EXPECT_FALSE(db_.exists("absent"));
    db_.set("object", json(R"({"a": 1})"));
    EXPECT_TRUE(throws(Errc::type_mismatch, {"update", name_, "object"}, [&] { db_.update("object", other); })) << other;
    EXPECT_EQ(db_.get("object"), json(R"({"a": 1})"));
  }
}

TEST_F(Update, TheCapHoldsForTheResult) {
  Options options;
  options.max_value_bytes = 1234;
  Datastore store = open_other(options);
  const std::string text(800, 'x');
  store.update("key", Value::object({{"a", text}}));
  EXPECT_TRUE(throws(Errc::value_too_large, {"update", store.name(), "key", "1234"}, [&] {
    store.update("key", Value::object({{"b", text}}));
  }));
  EXPECT_EQ(store.get("key"), Value::object({{"a", text}}));
  EXPECT_NO_THROW(store.update("key", Value::object({{"a", nullptr}, {"b", text}})));
}

TEST_F(Update, KeepsTheDeadline) {
  db_.set("key", Value::object({}), 1h);
  db_.update("key", json(R"({"a": 1})"));
  EXPECT_TRUE(db_.ttl("key").has_value());
}

TEST_F(Update, LosesNoMemberBetweenThreads) {
  run_threads(4, [&](int thread) {
    for (int member = 0; member < 100; ++member) {
      db_.update("key", Value::object({{std::to_string(thread * 100 + member), member}}));
    }
  });
  EXPECT_EQ(db_.get("key")->size(), 400u);
}

using Modify = ContractTest;

TEST_F(Modify, StoresAndReturnsWhatTheFunctionReturned) {
  db_.set("key", 20);
  const auto result = db_.modify("key", [](std::optional<Value> old) { return Value(old.value().as_int() + 1); });
  EXPECT_EQ(result, Value(21));
  EXPECT_EQ(db_.get("key"), Value(21));
}

TEST_F(Modify, OfAnAbsentKeyGivesTheFunctionNothing) {
  bool was_absent = false;
  EXPECT_EQ(db_.modify("key",
                       [&](std::optional<Value> old) -> std::optional<Value> {
                         was_absent = !old.has_value();
                         return 1;
                       }),
            Value(1));
  EXPECT_TRUE(was_absent);
  EXPECT_EQ(db_.get("key"), Value(1));
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
}

TEST_F(Modify, RemovesTheKeyIfTheFunctionReturnsNothing) {
  db_.set("key", 1, 1h);
  EXPECT_EQ(db_.modify("key", [](std::optional<Value>) -> std::optional<Value> { return std::nullopt; }), std::nullopt);
  EXPECT_FALSE(db_.exists("key"));
  EXPECT_EQ(db_.size(), 0u);
  db_.set("key", 1);
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
  EXPECT_EQ(db_.modify("absent", [](std::optional<Value>) -> std::optional<Value> { return std::nullopt; }), std::nullopt);
  EXPECT_FALSE(db_.exists("absent"));
}

TEST_F(Modify, AStoredNullIsNotAbsence) {
  db_.set("key", nullptr);
  const auto result = db_.modify("key", [](std::optional<Value> old) -> std::optional<Value> {
    EXPECT_TRUE(old.has_value());
    return Value(nullptr);
  });
  EXPECT_TRUE(result.has_value());
  EXPECT_TRUE(db_.exists("key"));
}

TEST_F(Modify, KeepsTheDeadline) {
  db_.set("key", 1, 1h);
  db_.modify("key", [](std::optional<Value>) { return Value(2); });
  EXPECT_TRUE(db_.ttl("key").has_value());
}

TEST_F(Modify, CallsTheFunctionExactlyOnceEvenUnderContention) {
  std::atomic<int> calls{0};
  constexpr int kThreads = 4;
  constexpr int kEach = 2000;
  run_threads(kThreads, [&](int) {
    for (int round = 0; round < kEach; ++round) {
      db_.modify("key", [&](std::optional<Value> old) {
        calls.fetch_add(1);
        return Value(old ? old->as_int() + 1 : 1);
      });
      db_.increment("key");
    }
  });
  EXPECT_EQ(calls.load(), kThreads * kEach);
  EXPECT_EQ(db_.get("key"), Value(2 * kThreads * kEach));
}

TEST_F(Modify, AnExceptionLeavesTheStoreAsItWasAndReachesTheCaller) {
  db_.set("key", 1, 1h);
  const auto throwing = [](std::optional<Value>) -> std::optional<Value> { throw std::runtime_error("function"); };
  EXPECT_THROW(db_.modify("key", throwing), std::runtime_error);
  EXPECT_EQ(db_.get("key"), Value(1));
  EXPECT_TRUE(db_.ttl("key").has_value());
  EXPECT_THROW(db_.modify("absent", throwing), std::runtime_error);
  EXPECT_FALSE(db_.exists("absent"));
  EXPECT_EQ(db_.size(), 1u);
  EXPECT_EQ(db_.increment("key"), Value(2)) << "the key isn't locked any more";
  EXPECT_EQ(db_.increment("absent"), Value(1));
}

TEST_F(Modify, TheCapHoldsForTheResult) {
  Options options;
  options.max_value_bytes = 1234;
  Datastore store = open_other(options);
  store.set("key", 1);
  EXPECT_TRUE(throws(Errc::value_too_large, {"modify", store.name(), "key", "1234"},
                     [&] { store.modify("key", [](std::optional<Value>) { return Value(std::string(5000, 'x')); }); }));
  EXPECT_EQ(store.get("key"), Value(1));
}

TEST_F(Modify, TheFunctionMayReadOtherKeys) {
  db_.set("other", 5, 1h);
  db_.modify("key", [&](std::optional<Value>) {
    EXPECT_EQ(db_.get("other"), Value(5));
    EXPECT_TRUE(db_.visit("other", [](const Value& value) { EXPECT_EQ(value, Value(5)); }));
    EXPECT_TRUE(db_.exists("other"));
    EXPECT_TRUE(db_.ttl("other").has_value());
    EXPECT_FALSE(db_.exists("absent"));
    return Value(1);
  });
  EXPECT_EQ(db_.get("key"), Value(1));
}

TEST_F(Modify, OnAQueueGivesAnArrayAndTakesOne) {
  for (int number = 1; number <= 100; ++number) db_.push("key", number);
  db_.shift("key");
  db_.modify("key", [](std::optional<Value> old) {
    EXPECT_EQ(old, integers(2, 100));
    return integers(1, 3);
  });
  EXPECT_EQ(db_.push("key", 4), 4u);
  EXPECT_EQ(db_.get("key"), integers(1, 4));
}

}  // namespace
}  // namespace cubby::contract
