// SPDX-License-Identifier: Apache-2.0

// Durable stores among many threads: appending, checkpoints, syncs, clears and waiting consumers at once. What is in the folder
// afterwards must be what the store holds. Crashes at any moment are in tests/crash.

#include <set>

#include "support.hpp"

namespace cubby_test {
namespace {

namespace fs = std::filesystem;

class DurableStores : public StoreTest {
 protected:
  Datastore open_durable(cubby::Sync sync, bool encrypted) {
    cubby::Options options;
    options.directory = folder() / "durable";
    options.sync = sync;
    options.checkpoint_after = 64 << 10;
    if (encrypted) options.encryption_key.emplace();
    return cubby::open("durable", options);
  }

  /// Opens a copy of the folder, as it is now, and compares. REQUIRES: nobody writes.
  void expect_recovered(const Datastore& store, bool encrypted) {
    const fs::path copy = folder() / "copy";
    // A checkpoint that is being made in the background must not change the files meanwhile.
    const auto names = [this] {
      std::set<std::string> all;
      for (const auto& each : fs::directory_iterator(folder() / "durable")) all.insert(each.path().filename().string());
      return all;
    };
    ASSERT_TRUE(poll_until([&] {
      std::error_code error;
      fs::remove_all(copy);
      const auto before = names();
      fs::copy(folder() / "durable", copy, fs::copy_options::recursive, error);
      return !error && names() == before;
    }));
    cubby::Options options;
    options.directory = copy;
    if (encrypted) options.encryption_key.emplace();
    Datastore again = cubby::open("copy", options);
    EXPECT_EQ(contents(again), contents(store));
    cubby::close("copy");
  }

  static Value contents(const Datastore& store) {
    std::vector<std::pair<std::string, Value>> members;
    store.for_each([&](std::string_view key, const Value& value) { members.emplace_back(key, value); });
    std::vector<std::pair<std::string_view, Value>> views(members.begin(), members.end());
    return Value::object(views);
  }
};

TEST_F(DurableStores, RecoverWhatManyThreadsHaveWritten) {
  for (const auto& [sync, encrypted] : {std::pair(cubby::Sync::never(), false), std::pair(cubby::Sync::interval(1ms), true),
                                        std::pair(cubby::Sync::always(), false)}) {
    Datastore store = open_durable(sync, encrypted);
    const int calls = sync.is_always() ? scaled(100, 20) : scaled(2000, 300);
    Threads threads;
    threads.start(4, [&](int writer) {
      const std::string own = "own/" + std::to_string(writer);
      for (int call = 0; call < calls; ++call) {
        switch (call % 9) {
          case 0:
            store.increment("shared/counter");
            break;
          case 1:
            store.push("shared/queue", own + "/" + std::to_string(call));
            break;
          case 2:
            store.shift_wait("shared/queue", 0s);
            break;
          case 3:
            store.set(own + "/" + std::to_string(call % 40), std::string(static_cast<std::size_t>(call % 400), 'x'), 1h);
            break;
          case 4:
            if (store.exists(own + "/3")) store.expire(own + "/3", std::chrono::seconds(5000 + call));
            break;
          case 5:
            store.update("shared/object", Value::object({{own, call}}));
            break;
          case 6:
            store.transact({"shared/a", "shared/b"}, [](cubby::Transaction& all) {
              all.increment("shared/a");
              all.increment("shared/b", -1);
            });
            break;
          case 7:
            store.set(own + "/from", call);
            store.erase(own + "/to");
            store.rename(own + "/from", own + "/to");
            break;
          default:
            store.modify(own, [](std::optional<Value> old) { return std::optional<Value>(old ? old->as_int() + 1 : 1); });
        }
        if (writer == 0 && call % 200 == 199) store.save();
      }
    });
    threads.start(2, [&](int) {
      for (int call = 0; call < calls / 10; ++call) store.pop_wait("shared/queue", 1ms);
    });
    threads.join();
    expect_recovered(store, encrypted);
    cubby::close("durable");
    fs::remove_all(folder() / "durable");
  }
}

TEST_F(DurableStores, ClearsAreInstantsOfTheLogToo) {
  const int rounds = scaled(20, 5);
  Datastore store = open_durable(cubby::Sync::never(), false);
  for (int round = 0; round < rounds; ++round) {
    Threads threads;
    threads.start(3, [&](int writer) {
      for (int call = 0; call < 150; ++call) {
        store.set("key/" + std::to_string(call), writer);
        store.push("queue", call);
      }
    });
    threads.start(1, [&](int) {
      for (int clears = 0; clears < 15; ++clears) store.clear();
    });
    threads.start(1, [&](int) { store.save(); });
    threads.join();
    expect_recovered(store, false);
  }
  cubby::close("durable");
}

TEST_F(DurableStores, CloseWhileEverybodyWrites) {
  const int rounds = scaled(10, 3);
  for (int round = 0; round < rounds; ++round) {
    Datastore store = open_durable(round % 2 == 0 ? cubby::Sync::always() : cubby::Sync::interval(1ms), false);
    std::vector<std::int64_t> returned(4, 0);
    Threads threads;
    threads.start(4, [&](int writer) {
      const std::string own = "own/" + std::to_string(writer);
      EXPECT_EQ(error_of([&] {
                  for (;;) returned[static_cast<std::size_t>(writer)] = store.increment(own).as_int();
                }),
                Errc::closed);
    });
    ASSERT_TRUE(poll_until([&] { return store.stats().writes > 50; }));
    cubby::close("durable");
    threads.join();
    Datastore again = open_durable(cubby::Sync::never(), false);
    for (int writer = 0; writer < 4; ++writer) {
      const std::int64_t before = returned[static_cast<std::size_t>(writer)];
      const auto found = again.get("own/" + std::to_string(writer));
      EXPECT_GE(found ? found->as_int() : 0, before);
      EXPECT_LE(found ? found->as_int() : 0, before + 1);
    }
    cubby::close("durable");
    fs::remove_all(folder() / "durable");
  }
}

}  // namespace
}  // namespace cubby_test
