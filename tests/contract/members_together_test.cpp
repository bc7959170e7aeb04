// SPDX-License-Identifier: Apache-2.0

// Objects that are changed member by member, in transactions and in stores that are saved or logged.

#include <map>

#include "object_members.hpp"

namespace cubby::contract {
namespace {

using MembersInTransactions = MembersOfObjects;

TEST_F(MembersInTransactions, InATransactionAreSeenAtOnceAndTakeEffectTogether) {
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
      EXPECT_EQ(
          transaction.modify_member("key", "new", [](std::optional<Value> old) { return Value(old.value().as_int() + 1); }),
          Value(2));
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

TEST_F(MembersInTransactions, OfATransactionThatThrowsNothingIsLeft) {
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

TEST_F(MembersInTransactions, InATransactionMixWithAllElse) {
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
      for (int number = 1; number < 200; ++number)
        transaction.change_members("to", Value::object({{name_of(number), nullptr}}), kEraseObject);
      EXPECT_TRUE(transaction.exists("to"));
      EXPECT_EQ(transaction.change_members("to", Value::object({{"new", nullptr}}), kEraseObject).size, 0u);
      EXPECT_FALSE(transaction.exists("to"));
    });
    EXPECT_FALSE(db_.exists("to"));
  }
}

TEST_F(MembersInTransactions, InATransactionAnOperationThatThrowsHasChangedNothing) {
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
    EXPECT_TRUE(throws(Errc::value_too_large, {},
                       [&] { return transaction.modify_member("key", "new", [&](auto) { return large; }); }));
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
    close("left");
    EXPECT_TRUE(copy_of_one_instant(folder_.path() / "store", folder_.path() / "left"));
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
    store.modify_member("key", name_of(round), [](std::optional<Value> old) { return Value(old.value().as_int() + 1); });
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
