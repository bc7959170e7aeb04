// SPDX-License-Identifier: Apache-2.0

// Section 3: opening and closing, options, and the figures of "sys". What happens at process exit is in exit_test.cpp.

#include "operations.hpp"
#include "support.hpp"

namespace cubby::contract {
namespace {

using Stores = PersistenceTest;

TEST_F(Stores, OneNameIsOneStore) {
  Datastore again = open(name_);
  db_.set("key", 1);
  EXPECT_EQ(again.get("key"), Value(1));
  EXPECT_EQ(again.name(), name_);
}

TEST_F(Stores, ACopiedHandleIsTheSameStore) {
  Datastore copy = db_;
  copy.set("key", "value");
  EXPECT_EQ(db_.get("key"), Value("value"));
  EXPECT_EQ(copy.name(), name_);
}

TEST_F(Stores, DifferentNamesAreDifferentStores) {
  Datastore other = open_other({});
  other.set("key", 1);
  EXPECT_EQ(db_.get("key"), std::nullopt);
}

TEST_F(Stores, NamesAndCountListTheOpenStores) {
  const std::size_t before = count();
  Datastore other = open_other({});
  const std::string other_name(other.name());
  EXPECT_EQ(count(), before + 1);
  EXPECT_TRUE(contains(names(), name_));
  EXPECT_TRUE(contains(names(), other_name));
  EXPECT_EQ(names().size(), count());
  close(other_name);
  EXPECT_EQ(count(), before);
  EXPECT_FALSE(contains(names(), other_name));
}

TEST_F(Stores, OpenFromManyThreadsGivesOneStore) {
  const std::string name = fresh_store_name();
  run_threads(8, [&](int) {
    for (int round = 0; round < 100; ++round) open(name).increment("count");
  });
  EXPECT_EQ(open(name).get("count"), Value(800));
}

TEST_F(Stores, OptionsOfAnOpenStoreMustEqualThoseItWasOpenedWith) {
  Options options;
  options.max_value_bytes = 1000;
  const std::string name = fresh_store_name();
  Datastore first = open(name, options);
  EXPECT_NO_THROW(open(name, options));
  Options different = options;
  different.default_ttl = 5min;
  EXPECT_TRUE(throws(Errc::config, {name}, [&] { return open(name, different); }));
  EXPECT_TRUE(throws(Errc::config, {name_}, [&] { return open(name_, options); }));
  first.set("key", 1);
  EXPECT_EQ(open(name, options).get("key"), Value(1));
}

TEST_F(Stores, DefaultOptionsCountAsNoneAndAlwaysJoin) {
  Options options;
  options.max_value_bytes = 1000;
  const std::string name = fresh_store_name();
  open(name, options);
  Datastore joined = open(name, Options{});
  EXPECT_TRUE(throws(Errc::value_too_large, {name}, [&] { joined.set("key", std::string(5000, 'x')); }));
}

TEST_F(Stores, OneFileServesOneStore) {
  Datastore store = open_file();
  const std::string second = fresh_store_name();
  EXPECT_TRUE(throws(Errc::config, {second}, [&] { return open(second, options()); }));
  EXPECT_FALSE(contains(names(), second));
  store.set("key", 1);
  close(file_store_name_);
  EXPECT_EQ(open(second, options()).get("key"), Value(1));
}

TEST_F(Stores, OneFileServesOneStoreHoweverItsPathIsSpelled) {
  Datastore store = open_file();
  store.save();
  Options respelled;
  respelled.persist = folder_.path() / "." / "store.json";
  EXPECT_TRUE(throws(Errc::config, {}, [&] { return open_other(respelled); }));
  const std::filesystem::path link = folder_.path() / "link.json";
  std::filesystem::create_symlink(file(), link);
  Options linked;
  linked.persist = link;
  EXPECT_TRUE(throws(Errc::config, {}, [&] { return open_other(linked); }));
}

TEST_F(Stores, AStoreThatCannotLoadDoesNotOpen) {
  write_text(file(), "{\"key\": ");
  EXPECT_TRUE(throws(Errc::corrupt, {file_store_name_}, [&] { return open_file(); }));
  EXPECT_FALSE(contains(names(), file_store_name_));
  EXPECT_EQ(read_text(file()), "{\"key\": ");
  write_text(file(), "{\"key\": 1}");
  EXPECT_EQ(open_file().get("key"), Value(1));
}

TEST_F(Stores, CloseFreesTheNameForANewStore) {
  db_.set("key", 1);
  close(name_);
  EXPECT_FALSE(contains(names(), name_));
  Datastore fresh = open(name_);
  EXPECT_EQ(fresh.get("key"), std::nullopt);
  fresh.set("key", 2);
  EXPECT_TRUE(throws(Errc::closed, {name_}, [&] { db_.get("key"); }));
}

TEST_F(Stores, EveryCallThroughAnOldHandleThrowsClosed) {
  db_.set("key", 1);
  close(name_);
  for (const Operation& operation : operations_on_a_key()) {
    EXPECT_TRUE(throws(Errc::closed, {operation.name, name_}, [&] { operation.call(db_, "key"); })) << operation.name;
  }
  for (const Operation& operation : operations_on_all_keys()) {
    EXPECT_TRUE(throws(Errc::closed, {operation.name, name_}, [&] { operation.call(db_, ""); })) << operation.name;
  }
  EXPECT_EQ(db_.name(), name_);
}

TEST_F(Stores, CloseOfAnUnknownNameDoesNothing) {
  const std::size_t before = count();
  EXPECT_NO_THROW(close("a name that nobody opened"));
  EXPECT_EQ(count(), before);
}

TEST_F(Stores, CloseSavesWhatReturnedBeforeItBegan) {
  Datastore store = open_file();
  std::atomic<int> returned{0};
  auto writer = start([&, store]() mutable {
    for (int number = 1;; ++number) {
      store.set("number", number);
      returned.store(number);
    }
  });
  ASSERT_TRUE(eventually([&] { return returned.load() >= 100; }));
  const int before = returned.load();
  close(file_store_name_);
  EXPECT_TRUE(writer.threw(Errc::closed, {"set", file_store_name_, "number"}));
  EXPECT_GE(read_json(file())["number"].as_int(), before);
  EXPECT_LE(read_json(file())["number"].as_int(), returned.load()) << "a call that threw changed the store";
}

TEST_F(Stores, AFailedFinalSaveLeavesTheStoreOpen) {
  Datastore store = open_file();
  store.set("key", 1);
  store.set("\xff", 2);
  EXPECT_TRUE(throws(Errc::invalid_argument, {file_store_name_}, [&] { close(file_store_name_); }));
  EXPECT_TRUE(contains(names(), file_store_name_));
  EXPECT_EQ(store.get("key"), Value(1));
  store.erase("\xff");
  EXPECT_EQ(open(file_store_name_).increment("key"), Value(2));
  close(file_store_name_);
  EXPECT_EQ(read_json(file()), Value::parse(R"({"key": 2})"));
}

TEST_F(Stores, OpenOfANameThatIsBeingClosedWaits) {
  constexpr int kRounds = 20;
  Datastore filled = open_file();
  for (int key = 0; key < 2000; ++key) filled.set("key " + std::to_string(key), key);
  for (int round = 0; round < kRounds; ++round) {
    std::latch both(2);
    auto opener = start([&] {
      both.arrive_and_wait();
      Datastore store = open(file_store_name_, options());
      try {
        return store.get("key 1999") == Value(1999);
      } catch (const Error& error) {
        return error.code() == Errc::closed;  // it joined the store before it was closed
      }
    });
    both.arrive_and_wait();
    close(file_store_name_);
    EXPECT_TRUE(opener.value()) << "a store was opened before its contents were in the file";
    EXPECT_EQ(open_file().size(), 2000u);
  }
}

TEST_F(Stores, ShutdownClosesAllStores) {
  Datastore store = open_file();
  store.set("key", 1);
  shutdown();
  EXPECT_EQ(count(), 0u);
  EXPECT_TRUE(throws(Errc::closed, {name_}, [&] { db_.get("key"); }));
  EXPECT_TRUE(throws(Errc::closed, {file_store_name_}, [&] { store.get("key"); }));
  EXPECT_EQ(open_file().get("key"), Value(1));
}

TEST_F(Stores, ShutdownTriesAllStoresAndThrowsTheFirstError) {
  Options good_options;
  good_options.persist = folder_.path() / "good.json";
  Datastore good = open_other(good_options);
  good.set("key", 1);
  Datastore bad = open_file();
  bad.set("\xff", 1);
  Options last_options;
  last_options.persist = folder_.path() / "last.json";
  Datastore last = open_other(last_options);
  last.set("key", 2);
  EXPECT_TRUE(throws(Errc::invalid_argument, {file_store_name_}, [] { shutdown(); }));
  EXPECT_EQ(names(), std::vector<std::string>{file_store_name_});
  EXPECT_EQ(read_json(good_options.persist), Value::parse(R"({"key": 1})"));
  EXPECT_EQ(read_json(last_options.persist), Value::parse(R"({"key": 2})"));
  EXPECT_TRUE(bad.erase("\xff"));
}

TEST_F(Stores, AReadOnlyStoreRefusesEveryMutationAndSave) {
  write_text(file(), R"({"key": 1, "queue": [1, 2], "object": {"a": 1}})");
  Options read_only = options();
  read_only.read_only = true;
  Datastore store = open_other(read_only);
  const std::string name(store.name());
  for (const char* key : {"key", "queue", "object", "absent"}) {
    for (const Operation& operation : operations_on_a_key()) {
      if (!operation.writes) continue;
      EXPECT_TRUE(throws(Errc::read_only, {operation.name, name}, [&] { operation.call(store, key); })) << operation.name;
    }
  }
  for (const Operation& operation : operations_on_all_keys()) {
    if (!operation.writes) continue;
    EXPECT_TRUE(throws(Errc::read_only, {operation.name, name}, [&] { operation.call(store, ""); })) << operation.name;
  }
  EXPECT_EQ(store.get("key"), Value(1));
  EXPECT_EQ(store.get("queue"), integers(1, 2));
  EXPECT_EQ(sorted(store.keys()), (std::vector<std::string>{"key", "object", "queue"}));
  close(name);
  EXPECT_EQ(read_text(file()), R"({"key": 1, "queue": [1, 2], "object": {"a": 1}})");
}

TEST_F(Stores, AReadOnlyStoreWithoutItsFileIsAnIoError) {
  Options read_only = options();
  read_only.read_only = true;
  EXPECT_TRUE(throws(Errc::io, {"store.json"}, [&] { return open_other(read_only); }));
  EXPECT_FALSE(std::filesystem::exists(file()));
}

using Sys = ContractTest;

TEST_F(Sys, ShowsTheFiguresOfTheProcess) {
  Datastore sys = open("sys");
  EXPECT_EQ(sys.name(), "sys");
  for (const char* key : {"uptime_seconds", "datastores", "keys", "memory_bytes", "operations.get", "operations.set"}) {
    EXPECT_TRUE(sys.exists(key)) << key;
    EXPECT_TRUE(contains(sys.keys(), key)) << key;
    const std::optional<Value> figure = sys.get(key);
    ASSERT_TRUE(figure && figure->is_number()) << key;
    EXPECT_GE(figure->as_double(), 0.0) << key;
  }
  EXPECT_EQ(sys.get("no such figure"), std::nullopt);
  EXPECT_EQ(sys.size(), sys.keys().size());
}

TEST_F(Sys, FiguresAreLive) {
  Datastore sys = open("sys");
  const auto figure = [&](const char* key) { return sys.get(key)->as_double(); };
  EXPECT_EQ(figure("datastores"), static_cast<double>(count()));
  const double keys = figure("keys");
  const double sets = figure("operations.set");
  const double gets = figure("operations.get");
  for (int key = 0; key < 10; ++key) {
    db_.set(std::to_string(key), key);
    db_.get(std::to_string(key));
  }
  EXPECT_EQ(figure("keys"), keys + 10);
  EXPECT_GE(figure("operations.set"), sets + 10);
  EXPECT_GE(figure("operations.get"), gets + 10);
  open_other({});
  EXPECT_EQ(figure("datastores"), static_cast<double>(count()));
  EXPECT_GT(figure("memory_bytes"), 0.0);
}

TEST_F(Sys, ScansAndVisitsWork) {
  Datastore sys = open("sys");
  std::size_t seen = 0;
  sys.for_each([&](std::string_view, const Value&) { ++seen; });
  EXPECT_EQ(seen, sys.size());
  EXPECT_TRUE(contains(sys.keys("operations."), "operations.get"));
  EXPECT_FALSE(contains(sys.keys("operations."), "uptime_seconds"));
  EXPECT_TRUE(sys.visit("datastores", [](const Value& value) { EXPECT_EQ(value, Value(count())); }));
}

TEST_F(Sys, IsNotAmongTheNames) {
  const std::size_t before = count();
  open("sys");
  EXPECT_EQ(count(), before);
  EXPECT_FALSE(contains(names(), "sys"));
}

TEST_F(Sys, TakesNoOptions) {
  Options options;
  options.max_value_bytes = 1;
  EXPECT_TRUE(throws(Errc::config, {"sys"}, [&] { return open("sys", options); }));
  EXPECT_NO_THROW(open("sys", Options{}));
}

TEST_F(Sys, TakesNoWrites) {
  Datastore sys = open("sys");
  for (const Operation& operation : operations_on_a_key()) {
    if (!operation.writes) continue;
    EXPECT_TRUE(throws(Errc::read_only, {operation.name, "sys"}, [&] { operation.call(sys, "keys"); })) << operation.name;
  }
  EXPECT_TRUE(throws(Errc::read_only, {"clear", "sys"}, [&] { sys.clear(); }));
  EXPECT_TRUE(sys.exists("keys"));
}

TEST(Version, IsAString) { EXPECT_STRNE(CUBBY_VERSION, ""); }

}  // namespace
}  // namespace cubby::contract
