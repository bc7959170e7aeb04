// SPDX-License-Identifier: Apache-2.0
// Writers and readers beside a checkpoint of a large store.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "durable.hpp"
#include "latencies.hpp"
#include "stores/durable_store.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr milliseconds kWarmUp(300);
constexpr milliseconds kShortestWindow(200);
constexpr milliseconds kReading(2000);

/// A thread that does something until it is stopped, which rethrows what it failed with.
class Companion {
 public:
  template <class Step>
  explicit Companion(Step step)
      : thread_([this, step]() mutable {
          try {
            while (!stop_.load(std::memory_order_relaxed)) step();
          } catch (...) {
            failure_ = std::current_exception();
          }
        }) {}
  ~Companion() { join(); }
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

  void stop() {
    join();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void join() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  std::atomic<bool> stop_{false};
  std::exception_ptr failure_;
  std::thread thread_;
};

/// Keeps one core from everybody else, a few thousand instructions a step.
auto busy() {
  return [] {
    for (int i = 0; i < 1000; ++i) {
      int nothing = i;
      benchmark::DoNotOptimize(nothing);
    }
  };
}

/// The stores: the same sessions durable and in memory.
class Beside {
 public:
  explicit Beside(DurableRun& run) : run_(run), data_(run.durable.sessions) {}

  /// Sets of random keys by one thread, each timed, while `beside` goes on.
  DurableRun::Part timed_sets(const char* beside) {
    const Series series{kP99, data_.size(), 1, beside};
    return {series, [this, series](const DurableRun::Note& note) { time_sets(series.store, note); }};
  }

  /// What reading has beside it. A checkpoint, in a store that has none, is a busy thread.
  struct Company {
    bool durable;
    bool writer;
    bool third;
  };
  DurableRun::Part reading(const char* workload, bool visits, Company company) {
    const char* beside = !company.writer   ? kAlone
                         : !company.third  ? kWithWriter
                         : company.durable ? kWithWriterAndCheckpoint
                                           : kWithWriterAndBusy;
    const Series series{workload, data_.size(), 2, std::string(company.durable ? kDurable : kInMemory) + beside};
    return {series, [this, series, visits, company](const DurableRun::Note& note) { read(series, visits, company, note); }};
  }

 private:
  CubbyDurable& store(bool durable) {
    std::unique_ptr<CubbyDurable>& store = stores_[durable ? 1 : 0];
    if (!store) {
      cubby::Options options;
      if (durable) {
        options.directory = run_.folder() / "beside";
        options.checkpoint_after = std::size_t{1} << 40;  // only when told to
      }
      store = std::make_unique<CubbyDurable>(data_, options);
      store->load();
      const auto start = Clock::now();
      store->settle();
      if (durable) window_ = std::max<nanoseconds>(Clock::now() - start, kShortestWindow);
    }
    return *store;
  }

  /// From a log that is empty and a disk that is at rest.
  void settle(CubbyDurable& store) {
    store.settle();
    sync_disk(run_.folder());
  }

  void time_sets(const std::string& beside, const DurableRun::Note& note) {
    CubbyDurable& sessions = store(true);
    settle(sessions);
    const auto latencies = std::make_unique<Latencies>();
    std::atomic<bool> counts{false};
    Random random(1);
    Clock::time_point last = Clock::now();
    Companion writer([&] {
      const std::uint64_t bits = random();
      sessions.put(below(bits, data_.size()), bits & 1);
      const auto now = Clock::now();
      if (counts.load(std::memory_order_relaxed)) latencies->add(now - last);
      last = now;
    });
    std::unique_ptr<Companion> third;
    if (beside == kBusyCore) third = std::make_unique<Companion>(busy());
    std::this_thread::sleep_for(kWarmUp);
    const auto start = Clock::now();
    counts = true;
    if (beside == kCheckpoint) {
      sessions.datastore().save();
    } else {
      std::this_thread::sleep_for(window_);
    }
    counts = false;
    const nanoseconds taken = Clock::now() - start;
    writer.stop();
    if (beside == kCheckpoint) window_ = std::max<nanoseconds>(taken, kShortestWindow);
    const auto noted = [&](const char* figure, double value) { note({figure, data_.size(), 1, beside}, value); };
    const double in_seconds = std::chrono::duration<double>(taken).count();
    noted("set: p50, ns", latencies->quantile(0.5));
    noted(kP99, latencies->quantile(0.99));
    noted("set: p99.9, ns", latencies->quantile(0.999));
    noted("set: longest, ns", latencies->longest());
    noted("set, each timed: a second", static_cast<double>(latencies->count()) / in_seconds);
    if (beside == kCheckpoint) noted("checkpoint: seconds", in_seconds);
  }

  /// 100,000 sets a second, so that both stores have the same to bear.
  auto paced_writer(CubbyDurable& sessions) {
    return [this, &sessions, random = Random(3), next = Clock::now()]() mutable {
      constexpr milliseconds kTick(1);
      for (int i = 0; i < 100; ++i) {
        const std::uint64_t bits = random();
        sessions.put(below(bits, data_.size()), bits & 1);
      }
      next = std::max(next + kTick, Clock::now() - 20 * kTick);
      std::this_thread::sleep_until(next);
    };
  }

  void read(const Series& series, bool visits, Company company, const DurableRun::Note& note) {
    CubbyDurable& sessions = store(company.durable);
    settle(sessions);
    std::unique_ptr<Companion> writer;
    std::unique_ptr<Companion> third;
    if (company.writer) writer = std::make_unique<Companion>(paced_writer(sessions));
    if (company.third && company.durable) {
      third = std::make_unique<Companion>([&sessions] { sessions.datastore().save(); });
    } else if (company.third) {
      third = std::make_unique<Companion>(busy());
    }
    const Slice slice = run_slice(series.threads, {kWarmUp, kReading}, [&](int thread, Tally& tally) {
      Random random(static_cast<std::uint64_t>(thread));
      repeat(tally, [&] {
        const std::size_t i = below(random(), data_.size());
        return visits ? sessions.visit(i) : sessions.get(i);
      });
    });
    if (writer) writer->stop();
    if (third) third->stop();
    const auto operations = static_cast<double>(slice.operations);
    note(series, operations / slice.seconds);
    note({series.workload + kPerProcessor, series.entries, series.threads, series.store}, operations / slice.processor_seconds);
  }

  DurableRun& run_;
  const DurableData data_;
  std::array<std::unique_ptr<CubbyDurable>, 2> stores_;
  nanoseconds window_ = kShortestWindow;  ///< as long as a checkpoint takes
};

}  // namespace

void run_durable_checkpoints(DurableRun& run) {
  Beside beside(run);
  std::vector<DurableRun::Part> sets;
  for (const char* company : {kNoCheckpoint, kBusyCore, kCheckpoint}) sets.push_back(beside.timed_sets(company));
  run.rounds("durable, sets beside a checkpoint:", run.options.rounds, std::move(sets));

  std::vector<DurableRun::Part> reading;
  for (const auto& [workload, visits] : {std::pair(kGetRate, false), std::pair(kVisitRate, true)}) {
    for (const bool durable : {true, false}) {
      reading.push_back(beside.reading(workload, visits, {durable, false, false}));
      reading.push_back(beside.reading(workload, visits, {durable, true, false}));
      reading.push_back(beside.reading(workload, visits, {durable, true, true}));
    }
  }
  run.rounds("durable, reading:", run.options.rounds, std::move(reading));
}

}  // namespace bench
