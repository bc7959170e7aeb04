// SPDX-License-Identifier: Apache-2.0

// Closing a store under running and waiting calls: each of them either took effect, and is in the file, or threw Errc::closed
// and changed nothing.

#include <map>
#include <set>

#include "support.hpp"

namespace cubby_test {
namespace {

class Closing : public StoreTest {
 protected:
  std::filesystem::path file() { return folder() / "store.json"; }
};

/// Runs `call` over and over until it throws Errc::closed.
template <class F>
void until_closed(F&& call) {
  while (true) {
    const auto error = error_of(call);
    if (!error) continue;
    EXPECT_EQ(*error, Errc::closed);
    return;
  }
}

TEST_F(Closing, EndsEveryKindOfWait) {
  const int rounds = scaled(20, 4);
  for (int round = 0; round < rounds; ++round) {
    const std::string victim = name_of("victim/", round);
    Datastore closing = cubby::open(victim);
    std::atomic<int> ended{0};
    Threads threads;
    threads.start(50, [&](int index) {
      const auto error = error_of([&] {
        switch (index % 5) {
          case 0:
            closing.shift_wait("queue", std::nullopt);
            break;
          case 1:
            closing.pop_wait("queue", std::nullopt);
            break;
          case 2:
            closing.wait("key", std::nullopt);
            break;
          case 3:
            closing.wait("key", 5, std::nullopt);
            break;
          default:
            closing.wait_for(
                "key", [](const Value&) { return false; }, std::nullopt);
        }
      });
      EXPECT_EQ(error, Errc::closed);
      ended.fetch_add(1);
    });
    // At times before all are waiting: those that come late are told at once.
    const std::size_t expected = round % 2 == 0 ? 50 : 10;
    ASSERT_TRUE(poll_until([&] { return closing.stats().waiters >= expected; }));
    cubby::close(victim);
    threads.join();
    EXPECT_EQ(ended.load(), 50);
    EXPECT_EQ(error_of([&] { closing.stats(); }), Errc::closed);
  }
}

TEST_F(Closing, ConservesElementsThatAPushOrAWaitRacesWith) {
  const int rounds = scaled(60, 10);
  for (int round = 0; round < rounds; ++round) {
    const std::string victim = name_of("victim/", round);
    Datastore closing = open_persistent(victim, file());
    std::mutex mutex;
    std::multiset<std::int64_t> pushed;
    std::multiset<std::int64_t> taken;
    std::atomic<int> pushes{0};
    Threads threads;
    threads.start(2, [&](int producer) {
      std::int64_t element = producer * 1'000'000;
      until_closed([&] {
        closing.push("queue", Value(element));
        pushes.fetch_add(1);
        const std::lock_guard lock(mutex);
        pushed.insert(element++);
      });
    });
    threads.start(4, [&](int consumer) {
      until_closed([&] {
        const auto element = consumer % 2 == 0 ? closing.shift_wait("queue", kGenerous) : closing.pop_wait("queue", kGenerous);
        const std::lock_guard lock(mutex);
        if (element) taken.insert(element->as_int());
      });
    });
    const int enough = Random(seed_for(static_cast<std::uint64_t>(round))).below(400);
    ASSERT_TRUE(poll_until([&] { return pushes.load() >= enough; }));
    cubby::close(victim);
    threads.join();
    const Value saved = read_json(file());
    if (saved.contains("queue")) {
      for (const Value& element : saved["queue"].elements()) taken.insert(element.as_int());
    }
    std::vector<std::int64_t> lost;
    std::vector<std::int64_t> extra;
    std::set_difference(pushed.begin(), pushed.end(), taken.begin(), taken.end(), std::back_inserter(lost));
    std::set_difference(taken.begin(), taken.end(), pushed.begin(), pushed.end(), std::back_inserter(extra));
    ASSERT_EQ(lost, std::vector<std::int64_t>{})
        << "pushed, but neither delivered nor saved: round " << round << ", seed " << run_seed();
    ASSERT_EQ(extra, std::vector<std::int64_t>{}) << "delivered or saved twice: round " << round << ", seed " << run_seed();
    std::filesystem::remove(file());
  }
}

TEST_F(Closing, SavesEveryCallThatReturned) {
  const int rounds = scaled(60, 10);
  for (int round = 0; round < rounds; ++round) {
    const std::string victim = name_of("victim/", round);
    Datastore closing = open_persistent(victim, file());
    constexpr int kWriters = 6;
    std::vector<std::int64_t> returned(kWriters, 0);
    std::atomic<int> writes{0};
    Threads threads;
    threads.start(kWriters, [&](int writer) {
      const std::string own = name_of("own/", writer);
      auto& mine = returned[static_cast<std::size_t>(writer)];
      until_closed([&] {
        switch (writer % 3) {
          case 0:
            mine = closing.increment(own).as_int();
            break;
          case 1:
            closing.transact({own, "shared"}, [&](cubby::Transaction& all) {
              all.increment(own);
              all.increment("shared");
            });
            ++mine;
            break;
          default:
            closing.set(own, Value(mine + 1));
            ++mine;
        }
        writes.fetch_add(1);
      });
    });
    const int enough = Random(seed_for(static_cast<std::uint64_t>(round))).below(2000);
    ASSERT_TRUE(poll_until([&] { return writes.load() >= enough; }));
    cubby::close(victim);
    threads.join();
    const Value saved = read_json(file());
    for (int writer = 0; writer < kWriters; ++writer) {
      const std::int64_t expected = returned[static_cast<std::size_t>(writer)];
      const std::optional<Value> found = saved.find(name_of("own/", writer));
      ASSERT_EQ(found ? found->as_int() : 0, expected) << "writer " << writer << ", round " << round << ", seed " << run_seed();
    }
    const std::optional<Value> shared = saved.find("shared");
    ASSERT_EQ(shared ? shared->as_int() : 0, returned[1] + returned[4]);
    std::filesystem::remove(file());
  }
}

TEST_F(Closing, AndOpeningTheSameNameManyTimes) {
  // Openers, closers and users of one name: every handle works or says that it is closed, and nothing that was stored is lost.
  const int rounds = scaled(150, 20);
  std::atomic<std::int64_t> stored{0};
  std::atomic<int> closed{0};
  const auto path = file();
  Threads users;
  users.repeat(3, [&] {
    Datastore store = open_persistent("reborn", path);
    until_closed([&] {
      store.increment("count");
      stored.fetch_add(1);
    });
  });
  while (closed.load() < rounds) {
    cubby::close("reborn");
    closed.fetch_add(1);
    const std::int64_t before = stored.load();
    ASSERT_TRUE(poll_until([&] { return stored.load() > before; }));
  }
  Threads closer;
  std::atomic<bool> done{false};
  closer.start(1, [&](int) {
    while (!done.load()) {
      cubby::close("reborn");
      std::this_thread::yield();
    }
  });
  users.stop();
  done = true;
  closer.join();
  Datastore last = open_persistent("reborn", path);
  EXPECT_EQ(last.get("count"), Value(stored.load()));
}

TEST_F(Closing, ShutdownUnderLoad) {
  const int rounds = scaled(20, 4);
  for (int round = 0; round < rounds; ++round) {
    std::vector<Datastore> stores;
    for (int index = 0; index < 5; ++index) stores.push_back(cubby::open(name_of("many/", index)));
    std::atomic<int> writes{0};
    Threads threads;
    threads.start(5, [&](int index) {
      until_closed([&] {
        Datastore& own = stores[static_cast<std::size_t>(index)];
        own.set("key", index);
        own.get("key");
        own.shift_wait("queue", 20us);
        writes.fetch_add(1);
      });
    });
    ASSERT_TRUE(poll_until([&] { return writes.load() > 100; }));
    cubby::shutdown();
    threads.join();
    EXPECT_EQ(cubby::count(), 0U);
  }
}

}  // namespace
}  // namespace cubby_test
