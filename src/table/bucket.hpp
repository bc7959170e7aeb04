// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

/// One cache line of the hash table, after RAMCloud's HashTable.h: tags beside the pointers, so that a wrong candidate is
/// rejected without touching it.
///
///   byte 0      1 ... 7          8 ... 63
///   +-------+----------------+-----------------------------------------+
///   | flags | tags of slots  | seven slots: 16 bits of hash, 45 bits   |
///   |       | 0 to 6         | of pointer, 3 bits that tell what it is |
///   +-------+----------------+-----------------------------------------+
///
/// The first eight bytes are the control word. A tag is the hash's low byte, or 1 where that is 0; 0 marks a free slot. A
/// bucket that is full turns slot 6 into a link to a further bucket.
///
/// Readers take the control word once, and then each slot whose tag fits. Invariants that make this enough:
///  1. Tags and slots change only under the bucket's lock (flag kLocked of the home bucket, for the whole chain).
///  2. A slot is filled before its tag is set and emptied before its tag is cleared, each by release stores: an absent tag in a
///     control word means that the key was absent when that word was read.
///  3. A key that stays does not move from slot to slot, with one exception: when slot 6 becomes a link, its entry is in the
///  further
///     bucket first; a reader that meets a link where it expected an entry follows it.
///  4. Once kMoved is set the bucket never changes again. What it held is in the next table before the flag is set. A reader
///  that
///     took the control word before may go on with the old slots: they show the moment of the move, which lies within its call.

namespace cubby::detail {

using Word = std::uint64_t;

enum BucketFlags : std::uint64_t {
  kLocked = 1,    ///< a writer holds the chain
  kParked = 2,    ///< writers sleep in the parking lot until it is released
  kWoken = 4,     ///< one of them was woken and has not run yet: no need to wake another
  kMoved = 8,     ///< all is in the next table
  kLinked = 16,   ///< slot 6 is a link
  kWaiters = 32,  ///< somebody may be waiting for a key of this bucket
};

/// What a slot's pointer is, in its low bits.
enum class SlotKind : std::uint64_t { entry = 0, link = 1, marker = 2 };

inline constexpr int kSlots = 7;
// LeakSanitizer follows plain pointers only: there the slots do without the bits of the hash, which only save a look at the
// entry.
#if defined(__SANITIZE_ADDRESS__)
#define CUBBY_PLAIN_SLOTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CUBBY_PLAIN_SLOTS 1
#endif
#endif
#ifdef CUBBY_PLAIN_SLOTS
inline constexpr Word kFingerprintMask = 0;
#else
inline constexpr Word kFingerprintMask = 0xffff'0000'0000'0000;
#endif
inline constexpr Word kPointerMask = 0x0000'ffff'ffff'fff8;

inline std::uint64_t tag_of(std::uint64_t hash) noexcept {
  const std::uint64_t tag = hash & 0xff;
  return tag != 0 ? tag : 1;
}
/// Bits 8 to 23 of the hash, where a slot keeps them.
inline Word fingerprint_of(std::uint64_t hash) noexcept { return (hash << 40) & kFingerprintMask; }
inline Word make_word(std::uint64_t hash, const void* pointer, SlotKind kind) noexcept {
  return fingerprint_of(hash) | reinterpret_cast<std::uintptr_t>(pointer) | static_cast<Word>(kind);
}
inline SlotKind kind_of(Word word) noexcept { return static_cast<SlotKind>(word & 7); }
template <class T>
T* pointer_of(Word word) noexcept {
  return reinterpret_cast<T*>(word & kPointerMask);
}

/// A bit at 8 * (slot + 1) + 7 for every slot whose tag is `tag`. Exact: no false positives from borrows.
inline std::uint64_t match_tags(std::uint64_t control, std::uint64_t tag) noexcept {
  constexpr std::uint64_t kLow = 0x7f7f'7f7f'7f7f'7f7f;
  const std::uint64_t x = control ^ (tag * 0x0101'0101'0101'0101);
  return ~(((x & kLow) + kLow) | x | kLow) & ~std::uint64_t{0xff};
}
inline int slot_of_match(std::uint64_t match) noexcept { return (std::countr_zero(match) >> 3) - 1; }
inline std::uint64_t tag_at(std::uint64_t control, int slot) noexcept { return (control >> (8 * (slot + 1))) & 0xff; }
inline std::uint64_t place_tag(std::uint64_t tag, int slot) noexcept { return tag << (8 * (slot + 1)); }

template <class Policy>
struct alignas(64) Bucket {
  typename Policy::template Atomic<std::uint64_t> control{0};
  typename Policy::template Atomic<Word> slots[kSlots]{};
};

template <class Policy>
[[gnu::noinline]] bool lock_busy_bucket(Bucket<Policy>& bucket) {
  auto& control = bucket.control;
  int spins = Policy::spins();
  bool woken = false;
  for (;;) {
    std::uint64_t seen = control.load(std::memory_order_relaxed);
    if (seen & kMoved) {
      // acquire: synchronises with unlock_moved(), so the next table's content is there
      control.load(std::memory_order_acquire);
      return false;
    }
    if (!(seen & kLocked)) {
      const std::uint64_t taken = (seen | kLocked) & ~(woken ? std::uint64_t{kWoken} : 0);
      // acquire: synchronises with unlock_bucket() of the holder before
      if (control.compare_exchange_weak(seen, taken, std::memory_order_acquire, std::memory_order_relaxed)) return true;
      continue;
    }
    if (spins > 0) {
      --spins;
      Policy::pause();
      continue;
    }
    const std::uint64_t parked = (seen | kParked) & ~(woken ? std::uint64_t{kWoken} : 0);
    if (parked != seen && !control.compare_exchange_weak(seen, parked, std::memory_order_relaxed, std::memory_order_relaxed))
      continue;
    woken = Policy::park(&control, [&control] {
      const std::uint64_t now = control.load(std::memory_order_relaxed);
      return (now & kLocked) && (now & kParked);
    });
  }
}

template <class Policy>
bool try_lock_bucket(Bucket<Policy>& bucket) {
  std::uint64_t seen = bucket.control.load(std::memory_order_relaxed);
  // acquire: as in lock_busy_bucket()
  return !(seen & (kMoved | kLocked)) &&
         bucket.control.compare_exchange_strong(seen, seen | kLocked, std::memory_order_acquire, std::memory_order_relaxed);
}

/// Takes the bucket's lock; false, without it, if the bucket has moved. Spins a little, then sleeps.
template <class Policy>
bool lock_bucket(Bucket<Policy>& bucket) {
  return try_lock_bucket(bucket) || lock_busy_bucket(bucket);
}

template <class Policy>
[[gnu::noinline]] void unlock_wanted_bucket(Bucket<Policy>& bucket) noexcept {
  auto& control = bucket.control;
  Policy::unpark_one(&control, [&control](bool found, bool more) {
    std::uint64_t now = control.load(std::memory_order_relaxed);
    std::uint64_t next;
    do {
      next = now & ~std::uint64_t{kLocked};
      if (found) next |= kWoken;
      if (!more) next &= ~std::uint64_t{kParked};
    } while (!control.compare_exchange_weak(now, next, std::memory_order_release, std::memory_order_relaxed));
  });
}

template <class Policy>
void unlock_bucket(Bucket<Policy>& bucket) noexcept {
  auto& control = bucket.control;
  std::uint64_t seen = control.load(std::memory_order_relaxed);
  while (!(seen & kParked) || (seen & kWoken)) {
    // release: synchronises with the acquire of who locks it next, and with readers of the control word
    if (control.compare_exchange_weak(seen, seen & ~std::uint64_t{kLocked}, std::memory_order_release,
                                      std::memory_order_relaxed))
      return;
  }
  unlock_wanted_bucket(bucket);
}

/// Gives up the lock of a bucket whose content is in the next table, for ever.
template <class Policy>
void unlock_moved(Bucket<Policy>& bucket) noexcept {
  // release: synchronises with readers and with lock_bucket(), which go on to the next table
  const std::uint64_t before = bucket.control.fetch_or(kMoved, std::memory_order_acq_rel);
  bucket.control.fetch_and(~std::uint64_t{kLocked}, std::memory_order_release);
  bool more = (before & kParked) != 0;
  while (more) {
    Policy::unpark_one(&bucket.control, [&more](bool, bool remain) { more = remain; });
  }
}

}  // namespace cubby::detail
