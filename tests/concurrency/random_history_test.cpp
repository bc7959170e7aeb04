// SPDX-License-Identifier: Apache-2.0

// Random short histories of several threads on a few keys, checked for linearizability against StoreModel.

#include <sstream>

#include "linearizability.hpp"
#include "store_model.hpp"
#include "support.hpp"

namespace cubby_test {
namespace {

struct Plan {
  std::vector<Kind> kinds;  // drawn evenly: name one twice to have it twice as often
  std::size_t keys = 1;
  int threads = 3;
  int operations = 20;  // of each thread, a round
  int rounds = 0;
  int longest_wait = 60;  // microseconds
};

/// Holds threads at the start of a round until all are there, so that their calls overlap.
class StartLine {
 public:
  explicit StartLine(int threads) : threads_(threads) {}
  void arrive(int round) {
    const int all = threads_ * (round + 1);
    if (arrived_.fetch_add(1) + 1 == all) {
      arrived_.notify_all();
      return;
    }
    Patience patience;
    for (int here = arrived_.load(); here < all; here = arrived_.load()) {
      if (!patience.yield()) arrived_.wait(here);
    }
  }

 private:
  const int threads_;
  std::atomic<int> arrived_{0};
};

class RandomHistory : public StoreTest {
 protected:
  static constexpr int kBatch = 50;

  void run(const Plan& plan) {
    // On a machine that is busy with other things a round may take a hundred times as long: then fewer have to do.
    const auto end = Clock::now() + 1s * scaled(4, 6);
    int rounds = 0;
    while (rounds < plan.rounds && Clock::now() < end && !HasFatalFailure()) {
      const int batch = std::min(kBatch, plan.rounds - rounds);
      run_batch(plan, rounds, batch);
      rounds += batch;
    }
    std::cout << rounds << " rounds, longest search: " << most_steps_ << " steps" << std::endl;
  }

 private:
  StoreOperation draw(const Plan& plan, Random& random, int thread, int count) {
    StoreOperation operation;
    operation.kind = plan.kinds[static_cast<std::size_t>(random.below(static_cast<int>(plan.kinds.size())))];
    operation.key = static_cast<std::size_t>(random.below(static_cast<int>(plan.keys)));
    if (plan.keys > 1) {
      const int step = 1 + random.below(static_cast<int>(plan.keys) - 1);
      operation.other = (operation.key + static_cast<std::size_t>(step)) % plan.keys;
    }
    // Mostly values that are written once, which tell most; at times ones that waits meet.
    operation.argument = random.one_in(3) ? random.below(3) : thread * 1000 + count + 10;
    operation.microseconds = random.one_in(3) ? 0 : random.below(plan.longest_wait);
    return operation;
  }

  void run_batch(const Plan& plan, int first, int rounds) {
    using Recorded = std::vector<std::vector<Event<StoreOperation>>>;  // by round
    std::vector<Recorded> recorded(static_cast<std::size_t>(plan.threads), Recorded(static_cast<std::size_t>(rounds)));
    Ticket ticket;
    StartLine start(plan.threads);
    StartLine finish(plan.threads);
    run_threads(plan.threads, [&](int thread) {
      for (int round = 0; round < rounds; ++round) {
        Random random(seed_for(static_cast<std::uint64_t>((first + round) * 16 + thread)));
        auto& events = recorded[static_cast<std::size_t>(thread)][static_cast<std::size_t>(round)];
        events.reserve(static_cast<std::size_t>(plan.operations));
        if (thread == 0) store().clear();
        start.arrive(round);
        for (int count = 0; count < plan.operations; ++count) {
          Event<StoreOperation> event{draw(plan, random, thread, count), 0, 0, thread};
          if (random.one_in(40)) std::this_thread::yield();
          event.called = ticket.take();
          std::string result = execute(store(), event.operation);
          event.returned = ticket.take();
          event.operation.result = std::move(result);
          events.push_back(std::move(event));
        }
        finish.arrive(round);
      }
    });
    for (int round = 0; round < rounds; ++round) {
      History<StoreOperation> history;
      for (const Recorded& of_thread : recorded) {
        const auto& events = of_thread[static_cast<std::size_t>(round)];
        history.insert(history.end(), events.begin(), events.end());
      }
      check(history, first + round);
      if (HasFatalFailure()) return;
    }
  }

  void check(const History<StoreOperation>& history, int round) {
    const auto parts = partition_by_key(history, kModelKeys, [](const StoreOperation& operation) { return operation.keys(); });
    for (const auto& part : parts) {
      const Finding finding = check_linearizable<StoreModel>(part);
      most_steps_ = std::max(most_steps_, finding.steps);
      if (finding.verdict == Verdict::linearizable) continue;
      std::ostringstream transcript;
      print_history(transcript, part, finding);
      FAIL() << "round " << round << ", CUBBY_TEST_SEED=" << run_seed() << "\n" << transcript.str();
    }
  }

  std::size_t most_steps_ = 0;
};

TEST_F(RandomHistory, Register) {
  run({.kinds = {Kind::get, Kind::visit, Kind::exists, Kind::set, Kind::set, Kind::set_once, Kind::swap, Kind::take,
                 Kind::erase, Kind::increment, Kind::modify_add},
       .rounds = scaled(3000, 400)});
}

TEST_F(RandomHistory, RegisterOfFourThreadsOnTwoKeys) {
  run({.kinds = {Kind::get, Kind::visit, Kind::exists, Kind::set, Kind::set_once, Kind::swap, Kind::take, Kind::erase,
                 Kind::modify_add, Kind::modify_remove},
       .keys = 2,
       .threads = 4,
       .rounds = scaled(1500, 250)});
}

TEST_F(RandomHistory, Counter) {
  run({.kinds = {Kind::increment, Kind::increment, Kind::decrement, Kind::get, Kind::modify_add, Kind::erase},
       .rounds = scaled(3000, 400)});
}

TEST_F(RandomHistory, Queue) {
  run({.kinds = {Kind::push, Kind::push, Kind::unshift, Kind::shift, Kind::pop, Kind::get, Kind::exists, Kind::take},
       .rounds = scaled(3000, 400)});
}

TEST_F(RandomHistory, QueueThatGoesWithItsLastElement) {
  run({.kinds = {Kind::push, Kind::push, Kind::unshift, Kind::shift_erase, Kind::shift_erase, Kind::pop_erase, Kind::get,
                 Kind::exists, Kind::set_once, Kind::expire_later, Kind::has_ttl},
       .rounds = scaled(3000, 400)});
}

TEST_F(RandomHistory, QueueThatGoesWithItsLastElementBetweenWaiters) {
  run({.kinds = {Kind::push, Kind::push, Kind::push, Kind::shift_erase, Kind::pop_erase, Kind::shift_wait, Kind::pop_wait,
                 Kind::transact_shift_push, Kind::get},
       .keys = 2,
       .threads = 4,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, QueueWithWaiters) {
  run({.kinds = {Kind::push, Kind::push, Kind::unshift, Kind::shift_wait, Kind::shift_wait, Kind::pop_wait, Kind::pop_wait,
                 Kind::get},
       .threads = 4,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, QueueWithWaitersThatIsRemovedAndReplaced) {
  run({.kinds = {Kind::push, Kind::push, Kind::push, Kind::shift_wait, Kind::pop_wait, Kind::shift, Kind::erase, Kind::take,
                 Kind::set, Kind::modify_add, Kind::expire_now},
       .threads = 4,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, Waits) {
  run({.kinds = {Kind::wait_change, Kind::wait_equal, Kind::wait_for, Kind::set, Kind::set, Kind::swap, Kind::increment,
                 Kind::erase, Kind::get},
       .threads = 4,
       .operations = 15,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, Deadlines) {
  run({.kinds = {Kind::set, Kind::set_with_ttl, Kind::set_expired, Kind::expire_later, Kind::expire_now, Kind::has_ttl,
                 Kind::remove_expiry, Kind::get, Kind::swap, Kind::increment, Kind::erase, Kind::set_once},
       .rounds = scaled(3000, 400)});
}

TEST_F(RandomHistory, DeadlineWordAgainstWriters) {
  // An expire or remove_expiry that meets a write in progress must be lost to neither.
  run({.kinds = {Kind::expire_later, Kind::expire_later, Kind::has_ttl, Kind::remove_expiry, Kind::remove_expiry, Kind::set,
                 Kind::modify_add},
       .rounds = scaled(3000, 400)});
}

TEST_F(RandomHistory, Rename) {
  run({.kinds = {Kind::rename, Kind::rename, Kind::rename, Kind::get, Kind::exists, Kind::set_once, Kind::swap, Kind::take,
                 Kind::expire_later, Kind::has_ttl},
       .keys = 3,
       .rounds = scaled(2500, 300)});
}

TEST_F(RandomHistory, RenameOntoWaiters) {
  run({.kinds = {Kind::rename, Kind::rename, Kind::push, Kind::push, Kind::shift_wait, Kind::pop_wait, Kind::get,
                 Kind::wait_for},
       .keys = 2,
       .threads = 4,
       .operations = 15,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, Clear) {
  run({.kinds = {Kind::clear, Kind::get, Kind::get, Kind::visit, Kind::set, Kind::set, Kind::push, Kind::take, Kind::increment,
                 Kind::expire_later, Kind::rename},
       .keys = 3,
       .rounds = scaled(2500, 300)});
}

TEST_F(RandomHistory, ClearWithWaiters) {
  run({.kinds = {Kind::clear, Kind::push, Kind::push, Kind::shift_wait, Kind::pop_wait, Kind::wait_for, Kind::get},
       .keys = 2,
       .threads = 4,
       .operations = 15,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, Transactions) {
  run({.kinds = {Kind::transact_read, Kind::transact_transfer, Kind::transact_move, Kind::transact_set, Kind::transact_abort,
                 Kind::get, Kind::get, Kind::set, Kind::take, Kind::increment},
       .keys = 3,
       .rounds = scaled(2500, 300)});
}

TEST_F(RandomHistory, TransactionsOnQueuesWithWaiters) {
  run({.kinds = {Kind::transact_shift_push, Kind::transact_shift_push, Kind::transact_read, Kind::push, Kind::push,
                 Kind::shift_wait, Kind::pop_wait, Kind::shift, Kind::get},
       .keys = 3,
       .threads = 4,
       .operations = 15,
       .rounds = scaled(1200, 200)});
}

TEST_F(RandomHistory, Everything) {
  std::vector<Kind> kinds;
  for (int kind = 0; kind <= static_cast<int>(Kind::transact_abort); ++kind) kinds.push_back(static_cast<Kind>(kind));
  run({.kinds = kinds, .keys = 3, .threads = 4, .operations = 20, .rounds = scaled(1500, 250)});
}

}  // namespace
}  // namespace cubby_test
