// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>

#include "stores/session_stores.hpp"
#include "workloads.hpp"

namespace bench {

void run_deadlines(const RunOptions& options, Results& results, std::size_t entries) {
  const auto data = std::make_shared<Dataset>(entries);
  using Shared = std::shared_ptr<Lazy<CubbySessions>>;
  const Shared without = std::make_shared<Lazy<CubbySessions>>([data] { return std::make_unique<CubbySessions>(*data); });
  const Shared with =
      std::make_shared<Lazy<CubbySessions>>([data] { return std::make_unique<CubbySessions>(*data, std::chrono::hours(1)); });

  Group group;
  for (const int threads : options.of({1, 2, 4, 8, 16, 1000})) {
    if (options.quick && threads != 2) continue;
    const auto make_case = [&](const char* name, const Shared& lazy, auto step) -> Case {
      return {name, [=](Timing timing) {
                CubbySessions& store = (*lazy)();
                return run_slice(threads, timing, [&](int thread, Tally& tally) {
                  Random random(static_cast<std::uint64_t>(thread));
                  repeat(tally, [&] { return step(store, below(random(), data->size())); });
                });
              }};
    };
    const auto get = [](CubbySessions& store, std::size_t i) { return store.get(i); };
    // A session's usual refresh: half an hour from now.
    const auto expire = [](CubbySessions& store, std::size_t i) { return store.expire(i, std::chrono::minutes(30)); };
    group.push_back(
        {"deadlines",
         entries,
         threads,
         {make_case(kNoDeadline, without, get), make_case(kWithDeadline, with, get), make_case(kRefresh, with, expire)}});
  }
  run_group(entries > 100'000 ? "deadlines, 1,000,000:" : "deadlines, 20,000:", std::move(group), options, results);
}

}  // namespace bench
