// SPDX-License-Identifier: Apache-2.0
#include "base/parking_lot.hpp"

#include <array>

namespace cubby::detail::parking {
namespace {

constexpr unsigned kQueueBits = 8;
constinit std::array<Queue, std::size_t{1} << kQueueBits> queues{};

}  // namespace

Queue& queue_of(const void* address) noexcept {
  const std::uint64_t mixed = std::uint64_t{reinterpret_cast<std::uintptr_t>(address)} * 0x9E3779B97F4A7C15ULL;
  return queues[static_cast<std::size_t>(mixed >> (64 - kQueueBits))];
}

void Queue::add(Sleeper& sleeper) noexcept {
  sleeper.last_same = &sleeper;
  Sleeper** link = &first;
  for (; *link != nullptr; link = &(*link)->next) {
    Sleeper& head = **link;
    if (head.address != sleeper.address) continue;
    head.last_same->next_same = &sleeper;
    head.last_same = &sleeper;
    return;
  }
  *link = &sleeper;
}

Sleeper* Queue::remove_first(const void* address) noexcept {
  for (Sleeper** link = &first; *link != nullptr; link = &(*link)->next) {
    Sleeper* const head = *link;
    if (head->address != address) continue;
    if (Sleeper* const heir = head->next_same) {
      heir->next = head->next;
      heir->last_same = head->last_same;
      *link = heir;
    } else {
      *link = head->next;
    }
    return head;
  }
  return nullptr;
}

void sleep(Sleeper& sleeper) noexcept {
  // Acquire: synchronises with the release in wake. Until then the sleeper is in a queue or in the hands of its waker.
  while (!sleeper.chosen.load(std::memory_order_acquire)) sleeper.parker->park();
}

void wake(Sleeper& sleeper) noexcept {
  Parker* const parker = sleeper.parker;
  // Release: to the acquire in sleep. The sleeper is gone after this; its parker is not.
  sleeper.chosen.store(true, std::memory_order_release);
  parker->unpark();
}

}  // namespace cubby::detail::parking
