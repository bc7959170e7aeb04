// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/// Epoch-based reclamation (Fraser, "Practical lock-freedom", 2004; asymmetric fences as in liburcu): memory that readers may
/// still be looking at is freed once every thread that was inside at the time has left.
///
/// A thread is inside between enter() and leave(). Both are plain stores to its own participant; what reads them is advance().
///
/// Invariants
///  1. The global epoch only grows, by one, under mutex_, and only when every participant that is inside entered at the current
///     epoch. So all that are inside entered at the current epoch or the one before.
///  2. A batch is stamped with the epoch current at its hand-over (under mutex_, so the stamp is exact), after everything in it
///  was
///     made unreachable. A thread that enters at a later epoch acquires that epoch's store and cannot reach the batch any more.
///  3. Hence, by 1 and 2, a batch stamped e has no reader once the epoch is e + 2.
///
/// What advance() may miss: a participant whose store of its epoch isn't visible yet. Then the heavy fence comes before that
/// participant's later loads, and these see everything unlinked before the fence.
///
/// Thread safety: a participant belongs to one thread; the domain may be used from all.

namespace cubby::detail {

/// Something to be freed later: `free(object)`.
struct Retired {
  void* object;
  void (*free)(void*);
};

/// Retired objects of one participant, and then of the domain.
struct RetiredBatch {
  std::uint64_t epoch = 0;
  std::size_t bytes = 0;
  std::vector<Retired> objects;
};

template <class Policy>
class EpochDomain {
 public:
  template <class T>
  using Atomic = typename Policy::template Atomic<T>;

  static constexpr std::size_t kBatchObjects = 64;
  static constexpr std::size_t kBatchBytes = 16 << 10;

  struct Participant {
    Atomic<std::uint64_t> epoch{0};  ///< 0: outside
    std::uint32_t depth = 0;         ///< nested enters; only the owner looks
    RetiredBatch batch;              ///< not handed over yet; only the owner looks
    Participant* next = nullptr;     ///< the domain's list; constant once linked
  };

  /// Adds a participant, for ever: records are recycled by their owner (see thread_record.hpp), never removed.
  void link(Participant& participant) {
    Participant* head = participants_.load(std::memory_order_relaxed);
    do {
      participant.next = head;
      // (1) release: advance() sees the participant's fields
    } while (!participants_.compare_exchange_weak(head, &participant, std::memory_order_release, std::memory_order_relaxed));
  }

  void enter(Participant& self) noexcept {
    if (self.depth++ != 0) return;
    // (2) acquire: synchronises with (5); all that was unlinked before this epoch began is out of reach
    self.epoch.store(epoch_.load(std::memory_order_acquire), std::memory_order_relaxed);
    Policy::light_fence();  // pairs with the heavy fence in advance()
  }

  void leave(Participant& self) noexcept {
    if (--self.depth != 0) return;
    self.epoch.store(0, std::memory_order_release);  // (3) our reads come before what (4) allows to be freed
  }

  /// Frees `object` by `free` once nobody can be looking at it. It must be out of reach for those who enter from now on. Only
  /// takes a note, so it may be called under locks; tidy() does the work. Out of memory for the note ends the process.
  void retire(Participant& self, void* object, void (*free)(void*), std::size_t bytes) noexcept {
    self.batch.objects.push_back({object, free});
    self.batch.bytes += bytes;
  }

  /// To be called outside, under no lock, now and then after retire(): frees what is free by now once enough has come together.
  /// True if it did: something may be left that waits for readers.
  bool tidy(Participant& self) {
    if (self.depth != 0 || (self.batch.objects.size() < kBatchObjects && self.batch.bytes < kBatchBytes)) [[likely]]
      return false;
    hand_over(self, false);
    return true;
  }

  /// Gives the participant's batch to the domain and frees what is free by now. `wait_for_lock` false: does nothing while
  /// another thread is at it, unless the batch has grown far beyond its size. REQUIRES: outside, under no lock.
  void hand_over(Participant& self, bool wait_for_lock) {
    std::vector<RetiredBatch> freeable;
    {
      if (wait_for_lock || self.batch.objects.size() >= 4 * kBatchObjects || self.batch.bytes >= 16 * kBatchBytes) {
        mutex_.lock();
      } else if (!mutex_.try_lock()) {
        return;
      }
      if (!self.batch.objects.empty()) {
        self.batch.epoch = epoch_.load(std::memory_order_relaxed);  // exact: only changed under mutex_
        hand_overs_.store(hand_overs_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        pending_objects_ += self.batch.objects.size();
        pending_bytes_ += self.batch.bytes;
        limbo_.push_back(std::move(self.batch));
        self.batch = {};
        self.batch.objects.reserve(kBatchObjects);
      }
      if (wait_for_lock || pending_objects_ >= kPendingObjects || pending_bytes_ >= kPendingBytes) {
        // Two steps free everything when nobody is inside.
        if (advance()) advance();
      }
      // A writer frees about as much as it has retired, which its allocator takes and gives from one cache; a visitor of its
      // own all.
      collect(freeable, wait_for_lock ? kFreedAtOnce : 2 * kBatchObjects);
      mutex_.unlock();
    }
    for (RetiredBatch& batch : freeable) {
      for (const Retired& retired : batch.objects) retired.free(retired.object);
    }
  }

  /// Grows with each hand-over.
  std::uint64_t hand_overs() const noexcept { return hand_overs_.load(std::memory_order_relaxed); }

  /// True if handed-over objects wait for readers to leave.
  bool pending() {
    mutex_.lock();
    const bool waiting = first_ != limbo_.size();
    mutex_.unlock();
    return waiting;
  }

  Participant* participants() const { return participants_.load(std::memory_order_acquire); }  // synchronises with (1)

 private:
  static constexpr std::size_t kPendingObjects = 1024;
  static constexpr std::size_t kPendingBytes = 512 << 10;
  static constexpr std::size_t kFreedAtOnce = 4096;

  /// REQUIRES: mutex_ held.
  bool advance() {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed);
    Policy::heavy_fence();  // pairs with the light fence in enter()
    for (Participant* each = participants_.load(std::memory_order_acquire); each != nullptr; each = each->next) {
      const std::uint64_t entered = each->epoch.load(std::memory_order_acquire);  // (4) synchronises with (3)
      if (entered != 0 && entered != now) return false;
    }
    epoch_.store(now + 1, std::memory_order_release);  // (5) with (2)
    return true;
  }

  /// REQUIRES: mutex_ held. Moves batches that nobody reads any more to `freeable`.
  void collect(std::vector<RetiredBatch>& freeable, std::size_t most) {
    const std::uint64_t now = epoch_.load(std::memory_order_relaxed);
    std::size_t objects = 0;
    while (first_ != limbo_.size() && limbo_[first_].epoch + 2 <= now && objects < most) {
      objects += limbo_[first_].objects.size();
      pending_bytes_ -= limbo_[first_].bytes;
      freeable.push_back(std::move(limbo_[first_++]));
    }
    pending_objects_ -= objects;
    if (first_ == limbo_.size() || first_ >= 1024) {
      limbo_.erase(limbo_.begin(), limbo_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
  }

  alignas(64) Atomic<std::uint64_t> epoch_{1};
  alignas(64) Atomic<Participant*> participants_{nullptr};
  Atomic<std::uint64_t> hand_overs_{0};  ///< written under mutex_
  typename Policy::Mutex mutex_;
  // All below under mutex_. Batches in order of their epochs, from first_ on.
  std::vector<RetiredBatch> limbo_;
  std::size_t first_ = 0;
  std::size_t pending_objects_ = 0;
  std::size_t pending_bytes_ = 0;
};

}  // namespace cubby::detail
