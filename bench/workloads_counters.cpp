// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "stores/boost_concurrent_map.hpp"
#include "stores/counter_stores.hpp"
#include "stores/libcuckoo_map.hpp"
#include "stores/shared_mutex_map.hpp"
#include "stores/tbb_map.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

constexpr std::size_t kOwn = 1000;  // counters and queues, so that each of up to a thousand threads has its own
constexpr std::size_t kShort = 16;

/// Every thread does `step` on its own key, or all on one.
template <class Store, class Step>
Case make_case(const char* name, int threads, bool own, std::shared_ptr<Lazy<Store>> lazy, Step step) {
  return {name, [=](Timing timing) {
            Store& store = (*lazy)();
            return run_slice(threads, timing, [&](int thread, Tally& tally) {
              const std::size_t key = own ? static_cast<std::size_t>(thread) : 0;
              repeat(tally, [&] { return step(store, key); });
            });
          }};
}

template <class Store>
std::shared_ptr<Lazy<Store>> counters() {
  return std::make_shared<Lazy<Store>>([] { return std::make_unique<Store>(kOwn); });
}

template <class Store>
std::shared_ptr<Lazy<Store>> queues(std::size_t count, std::size_t length, bool text) {
  return std::make_shared<Lazy<Store>>([=] { return std::make_unique<Store>(count, length, text); });
}

const auto kIncrement = [](auto& store, std::size_t key) { return store.increment(key); };
const auto kPushShift = [](auto& store, std::size_t key) { return store.push_shift(key); };

template <class... Stores, class Step>
void add_blocks(Group& group, const RunOptions& options, const char* own, const char* one, Step step,
                const std::shared_ptr<Lazy<Stores>>&... lazy) {
  for (const int threads : options.of({1, 2, 4, 8, 16, 1000})) {
    if (options.quick && threads == 1) continue;
    group.push_back({own, kOwn, threads, {make_case(Stores::kName, threads, true, lazy, step)...}});
    group.push_back({one, 1, threads, {make_case(Stores::kName, threads, false, lazy, step)...}});
  }
}

void add_long_queues(Group& group, const char* workload, bool text) {
  // A thread of its own on a queue of its own: what's compared is the length.
  group.push_back({workload,
                   1'000'000,
                   1,
                   {make_case(kShortQueue, 1, false, queues<CubbyQueues>(1, kShort, text), kPushShift),
                    make_case(kLongQueue, 1, false, queues<CubbyQueues>(1, 1'000'000, text), kPushShift)}});
}

}  // namespace

void run_counters_and_queues(const RunOptions& options, Results& results) {
  Group group;
  add_blocks(group, options, "increment, own keys", "increment, one key", kIncrement, counters<CubbyCounters>(),
             counters<SharedCounters<TbbMap>>(), counters<SharedCounters<CuckooMap>>(),
             counters<SharedCounters<SharedMutexMap>>(),
#if BOOST_VERSION >= 108300
             counters<SharedCounters<BoostConcurrentMap>>(),
#endif
             counters<ReplacedCounters>());
  add_blocks(group, options, "push+shift, own queues", "push+shift, one queue", kPushShift,
             queues<CubbyQueues>(kOwn, kShort, false), queues<SharedQueues<TbbMap>>(kOwn, kShort, false),
             queues<SharedQueues<CuckooMap>>(kOwn, kShort, false), queues<SharedQueues<SharedMutexMap>>(kOwn, kShort, false),
#if BOOST_VERSION >= 108300
             queues<SharedQueues<BoostConcurrentMap>>(kOwn, kShort, false),
#endif
             queues<ReplacedQueues>(kOwn, kShort, false));
  add_long_queues(group, "push+shift, integers", false);
  add_long_queues(group, "push+shift, 200-byte items", true);
  run_group("counters and queues:", std::move(group), options, results);
}

}  // namespace bench
