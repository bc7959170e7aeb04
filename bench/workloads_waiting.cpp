// SPDX-License-Identifier: Apache-2.0
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "stores/session_stores.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

/// Two queues, each with one thread that waits for what the other sends: the way there and back.
class CubbyPair : public CubbyStore {
 public:
  CubbyPair() = default;
  void send(std::size_t queue, int item) { store_.push(keys_[queue], item); }
  int receive(std::size_t queue) { return static_cast<int>(store_.shift_wait(keys_[queue], std::nullopt)->as_int()); }

 private:
  std::string keys_[2] = {"ping", "pong"};
};

class CondvarPair {
 public:
  static constexpr const char* kName = "mutex + condition variable";
  void send(std::size_t queue, int item) {
    Queue& to = queues_[queue];
    {
      const std::lock_guard lock(to.mutex);
      to.items.push_back(item);
    }
    to.arrived.notify_one();
  }
  int receive(std::size_t queue) {
    Queue& from = queues_[queue];
    std::unique_lock lock(from.mutex);
    from.arrived.wait(lock, [&from] { return !from.items.empty(); });
    const int item = from.items.front();
    from.items.pop_front();
    return item;
  }

 private:
  struct Queue {
    std::mutex mutex;
    std::condition_variable arrived;
    std::deque<int> items;
  };
  Queue queues_[2];
};

template <class Pair>
Case ping_pong() {
  return {Pair::kName, [pair = std::make_shared<Lazy<Pair>>([] { return std::make_unique<Pair>(); })](Timing timing) {
            Pair& queues = (*pair)();
            return run_slice(2, timing, [&](int thread, Tally& tally) {
              if (thread == 0) {
                do {
                  queues.send(0, 1);
                  queues.receive(1);
                } while (tally.add(2));  // two wake-ups
                queues.send(0, 0);
              } else {
                while (queues.receive(0) != 0) queues.send(1, 1);
              }
            });
          }};
}

}  // namespace

void run_waiting(const RunOptions& options, Results& results) {
  Group group;
  group.push_back({"wake-up", 2, 2, {ping_pong<CubbyPair>(), ping_pong<CondvarPair>()}});
  run_group("waiting:", std::move(group), options, results);
}

}  // namespace bench
