// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The frame that every record of a log and every block of a checkpoint stands in. docs/format.md draws it.
///
///   offset 0   head   8   length and kind, with a check of their own: never 0
///          8   body       a multiple of 8 bytes; encrypted if the file is
///              tag   16   only if the file is encrypted, and there is a body
///              mark   8   checksum of the body and of where it stands, written last: 0 while the frame is not complete
///
/// In an encrypted file the marks of frames without a body, which has no tag, are made with the key.
///
/// Frames begin at multiples of 8, so values in them are read where they lie. Checks and marks are keyed with the file's salt
/// and depend on the offset: a frame of another file or place is not taken for one.
///
/// Thread safety: a FrameCodec is constant.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "storage/cipher.hpp"

namespace cubby::detail {

/// The eight bytes at an offset. There must be as many.
inline std::uint64_t word_at(std::span<const std::byte> bytes, std::uint64_t offset) noexcept {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

enum class FrameKind : std::uint64_t {
  data = 1,            ///< operations (operations.hpp)
  segment_end = 2,     ///< no body: the log goes on in the next segment
  generation_end = 3,  ///< no body: the log goes on in the next generation
  last = 4,            ///< of a checkpoint: how many keys there were
};

struct FrameHead {
  FrameKind kind = FrameKind::data;
  std::uint64_t size = 0;  ///< of the whole frame
};

class FrameCodec {
 public:
  static constexpr std::size_t kHeadBytes = 8;
  static constexpr std::size_t kMarkBytes = 8;
  static constexpr std::uint64_t kLargest = std::uint64_t{1} << 39;

  /// Of a file of this version.
  FrameCodec(std::uint64_t salt, std::optional<Cipher> cipher, std::uint32_t version)
      : salt_(salt), cipher_(std::move(cipher)), version_(version) {}

  /// Of a frame whose body has this many bytes; both are multiples of 8.
  std::uint64_t frame_size(std::uint64_t body) const noexcept { return body + overhead(); }
  /// Of an end.
  std::uint64_t end_size() const noexcept { return version_ == 1 ? kHeadBytes : kHeadBytes + kMarkBytes; }
  std::uint64_t overhead() const noexcept { return kHeadBytes + kMarkBytes + (cipher_ ? Cipher::kTagBytes : 0); }

  std::uint64_t head(const FrameHead& head, std::uint64_t offset) const noexcept;
  /// Empty if it is no head that was written at this offset.
  std::optional<FrameHead> read_head(std::uint64_t word, std::uint64_t offset) const noexcept;

  /// Encrypts the body of the frame with this head, if the file is encrypted; the mark, to be stored last. Doesn't look at
  /// where the head stands: in a log others may be looking at it too.
  std::uint64_t close(std::span<std::byte> frame, std::uint64_t head, std::uint64_t offset) const noexcept {
    return close(frame, head, offset, frame.data() + kHeadBytes);
  }
  /// The same with a body that stands in clear_text(), and gets to the frame encrypted only; it is dropped then. In a file that
  /// isn't encrypted it stands in the frame.
  std::uint64_t close(std::span<std::byte> frame, std::uint64_t head, std::uint64_t offset,
                      const std::byte* body) const noexcept;
  /// What stands for the mark where a frame was begun and never completed, so that nobody waits for it any more.
  std::uint64_t void_mark(std::uint64_t head, std::uint64_t offset) const noexcept;
  /// The mark of an end. REQUIRES: end_size() has room for one.
  std::uint64_t end_mark(std::uint64_t head, std::uint64_t offset) const noexcept;
  /// Stands beside the note of how far a segment is on the disk.
  std::uint64_t note_check(std::uint64_t synced) const noexcept;

  /// The body of a complete frame, decrypted in place; empty if it isn't what was written.
  std::optional<std::span<std::byte>> open(std::span<std::byte> frame, std::uint64_t offset) const noexcept;

 private:
  /// In version 1 all such marks could be made without the key.
  bool is_keyed() const noexcept { return cipher_ && version_ > 1; }
  std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t head, std::uint64_t offset) const noexcept;

  std::uint64_t salt_;
  std::optional<Cipher> cipher_;
  std::uint32_t version_;
};

}  // namespace cubby::detail
