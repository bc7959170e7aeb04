// SPDX-License-Identifier: Apache-2.0
// Writes of a durable store: bursts, sustained, each synced, and what they put into the log.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "durable.hpp"
#include "stores/durable_store.hpp"
#if CUBBY_BENCH_LEVELDB
#include "stores/leveldb_store.hpp"
#endif
#if CUBBY_BENCH_ROCKSDB
#include "stores/rocksdb_store.hpp"
#endif

namespace bench {
namespace {

using std::chrono::seconds;
using Folder = std::filesystem::path;

constexpr std::size_t kKeys = 20'000;
constexpr double kBurstBytes = 64 << 20;
constexpr int kSyncThreads = 64;
/// Peers and memory need no minute until they go on as they do.
constexpr int kSustainOthers = 20;
constexpr std::size_t kNoCheckpoints = std::size_t{1} << 40;

cubby::Options durable_options(const Folder& folder, cubby::Sync sync = cubby::Sync::interval(milliseconds(100))) {
  cubby::Options options;
  options.directory = folder / "store";
  options.sync = sync;
  return options;
}

/// Seconds that `work(thread)` takes on `threads` threads let go at once. Not timed: what comes before, `warm_up(thread)` on
/// the same threads, then `settle()`.
template <class WarmUp, class Settle, class Work>
double time_work(int threads, const WarmUp& warm_up, const Settle& settle, const Work& work) {
  std::barrier gate(threads + 1);
  std::vector<std::thread> workers;
  workers.reserve(static_cast<std::size_t>(threads));
  for (int thread = 0; thread < threads; ++thread) {
    workers.emplace_back([&, thread] {
      warm_up(thread);
      gate.arrive_and_wait();
      gate.arrive_and_wait();
      work(thread);
      gate.arrive_and_wait();
    });
  }
  gate.arrive_and_wait();
  std::exception_ptr failure;
  try {
    settle();
  } catch (...) {  // the threads have to end first
    failure = std::current_exception();
  }
  const auto start = std::chrono::steady_clock::now();
  gate.arrive_and_wait();
  gate.arrive_and_wait();
  const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (std::thread& worker : workers) worker.join();
  if (failure) std::rethrow_exception(failure);
  return taken;
}

void check_good(bool good) {
  if (!good) throw std::runtime_error("a store refused a put");
}

template <class Store>
bool put_random(Store& store, Random& random, std::size_t size) {
  const std::uint64_t bits = random();
  return store.put(below(bits, size), bits & 1);
}

class Writes {
 public:
  explicit Writes(DurableRun& run) : run_(run) {}

  /// Bytes that a set of a session puts into the log: the mean over all keys.
  double log_bytes_per_set() {
    if (per_set_) return *per_set_;
    const TemporaryFolder folder(run_.folder());
    cubby::Options options = durable_options(folder.path());
    options.checkpoint_after = kNoCheckpoints;
    CubbyDurable store(data_, options);
    store.load();
    const std::uint64_t before = store.datastore().stats().log_bytes;
    for (std::size_t i = 0; i < data_.size(); ++i) store.put(i, 1);
    const std::uint64_t after = store.datastore().stats().log_bytes;
    if (after <= before) throw std::runtime_error("the store has no log: this cubby doesn't know Options::directory");
    per_set_ = static_cast<double>(after - before) / static_cast<double>(data_.size());
    run_.results.figures["log bytes, set of a session"] = *per_set_;
    return *per_set_;
  }

  /// A burst of as many sets as fill 64 MiB of cubby's log; every store does as many.
  template <class Make>
  DurableRun::Part burst(int threads, const char* name, Make make) {
    const Series series{kBurstRate, kKeys, threads, name};
    return {series, [this, series, make](const DurableRun::Note& note) {
              const auto sets = static_cast<std::size_t>(kBurstBytes / log_bytes_per_set());
              const std::size_t each = sets / static_cast<std::size_t>(series.threads);
              const TemporaryFolder folder(run_.folder());
              const auto store = make(data_, folder.path());
              store->load();
              std::atomic<bool> good{true};
              const auto put = [&](int thread, std::size_t times) {
                Random random(static_cast<std::uint64_t>(thread));
                bool all = true;
                for (std::size_t i = 0; i < times; ++i) all &= put_random(*store, random, kKeys);
                if (!all) good = false;
              };
              const double taken = time_work(
                  series.threads, [&](int thread) { put(thread + series.threads, kKeys); },
                  [&] {
                    store->settle();
                    sync_disk(folder.path());
                  },
                  [&](int thread) { put(thread, each); });
              check_good(good);
              note(series, static_cast<double>(each) * series.threads / taken);
            }};
  }

  /// Sets for a fixed time. With `logs` also the log's bytes a second, for which the clock goes on until all is on the disk.
  template <class Make>
  DurableRun::Part sustained(int threads, const char* name, int for_seconds, bool logs, Make make) {
    const Series series{kSustainedRate, kKeys, threads, name};
    return {series, [this, series, for_seconds, logs, make](const DurableRun::Note& note) {
              const double per_set = logs ? log_bytes_per_set() : 0;
              const TemporaryFolder folder(run_.folder());
              const auto store = make(data_, folder.path());
              store->load();
              store->settle();
              sync_disk(folder.path());
              const Slice slice = run_slice(series.threads, {milliseconds(500), seconds(for_seconds)}, put_all(*store, 8));
              const double syncing = sync_disk(folder.path());
              const auto operations = static_cast<double>(slice.operations);
              note(series, operations / slice.seconds);
              if (!logs) return;
              note({kSustainedBytes, kKeys, series.threads, series.store}, operations * per_set / (slice.seconds + syncing));
            }};
  }

  /// 64 threads on a store that is empty at first, as loading it would take one sync after the other.
  template <class Make>
  DurableRun::Part synced(const char* name, Make make) {
    const Series series{kAlwaysRate, kKeys, kSyncThreads, name};
    return {series, [this, series, make](const DurableRun::Note& note) {
              const TemporaryFolder folder(run_.folder());
              sync_disk(folder.path());
              const auto store = make(data_, folder.path());
              const Slice slice =
                  run_slice(kSyncThreads, {milliseconds(500), seconds(run_.durable.always_seconds)}, put_all(*store, 1));
              note(series, static_cast<double>(slice.operations) / slice.seconds);
            }};
  }

 private:
  template <class Store>
  auto put_all(Store& store, std::uint64_t batch) {
    return [this, &store, batch](int thread, Tally& tally) {
      Random random(static_cast<std::uint64_t>(thread));
      bool good = true;
      do {
        for (std::uint64_t i = 0; i < batch; ++i) good &= put_random(store, random, data_.size());
      } while (tally.add(batch));
      if (!good) {
        std::fputs("a store refused a put\n", stderr);
        std::abort();
      }
    };
  }

  DurableRun& run_;
  DurableData data_{kKeys};
  std::optional<double> per_set_;
};

auto make_durable(cubby::Sync sync) {
  return [sync](const DurableData& data, const Folder& folder) {
    return std::make_unique<CubbyDurable>(data, durable_options(folder, sync));
  };
}

auto make_in_memory() {
  return [](const DurableData& data, const Folder&) { return std::make_unique<CubbyDurable>(data, cubby::Options()); };
}

/// Calls `add(name, make)` for each of the peers that this was built with.
template <class Add>
void for_each_peer([[maybe_unused]] bool sync, [[maybe_unused]] const Add& add) {
#if CUBBY_BENCH_LEVELDB
  add(LevelDbStore::kName, [sync](const DurableData& data, const Folder& folder) {
    return std::make_unique<LevelDbStore>(data, folder / "store", sync);
  });
#endif
#if CUBBY_BENCH_ROCKSDB
  add(RocksDbStore::kName, [sync](const DurableData& data, const Folder& folder) {
    return std::make_unique<RocksDbStore>(data, folder / "store", sync);
  });
#endif
}

}  // namespace

void run_durable_writes(DurableRun& run) {
  Writes writes(run);
  const auto interval = make_durable(cubby::Sync::interval(milliseconds(100)));
  std::vector<DurableRun::Part> bursts;
  for (const int threads : {1, 2}) {
    bursts.push_back(writes.burst(threads, kDurable, interval));
    bursts.push_back(writes.burst(threads, kInMemory, make_in_memory()));
    for_each_peer(false, [&](const char* name, const auto& make) { bursts.push_back(writes.burst(threads, name, make)); });
  }
  run.rounds("durable, bursts:", run.options.rounds, std::move(bursts));

  const int minute = run.durable.sustain_seconds;
  if (minute == 0) {
    run.remark("Nothing was measured sustained (--sustain-seconds 0).");
    return;
  }
  const int others = std::min(minute, kSustainOthers);
  // As long a piece as there is time for, up to 8 GiB: that takes a disk of 150 MB/s a minute.
  const std::size_t sequential = std::min<std::size_t>(static_cast<std::size_t>(minute) * 256, 8192) << 20;
  const SequentialWriter writer(run.folder(), sequential);
  run.sequential_writer = writer.name();
  run.sequential_writing = writer.description();
  const Series disk{kSequentialBytes, 0, 1, writer.name()};
  std::vector<DurableRun::Part> sustained;
  sustained.push_back({disk, [&](const DurableRun::Note& note) {
                         sync_disk(run.folder());
                         note(disk, writer.run());
                       }});
  for (const int threads : {1, 2}) {
    sustained.push_back(writes.sustained(threads, kDurable, minute, true, interval));
    sustained.push_back(writes.sustained(threads, kInMemory, others, false, make_in_memory()));
    for_each_peer(false, [&](const char* name, const auto& make) {
      sustained.push_back(writes.sustained(threads, name, others, false, make));
    });
  }
  run.rounds("durable, sustained:", std::min(run.options.rounds, 3), std::move(sustained));
}

void run_durable_always(DurableRun& run) {
  Writes writes(run);
  std::vector<DurableRun::Part> parts;
  parts.push_back(writes.synced(kDurable, make_durable(cubby::Sync::always())));
  for_each_peer(true, [&](const char* name, const auto& make) { parts.push_back(writes.synced(name, make)); });
  run.rounds("durable, each set synced:", run.options.rounds, std::move(parts));
}

void run_durable_log(DurableRun& run) {
  constexpr int kTimes = 1000;
  constexpr int kLong = 100'000;
  const std::string name = "log bytes/";
  if (!std::regex_search(name, run.options.filter)) return;
  if (run.options.list) {
    std::puts(name.c_str());
    return;
  }
  const TemporaryFolder folder(run.folder());
  cubby::Options options = durable_options(folder.path());
  options.checkpoint_after = kNoCheckpoints;
  const DurableData none(0);
  CubbyDurable durable(none, options);
  cubby::Datastore& store = durable.datastore();
  constexpr const char* kQueue = "queue:orders";
  const auto bytes_of = [&](const auto& operation) {
    const std::uint64_t before = store.stats().log_bytes;
    for (int i = 0; i < kTimes; ++i) operation(i);
    return static_cast<double>(store.stats().log_bytes - before) / kTimes;
  };
  const auto measure = [&](const std::string& length) {
    run.results.figures[name + "push" + length] = bytes_of([&](int i) { store.push(kQueue, i); });
    run.results.figures[name + "shift" + length] = bytes_of([&](int) { store.shift(kQueue); });
  };
  store.push(kQueue, 7);
  measure("");
  for (int i = 0; i < kLong; ++i) store.push(kQueue, i);
  measure(", 100,000 items there");
}

}  // namespace bench
