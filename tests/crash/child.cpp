// SPDX-License-Identifier: Apache-2.0

// The process that is killed: threads that do random operations, and tell of each before it begins and after it has returned.

#include <csignal>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <thread>
#include <vector>

#include <sys/prctl.h>
#include <unistd.h>

#include "operation.hpp"
#include "owned_model.hpp"
#include "plan.hpp"

namespace cubby_crash {

namespace {

using cubby::Datastore;
using cubby::Errc;
using cubby::Value;
using std::chrono::microseconds;
using std::chrono::milliseconds;

std::int64_t element_of(const std::optional<Value>& taken) { return taken ? taken->as_int() : kNothing; }

class Thread {
 public:
  Thread(Datastore store, const Plan& plan, std::uint64_t seed, int round, int thread, int pipe)
      : store_(std::move(store)),
        plan_(plan),
        random_(seed_for(seed, static_cast<std::uint64_t>(round) * kThreads + static_cast<std::uint64_t>(thread) + 1'000'000)),
        round_(round),
        thread_(thread),
        pipe_(pipe) {}

  void work() {
    number_ = integer(chain_key(thread_));
    burst_ = integer(burst_key(thread_, "b"));
    const Value queue = store_.get(burst_key(thread_, "q")).value_or(Value::array({}));
    backlog_ = queue.size();
    if (backlog_ > 0) last_pushed_ = queue[backlog_ - 1].as_int();
    int sum = 0;
    for (const int weight : plan_.weights) sum += weight;
    for (;;) {
      int drawn = random_.below(sum);
      int work = 0;
      while (drawn >= plan_.weights[static_cast<std::size_t>(work)]) drawn -= plan_.weights[static_cast<std::size_t>(work++)];
      step(static_cast<Work>(work));
    }
  }

  void consume() {
    for (;;) {
      const int queue = random_.below(kQueues);
      const Kind kind = in_order(queue) || random_.one_in(2) ? Kind::queue_shift_wait : Kind::queue_pop_wait;
      cubby::Timeout timeout = microseconds(random_.below(2000));
      if (random_.one_in(10)) timeout = milliseconds(20);
      if (random_.one_in(50)) timeout = std::nullopt;
      report(kind, queue, 0, 0, [&] {
        const std::string key = queue_key(queue);
        return element_of(kind == Kind::queue_shift_wait ? store_.shift_wait(key, timeout) : store_.pop_wait(key, timeout));
      });
    }
  }

  void write_epochs() {
    for (std::int64_t number = std::int64_t{round_} << 32;; ++number) {
      report(Kind::epoch_set, 0, 0, number, [&] { return store_.set(epoch_key(number), number), 0; });
      if (random_.one_in(200)) std::this_thread::sleep_for(microseconds(random_.below(500)));
    }
  }

  void clear_epochs() {
    for (;;) {
      std::this_thread::sleep_for(microseconds(random_.below(1000)));
      if (random_.one_in(50)) save();
      report(Kind::clear, 0, 0, 0, [&] { return store_.clear(), 0; });
    }
  }

 private:
  std::int64_t integer(const std::string& key) const { return store_.get(key).value_or(0).as_int(); }

  /// Tells, does, tells. An error of the disk or the like ends the process, which the parent takes for what it is.
  template <class F>
  void report(Kind kind, int a, int b, std::int64_t argument, F&& f) {
    Record record;
    record.kind = kind;
    record.thread = static_cast<std::uint8_t>(thread_);
    record.a = static_cast<std::uint8_t>(a);
    record.b = static_cast<std::uint8_t>(b);
    record.argument = argument;
    send(record);
    try {
      record.result = f();
    } catch (const cubby::Error& error) {
      record.error = static_cast<std::uint8_t>(error.code().value());
      if (error.code() != Errc::key_not_found && error.code() != Errc::key_exists && error.code() != Errc::type_mismatch &&
          error.code() != Errc::overflow) {
        throw;
      }
    }
    record.phase = Phase::done;
    send(record);
  }

  void send(Record& record) const {
    record.time = wall_clock();
    if (::write(pipe_, &record, sizeof record) != static_cast<ssize_t>(sizeof record)) ::_exit(4);  // the parent is gone
  }

  int other(int than, int count) { return (than + 1 + random_.below(count - 1)) % count; }

  void step(Work work) {
    switch (work) {
      case Work::owned: {
        const Operation operation = random_owned(random_.next());
        return report(operation.kind, operation.a, operation.b, operation.argument,
                      [&] { return execute(store_, thread_, operation); });
      }
      case Work::counters:
        return count();
      case Work::accounts:
        return transfer();
      case Work::tokens:
        return move_token();
      case Work::belts:
        return move_item();
      case Work::queues:
        return use_queue();
      case Work::chain:
        return copy_number();
      case Work::burst:
        return burst(1 + random_.below(random_.one_in(4) ? 200 : 20));
      case Work::save:
        return save();
    }
  }

  void count() {
    const int counter = random_.below(kCounters);
    const std::string key = counter_key(counter);
    const std::int64_t amount = 1 + random_.below(1000);
    const Kind kind = random_.one_in(4)   ? Kind::count_decrement
                      : random_.one_in(3) ? Kind::count_modify
                                          : Kind::count_increment;
    report(kind, counter, 0, amount, [&] {
      if (kind == Kind::count_increment) return store_.increment(key, amount).as_int();
      if (kind == Kind::count_decrement) return store_.decrement(key, amount).as_int();
      return store_.modify(key, [&](std::optional<Value> old) -> std::optional<Value> { return old->as_int() + amount; })
          ->as_int();
    });
  }

  void transfer() {
    const int from = random_.below(kAccounts);
    const int to = other(from, kAccounts);
    const std::int64_t amount = 1 + random_.below(50);
    report(Kind::transfer, from, to, amount, [&] {
      return store_.transact({account_key(from), account_key(to)}, [&](cubby::Transaction& both) {
        both.increment(account_key(from), -amount);
        return both.increment(account_key(to), amount).as_int();
      });
    });
  }

  void move_token() {
    const int token = random_.below(kTokens);
    int from = random_.below(kPlaces);
    while (!store_.exists(token_key(token, from))) from = random_.below(kPlaces);
    const int to = other(from, kPlaces);
    report(Kind::move_token, from, to, token, [&] { return store_.rename(token_key(token, from), token_key(token, to)), 0; });
  }

  void move_item() {
    const int from = random_.below(kBelts);
    const int to = other(from, kBelts);
    report(Kind::move_item, from, to, 0, [&] {
      return store_.transact({belt_key(from), belt_key(to)}, [&](cubby::Transaction& both) {
        const std::optional<Value> item = both.shift(belt_key(from));
        if (item) both.push(belt_key(to), *item);
        return element_of(item);
      });
    });
  }

  void use_queue() {
    const int queue = random_.below(kQueues);
    const std::string key = queue_key(queue);
    if (too_long_ == 0 && random_.one_in(2)) {
      const bool front = !in_order(queue) && random_.one_in(2);
      const std::int64_t element = identity(round_, thread_, ++pushed_, front);
      report(front ? Kind::queue_unshift : Kind::queue_push, queue, 0, element, [&] {
        const std::size_t length = front ? store_.unshift(key, element) : store_.push(key, element);
        if (length > 400) too_long_ = 200;
        return static_cast<std::int64_t>(length);
      });
      return;
    }
    if (too_long_ > 0) --too_long_;
    const bool first = in_order(queue) || random_.one_in(2);
    if (random_.one_in(3)) {
      report(first ? Kind::queue_shift_wait : Kind::queue_pop_wait, queue, 0, 0, [&] {
        return element_of(first ? store_.shift_wait(key, microseconds(100)) : store_.pop_wait(key, microseconds(100)));
      });
    } else {
      report(first ? Kind::queue_shift : Kind::queue_pop, queue, 0, 0,
             [&] { return element_of(first ? store_.shift(key) : store_.pop(key)); });
    }
  }

  void copy_number() {
    if (thread_ == 0) {
      ++number_;
      report(Kind::chain, 0, 0, number_, [&] { return store_.increment(chain_key(0)).as_int(); });
    } else {
      const std::int64_t number = integer(chain_key(thread_ - 1));
      report(Kind::chain, 0, 0, number, [&] { return store_.set(chain_key(thread_), number), 0; });
    }
  }

  void burst(int count) {
    report(Kind::burst, 0, count, burst_ + 1, [&] {
      std::int64_t seen = 0;
      for (; count > 0; --count) {
        const std::int64_t number = burst_ + 1;
        store_.set(burst_key(thread_, "a"), number);
        if (last_pushed_ < number) backlog_ = store_.push(burst_key(thread_, "q"), number);
        last_pushed_ = number;
        if (backlog_ > kBacklog) store_.shift(burst_key(thread_, "q"));
        if (backlog_ > kBacklog) --backlog_;
        if (thread_ > 0) {
          seen = integer(burst_key(thread_ - 1, "b"));
          store_.set(burst_key(thread_, "seen"), seen);
        }
        store_.set(burst_key(thread_, "b"), number);
        burst_ = number;
      }
      return seen;
    });
  }

  void save() {
    report(Kind::save, 0, 0, 0, [&] { return store_.save(), 0; });
  }

  Datastore store_;
  const Plan& plan_;
  Random random_;
  const int round_;
  const int thread_;
  const int pipe_;

  std::int64_t number_ = 0;  // chain
  std::int64_t burst_ = 0;
  std::int64_t last_pushed_ = 0;
  std::size_t backlog_ = 0;
  int pushed_ = 0;
  int too_long_ = 0;
};

}  // namespace

void run_child(const std::filesystem::path& folder, const Plan& plan, std::uint64_t seed, int round, int pipe) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);  // of a terminal; the parent decides when this ends
  ::signal(SIGTERM, SIG_IGN);
  const auto guarded = [](auto&& f) {
    try {
      f();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "the child: %s\n", error.what());
      ::_exit(3);
    }
  };
  guarded([&] {
    cubby::Options options = plan.options;
    options.directory = main_directory(folder);
    const Datastore main = cubby::open("main", options);
    options.directory = epoch_directory(folder);
    const Datastore epochs = cubby::open("epoch", options);
    std::vector<std::thread> threads;
    const auto start = [&](const Datastore& store, int index, void (Thread::*run)()) {
      threads.emplace_back(
          [&, store, index, run] { guarded([&] { (Thread(store, plan, seed, round, index, pipe).*run)(); }); });
    };
    for (int index = 0; index < kWorkers; ++index) start(main, index, &Thread::work);
    for (int index = 0; plan.consumers && index < kConsumers; ++index) start(main, kWorkers + index, &Thread::consume);
    if (plan.epochs) start(epochs, kEpochWriter, &Thread::write_epochs);
    if (plan.epochs) start(epochs, kEpochClearer, &Thread::clear_epochs);
    for (std::thread& thread : threads) thread.join();
  });
  ::_exit(5);  // no thread returns
}

}  // namespace cubby_crash
