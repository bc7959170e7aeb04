// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "store/entry.hpp"

/// A consistent cut of a store that nobody stops for.
///
/// The store has a version, which each cut raises by one. A write stamps its entry with the version it reads under its lock
/// right before it publishes, after all its own reads; so what it has seen is stamped no later. The cut is everything stamped
/// up to `version`. The saver scans the table for it; a writer that replaces something of the cut by something newer leaves it
/// here first, before it publishes.
///
/// Invariants
///  1. The store points to the cut before it raises its version. Hence a write stamped later than `version` has seen the cut.
///  2. What the saver doesn't find in the table any more (its successor is stamped later) was left here before that successor
///     could be seen.
///  3. Elements and chunks of queues that are taken out while there is a cut are freed only after it has ended, as left entries
///     may reach them.
///
/// Thread safety: leave() and defer() by any writer; the rest by the saver.

namespace cubby::detail {

class Cut {
 public:
  Cut(std::uint32_t version_of_cut, const void* chain_of_cut) noexcept : version(version_of_cut), chain(chain_of_cut) {}
  /// Frees what nobody has taken.
  ~Cut();
  Cut(const Cut&) = delete;
  Cut& operator=(const Cut&) = delete;

  const std::uint32_t version;
  /// The table chain that the saver scans. A write that entered before a clear() goes on in an older one, whose entries had
  /// been cleared when the cut began.
  const void* const chain;

  /// Whether an entry of stamp `old` has to be left by a write of stamp `fresh` to the same chain.
  bool wants(std::uint32_t old, std::uint32_t fresh, const void* of_chain) const noexcept {
    return old <= version && fresh > version && of_chain == chain;
  }
  /// Keeps the entry, with a reference of its own. Out of memory ends the process.
  void leave(const Entry* entry) noexcept;
  /// Frees `object` once the cut has ended and nobody can be reading it.
  void defer(void* object, void (*free)(void*), std::size_t bytes) noexcept;

  /// The entries left so far; the caller owns a reference to each.
  std::vector<Entry*> take_left();

 private:
  struct Left {
    Entry* entry;
    Left* next;
  };
  struct Deferred {
    void* object;
    void (*free)(void*);
    std::size_t bytes;
    Deferred* next;
  };
  template <class Node>
  static void push(std::atomic<Node*>& list, Node* node) noexcept {
    node->next = list.load(std::memory_order_relaxed);
    // release: synchronises with the exchange in take_left() and the destructor
    while (!list.compare_exchange_weak(node->next, node, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }

  std::atomic<Left*> left_{nullptr};
  std::atomic<Deferred*> deferred_{nullptr};
};

}  // namespace cubby::detail
