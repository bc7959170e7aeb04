// SPDX-License-Identifier: Apache-2.0
#pragma once

// The format of a value's bytes, and how to read them. Nothing here counts references, throws or trusts more than
// verify_node (access.hpp) has checked: every function REQUIRES a node that write.cpp made or verify_node accepted.
//
// A NODE is what a value occupies that doesn't fit into a Value itself: a string of more than 14 bytes, a binary, an array or
// an object. The same bytes serve in memory, in logs and in snapshots. All numbers are little-endian. A node starts at a
// multiple of 8 bytes, its size is one, it holds no addresses, and all offsets in it are relative to its own start: a node may
// be copied anywhere with memcpy, a child node out of its parent as well. A node doesn't say which kind it is: its tag is kept
// beside it, in a Value, in a slot, or in whatever a file puts in front of it.
//
//   string, binary   u32 length | the bytes | zeros up to a multiple of 8
//
//   array            header | u32 zero | a slot an element | payloads
//   object           header | fingerprints | name ends | zeros | a slot a member | names | zeros | payloads
//
//   header           12 bytes: u32 size of the node | u32 count | u16 depth (1 for a flat container) | u8 name_width | u8 zero
//   fingerprints     a byte a member (see fingerprint()), and none at all if there are more than 32 members
//   name ends        for each member where its name ends in the names; name_width bytes each: 1, 2 or 4, the
//                    least that suffices. An array has name_width 0, an empty object 1
//   names            in the order of their bytes (unsigned, shorter first), without repetition, one behind the other
//   payloads         what the slots point at, in the order of the slots, without gaps; each is a multiple of 8 bytes long
//
// A SLOT is 8 bytes, its lowest byte a tag; the payload's u32 offset, where there is one, is its upper half, and the rest
// is zero:
//
//   kNull, kFalse, kTrue
//   kInteger         the upper 7 bytes, signed                                          -2^55 to 2^55 - 1
//   kReal            the double, its lowest byte replaced by the tag                    if that byte is zero
//   kShortString     byte 1 length, bytes 2 to 7 text, zeros                            0 to 6 bytes
//   kWideInteger     at the offset: the 8 bytes of the integer                          all others
//   kWideReal        at the offset: the 8 bytes of the double                           all others
//   kMediumString    byte 1 length, bytes 2 and 3 text; at the offset: the other bytes  7 to 14 bytes
//                    of text, and zeros up to 8 or 16 bytes
//   kString          at the offset: a node                                              15 bytes and more
//   kBinary, kArray, kObject   at the offset: a node
//
// One value has one representation only: equal construction gives equal bytes. (Equal values may still differ, as 5 and 5.0.)
// Containers nest at most 512 deep. A node is at most kMaxNodeSize bytes, which leaves room for the head and the key of an
// entry in front of it, so that any place in any block has a u32 offset.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace cubby::detail::node {

static_assert(std::endian::native == std::endian::little, "nodes are read in place, and they are little-endian");

// The first ones are also the tags of a Value; the last three appear in slots only.
enum Tag : std::uint64_t {
  kNull,
  kFalse,
  kTrue,
  kInteger,
  kReal,
  kShortString,
  kString = 8,
  kBinary,
  kArray,
  kObject,
  kWideInteger,
  kWideReal,
  kMediumString,
};

inline constexpr std::uint64_t kMaxNodeSize = (std::uint64_t{1} << 32) - (std::uint64_t{1} << 17);
inline constexpr int kMaxDepth = 512;
inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kArraySlots = 16;         // where the slots of an array begin
inline constexpr std::uint32_t kMaxFingerprints = 32;  // objects with more members are searched by bisection
inline constexpr std::size_t kMaxSlotString = 6;       // bytes of text in a slot
inline constexpr std::size_t kMaxShortString = 14;     // bytes of text in a Value

inline std::uint16_t load16(const std::byte* from) noexcept {
  std::uint16_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
inline std::uint32_t load32(const std::byte* from) noexcept {
  std::uint32_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
inline std::uint64_t load64(const std::byte* from) noexcept {
  std::uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
inline void store16(std::byte* to, std::uint16_t word) noexcept { std::memcpy(to, &word, sizeof word); }
inline void store32(std::byte* to, std::uint32_t word) noexcept { std::memcpy(to, &word, sizeof word); }
inline void store64(std::byte* to, std::uint64_t word) noexcept { std::memcpy(to, &word, sizeof word); }

constexpr std::uint64_t round_up_8(std::uint64_t size) noexcept { return (size + 7) & ~std::uint64_t{7}; }

/// Whether a value with this tag is a node, in a Value and in a slot.
constexpr bool is_node(std::uint64_t tag) noexcept { return tag >= kString && tag <= kObject; }
constexpr bool is_container(std::uint64_t tag) noexcept { return tag == kArray || tag == kObject; }

// Strings and binaries.
inline std::uint32_t text_length(const std::byte* node) noexcept { return load32(node); }
inline const std::byte* text_bytes(const std::byte* node) noexcept { return node + 4; }
constexpr std::uint64_t text_node_size(std::uint64_t length) noexcept { return round_up_8(4 + length); }

// Arrays and objects.
inline std::uint32_t container_size(const std::byte* node) noexcept { return load32(node); }
inline std::uint32_t count(const std::byte* node) noexcept { return load32(node + 4); }
inline std::uint16_t depth(const std::byte* node) noexcept { return load16(node + 8); }
inline unsigned name_width(const std::byte* node) noexcept { return std::to_integer<unsigned>(node[10]); }

inline std::uint64_t node_size(std::uint64_t tag, const std::byte* node) noexcept {
  return is_container(tag) ? container_size(node) : text_node_size(text_length(node));
}

constexpr unsigned name_width_for(std::uint64_t names_size) noexcept {
  return names_size <= 0xff ? 1 : names_size <= 0xffff ? 2 : 4;
}
constexpr std::uint64_t name_ends_offset(std::uint32_t members) noexcept {
  return kHeaderSize + (members <= kMaxFingerprints ? members : 0);
}
constexpr std::uint64_t object_slots_offset(std::uint32_t members, unsigned width) noexcept {
  return round_up_8(name_ends_offset(members) + std::uint64_t{members} * width);
}

inline std::uint64_t array_slot(const std::byte* node, std::size_t index) noexcept {
  return load64(node + kArraySlots + 8 * index);
}

/// A byte that tells most names from each other, so that a look-up compares the bytes of hardly any name but the right one.
inline std::uint8_t fingerprint(std::string_view name) noexcept {
  if (name.empty()) return 0;
  const unsigned first = static_cast<unsigned char>(name.front());
  const unsigned last = static_cast<unsigned char>(name.back());
  return static_cast<std::uint8_t>(static_cast<unsigned>(name.size()) * 61 + first * 7 + last);
}

/// Like memcmp(...) == 0; in place for short names, which nearly all are.
inline bool equal_bytes(const std::byte* left, const char* right, std::size_t size) noexcept {
  const auto* other = reinterpret_cast<const std::byte*>(right);
  if (size > 16) return std::memcmp(left, other, size) == 0;
  if (size >= 8) {
    const std::size_t tail = size - 8;
    return ((load64(left) ^ load64(other)) | (load64(left + tail) ^ load64(other + tail))) == 0;
  }
  if (size >= 4) {
    const std::size_t tail = size - 4;
    return ((load32(left) ^ load32(other)) | (load32(left + tail) ^ load32(other + tail))) == 0;
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (left[i] != other[i]) return false;
  }
  return true;
}

/// The parts of an object node.
class Object {
 public:
  explicit Object(const std::byte* node) noexcept
      : node_(node),
        count_(node::count(node)),
        width_(name_width(node)),
        ends_(node + name_ends_offset(count_)),
        slots_(node + object_slots_offset(count_, width_)) {}

  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t slot(std::size_t index) const noexcept { return load64(slots_ + 8 * index); }
  const std::byte* names() const noexcept { return slots_ + 8 * std::size_t{count_}; }

  std::uint32_t name_end(std::size_t index) const noexcept {
    if (width_ == 1) return std::to_integer<std::uint32_t>(ends_[index]);
    return width_ == 2 ? load16(ends_ + 2 * index) : load32(ends_ + 4 * index);
  }
  std::uint32_t name_begin(std::size_t index) const noexcept { return index == 0 ? 0 : name_end(index - 1); }
  std::string_view name(std::size_t index) const noexcept {
    const std::uint32_t begin = name_begin(index);
    return {reinterpret_cast<const char*>(names()) + begin, name_end(index) - begin};
  }

  /// Index of the member of this name, or -1.
  std::int64_t find(std::string_view name) const noexcept { return count_ <= kMaxFingerprints ? scan(name) : bisect(name); }

 private:
  // Eight fingerprints at a time. Reading beyond the last one is fine: 8 bytes of slot a member follow.
  std::int64_t scan(std::string_view name) const noexcept {
    constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;
    const std::uint64_t pattern = fingerprint(name) * kOnes;
    for (std::uint32_t base = 0; base < count_; base += 8) {
      const std::uint64_t difference = load64(node_ + kHeaderSize + base) ^ pattern;
      // Finds every zero byte, and now and then a one above it, which comparing the names sorts out.
      std::uint64_t hits = (difference - kOnes) & ~difference & kHighs;
      for (; hits != 0; hits &= hits - 1) {
        const std::uint32_t index = base + static_cast<std::uint32_t>(std::countr_zero(hits)) / 8;
        if (index >= count_) break;
        const std::uint32_t begin = name_begin(index);
        if (name_end(index) - begin == name.size() && equal_bytes(names() + begin, name.data(), name.size())) return index;
      }
    }
    return -1;
  }

  std::int64_t bisect(std::string_view wanted) const noexcept {
    std::uint32_t low = 0, high = count_;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      const int order = name(middle).compare(wanted);
      if (order == 0) return middle;
      (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
    }
    return -1;
  }

  const std::byte* node_;
  std::uint32_t count_;
  unsigned width_;
  const std::byte* ends_;
  const std::byte* slots_;
};

/// A value as it is read in place, without counting: the two words of a Value, but for a node `body` is its address.
struct View {
  std::uint64_t head = kNull;
  std::uint64_t body = 0;

  std::uint64_t tag() const noexcept { return head & 0xff; }
  const std::byte* node() const noexcept { return reinterpret_cast<const std::byte*>(body); }
  std::int64_t integer() const noexcept { return static_cast<std::int64_t>(body); }
  double real() const noexcept { return std::bit_cast<double>(body); }
  /// REQUIRES a string; a short one's text lies in this View.
  std::string_view string() const noexcept {
    if (tag() == kShortString) return {reinterpret_cast<const char*>(&head) + 2, static_cast<std::size_t>(head >> 8 & 0xff)};
    return {reinterpret_cast<const char*>(text_bytes(node())), text_length(node())};
  }
};
static_assert(sizeof(View) == 16 && offsetof(View, body) == 8);

/// What a slot of the container at `node` holds.
inline View decode(const std::byte* node, std::uint64_t slot) noexcept {
  const std::byte* payload = node + (slot >> 32);
  switch (slot & 0xff) {
    case kInteger:
      return {kInteger, static_cast<std::uint64_t>(static_cast<std::int64_t>(slot) >> 8)};
    case kReal:
      return {kReal, slot & ~std::uint64_t{0xff}};
    case kWideInteger:
      return {kInteger, load64(payload)};
    case kWideReal:
      return {kReal, load64(payload)};
    case kMediumString: {
      const std::uint64_t head = (slot & 0xffffff00) | kShortString | std::uint64_t{load32(payload)} << 32;
      return {head, (slot >> 8 & 0xff) <= 10 ? load32(payload + 4) : load64(payload + 4)};
    }
    case kString:
    case kBinary:
    case kArray:
    case kObject:
      return {slot & 0xff, reinterpret_cast<std::uint64_t>(payload)};
    default:
      return {slot, 0};
  }
}

}  // namespace cubby::detail::node
