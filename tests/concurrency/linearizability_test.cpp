// SPDX-License-Identifier: Apache-2.0

// The checker is checked: it accepts histories known to be linearizable, rejects ones known not to be, agrees with a search by
// brute force on random small histories, and says so when its budget runs out.

#include "linearizability.hpp"

#include <deque>
#include <numeric>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "support.hpp"

namespace cubby_test {
namespace {

/// A register of integers; 0 at first.
struct RegisterModel {
  struct Operation {
    bool write;
    int value;  // written, or read
  };
  using State = int;
  static bool apply(State& state, const Operation& operation) {
    if (operation.write) state = operation.value;
    return operation.write || state == operation.value;
  }
  static std::size_t hash(const State& state) { return static_cast<std::size_t>(state); }
  friend std::ostream& operator<<(std::ostream& out, const Operation& operation) {
    return out << (operation.write ? "write " : "read ") << operation.value;
  }
};
RegisterModel::Operation write(int value) { return {true, value}; }
RegisterModel::Operation read(int value) { return {false, value}; }

/// A counter: the result of an addition of one.
struct CounterModel {
  using Operation = int;
  using State = int;
  static bool apply(State& state, Operation result) { return ++state == result; }
  static std::size_t hash(const State& state) { return static_cast<std::size_t>(state); }
};

/// A queue; element 0 stands for "empty".
struct QueueModel {
  struct Operation {
    bool push;
    int element;
  };
  using State = std::deque<int>;
  static bool apply(State& state, const Operation& operation) {
    if (operation.push) {
      state.push_back(operation.element);
      return true;
    }
    if (state.empty()) return operation.element == 0;
    const int front = state.front();
    state.pop_front();
    return front == operation.element;
  }
  static std::size_t hash(const State& state) {
    std::size_t hash = 7;
    for (const int element : state) hash = hash * 31 + static_cast<std::size_t>(element);
    return hash;
  }
};
QueueModel::Operation push(int element) { return {true, element}; }
QueueModel::Operation shift(int element) { return {false, element}; }

/// Two places and one thing that moves between them; -1 for a move.
struct RenameModel {
  struct Operation {
    bool move;
    int place;
    bool found;
  };
  using State = int;  // where it is
  static bool apply(State& state, const Operation& operation) {
    if (operation.move) {
      state = 1 - state;
      return true;
    }
    return (state == operation.place) == operation.found;
  }
  static std::size_t hash(const State& state) { return static_cast<std::size_t>(state); }
};
RenameModel::Operation move_it() { return {true, 0, false}; }
RenameModel::Operation look(int place, bool found) { return {false, place, found}; }

TEST(Linearizability, AcceptsTheEmptyHistory) {
  EXPECT_EQ(check_linearizable<RegisterModel>({}).verdict, Verdict::linearizable);
}

TEST(Linearizability, AcceptsASequentialHistory) {
  EXPECT_EQ(check_linearizable<RegisterModel>({{write(1), 1, 2}, {read(1), 3, 4}, {write(2), 5, 6}, {read(2), 7, 8}}).verdict,
            Verdict::linearizable);
}

TEST(Linearizability, AcceptsReadsOfEitherValueDuringAWrite) {
  EXPECT_EQ(check_linearizable<RegisterModel>({{write(1), 1, 10}, {read(0), 2, 3}, {read(1), 4, 5}}).verdict,
            Verdict::linearizable);
  EXPECT_EQ(check_linearizable<RegisterModel>({{write(1), 1, 10}, {read(1), 2, 3}, {read(1), 4, 5}}).verdict,
            Verdict::linearizable);
}

TEST(Linearizability, RejectsAStaleRead) {
  EXPECT_EQ(check_linearizable<RegisterModel>({{write(1), 1, 2}, {read(0), 3, 4}}).verdict, Verdict::violated);
}

TEST(Linearizability, RejectsReadsThatGoBackDuringOneWrite) {
  // The second read began after the first had returned the new value.
  EXPECT_EQ(check_linearizable<RegisterModel>({{write(1), 1, 10}, {read(1), 2, 3}, {read(0), 4, 5}}).verdict,
            Verdict::violated);
}

TEST(Linearizability, RejectsTwoReadersThatDisagreeOnTheOrderOfWrites) {
  EXPECT_EQ(check_linearizable<RegisterModel>(
                {{write(1), 1, 20, 0}, {write(2), 2, 21, 1}, {read(1), 3, 4, 2}, {read(2), 5, 6, 2}, {read(1), 7, 8, 3}})
                .verdict,
            Verdict::violated);
}

TEST(Linearizability, RejectsAValueFromNowhere) {
  EXPECT_EQ(check_linearizable<RegisterModel>({{write(1), 1, 5}, {read(3), 2, 4}}).verdict, Verdict::violated);
}

TEST(Linearizability, AcceptsConcurrentAdditionsInEitherOrder) {
  EXPECT_EQ(check_linearizable<CounterModel>({{2, 1, 4}, {1, 2, 3}, {3, 5, 6}}).verdict, Verdict::linearizable);
}

TEST(Linearizability, RejectsALostUpdate) {
  // Load, then store: both additions saw 0.
  EXPECT_EQ(check_linearizable<CounterModel>({{1, 1, 4}, {1, 2, 3}}).verdict, Verdict::violated);
}

TEST(Linearizability, RejectsAdditionsAgainstRealTime) {
  EXPECT_EQ(check_linearizable<CounterModel>({{2, 1, 2}, {1, 3, 4}}).verdict, Verdict::violated);
}

TEST(Linearizability, AcceptsConcurrentPushesTakenInEitherOrder) {
  EXPECT_EQ(check_linearizable<QueueModel>({{push(1), 1, 4}, {push(2), 2, 3}, {shift(2), 5, 6}, {shift(1), 7, 8}}).verdict,
            Verdict::linearizable);
}

TEST(Linearizability, RejectsADoubleDelivery) {
  EXPECT_EQ(check_linearizable<QueueModel>({{push(1), 1, 2}, {shift(1), 3, 6}, {shift(1), 4, 5}}).verdict, Verdict::violated);
}

TEST(Linearizability, RejectsALostElement) {
  EXPECT_EQ(check_linearizable<QueueModel>({{push(1), 1, 2}, {shift(0), 3, 4}}).verdict, Verdict::violated);
}

TEST(Linearizability, RejectsOvertaking) {
  EXPECT_EQ(check_linearizable<QueueModel>({{push(1), 1, 2}, {push(2), 3, 4}, {shift(2), 5, 6}}).verdict, Verdict::violated);
}

TEST(Linearizability, AcceptsAnEmptyAnswerBesideAPush) {
  EXPECT_EQ(check_linearizable<QueueModel>({{push(1), 1, 4}, {shift(0), 2, 3}, {shift(1), 5, 6}}).verdict,
            Verdict::linearizable);
}

TEST(Linearizability, AcceptsLooksAroundARename) {
  EXPECT_EQ(check_linearizable<RenameModel>({{move_it(), 1, 10}, {look(0, true), 2, 3}, {look(1, true), 4, 5}}).verdict,
            Verdict::linearizable);
}

TEST(Linearizability, RejectsATornRename) {
  // Gone from one place before it is at the other ...
  EXPECT_EQ(check_linearizable<RenameModel>({{move_it(), 1, 10}, {look(0, false), 2, 3}, {look(1, false), 4, 5}}).verdict,
            Verdict::violated);
  // ... or at both.
  EXPECT_EQ(check_linearizable<RenameModel>({{move_it(), 1, 10}, {look(1, true), 2, 3}, {look(0, true), 4, 5}}).verdict,
            Verdict::violated);
}

TEST(Linearizability, StartsFromTheGivenState) {
  EXPECT_EQ(check_linearizable<RegisterModel>({{read(5), 1, 2}}, 5).verdict, Verdict::linearizable);
  EXPECT_EQ(check_linearizable<RegisterModel>({{read(5), 1, 2}}, 4).verdict, Verdict::violated);
}

TEST(Linearizability, SaysWhenTheBudgetIsExceeded) {
  // Twenty writes at once, and a read that none of their orders explains: factorial without memory, 2^20 with it.
  History<RegisterModel::Operation> history;
  for (int value = 1; value <= 20; ++value) history.push_back({write(value), 1, 100, value});
  history.push_back({read(99), 101, 102});
  const Finding finding = check_linearizable<RegisterModel>(history, 0, 10'000);
  EXPECT_EQ(finding.verdict, Verdict::budget_exceeded);
  EXPECT_LE(finding.steps, 10'001U);
}

TEST(Linearizability, RemembersConfigurations) {
  // Ten writes at once: 10! orders, but no more than 10 * 2^10 configurations of what is written and what was last.
  History<RegisterModel::Operation> history;
  for (int value = 1; value <= 10; ++value) history.push_back({write(value), 1, 100, value});
  history.push_back({read(99), 101, 102});
  const Finding finding = check_linearizable<RegisterModel>(history);
  EXPECT_EQ(finding.verdict, Verdict::violated);
  EXPECT_LE(finding.steps, 110'000U);
}

TEST(Linearizability, SplitsHistoriesByConnectedKeys) {
  struct Operation {
    std::vector<std::size_t> keys;
  };
  History<Operation> history;
  for (const std::vector<std::size_t>& keys : std::vector<std::vector<std::size_t>>{{0}, {1}, {2}, {1, 3}, {3}, {4}, {2}}) {
    history.push_back({{keys}, 0, 0, 0});
  }
  const auto parts = partition_by_key(history, 5, [](const Operation& operation) { return operation.keys; });
  std::vector<std::size_t> sizes;
  for (const auto& part : parts) sizes.push_back(part.size());
  std::sort(sizes.begin(), sizes.end());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 2, 3}));
}

/// All orders, one after another.
bool linearizable_by_brute_force(const History<QueueModel::Operation>& history) {
  std::vector<std::size_t> order(history.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    bool legal = true;
    QueueModel::State state;
    for (std::size_t place = 0; place < order.size() && legal; ++place) {
      for (std::size_t later = place + 1; later < order.size() && legal; ++later) {
        legal = history[order[later]].returned > history[order[place]].called;
      }
      legal = legal && QueueModel::apply(state, history[order[place]].operation);
    }
    if (legal) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

TEST(Linearizability, AgreesWithBruteForceOnRandomHistories) {
  std::cout << "CUBBY_TEST_SEED=" << run_seed() << std::endl;
  Random random(seed_for(1));
  int legal = 0;
  const int rounds = scaled(3000, 500);
  for (int round = 0; round < rounds; ++round) {
    History<QueueModel::Operation> history;
    std::vector<std::uint64_t> times(12);
    std::iota(times.begin(), times.end(), std::uint64_t{1});
    for (std::size_t place = times.size() - 1; place > 0; --place) {
      std::swap(times[place], times[static_cast<std::size_t>(random.below(static_cast<int>(place) + 1))]);
    }
    for (std::size_t index = 0; index < 6; ++index) {
      const auto [first, second] = std::minmax(times[2 * index], times[2 * index + 1]);
      const int element = random.below(3);
      const QueueModel::Operation operation = random.one_in(2) ? push(element + 1) : shift(element);
      history.push_back({operation, first, second, static_cast<int>(index)});
    }
    const bool expected = linearizable_by_brute_force(history);
    legal += expected ? 1 : 0;
    ASSERT_EQ(check_linearizable<QueueModel>(history).verdict, expected ? Verdict::linearizable : Verdict::violated)
        << "round " << round << ", seed " << run_seed();
  }
  EXPECT_GT(legal, 0);
  EXPECT_LT(legal, rounds);
}

TEST(Linearizability, PrintsWhatHasNoPlace) {
  const History<RegisterModel::Operation> history{{write(1), 1, 2, 0}, {read(0), 3, 4, 1}};
  const Finding finding = check_linearizable<RegisterModel>(history);
  std::ostringstream out;
  print_history(out, history, finding);
  EXPECT_NE(out.str().find("3..4  thread 1  read 0  NO PLACE"), std::string::npos) << out.str();
}

}  // namespace
}  // namespace cubby_test
