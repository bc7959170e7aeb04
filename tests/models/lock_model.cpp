// SPDX-License-Identifier: Apache-2.0
// lock_bucket() and its companions: one holder at a time, whose writes the next one sees; nobody sleeps for ever; and who finds
// a bucket moved sees what was moved.

#include "models/model.hpp"
#include "table/bucket.hpp"

namespace cubby::models {
namespace {

template <class Policy>
struct LockSuite : rl::test_suite<LockSuite<Policy>, 3> {
  void thread(unsigned index) {
    for (int round = 0; round < 2; ++round) {
      if (index == 2 && round == 1) {
        if (!detail::try_lock_bucket(bucket)) continue;
      } else {
        require(detail::lock_bucket(bucket), "a bucket that nobody has moved");
      }
      guarded.set(guarded.get() + 1);
      ++taken;
      detail::unlock_bucket(bucket);
    }
  }
  void after() {
    require(guarded.get() == taken, "two were inside");
    require((bucket.control.load(std::memory_order_relaxed) & (detail::kLocked | detail::kParked)) == 0, "not unlocked");
  }

  Lot lot;
  detail::Bucket<Policy> bucket;
  Plain<int> guarded{0};
  int taken = 0;
};

template <class Policy>
struct MovedSuite : rl::test_suite<MovedSuite<Policy>, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      detail::lock_bucket(bucket);
      next.set(2);
      detail::unlock_moved(bucket);
      return;
    }
    if (!detail::lock_bucket(bucket)) {
      require(next.get() == 2, "moved, but nothing is there");
      return;
    }
    require(next.get() != 2, "locked after it was moved");
    next.set(1);
    detail::unlock_bucket(bucket);
  }

  Lot lot;
  detail::Bucket<Policy> bucket;
  Plain<int> next{0};
};

CUBBY_RELAXED(try_lock_bucket);
CUBBY_RELAXED(lock_busy_bucket);
CUBBY_RELAXED(unlock_bucket);
CUBBY_RELAXED(unlock_moved);

/// Sleeps though the lock has been released since.
struct AlwaysSleeps : Faithful {
  template <class T>
  static T loaded(std::string_view function, T value) {
    if constexpr (std::is_same_v<T, std::uint64_t>)
      return function == "operator()" ? value | detail::kLocked | detail::kParked : value;
    return value;
  }
};

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<LockSuite<RelacyAtomics<>>>("one holder at a time", 60000);
  runner.holds<MovedSuite<RelacyAtomics<>>>("a bucket moves", 100000);
  runner.holds_in_all<MovedSuite<RelacyAtomics<>>>("a bucket moves, all with two preemptions", 2);

  runner.is_found<LockSuite<RelacyAtomics<Relaxed_try_lock_bucket>>>("lock relaxed", 100000);
  runner.is_found<LockSuite<RelacyAtomics<Relaxed_unlock_bucket>>>("unlock relaxed", 100000);
  runner.is_found<MovedSuite<RelacyAtomics<Relaxed_unlock_moved>>>("move relaxed", 100000);
  runner.is_found<MovedSuite<RelacyAtomics<Relaxed_lock_busy_bucket>>>("lock of a moved bucket relaxed", 100000);
  runner.is_found<LockSuite<RelacyAtomics<AlwaysSleeps>>>("sleeps without a look", 100000);
  return runner.exit_code();
}
