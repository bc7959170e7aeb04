// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/mutex.hpp"
#include "base/parking_lot.hpp"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CUBBY_FENCED_EPOCHS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define CUBBY_FENCED_EPOCHS 1
#endif
#endif

namespace cubby::detail {

/// True once the kernel promised membarrier(2) for this process; constant from then on. Set before the first thread record.
extern bool asymmetric_fences;

/// A fence on every thread of the process that is running at this moment (membarrier, or a plain fence in fenced builds).
void heavy_fence() noexcept;

/// What the lock-free code is written against, so that the very same code runs under the Relacy model checker (tests/models).
struct StdAtomics {
  template <class T>
  using Atomic = std::atomic<T>;
  using Mutex = BriefMutex;

  /// Orders a store before later loads, as far as a thread that calls heavy_fence() is concerned: nothing at run time where the
  /// kernel has membarrier(2), which puts the whole price on the side that reclaims.
  static void light_fence() noexcept {
#ifdef CUBBY_FENCED_EPOCHS
    std::atomic_thread_fence(std::memory_order_seq_cst);
#else
    if (asymmetric_fences) [[likely]] {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    } else {
      std::atomic_thread_fence(std::memory_order_seq_cst);
    }
#endif
  }
  static void heavy_fence() noexcept { detail::heavy_fence(); }

  static void pause() noexcept { pause_briefly(); }
  /// How often a lock that is held is tried again before its thread sleeps.
  static int spins() noexcept { return spins_before_sleep; }

  /// Sleeps on `address` if `validate()` holds under the lot's lock; true if it slept and was unparked.
  template <class Validate>
  static bool park(const void* address, Validate&& validate) {
    return detail::park(address, std::forward<Validate>(validate));
  }
  template <class Callback>
  static void unpark_one(const void* address, Callback&& callback) {
    detail::unpark_one(address, std::forward<Callback>(callback));
  }
};

}  // namespace cubby::detail
