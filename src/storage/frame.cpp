// SPDX-License-Identifier: Apache-2.0
#include "storage/frame.hpp"

#include <cstring>

#include "base/hash.hpp"

namespace cubby::detail {

namespace {

constexpr std::uint64_t kCheckShift = 40;  // the low 40 bits: size, and kind where a size has zeros
constexpr std::uint64_t kLowMask = (std::uint64_t{1} << kCheckShift) - 1;
constexpr std::uint64_t kKindMask = 7;

std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;  // the finaliser of splitmix64 (Steele, Lea, Flood 2014)
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

std::uint64_t FrameCodec::head(const FrameHead& head, std::uint64_t offset) const noexcept {
  const std::uint64_t low = head.size | static_cast<std::uint64_t>(head.kind);
  return low | mix(mix(low ^ salt_) + offset) << kCheckShift;
}

std::optional<FrameHead> FrameCodec::read_head(std::uint64_t word, std::uint64_t offset) const noexcept {
  const std::uint64_t low = word & kLowMask;
  const FrameHead found{static_cast<FrameKind>(low & kKindMask), low & ~kKindMask};
  if (found.kind < FrameKind::data || found.kind > FrameKind::last || word != head(found, offset)) return std::nullopt;
  const bool has_body = found.kind == FrameKind::data || found.kind == FrameKind::last;
  if (has_body ? found.size < overhead() : found.size != end_size()) return std::nullopt;
  return found;
}

std::uint64_t FrameCodec::checksum(std::span<const std::byte> bytes, std::uint64_t head, std::uint64_t offset) const noexcept {
  const std::uint64_t sum = XXH3_64bits_withSeed(bytes.data(), bytes.size(), mix(head ^ salt_) + offset);
  return sum != 0 ? sum : 1;
}

std::uint64_t FrameCodec::void_mark(std::uint64_t head, std::uint64_t offset) const noexcept {
  if (is_keyed()) return cipher_->code("void", head, offset);
  const std::uint64_t mark = mix(mix(~head ^ salt_) - offset);
  return mark > 1 ? mark : 2;
}

std::uint64_t FrameCodec::end_mark(std::uint64_t head, std::uint64_t offset) const noexcept {
  return is_keyed() ? cipher_->code("end", head, offset) : checksum({}, head, offset);
}

std::uint64_t FrameCodec::note_check(std::uint64_t synced) const noexcept {
  if (is_keyed()) return cipher_->code("synced", synced, 0);
  const std::uint64_t words[2] = {synced, salt_};
  return XXH3_64bits(words, sizeof words);
}

std::uint64_t FrameCodec::close(std::span<std::byte> frame, std::uint64_t head, std::uint64_t offset,
                                const std::byte* body) const noexcept {
  if (cipher_) {
    std::byte* const to = frame.data() + kHeadBytes;
    cipher_->encrypt(offset, std::as_bytes(std::span(&head, 1)), {body, frame.size() - overhead()}, to,
                     frame.subspan(frame.size() - kMarkBytes - Cipher::kTagBytes).first<Cipher::kTagBytes>());
    if (body != to) drop_clear_text();
  }
  return checksum(frame.subspan(kHeadBytes, frame.size() - kHeadBytes - kMarkBytes), head, offset);
}

std::optional<std::span<std::byte>> FrameCodec::open(std::span<std::byte> frame, std::uint64_t offset) const noexcept {
  const std::uint64_t head = word_at(frame, 0);
  const std::uint64_t mark = word_at(frame, frame.size() - kMarkBytes);
  if (mark != checksum(frame.subspan(kHeadBytes, frame.size() - kHeadBytes - kMarkBytes), head, offset)) return std::nullopt;
  const auto body = frame.subspan(kHeadBytes, frame.size() - overhead());
  if (cipher_ && !cipher_->decrypt(offset, frame.first(kHeadBytes), body,
                                   frame.subspan(frame.size() - kMarkBytes - Cipher::kTagBytes).first<Cipher::kTagBytes>())) {
    return std::nullopt;
  }
  return body;
}

}  // namespace cubby::detail
