// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

/// Who ends a waiter. Exactly one of {writer, close, the waiting side} moves it from pending.
///
///     pending --claim()--> claimed --finish()--> done            (a writer, or close)
///     pending --give_up()--> ended --revive()--> pending         (the waiting side: timeout, cancellation)
///
/// What a claimer writes before finish() is seen by whoever has found done() to be true; finish() is its last touch.
///
/// Thread safety: claim(), give_up() and done() may be called by any thread; finish() by who claimed; revive() by who gave up,
/// while nobody else can reach the waiter.

namespace cubby::detail {

template <class Policy>
class WaiterState {
 public:
  bool claim() noexcept { return end_by(State::claimed); }
  /// True if nobody will complete it any more.
  bool give_up() noexcept { return end_by(State::ended); }
  void finish() noexcept { state_.store(State::done, std::memory_order_release); }  // synchronises with done()
  bool done() const noexcept { return state_.load(std::memory_order_acquire) == State::done; }
  void revive() noexcept { state_.store(State::pending, std::memory_order_relaxed); }

 private:
  enum class State : std::uint8_t { pending, claimed, done, ended };

  bool end_by(State state) noexcept {
    State expected = State::pending;
    return state_.compare_exchange_strong(expected, state, std::memory_order_acq_rel, std::memory_order_acquire);
  }

  typename Policy::template Atomic<State> state_{State::pending};
};

}  // namespace cubby::detail
