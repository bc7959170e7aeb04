// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <thread>

#include "latencies.hpp"

namespace bench {

/// GETs of random keys at a pace that the server doesn't set: each has its time, at which it is sent on one connection after
/// the other, whether or not earlier ones were answered. Latency counts from that time, so that a server that stands still pays
/// for all that should have been sent meanwhile. One thread, and sockets without a client library.
class PacedLoad {
 public:
  struct Settings {
    std::uint16_t port = 0;
    int connections = 50;
    double a_second = 0;
    std::size_t keys = 0;         ///< key_name(0) and on, all of which are there
    std::size_t value_bytes = 0;  ///< of each value
  };

  explicit PacedLoad(const Settings& settings);
  ~PacedLoad();
  PacedLoad(const PacedLoad&) = delete;
  PacedLoad& operator=(const PacedLoad&) = delete;

  /// Those whose time is from now on count, or don't.
  void count(bool yes) noexcept { counts_.store(yes, std::memory_order_relaxed); }
  /// Waits for the answers to all that was sent, and rethrows what the thread failed with.
  void stop();

  /// From their times to their answers, and to their being sent: what of it this thread is to blame for. After stop().
  const Latencies& latencies() const noexcept { return latencies_; }
  const Latencies& lateness() const noexcept { return lateness_; }

 private:
  void run();

  const Settings settings_;
  std::atomic<bool> counts_{false};
  std::atomic<bool> stop_{false};
  Latencies latencies_;
  Latencies lateness_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace bench
