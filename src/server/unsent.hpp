// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "server/byte_buffer.hpp"

namespace cubby::server {

/// What a client's socket didn't take yet, and how many replies that is. Its memory follows what is left, also of a client that
/// always leaves something.
///
/// Thread safety: as an int.
class Unsent {
 public:
  std::size_t size() const noexcept { return bytes_.size() - sent_; }
  bool empty() const noexcept { return size() == 0; }
  std::string_view view() const noexcept { return bytes_.view().substr(sent_); }
  /// Those that begin or end in it; of a piece that went in part, in proportion.
  std::size_t replies() const noexcept { return replies_; }
  std::size_t memory() const noexcept { return bytes_.capacity(); }

  void append(std::string_view bytes, std::size_t replies) {
    if (bytes.empty()) return;
    if (pieces_.empty() || pieces_.back().bytes >= kPiece) pieces_.emplace_back();
    bytes_.append(bytes);
    pieces_.back().bytes += bytes.size();
    pieces_.back().replies += replies;
    replies_ += replies;
  }

  /// The first `count` bytes have gone. REQUIRES: there are so many.
  void drop(std::size_t count) {
    sent_ += count;
    if (empty()) {
      *this = Unsent();
      return;
    }
    auto piece = pieces_.begin();
    for (; count >= piece->bytes; ++piece) {
      count -= piece->bytes;
      replies_ -= piece->replies;
    }
    const std::size_t gone = piece->replies * count / piece->bytes;
    piece->bytes -= count;
    piece->replies -= gone;
    replies_ -= gone;
    pieces_.erase(pieces_.begin(), piece);
    // Never moves more than has gone since the last time.
    if (sent_ > kSlack && sent_ > bytes_.size() / 2) compact();
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{64} << 10;
  static constexpr std::size_t kSlack = std::size_t{64} << 10;

  /// Bytes that were appended together, or nearly so.
  struct Piece {
    std::size_t bytes = 0, replies = 0;
  };

  void compact() {
    if (size() < bytes_.capacity() / 4) {
      ByteBuffer left;
      left.append(view());
      bytes_.swap(left);
    } else {
      bytes_.drop_front(sent_);
    }
    sent_ = 0;
  }

  ByteBuffer bytes_;
  std::size_t sent_ = 0;  ///< of bytes_
  std::size_t replies_ = 0;
  std::vector<Piece> pieces_;
};

}  // namespace cubby::server
