// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <ctime>
#include <latch>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "load/load.hpp"
#include "server/handler.hpp"

namespace chat::load {
namespace {

using Clock = std::chrono::steady_clock;
enum class Phase { warm_up, measured, over };

struct alignas(64) Counts {
  std::atomic<std::uint64_t> requests{0}, messages{0}, session_operations{0};
};

/// Takes what a client would take, and notes what its next requests need.
class Worker final : public Peer {
 public:
  explicit Worker(const Script& script_of) : script(script_of) {}
  void send(const Text& text) override {
    if (const std::int64_t number = number_in(*text)) seen.store(number, std::memory_order_relaxed);
    if (text->ends_with(R"("type":"error"})")) failed.store(true, std::memory_order_relaxed);
  }

  Script script;
  std::atomic<std::int64_t> seen{0};
  std::atomic<bool> failed{false};
  Counts counts;
  Latencies latencies;
};

Rates rates_of(const std::vector<std::unique_ptr<Worker>>& workers, double seconds) {
  Rates rates;
  for (const auto& worker : workers) {
    rates.requests += static_cast<double>(worker->counts.requests.load(std::memory_order_relaxed)) / seconds;
    rates.messages += static_cast<double>(worker->counts.messages.load(std::memory_order_relaxed)) / seconds;
    rates.session_operations +=
        static_cast<double>(worker->counts.session_operations.load(std::memory_order_relaxed)) / seconds;
  }
  return rates;
}

/// What this process has had so far.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void work(Worker& worker, Handler& handler, const std::atomic<Phase>& phase) {
  const auto add = [](std::atomic<std::uint64_t>& count, unsigned more) {
    count.store(count.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);  // nobody else writes it
  };
  for (;;) {
    const Phase before = phase.load(std::memory_order_relaxed);
    if (before == Phase::over) return;
    const std::string request = worker.script.next(worker.seen.load(std::memory_order_relaxed));
    const bool message = worker.script.kind() == Script::Kind::say;
    const auto begin = Clock::now();
    handler.handle(worker, request);
    const auto end = Clock::now();
    if (before != Phase::measured || phase.load(std::memory_order_relaxed) != Phase::measured) continue;
    add(worker.counts.requests, 1);
    add(worker.counts.session_operations, worker.script.session_operations());
    if (!message) continue;
    add(worker.counts.messages, 1);
    worker.latencies.add(end - begin);
  }
}

}  // namespace

Rates run_workers(Store& store, Mix mix, int count, std::chrono::milliseconds duration, const std::string& title) {
  Hub hub;
  Handler handler(store, hub);
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < count; ++i) {
    Worker& worker = *workers.emplace_back(std::make_unique<Worker>(Script(mix, i)));
    for (const std::string& request : {worker.script.hello(), worker.script.leave_lobby(), worker.script.enter()}) {
      handler.handle(worker, request);
    }
  }

  std::atomic<Phase> phase{Phase::warm_up};
  Rates rates;
  {
    std::latch ready(count + 1);
    std::vector<std::jthread> threads;
    for (const auto& worker : workers) {
      threads.emplace_back([&] {
        ready.arrive_and_wait();
        work(*worker, handler, phase);
      });
    }
    ready.arrive_and_wait();
    std::this_thread::sleep_for(duration / 4);
    phase = Phase::measured;
    const double processor = processor_seconds();
    const auto begin = Clock::now();
    const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    while (Clock::now() < begin + duration) {
      std::this_thread::sleep_for(std::min<Clock::duration>(std::chrono::milliseconds(250), begin + duration - Clock::now()));
      show(title, rates_of(workers, seconds()), false);
    }
    phase = Phase::over;
    rates = rates_of(workers, seconds());
    rates.server_microseconds = (processor_seconds() - processor) * 1e6 / (rates.requests * seconds());
  }
  for (const auto& worker : workers) {
    rates.latencies.merge(worker->latencies);
    handler.closed(*worker);
    if (worker->failed) throw std::runtime_error("a request was refused");
  }
  show(title, rates, true);
  return rates;
}

}  // namespace chat::load
