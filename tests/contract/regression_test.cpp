// SPDX-License-Identifier: Apache-2.0

// What the design that cubby replaces did wrong, one test each, so that none of it comes back. That design was a map behind one
// reader-writer lock, with a plan to swap the map for a concurrent one and do load, then store.

#include <unistd.h>

#include "support.hpp"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CUBBY_CONTRACT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CUBBY_CONTRACT_SANITIZED 1
#endif
#endif
#ifndef CUBBY_CONTRACT_SANITIZED
#define CUBBY_CONTRACT_SANITIZED 0
#endif

namespace cubby::contract {
namespace {

using Regression = PersistenceTest;

TEST_F(Regression, LostUpdates) {
  constexpr int kThreads = 8;
  constexpr int kEach = 2000;
  run_threads(kThreads, [&](int) {
    for (int round = 0; round < kEach; ++round) {
      db_.increment("counter");
      db_.push("queue", round);
      db_.modify("modified", [](std::optional<Value> old) { return Value(old.value_or(0).as_int() + 1); });
    }
  });
  EXPECT_EQ(db_.get("counter"), Value(kThreads * kEach));
  EXPECT_EQ(db_.get("queue")->size(), static_cast<std::size_t>(kThreads * kEach));
  EXPECT_EQ(db_.get("modified"), Value(kThreads * kEach));
}

TEST_F(Regression, TornRename) {
  db_.set("left", 1);
  std::atomic<bool> at_left{true};
  Repeat mover([&] {
    db_.rename(at_left.load() ? "left" : "right", at_left.load() ? "right" : "left");
    at_left.store(!at_left.load());
  });
  for (int round = 0; round < 3000; ++round) {
    const int present = db_.transact({"left", "right"}, [](Transaction& transaction) {
      return int{transaction.exists("left")} + int{transaction.exists("right")};
    });
    ASSERT_EQ(present, 1) << "the value was in both places or in none";
  }
}

TEST_F(Regression, TornClear) {
  Repeat writer([&] {
    for (int key = 0; key < 100; ++key) db_.set(std::to_string(key), 1);
    db_.clear();
  });
  for (int round = 0; round < 1000; ++round) {
    // The keys are set in order: where a later one is there, so is an earlier one, unless a clear lies between.
    const bool torn = db_.transact({"0", "50", "99"}, [](Transaction& transaction) {
      return (transaction.exists("99") && !transaction.exists("50")) || (transaction.exists("50") && !transaction.exists("0"));
    });
    ASSERT_FALSE(torn);
  }
}

TEST_F(Regression, InconsistentCut) {
  Datastore store = open_file();
  for (int key = 0; key < 2000; ++key) store.set("filler " + std::to_string(key), key);
  Repeat writer([&, store]() mutable {
    store.increment("a");
    store.increment("z");
  });
  for (int save = 0; save < 30; ++save) {
    store.save();
    const Value saved = read_json(file());
    const std::int64_t a = saved.find("a").value_or(0).as_int();
    const std::int64_t z = saved.find("z").value_or(0).as_int();
    ASSERT_GE(a, z);
    ASSERT_LE(a, z + 1);
  }
}

TEST_F(Regression, OrphanedWaitersOfAnErasedKey) {
  db_.set("queue", Value::array({}));
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.erase("queue");
  db_.push("queue", 1);
  EXPECT_EQ(waiter.value(), Value(1));
}

TEST_F(Regression, OrphanedWaitersOfAnExpiredKey) {
  db_.set("queue", Value::array({}), 2ms);
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  ASSERT_TRUE(eventually([&] { return db_.size() == 0; }));
  db_.push("queue", 1);
  EXPECT_EQ(waiter.value(), Value(1));
}

TEST_F(Regression, OrphanedWaitersOfAClearedStore) {
  db_.set("queue", Value::array({}));
  auto waiter = start([&] { return db_.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(db_, 1));
  db_.clear();
  db_.push("queue", 1);
  EXPECT_EQ(waiter.value(), Value(1));
}

TEST_F(Regression, TimeoutRestartedAtEachWakeUp) {
  auto waiter = start([&] {
    return db_.wait_for(
        "key", [](const Value&) { return false; }, 50ms);
  });
  auto equal = start([&] { return db_.wait("key", -1, 50ms); });
  // Each write wakes them; were the timeout counted from the last one, they would never end.
  ASSERT_TRUE(eventually([&] {
    for (int write = 0; write < 100; ++write) db_.increment("key");
    return waiter.done() && equal.done();
  }));
  EXPECT_TRUE(waiter.threw(Errc::timeout));
  EXPECT_TRUE(equal.threw(Errc::timeout));
}

std::size_t threads_of_this_process() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

TEST_F(Regression, ThreadLeakedPerWait) {
  db_.shift_wait("queue", 1us);
  const std::size_t before = threads_of_this_process();
  std::stop_source source;
  for (int round = 0; round < 500; ++round) {
    EXPECT_EQ(db_.shift_wait("queue", 1us), std::nullopt);
    EXPECT_EQ(db_.pop_wait("queue", 1us, source.get_token()), std::nullopt);
    EXPECT_TRUE(throws(Errc::timeout, {}, [&] { return db_.wait("key", 1us); }));
  }
  EXPECT_LE(threads_of_this_process(), before + 1) << "one maintenance thread may have started";
}

TEST_F(Regression, EveryWaiterWokenForOneElement) {
  constexpr std::size_t kWaiters = 20;
  std::vector<Call<std::optional<Value>>> waiters;
  for (std::size_t index = 0; index < kWaiters; ++index) {
    waiters.push_back(start([&] { return db_.shift_wait("queue", kLong); }));
    ASSERT_TRUE(waiting(db_, index + 1));
  }
  db_.push("queue", "element");
  EXPECT_EQ(waiters.front().value(), Value("element"));
  EXPECT_EQ(db_.stats().waiters, kWaiters - 1);
  for (std::size_t index = 1; index < kWaiters; ++index) {
    EXPECT_FALSE(waiters[index].done());
    db_.push("queue", "element");
  }
  for (auto& waiter : waiters) EXPECT_EQ(waiter.value(), Value("element"));
  EXPECT_EQ(db_.get("queue"), Value::array({}));
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(Regression, HeapEntryPerReArmedDeadline) {
  constexpr int kKeys = 100;
  constexpr int kRounds = CUBBY_CONTRACT_SANITIZED ? 200 : 20'000;
  for (int key = 0; key < kKeys; ++key) db_.set("session " + std::to_string(key), key, 1h);
  const auto rearm = [&](int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (int key = 0; key < kKeys; ++key) db_.expire("session " + std::to_string(key), std::chrono::minutes(30 + round % 30));
    }
  };
  rearm(kRounds / 10);
  const std::size_t bytes = db_.stats().bytes;
  const std::size_t resident = resident_bytes();
  rearm(kRounds);
  EXPECT_LE(db_.stats().bytes, bytes + 64 * kKeys);
  if (!CUBBY_CONTRACT_SANITIZED) {
    // Two million re-armings; 16 bytes each would be 32 MB.
    EXPECT_LE(resident_bytes(), resident + (8 << 20));
  }
  EXPECT_EQ(db_.size(), static_cast<std::size_t>(kKeys));
}

TEST_F(Regression, ExistsSawExpiredKeys) {
  db_.set("key", 1, 2ms);
  outlive(2ms);
  EXPECT_FALSE(db_.exists("key"));
}

TEST_F(Regression, KeysSawExpiredKeys) {
  db_.set("key", 1, 2ms);
  outlive(2ms);
  EXPECT_TRUE(db_.keys().empty());
}

TEST_F(Regression, IncrementSawExpiredKeys) {
  db_.set("key", 41, 2ms);
  outlive(2ms);
  EXPECT_EQ(db_.increment("key"), Value(1));
  EXPECT_EQ(db_.ttl("key"), std::nullopt);
}

TEST_F(Regression, TimesToLiveCutToWholeSeconds) {
  const auto before = SteadyClock::now();
  db_.set("key", 1, 3'600'999ms);
  const auto left = db_.ttl("key");
  const auto spent = SteadyClock::now() - before;
  ASSERT_TRUE(left.has_value());
  EXPECT_LE(*left, 3'600'999ms + kExactness);
  EXPECT_GE(*left + spent, 3'600'999ms - kExactness);
  db_.set("short", 1, 100ms);
  EXPECT_TRUE(db_.exists("short") || SteadyClock::now() - before >= 100ms) << "less than a second is not nothing";
  EXPECT_TRUE(eventually([&] { return !db_.exists("short"); }));
}

TEST_F(Regression, DeadlinesForgottenOnRestart) {
  open_file().set("key", 1, 1h);
  Datastore again = reopen_file();
  ASSERT_TRUE(again.exists("key"));
  EXPECT_TRUE(again.ttl("key").has_value());
}

TEST_F(Regression, DeadlinesForgottenOnRename) {
  db_.set("from", 1, 1h);
  db_.rename("from", "to");
  EXPECT_TRUE(db_.ttl("to").has_value());
  db_.set("from", 2);
  EXPECT_EQ(db_.ttl("from"), std::nullopt);
}

TEST_F(Regression, FileTruncatedBeforeItIsRewritten) {
  Datastore store = open_file();
  for (int key = 0; key < 1000; ++key) store.set(std::to_string(key), "a value that takes some room");
  store.save();
  // A hard link keeps the old file: were it rewritten in place, it would change.
  const std::filesystem::path old_file = folder_.path() / "old.json";
  std::filesystem::create_hard_link(file(), old_file);
  const std::string old_text = read_text(old_file);
  store.clear();
  store.set("\xff", 1);
  EXPECT_THROW(store.save(), Error);
  EXPECT_EQ(read_text(file()), old_text) << "a save that fails leaves the old file";
  store.clear();
  store.save();
  EXPECT_EQ(read_text(old_file), old_text);
  EXPECT_EQ(read_json(file()), Value::object({}));
}

TEST_F(Regression, DamagedFileOverwrittenByAnEmptyStore) {
  const std::string damaged = "{\"precious\": 1, \"data\": [1, 2";
  write_text(file(), damaged);
  EXPECT_TRUE(throws(Errc::corrupt, {"store.json"}, [&] { return open_file(); }));
  EXPECT_NO_THROW(close(file_store_name_));
  EXPECT_NO_THROW(shutdown());
  EXPECT_EQ(read_text(file()), damaged);
}

}  // namespace
}  // namespace cubby::contract
