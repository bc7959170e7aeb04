// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <regex>
#include <string>
#include <thread>
#include <vector>

namespace bench {

using std::chrono::milliseconds;

/// What one store did in one slice of time.
struct Slice {
  std::uint64_t operations = 0;
  double seconds = 0;
  double processor_seconds = 0;  ///< of its threads together
};

/// Time that the calling thread has spent on a processor.
double thread_seconds();

/// How long a slice takes: first unmeasured, so that caches and page tables are as warm as they stay, then measured.
struct Timing {
  milliseconds warm_up;
  milliseconds measured;
};

/// The phases of a slice. Whoever notices that a phase is due begins it, and notes when that really was: with a thousand
/// threads that is one of them, as the one that started them may not have its turn for seconds.
class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Phase { warm_up, measured, over };

  explicit Stopwatch(Timing timing) noexcept : timing_(timing), begin_(Clock::now()) {}

  Phase phase() const noexcept { return phase_.load(std::memory_order_relaxed); }
  void look() noexcept {
    const auto now = Clock::now();
    if (phase() == Phase::warm_up && now >= begin_ + timing_.warm_up)
      turn(Phase::warm_up, Phase::measured, measured_from_, now);
    if (phase() == Phase::measured && now >= measured_from_.load() + timing_.measured) {
      turn(Phase::measured, Phase::over, measured_to_, now);
    }
  }
  /// Looks until the slice is over, asleep in between.
  void see_it_through() {
    std::this_thread::sleep_until(begin_ + timing_.warm_up);
    look();
    std::this_thread::sleep_until(measured_from_.load() + timing_.measured);
    look();
  }
  /// REQUIRES: the slice is over.
  double seconds() const { return std::chrono::duration<double>(measured_to_.load() - measured_from_.load()).count(); }

 private:
  void turn(Phase from, Phase to, std::atomic<Clock::time_point>& when, Clock::time_point now) noexcept {
    // Under a lock, so that nobody sees the phase without its time.
    const std::lock_guard lock(turning_);
    if (phase() != from) return;
    when.store(now);
    phase_.store(to);
  }

  const Timing timing_;
  const Clock::time_point begin_;
  std::mutex turning_;
  std::atomic<Phase> phase_{Phase::warm_up};
  std::atomic<Clock::time_point> measured_from_{Clock::time_point()};
  std::atomic<Clock::time_point> measured_to_{Clock::time_point()};
};

/// A thread's own count of what it does while a slice is measured.
class Tally {
 public:
  Tally(Stopwatch& stopwatch, bool looks) noexcept : stopwatch_(stopwatch), looks_(looks) {}

  /// Says that `operations` more are done; false once the thread is to stop. Those during which a phase changed don't count.
  bool add(std::uint64_t operations) noexcept {
    if (looks_ && ++calls_ % 16 == 0) stopwatch_.look();
    const Stopwatch::Phase phase = stopwatch_.phase();
    if (phase == Stopwatch::Phase::over) return false;
    if (phase == Stopwatch::Phase::measured) {
      if (begin_ == 0) {
        begin_ = thread_seconds();
      } else {
        operations_ += operations;
      }
    }
    return true;
  }
  std::uint64_t operations() const noexcept { return operations_; }
  double processor_seconds() const noexcept { return begin_ == 0 ? 0 : thread_seconds() - begin_; }

 private:
  Stopwatch& stopwatch_;
  const bool looks_;
  std::uint64_t calls_ = 0;
  std::uint64_t operations_ = 0;
  double begin_ = 0;
};

constexpr bool are_many(int threads) { return threads > 64; }

/// Starts `threads` threads and lets all of them go at once; thread start-up isn't measured. `body(thread, tally)` works until
/// tally.add() is false.
template <class Body>
Slice run_slice(int threads, Timing timing, const Body& body) {
  std::atomic<int> ready{0};
  std::atomic<Stopwatch*> go{nullptr};
  std::atomic<std::uint64_t> operations{0};
  std::atomic<double> processor_seconds{0};
  std::vector<std::thread> workers;
  workers.reserve(static_cast<std::size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      if (ready.fetch_add(1) + 1 == threads) ready.notify_one();
      go.wait(nullptr);
      Tally tally(*go.load(), are_many(threads));
      body(thread, tally);
      operations.fetch_add(tally.operations(), std::memory_order_relaxed);
      processor_seconds.fetch_add(tally.processor_seconds(), std::memory_order_relaxed);
    });
  }
  for (int seen = ready.load(); seen != threads; seen = ready.load()) ready.wait(seen);
  Stopwatch stopwatch(timing);
  go.store(&stopwatch);
  go.notify_all();
  stopwatch.see_it_through();
  for (std::thread& worker : workers) worker.join();
  return {operations.load(), stopwatch.seconds(), processor_seconds.load()};
}

/// Calls `operation` until the slice is over; it must return true each time, so that no store wins by not doing the work.
template <class Operation>
void repeat(Tally& tally, Operation&& operation) {
  constexpr std::uint64_t kBatch = 8;
  bool good = true;
  do {
    for (std::uint64_t i = 0; i < kBatch; ++i) good &= operation();
  } while (tally.add(kBatch));
  if (!good) {
    std::fputs("a store did not find a key that is there\n", stderr);
    std::abort();
  }
}

/// One store's part of a block.
struct Case {
  std::string store;
  std::function<Slice(Timing)> run;
  int hung = 0;  ///< slices that took far longer than they should have
};

/// The same work for several stores; a round runs them one after the other, so that their ratio is of one moment.
struct Block {
  std::string workload;
  std::size_t entries = 0;
  int threads = 0;
  std::vector<Case> cases;
};

/// Blocks that share stores. The stores live in the cases and are freed with them.
using Group = std::vector<Block>;

struct RunOptions {
  int rounds = 7;
  milliseconds slice{160};
  std::vector<int> threads;
  bool quick = false;
  bool list = false;
  bool processor_time = false;  ///< rates by processor time, not by the clock: for a machine that others use as well
  std::regex filter{".*"};

  /// A thousand threads need longer for as many of them to have a turn, and a large store longer until it is warm.
  Timing timing(std::size_t entries, int at_threads) const {
    const milliseconds measured = are_many(at_threads) ? slice * 5 / 2 : slice;
    return {entries > 100'000 ? slice : slice / 4, measured};
  }
  /// Of `counts` those that are asked for.
  std::vector<int> of(std::initializer_list<int> counts) const {
    std::vector<int> kept;
    for (const int count : counts) {
      if (std::find(threads.begin(), threads.end(), count) != threads.end()) kept.push_back(count);
    }
    return kept;
  }
};

/// Names one row of one table, "get/20000/2/cubby".
struct Series {
  std::string workload;
  std::size_t entries = 0;
  int threads = 0;
  std::string store;

  std::string name() const;
  auto operator<=>(const Series&) const = default;
};

/// All measurements: operations a second, one for each round (0: not measured), and single figures by name.
struct Results {
  std::map<Series, std::vector<double>> series;
  std::map<std::string, double> figures;
};

/// A store that is made when it is first needed.
template <class Store>
class Lazy {
 public:
  explicit Lazy(std::function<std::unique_ptr<Store>()> make) : make_(std::move(make)) {}
  Store& operator()() {
    if (!store_) store_ = make_();
    return *store_;
  }

 private:
  std::function<std::unique_ptr<Store>()> make_;
  std::unique_ptr<Store> store_;
};

/// Runs the group's blocks round by round, in each round another store first, and adds to `results`. A store that collapses
/// under its threads, so that stopping them takes many seconds, is left out of later rounds: after three such slices, in a
/// quick run after one.
void run_group(const char* title, Group group, const RunOptions& options, Results& results);

}  // namespace bench
