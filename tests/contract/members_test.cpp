// SPDX-License-Identifier: Apache-2.0

// change_members, modify_member, member and visit_members: objects that are changed and read member by member. Large ones are
// kept otherwise than small ones; nobody may notice.

#include <map>
#include <random>

#include "support.hpp"

namespace cubby::contract {
namespace {

constexpr WhenEmptied kEraseObject = WhenEmptied::erase;

class MembersOfObjects : public ContractTest {
 protected:
  static std::string name_of(int number) { return "member " + std::to_string(1000 + number); }
  static Value value_of(int number) { return "a value that needs a block of its own, number " + std::to_string(number); }
  static Value object(int count) {
    std::map<std::string, Value> members;
    for (int number = 0; number < count; ++number) members.emplace(name_of(number), value_of(number));
    return Value::object(members);
  }
  /// An object of this size that is kept as it is after changes of members.
  static void make(Datastore& store, std::string_view key, int count) {
    store.set(key, object(count + 1));
    store.change_members(key, Value::object({{name_of(count), nullptr}}));
    ASSERT_EQ(store.get(key), object(count));
  }
  static testing::AssertionResult changed(const MembersChanged& result, std::size_t added, std::size_t removed, std::size_t size) {
    if (result.added == added && result.removed == removed && result.size == size) return testing::AssertionSuccess();
    return testing::AssertionFailure() << result.added << " added, " << result.removed << " removed, " << result.size << " there";
  }
  /// Small, large, and at the bounds between.
  static constexpr int kSizes[] = {0, 1, 30, 31, 32, 33, 63, 64, 65, 66, 500};
};

TEST_F(MembersOfObjects, ChangesMergeAsUpdateDoes) {
  const Value patches[] = {
      Value::object({}),
      Value::object({{"new", 1}}),
      Value::object({{"new", Value::parse(R"({"deep": {"a": 1, "gone": null}})")}, {"absent", nullptr}}),
      Value::object({{"new", Value::parse(R"({"deep": {"a": null, "b": [null]}})")}, {name_of(0), nullptr}}),
      Value::object({{"new", nullptr}, {name_of(0), 3.5}, {name_of(1), value_of(9)}}),
  };
  for (const int size : kSizes) {
    make(db_, "key", size);
    db_.set("updated", object(size));
    for (const Value& patch : patches) {
      const Value before = *db_.get("updated");
      const Value expected = db_.update("updated", patch);
      const MembersChanged result = db_.change_members("key", patch);
      EXPECT_EQ(db_.get("key"), expected) << size << ' ' << patch;
      EXPECT_EQ(result.size, expected.size());
      EXPECT_EQ(before.size() + result.added - result.removed, expected.size());
      EXPECT_EQ(db_.length("key"), expected.size());
      EXPECT_EQ(db_.type("key"), Type::object);
    }
    EXPECT_EQ(db_.update("key", Value::object({{"last", 1}})), db_.update("updated", Value::object({{"last", 1}}))) << size;
    EXPECT_EQ(db_.get("key"), db_.get("updated"));
  }
}

TEST_F(MembersOfObjects, CountsSayWhatCameAndWent) {
  EXPECT_TRUE(changed(db_.change_members("key", Value::object({{"a", 1}, {"b", 2}, {"absent", nullptr}})), 2, 0, 2));
  EXPECT_TRUE(changed(db_.change_members("key", Value::object({{"a", 3}, {"b", nullptr}, {"c", 4}})), 1, 1, 2));
  EXPECT_TRUE(changed(db_.change_members("key", Value::object({{"a", nullptr}, {"c", nullptr}})), 0, 2, 0));
  EXPECT_EQ(db_.get("key"), Value::object({}));
  make(db_, "large", 300);
  EXPECT_TRUE(changed(db_.change_members("large", Value::object({{"a", 1}, {name_of(1), 2}, {name_of(2), nullptr}})), 1, 1, 300));
}

TEST_F(MembersOfObjects, AnAbsentKeyIsAnEmptyObject) {
  EXPECT_TRUE(changed(db_.change_members("key", Value::object({{"a", nullptr}})), 0, 0, 0));
  EXPECT_EQ(db_.get("key"), Value::object({}));
  EXPECT_TRUE(changed(db_.change_members("absent", Value::object({{"a", nullptr}}), kEraseObject), 0, 0, 0));
  EXPECT_TRUE(changed(db_.change_members("absent", Value::object({}), kEraseObject), 0, 0, 0));
  EXPECT_FALSE(db_.exists("absent"));
  EXPECT_TRUE(changed(db_.change_members("absent", object(200), kEraseObject), 200, 0, 200));
  EXPECT_EQ(db_.get("absent"), object(200));
}

TEST_F(MembersOfObjects, TheLastMemberTakesTheKeyAlong) {
  for (const int size : kSizes) {
    if (size == 0) continue;
    make(db_, "key", size);
    for (int number = 0; number < size; ++number) {
      EXPECT_TRUE(db_.exists("key"));
      const auto left = static_cast<std::size_t>(size - 1 - number);
      EXPECT_TRUE(changed(db_.change_members("key", Value::object({{name_of(number), nullptr}}), kEraseObject), 0, 1, left));
    }
    EXPECT_FALSE(db_.exists("key")) << size;
    EXPECT_EQ(db_.size(), 0u);
  }
  db_.set("empty", Value::object({}));
  EXPECT_TRUE(changed(db_.change_members("empty", Value::object({{"a", nullptr}}), kEraseObject), 0, 0, 0));
  EXPECT_TRUE(db_.exists("empty")) << "it had none to lose";
}

TEST_F(MembersOfObjects, WhatRemovesNothingTouchesNothing) {
  for (const int size : {3, 300}) {
    make(db_, "key", size);
    const KeyVersion version = db_.version("key");
    EXPECT_TRUE(changed(db_.change_members("key", Value::object({{"absent", nullptr}})), 0, 0, static_cast<std::size_t>(size)));
    EXPECT_EQ(db_.modify_member("key", "absent", [](const auto& old) { return old; }), std::nullopt);
    EXPECT_TRUE(db_.unchanged("key", version));
    db_.change_members("key", Value::object({{name_of(0), value_of(0)}}));
    EXPECT_FALSE(db_.unchanged("key", version)) << "an equal value counts";
  }
}

TEST_F(MembersOfObjects, AreReadOneByOne) {
  for (const int size : kSizes) {
    make(db_, "key", size);
    for (int number = 0; number < size; ++number) EXPECT_EQ(db_.member("key", name_of(number)), value_of(number));
    EXPECT_EQ(db_.member("key", "absent"), std::nullopt);
    EXPECT_EQ(db_.member("key", ""), std::nullopt);
    EXPECT_EQ(db_.member("absent", name_of(0)), std::nullopt);
    db_.change_members("key", Value::object({{"", "no name"}}));
    EXPECT_EQ(db_.member("key", ""), Value("no name"));
    db_.modify_member("key", "null", [](const auto&) { return Value(); });
    EXPECT_EQ(db_.member("key", "null"), Value());
  }
}

TEST_F(MembersOfObjects, AreVisitedAtOneInstant) {
  for (const int size : {5, 500}) {
    make(db_, "key", size);
    const std::vector<std::string> names{name_of(3), "absent", name_of(0), name_of(3)};
    std::vector<std::pair<std::size_t, Value>> seen;
    const auto note = [&](std::size_t index, const Value& value) { seen.emplace_back(index, value); };
    EXPECT_EQ(db_.visit_members("key", names, note), 3u);
    EXPECT_EQ(seen, (std::vector<std::pair<std::size_t, Value>>{{0, value_of(3)}, {2, value_of(0)}, {3, value_of(3)}}));
    seen.clear();
    EXPECT_EQ(db_.visit_members("key", {"absent"}, note), 0u);
    EXPECT_EQ(db_.visit_members("absent", names, note), std::nullopt);
    EXPECT_TRUE(seen.empty());
    // The function may change the object, which is still seen as it was.
    EXPECT_EQ(db_.visit_members("key", {name_of(1), name_of(2)},
                                [&](std::size_t, const Value& value) {
                                  note(0, value);
                                  db_.change_members("key", Value::object({{name_of(2), nullptr}}));
                                }),
              2u);
    EXPECT_EQ(seen.back().second, value_of(2));
  }
}

TEST_F(MembersOfObjects, AreVisitedInTheirOrder) {
  for (const int size : kSizes) {
    make(db_, "key", size);
    for (const std::size_t first : {0u, 1u, 31u, 60u, 499u, 500u}) {
      for (const std::size_t count : {std::size_t{0}, std::size_t{2}, ~std::size_t{0}}) {
        std::size_t seen = 0;
        EXPECT_EQ(db_.visit_members("key", first, count,
                                    [&](std::string_view name, const Value& value) {
                                      EXPECT_EQ(name, name_of(static_cast<int>(first + seen)));
                                      EXPECT_EQ(value, value_of(static_cast<int>(first + seen)));
                                      ++seen;
                                    }),
                  static_cast<std::size_t>(size));
        const std::size_t there = static_cast<std::size_t>(size) - std::min(static_cast<std::size_t>(size), first);
        EXPECT_EQ(seen, std::min(count, there)) << size << ' ' << first;
      }
    }
  }
  EXPECT_EQ(db_.visit_members("absent", 0, 1, [](std::string_view, const Value&) {}), std::nullopt);
}

TEST_F(MembersOfObjects, ModifyMemberPutsWhatItIsGiven) {
  const Value others[] = {nullptr, 7, "short", value_of(1), Value::array({nullptr, 1}), Value::parse(R"({"a": null, "b": 1})")};
  for (const int size : {0, 3, 64, 65, 300}) {
    make(db_, "key", size);
    db_.modify_member("key", "new", [](const auto& old) {
      EXPECT_EQ(old, std::nullopt);
      return Value::object({{"old", 1}});
    });
    Value before = Value::object({{"old", 1}});
    for (const Value& other : others) {
      EXPECT_EQ(db_.modify_member("key", "new",
                                  [&](std::optional<Value> old) {
                                    EXPECT_EQ(old, before);
                                    return other;
                                  }),
                other);
      EXPECT_EQ(db_.member("key", "new"), other) << "it doesn't merge";
      EXPECT_EQ(db_.length("key"), static_cast<std::size_t>(size) + 1);
      before = other;
    }
    EXPECT_EQ(db_.modify_member("key", "new", [](auto) { return std::optional<Value>(); }), std::nullopt);
    EXPECT_EQ(db_.get("key"), object(size));
  }
  EXPECT_EQ(db_.modify_member("absent", "a", [](auto) { return std::optional<Value>(); }), std::nullopt);
  EXPECT_FALSE(db_.exists("absent"));
  EXPECT_EQ(db_.modify_member("absent", "a", [](auto) { return Value(1); }), Value(1));
  EXPECT_EQ(db_.get("absent"), Value::object({{"a", 1}}));
}

TEST_F(MembersOfObjects, AFunctionThatThrowsChangesNothing) {
  for (const int size : {3, 300}) {
    make(db_, "key", size);
    const KeyVersion version = db_.version("key");
    EXPECT_THROW(
        db_.modify_member("key", name_of(1), [](std::optional<Value>) -> std::optional<Value> { throw std::runtime_error("no"); }),
        std::runtime_error);
    EXPECT_TRUE(throws(Errc::invalid_argument, {"set", name_}, [&] {
      return db_.modify_member("key", name_of(1), [&](std::optional<Value> old) {
        EXPECT_EQ(db_.member("key", name_of(2)), value_of(2)) << "reads are allowed";
        db_.set("other", 1);
        return old;
      });
    }));
    EXPECT_TRUE(db_.unchanged("key", version));
  }
}

TEST_F(MembersOfObjects, AnythingElseIsATypeMismatch) {
  const Value patch = Value::object({{"a", 1}});
  for (const Value& other : {Value(), Value(1), Value("text"), Value::binary({}), Value::array({}), integers(1, 100)}) {
    db_.set("key", other);
    const auto fails = [&](const char* name, auto call) { EXPECT_TRUE(throws(Errc::type_mismatch, {name, name_, "key"}, call)); };
    fails("change_members", [&] { return db_.change_members("key", patch).size; });
    fails("modify_member", [&] { return db_.modify_member("key", "a", [](auto old) { return old; }); });
    fails("member", [&] { return db_.member("key", "a"); });
    fails("visit_members", [&] { return db_.visit_members("key", {"a"}, [](std::size_t, const Value&) {}); });
    fails("visit_members", [&] { return db_.visit_members("key", 0, 1, [](std::string_view, const Value&) {}); });
    EXPECT_EQ(db_.get("key"), other);
    db_.set("object", object(100));
    EXPECT_TRUE(throws(Errc::type_mismatch, {"change_members", "object"}, [&] { return db_.change_members("object", other).size; }));
  }
  make(db_, "object", 100);
  EXPECT_TRUE(throws(Errc::type_mismatch, {"push", "object"}, [&] { return db_.push("object", 1); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {"increment", "object"}, [&] { return db_.increment("object"); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {"slice", "object"}, [&] { return db_.slice("object", 0, 1); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {"shift", "object"}, [&] { return db_.shift("object"); }));
}

TEST_F(MembersOfObjects, TheCapHoldsForTheWholeObject) {
  Options options;
  options.max_value_bytes = 20000;
  Datastore capped = open_other(options);
  make(capped, "key", 100);
  int number = 100;
  for (;; ++number) {
    ASSERT_LT(number, 1000);
    std::map<std::string, Value> next{{name_of(number), value_of(number)}};
    if (throws(Errc::value_too_large, {"change_members", "20000"},
               [&] { return capped.change_members("key", Value::object(next)).size; })) {
      break;
    }
  }
  EXPECT_EQ(capped.get("key"), object(number)) << "the call that threw has changed nothing";
  EXPECT_TRUE(throws(Errc::value_too_large, {"set", "20000"}, [&] { return capped.set("other", object(number + 1)), 0; }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"modify_member"}, [&] {
    return capped.modify_member("key", "new", [](auto) { return Value(std::string(1000, 'x')); });
  }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"modify_member"}, [&] {
    return capped.modify_member("key", "new", [](auto) { return Value(std::string(100000, 'x')); });
  }));
  EXPECT_EQ(capped.get("key"), object(number));
}

TEST_F(MembersOfObjects, NestNoDeeperThanOtherValues) {
  Value deep = 1;
  for (int level = 0; level < 511; ++level) deep = Value::array({deep});
  for (const int size : {3, 300}) {
    make(db_, "key", size);
    EXPECT_EQ(db_.modify_member("key", "deep", [&](auto) { return deep; }), deep);
    EXPECT_EQ(db_.get("key")->find("deep"), deep);
    const Value deeper = Value::array({deep});
    EXPECT_TRUE(throws(Errc::invalid_argument, {"modify_member", "512"},
                       [&] { return db_.modify_member("key", "deep", [&](auto) { return deeper; }); }));
    EXPECT_EQ(db_.member("key", "deep"), deep);
  }
}

TEST_F(MembersOfObjects, KeepTheDeadline) {
  db_.set("key", object(300), 1h);
  const auto deadline = db_.deadline("key");
  ASSERT_TRUE(deadline);
  for (int number = 0; number < 290; ++number) {
    db_.change_members("key", Value::object({{name_of(number), nullptr}}));
    ASSERT_EQ(db_.deadline("key"), deadline) << number;
  }
  make(db_, "other", 300);
  db_.expire("other", 1h);
  EXPECT_TRUE(db_.ttl("other"));
  EXPECT_EQ(db_.get("other"), object(300));
  db_.change_members("other", Value::object({{"new", 1}}));
  EXPECT_TRUE(db_.ttl("other"));
  EXPECT_TRUE(db_.remove_expiry("other"));
  db_.change_members("other", Value::object({{"new", nullptr}}));
  EXPECT_FALSE(db_.ttl("other"));
  db_.expire("other", 1ms);
  outlive(1ms);
  EXPECT_EQ(db_.member("other", name_of(1)), std::nullopt);
  EXPECT_EQ(db_.change_members("other", Value::object({{"new", 1}})).size, 1u) << "what has expired is absent";
}

TEST_F(MembersOfObjects, GoWithARename) {
  make(db_, "from", 300);
  db_.rename("from", "to");
  EXPECT_FALSE(db_.exists("from"));
  EXPECT_EQ(db_.get("to"), object(300));
  db_.change_members("to", Value::object({{name_of(0), nullptr}}));
  EXPECT_EQ(db_.length("to"), 299u);
  db_.change_members("from", Value::object({{"a", 1}}));
  EXPECT_TRUE(throws(Errc::key_exists, {"rename"}, [&] { return db_.rename("to", "from"), 0; }));
  EXPECT_EQ(db_.length("to"), 299u);
}

TEST_F(MembersOfObjects, AreReplacedAndTakenAsAWhole) {
  make(db_, "key", 300);
  EXPECT_EQ(db_.swap("key", 1), object(300));
  make(db_, "key", 300);
  EXPECT_EQ(db_.take("key"), object(300));
  make(db_, "key", 300);
  db_.set("key", "text");
  make(db_, "key", 300);
  EXPECT_EQ(db_.modify("key", [](std::optional<Value> old) { return Value(old->size()); }), Value(300));
  make(db_, "key", 300);
  EXPECT_TRUE(db_.erase("key"));
  make(db_, "key", 300);
  db_.clear();
  EXPECT_EQ(db_.size(), 0u);
}

TEST_F(MembersOfObjects, AreShownByScans) {
  make(db_, "key", 300);
  int seen = 0;
  db_.for_each([&](std::string_view key, const Value& value) {
    EXPECT_EQ(key, "key");
    EXPECT_EQ(value, object(300));
    db_.change_members("key", Value::object({{name_of(0), nullptr}}));
    ++seen;
  });
  EXPECT_EQ(seen, 1);
  Type type = Type::null;
  for (std::uint64_t cursor = 0;;) {
    cursor = db_.scan(cursor, 100, [&](std::string_view, Type of) { type = of; });
    if (cursor == 0) break;
  }
  EXPECT_EQ(type, Type::object);
}

TEST_F(MembersOfObjects, EndWaits) {
  make(db_, "key", 300);
  auto changed = start([&] { return db_.wait("key", kLong); });
  auto equal = start([&] { return db_.wait("key", object(302), kLong); });
  auto predicate = start([&] {
    return db_.wait_for(
        "key", [](const Value& value) { return value.size() == 303; }, kLong);
  });
  ASSERT_TRUE(waiting(db_, 3));
  const auto add = [&](int number) {
    const std::string name = name_of(number);
    db_.change_members("key", Value::object({{name, value_of(number)}}));
  };
  add(300);
  EXPECT_EQ(changed.value(), object(301));
  add(301);
  EXPECT_EQ(equal.value(), object(302));
  add(302);
  EXPECT_EQ(predicate.value(), object(303));
}

TEST_F(MembersOfObjects, OldValuesStayWhatTheyWere) {
  make(db_, "key", 300);
  const Value whole = *db_.get("key");
  const Value one = *db_.member("key", name_of(7));
  for (int number = 0; number < 300; ++number) {
    db_.change_members("key", Value::object({{name_of(number), number}}));
  }
  db_.erase("key");
  EXPECT_EQ(whole, object(300));
  EXPECT_EQ(one, value_of(7));
}

TEST_F(MembersOfObjects, AreThoseOfAMapWhateverIsDone) {
  std::mt19937 random(1);
  const auto draw = [&](int below) { return std::uniform_int_distribution<int>(0, below - 1)(random); };
  std::map<std::string, Value> model;
  for (int round = 0; round < 4000; ++round) {
    const int span = round / 1000 % 2 == 0 ? 400 : 60;
    const std::string name = name_of(draw(400));
    const int what = draw(10);
    if (what < 5) {
      const Value value = draw(2) == 0 ? Value(draw(1000)) : value_of(draw(1000));
      const std::string other = name_of(draw(span));
      db_.change_members("key", Value::object({{name, value}, {other, value}}));
      model[name] = model[other] = value;
    } else if (what < (span == 60 ? 10 : 7)) {
      db_.change_members("key", Value::object({{name, nullptr}}), kEraseObject);
      model.erase(name);
    } else if (what == 7) {
      db_.modify_member("key", name, [&](std::optional<Value> old) {
        const auto found = model.find(name);
        EXPECT_EQ(old, found != model.end() ? std::optional(found->second) : std::nullopt);
        return Value(round);
      });
      model[name] = round;
    } else if (what == 8) {
      db_.update("key", Value::object({{name, round}}));
      model[name] = round;
    }
    if (round % 20 == 0) {
      const Value expected = Value::object(model);
      ASSERT_EQ(db_.get("key").value_or(Value::object({})), expected) << round;
    }
  }
}

// --- in transactions

TEST_F(MembersOfObjects, InATransactionAreSeenAtOnceAndTakeEffectTogether) {
  for (const int size : {3, 64, 65, 300}) {
    make(db_, "key", size);
    make(db_, "other", size);
    db_.transact({"key", "other", "absent"}, [&](Transaction& transaction) {
      EXPECT_TRUE(changed(transaction.change_members("key", Value::object({{"new", 1}, {name_of(0), nullptr}})), 1, 1,
                          static_cast<std::size_t>(size)));
      EXPECT_EQ(transaction.member("key", "new"), Value(1));
      EXPECT_EQ(transaction.member("key", name_of(0)), std::nullopt);
      EXPECT_EQ(transaction.length("key"), static_cast<std::size_t>(size));
      EXPECT_EQ(transaction.type("key"), Type::object);
      EXPECT_EQ(transaction.modify_member("key", "new", [](std::optional<Value> old) { return Value(old->as_int() + 1); }), Value(2));
      EXPECT_EQ(transaction.modify_member("key", "object", [](auto) { return Value::parse(R"({"a":null})"); }),
                Value::parse(R"({"a":null})"));
      std::vector<std::string> names;
      EXPECT_EQ(transaction.visit_members("key", 0, 2, [&](std::string_view name, const Value&) { names.emplace_back(name); }),
                static_cast<std::size_t>(size) + 1);
      EXPECT_EQ(names, (std::vector<std::string>{name_of(1), name_of(2)}));
      EXPECT_EQ(transaction.visit_members("other", {name_of(1), "absent"}, [](std::size_t, const Value&) {}), 1u);
      EXPECT_EQ(transaction.visit_members("absent", {"a"}, [](std::size_t, const Value&) {}), std::nullopt);
      EXPECT_EQ(transaction.member("other", name_of(2)), value_of(2));
      EXPECT_EQ(transaction.update("other", Value::object({{"x", 1}})).size(), static_cast<std::size_t>(size) + 1);
      EXPECT_EQ(transaction.get("other")->size(), static_cast<std::size_t>(size) + 1);
      EXPECT_TRUE(changed(transaction.change_members("absent", Value::object({{"a", nullptr}}), kEraseObject), 0, 0, 0));
      EXPECT_EQ(db_.member("key", "new"), std::nullopt) << "nobody else sees it yet";
    });
    EXPECT_EQ(db_.member("key", "new"), Value(2));
    EXPECT_EQ(db_.member("key", "object"), Value::parse(R"({"a":null})"));
    EXPECT_EQ(db_.member("other", "x"), Value(1));
    EXPECT_FALSE(db_.exists("absent"));
    db_.change_members("key", Value::object({{"new", nullptr}, {"object", nullptr}, {name_of(0), value_of(0)}}));
    EXPECT_EQ(db_.get("key"), object(size));
  }
}

TEST_F(MembersOfObjects, OfATransactionThatThrowsNothingIsLeft) {
  for (const int size : {3, 300}) {
    make(db_, "key", size);
    const KeyVersion version = db_.version("key");
    EXPECT_THROW(db_.transact({"key"},
                              [&](Transaction& transaction) {
                                for (int number = 0; number < size; ++number) {
                                  transaction.change_members("key", Value::object({{name_of(number), number}, {"more", 1}}));
                                }
                                throw std::runtime_error("no");
                              }),
                 std::runtime_error);
    EXPECT_TRUE(db_.unchanged("key", version));
    EXPECT_EQ(db_.get("key"), object(size));
  }
}

TEST_F(MembersOfObjects, InATransactionMixWithAllElse) {
  for (const int size : {3, 300}) {
    make(db_, "key", size);
    db_.transact({"key", "to"}, [&](Transaction& transaction) {
      transaction.change_members("key", Value::object({{"new", 1}}));
      transaction.rename("key", "to");
      transaction.change_members("to", Value::object({{"newer", 2}}));
      EXPECT_EQ(transaction.member("to", "new"), Value(1));
      transaction.set("key", object(200));
      transaction.change_members("key", Value::object({{name_of(0), nullptr}}));
      transaction.expire("key", 1h);
    });
    EXPECT_EQ(db_.length("to"), static_cast<std::size_t>(size) + 2);
    EXPECT_EQ(db_.length("key"), 199u);
    EXPECT_TRUE(db_.ttl("key"));
    db_.transact({"key", "to"}, [&](Transaction& transaction) {
      transaction.erase("to");
      transaction.rename("key", "to");
      EXPECT_EQ(transaction.member("to", name_of(1)), value_of(1));
      EXPECT_EQ(transaction.change_members("to", Value::object({{"new", 1}})).size, 200u);
      EXPECT_TRUE(transaction.ttl("to"));
    });
    EXPECT_TRUE(db_.ttl("to"));
    EXPECT_EQ(db_.length("to"), 200u);
    db_.transact({"to"}, [&](Transaction& transaction) {
      for (int number = 1; number < 200; ++number) transaction.change_members("to", Value::object({{name_of(number), nullptr}}), kEraseObject);
      EXPECT_TRUE(transaction.exists("to"));
      EXPECT_EQ(transaction.change_members("to", Value::object({{"new", nullptr}}), kEraseObject).size, 0u);
      EXPECT_FALSE(transaction.exists("to"));
    });
    EXPECT_FALSE(db_.exists("to"));
  }
}

TEST_F(MembersOfObjects, InATransactionAnOperationThatThrowsHasChangedNothing) {
  Options options;
  options.max_value_bytes = 30000;
  Datastore capped = open_other(options);
  make(capped, "key", 300);
  const Value large = std::string(20000, 'x');
  capped.transact({"key"}, [&](Transaction& transaction) {
    transaction.change_members("key", Value::object({{"new", 1}}));
    EXPECT_TRUE(throws(Errc::value_too_large, {}, [&] {
      return transaction.change_members("key", Value::object({{"a", 1}, {"new", large}, {"z", large}})).size;
    }));
    EXPECT_TRUE(throws(Errc::value_too_large, {}, [&] {
      return transaction.modify_member("key", "new", [&](auto) { return large; });
    }));
    EXPECT_TRUE(throws(Errc::type_mismatch, {}, [&] { return transaction.change_members("key", large).size; }));
    EXPECT_EQ(transaction.member("key", "new"), Value(1));
    EXPECT_EQ(transaction.length("key"), 301u);
  });
  EXPECT_EQ(capped.length("key"), 301u);
}

// --- in durable stores

class DurableMembers : public MembersOfObjects {
 protected:
  Options options(const char* folder = "store") const {
    Options options;
    options.directory = folder_.path() / folder;
    return options;
  }
  /// What a process that dies now leaves.
  Datastore left_behind() {
    EXPECT_TRUE(copy_of_one_instant(folder_.path() / "store", folder_.path() / "left"));
    close("left");
    return open("left", options("left"));
  }
  void do_it_all(Datastore& store) {
    make(store, "large", 300);
    std::map<std::string, Value> model;
    for (int number = 0; number < 2000; ++number) {
      const std::string name = name_of(number % 700);
      store.change_members("grown", Value::object({{name, number}, {"text", value_of(number)}}));
      model[name] = number;
      model["text"] = value_of(number);
    }
    EXPECT_EQ(store.get("grown"), Value::object(model));
    store.modify_member("large", "array", [](auto) { return Value::array({1, nullptr}); });
    store.modify_member("large", "null", [](auto) { return Value(); });
    store.modify_member("large", "object", [](auto) { return Value::parse(R"({"a": {"b": null}})"); });
    store.modify_member("large", name_of(5), [](auto) { return std::optional<Value>(); });
    store.update("large", Value::object({{"object", Value::object({{"c", 1}})}}));
    store.expire("large", 1h);
    make(store, "emptied", 300);
    for (int number = 0; number < 300; ++number) {
      store.change_members("emptied", Value::object({{name_of(number), nullptr}}), kEraseObject);
    }
    make(store, "shrunk", 300);
    for (int number = 10; number < 300; ++number) store.change_members("shrunk", Value::object({{name_of(number), nullptr}}));
    make(store, "before", 300);
    store.rename("before", "renamed");
    store.change_members("renamed", Value::object({{"new", 1}}));
    make(store, "a", 300);
    make(store, "b", 3);
    store.transact({"a", "b", "c"}, [](Transaction& transaction) {
      for (const char* key : {"a", "b"}) {
        transaction.change_members(key, Value::object({{"x", 1}, {name_of(1), nullptr}}));
        transaction.modify_member(key, "y", [](auto) { return Value("why"); });
      }
      transaction.set("c", object(200));
      transaction.change_members("c", Value::object({{"x", 1}}));
    });
    store.transact({"a", "b"}, [](Transaction& transaction) {
      transaction.modify_member("a", "z", [](auto) { return Value::parse(R"({"n": null})"); });
      transaction.expire("a", 1h);
    });
  }
  static std::map<std::string, Value> contents(const Datastore& store) {
    std::map<std::string, Value> all;
    store.for_each([&](std::string_view key, const Value& value) { all.emplace(key, value); });
    return all;
  }
  TemporaryFolder folder_;
};

TEST_F(DurableMembers, AreThereAgain) {
  Datastore store = open("store", options());
  do_it_all(store);
  const auto expected = contents(store);
  EXPECT_FALSE(expected.contains("emptied"));
  {
    Datastore left = left_behind();
    EXPECT_EQ(contents(left), expected) << "by the log alone";
    EXPECT_TRUE(left.ttl("large"));
    EXPECT_TRUE(left.ttl("a"));
    left.change_members("grown", Value::object({{"more", 1}}));
    EXPECT_EQ(left.member("grown", "more"), Value(1));
  }
  store.save();
  store.change_members("grown", Value::object({{"more", 2}}));
  const auto more = contents(store);
  {
    Datastore left = left_behind();
    EXPECT_EQ(contents(left), more) << "by a checkpoint and the log";
  }
  close("store");
  EXPECT_EQ(contents(open("store", options())), more);
}

TEST_F(DurableMembers, LogTheChangeOnly) {
  Datastore store = open("store", options());
  make(store, "key", 5000);
  const std::uint64_t before = store.stats().log_bytes;
  for (int round = 0; round < 100; ++round) {
    store.change_members("key", Value::object({{name_of(round), round}}));
    store.modify_member("key", name_of(round), [](std::optional<Value> old) { return Value(old->as_int() + 1); });
    store.transact({"key"}, [&](Transaction& transaction) {
      transaction.change_members("key", Value::object({{"text", value_of(round)}}));
    });
  }
  EXPECT_LT(store.stats().log_bytes - before, 300u * 300u) << "an object of 5000 members was logged as a whole";
}

TEST_F(DurableMembers, AreSavedWhileTheyChange) {
  Options files;
  files.persist = folder_.path() / "store.json";
  Datastore store = open("file", files);
  make(store, "key", 300);
  {
    Repeat changes([&, number = 0]() mutable {
      // Both at one instant, so that a save in between is seen.
      store.change_members("key", Value::object({{"a", number}, {name_of(number % 300), number}, {"z", number}}));
      ++number;
    });
    Options copy;
    copy.persist = folder_.path() / "copy.json";
    copy.read_only = true;
    for (int saves = 0; saves < 20; ++saves) {
      store.save();
      write_text(copy.persist, read_text(folder_.path() / "store.json"));
      const Value saved = *open("copy", copy).get("key");
      EXPECT_EQ(saved["a"], saved["z"]);
      close("copy");
    }
  }
  const Value last = *store.get("key");
  close("file");
  EXPECT_EQ(open("file", files).get("key"), last);
}

}  // namespace
}  // namespace cubby::contract
