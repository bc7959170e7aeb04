// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What wakes a thread that works in turns and sleeps between them.
///
/// Whoever leaves it something to do raises the flag, and unparks the thread unless the flag was up: then somebody has done so
/// since the last turn began. The thread lowers the flag before it looks at anything, the order to stop among it: what was left
/// before is seen in this turn, and who comes later unparks it again. Looking first and lowering then would lose whoever comes
/// in between.
///
/// Thread safety: raise() and stop() by any threads; the rest by the thread itself.

#include <atomic>

namespace cubby::detail {

template <class Policy>
class WakeFlag {
 public:
  /// True if the thread has to be unparked.
  [[nodiscard]] bool raise() noexcept {
    // (1) acq_rel: what the caller has left for the thread is seen after (2)
    return !raised_.exchange(true, std::memory_order_acq_rel);
  }
  /// The same, to end the thread's turns.
  [[nodiscard]] bool stop() noexcept {
    stopping_.store(true, std::memory_order_relaxed);  // (1) releases it
    return raise();
  }

  /// The thread looks at what there is to do from here on; false if it shall stop.
  [[nodiscard]] bool begin_turn() noexcept {
    // (2) acq_rel: synchronises with each (1) that found the flag up, and with the one that raised it
    raised_.exchange(false, std::memory_order_acq_rel);
    return !stopping_.load(std::memory_order_relaxed);
  }
  /// Whether there is something new since the turn began. Who sleeps all the same is woken by the unpark that goes with it.
  bool is_raised() const noexcept { return raised_.load(std::memory_order_relaxed); }

 private:
  typename Policy::template Atomic<bool> raised_{false};
  typename Policy::template Atomic<bool> stopping_{false};
};

}  // namespace cubby::detail
