// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>

#include "server/figures.hpp"

namespace cubby::server {

class Server;

/// How a second of the server's was.
struct HttpSample {
  std::uint64_t number = 0;  ///< counts from 1
  std::int64_t time_ms = 0;  ///< its end, since the epoch
  double commands = 0;       ///< a second, as are the next two
  double bytes_in = 0, bytes_out = 0;
  double p50_us = 0, p99_us = 0;  ///< of what it took to answer what was received in one piece; 0 where there was nothing
  std::size_t memory = 0;         ///< bytes of keys and values
  std::size_t clients = 0;
};

/// The last minutes, second by second.
///
/// Thread safety: as an int; the server's figures may change meanwhile.
class HttpHistory {
 public:
  static constexpr std::size_t kKept = 300;

  explicit HttpHistory(const Server& server);
  /// To be called once a second.
  void sample();
  /// Oldest first.
  const std::deque<HttpSample>& samples() const noexcept { return samples_; }

 private:
  struct Counted {
    std::chrono::steady_clock::time_point time;
    std::uint64_t commands = 0, bytes_in = 0, bytes_out = 0;
    std::array<std::uint64_t, Figures::kLatencyBuckets> latencies{};
  };
  Counted count() const;

  const Server& server_;
  Counted last_;
  std::uint64_t number_ = 0;
  std::deque<HttpSample> samples_;
};

/// The latency in microseconds that `share` (0 to 1) of those counted stay below; within a bucket they are taken to lie evenly.
double latency_quantile(std::span<const std::uint64_t, Figures::kLatencyBuckets> buckets, double share) noexcept;

}  // namespace cubby::server
