// SPDX-License-Identifier: Apache-2.0

// Durable mode: Options::directory. Crashes are in tests/crash; power loss and failing disks in tests/unit, through the file
// layer. Here a "crash" is a copy of the folder that is made while the store is open and nobody writes: what a process that is
// killed would leave, but for the inodes.

#include <array>
#include <limits>
#include <map>
#include <set>

#include "support.hpp"

namespace cubby::contract {
namespace {

namespace fs = std::filesystem;

std::array<std::byte, 32> key_of(unsigned char seed) {
  std::array<std::byte, 32> key{};
  for (std::size_t index = 0; index < key.size(); ++index) key[index] = static_cast<std::byte>(seed + index);
  return key;
}

std::string name_of(const char* prefix, int number) { return prefix + std::to_string(number); }

class Durable : public PersistenceTest {
 protected:
  fs::path folder() const { return file().parent_path() / "durable"; }
  fs::path left_behind() const { return file().parent_path() / "left"; }

  Options options() const {
    Options options;
    options.directory = folder();
    return options;
  }
  Datastore open_durable(const std::string& name = "durable") { return cubby::open(name, options()); }

  /// What a process that dies now leaves. Nobody writes, but checkpoints may be made in the background, and windows emptied: a
  /// copy made file by file would have a window from after that, and its segment from before.
  void crash() { ASSERT_TRUE(copy_of_one_instant(folder(), left_behind())); }
  Datastore open_left_behind() {
    Options options;
    options.directory = left_behind();
    return cubby::open("left", options);
  }

  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& each : fs::directory_iterator(folder())) names.insert(each.path().filename().string());
    return names;
  }

  void TearDown() override {
    cubby::shutdown();
    PersistenceTest::TearDown();
  }
};

Value everything(const Datastore& store) {
  std::vector<std::pair<std::string, Value>> members;
  store.for_each([&](std::string_view key, const Value& value) { members.emplace_back(key, value); });
  std::vector<std::pair<std::string_view, Value>> views(members.begin(), members.end());
  return Value::object(views);
}

/// One of each operation, on keys that begin with `prefix`.
void do_everything(Datastore& store, const std::string& prefix) {
  const auto key = [&](const char* name) { return prefix + name; };
  store.set(key("integer"), 42);
  store.set(key("negative"), -1'000'000'000'000);
  store.set(key("least"), std::numeric_limits<std::int64_t>::min());
  store.set(key("real"), 0.1);
  store.set(key("nothing"), nullptr);
  store.set(key("yes"), true);
  store.set(key("short"), "short text");
  store.set(key("long"), std::string(5000, 'x'));
  store.set(key("binary"), Value::binary(std::as_bytes(std::span("\0\1\2", 3))));
  store.set(key("object"), Value::parse(R"({"name":"Ada","tags":["a","b"],"nested":{"deep":[1,2.5,null]}})"));
  store.set("", "the empty key");
  store.set(std::string("\0\xff", 2), "bytes");
  store.set(key("overwritten"), 1);
  store.set(key("overwritten"), 2);
  store.set_once(key("once"), 1);
  store.set_once(key("once"), 2);
  store.swap(key("swapped"), "a");
  store.swap(key("swapped"), "b");
  store.increment(key("counter"));
  store.increment(key("counter"), 41);
  store.decrement(key("counter"), std::numeric_limits<std::int64_t>::min() + 100);
  store.decrement(key("counter"), 5);
  store.increment(key("counter"), 0.5);
  for (int element = 0; element < 200; ++element) store.push(key("queue"), element);
  for (int element = 0; element < 50; ++element) store.unshift(key("queue"), std::to_string(element));
  for (int taken = 0; taken < 30; ++taken) store.shift(key("queue"));
  for (int taken = 0; taken < 20; ++taken) store.pop(key("queue"));
  store.push(key("queue"), Value::parse(R"({"an":"object"})"));
  store.set(key("array"), Value::array({1, 2, 3}));
  store.shift(key("array"));
  for (const char* emptied : {"emptied", "filled again"}) {
    store.set(key(emptied), Value::array({1}), 1h);
    store.push(key(emptied), 2);
    store.shift(key(emptied), WhenEmptied::erase);
    store.pop(key(emptied), WhenEmptied::erase);
  }
  store.push(key("filled again"), 3);
  store.set(key("erased"), 1);
  store.erase(key("erased"));
  store.set(key("taken"), 1);
  store.take(key("taken"));
  store.set(key("from"), Value::array({1, 2}));
  store.push(key("from"), 3);
  store.rename(key("from"), key("to"));
  store.update(key("merged"), Value::parse(R"({"a":1,"b":{"c":2}})"));
  store.update(key("merged"), Value::parse(R"({"a":null,"b":{"d":3}})"));
  store.modify(key("modified"), [](std::optional<Value>) { return std::optional<Value>(7); });
  store.modify(key("modified"), [](std::optional<Value> old) { return std::optional<Value>(old->as_int() * 2); });
  store.modify(key("removed"), [](std::optional<Value>) { return std::optional<Value>(); });
  store.set(key("lease"), 1, 1h);
  store.expire(key("lease"), 2h);
  store.expire(key("lease"), 30min);
  store.set(key("kept"), 1, 1h);
  store.set(key("kept"), 2);
  store.set(key("unleashed"), 1, 1h);
  store.remove_expiry(key("unleashed"));
  store.set(key("gone"), 1, 0s);
  store.transact({key("t1"), key("t2"), key("t3"), key("t4"), key("queue"), key("array")}, [&](Transaction& all) {
    all.set(key("t1"), 1);
    all.increment(key("t2"), 2);
    all.push(key("t3"), 3);
    all.push(key("t3"), 4);
    all.shift(key("t3"));
    all.expire(key("t3"), 1h);
    all.shift(key("queue"));
    all.pop(key("queue"));
    all.push(key("queue"), "last");
    all.push(key("t4"), 1);
    all.pop(key("t4"), WhenEmptied::erase);
    all.shift(key("array"), WhenEmptied::erase);
    all.shift(key("array"), WhenEmptied::erase);
  });
}

TEST_F(Durable, EveryOperationIsThereAfterCloseAndAfterACrash) {
  Datastore store = open_durable();
  do_everything(store, "a/");
  const Value before = everything(store);
  const auto lease = store.ttl("a/lease"), kept = store.ttl("a/kept");
  crash();
  const auto expect_all = [&](const Datastore& again) {
    EXPECT_EQ(everything(again), before);
    EXPECT_FALSE(again.ttl("a/unleashed"));
    for (const auto& [key, left] : {std::pair("a/lease", lease), std::pair("a/kept", kept)}) {
      ASSERT_TRUE(again.ttl(key)) << key;
      EXPECT_LE(*again.ttl(key), *left + kExactness) << key;
      EXPECT_GT(*again.ttl(key), *left - kLong) << key;
    }
  };
  expect_all(open_left_behind());
  cubby::close("durable");
  expect_all(open_durable());
}

TEST_F(Durable, WritesGoOnAfterEachKindOfOpening) {
  for (int round = 0; round < 4; ++round) {
    Datastore store = open_durable();
    ASSERT_EQ(store.size(), static_cast<std::size_t>(round));
    store.set(name_of("round/", round), round);
    crash();
    {
      Datastore left = open_left_behind();
      ASSERT_EQ(left.size(), static_cast<std::size_t>(round + 1));
      left.set("more", 1);
      cubby::close("left");
      ASSERT_EQ(open_left_behind().get("more"), Value(1));
      cubby::close("left");
    }
    cubby::close("durable");
  }
}

TEST_F(Durable, ClearIsAnInstantOfTheLog) {
  Datastore store = open_durable();
  store.set("before", 1);
  store.clear();
  store.set("after", 2);
  crash();
  EXPECT_EQ(everything(open_left_behind()), Value::parse(R"({"after":2})"));
}

TEST_F(Durable, WhatExpiresIsNotThereAgain) {
  Datastore store = open_durable();
  store.set("brief", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return !store.exists("brief"); }));
  store.increment("brief", 5);  // a new key, without a deadline
  store.set("brief2", 1, 1ms);
  ASSERT_TRUE(eventually([&] { return !store.exists("brief2"); }));
  crash();
  EXPECT_EQ(everything(open_left_behind()), Value::parse(R"({"brief":5})"));
  EXPECT_FALSE(open_left_behind().ttl("brief"));
}

TEST_F(Durable, WhatAWaitingConsumerTookStaysTaken) {
  Datastore store = open_durable();
  std::vector<std::unique_ptr<Call<std::optional<Value>>>> consumers;
  for (int consumer = 0; consumer < 5; ++consumer) {
    consumers.push_back(
        std::make_unique<Call<std::optional<Value>>>([store]() mutable { return store.shift_wait("queue", kLong); }));
    ASSERT_TRUE(waiting(store, consumers.size()));
  }
  for (int element = 0; element < 3; ++element) EXPECT_EQ(store.push("queue", element), 1U);
  store.set("queue", Value::array({3, 4, 5, 6}));
  for (int consumer = 0; consumer < 5; ++consumer)
    EXPECT_EQ(consumers[static_cast<std::size_t>(consumer)]->value(), Value(consumer));
  crash();
  EXPECT_EQ(open_left_behind().get("queue"), Value::array({5, 6}));
}

TEST_F(Durable, ARenameFeedsWaitersOfItsTarget) {
  Datastore store = open_durable();
  store.push("from", 1);
  store.push("from", 2);
  Call<std::optional<Value>> consumer([store]() mutable { return store.pop_wait("to", kLong); });
  ASSERT_TRUE(waiting(store, 1));
  store.rename("from", "to");
  EXPECT_EQ(consumer.value(), Value(2));
  crash();
  EXPECT_EQ(everything(open_left_behind()), Value::parse(R"({"to":[1]})"));
}

TEST_F(Durable, CloseLeavesACheckpointAndNoLog) {
  Datastore store = open_durable();
  store.set("key", 1);
  EXPECT_GT(store.stats().log_bytes, 0U);
  cubby::close("durable");
  EXPECT_EQ(files(), (std::set<std::string>{"LOCK", "MANIFEST", "checkpoint.00000001"}));
  EXPECT_EQ(open_durable().stats().log_bytes, 0U);
  EXPECT_EQ(open_durable().get("key"), Value(1));
}

TEST_F(Durable, ClosingWithoutAWriteKeepsTheCheckpoint) {
  open_durable().set("key", 1);
  cubby::close("durable");
  open_durable();
  cubby::close("durable");
  EXPECT_EQ(files(), (std::set<std::string>{"LOCK", "MANIFEST", "checkpoint.00000001"}));
}

TEST_F(Durable, SaveMakesACheckpointNow) {
  Datastore store = open_durable();
  for (int number = 0; number < 1000; ++number) store.set(name_of("key/", number), number);
  const std::uint64_t logged = store.stats().log_bytes;
  store.save();
  EXPECT_LT(store.stats().log_bytes, logged);
  EXPECT_EQ(store.stats().saves, 1U);
  store.set("last", 1);
  crash();
  EXPECT_EQ(everything(open_left_behind()), everything(store));
}

TEST_F(Durable, CheckpointsComeByThemselves) {
  Options small = options();
  small.checkpoint_after = 64 << 10;
  Datastore store = cubby::open("durable", small);
  const std::string text(200, 'x');
  std::uint64_t number = 0;
  ASSERT_TRUE(eventually([&] {
    for (int some = 0; some < 100; ++some) store.set(name_of("key/", static_cast<int>(number++ % 500)), text);
    return store.stats().saves >= 5;
  }));
  store.set("last", 1);
  crash();
  EXPECT_EQ(everything(open_left_behind()), everything(store));
}

TEST_F(Durable, ACheckpointThatFailsLeavesTheLogAsItIsAndIsTriedAgain) {
  Options small = options();
  small.checkpoint_after = 64 << 10;
  Datastore store = cubby::open("durable", small);
  // In the way of the checkpoint's file: it can't be removed.
  const fs::path obstacle = folder() / "checkpoint.00000001";
  fs::create_directory(obstacle);
  std::uint64_t number = 0;
  const auto write_some = [&] {
    for (int some = 0; some < 100; ++some) store.set(name_of("key/", static_cast<int>(number++ % 500)), std::string(200, 'x'));
  };
  ASSERT_TRUE(eventually([&] {
    write_some();
    return !store.stats().last_save_error.empty();
  }));
  EXPECT_TRUE(throws(Errc::io, {"save", "checkpoint.00000001"}, [&] { store.save(); }));
  write_some();
  for (const std::string& name : files()) EXPECT_EQ(name.find("log.00000002"), std::string::npos) << name;
  EXPECT_EQ(store.stats().saves, 0U);
  fs::remove(obstacle);
  ASSERT_TRUE(eventually([&] {
    write_some();
    return store.stats().saves > 0;
  }));
  EXPECT_EQ(store.stats().last_save_error, "");
  crash();
  EXPECT_EQ(everything(open_left_behind()), everything(store));
}

TEST_F(Durable, ALargeValueGetsASegmentOfItsOwn) {
  Options small = options();
  small.checkpoint_after = 64 << 10;
  Datastore store = cubby::open("durable", small);
  const std::string large(3 << 20, 'x');
  store.set("before", 1);
  store.set("large", large);
  store.set("after", 2);
  crash();
  EXPECT_EQ(open_left_behind().get("large"), Value(large));
  EXPECT_EQ(open_left_behind().get("after"), Value(2));
}

TEST_F(Durable, APushOrShiftOfASmallItemTakesAtMost48BytesOfLogAtAnyLength) {
  Datastore store = open_durable();
  for (int element = 0; element < 10'000; ++element) store.push("queue:orders", element);
  const auto bytes_of = [&](auto&& operation) {
    const std::uint64_t before = store.stats().log_bytes;
    operation();
    return store.stats().log_bytes - before;
  };
  EXPECT_LE(bytes_of([&] { store.push("queue:orders", 1'000'000); }), 48U);
  EXPECT_LE(bytes_of([&] { store.shift("queue:orders"); }), 48U);
  EXPECT_LE(bytes_of([&] { store.unshift("queue:orders", "item"); }), 48U);
  EXPECT_LE(bytes_of([&] { store.pop("queue:orders"); }), 48U);
}

TEST_F(Durable, WithEverySync) {
  for (const Sync sync : {Sync::always(), Sync::interval(1ms), Sync::never()}) {
    fs::remove_all(folder());
    Options with = options();
    with.sync = sync;
    Datastore store = cubby::open("durable", with);
    std::vector<std::unique_ptr<Call<int>>> writers;
    for (int writer = 0; writer < 8; ++writer) {
      writers.push_back(std::make_unique<Call<int>>([store, writer]() mutable {
        for (int number = 0; number < 20; ++number) store.increment(name_of("counter/", writer));
        return 0;
      }));
    }
    for (auto& writer : writers) writer->value();
    crash();
    {
      Datastore left = open_left_behind();
      for (int writer = 0; writer < 8; ++writer) EXPECT_EQ(left.get(name_of("counter/", writer)), Value(20));
    }
    cubby::close("left");
    cubby::close("durable");
  }
}

TEST_F(Durable, WritersAndCheckpointsGoOnTogether) {
  Options small = options();
  small.checkpoint_after = 64 << 10;
  Datastore store = cubby::open("durable", small);
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Call<int>>> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.push_back(std::make_unique<Call<int>>([store, writer, &stop]() mutable {
      int number = 0;
      for (; !stop.load(); ++number) {
        const std::string own = name_of("own/", writer);
        store.increment(own + "/counter");
        store.push(own + "/queue", number);
        if (number % 3 == 0) store.shift(own + "/queue");
        store.set(own + "/" + std::to_string(number % 50), std::string(100, 'x'), 1h);
        store.expire(own + "/" + std::to_string(number % 50), 2h);
        store.transact({"shared/a", "shared/b"}, [](Transaction& all) {
          all.increment("shared/a");
          all.increment("shared/b");
        });
        if (number % 97 == 0) {
          store.set(own + "/from", number);
          store.erase(own + "/to");
          store.rename(own + "/from", own + "/to");
        }
      }
      return number;
    }));
  }
  for (int saves = 0; saves < 10; ++saves) store.save();
  stop.store(true);
  std::int64_t sum = 0;
  for (auto& writer : writers) sum += writer->value();
  EXPECT_EQ(store.get("shared/a"), Value(sum));
  crash();
  EXPECT_EQ(everything(open_left_behind()), everything(store));
}

TEST_F(Durable, ClearsAmongWritersAndCheckpoints) {
  Options small = options();
  small.checkpoint_after = 64 << 10;
  Datastore store = cubby::open("durable", small);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<Call<int>>> callers;
    for (int writer = 0; writer < 3; ++writer) {
      callers.push_back(std::make_unique<Call<int>>([store, writer]() mutable {
        for (int number = 0; number < 200; ++number) {
          store.set(name_of("key/", number), writer);
          store.push("queue", number);
        }
        return 0;
      }));
    }
    callers.push_back(std::make_unique<Call<int>>([store]() mutable {
      for (int clears = 0; clears < 10; ++clears) store.clear();
      return 0;
    }));
    callers.push_back(std::make_unique<Call<int>>([store]() mutable {
      store.save();
      return 0;
    }));
    for (auto& caller : callers) caller->value();
    crash();
    ASSERT_EQ(everything(open_left_behind()), everything(store)) << "round " << round;
    cubby::close("left");
  }
}

// --- encryption

TEST_F(Durable, AnEncryptedStoreOpensWithItsKeyOnly) {
  Options with = options();
  with.encryption_key = key_of(1);
  Datastore store = cubby::open("durable", with);
  do_everything(store, "a/");
  store.save();
  do_everything(store, "b/");
  store.set("b/secret", "the quick brown fox jumps over the lazy dog");
  const Value before = everything(store);
  crash();
  for (const auto& each : fs::directory_iterator(left_behind())) {
    EXPECT_EQ(read_text(each.path()).find("quick brown"), std::string::npos) << each.path();
  }
  cubby::close("durable");
  for (const fs::path& path : {folder(), left_behind()}) {
    Options wrong = with;
    wrong.directory = path;
    wrong.encryption_key = key_of(2);
    EXPECT_TRUE(throws(Errc::wrong_key, {"x"}, [&] { return cubby::open("x", wrong); }));
    wrong.encryption_key.reset();
    EXPECT_TRUE(throws(Errc::wrong_key, {"x"}, [&] { return cubby::open("x", wrong); }));
    Options right = with;
    right.directory = path;
    EXPECT_EQ(everything(cubby::open("x", right)), before);
    cubby::close("x");
  }
}

TEST_F(Durable, AKeyForAStoreThatHasNoneIsWrong) {
  open_durable().set("key", 1);
  cubby::close("durable");
  Options with = options();
  with.encryption_key = key_of(1);
  EXPECT_TRUE(throws(Errc::wrong_key, {"durable"}, [&] { return cubby::open("durable", with); }));
  EXPECT_EQ(open_durable().get("key"), Value(1));
}

// --- files of older versions

/// What was written in each version of the format: a checkpoint and a log, from version 2 on in a window, from 3 on with a
/// value that two operations share, left by a process that was killed.
TEST_F(Durable, FilesOfEachVersionOpen) {
  const Value expected = read_json(fs::path(CUBBY_GOLDEN_FOLDER) / "contents.json");
  for (const std::string_view name : {"v1-plain", "v1-encrypted", "v2-plain", "v2-encrypted", "v3-plain", "v3-encrypted"}) {
    fs::remove_all(folder());
    fs::copy(fs::path(CUBBY_GOLDEN_FOLDER) / name, folder(), fs::copy_options::recursive);
    Options golden = options();
    if (name.ends_with("-encrypted")) golden.encryption_key = key_of(1);
    for (const bool read_only : {true, false}) {
      golden.read_only = read_only;
      Datastore store = cubby::open("golden", golden);
      EXPECT_EQ(everything(store), expected) << name;
      EXPECT_GT(store.ttl("log/lease"), std::chrono::hours(24 * 365 * 200)) << name;
      EXPECT_GT(store.ttl("checkpoint/lease"), std::chrono::hours(24 * 365 * 200)) << name;
      EXPECT_FALSE(store.ttl("log/unleashed")) << name;
      cubby::close("golden");
    }
  }
}

// --- who may open it

TEST_F(Durable, PersistAndDirectoryExcludeEachOther) {
  Options both = options();
  both.persist = file();
  EXPECT_TRUE(throws(Errc::config, {"durable"}, [&] { return cubby::open("durable", both); }));
  Options key_only;
  key_only.encryption_key = key_of(1);
  EXPECT_TRUE(throws(Errc::config, {"durable"}, [&] { return cubby::open("durable", key_only); }));
}

TEST_F(Durable, OneStoreAFolderInThisProcess) {
  open_durable();
  EXPECT_TRUE(throws(Errc::config, {"second", "durable"}, [&] { return open_durable("second"); }));
  Options again = options();
  again.directory = folder() / "." / "";
  EXPECT_TRUE(throws(Errc::config, {"second"}, [&] { return cubby::open("second", again); }));
  EXPECT_EQ(cubby::open("durable").name(), "durable");
  Options other = options();
  other.sync = Sync::always();
  EXPECT_TRUE(throws(Errc::config, {"durable"}, [&] { return cubby::open("durable", other); }));
}

TEST_F(Durable, LoadIsForJsonFiles) {
  EXPECT_TRUE(throws(Errc::config, {"load"}, [&] { open_durable().load(); }));
}

TEST_F(Durable, TheFolderIsMadeButNotTheOneItLiesIn) {
  Options deep = options();
  deep.directory = folder() / "missing" / "folder";
  EXPECT_TRUE(throws(Errc::io, {"durable"}, [&] { return cubby::open("durable", deep); }));
  EXPECT_FALSE(fs::exists(folder()));
  Options read_only = options();
  read_only.read_only = true;
  EXPECT_TRUE(throws(Errc::io, {"durable"}, [&] { return cubby::open("durable", read_only); }));
  EXPECT_FALSE(fs::exists(folder()));
}

TEST_F(Durable, AReadOnlyStoreReadsWhatIsThereAndChangesNoByte) {
  Datastore store = open_durable();
  do_everything(store, "a/");
  const Value before = everything(store);
  crash();
  const auto contents = [&] {
    std::map<std::string, std::string> all;
    for (const auto& each : fs::directory_iterator(left_behind()))
      all[each.path().filename().string()] = read_text(each.path());
    return all;
  };
  const auto bytes = contents();
  Options read_only = options();
  read_only.directory = left_behind();
  read_only.read_only = true;
  Datastore reader = cubby::open("reader", read_only);
  EXPECT_EQ(everything(reader), before);
  EXPECT_TRUE(throws(Errc::read_only, {"set", "key"}, [&] { reader.set("key", 1); }));
  EXPECT_TRUE(throws(Errc::read_only, {"save"}, [&] { reader.save(); }));
  cubby::close("reader");
  EXPECT_EQ(contents(), bytes);
}

// --- damage

TEST_F(Durable, DamageIsRefusedWithFileAndOffset) {
  Datastore store = open_durable();
  store.set("one", std::string(100, '1'));
  store.save();
  store.set("two", std::string(100, '2'));
  store.set("three", std::string(100, '3'));
  crash();
  cubby::close("durable");
  for (const char* name : {"MANIFEST", "checkpoint.00000001"}) {
    const fs::path path = left_behind() / name;
    const std::string bytes = read_text(path);
    std::string damaged = bytes;
    damaged[bytes.size() / 2] = static_cast<char>(damaged[bytes.size() / 2] ^ 4);
    write_text(path, damaged);
    EXPECT_TRUE(throws(Errc::corrupt, {"left", name, "byte"}, [&] { return open_left_behind(); })) << name;
    EXPECT_EQ(read_text(path), damaged);
    write_text(path, bytes.substr(0, bytes.size() - 1));
    EXPECT_TRUE(throws(Errc::corrupt, {"left", name}, [&] { return open_left_behind(); })) << name;
    write_text(path, bytes);
  }
  fs::rename(left_behind() / "MANIFEST", left_behind() / "elsewhere");
  EXPECT_TRUE(throws(Errc::corrupt, {"left", "MANIFEST"}, [&] { return open_left_behind(); }));
  fs::rename(left_behind() / "elsewhere", left_behind() / "MANIFEST");
  EXPECT_EQ(open_left_behind().size(), 3U);
}

}  // namespace
}  // namespace cubby::contract
