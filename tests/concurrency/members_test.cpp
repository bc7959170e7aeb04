// SPDX-License-Identifier: Apache-2.0

// Objects that are changed member by member while they are read, renamed, cleared and saved: each read sees one version, whole.

#include <map>

#include "support.hpp"

namespace cubby_test {
namespace {

class MembersTogether : public StoreTest {
 protected:
  static constexpr int kAccounts = 400;
  static constexpr std::int64_t kBalance = 100;

  static std::string account(int number) { return name_of("account ", 1000 + number); }

  static void make(Datastore& on, std::string_view key) {
    std::map<std::string, Value> accounts;
    for (int each = 0; each < kAccounts; ++each) accounts.emplace(account(each), kBalance);
    on.set(key, Value::object(accounts));
  }
  /// Moves money, which keeps the sum: in one patch, with the balances as the only writer knows them.
  class Writer {
   public:
    Writer(Datastore& on, std::string key, std::uint64_t seed) : on_(on), key_(std::move(key)), random_(seed) {}
    void transfer() {
      const int from = random_.below(kAccounts), to = random_.below(kAccounts);
      if (from == to) return;
      --balances_[static_cast<std::size_t>(from)];
      ++balances_[static_cast<std::size_t>(to)];
      const auto balance = [&](int of) { return number(balances_[static_cast<std::size_t>(of)]); };
      // Members besides, so that nodes are split and joined.
      const std::string other = name_of("other ", random_.below(2000));
      const bool adds = on_.length(key_).value_or(0) < 2 * std::size_t{kAccounts};
      on_.change_members(key_, Value::object({{account(from), balance(from)},
                                              {account(to), balance(to)},
                                              {other, adds ? Value("text that needs a block of its own") : Value()}}));
    }

   private:
    Datastore& on_;
    const std::string key_;
    Random random_;
    std::vector<std::int64_t> balances_ = std::vector<std::int64_t>(kAccounts, kBalance);
  };

  /// In each way of looking at it.
  static void expect_sum(const Datastore& on, std::string_view key) {
    constexpr std::int64_t kSum = kAccounts * kBalance;
    std::int64_t sum = 0;
    std::string last;
    on.visit_members(key, 0, ~std::size_t{0}, [&](std::string_view name, const Value& value) {
      EXPECT_LT(last, name);
      last = name;
      if (name.starts_with("account")) sum += value.as_int();
    });
    EXPECT_EQ(sum, kSum);
    std::vector<std::string> names;
    for (int each = 0; each < kAccounts; ++each) names.push_back(account(each));
    sum = 0;
    EXPECT_EQ(on.visit_members(key, names, [&](std::size_t, const Value& value) { sum += value.as_int(); }),
              std::size_t{kAccounts});
    EXPECT_EQ(sum, kSum);
    sum = 0;
    for (const auto& [name, value] : on.get(key)->members()) {
      if (name.starts_with("account")) sum += value.as_int();
    }
    EXPECT_EQ(sum, kSum);
    EXPECT_TRUE(on.member(key, names.front()));
  }
};

TEST_F(MembersTogether, ReadersSeeOneVersion) {
  make(store(), "one");
  make(store(), "two");
  Threads readers;
  readers.repeat(2, [&](int index) { expect_sum(store(), index == 0 ? "one" : "two"); });
  run_threads(2, [&](int index) {
    Writer writer(store(), index == 0 ? "one" : "two", seed_for(static_cast<std::uint64_t>(index)));
    for (int round = 0; round < scaled(20'000, 2'000); ++round) writer.transfer();
  });
  readers.stop();
  expect_sum(store(), "one");
  expect_sum(store(), "two");
}

TEST_F(MembersTogether, CountersLoseNothing) {
  make(store(), "key");
  constexpr int kWriters = 4;
  const int rounds = scaled(5'000, 500);
  run_threads(kWriters, [&](int index) {
    for (int round = 0; round < rounds; ++round) {
      const auto add = [](const std::optional<Value>& old) -> std::optional<Value> { return old.value().as_int() + 1; };
      const std::string name = account((round + index) % 3);
      if (round % 2 == 0) {
        store().modify_member("key", name, add);
      } else {
        store().transact({"key"}, [&](cubby::Transaction& transaction) { transaction.modify_member("key", name, add); });
      }
    }
  });
  std::int64_t sum = 0;
  for (int each = 0; each < 3; ++each) sum += store().member("key", account(each))->as_int();
  EXPECT_EQ(sum, 3 * kBalance + std::int64_t{kWriters} * rounds);
}

TEST_F(MembersTogether, RenamesAndRemovalsLeaveReadersTheirs) {
  Threads readers;
  readers.repeat(2, [&](int index) {
    std::string last;
    std::size_t seen = 0;
    const auto size = store().visit_members(index == 0 ? "here" : "there", 0, ~std::size_t{0},
                                            [&](std::string_view name, const Value& value) {
                                              EXPECT_LT(last, name);
                                              EXPECT_LE(value.as_int(), kBalance);
                                              last = name;
                                              ++seen;
                                            });
    EXPECT_EQ(seen, size.value_or(0));
  });
  for (int round = 0; round < scaled(300, 40); ++round) {
    make(store(), "here");
    for (int change = 0; change < 20; ++change) {
      store().change_members("here", Value::object({{account(change), change}, {account(kAccounts - 1 - change), nullptr}}));
    }
    store().rename("here", "there");
    store().change_members("there", Value::object({{account(7), 7}}));
    EXPECT_EQ(store().length("there"), std::size_t{kAccounts} - 20);
    if (round % 3 == 0) {
      store().clear();
    } else if (round % 3 == 1) {
      store().set("there", Value::object({}));
      store().erase("there");
    } else {
      store().expire("there", 0s);
    }
  }
  readers.stop();
  EXPECT_FALSE(store().exists("there"));
}

TEST_F(MembersTogether, CheckpointsSeeOneVersion) {
  cubby::Options options;
  options.directory = folder() / "durable";
  {
    Datastore durable = cubby::open("durable", options);
    make(durable, "one");
    make(durable, "two");
    Threads savers;
    savers.repeat(1, [&] { durable.save(); });
    run_threads(2, [&](int index) {
      Writer writer(durable, index == 0 ? "one" : "two", seed_for(static_cast<std::uint64_t>(10 + index)));
      for (int round = 0; round < scaled(3'000, 300); ++round) writer.transfer();
    });
  }
  cubby::close("durable");
  const Datastore again = cubby::open("durable", options);
  expect_sum(again, "one");
  expect_sum(again, "two");
}

}  // namespace
}  // namespace cubby_test
