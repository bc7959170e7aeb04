// SPDX-License-Identifier: Apache-2.0
#include "store/waiters.hpp"

#include <algorithm>

namespace cubby::detail {

void WaiterLists::add(std::uint64_t hash, std::string_view key, Waiter& waiter) {
  Shard& shard = shard_of(hash);
  const std::lock_guard lock(shard.mutex);
  auto found = shard.lists.find(KeyView{hash, key});
  if (found == shard.lists.end()) found = shard.lists.emplace(Key{hash, std::string(key)}, List{}).first;
  try {
    found->second.push_back(&waiter);
  } catch (...) {
    if (found->second.empty()) shard.lists.erase(found);
    throw;
  }
}

void WaiterLists::remove(std::uint64_t hash, std::string_view key, Waiter& waiter) noexcept {
  visit(hash, key, [&waiter](List& list) {
    const auto found = std::find(list.begin(), list.end(), &waiter);
    if (found != list.end()) list.erase(found);
  });
}

bool WaiterLists::any(std::uint64_t first, std::uint64_t last) {
  Shard& shard = shard_of(first);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.lists.lower_bound(KeyView{first, {}});
  return found != shard.lists.end() && found->first.hash <= last;
}

void WaiterLists::end_all(Errc error, Wakeups& wakeups) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto& [key, list] : shard.lists) {
      for (Waiter* waiter : list) {
        if (!waiter->claim()) continue;  // it gave up, and will find itself gone from the list
        waiter->error = error;
        wakeups.add(*waiter);
      }
    }
    shard.lists.clear();
  }
}

}  // namespace cubby::detail
