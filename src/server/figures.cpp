// SPDX-License-Identifier: Apache-2.0
#include "server/figures.hpp"

#include <algorithm>
#include <bit>

namespace cubby::server {

void Figures::Part::add_command(std::size_t index, std::uint64_t nanoseconds, bool failed) noexcept {
  OfCommand& command = commands_[index];
  bump(command.calls, 1);
  bump(command.nanoseconds, nanoseconds);
  if (failed) bump(command.failed, 1);
}

void Figures::Part::add_latency(std::uint64_t nanoseconds) noexcept {
  const auto bucket = static_cast<std::size_t>(std::bit_width(nanoseconds / 1000));
  bump(latencies_[std::min(bucket, kLatencyBuckets - 1)], 1);
}

std::uint64_t Figures::next_id() noexcept {
  static std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Figures::Part& Figures::find_mine() {
  const std::lock_guard lock(mutex_);
  // A thread that has the id of one that is gone goes on with its part.
  std::unique_ptr<Part>& part = parts_[std::this_thread::get_id()];
  if (!part) part = std::make_unique<Part>();
  return *part;
}

std::uint64_t Figures::sum(Which which) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t sum = 0;
  for (const auto& [thread, part] : parts_) sum += part->counters_[which].load(std::memory_order_relaxed);
  return sum - base_.counters[which];
}

Figures::CommandFigures Figures::of_command(std::size_t index) const {
  const std::lock_guard lock(mutex_);
  CommandFigures sum;
  for (const auto& [thread, part] : parts_) {
    const Part::OfCommand& command = part->commands_[index];
    sum.calls += command.calls.load(std::memory_order_relaxed);
    sum.nanoseconds += command.nanoseconds.load(std::memory_order_relaxed);
    sum.failed += command.failed.load(std::memory_order_relaxed);
  }
  const CommandFigures& base = base_.commands[index];
  return {sum.calls - base.calls, sum.nanoseconds - base.nanoseconds, sum.failed - base.failed};
}

std::array<std::uint64_t, Figures::kLatencyBuckets> Figures::latencies() const {
  const std::lock_guard lock(mutex_);
  std::array<std::uint64_t, kLatencyBuckets> sums{};
  for (std::size_t bucket = 0; bucket < kLatencyBuckets; ++bucket) {
    for (const auto& [thread, part] : parts_) sums[bucket] += part->latencies_[bucket].load(std::memory_order_relaxed);
    sums[bucket] -= base_.latencies[bucket];
  }
  return sums;
}

void Figures::reset() {
  const std::lock_guard lock(mutex_);
  base_ = {};
  for (const auto& [thread, part] : parts_) {
    for (std::size_t which = 0; which < kCount; ++which) {
      base_.counters[which] += part->counters_[which].load(std::memory_order_relaxed);
    }
    for (std::size_t index = 0; index < kMostCommands; ++index) {
      const Part::OfCommand& command = part->commands_[index];
      base_.commands[index].calls += command.calls.load(std::memory_order_relaxed);
      base_.commands[index].nanoseconds += command.nanoseconds.load(std::memory_order_relaxed);
      base_.commands[index].failed += command.failed.load(std::memory_order_relaxed);
    }
    for (std::size_t bucket = 0; bucket < kLatencyBuckets; ++bucket) {
      base_.latencies[bucket] += part->latencies_[bucket].load(std::memory_order_relaxed);
    }
  }
}

}  // namespace cubby::server
