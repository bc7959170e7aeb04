// SPDX-License-Identifier: Apache-2.0

// Waiting with a callback: shift_async, wait_async, attempt_async, and the handle.

#include "support.hpp"

namespace cubby::contract {
namespace {

using Callbacks = ContractTest;

/// What a callback was told, and on which thread.
struct Heard {
  std::vector<WaitResult> results;
  std::vector<std::thread::id> threads;

  auto callback() {
    return [this](WaitResult result) {
      results.push_back(std::move(result));
      threads.push_back(std::this_thread::get_id());
    };
  }
  std::size_t count() const { return results.size(); }
  Value value() const { return results.empty() || !results.back().value ? Value("nothing") : *results.back().value; }
  std::error_code error() const { return results.empty() ? std::error_code() : results.back().error; }
};

TEST_F(Callbacks, WhatIsThereIsTakenAtOnceFromTheFirstKeyThatHasIt) {
  db_.set("empty", Value::array({}));
  db_.set("b", integers(1, 3));
  db_.set("c", integers(7, 9));
  Heard heard;
  Waiting waiting = db_.shift_async({"absent", "empty", "b", "c"}, End::last, std::nullopt, heard.callback());
  ASSERT_EQ(heard.count(), 1u);
  EXPECT_FALSE(waiting.active());
  EXPECT_FALSE(waiting.cancel());
  EXPECT_EQ(heard.value(), Value(3));
  EXPECT_EQ(heard.results[0].index, 2u);
  EXPECT_FALSE(heard.error());
  EXPECT_EQ(db_.get("b"), integers(1, 2));
  EXPECT_EQ(db_.get("c"), integers(7, 9));
  EXPECT_EQ(db_.stats().waiters, 0u);
}

TEST_F(Callbacks, AWriterServesOneElementToOneWaiterOfSeveralKeys) {
  Heard heard;
  const std::vector<std::string> keys{"a", "b", "a"};
  Waiting waiting = db_.shift_async(keys, End::first, 1h, heard.callback());
  EXPECT_TRUE(waiting.active());
  EXPECT_EQ(db_.stats().waiters, 1u);
  Call<std::thread::id> writer = start([&] {
    EXPECT_EQ(db_.push("b", "x"), 1u) << "the length with the element";
    EXPECT_EQ(heard.count(), 1u) << "called before push returns";
    return std::this_thread::get_id();
  });
  const std::thread::id writing = writer.value();
  EXPECT_EQ(heard.threads.at(0), writing);
  EXPECT_EQ(heard.value(), Value("x"));
  EXPECT_EQ(heard.results[0].index, 1u);
  EXPECT_EQ(db_.get("b"), Value::array({}));
  EXPECT_EQ(db_.push("a", "y"), 1u);
  EXPECT_EQ(db_.get("a"), Value::array({"y"}));
  EXPECT_EQ(heard.count(), 1u);
  EXPECT_EQ(db_.stats().waiters, 0u);
}

TEST_F(Callbacks, OfATransactionTheKeyThatWasStoredFirstServes) {
  for (const bool forwards : {true, false}) {
    Heard heard;
    Waiting waiting = db_.shift_async({"a", "b"}, End::first, 1h, heard.callback());
    db_.transact({"a", "b"}, [&](Transaction& t) {
      t.push(forwards ? "a" : "b", "first");
      t.push(forwards ? "b" : "a", "second");
    });
    EXPECT_EQ(heard.value(), Value("first"));
    EXPECT_EQ(heard.results[0].index, forwards ? 0u : 1u);
    db_.clear();
  }
}

TEST_F(Callbacks, StandInOneLineWithThreads) {
  std::vector<std::string> order;
  const auto note = [&order](const char* name) {
    return [&order, name](const WaitResult& result) { order.push_back(name + result.value->to_json()); };
  };
  Waiting first = db_.shift_async({"q"}, End::first, std::nullopt, note("first "));
  Call<std::optional<Value>> thread = start([&] { return db_.pop_wait("q", kLong); });
  ASSERT_TRUE(waiting(db_, 2));
  Waiting third = db_.shift_async({"q"}, End::last, std::nullopt, note("third "));
  db_.set("q", integers(1, 3));
  EXPECT_EQ(thread.value(), Value(3));
  EXPECT_EQ(order, (std::vector<std::string>{"first 1", "third 2"}));
}

TEST_F(Callbacks, TimeIsOneDeadline) {
  Heard at_once;
  Waiting none = db_.shift_async({"q"}, End::first, 0s, at_once.callback());
  EXPECT_EQ(at_once.error(), Errc::timeout);
  std::atomic<int> called{0};
  const auto begin = SteadyClock::now();
  std::atomic<std::int64_t> took{0};
  Waiting waiting = db_.shift_async({"q", "r"}, End::first, 20ms, [&](const WaitResult& result) {
    EXPECT_EQ(result.error, Errc::timeout);
    EXPECT_FALSE(result.value);
    took = (SteadyClock::now() - begin).count();
    ++called;
  });
  EXPECT_TRUE(eventually([&] { return called == 1; }));
  EXPECT_GE(took.load(), std::chrono::nanoseconds(20ms).count());
  EXPECT_TRUE(eventually([&] { return !waiting.active(); }));
  db_.push("q", 1);
  EXPECT_EQ(db_.get("q"), Value::array({1}));
  EXPECT_EQ(called, 1);
  EXPECT_EQ(db_.stats().waiters, 0u);
}

TEST_F(Callbacks, CancelledOnesAreNotCalledAndTakeNothing) {
  Heard heard;
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  Waiting waiting = db_.shift_async({"a", "b"}, End::first, 1h,
                                    [owned = std::move(owned), &heard](WaitResult) { heard.results.emplace_back(); });
  EXPECT_TRUE(waiting.cancel());
  EXPECT_TRUE(watch.expired()) << "what the callback owned is free";
  EXPECT_FALSE(waiting.cancel());
  EXPECT_FALSE(waiting.active());
  EXPECT_EQ(db_.stats().waiters, 0u);
  { Waiting dropped = db_.shift_async({"a"}, End::first, 1h, heard.callback()); }
  Waiting replaced = db_.shift_async({"a"}, End::first, 1h, heard.callback());
  replaced = Waiting();
  EXPECT_EQ(db_.stats().waiters, 0u);
  db_.push("a", 1);
  db_.push("b", 1);
  EXPECT_EQ(heard.count(), 0u);
  EXPECT_EQ(db_.get("a"), Value::array({1}));
}

TEST_F(Callbacks, CloseEndsThem) {
  const std::string name = fresh_store_name();
  Datastore store = open(name);
  Heard element, value;
  std::error_code tried;
  Waiting first = store.shift_async({"a", "b"}, End::first, 1h, element.callback());
  Waiting second = store.wait_async("a", "x", std::nullopt, value.callback());
  Waiting third = store.attempt_async({"c"}, std::nullopt, [&](std::error_code error) {
    tried = error;
    return false;
  });
  close(name);
  EXPECT_EQ(element.error(), Errc::closed);
  EXPECT_EQ(value.error(), Errc::closed);
  EXPECT_EQ(tried, Errc::closed);
  EXPECT_FALSE(first.active() || second.active() || third.active());
  EXPECT_TRUE(throws(Errc::closed, {"shift_async"},
                     [&] { return store.shift_async({"a"}, End::first, 1h, element.callback()).active(); }));
}

TEST_F(Callbacks, WhatIsNoArray) {
  db_.set("text", "x");
  Heard heard;
  EXPECT_TRUE(throws(Errc::type_mismatch, {"shift_async", "text"}, [&] {
    return db_.shift_async({"a", "text"}, End::first, 1h, heard.callback()).active();
  }));
  EXPECT_EQ(db_.stats().waiters, 0u);
  Waiting waiting = db_.shift_async({"a", "b"}, End::first, 1h, heard.callback());
  bool moved = false;
  Waiting attempt = db_.attempt_async({"b"}, 1h, [&](std::error_code) { return moved = db_.exists("b"); });
  db_.set("b", "x");
  EXPECT_EQ(heard.error(), Errc::type_mismatch);
  EXPECT_EQ(heard.results.at(0).index, 1u);
  EXPECT_FALSE(moved) << "an attempt waits for elements";
  EXPECT_TRUE(throws(Errc::invalid_argument, {"shift_async"},
                     [&] { return db_.shift_async(std::vector<std::string>{}, End::first, 1h, heard.callback()).active(); }));
}

TEST_F(Callbacks, ReadOnlyStoresGiveNoElements) {
  TemporaryFolder folder;
  write_text(folder.path() / "store.json", "{\"a\": 1}");
  Options options;
  options.persist = folder.path() / "store.json";
  options.read_only = true;
  Datastore store = open_other(options);
  Heard heard;
  EXPECT_TRUE(throws(Errc::read_only, {"shift_async"},
                     [&] { return store.shift_async({"q"}, End::first, 0s, heard.callback()).active(); }));
  Waiting equal = store.wait_async("a", 1, 1h, heard.callback());
  EXPECT_EQ(heard.value(), Value(1));
}

TEST_F(Callbacks, WaitAsyncIsWait) {
  Heard change, equal, absent;
  db_.set("key", 1);
  Waiting first = db_.wait_async("key", 1h, change.callback());
  Waiting second = db_.wait_async("key", 3, 1h, equal.callback());
  Waiting third = db_.wait_async("absent", 1h, absent.callback());
  db_.set("key", 1);
  db_.erase("key");
  EXPECT_EQ(change.count(), 0u) << "an equal value is no change, nor is absence";
  db_.transact({"key", "other"}, [](Transaction& t) { t.set("key", 2), t.set("other", 2); });
  EXPECT_EQ(change.value(), Value(2));
  EXPECT_EQ(equal.count(), 0u);
  db_.increment("key");
  db_.increment("key");
  EXPECT_EQ(equal.value(), Value(3));
  EXPECT_EQ(change.count() + equal.count(), 2u);
  db_.set("absent", nullptr);
  ASSERT_EQ(absent.count(), 1u);
  EXPECT_EQ(absent.results[0].value, Value(nullptr));
  Heard at_once, never;
  Waiting fourth = db_.wait_async("key", 4, 1h, at_once.callback());
  Waiting fifth = db_.wait_async("key", 0s, never.callback());
  EXPECT_EQ(at_once.value(), Value(4));
  EXPECT_EQ(never.error(), Errc::timeout);
}

TEST_F(Callbacks, LiveFiguresCanBeWaitedFor) {
  Datastore sys = open("sys");
  std::atomic<int> called{0};
  Waiting waiting = sys.wait_async("operations.set_once", kLong, [&](const WaitResult& result) {
    EXPECT_TRUE(result.value);
    ++called;
  });
  db_.set_once("key", 1);
  EXPECT_TRUE(eventually([&] { return called == 1; }));
}

/// As BLMOVE does it: the last element of one list to the front of the other, and a list that is empty disappears.
auto mover(Datastore store, std::string from, std::string to, std::vector<std::string>& log, std::string name = "") {
  return [=, &log](std::error_code error) mutable {
    if (error) {
      log.push_back(name + error.message());
      return true;
    }
    return store.transact({from, to}, [&](Transaction& t) {
      const std::optional<Value> element = t.exists(from) ? t.pop(from) : std::nullopt;
      if (!element) return false;
      t.unshift(to, *element);
      if (t.get(from)->size() == 0) t.erase(from);
      log.push_back(name + element->to_json());
      return true;
    });
  };
}

using Attempts = ContractTest;

TEST_F(Attempts, AreMadeAtOnceAndThenWhenThereAreElements) {
  std::vector<std::string> log;
  db_.push("from", 1);
  Waiting at_once = db_.attempt_async({"from"}, 1h, mover(db_, "from", "to", log));
  EXPECT_FALSE(at_once.active());
  EXPECT_EQ(db_.get("to"), Value::array({1}));
  EXPECT_FALSE(db_.exists("from"));
  Waiting later = db_.attempt_async({"from"}, 1h, mover(db_, "from", "to", log));
  EXPECT_TRUE(later.active());
  EXPECT_EQ(db_.stats().waiters, 1u);
  db_.set("from", Value::array({}));
  EXPECT_TRUE(later.active());
  EXPECT_EQ(db_.push("from", 2), 1u);
  EXPECT_FALSE(later.active());
  EXPECT_EQ(db_.get("to"), Value::array({2, 1}));
  EXPECT_FALSE(db_.exists("from"));
  EXPECT_EQ(log, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(db_.stats().waiters, 0u);
}

TEST_F(Attempts, HaveTheirTurnBeforeThoseBehindThem) {
  std::vector<std::string> log;
  Waiting first = db_.attempt_async({"q"}, 1h, mover(db_, "q", "to", log, "first "));
  Heard second;
  Waiting taker = db_.shift_async({"q"}, End::first, 1h, second.callback());
  Waiting third = db_.attempt_async({"q", "p"}, 1h, mover(db_, "q", "to", log, "third "));
  Call<std::optional<Value>> fourth = start([&] { return db_.shift_wait("q", kLong); });
  ASSERT_TRUE(waiting(db_, 4));
  db_.push("q", 1);
  EXPECT_EQ(log, (std::vector<std::string>{"first 1"}));
  EXPECT_EQ(second.count(), 0u);
  db_.set("q", integers(2, 4));
  EXPECT_EQ(second.value(), Value(2));
  EXPECT_EQ(log, (std::vector<std::string>{"first 1", "third 4"}));
  EXPECT_EQ(fourth.value(), Value(3));
  EXPECT_EQ(db_.get("q"), Value::array({}));
  EXPECT_EQ(db_.stats().waiters, 0u);
}

TEST_F(Attempts, ThatFindNothingKeepTheirPlace) {
  std::vector<std::string> log;
  bool steal = true;
  auto move = mover(db_, "q", "to", log, "first ");
  Waiting first = db_.attempt_async({"q"}, 1h, [&](std::error_code error) {
    if (steal && db_.exists("q")) db_.take("q");  // somebody is faster
    return move(error);
  });
  Heard second;
  Waiting taker = db_.shift_async({"q"}, End::first, 1h, second.callback());
  db_.push("q", 1);
  EXPECT_TRUE(first.active());
  EXPECT_EQ(second.count(), 0u);
  steal = false;
  db_.push("q", 2);
  EXPECT_EQ(log, (std::vector<std::string>{"first 2"}));
  db_.push("q", 3);
  EXPECT_EQ(second.value(), Value(3));
}

TEST_F(Attempts, ThatGiveUpPassTheirTurnOn) {
  bool wants = false;
  Waiting first = db_.attempt_async({"q"}, 1h, [&](std::error_code) { return wants; });
  Heard second;
  Waiting taker = db_.shift_async({"q"}, End::first, 1h, second.callback());
  db_.push("q", 1);
  EXPECT_EQ(second.count(), 0u) << "the first may still want it";
  EXPECT_TRUE(first.cancel());
  EXPECT_EQ(second.value(), Value(1));
}

TEST_F(Attempts, AreToldThatTimeIsOver) {
  std::vector<std::error_code> told;
  Waiting at_once = db_.attempt_async({"q"}, 0s, [&](std::error_code error) {
    told.push_back(error);
    return false;
  });
  EXPECT_EQ(told, (std::vector<std::error_code>{{}, Errc::timeout}));
  EXPECT_FALSE(at_once.active());
  std::atomic<int> calls{0}, timeouts{0};
  Waiting later = db_.attempt_async({"q"}, 10ms, [&](std::error_code error) {
    ++calls;
    if (error == Errc::timeout) ++timeouts;
    return false;
  });
  EXPECT_TRUE(eventually([&] { return timeouts == 1; }));
  EXPECT_TRUE(eventually([&] { return db_.stats().waiters == 0; }));
  db_.push("q", 1);
  EXPECT_EQ(calls, 2);
}

TEST_F(Attempts, InALongChainDoNotNest) {
  constexpr int kLength = 5000;
  std::vector<std::string> log;
  std::vector<Waiting> chain;
  for (int index = 0; index < kLength; ++index) {
    const std::string from = "list " + std::to_string(index), to = "list " + std::to_string(index + 1);
    chain.push_back(db_.attempt_async(std::vector<std::string>{from}, 1h, mover(db_, from, to, log)));
  }
  db_.push("list 0", "token");
  EXPECT_EQ(db_.get("list " + std::to_string(kLength)), Value::array({"token"}));
  EXPECT_EQ(db_.size(), 1u);
  EXPECT_EQ(log.size(), static_cast<std::size_t>(kLength));
}

TEST_F(Callbacks, MayCallTheStoreButNotWait) {
  Heard heard;
  Waiting second;
  Waiting first = db_.shift_async({"q"}, End::first, 1h, [&](WaitResult) {
    db_.set("seen", 1);
    db_.transact({"a", "b"}, [](Transaction& t) { t.set("a", 1), t.set("b", 1); });
    EXPECT_TRUE(throws(Errc::invalid_argument, {"shift_wait"}, [&] { return db_.shift_wait("q", 1h); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"wait"}, [&] { return db_.wait("q", 1h); }));
    EXPECT_TRUE(throws(Errc::invalid_argument, {"close"}, [&] { close(name_); }));
    second = db_.shift_async({"q"}, End::first, 1h, heard.callback());  // waits again
    db_.push("q", "nested");
    EXPECT_EQ(heard.count(), 0u) << "callbacks don't nest";
    first = Waiting();  // its own handle
  });
  db_.push("q", 1);
  EXPECT_EQ(heard.value(), Value("nested"));
  EXPECT_TRUE(db_.exists("seen"));
}

TEST_F(Callbacks, AreCalledWhenNoKeyIsHeld) {
  Datastore other = open(fresh_store_name());
  Heard heard;
  Waiting waiting = other.shift_async({"q"}, End::first, 1h, heard.callback());
  db_.modify("key", [&](std::optional<Value>) {
    other.push("q", 1);
    EXPECT_EQ(heard.count(), 0u);
    return Value(1);
  });
  EXPECT_EQ(heard.value(), Value(1));
  waiting = other.shift_async({"q"}, End::first, 1h, heard.callback());
  EXPECT_THROW(db_.transact({"key"},
                            [&](Transaction&) {
                              other.push("q", 2);
                              throw std::runtime_error("function");
                            }),
               std::runtime_error);
  EXPECT_EQ(heard.value(), Value(2));
  EXPECT_TRUE(throws(Errc::invalid_argument, {"shift_async"}, [&] {
    db_.modify("key", [&](std::optional<Value>) -> std::optional<Value> {
      waiting = db_.shift_async({"q"}, End::first, 1h, heard.callback());
      return 1;
    });
  }));
}

TEST_F(Callbacks, WhatTheyWereGivenIsInTheLog) {
  TemporaryFolder folder;
  Options options;
  options.directory = folder.path() / "store";
  options.sync = Sync::always();
  const std::string name = fresh_store_name();
  Datastore store = open(name, options);
  Heard heard;
  std::vector<std::string> log;
  Waiting taker = store.shift_async({"q"}, End::first, 1h, heard.callback());
  Waiting attempt = store.attempt_async({"q"}, 1h, mover(store, "q", "to", log));
  Waiting behind = store.shift_async({"q"}, End::first, 1h, heard.callback());
  store.set("q", integers(1, 4));
  EXPECT_EQ(heard.count(), 2u);
  EXPECT_EQ(heard.value(), Value(2));
  Waiting at_once = store.shift_async({"q"}, End::first, 1h, heard.callback());
  EXPECT_EQ(heard.value(), Value(3));
  // Read from the log, not from the checkpoint that close() leaves.
  std::filesystem::copy(options.directory, folder.path() / "copy", std::filesystem::copy_options::recursive);
  Options reading;
  reading.directory = folder.path() / "copy";
  reading.read_only = true;
  const std::string copy = fresh_store_name();
  EXPECT_EQ(open(copy, reading).get("q"), Value::array({}));
  EXPECT_EQ(open(copy).get("to"), Value::array({4}));
  close(copy);
  close(name);
}

}  // namespace
}  // namespace cubby::contract
