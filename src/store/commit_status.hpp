// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "base/atomics.hpp"

/// The one word that all markers of a write of several keys look at (see marker.hpp).
///
/// Thread safety: commit() once, by the writer; the rest by any thread.

namespace cubby::detail {

struct CommitAtomics : StdAtomics {
  static void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
};

template <class Policy>
class BasicCommitStatus {
 public:
  template <class T>
  using Atomic = typename Policy::template Atomic<T>;

  bool committed() const noexcept {
    return (word_.load(std::memory_order_acquire) & kCommitted) != 0;
  }  // synchronises with commit()
  /// REQUIRES: committed().
  std::uint32_t version() const noexcept { return static_cast<std::uint32_t>(word_.load(std::memory_order_relaxed) >> 32); }

  /// For the saver: whether it is committed; if not, it will be with a version read after this.
  bool committed_or_barred() noexcept {
    std::uint64_t seen = 0;
    if (word_.compare_exchange_strong(seen, kBarred, std::memory_order_acq_rel, std::memory_order_acquire)) return false;
    return (seen & kCommitted) != 0;
  }

  /// The instant. Returns the version it took effect with.
  std::uint32_t commit(const Atomic<std::uint32_t>& version) noexcept {
    Policy::full_fence();    // pairs with the one in Store::take_cut(): invariant 3 of marker.hpp
    std::uint64_t seen = 0;  // whether a saver has barred it is for the exchange to find, which acquires
    for (;;) {
      const std::uint32_t stamp = version.load(std::memory_order_acquire);
      // release: synchronises with committed(); acquire: a saver that barred has raised the version
      if (word_.compare_exchange_strong(seen, kCommitted | std::uint64_t{stamp} << 32, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
        return stamp;
      }
    }
  }

  /// The same with a version that was read before. REQUIRES: savers wait for who has read it.
  std::uint32_t commit(std::uint32_t stamp) noexcept {
    Policy::full_fence();
    word_.store(kCommitted | std::uint64_t{stamp} << 32, std::memory_order_release);  // synchronises with committed()
    return stamp;
  }

 private:
  static constexpr std::uint64_t kBarred = 1, kCommitted = 2;
  Atomic<std::uint64_t> word_{0};
};

using CommitStatus = BasicCommitStatus<CommitAtomics>;

}  // namespace cubby::detail
