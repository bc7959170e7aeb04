// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "store/store.hpp"

/// Several keys one after the other, whose cache misses come at the same time: all buckets are asked for, then all entries, and
/// only then is anything looked at.

namespace cubby::detail {

namespace {

/// As many misses as a core has under way at once, times the two lines of each entry.
constexpr std::size_t kAtOnce = 32;

using Hashes = std::array<std::uint64_t, kAtOnce>;

/// REQUIRES: within an epoch, at most kAtOnce keys.
void bring_near(const Table& table, std::span<const std::string_view> keys, Hashes& hashes) noexcept {
  for (std::size_t index = 0; index < keys.size(); ++index) {
    hashes[index] = hash_key(keys[index]);
    table.prefetch_bucket(hashes[index]);
  }
  for (std::size_t index = 0; index < keys.size(); ++index) table.prefetch_slots(hashes[index]);
}

}  // namespace

std::size_t Store::visit_many(std::span<const std::string_view> keys, FunctionRef<void(std::size_t, const Value&)> f) {
  for (const std::string_view key : keys) check_key(Operation::visit_many, key);
  ThreadRecord& record = thread_record();
  counters(record).count(Operation::visit_many);  // and each key as a visit
  std::size_t hits = 0;
  for (std::size_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    const auto group = keys.subspan(begin, std::min(kAtOnce, keys.size() - begin));
    const EpochGuard guard(record);
    check_readable("visit_many", group.front());
    Hashes hashes;
    bring_near(table_, group, hashes);
    Counters& figures = counters(record);
    const InCallback in_callback(record);
    for (std::size_t index = 0; index < group.size(); ++index) {
      figures.count(Operation::visit);
      const Entry* entry = find(hashes[index], group[index]);
      if (entry == nullptr) continue;
      figures.add(Figure::hits, 1);
      ++hits;
      entry->with_value([&](const Value& value) { f(begin + index, value); });
    }
  }
  return hits;
}

void Store::prefetch(std::span<const std::string_view> keys) {
  ThreadRecord& record = thread_record();
  for (std::size_t begin = 0; begin < keys.size(); begin += kAtOnce) {
    const auto group = keys.subspan(begin, std::min(kAtOnce, keys.size() - begin));
    const EpochGuard guard(record);
    check_readable("prefetch", group.front());
    Hashes hashes;
    bring_near(table_, group, hashes);
  }
}

}  // namespace cubby::detail
