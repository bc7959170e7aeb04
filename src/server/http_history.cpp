// SPDX-License-Identifier: Apache-2.0
#include "server/http_history.hpp"

#include <algorithm>

#include "server/server.hpp"

namespace cubby::server {

namespace {

/// What was added since; after CONFIG RESETSTAT counting has begun anew.
std::uint64_t added(std::uint64_t now, std::uint64_t before) noexcept { return now >= before ? now - before : now; }

}  // namespace

HttpHistory::HttpHistory(const Server& server) : server_(server), last_(count()) {}

HttpHistory::Counted HttpHistory::count() const {
  const Figures& figures = server_.figures;
  return {std::chrono::steady_clock::now(), figures.sum(Figures::commands), figures.sum(Figures::bytes_in),
          figures.sum(Figures::bytes_out), figures.latencies()};
}

void HttpHistory::sample() {
  const Counted now = count();
  const double seconds = std::max(std::chrono::duration<double>(now.time - last_.time).count(), 1e-3);
  const auto rate = [&](std::uint64_t Counted::*which) {
    return static_cast<double>(added(now.*which, last_.*which)) / seconds;
  };
  std::array<std::uint64_t, Figures::kLatencyBuckets> latencies{};
  for (std::size_t bucket = 0; bucket < latencies.size(); ++bucket) {
    latencies[bucket] = added(now.latencies[bucket], last_.latencies[bucket]);
  }
  HttpSample sample;
  sample.number = ++number_;
  sample.time_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  sample.commands = rate(&Counted::commands);
  sample.bytes_in = rate(&Counted::bytes_in);
  sample.bytes_out = rate(&Counted::bytes_out);
  sample.p50_us = latency_quantile(latencies, 0.5);
  sample.p99_us = latency_quantile(latencies, 0.99);
  sample.memory = server_.used_memory.load(std::memory_order_relaxed);
  sample.clients = server_.clients.size();
  samples_.push_back(sample);
  if (samples_.size() > kKept) samples_.pop_front();
  last_ = now;
}

double latency_quantile(std::span<const std::uint64_t, Figures::kLatencyBuckets> buckets, double share) noexcept {
  std::uint64_t total = 0;
  for (const std::uint64_t count : buckets) total += count;
  if (total == 0) return 0;
  const double wanted = share * static_cast<double>(total);
  double below = 0;
  double low = 0;
  double high = 1;
  for (const std::uint64_t count : buckets) {
    const auto here = static_cast<double>(count);
    if (count != 0 && below + here >= wanted) return low + (high - low) * (wanted - below) / here;
    below += here;
    low = high;
    high *= 2;
  }
  return low;
}

}  // namespace cubby::server
