// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

/// Reclamation: memory that readers may still be looking at is freed once every thread that was inside at the time has left.
/// Epochs (Fraser, "Practical lock-freedom", 2004) with asymmetric fences (as in liburcu), and with places: who enters may say
/// that it will look at things of one place only, and then keeps nothing else from being freed. A thread that is put to sleep
/// inside so holds up a few objects. That matters where threads outnumber cores: at any time nearly all sleep, most of them
/// inside.
///
/// A thread is inside between enter() and leave(). Both are plain stores to its own participant; what reads them is collect().
///
/// Invariants
///  1. The global epoch only grows, under mutex_, in each round of collecting. What a round looks at was handed over, and so
///  made
///     unreachable, before the round's step of the epoch. Hence a thread that entered at a later epoch, whose load it acquired,
///     can't reach any of it.
///  2. A participant that is inside says at which epoch it entered, no later than it did, and its place. A thread that is
///  inside
///     and enters again is everywhere from then on, until it leaves altogether.
///  3. An object is freed when no participant is inside that entered at the round's epoch or before and may reach it: from
///     everywhere or from the object's place; for an object of kSomewhere, from anywhere but kNowhere; for one of kEverywhere,
///     from anywhere.
///
/// What collect() may miss: a participant whose store of epoch or place isn't visible yet. Then the heavy fence comes before
/// that participant's later loads, and these see everything unlinked before the fence.
///
/// Thread safety: a participant belongs to one thread; the domain may be used from all.

namespace cubby::detail {

/// A part of all objects. kEverywhere: all of them; as the place of an object: everybody inside may reach it.
using Place = std::uint32_t;
inline constexpr Place kEverywhere = 0;
/// Of an object: reached from any place, but not from nowhere.
inline constexpr Place kSomewhere = ~Place{0};
/// Of who is inside: reaches only objects whose place is kEverywhere.
inline constexpr Place kNowhere = kSomewhere - 1;

/// Something to be freed later: `free(object)`.
struct Retired {
  void* object;
  void (*free)(void*);
  Place place;
  std::uint32_t bytes;
};

template <class Policy>
class EpochDomain {
 public:
  template <class T>
  using Atomic = typename Policy::template Atomic<T>;

  static constexpr std::size_t kBatchObjects = 64;  ///< fewer where there are many threads
  static constexpr std::size_t kBatchBytes = 16 << 10;

  struct Participant {
    Atomic<std::uint64_t> epoch{0};  ///< 0: outside
    Atomic<Place> place{kEverywhere};
    std::uint32_t depth = 0;       ///< nested enters; only the owner looks
    Participant* next = nullptr;   ///< the domain's list; constant once linked
    std::vector<Retired> retired;  ///< not handed over yet; only the owner looks
    std::size_t retired_bytes = 0;
  };

  /// Adds a participant, for ever: records are recycled by their owner (see thread_record.hpp), never removed. It is in use.
  void link(Participant& participant) {
    Participant* head = participants_.load(std::memory_order_relaxed);
    do {
      participant.next = head;
      // (1) release: collect() sees the participant's fields
    } while (!participants_.compare_exchange_weak(head, &participant, std::memory_order_release, std::memory_order_relaxed));
    linked_.fetch_add(1, std::memory_order_relaxed);  // a hint
    in_use(1);
  }
  /// Of a participant: it gets an owner again (1), or has lost it (-1).
  void in_use(std::ptrdiff_t change) noexcept {
    const std::size_t threads = in_use_.fetch_add(static_cast<std::size_t>(change), std::memory_order_relaxed);
    const std::size_t now = threads + static_cast<std::size_t>(change);
    // What threads that sleep have not handed over can't be used again by others. Relaxed: it only says how often to look.
    batch_.store(std::clamp<std::size_t>(kInBatches / std::max<std::size_t>(now, 1), kSmallestBatch, kBatchObjects),
                 std::memory_order_relaxed);
  }

  void enter(Participant& self, Place place = kEverywhere) noexcept {
    if (self.depth++ != 0) [[unlikely]] {
      // (2) as below
      self.place.store(kEverywhere, std::memory_order_release);
      Policy::light_fence();  // pairs with the heavy fence in collect()
      return;
    }
    // (3) release: who sees this place, sees that we have left the one before
    self.place.store(place, std::memory_order_release);
    // (4) acquire: synchronises with (8); all that was unlinked before this epoch began is out of reach
    const std::uint64_t now = epoch_.load(std::memory_order_acquire);
    self.epoch.store(now, std::memory_order_release);  // (5) who sees this, sees the place
    Policy::light_fence();                             // pairs with the heavy fence in collect()
  }

  void leave(Participant& self) noexcept {
    if (--self.depth != 0) return;
    self.epoch.store(0, std::memory_order_release);  // (6) our reads come before what (7) allows to be freed
  }

  /// Frees `object` by `free` once nobody can be looking at it. It must be out of reach for those who enter from now on. If a
  /// place is given, only who is there or everywhere may have reached it (kSomewhere: who isn't nowhere). Only takes a note, so
  /// it may be called under locks; tidy() does the work. Out of memory for the note ends the process.
  void retire(Participant& self, void* object, void (*free)(void*), std::size_t bytes, Place place = kEverywhere) noexcept {
    const std::size_t counted = std::min<std::size_t>(bytes, ~std::uint32_t{0});
    self.retired.push_back({object, free, place, static_cast<std::uint32_t>(counted)});
    self.retired_bytes += counted;
  }

  /// To be called outside, under no lock, now and then after retire(): frees what is free by now once enough has come together.
  /// True if it did: something may be left that waits for readers.
  bool tidy(Participant& self) {
    const std::size_t enough = batch_.load(std::memory_order_relaxed);
    if (self.depth != 0 || (self.retired.size() < enough && self.retired_bytes < kBatchBytes)) [[likely]]
      return false;
    hand_over(self, false);
    return true;
  }

  /// Gives to the domain what the participant has retired, and frees what is free by now: as much as usually comes in one go,
  /// or with `all` everything. Without `all` it does nothing while another thread is at it, unless far too much has come
  /// together. REQUIRES: outside, under no lock.
  void hand_over(Participant& self, bool all) {
    if (all || self.retired.size() >= 4 * kBatchObjects || self.retired_bytes >= 16 * kBatchBytes) {
      mutex_.lock();
    } else if (!mutex_.try_lock()) {
      return;
    }
    const std::size_t own = self.retired.size();
    if (own != 0) {
      hand_overs_.store(hand_overs_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      waiting_.insert(waiting_.end(), self.retired.begin(), self.retired.end());
      waiting_bytes_ += self.retired_bytes;
      self.retired.clear();
      self.retired_bytes = 0;
    }
    const std::size_t threads = linked_.load(std::memory_order_relaxed);
    if (all || waiting_.size() >= kWaitingObjects + 4 * threads || waiting_bytes_ >= kWaitingBytes + kThreadBytes * threads) {
      collect(all);
    }
    // A writer frees about as much as it has retired, which its allocator takes and gives from one cache; what became free
    // last first, as it is in the processor's. A transaction of many keys retires more than a batch.
    std::size_t to_free = all ? ~std::size_t{0} : 2 * own;
    Retired freed[2 * kBatchObjects];
    do {
      const std::size_t count = std::min({free_.size(), 2 * kBatchObjects, to_free});
      std::copy(free_.end() - static_cast<std::ptrdiff_t>(count), free_.end(), freed);
      free_.resize(free_.size() - count);
      mutex_.unlock();
      // What was retired a while ago has left the processor's cache.
      constexpr std::size_t kAhead = 8;
      for (std::size_t index = 0; index < std::min(count, kAhead); ++index) __builtin_prefetch(freed[index].object, 1);
      for (std::size_t index = 0; index < count; ++index) {
        if (index + kAhead < count) __builtin_prefetch(freed[index + kAhead].object, 1);
        freed[index].free(freed[index].object);
      }
      to_free -= count;
      if (to_free == 0 || count == 0) return;
      mutex_.lock();
    } while (true);
  }

  /// Grows with each hand-over.
  std::uint64_t hand_overs() const noexcept { return hand_overs_.load(std::memory_order_relaxed); }

  /// True if handed-over objects wait for readers to leave.
  bool pending() {
    mutex_.lock();
    const bool waiting = !waiting_.empty() || !held_up_.empty() || !free_.empty() || collecting_ != 0;
    mutex_.unlock();
    return waiting;
  }

  Participant* participants() const { return participants_.load(std::memory_order_acquire); }  // synchronises with (1)

 private:
  static constexpr std::size_t kWaitingObjects = 1024;
  static constexpr std::size_t kWaitingBytes = 512 << 10;
  static constexpr std::size_t kThreadBytes = 1 << 10;
  static constexpr std::size_t kInBatches = 4096, kSmallestBatch = 8;  // objects: of all threads, and of one

  /// Who was inside when a round looked: for each place the earliest epoch.
  class Inside {
   public:
    void add(Place place, std::uint64_t epoch) {
      earliest_ = std::min(earliest_, epoch);
      if (place == kNowhere) return;
      earliest_somewhere_ = std::min(earliest_somewhere_, epoch);
      if (place == kEverywhere) {
        earliest_everywhere_ = std::min(earliest_everywhere_, epoch);
      } else {
        places_.push_back({place, epoch});
        filter_[place / 64 % kWords] |= std::uint64_t{1} << place % 64;
      }
    }
    void finish() { std::sort(places_.begin(), places_.end()); }
    /// Whether nobody may be looking at anything that was handed over by the end of this epoch.
    bool nobody(std::uint64_t epoch) const { return earliest_ > epoch; }
    /// Whether somebody may be looking at what was handed over by the end of this epoch.
    bool holds_up(Place place, std::uint64_t epoch) const {
      if (place == kEverywhere) return earliest_ <= epoch;
      if (earliest_somewhere_ > epoch) return false;
      if (earliest_everywhere_ <= epoch || place == kSomewhere) return true;
      if ((filter_[place / 64 % kWords] >> place % 64 & 1) == 0) return false;
      const auto first = std::lower_bound(places_.begin(), places_.end(), std::pair(place, std::uint64_t{0}));
      return first != places_.end() && first->first == place && first->second <= epoch;
    }

   private:
    static constexpr std::size_t kWords = 256;
    std::uint64_t earliest_ = ~std::uint64_t{0}, earliest_somewhere_ = earliest_, earliest_everywhere_ = earliest_;
    std::uint64_t filter_[kWords]{};
    std::vector<std::pair<Place, std::uint64_t>> places_;
  };

  struct HeldUp {
    Retired retired;
    std::uint64_t epoch;
  };

  /// A round: finds out what is free of what waits, and, now and then or with `all`, of what was held up in earlier rounds.
  /// REQUIRES: mutex_ held; it is released meanwhile, as a thread may be put to sleep here. Several threads may be at it.
  void collect(bool all) {
    std::vector<Retired> waiting;
    std::vector<HeldUp> held_up;
    waiting.swap(waiting_);
    waiting_bytes_ = 0;
    since_look_ += waiting.size();
    // Looked at when as much has come since: then it costs no more than what comes.
    if (all || since_look_ >= held_up_.size()) {
      held_up.swap(held_up_);
      since_look_ = 0;
    }
    ++collecting_;
    const std::uint64_t now = advance();
    mutex_.unlock();

    Policy::heavy_fence();  // pairs with the light fences in enter()
    Inside inside;
    look(inside);
    std::vector<HeldUp> remaining;
    if (!inside.nobody(now)) {
      std::size_t free = 0;
      for (const Retired& each : waiting) {
        if (inside.holds_up(each.place, now)) {
          remaining.push_back({each, now});
        } else {
          waiting[free++] = each;
        }
      }
      waiting.resize(free);
    }
    for (const HeldUp& each : held_up) {
      if (inside.holds_up(each.retired.place, each.epoch)) {
        remaining.push_back(each);
      } else {
        waiting.push_back(each.retired);
      }
    }

    mutex_.lock();
    --collecting_;
    held_up_.insert(held_up_.end(), remaining.begin(), remaining.end());
    if (free_.empty()) {
      free_.swap(waiting);
    } else {
      free_.insert(free_.end(), waiting.begin(), waiting.end());
    }
  }

  /// Begins a new epoch; the one before. REQUIRES: mutex_ held.
  std::uint64_t advance() {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed);
    epoch_.store(now + 1, std::memory_order_release);  // (8) with (4)
    return now;
  }

  void look(Inside& inside) {
    for (Participant* each = participants_.load(std::memory_order_acquire); each != nullptr; each = each->next) {
      const std::uint64_t entered = each->epoch.load(std::memory_order_acquire);  // (7) synchronises with (5) and (6)
      if (entered == 0) continue;
      // Acquire: it may have left and entered again since; then this synchronises with (3), after what it had been looking at.
      inside.add(each->place.load(std::memory_order_acquire), entered);
    }
    inside.finish();
  }

  alignas(64) Atomic<std::uint64_t> epoch_{1};
  Atomic<std::size_t> batch_{kBatchObjects};  ///< objects after which a participant hands over
  alignas(64) Atomic<Participant*> participants_{nullptr};
  Atomic<std::size_t> linked_{0};
  Atomic<std::size_t> in_use_{0};
  Atomic<std::uint64_t> hand_overs_{0};  ///< written under mutex_
  typename Policy::Mutex mutex_;
  // All below under mutex_.
  std::vector<Retired> waiting_;  ///< handed over since the last round
  std::size_t waiting_bytes_ = 0;
  std::vector<HeldUp> held_up_;  ///< somebody was looking at it when it was looked at last
  std::size_t since_look_ = 0;   ///< objects handed over since then
  std::vector<Retired> free_;    ///< to be freed
  std::size_t collecting_ = 0;   ///< rounds that are going on
};

}  // namespace cubby::detail
