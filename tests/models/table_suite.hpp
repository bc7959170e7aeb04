// SPDX-License-Identifier: Apache-2.0
#pragma once

// A hash table of two buckets with the library's own reclamation, for the models of the table. Keys are their hashes.

#include <memory>

#include "base/epoch.hpp"
#include "models/model.hpp"
#include "table/hash_table.hpp"

namespace cubby::models {

struct Entry {
  Entry(std::uint64_t key, int content) : hash(key), value(content) {}
  ~Entry() { value.set(-1); }  // a race with a reader that has not left
  const std::uint64_t hash;
  Plain<int> value;
};

template <class Policy>
class TableTraits {
 public:
  using Domain = detail::EpochDomain<Policy>;
  using Participant = typename Domain::Participant;
  using Bucket = detail::Bucket<Policy>;

  static std::uint64_t hash(detail::Word word) { return detail::pointer_of<Entry>(word)->hash; }
  static void prefetch(detail::Word) {}
  static void dispose(detail::Word word) { delete detail::pointer_of<Entry>(word); }
  static Bucket* make_buckets(std::size_t count) { return new Bucket[count]; }
  static void free_buckets(Bucket* buckets, std::size_t) { delete[] buckets; }
  void growing() { ++moves; }
  void retire(void* object, void (*free)(void*), std::size_t bytes) { domain.retire(self(), object, free, bytes); }

  Participant& self() { return participants[rl::thread_index()]; }

  int moves = 0;
  Domain domain;
  Participant participants[3];
};

/// Three threads and a table. Derived classes give thread(), and check() for when all is over.
template <class Policy, class Derived>
struct TableSuite : rl::test_suite<Derived, 3> {
  using Traits = TableTraits<Policy>;
  using Table = detail::HashTable<Policy, Traits>;
  using Word = detail::Word;

  /// A hash in the bucket (of two), with a tag and a fingerprint of its own; `stripe` is which of the table's counters it goes
  /// to.
  static std::uint64_t key(std::uint64_t bucket, std::uint64_t number, std::uint64_t stripe = 0) {
    return bucket << 63 | (number & 1) << 62 | stripe << 24 | number << 8 | (number + 1);
  }

  struct Inside {
    explicit Inside(Traits& its) : traits(its) { traits.domain.enter(traits.self()); }
    ~Inside() { traits.domain.leave(traits.self()); }
    Traits& traits;
  };

  TableSuite() {
    for (auto& each : traits->participants) traits->domain.link(each);
  }

  static auto is(std::uint64_t hash) {
    return [hash](Word word) { return detail::pointer_of<Entry>(word)->hash == hash; };
  }
  /// The key's value; 0: absent.
  int read(std::uint64_t hash) {
    const Inside inside(*traits);
    int value = 0;
    table->find(hash, [hash, &value](Word word) {
      auto* entry = detail::pointer_of<Entry>(word);
      if (entry->hash != hash) return false;
      value = entry->value.get();
      return true;
    });
    require(value >= 0, "read a freed entry");
    return value;
  }
  /// Sets the key, or removes it (0), as the store does: under the lock of its bucket in the chain that is current then.
  void write(std::uint64_t hash, int value) {
    const Inside inside(*traits);
    typename Table::Held held = table->lock(hash);
    while (table->chain() != held.table->chain) {
      table->unlock(held);
      held = table->lock(hash);
    }
    const auto found = table->locate(held, hash, is(hash));
    const Word word = value != 0 ? detail::make_word(hash, new Entry(hash, value), detail::SlotKind::entry) : 0;
    if (found.word != 0) {
      if (word != 0) {
        table->replace(found, word);
      } else {
        table->remove(held, found, hash);
      }
      auto* old = detail::pointer_of<Entry>(found.word);
      traits->retire(
          old, [](void* entry) { delete static_cast<Entry*>(entry); }, sizeof(Entry));
    } else if (word != 0) {
      table->insert(held, table->reserve(held), hash, word);
    }
    table->unlock(held);
  }
  void help(std::size_t buckets) {
    const Inside inside(*traits);
    table->help(buckets);
  }
  bool sweep() {
    const Inside inside(*traits);
    return table->sweep();
  }
  /// Frees what is free by now.
  void tidy() { traits->domain.hand_over(traits->self(), true); }

  void after() {
    static_cast<Derived*>(this)->check();
    if (table->moving()) require(sweep(), "a move that never ends");
    for (auto& each : traits->participants) traits->domain.hand_over(each, true);
    for (int round = 0; round < 2; ++round) traits->domain.hand_over(traits->participants[0], true);
    require(!traits->domain.pending(), "something is never freed");
    table.reset();  // and all that is left
  }

  Lot lot;
  std::unique_ptr<Traits> traits = std::make_unique<Traits>();
  std::unique_ptr<Table> table = std::make_unique<Table>(*traits, 1);
};

}  // namespace cubby::models
