// SPDX-License-Identifier: Apache-2.0
#include "store/waiters.hpp"

namespace cubby::detail {

void WaitLine::push_back(WaitLink& link) noexcept {
  link.previous = last_;
  link.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &link;
  last_ = &link;
  ++size_;
}

WaitLink* WaitLine::erase(WaitLink& link) noexcept {
  WaitLink* next = link.next;
  (link.previous != nullptr ? link.previous->next : first_) = next;
  (next != nullptr ? next->previous : last_) = link.previous;
  link.previous = link.next = nullptr;
  link.key = nullptr;
  --size_;
  return next;
}

void WaiterLists::add(std::string_view key, WaitLink& link) {
  Shard& shard = shard_of(link.hash);
  const std::lock_guard lock(shard.mutex);
  auto found = shard.keys.find(KeyView{link.hash, key});
  if (found == shard.keys.end()) {
    found = shard.keys.emplace(Key{link.hash, std::string(key)}, KeyWaiters{}).first;
    found->second.hash = link.hash;
    found->second.name = found->first.name;
  }
  link.key = &found->second;
  found->second.line_of(link.waiter).push_back(link);
}

std::optional<std::string> WaiterLists::remove(WaitLink& link) {
  Shard& shard = shard_of(link.hash);
  const std::lock_guard lock(shard.mutex);
  if (link.key == nullptr) return std::nullopt;
  KeyWaiters& key = *link.key;
  const bool is_awaited = key.line_of(link.waiter).erase(link) != nullptr && link.waiter.kind == Waiter::Kind::attempt;
  if (is_awaited) return std::string(key.name);
  if (key.empty()) shard.keys.erase(shard.keys.find(KeyView{key.hash, key.name}));
  return std::nullopt;
}

bool WaiterLists::any(std::uint64_t first, std::uint64_t last) {
  Shard& shard = shard_of(first);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.keys.lower_bound(KeyView{first, {}});
  return found != shard.keys.end() && found->first.hash <= last;
}

void WaiterLists::end_all(Wakeups& wakeups) {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (auto& [name, key] : shard.keys) {
      for (WaitLine* line : {&key.takers, &key.others}) {
        for (WaitLink* link = line->first(); link != nullptr; link = line->erase(*link)) {
          Waiter& waiter = link->waiter;
          if (waiter.kind == Waiter::Kind::absence) {
            waiter.notify();
          } else if (waiter.interrupt(Waiter::State::kClosed)) {  // else it gave up, or will look why it is to stop
            waiter.error = Errc::closed;
            wakeups.add(waiter);
          }
        }
      }
    }
    shard.keys.clear();
  }
}

}  // namespace cubby::detail
