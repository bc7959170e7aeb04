// SPDX-License-Identifier: Apache-2.0
// Work queue: workers sleep until there is a job, each job goes to exactly one of them, and the caller waits for all results.

#include <cubby/cubby.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using cubby::Value;

namespace {

constexpr int kWorkers = 4;
constexpr int kJobs = 1000;

void work(cubby::Datastore store, std::stop_token stop) {
  try {
    for (;;) {
      // Sleeps, without a timeout, until a job is there. Workers are served in the order in which they came.
      const std::optional<Value> job = store.shift_wait("jobs", std::nullopt, stop);
      const std::int64_t number = (*job)["number"].as_int();

      // A result and its count belong together: nobody sees the one without the other.
      const std::string result = "result:" + std::to_string(number);
      store.transact({result, "done"}, [&](cubby::Transaction& transaction) {
        transaction.set(result, number * number);
        transaction.increment("done");
      });
    }
  } catch (const cubby::Error& error) {
    if (error.code() != cubby::Errc::cancelled) throw;  // cancelled: there is no more work
  }
}

}  // namespace

int main() {
  cubby::Datastore store = cubby::open("work_queue");

  std::vector<std::jthread> workers;
  for (int i = 0; i < kWorkers; ++i) workers.emplace_back([store](std::stop_token stop) { work(store, stop); });

  for (int number = 1; number <= kJobs; ++number) store.push("jobs", Value::object({{"number", number}}));

  // The main thread sleeps too, until the count is what it waits for. It gives up after ten seconds in all.
  store.wait("done", kJobs, 10s);

  for (std::jthread& worker : workers) worker.request_stop();
  workers.clear();  // joins them

  std::int64_t sum = 0;
  store.for_each("result:", [&sum](std::string_view, const Value& result) { sum += result.as_int(); });
  std::cout << kWorkers << " workers did " << store.get("done").value() << " jobs; the squares of 1 to " << kJobs
            << " add up to " << sum << '\n';
  return sum == std::int64_t{kJobs} * (kJobs + 1) * (2 * kJobs + 1) / 6 ? 0 : 1;
}
