// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "stores/boost_concurrent_map.hpp"
#include "stores/flat_map.hpp"
#include "stores/libcuckoo_map.hpp"
#include "stores/session_stores.hpp"
#include "stores/shared_mutex_map.hpp"
#include "stores/tbb_map.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

// ---- what a thread does at each step: (store, key number, random bits) -> found

struct Get {
  static constexpr bool kWrites = false;
  template <class Store>
  bool operator()(Store& store, std::size_t i, std::uint64_t) const {
    return store.get(i);
  }
};

struct Visit {
  static constexpr bool kWrites = false;
  template <class Store>
  bool operator()(Store& store, std::size_t i, std::uint64_t) const {
    return store.visit(i);
  }
};

struct Set {
  static constexpr bool kWrites = true;
  template <class Store>
  bool operator()(Store& store, std::size_t i, std::uint64_t random) const {
    return store.set(i, random & 1);
  }
};

/// `kReads` of 1024 steps read, the rest write.
template <std::uint64_t kReads, class Read>
struct Mix {
  static constexpr bool kWrites = true;
  template <class Store>
  bool operator()(Store& store, std::size_t i, std::uint64_t random) const {
    if ((random & 1023) < kReads) return Read()(store, i, random);
    return store.set(i, (random >> 10) & 1);
  }
};

struct ReadModifyWrite {
  static constexpr bool kWrites = true;
  template <class Store>
  bool operator()(Store& store, std::size_t i, std::uint64_t random) const {
    if ((random & 1) != 0) return store.get(i);
    return store.modify(i, (random >> 1) & 1);
  }
};

// ---- which key

struct Uniform {
  std::size_t size;
  std::size_t operator()(std::uint64_t random) const { return below(random, size); }
};

struct OneKey {
  std::size_t operator()(std::uint64_t) const { return 7; }
};

struct Zipfian {
  const std::vector<std::uint32_t>* draws;
  std::size_t next;
  std::size_t operator()(std::uint64_t) { return (*draws)[next++ & (draws->size() - 1)]; }
};

// ---- blocks

/// A store of each design, each made when it is first needed.
class Stores {
 public:
  explicit Stores(std::shared_ptr<Dataset> data) : data_(std::move(data)) {}

  /// Adds a block of all stores that can do `step`, on keys by `choose(thread)`.
  template <class Step, class Choose>
  void add(Group& group, const char* workload, int threads, Step step, Choose choose, bool with_replaced) {
    Block block{workload, data_->size(), threads, {}};
    add_case(block, cubby_, step, choose);
    add_case(block, tbb_, step, choose);
    add_case(block, cuckoo_, step, choose);
    add_case(block, shared_mutex_, step, choose);
#if BOOST_VERSION >= 108300
    add_case(block, concurrent_, step, choose);
#endif
    if constexpr (!Step::kWrites) add_case(block, flat_, step, choose);
    if (with_replaced) {
      add_case(block, reader_lock_, step, choose);
      add_case(block, exclusive_lock_, step, choose);
    }
    group.push_back(std::move(block));
  }

 private:
  template <class Store>
  using Shared = std::shared_ptr<Lazy<Store>>;
  using ReaderLock = ReplacedSessions<std::shared_lock<std::shared_mutex>>;
  using ExclusiveLock = ReplacedSessions<std::unique_lock<std::shared_mutex>>;

  template <class Store>
  Shared<Store> lazy() {
    return std::make_shared<Lazy<Store>>([data = data_] { return std::make_unique<Store>(*data); });
  }
  template <class Store>
  Shared<Store> lazy_replaced() {
    return std::make_shared<Lazy<Store>>([data = data_, design = replaced_] {
      if (!*design) *design = Store::load(*data);
      return std::make_unique<Store>(*data, *design);
    });
  }

  template <class Store, class Step, class Choose>
  void add_case(Block& block, Shared<Store> lazy, Step step, Choose choose) {
    const int threads = block.threads;
    block.cases.push_back({Store::kName, [=, data = data_](Timing timing) {
                             Store& store = (*lazy)();
                             if constexpr (Step::kWrites) store.prepare_writes();
                             choose(*data, 0);  // whatever it needs is made here, before the threads
                             return run_slice(threads, timing, [&](int thread, Tally& tally) {
                               Random random(static_cast<std::uint64_t>(thread));
                               auto key = choose(*data, thread);
                               repeat(tally, [&] {
                                 const std::uint64_t bits = random();
                                 return step(store, key(bits), bits);
                               });
                             });
                           }});
  }

  std::shared_ptr<Dataset> data_;
  std::shared_ptr<std::shared_ptr<ReplacedDesign>> replaced_ = std::make_shared<std::shared_ptr<ReplacedDesign>>();
  Shared<CubbySessions> cubby_ = lazy<CubbySessions>();
  Shared<SharedSessions<TbbMap>> tbb_ = lazy<SharedSessions<TbbMap>>();
  Shared<SharedSessions<CuckooMap>> cuckoo_ = lazy<SharedSessions<CuckooMap>>();
  Shared<SharedSessions<SharedMutexMap>> shared_mutex_ = lazy<SharedSessions<SharedMutexMap>>();
#if BOOST_VERSION >= 108300
  Shared<SharedSessions<BoostConcurrentMap>> concurrent_ = lazy<SharedSessions<BoostConcurrentMap>>();
#endif
  Shared<SharedSessions<FlatMap>> flat_ = lazy<SharedSessions<FlatMap>>();
  Shared<ReaderLock> reader_lock_ = lazy_replaced<ReaderLock>();
  Shared<ExclusiveLock> exclusive_lock_ = lazy_replaced<ExclusiveLock>();
};

/// YCSB D: 95% reads that prefer what was inserted last, 5% inserts. The store grows, so each slice has one of its own.
template <class Store>
void add_latest_case(Block& block, const std::shared_ptr<Dataset>& data) {
  const int threads = block.threads;
  block.cases.push_back({Store::kName, [data, threads](Timing timing) {
                           Store store(*data);
                           store.prepare_writes();
                           const std::vector<std::uint32_t>& ranks = data->zipfian_ranks();
                           const std::size_t room = data->keys().size();
                           std::atomic<std::size_t> next{data->size()};
                           return run_slice(threads, timing, [&](int thread, Tally& tally) {
                             Random random(static_cast<std::uint64_t>(thread));
                             std::size_t draw = below(random(), ranks.size());
                             repeat(tally, [&] {
                               const std::uint64_t bits = random();
                               if ((bits & 1023) < 51) {
                                 const std::size_t number = next.fetch_add(1, std::memory_order_relaxed);
                                 return store.insert(std::min(number, room - 1));
                               }
                               const std::size_t rank = ranks[draw++ & (ranks.size() - 1)];
                               // Not found is right for a key whose insert has only begun.
                               store.get(std::min(next.load(std::memory_order_relaxed), room) - 1 - rank);
                               return true;
                             });
                           });
                         }});
}

}  // namespace

void run_sessions(const RunOptions& options, Results& results, std::size_t entries) {
  const bool large = entries > 100'000;
  const auto data = std::make_shared<Dataset>(entries);
  const auto uniform = [](Dataset& of, int) { return Uniform{of.size()}; };
  const auto one_key = [](Dataset&, int) { return OneKey(); };
  const auto zipfian = [](Dataset& of, int thread) {
    return Zipfian{&of.scrambled_zipfian(), static_cast<std::size_t>(thread) * 7919};
  };

  Stores stores(data);
  Group group;
  const bool replaced = !(options.quick && large);
  for (const int threads : options.of({1, 2, 4, 8, 16, 1000})) {
    if (options.quick && threads != 2 && threads != 1000) continue;
    stores.add(group, "get", threads, Get(), uniform, replaced);
    stores.add(group, "visit", threads, Visit(), uniform, replaced);
    stores.add(group, "set", threads, Set(), uniform, replaced);
    stores.add(group, "90/10", threads, Mix<922, Get>(), uniform, replaced);
    stores.add(group, "50/50", threads, Mix<512, Get>(), uniform, replaced);
    if (options.quick) continue;
    stores.add(group, "95/5", threads, Mix<973, Get>(), uniform, replaced);
    stores.add(group, "90/10 visit", threads, Mix<922, Visit>(), uniform, replaced);
    stores.add(group, "50/50 visit", threads, Mix<512, Visit>(), uniform, replaced);
    if (large && threads == 1) continue;
    stores.add(group, "YCSB A", threads, Mix<512, Get>(), zipfian, replaced);
    stores.add(group, "YCSB B", threads, Mix<973, Get>(), zipfian, replaced);
    stores.add(group, "YCSB C", threads, Get(), zipfian, replaced);
    stores.add(group, "YCSB F", threads, ReadModifyWrite(), zipfian, replaced);
  }
  if (!large) {
    for (const int threads : options.of({1, 2, 4, 8, 16, 1000})) {
      stores.add(group, "visit one key", threads, Visit(), one_key, false);
      if (!options.quick) stores.add(group, "get one key", threads, Get(), one_key, false);
      if (!options.quick) stores.add(group, "set one key", threads, Set(), one_key, false);
    }
    if (!options.quick) {
      const auto growing = std::make_shared<Dataset>(entries, 480'000);
      for (const int threads : options.of({1, 2, 4, 8, 16, 1000})) {
        Block block{"YCSB D", entries, threads, {}};
        add_latest_case<CubbySessions>(block, growing);
        add_latest_case<SharedSessions<TbbMap>>(block, growing);
        add_latest_case<SharedSessions<CuckooMap>>(block, growing);
        add_latest_case<SharedSessions<SharedMutexMap>>(block, growing);
#if BOOST_VERSION >= 108300
        add_latest_case<SharedSessions<BoostConcurrentMap>>(block, growing);
#endif
        add_latest_case<ReplacedSessions<std::shared_lock<std::shared_mutex>>>(block, growing);
        add_latest_case<ReplacedSessions<std::unique_lock<std::shared_mutex>>>(block, growing);
        group.push_back(std::move(block));
      }
    }
  }
  run_group(large ? "sessions, 1,000,000:" : "sessions, 20,000:", std::move(group), options, results);
}

}  // namespace bench
