// SPDX-License-Identifier: Apache-2.0
#include "store/cut.hpp"

#include "store/thread_record.hpp"

namespace cubby::detail {

Cut::~Cut() {
  for (Entry* entry : take_left()) Entry::release(entry);
  Deferred* node = deferred_.exchange(nullptr, std::memory_order_acquire);
  while (node != nullptr) {
    retire(node->object, node->free, node->bytes);
    delete std::exchange(node, node->next);
  }
}

void Cut::leave(const Entry* entry) noexcept {
  entry->retain();
  push(left_, new Left{const_cast<Entry*>(entry), nullptr});
}

void Cut::defer(void* object, void (*free)(void*), std::size_t bytes) noexcept {
  push(deferred_, new Deferred{object, free, bytes, nullptr});
}

std::vector<Entry*> Cut::take_left() {
  std::vector<Entry*> entries;
  Left* node = left_.exchange(nullptr, std::memory_order_acquire);
  while (node != nullptr) {
    entries.push_back(node->entry);
    delete std::exchange(node, node->next);
  }
  return entries;
}

}  // namespace cubby::detail
