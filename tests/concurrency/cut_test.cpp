// SPDX-License-Identifier: Apache-2.0

// A saved file is one consistent cut: a prefix of history, with renames, clears and transactions in it whole or not at all,
// while writers go on.

#include <limits>

#include "support.hpp"

namespace cubby_test {
namespace {

class Cut : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    persistent_.emplace(open_persistent("saved", file()));
  }
  void TearDown() override {
    persistent_.reset();
    StoreTest::TearDown();
  }

  std::filesystem::path file() { return folder() / "store.json"; }
  Datastore& saved() { return *persistent_; }

  /// Saves and reads the file back.
  Value save() {
    saved().save();
    return read_json(file());
  }
  static std::int64_t integer(const Value& contents, const std::string& key, std::int64_t absent = 0) {
    const auto value = contents.find(key);
    return value ? value->as_int() : absent;
  }

 private:
  std::optional<Datastore> persistent_;
};

TEST_F(Cut, IsAPrefixOfAChainOverManyKeys) {
  // Threads take turns: step n sets key n % kKeys to n, after step n - 1 has returned. In a prefix of that history the steps of
  // the keys are the last kKeys numbers up to some n.
  constexpr std::int64_t kKeys = 100;
  constexpr int kWriters = 3;
  std::atomic<std::int64_t> turn{1};
  Threads writers;
  writers.start(kWriters, [&](int writer) {
    while (!writers.stopped()) {
      const std::int64_t step = turn.load();
      if (step % kWriters != writer) {
        std::this_thread::yield();
        continue;
      }
      saved().set(name_of("chain/", step % kKeys), Value(step));
      turn.store(step + 1);
    }
  });
  writers.start(1, [&](int) {  // the table moves meanwhile
    for (int step = 0; !writers.stopped(); step = (step + 1) % 10'000) {
      const std::string key = name_of("more/", step % 5000);
      step < 5000 ? saved().set(key, step) : static_cast<void>(saved().erase(key));
    }
  });
  const int saves = scaled(60, 10);
  for (int count = 0; count < saves; ++count) {
    const std::int64_t before = turn.load() - 1;
    const Value contents = save();
    const std::int64_t after = turn.load();
    std::int64_t last = 0;
    for (int key = 0; key < kKeys; ++key) last = std::max(last, integer(contents, name_of("chain/", key)));
    EXPECT_GE(last, before) << "what had returned before the save is not in it";
    EXPECT_LE(last, after);
    for (std::int64_t step = std::max<std::int64_t>(1, last - kKeys + 1); step <= last; ++step) {
      ASSERT_EQ(integer(contents, name_of("chain/", step % kKeys)), step)
          << "the file has step " << last << " without step " << step << " that came before, save " << count;
    }
  }
}

TEST_F(Cut, HasNoEffectWithoutItsCauseAmongInsertionsAndRemovals) {
  Threads writers;
  writers.start(2, [&](int writer) {  // keys come in order, and go in order: what is there is an interval
    const std::string prefix = name_of(name_of("window/", writer), "/");
    constexpr std::int64_t kWidth = 50;
    for (std::int64_t step = 0; !writers.stopped(); ++step) {
      saved().set(prefix + std::to_string(step), Value(step));
      if (step >= kWidth) {
        ASSERT_TRUE(saved().erase(prefix + std::to_string(step - kWidth)));
      }
    }
  });
  writers.start(1, [&](int) {  // cause before effect, over queues
    for (std::int64_t step = 0; !writers.stopped(); ++step) {
      saved().push("cause", Value(step));
      saved().push("effect", Value(step));
      if (step % 200 == 199) {
        saved().take("effect");
        saved().take("cause");
      }
    }
  });
  writers.start(1, [&](int) {  // a deadline before the mark that tells of it
    for (std::int64_t step = 0; !writers.stopped(); ++step) {
      saved().set("dated", Value(step));
      saved().expire("dated", 1h);
      saved().set("mark", Value(step));
      saved().erase("mark");
      saved().remove_expiry("dated");
    }
  });
  const int saves = scaled(80, 12);
  for (int count = 0; count < saves; ++count) {
    const Value contents = save();
    for (int writer = 0; writer < 2; ++writer) {
      const std::string prefix = name_of(name_of("window/", writer), "/");
      std::int64_t least = std::numeric_limits<std::int64_t>::max();
      std::int64_t most = -1;
      std::int64_t found = 0;
      for (const auto& [key, value] : contents.members()) {
        if (!key.starts_with(prefix)) continue;
        least = std::min(least, value.as_int());
        most = std::max(most, value.as_int());
        ++found;
      }
      if (found == 0) continue;
      ASSERT_EQ(found, most - least + 1) << "save " << count;
      ASSERT_LE(found, 51) << "a removal is missing";
    }
    // effect is never longer than cause, and lags by one at most; it is taken first.
    const std::size_t causes = contents["cause"].size();
    const std::size_t effects = contents["effect"].size();
    ASSERT_LE(effects, causes);
    if (effects > 0) {
      ASSERT_LE(causes - effects, 1U);
    }
    if (contents.contains("mark")) {
      ASSERT_EQ(contents["mark"], contents["dated"]);
      ASSERT_TRUE(contents["$cubby"]["expires"].contains("dated")) << "save " << count;
    }
  }
}

TEST_F(Cut, HasTransactionsRenamesAndClearsWholeOrNotAtAll) {
  constexpr int kAccounts = 20;
  for (int account = 0; account < kAccounts; ++account) saved().set(name_of("account/", account), 100);
  saved().set("place/0", "it");
  Threads writers;
  writers.repeat(8, [&, random = Random(seed_for(7))](int writer) mutable {
    for (int skip = 0; skip <= writer; ++skip) random.next();
    if (writer == 7) {
      for (int place = 0; place < 6; ++place) saved().rename(name_of("place/", place), name_of("place/", (place + 1) % 6));
      return;
    }
    const std::string from = name_of("account/", random.below(kAccounts));
    const std::string to = name_of("account/", random.below(kAccounts));
    const int amount = random.below(50);
    saved().transact({from, to}, [&](cubby::Transaction& all) {
      all.increment(from, -amount);
      all.increment(to, amount);
    });
  });
  const int saves = scaled(100, 15);
  for (int count = 0; count < saves; ++count) {
    const Value contents = save();
    std::int64_t sum = 0;
    int places = 0;
    for (const auto& [key, value] : contents.members()) {
      if (key.starts_with("account/")) sum += value.as_int();
      if (key.starts_with("place/")) ++places;
    }
    ASSERT_EQ(sum, kAccounts * 100) << "save " << count;
    ASSERT_EQ(places, 1) << "save " << count;
  }
}

TEST_F(Cut, HasClearsWholeOrNotAtAll) {
  constexpr int kKeys = 60;
  Threads writer;
  writer.start(1, [&](int) {
    for (std::int64_t round = 1; !writer.stopped(); ++round) {
      for (int key = 0; key < kKeys; ++key) saved().set(name_of("key/", key), Value(round));
      saved().clear();
    }
  });
  const int saves = scaled(150, 20);
  for (int count = 0; count < saves; ++count) {
    const Value contents = save();
    // The keys of one round, the first so many of them.
    const std::size_t found = contents.size();
    for (std::size_t key = 0; key < found; ++key) {
      ASSERT_EQ(contents[name_of("key/", key)], contents["key/0"]) << found << " keys, save " << count;
      ASSERT_FALSE(contents[name_of("key/", key)].is_null()) << found << " keys, save " << count;
    }
  }
}

TEST_F(Cut, StopsNeitherReadersNorWriters) {
  // Saving many keys while others write: both make progress between the start and the end of some save, and the file holds
  // every key exactly as some moment had it.
  const int keys = scaled(30'000, 2000);
  for (int index = 0; index < keys; ++index) saved().set(name_of("key/", index), 10);
  std::atomic<std::int64_t> writes{0};
  Threads threads;
  threads.repeat(1, [&, round = std::int64_t{10}]() mutable {
    ++round;
    for (int index = 0; index < keys; ++index) {
      saved().set(name_of("key/", index), Value(round));
      writes.fetch_add(1, std::memory_order_relaxed);
    }
  });
  bool progressed = false;
  for (int count = 0; count < 10 || (!progressed && count < 500); ++count) {
    const std::int64_t before = writes.load();
    const Value contents = save();
    progressed = progressed || writes.load() > before;
    // A prefix of one sweep over the keys: round r up to some key, r - 1 from there on.
    const std::int64_t first = integer(contents, "key/0", -1);
    bool turned = false;
    for (int index = 0; index < keys; ++index) {
      const std::int64_t round = integer(contents, name_of("key/", index), -1);
      if (round == first - 1) turned = true;
      ASSERT_EQ(round, turned ? first - 1 : first) << "key " << index << ", save " << count;
    }
  }
  EXPECT_TRUE(progressed);
}

TEST_F(Cut, SurvivesManySaversAtOnce) {
  Threads writers;
  writers.repeat(2, [&](int writer) {
    saved().transact({"left", "right"}, [&](cubby::Transaction& all) {
      all.increment("left", writer + 1);
      all.increment("right", -writer - 1);
    });
  });
  const int each = scaled(15, 4);
  run_threads(6, [&](int) {
    for (int count = 0; count < each; ++count) {
      saved().save();
      const Value contents = read_json(file());  // somebody's whole file
      ASSERT_EQ(integer(contents, "left") + integer(contents, "right"), 0);
    }
  });
  writers.stop();
  const Value last = save();
  EXPECT_EQ(last["left"], saved().get("left"));
}

}  // namespace
}  // namespace cubby_test
