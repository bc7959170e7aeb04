// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Where the next frame of a segment begins.
///
/// A frame is reserved by one compare-and-swap of the word at the tail, from zero to the frame's head, so whatever was reserved
/// has its length in the memory. Whoever finds a head where the tail should be moves the tail past it, as its writer may have
/// been descheduled: nobody waits for anybody. The tail never moves past an end, so whoever comes to it finds the end.
///
/// Thread safety: all members, from any threads.

#include <atomic>
#include <cstdint>
#include <optional>

namespace cubby::detail {

struct ReservedHead {
  std::uint64_t size = 0;
  bool is_end = false;
};

template <class Policy>
class LogTail {
 public:
  explicit LogTail(std::uint64_t start) : offset_(start) {}

  /// The offset of a new frame with this head. Empty if there is an end, or less room than `room` before `limit`.
  /// `put(offset)` swaps the head for zero at an offset, and returns what it found, acquire-release; `read(word, offset)` says
  /// what a head means.
  template <class Put, class Read>
  std::optional<std::uint64_t> append(ReservedHead head, std::uint64_t room, std::uint64_t limit, Put&& put, Read&& read) {
    std::uint64_t offset = offset_.load(std::memory_order_acquire);
    for (;;) {
      if (offset + room > limit) return std::nullopt;
      const std::uint64_t found = put(offset);
      const ReservedHead there = found == 0 ? head : read(found, offset);
      if (!there.is_end) {
        std::uint64_t seen = offset;  // if it is another by now, somebody has moved it
        // seq_cst: with who looks at the tail after a flag of its own (Log::complete)
        offset_.compare_exchange_strong(seen, offset + there.size, std::memory_order_seq_cst, std::memory_order_relaxed);
      }
      if (found == 0) return offset;
      if (there.is_end) return std::nullopt;
      offset += there.size;
    }
  }

  /// The first byte behind the frames that were reserved, but for an end.
  std::uint64_t offset() const noexcept { return offset_.load(std::memory_order_seq_cst); }

  /// An end that was appended is complete.
  void set_ended() noexcept { ended_.store(true, std::memory_order_release); }
  /// acquire: who finds it finds the tail where the end begins, and the end as it stays.
  bool ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  /// The first byte behind what was reserved, with an end of this size once it is complete: always between two frames.
  std::uint64_t behind(std::uint64_t end_size) const noexcept {
    const bool with_end = ended();  // first: a tail that was read before an end is not the one that the end lies at
    return offset() + (with_end ? end_size : 0);
  }

 private:
  typename Policy::template Atomic<std::uint64_t> offset_;
  typename Policy::template Atomic<bool> ended_{false};
};

}  // namespace cubby::detail
