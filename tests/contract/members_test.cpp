// SPDX-License-Identifier: Apache-2.0

// change_members, modify_member, member and visit_members: objects that are changed and read member by member. Large ones are
// kept otherwise than small ones; nobody may notice.

#include <map>
#include <random>

#include "object_members.hpp"

namespace cubby::contract {
namespace {

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
  EXPECT_TRUE(
      changed(db_.change_members("large", Value::object({{"a", 1}, {name_of(1), 2}, {name_of(2), nullptr}})), 1, 1, 300));
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
    EXPECT_THROW(db_.modify_member("key", name_of(1),
                                   [](std::optional<Value>) -> std::optional<Value> { throw std::runtime_error("no"); }),
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
    const auto fails = [&](const char* name, auto call) {
      EXPECT_TRUE(throws(Errc::type_mismatch, {name, name_, "key"}, call));
    };
    fails("change_members", [&] { return db_.change_members("key", patch).size; });
    fails("modify_member", [&] { return db_.modify_member("key", "a", [](auto old) { return old; }); });
    fails("member", [&] { return db_.member("key", "a"); });
    fails("visit_members", [&] { return db_.visit_members("key", {"a"}, [](std::size_t, const Value&) {}); });
    fails("visit_members", [&] { return db_.visit_members("key", 0, 1, [](std::string_view, const Value&) {}); });
    EXPECT_EQ(db_.get("key"), other);
    db_.set("object", object(100));
    EXPECT_TRUE(
        throws(Errc::type_mismatch, {"change_members", "object"}, [&] { return db_.change_members("object", other).size; }));
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
  EXPECT_TRUE(throws(Errc::value_too_large, {"modify_member"},
                     [&] { return capped.modify_member("key", "new", [](auto) { return Value(std::string(1000, 'x')); }); }));
  EXPECT_TRUE(throws(Errc::value_too_large, {"modify_member"},
                     [&] { return capped.modify_member("key", "new", [](auto) { return Value(std::string(100000, 'x')); }); }));
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
  EXPECT_EQ(db_.modify("key", [](std::optional<Value> old) { return Value(old.value().size()); }), Value(300));
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

}  // namespace
}  // namespace cubby::contract
