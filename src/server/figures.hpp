// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace cubby::server {

/// What the server has counted. Each thread that serves clients has a part of its own, so that counting is no traffic between
/// them.
///
/// Thread safety: a part is written by its thread; sums may be asked for by any.
class Figures {
 public:
  enum Which : std::size_t {
    connections,
    rejected_connections,
    commands,
    bytes_in,
    bytes_out,
    hits,
    misses,
    errors,
    auth_failures,
    output_limit_disconnections,
    query_limit_disconnections,
    kCount
  };
  /// Latencies of batches: bucket n counts those of 2^(n-1) to 2^n - 1 microseconds, bucket 0 those below one.
  static constexpr std::size_t kLatencyBuckets = 32;
  static constexpr std::size_t kMostCommands = 256;

  class alignas(64) Part {
   public:
    void add(Which which, std::uint64_t count = 1) noexcept { bump(counters_[which], count); }
    void add_command(std::size_t index, std::uint64_t nanoseconds, bool failed) noexcept;
    void add_latency(std::uint64_t nanoseconds) noexcept;

   private:
    friend class Figures;
    using Counter = std::atomic<std::uint64_t>;
    // One writer: no read-modify-write is needed.
    static void bump(Counter& counter, std::uint64_t count) noexcept {
      counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    std::array<Counter, kCount> counters_{};
    struct OfCommand {
      Counter calls, nanoseconds, failed;
    };
    std::array<OfCommand, kMostCommands> commands_{};
    std::array<Counter, kLatencyBuckets> latencies_{};
  };

  Figures() = default;
  Figures(const Figures&) = delete;
  Figures& operator=(const Figures&) = delete;

  /// The calling thread's.
  Part& mine() {
    thread_local constinit Latest latest{};
    if (latest.id != id_) [[unlikely]]
      latest = {id_, &find_mine()};
    return *latest.part;
  }

  struct CommandFigures {
    std::uint64_t calls = 0, nanoseconds = 0, failed = 0;
  };
  std::uint64_t sum(Which which) const;
  /// By the command's place in the table.
  CommandFigures of_command(std::size_t index) const;
  std::array<std::uint64_t, kLatencyBuckets> latencies() const;
  /// As CONFIG RESETSTAT: sums count from here.
  void reset();

 private:
  /// Whose part the thread has asked for last: with one server in a process, always the right one.
  struct Latest {
    std::uint64_t id = 0;
    Part* part = nullptr;
  };
  struct Sums {
    std::array<std::uint64_t, kCount> counters{};
    std::array<CommandFigures, kMostCommands> commands{};
    std::array<std::uint64_t, kLatencyBuckets> latencies{};
  };
  static std::uint64_t next_id() noexcept;
  Part& find_mine();

  const std::uint64_t id_ = next_id();  ///< never that of another, while an address may be
  mutable std::mutex mutex_;
  std::map<std::thread::id, std::unique_ptr<Part>> parts_;
  Sums base_;
};

}  // namespace cubby::server
