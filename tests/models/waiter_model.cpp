// SPDX-License-Identifier: Apache-2.0
// A call that waits for an element, a writer that has one, a close and a cancellation: exactly one ends the wait, and the
// element is delivered exactly once or stays.

#include "models/model.hpp"
#include "store/waiter_state.hpp"

namespace cubby::models {
namespace {

template <class Policy>
struct WaiterSuite : rl::test_suite<WaiterSuite<Policy>, 4> {
  enum { kNothing, kElement, kClosed };

  struct Waiter {
    detail::WaiterState<Policy> state;
    Plain<int> result{kNothing};
  };

  /// As WaiterLists: who claims takes the waiter out of the list under its mutex, and delivers after that.
  Waiter* claim(int result) {
    Waiter* waiter = list.get();
    if (waiter == nullptr || !waiter->state.claim()) return nullptr;
    waiter->result.set(result);
    list.set(nullptr);
    return waiter;
  }

  void wait() {
    auto* waiter = new Waiter;
    bucket.lock();
    if (queue.get() > 0) {
      queue.set(queue.get() - 1);
      bucket.unlock();
      ++delivered;
      delete waiter;
      return;
    }
    shard.lock();
    list.set(waiter);
    shard.unlock();
    bucket.unlock();
    // As Store::await(): time may be over whenever it likes.
    while (!waiter->state.done()) {
      if ((stop.load(std::memory_order_relaxed) || rl::rand(4) == 0) && waiter->state.give_up()) {
        shard.lock();
        if (list.get() == waiter) list.set(nullptr);
        shard.unlock();
        require(waiter->result.get() == kNothing, "gave up, and yet has a result");
        ++given_up;
        delete waiter;
        return;
      }
      rl::yield(1, $);
    }
    require(waiter->result.get() != kNothing, "done without a result");
    ++(waiter->result.get() == kElement ? delivered : closed);
    delete waiter;
  }

  void thread(unsigned index) {
    if (index == 0) {
      wait();
    } else if (index == 1) {
      bucket.lock();
      shard.lock();
      Waiter* waiter = claim(kElement);
      shard.unlock();
      if (waiter == nullptr) queue.set(queue.get() + 1);
      bucket.unlock();
      if (waiter != nullptr) waiter->state.finish();
    } else if (index == 2) {
      shard.lock();
      Waiter* waiter = claim(kClosed);
      shard.unlock();
      if (waiter != nullptr) waiter->state.finish();
    } else {
      stop.store(true, std::memory_order_relaxed);
    }
  }

  void after() {
    require(delivered + closed + given_up == 1, "the wait has not ended once");
    require(delivered + queue.get() == 1, "the element is lost, or there twice");
    require(list.get() == nullptr, "a waiter stays in the list");
  }

  RelacyMutex bucket, shard;
  Plain<Waiter*> list{nullptr};  // under shard
  Plain<int> queue{0};           // under bucket
  typename Policy::template Atomic<bool> stop{false};
  int delivered = 0, closed = 0, given_up = 0;  // of the waiting thread
};

/// An attempt that is told of an element: a writer that brings one, a thief that may take it first, and time or a cancellation.
template <class Policy>
struct AttemptSuite : rl::test_suite<AttemptSuite<Policy>, 4> {
  using State = detail::WaiterState<Policy>;

  /// As CallbackWaiter::run().
  void run() {
    if (!state.begin()) return;
    for (;;) {
      bucket.lock();
      const bool got = queue.get() > 0;
      if (got) queue.set(queue.get() - 1);
      bucket.unlock();
      turns.set(turns.get() + 1);  // a race if two are at it, or the next doesn't see what this one has done
      if (got) {
        state.finish();
        ++delivered;
        return;
      }
      const typename State::Told told = state.rearm();
      if (told == State::Told::nothing) return;
      if (told == State::Told::again) continue;
      state.finish();
      ++stopped;
      return;
    }
  }

  void thread(unsigned index) {
    if (index == 0) {
      // Found the key without an element, or is to find out; then it stands in line. A writer of a later table may come
      // between.
      for (bool armed = false; !armed;) {
        bucket.lock();
        state.settle(true);
        shard.lock();
        listed.set(true);
        shard.unlock();
        armed = state.arm(true);
        if (!armed) {
          shard.lock();
          listed.set(false);
          shard.unlock();
        }
        bucket.unlock();
      }
      run();
    } else if (index == 1) {
      bucket.lock();
      queue.set(queue.get() + 1);
      shard.lock();
      const bool told = listed.get() && state.notify(false) == State::Notice::first;
      shard.unlock();
      bucket.unlock();
      if (told) run();
    } else if (index == 2) {
      bucket.lock();
      if (queue.get() > 0) {
        queue.set(queue.get() - 1);
        ++stolen;
      }
      bucket.unlock();
    } else {
      shard.lock();
      const bool known = listed.get();
      shard.unlock();
      if (!known) return;
      if (rl::rand(2) == 0) {
        if (state.give_up()) ++cancelled;
      } else if (state.interrupt(State::kTimedOut)) {
        ++late;
      }
    }
  }

  void after() {
    const int ends = delivered + stopped + cancelled + late;
    require(ends <= 1, "it has ended twice");
    require(delivered + stolen + queue.get() == 1, "the element is lost, or there twice");
    require(ends == 1 || queue.get() == 0, "it sleeps over an element");
  }

  RelacyMutex bucket, shard;
  State state{State::Beginning::preparing};
  Plain<bool> listed{false};  // under shard
  Plain<int> queue{0};        // under bucket
  Plain<int> turns{0};        // of whoever runs it
  int delivered = 0, stopped = 0, cancelled = 0, late = 0, stolen = 0;
};

CUBBY_RELAXED(finish);
CUBBY_RELAXED(rearm);
CUBBY_RELAXED(done);

/// Claims and gives up whoever was first.
struct NoRace : Faithful {
  static bool forces(std::string_view function) { return function == "end_by" || function == "give_up"; }
};

/// Begins without seeing what the turn before has done: the one acquires what the other doesn't.
struct BeginsBlindly : Faithful {
  static std::memory_order order(std::string_view function, std::memory_order order) {
    return function == "begin" || function == "notify" ? std::memory_order_relaxed : order;
  }
};

/// Waits again whatever it was told meanwhile.
struct Deaf : Faithful {
  static bool forces(std::string_view function) { return function == "rearm"; }
};

/// Begins though it was cancelled.
struct BeginsAnyway : Faithful {
  static bool forces(std::string_view function) { return function == "begin"; }
};

/// Takes a waiter for done once it is claimed.
struct DoneTooSoon : Faithful {
  template <class T>
  static T loaded(std::string_view function, T value) {
    if constexpr (std::is_same_v<T, std::uint32_t>) return function == "done" && value == 1 ? 2 : value;
    return value;
  }
};

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<WaiterSuite<RelacyAtomics<>>>("one of four ends a wait", 200000);
  runner.holds_in_all<WaiterSuite<RelacyAtomics<>>>("one of four ends a wait, all with two preemptions", 2);

  runner.holds<AttemptSuite<RelacyAtomics<>>>("an attempt", 200000);
  runner.holds_in_all<AttemptSuite<RelacyAtomics<>>>("an attempt, all with two preemptions", 2);

  runner.is_found<WaiterSuite<RelacyAtomics<Relaxed_finish>>>("finish relaxed", 200000);
  runner.is_found<WaiterSuite<RelacyAtomics<Relaxed_done>>>("done relaxed", 200000);
  runner.is_found<WaiterSuite<RelacyAtomics<NoRace>>>("claimed and given up at once", 200000);
  runner.is_found<WaiterSuite<RelacyAtomics<DoneTooSoon>>>("done when claimed", 200000);
  runner.is_found<AttemptSuite<RelacyAtomics<Relaxed_rearm>>>("rearm relaxed", 200000);
  runner.is_found<AttemptSuite<RelacyAtomics<BeginsBlindly>>>("notify and begin relaxed", 200000);
  runner.is_found<AttemptSuite<RelacyAtomics<Deaf>>>("rearms whatever it was told", 200000);
  runner.is_found<AttemptSuite<RelacyAtomics<BeginsAnyway>>>("begins though cancelled", 200000);
  return runner.exit_code();
}
