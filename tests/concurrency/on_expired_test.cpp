// SPDX-License-Identifier: Apache-2.0

// on_expired under load: each expiry is told once, whoever finds it and whoever is listening; what has been replaced, or whose
// store was closed, is over.

#include <array>
#include <memory>

#include "support.hpp"

namespace cubby_test {
namespace {

class OnExpiredTogether : public StoreTest {};

TEST_F(OnExpiredTogether, EachLifeEndsOnceWhileListenersComeAndGo) {
  constexpr int kWriters = 2, kKeys = 16;
  const int lives = scaled(20'000, 2'000);
  struct Counts {
    std::array<std::atomic<int>, kWriters * kKeys> lived{}, told{};
  };
  Counts counts;
  const auto listener = [&counts] {
    return [&counts](std::string_view key) {
      counts.told[static_cast<std::size_t>(std::stoi(std::string(key)))].fetch_add(1, std::memory_order_relaxed);
    };
  };
  store().on_expired(listener());
  Threads others;
  others.repeat(1, [&] { store().on_expired(listener()); });
  others.repeat(1, [&] { store().for_each([](std::string_view, const Value&) {}); });
  run_threads(kWriters, [&](int writer) {
    Random random(seed_for(static_cast<std::uint64_t>(writer)));
    for (int life = 0; life < lives; ++life) {
      const int index = writer * kKeys + random.below(kKeys);
      const std::string key = std::to_string(index);
      const auto ttl = std::chrono::microseconds(1 + random.below(300));
      bool begun = false;
      switch (random.below(4)) {
        case 0:
          begun = store().set_once(key, life, ttl);
          break;
        case 1:
          store().transact({key}, [&](cubby::Transaction& transaction) {
            begun = !transaction.exists(key);
            if (begun) transaction.set(key, life, ttl);
          });
          break;
        case 2: {
          // Of a key that is there it is another deadline: the life goes on.
          try {
            store().expire(key, ttl);
          } catch (const cubby::Error& error) {
            EXPECT_EQ(error.code(), Errc::key_not_found);
          }
          break;
        }
        default:
          begun = store().set_once(key, std::string(200, 'v'), ttl);
      }
      if (begun) counts.lived[static_cast<std::size_t>(index)].fetch_add(1, std::memory_order_relaxed);
    }
  });
  for (std::size_t index = 0; index < counts.lived.size(); ++index) {
    EXPECT_TRUE(poll_until([&] { return counts.told[index] >= counts.lived[index]; })) << index;
  }
  others.stop();
  store().on_expired({});
  for (std::size_t index = 0; index < counts.lived.size(); ++index) EXPECT_EQ(counts.told[index], counts.lived[index]) << index;
}

TEST_F(OnExpiredTogether, EachThatHadExpiredIsToldWhileAllIsClearedAndSaved) {
  cubby::Options options;
  options.persist = folder() / "store.json";
  Datastore saved = cubby::open("saved", options);
  std::atomic<int> told{0};
  saved.on_expired([&told](std::string_view) { ++told; });
  Threads others;
  others.repeat(1, [&] { saved.save(); });
  const int rounds = scaled(200, 30);
  for (int round = 0; round < rounds; ++round) {
    for (int key = 0; key < 20; ++key) {
      saved.set("brief " + std::to_string(key), 1, 100us);
      saved.set("long " + std::to_string(key), 1, 1h);
    }
    ASSERT_TRUE(poll_until([&] { return saved.count([](std::string_view, const Value&) { return true; }) == 20u; }));
    saved.clear();
  }
  others.stop();
  EXPECT_TRUE(poll_until([&] { return told >= 20 * rounds; })) << told;
  cubby::close("saved");
  EXPECT_EQ(told, 20 * rounds);
}

TEST_F(OnExpiredTogether, NoneRunsWhenItWasReplaced) {
  struct State {
    std::atomic<int> running{0};
    std::atomic<bool> over{false};
  };
  std::atomic<bool> late{false};
  Threads others;
  others.repeat(2, [&, key = 0](int writer) mutable {
    for (int count = 0; count < 20; ++count) store().set(std::to_string(writer) + '/' + std::to_string(++key % 64), 1, 20us);
  });
  const int rounds = scaled(2'000, 200);
  run_threads(3, [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      const auto state = std::make_shared<State>();
      store().on_expired([state, &late, this](std::string_view key) {
        ++state->running;
        store().get(key);
        if (state->over) late = true;
        --state->running;
      });
      if (round % 8 == thread) std::this_thread::yield();
      store().on_expired({});
      if (state->running != 0) late = true;
      state->over = true;
    }
  });
  others.stop();
  EXPECT_FALSE(late);
}

TEST_F(OnExpiredTogether, ClosingEndsItWhileItRuns) {
  for (int round = 0; round < scaled(20, 5); ++round) {
    Datastore closing = cubby::open("closing");
    std::atomic<bool> closed{false}, late{false};
    closing.on_expired([&](std::string_view key) {
      try {
        closing.push("log", key);
      } catch (const cubby::Error& error) {
        if (error.code() != Errc::closed) late = true;
      }
      if (closed) late = true;
    });
    Threads writers;
    writers.repeat(2, [&, key = 0](int writer) mutable {
      try {
        for (int count = 0; count < 50; ++count) {
          ++key;
          closing.set(std::to_string(writer) + '/' + std::to_string(key % 512), 1, std::chrono::microseconds(10 + key % 100));
        }
      } catch (const cubby::Error& error) {
        if (error.code() != Errc::closed) late = true;
        std::this_thread::yield();
      }
    });
    for (int wait = 0; wait < round; ++wait) std::this_thread::yield();
    cubby::close("closing");
    closed = true;
    writers.stop();
    ASSERT_FALSE(late);
  }
}

}  // namespace
}  // namespace cubby_test
