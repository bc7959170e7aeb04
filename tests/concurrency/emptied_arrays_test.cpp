// SPDX-License-Identifier: Apache-2.0

// A queue that goes with its last element, pushed to meanwhile: no element is lost or given twice, and nobody sees it empty.

#include <set>

#include "support.hpp"

namespace cubby_test {
namespace {

class EmptiedArraysTogether : public StoreTest {
 protected:
  static constexpr int kProducers = 2;
  static constexpr int kConsumers = 2;

  /// `take(pops)`: an element, or empty if there is none.
  template <class Take>
  void run(Datastore& on, int each, Take take) {
    std::vector<std::vector<std::int64_t>> taken(kConsumers);
    std::atomic<int> left{kProducers * each};
    std::atomic<bool> seen_empty{false};
    Threads readers;
    readers.repeat(1, [&] {
      on.visit("key", [&](const Value& value) {
        if (value.size() == 0) seen_empty = true;
      });
      if (on.length("key") == 0u || on.get("key") == Value::array({})) seen_empty = true;
    });
    run_threads(kProducers + kConsumers, [&](int thread) {
      if (thread < kProducers) {
        for (int number = 0; number < each; ++number) {
          const std::int64_t element = thread * 10'000'000 + number;
          EXPECT_GE(number % 3 == 0 ? on.unshift("key", element) : on.push("key", element), 1u);
          if (number % 16 == 0) std::this_thread::yield();
        }
        return;
      }
      for (int count = 0; left.load() > 0; ++count) {
        if (const std::optional<Value> element = take((count + thread) % 2 != 0)) {
          taken[static_cast<std::size_t>(thread - kProducers)].push_back(element->as_int());
          --left;
        } else {
          std::this_thread::yield();
        }
      }
    });
    readers.stop();
    EXPECT_FALSE(seen_empty);
    EXPECT_FALSE(on.exists("key"));
    std::set<std::int64_t> all;
    std::size_t elements = 0;
    for (const auto& of_one : taken) {
      elements += of_one.size();
      all.insert(of_one.begin(), of_one.end());
    }
    EXPECT_EQ(elements, static_cast<std::size_t>(kProducers * each));
    EXPECT_EQ(all.size(), elements) << "an element was given twice";
  }

  static std::optional<Value> take_from(Datastore& on, bool pops) {
    try {
      std::optional<Value> element =
          pops ? on.pop("key", cubby::WhenEmptied::erase) : on.shift("key", cubby::WhenEmptied::erase);
      EXPECT_TRUE(element) << "it was there, and empty";
      return element;
    } catch (const cubby::Error& error) {
      EXPECT_EQ(error.code(), Errc::key_not_found);
      return std::nullopt;
    }
  }
};

TEST_F(EmptiedArraysTogether, NothingIsLostOrDoubled) {
  run(store(), scaled(8'000, 1'000), [&](bool pops) { return take_from(store(), pops); });
}

TEST_F(EmptiedArraysTogether, NorInTransactions) {
  run(store(), scaled(4'000, 500), [&](bool pops) {
    std::optional<Value> element;
    store().transact({"key", "taken"}, [&](cubby::Transaction& transaction) {
      if (!transaction.exists("key")) return;
      element = pops ? transaction.pop("key", cubby::WhenEmptied::erase) : transaction.shift("key", cubby::WhenEmptied::erase);
      transaction.increment("taken");
    });
    return element;
  });
  EXPECT_EQ(store().get("taken"), Value(kProducers * scaled(4'000, 500)));
}

TEST_F(EmptiedArraysTogether, NorInAStoreThatIsSavedMeanwhile) {
  cubby::Options options;
  options.directory = folder() / "durable";
  Datastore durable = cubby::open("durable", options);
  Threads savers;
  savers.repeat(1, [&] { durable.save(); });
  run(durable, scaled(2'000, 200), [&](bool pops) { return take_from(durable, pops); });
  savers.stop();
  durable.push("key", "last");
  cubby::close("durable");
  EXPECT_EQ(cubby::open("durable", options).get("key"), Value::array({"last"}));
}

}  // namespace
}  // namespace cubby_test
