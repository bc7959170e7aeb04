// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "table/bucket.hpp"

/// A hash table whose readers take no lock and write nothing, and whose writers lock one bucket.
///
/// A bucket is found by the hash's upper bits, so it covers an interval of hashes, and a bucket of a larger table a part of
/// that interval. Tables of different size form a chain: head -> next -> ... While a table has a successor its buckets move
/// over one by one (kMoved), in no order: each writer that comes to such a bucket moves it first, each writer moves a few
/// others (help), and maintenance sweeps up the rest. A reader or writer that finds a bucket moved goes on to the next table.
/// So the table grows and shrinks while everything goes on, and no bucket whose lock is held by user code is waited for by
/// anyone who doesn't need it.
///
/// Invariants, besides those of bucket.hpp
///  1. A key's home is the bucket of the first table, from the head on, that covers its hash and has not moved. Only the holder
///  of
///     that bucket's lock changes the key.
///  2. A move locks a bucket, and then the one it moves to. Whoever holds several buckets has taken them in the order of
///  hashes,
///     each settled: nothing is left in earlier tables that would move into it. So a mover never waits for one who waits for
///     it.
///  3. root_ is the head of the current chain. A table leaves the chain, and is retired, when all its buckets have moved.
///  4. A chain that was replaced by reset() lives on for those who entered before; it is destroyed once they have left.
///
/// Thread safety: all members may be called from any thread, inside an epoch.
///
/// `Traits` gives
///   static std::uint64_t hash(Word)                the hash of the key that a slot holds
///   static void prefetch(Word)                     hint that hash() follows
///   static void prefetch_entry(Word)               hint that find() comes to it (prefetch_slots only)
///   static void dispose(Word)                      frees what a slot holds, when the table is destroyed
///   static Bucket* make_buckets(n), free_buckets(Bucket*, n)      zeroed
///   void retire(void*, void (*)(void*), bytes)     frees later, when nobody is inside any more
///   void growing()                                 a move has begun that nobody may come to help with

namespace cubby::detail {

template <class Policy, class Traits>
class HashTable {
 public:
  template <class T>
  using Atomic = typename Policy::template Atomic<T>;
  using Bucket = detail::Bucket<Policy>;
  struct Chain;

  struct Table {
    Table(Chain* owner, unsigned bits)
        : chain(owner),
          shift(64 - bits),
          buckets(Traits::make_buckets(std::size_t{1} << bits)),
          remaining(std::size_t{1} << bits) {}
    ~Table() { Traits::free_buckets(buckets, size()); }
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;

    std::size_t size() const noexcept { return std::size_t{1} << (64 - shift); }
    Bucket& bucket(std::uint64_t hash) const noexcept { return buckets[hash >> shift]; }
    std::uint64_t first_of(std::uint64_t hash) const noexcept { return hash >> shift << shift; }
    std::uint64_t last_of(std::uint64_t hash) const noexcept { return hash | ((std::uint64_t{1} << shift) - 1); }

    Chain* const chain;
    const unsigned shift;
    Bucket* const buckets;
    Atomic<Table*> next{nullptr};
    Atomic<std::size_t> cursor{0};  ///< first bucket that no helper has claimed
    Atomic<std::size_t> remaining;  ///< buckets that have not moved
  };

  struct alignas(64) Stripe {
    Atomic<std::int64_t> keys{0};
  };
  static constexpr std::size_t kStripes = 16;

  struct Chain {
    Atomic<Table*> head{nullptr};
    std::uint64_t number = 0;      ///< one more than that of the chain it replaced
    typename Policy::Mutex mutex;  ///< moving head on
    Stripe stripes[kStripes];      ///< keys, by hash
  };

  /// A bucket chain whose lock the caller holds.
  struct Held {
    Table* table = nullptr;
    Bucket* home = nullptr;
    std::uint64_t first = 0, last = 0;  ///< the hashes it covers
    bool covers(std::uint64_t hash) const noexcept { return home != nullptr && first <= hash && hash <= last; }
  };

  /// A slot within a held chain.
  struct Position {
    Bucket* bucket = nullptr;
    int slot = 0;
    Word word = 0;  ///< 0: free
  };

  explicit HashTable(Traits& traits, unsigned min_bits = 4) : traits_(traits), min_bits_(min_bits) {
    root_.store(make_chain(0, 0, min_bits), std::memory_order_release);
  }
  HashTable(const HashTable&) = delete;
  HashTable& operator=(const HashTable&) = delete;
  /// REQUIRES: nobody uses the table.
  ~HashTable() { destroy(root_.load(std::memory_order_relaxed)->chain, Traits::dispose); }

  // --- Reading ---------------------------------------------------------------------------------------------------------------

  /// Calls `match(word)` on the slots that may hold the key, until it returns true.
  template <class Match>
  bool find(std::uint64_t hash, Match&& match) const {
    const Table* table = root_.load(std::memory_order_acquire);  // synchronises with finish() and reset()
    for (;;) {
      const Bucket* bucket = &table->bucket(hash);
      // acquire: synchronises with insert() and unlock_moved()
      std::uint64_t control = bucket->control.load(std::memory_order_acquire);
      if (control & kMoved) [[unlikely]] {
        table = table->next.load(std::memory_order_acquire);
        continue;
      }
      return find_in_chain(bucket, control, hash, match);
    }
  }

  /// Hints for who is to look for several keys: first this for each of them, then the next one for each, then find().
  void prefetch_bucket(std::uint64_t hash) const noexcept {
    __builtin_prefetch(&root_.load(std::memory_order_acquire)->bucket(hash));
  }
  void prefetch_slots(std::uint64_t hash) const noexcept {
    const Bucket& bucket = root_.load(std::memory_order_acquire)->bucket(hash);
    // Relaxed: what is prefetched is only addresses. acquire would be needed to look at what lies there.
    const std::uint64_t control = bucket.control.load(std::memory_order_relaxed);
    if (control & kMoved) [[unlikely]]
      return;
    for (std::uint64_t matches = match_tags(control, tag_of(hash)); matches != 0; matches &= matches - 1) {
      const Word word = bucket.slots[slot_of_match(matches)].load(std::memory_order_relaxed);
      if (((word ^ fingerprint_of(hash)) >> 48) == 0) Traits::prefetch_entry(word);
    }
  }

  /// Visits every slot, once, of the bucket that covers the hash `position`, with `visit(word, hash)`, hashes below `position`
  /// left out; returns the last hash it has covered. A caller that goes on from the next hash sees every key that stays exactly
  /// once, however the table grows meanwhile.
  template <class Visit>
  std::uint64_t scan(const Chain* chain, std::uint64_t position, Visit&& visit) const {
    const Table* table = (chain ? chain->head : root_).load(std::memory_order_acquire);
    std::uint64_t last = ~std::uint64_t{0};
    for (;;) {
      // The finest of the tables on the way: a coarser bucket may not have been given all of its keys yet.
      if (table->last_of(position) < last) last = table->last_of(position);
      const Bucket* bucket = &table->bucket(position);
      std::uint64_t control = bucket->control.load(std::memory_order_acquire);
      if (control & kMoved) {
        table = table->next.load(std::memory_order_acquire);
        continue;
      }
      while (bucket != nullptr) {
        const Bucket* further = nullptr;
        for (int slot = 0; slot < kSlots; ++slot) {
          const Word word = bucket->slots[slot].load(std::memory_order_acquire);
          if (word == 0) continue;
          if (kind_of(word) == SlotKind::link) {
            further = pointer_of<Bucket>(word);
            continue;
          }
          const std::uint64_t hash = Traits::hash(word);
          if (hash >= position && hash <= last) visit(word, hash);
        }
        bucket = further;
      }
      return last;
    }
  }

  /// The first hash of the bucket that scan() would visit for `position`.
  std::uint64_t first_of_bucket(std::uint64_t position) const {
    const Table* table = root_.load(std::memory_order_acquire);
    std::uint64_t first = 0;
    for (;;) {
      if (table->first_of(position) > first) first = table->first_of(position);
      if (!(table->bucket(position).control.load(std::memory_order_acquire) & kMoved)) return first;
      table = table->next.load(std::memory_order_acquire);
    }
  }

  /// Exact when no writer is at work.
  std::size_t size() const { return size(root_.load(std::memory_order_acquire)->chain); }

  std::size_t bucket_bytes() const {
    std::size_t bytes = 0;
    for (const Table* table = root_.load(std::memory_order_acquire); table;
         table = table->next.load(std::memory_order_acquire)) {
      bytes += table->size() * sizeof(Bucket);
    }
    return bytes;
  }

  Chain* chain() const { return root_.load(std::memory_order_acquire)->chain; }

  // --- Writing ---------------------------------------------------------------------------------------------------------------

  /// Locks the home of `hash`.
  Held lock(std::uint64_t hash) {
    Table* table = root_.load(std::memory_order_acquire);
    for (;;) {
      Bucket& bucket = table->bucket(hash);
      if (!lock_bucket(bucket)) {
        table = table->next.load(std::memory_order_acquire);
        continue;
      }
      if (table->next.load(std::memory_order_acquire) == nullptr) [[likely]] {
        return {table, &bucket, table->first_of(hash), table->last_of(hash)};
      }
      move(*table, bucket, table->first_of(hash));
      table = table->next.load(std::memory_order_acquire);
    }
  }

  /// The same without waiting for anybody; false if that can't be.
  bool try_lock(std::uint64_t hash, Held& held) {
    Table* table = root_.load(std::memory_order_acquire);
    for (;;) {
      Bucket& bucket = table->bucket(hash);
      if (try_lock_bucket(bucket)) {
        held = {table, &bucket, table->first_of(hash), table->last_of(hash)};
        return true;  // it may be about to move; it holds its keys until it has
      }
      if (!(bucket.control.load(std::memory_order_acquire) & kMoved)) return false;
      table = table->next.load(std::memory_order_acquire);
    }
  }

  /// Locks the home of `hash` for a caller that already holds homes of smaller hashes (`mine`), and will hold larger ones
  /// (invariant 2). Holds nothing (home is null) if one of the caller's own buckets would have to move for it, as the table has
  /// begun to shrink: the caller then has to release all, and begin again.
  Held lock_settled(std::uint64_t hash, std::span<const Held> mine) {
    for (;;) {
      Held held = lock(hash);
      Table* table = held.table->chain->head.load(std::memory_order_acquire);
      Bucket* left = nullptr;
      for (; table != held.table && left == nullptr; table = table->next.load(std::memory_order_acquire)) {
        left = left_behind(*table, held);
        if (left != nullptr) break;
      }
      if (left == nullptr) return held;
      unlock(held);
      for (const Held& each : mine) {
        if (each.home == left) return {};
      }
      if (lock_bucket(*left)) move(*table, *left, static_cast<std::uint64_t>(left - table->buckets) << table->shift);
    }
  }

  void unlock(Held& held) noexcept {
    unlock_bucket(*held.home);
    held = {};
  }

  /// The slot for which `match(word)` is true; word 0 if there's none.
  template <class Match>
  Position locate(const Held& held, std::uint64_t hash, Match&& match) const {
    Position found;
    Bucket* bucket = held.home;
    for (;;) {
      const std::uint64_t control = bucket->control.load(std::memory_order_relaxed);
      for (std::uint64_t matches = match_tags(control, tag_of(hash)); matches != 0; matches &= matches - 1) {
        const int slot = slot_of_match(matches);
        const Word word = bucket->slots[slot].load(std::memory_order_relaxed);
        if (((word ^ fingerprint_of(hash)) >> 48) == 0 && match(word)) return {bucket, slot, word};
      }
      if (!(control & kLinked)) return found;
      bucket = pointer_of<Bucket>(bucket->slots[kSlots - 1].load(std::memory_order_relaxed));
    }
  }

  /// A free slot. May allocate; changes nothing that anybody sees.
  Position reserve(const Held& held) { return free_slot(held.home); }

  /// Puts a key into a reserved slot. The key is there once this returns.
  void insert(const Held& held, const Position& position, std::uint64_t hash, Word word) noexcept {
    place(position, hash, word);
    Chain& chain = *held.table->chain;
    const std::int64_t keys = stripe(chain, hash).fetch_add(1, std::memory_order_relaxed) + 1;
    if ((keys & 7) == 0) consider_growing(*held.table);
  }

  /// Replaces what the slot holds, for the same key.
  void replace(const Position& position, Word word) noexcept {
    // release: synchronises with the acquire loads of slots by readers
    position.bucket->slots[position.slot].store(word, std::memory_order_release);
  }

  void remove(const Held& held, const Position& position, std::uint64_t hash) noexcept {
    position.bucket->slots[position.slot].store(0, std::memory_order_release);
    position.bucket->control.fetch_and(~place_tag(0xff, position.slot), std::memory_order_release);
    Chain& chain = *held.table->chain;
    const std::int64_t keys = stripe(chain, hash).fetch_sub(1, std::memory_order_relaxed) - 1;
    if ((keys & 63) == 0) consider_shrinking(*held.table);
  }

  bool has_waiters(const Held& held) const noexcept {
    return (held.home->control.load(std::memory_order_relaxed) & kWaiters) != 0;
  }
  void set_waiters(const Held& held, bool any) noexcept {
    if (any) {
      held.home->control.fetch_or(kWaiters, std::memory_order_relaxed);
    } else {
      held.home->control.fetch_and(~std::uint64_t{kWaiters}, std::memory_order_relaxed);
    }
  }

  /// Moves a few buckets if the table is growing or shrinking. REQUIRES: no bucket held.
  void help(std::size_t buckets) {
    Table* table = root_.load(std::memory_order_acquire);
    while (table->next.load(std::memory_order_relaxed) != nullptr) [[unlikely]] {
      if (table->cursor.load(std::memory_order_relaxed) < table->size()) {
        const std::size_t from = table->cursor.fetch_add(buckets, std::memory_order_relaxed);
        for (std::size_t index = from; index < from + buckets && index < table->size(); ++index) try_move(*table, index);
        return;
      }
      table = table->next.load(std::memory_order_acquire);
    }
  }

  bool moving() const { return root_.load(std::memory_order_acquire)->next.load(std::memory_order_relaxed) != nullptr; }

  /// Moves all that can be moved without waiting for a lock; false if something is left. REQUIRES: no bucket held.
  bool sweep() {
    for (Table* table = root_.load(std::memory_order_acquire); table->next.load(std::memory_order_acquire) != nullptr;
         table = table->next.load(std::memory_order_acquire)) {
      for (std::size_t index = 0; index < table->size(); ++index) {
        if (!(table->buckets[index].control.load(std::memory_order_relaxed) & kMoved)) try_move(*table, index);
      }
    }
    return !moving();
  }

  /// Puts an empty table in the place of all keys, at one instant, and returns the old chain: to be destroyed once nobody can
  /// be inside. Its buckets are marked as having waiters, as those of the old ones are not known here. REQUIRES: one caller at
  /// a time, inside an epoch.
  Chain* reset() { return reset(make_reset()); }

  /// The same in two steps, of which only the first can fail.
  struct DestroyChain {
    void operator()(Table* table) const noexcept {
      destroy(table->chain, [](Word) {});
    }
  };
  using Prepared = std::unique_ptr<Table, DestroyChain>;
  Prepared make_reset() { return Prepared(make_chain(kWaiters, chain()->number + 1, min_bits_)); }
  /// With room for so many keys. REQUIRES: no key has waiters.
  Prepared make_reset(std::size_t keys) {
    const auto bits = static_cast<unsigned>(std::countr_zero(std::bit_ceil(keys * 2 / kFull + 1)));
    return Prepared(make_chain(0, chain()->number + 1, std::max(bits, min_bits_)));
  }
  Chain* reset(Prepared prepared) noexcept {
    Table* fresh = prepared.release();
    // seq_cst: synchronises with the readers of root_, and with who adds a waiter and then looks at root_ again
    return root_.exchange(fresh, std::memory_order_seq_cst)->chain;
  }

  /// Calls `dispose(word)` for each key, and frees the chain. REQUIRES: nobody is inside who entered before its reset().
  template <class Dispose>
  static void destroy(Chain* chain, Dispose&& dispose) {
    Table* table = chain->head.load(std::memory_order_acquire);
    while (table != nullptr) {
      for (std::size_t index = 0; index < table->size(); ++index) {
        if (!(table->buckets[index].control.load(std::memory_order_acquire) & kMoved))
          dispose_chain(table->buckets[index], dispose);
      }
      Table* next = table->next.load(std::memory_order_acquire);
      delete table;
      table = next;
    }
    delete chain;
  }

  static std::size_t size(const Chain* chain) {
    std::int64_t keys = 0;
    for (const Stripe& each : chain->stripes) keys += each.keys.load(std::memory_order_relaxed);
    return keys > 0 ? static_cast<std::size_t>(keys) : 0;
  }

 private:
  static constexpr std::size_t kFull = 9;  ///< keys to two buckets at which the table grows

  static Atomic<std::int64_t>& stripe(Chain& chain, std::uint64_t hash) noexcept {
    return chain.stripes[(hash >> 24) % kStripes].keys;
  }

  Table* make_chain(std::uint64_t flags, std::uint64_t number, unsigned bits) {
    auto owned = std::make_unique<Chain>();
    owned->number = number;
    auto* table = new Table(owned.get(), bits);
    Chain* chain = owned.release();
    for (std::size_t index = 0; flags != 0 && index < table->size(); ++index) {
      table->buckets[index].control.store(flags, std::memory_order_relaxed);
    }
    chain->head.store(table, std::memory_order_release);
    return table;
  }

  template <class Match>
  static bool find_in_chain(const Bucket* bucket, std::uint64_t control, std::uint64_t hash, Match& match) {
    for (;;) {
      bool linked = (control & kLinked) != 0;
      for (std::uint64_t matches = match_tags(control, tag_of(hash)); matches != 0; matches &= matches - 1) {
        // acquire: synchronises with place() and replace()
        const Word word = bucket->slots[slot_of_match(matches)].load(std::memory_order_acquire);
        if (kind_of(word) == SlotKind::link) [[unlikely]] {
          linked = true;  // the slot became a link since the control word was read
        } else if (((word ^ fingerprint_of(hash)) >> 48) == 0 && word != 0 && match(word)) {
          return true;
        }
      }
      if (!linked) [[likely]]
        return false;
      bucket = pointer_of<Bucket>(bucket->slots[kSlots - 1].load(std::memory_order_acquire));
      control = bucket->control.load(std::memory_order_acquire);
    }
  }

  /// Fills a slot, and then shows it.
  static void place(const Position& position, std::uint64_t hash, Word word) noexcept {
    position.bucket->slots[position.slot].store(word, std::memory_order_release);
    // release: synchronises with the readers' acquire of the control word; the tag's byte was 0
    position.bucket->control.fetch_or(place_tag(tag_of(hash), position.slot), std::memory_order_release);
  }

  /// REQUIRES: the chain's lock held.
  static Position free_slot(Bucket* bucket) {
    for (;;) {
      const std::uint64_t control = bucket->control.load(std::memory_order_relaxed);
      // Slot 6 of a linked bucket has no tag, and isn't free.
      const std::uint64_t free = match_tags(control, 0) & ~((control & kLinked) ? std::uint64_t{0xff} << 56 : std::uint64_t{0});
      if (free != 0) return {bucket, slot_of_match(free), 0};
      if (!(control & kLinked)) link(*bucket, control);
      bucket = pointer_of<Bucket>(bucket->slots[kSlots - 1].load(std::memory_order_relaxed));
    }
  }

  /// Turns slot 6 of a full bucket into a link to a new one that takes over its entry (invariant 3 of bucket.hpp).
  static void link(Bucket& bucket, std::uint64_t control) {
    Bucket* further = Traits::make_buckets(1);
    const Word last = bucket.slots[kSlots - 1].load(std::memory_order_relaxed);
    further->slots[0].store(last, std::memory_order_relaxed);
    further->control.store(place_tag(tag_at(control, kSlots - 1), 0), std::memory_order_relaxed);
    bucket.slots[kSlots - 1].store(make_word(0, further, SlotKind::link), std::memory_order_release);
    bucket.control.fetch_or(kLinked, std::memory_order_release);
    bucket.control.fetch_and(~place_tag(0xff, kSlots - 1), std::memory_order_release);
  }

  void consider_growing(Table& held) noexcept {
    Table* tail = &held;
    while (Table* next = tail->next.load(std::memory_order_acquire)) tail = next;
    if (size(held.chain) * 2 > tail->size() * kFull) append(*tail, tail->size() * 2);
  }

  void consider_shrinking(Table& held) noexcept {
    const std::size_t keys = size(held.chain);
    if (held.next.load(std::memory_order_relaxed) != nullptr || held.size() <= std::size_t{1} << min_bits_) return;
    if (keys >= held.size() / 2) return;
    std::size_t fitting = std::bit_ceil(keys / 2 + 1);
    if (fitting < held.size() / 4) fitting = held.size() / 4;  // few buckets merge into one
    if (fitting < std::size_t{1} << min_bits_) fitting = std::size_t{1} << min_bits_;
    append(held, fitting);
  }

  /// Begins the move from `tail` to a table of `buckets`. Out of memory: the table stays as it is, only fuller.
  void append(Table& tail, std::size_t buckets) noexcept {
    Table* fresh = nullptr;
    try {
      fresh = new Table(tail.chain, static_cast<unsigned>(std::countr_zero(buckets)));
    } catch (...) {
      return;
    }
    Table* expected = nullptr;
    // release: synchronises with the acquire loads of next
    if (tail.next.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel, std::memory_order_relaxed)) {
      traits_.growing();
    } else {
      delete fresh;
    }
  }

  /// A bucket of `table` that would move into the held one, if any.
  static Bucket* left_behind(Table& table, const Held& held) noexcept {
    for (std::uint64_t hash = held.first;;) {
      Bucket& bucket = table.bucket(hash);
      if (!(bucket.control.load(std::memory_order_acquire) & kMoved)) return &bucket;
      if (table.last_of(hash) >= held.last) return nullptr;
      hash = table.last_of(hash) + 1;
    }
  }

  /// Moves a bucket unless that means to wait for somebody.
  void try_move(Table& table, std::size_t index) {
    Bucket& bucket = table.buckets[index];
    if (!try_lock_bucket(bucket)) return;
    const std::uint64_t first = static_cast<std::uint64_t>(index) << table.shift;
    Table* target = table.next.load(std::memory_order_acquire);
    // Nobody else has business in the buckets of a larger table yet, unless they have moved on in turn.
    if (target->shift <= table.shift && none_moved(*target, first, table.last_of(first))) return move(table, bucket, first);
    while (target->bucket(first).control.load(std::memory_order_acquire) & kMoved) {
      target = target->next.load(std::memory_order_acquire);
    }
    // Where several buckets would have to be waited for, the next writer of one of the keys does it.
    if (target->shift < table.shift || !try_lock_bucket(target->bucket(first))) return unlock_bucket(bucket);
    move(table, bucket, first, &target->bucket(first));
  }

  static bool none_moved(const Table& table, std::uint64_t first, std::uint64_t last) noexcept {
    for (std::uint64_t hash = first;;) {
      if (table.bucket(hash).control.load(std::memory_order_acquire) & kMoved) return false;
      if (table.last_of(hash) >= last) return true;
      hash = table.last_of(hash) + 1;
    }
  }

  /// Moves a bucket to the next table and gives up its lock. REQUIRES: its lock held; `first` is its first hash; `held`, if
  /// given, is the one bucket that all of it moves to, with its lock, which is given up too.
  void move(Table& table, Bucket& home, std::uint64_t first, Bucket* held = nullptr) noexcept {
    Table& target = *table.next.load(std::memory_order_acquire);
    if (home.control.load(std::memory_order_relaxed) & kWaiters) {
      if (held != nullptr) {
        held->control.fetch_or(kWaiters, std::memory_order_relaxed);
      } else {
        mark_waiters(target, first, table.last_of(first));
      }
    }
    for_each_word(home, [](Word word) { Traits::prefetch(word); });
    for_each_word(home, [&target, held](Word word) {
      const std::uint64_t hash = Traits::hash(word);
      if (held != nullptr) return place(free_slot(held), hash, word);
      Table* to = &target;
      while (!lock_bucket(to->bucket(hash))) to = to->next.load(std::memory_order_acquire);
      Bucket& bucket = to->bucket(hash);
      place(free_slot(&bucket), hash, word);
      unlock_bucket(bucket);
    });
    if (held != nullptr) unlock_bucket(*held);
    Word linked = 0;
    if (home.control.load(std::memory_order_relaxed) & kLinked) linked = home.slots[kSlots - 1].load(std::memory_order_relaxed);
    unlock_moved(home);
    while (linked != 0) {
      auto* further = pointer_of<Bucket>(linked);
      linked = (further->control.load(std::memory_order_relaxed) & kLinked)
                   ? further->slots[kSlots - 1].load(std::memory_order_relaxed)
                   : 0;
      traits_.retire(
          further, [](void* bucket) { Traits::free_buckets(static_cast<Bucket*>(bucket), 1); }, sizeof(Bucket));
    }
    // acq_rel: who takes the last one has seen all the moves
    if (table.remaining.fetch_sub(1, std::memory_order_acq_rel) == 1) finish(*table.chain);
  }

  static void mark_waiters(Table& target, std::uint64_t first, std::uint64_t last) noexcept {
    for (std::uint64_t hash = first;;) {
      Bucket& bucket = target.bucket(hash);
      if (lock_bucket(bucket)) {
        bucket.control.fetch_or(kWaiters, std::memory_order_relaxed);
        unlock_bucket(bucket);
      } else {
        mark_waiters(*target.next.load(std::memory_order_acquire), hash,
                     target.last_of(hash) < last ? target.last_of(hash) : last);
      }
      if (target.last_of(hash) >= last) return;
      hash = target.last_of(hash) + 1;
    }
  }

  template <class Visit>
  static void for_each_word(Bucket& home, Visit&& visit) {
    for (Bucket* bucket = &home; bucket != nullptr;) {
      Bucket* further = nullptr;
      for (auto& slot : bucket->slots) {
        const Word word = slot.load(std::memory_order_relaxed);
        if (word == 0) continue;
        if (kind_of(word) == SlotKind::link) {
          further = pointer_of<Bucket>(word);
        } else {
          visit(word);
        }
      }
      bucket = further;
    }
  }

  template <class Dispose>
  static void dispose_chain(Bucket& home, Dispose& dispose) {
    for_each_word(home, dispose);
    Bucket* bucket = &home;
    while (bucket->control.load(std::memory_order_relaxed) & kLinked) {
      auto* further = pointer_of<Bucket>(bucket->slots[kSlots - 1].load(std::memory_order_relaxed));
      if (bucket != &home) Traits::free_buckets(bucket, 1);
      bucket = further;
    }
    if (bucket != &home) Traits::free_buckets(bucket, 1);
  }

  /// Takes tables off the head of the chain that have wholly moved.
  void finish(Chain& chain) noexcept {
    chain.mutex.lock();
    for (;;) {
      Table* table = chain.head.load(std::memory_order_relaxed);
      Table* next = table->next.load(std::memory_order_acquire);
      if (next == nullptr || table->remaining.load(std::memory_order_acquire) != 0) break;
      chain.head.store(next, std::memory_order_release);
      Table* expected = table;  // not so if the chain was replaced: root_ is another's then
      root_.compare_exchange_strong(expected, next, std::memory_order_acq_rel, std::memory_order_relaxed);
      traits_.retire(
          table, [](void* old) { delete static_cast<Table*>(old); }, table->size() * sizeof(Bucket));
    }
    chain.mutex.unlock();
  }

  alignas(64) Atomic<Table*> root_{nullptr};
  Traits& traits_;
  const unsigned min_bits_;
};

}  // namespace cubby::detail
