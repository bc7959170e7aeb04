// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

/// Who ends a waiter. Exactly one of {writer, close, the waiting side} moves it from pending.
///
///     pending --claim()--> claimed --finish()--> done            (a writer, close, or the call itself)
///     pending --give_up()--> ended --revive()--> pending         (the waiting side: timeout, cancellation)
///
/// One that waits with a callback begins as preparing, as it is added to several lines; who meets it there disturbs it, and it
/// begins again. Its callback runs between begin() and finish().
///
///     preparing --arm()--> pending        preparing --claim(), notify()--> disturbed: arm() is false
///     claimed --begin()--> running --finish()--> done
///
/// An attempt is not completed by the writer, but told that it may be worth it:
///
///     pending --notify()--> notified --begin()--> running --finish()--> done        it has had what it waited for
///                           notified --give_up()--> ended        running --rearm()--> pending      it has not
///
/// What comes while it is notified or running is noted (again, or why to stop) and answered by rearm(). So nothing that
/// notify() told is lost, and the attempt never runs twice at once.
///
/// What a claimer writes before finish() is seen by whoever has found done() to be true. finish() is its last touch, unless it
/// owns a reference.
///
/// Thread safety: claim(), notify(), interrupt(), give_up() and done() may be called by any thread; arm() by who made it;
/// begin(), rearm() and finish() by who claimed or notified; revive() by who gave up, while nobody else can reach the waiter.

namespace cubby::detail {

template <class Policy>
class WaiterState {
 public:
  enum class Beginning : std::uint8_t { pending, preparing };
  /// What an attempt was told while it ran.
  enum class Told : std::uint8_t {
    nothing,  ///< it waits again
    again,    ///< something was written: it has to be tried again
    to_stop,  ///< stopped_by() says why
  };
  /// Whether a writer's note has reached an attempt.
  enum class Notice : std::uint8_t {
    first,   ///< it has to be begun by who told it
    known,   ///< somebody is at it
    nobody,  ///< it waits no more
  };
  enum Interruption : std::uint32_t { kAgain = 0x100, kTimedOut = 0x200, kClosed = 0x400, kCancelled = 0x800 };

  explicit WaiterState(Beginning beginning = Beginning::pending) noexcept
      : word_(beginning == Beginning::preparing ? kPreparing : kPending) {}

  bool claim() noexcept { return end_by(kClaimed, 0); }
  /// True if nobody will complete it any more. A running attempt is not tried again.
  /// `told`: it was notified; who is to begin it will see.
  bool give_up(bool* told = nullptr) noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t state = seen & kStateMask;
      const bool ends = state == kPending || state == kNotified;
      if (!ends && state != kRunning) return false;
      // acq_rel, as all that moves it from one owner to the next
      if (word_.compare_exchange_strong(seen, ends ? kEnded : seen | kCancelled, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
        if (told != nullptr) *told = state == kNotified;
        return ends;
      }
    }
  }
  /// For time and close: true if the caller has to complete it. An attempt that somebody is at notes why it must not go on.
  bool interrupt(Interruption why) noexcept { return end_by(kClaimed, why); }
  void finish() noexcept { word_.store(kDone, std::memory_order_release); }  // synchronises with done()
  bool done() const noexcept { return word_.load(std::memory_order_acquire) == kDone; }
  void revive() noexcept { word_.store(kPending, std::memory_order_relaxed); }

  /// False if it was disturbed; then nobody knows it but by lines that it has to be taken out of. `notified`: it is begun at
  /// once.
  bool arm(bool notified) noexcept {
    std::uint32_t expected = kPreparing;
    return word_.compare_exchange_strong(expected, notified ? kNotified : kPending, std::memory_order_acq_rel,
                                         std::memory_order_acquire);
  }
  /// Nobody else can reach it: it is complete, or (`again`) begins anew.
  void settle(bool again) noexcept { word_.store(again ? kPreparing : kClaimed, std::memory_order_relaxed); }
  /// Waits, or is about to.
  bool waits() const noexcept {
    const std::uint32_t state = word_.load(std::memory_order_acquire) & kStateMask;
    return state == kPending || state == kNotified || state == kRunning;
  }

  /// `by_itself`: by a write that the attempt makes.
  Notice notify(bool by_itself) noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      std::uint32_t next = 0;
      Notice notice = Notice::known;
      switch (seen & kStateMask) {
        case kPending:
          next = kNotified;
          notice = Notice::first;
          break;
        case kNotified:
        case kRunning:
          if (by_itself) return Notice::known;
          next = seen | kAgain;
          break;
        case kPreparing:
          next = kDisturbed;
          notice = Notice::nobody;
          break;
        default:
          return Notice::nobody;
      }
      if (word_.compare_exchange_strong(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed)) return notice;
    }
  }
  /// False if it was given up.
  bool begin() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      const std::uint32_t state = seen & kStateMask;
      if (state != kClaimed && state != kNotified) return false;
      // What was written before it looks needs no second look.
      const std::uint32_t next = kRunning | (seen & ~kStateMask & ~std::uint32_t{kAgain});
      if (word_.compare_exchange_strong(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed)) return true;
    }
  }
  Told rearm() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      if (seen & (kTimedOut | kClosed | kCancelled)) return Told::to_stop;
      const bool again = (seen & kAgain) != 0;
      if (word_.compare_exchange_strong(seen, again ? kRunning : kPending, std::memory_order_acq_rel,
                                        std::memory_order_relaxed))
        return again ? Told::again : Told::nothing;
    }
  }
  /// REQUIRES: rearm() has said so.
  Interruption stopped_by() const noexcept {
    const std::uint32_t seen = word_.load(std::memory_order_relaxed);
    return seen & kCancelled ? kCancelled : seen & kClosed ? kClosed : kTimedOut;
  }

 private:
  enum State : std::uint32_t { kPending, kClaimed, kDone, kEnded, kPreparing, kDisturbed, kNotified, kRunning };
  static constexpr std::uint32_t kStateMask = 0xff;

  bool end_by(State state, std::uint32_t note) noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      std::uint32_t next = state;
      const bool ends = (seen & kStateMask) == kPending;
      if ((seen & kStateMask) == kPreparing) {
        next = kDisturbed;
      } else if (!ends) {
        const bool is_busy = (seen & kStateMask) == kNotified || (seen & kStateMask) == kRunning;
        if (note == 0 || !is_busy) return false;
        next = seen | note;
      }
      if (word_.compare_exchange_strong(seen, next, std::memory_order_acq_rel, std::memory_order_relaxed)) return ends;
    }
  }

  typename Policy::template Atomic<std::uint32_t> word_;
};

}  // namespace cubby::detail
