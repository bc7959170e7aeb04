// SPDX-License-Identifier: Apache-2.0
#pragma once

// Making nodes. A Composer takes the parts of a value bottom-up, as a parser meets them, and then writes the whole node once,
// top down, each byte to its place: linear in the size of the result, however deep it nests.
//
// Thread safety: none; a Composer belongs to one call. It borrows all bytes it is given until the end.

#include <cubby/value.hpp>
#include <string_view>
#include <vector>

#include "value/node.hpp"

namespace cubby::detail {

inline constexpr std::uint32_t kRootOffset = sizeof(Block);
inline std::byte* node_at(Block* block, std::uint32_t offset) noexcept { return reinterpret_cast<std::byte*>(block) + offset; }

/// A block of middling size has room in front of its node, at kRoomyOffset, for what a store puts before a value: so a value
/// that was just made is stored without being copied (store/entry.hpp). The room has one user at a time:
///
///     fresh --> taken <--> left        (fresh and left: nobody's; left: somebody may still look at what the last user wrote)
enum class Room : std::uint32_t { none = 0, fresh = 1, taken = 2, left = 3 };
inline constexpr std::uint32_t kRoomyOffset = 56;
inline constexpr std::uint64_t kSmallestRoomyNode = 96, kLargestRoomyNode = 2048;  // bytes
inline constexpr unsigned kRoomShift = 30;
constexpr std::uint32_t make_shape(std::size_t bytes, Room room) noexcept {
  return static_cast<std::uint32_t>(bytes / 16) | static_cast<std::uint32_t>(room) << kRoomShift;
}
/// Allocated size in bytes.
inline std::size_t bytes_of(const Block& block) noexcept {
  return std::size_t{block.shape.load(std::memory_order_relaxed) & ((std::uint32_t{1} << kRoomShift) - 1)} * 16;
}
/// Where the node lies in a block that is a value's own.
inline std::uint32_t root_offset(const Block& block) noexcept {
  return block.shape.load(std::memory_order_relaxed) >> kRoomShift == 0 ? kRootOffset : kRoomyOffset;
}
/// Makes the caller the room's user, if it has none and nobody but the owner of one reference, the caller, can be looking at
/// what the last one wrote.
bool take_room(Block& block) noexcept;
/// Ends that. Whoever still looks at the room holds a reference.
void leave_room(Block& block) noexcept;

/// A new block with one reference, whose node of this size is at `offset`: kRootOffset or kRoomyOffset. Throws
/// Errc::value_too_large.
struct NewBlock {
  Block* block;
  std::uint32_t offset;
  std::byte* node() const noexcept { return node_at(block, offset); }
};
NewBlock allocate_block(std::uint64_t node_size);

/// The bytes that a value takes in a container besides its slot. `head` and `body` as in a Value that is no node.
std::uint64_t scalar_payload_size(std::uint64_t head, std::uint64_t body) noexcept;

/// Words of a string of at most 14 bytes.
node::View short_string(std::string_view text) noexcept;

/// Writes a string or binary node.
void write_text(std::byte* to, std::string_view bytes) noexcept;

/// Fills the slots of one container and hands out the places of its payloads.
class SlotWriter {
 public:
  SlotWriter(std::byte* container, std::uint64_t first_slot, std::uint64_t first_payload) noexcept
      : container_(container), slot_(container + first_slot), payload_(first_payload) {}

  /// REQUIRES a value that is no node.
  void put_scalar(std::uint64_t head, std::uint64_t body) noexcept;
  /// Where the child node is to be written.
  std::byte* put_node(std::uint64_t tag, std::uint64_t size) noexcept;
  /// A copy of the value.
  void put(const node::View& value) noexcept;

 private:
  std::byte* container_;
  std::byte* slot_;
  std::uint64_t payload_;
};

class Composer {
 public:
  /// A part of the value to be: a scalar, a node that exists already, text that isn't a node yet, or a container that was
  /// closed.
  struct Item {
    std::uint64_t head = node::kNull;
    std::uint64_t body = 0;
    std::string_view name = {};

    std::uint64_t tag() const noexcept { return head & 0xff; }
  };

  /// A copy of this value; its bytes are borrowed.
  static Item existing(const node::View& value, std::string_view name = {}) noexcept { return {value.head, value.body, name}; }
  /// A string or binary of these bytes, which are borrowed unless they fit into a Value. Throws Errc::value_too_large.
  static Item text(node::Tag tag, std::string_view bytes, std::string_view name = {});

  /// The parts of all containers that are not closed yet, innermost last.
  std::vector<Item>& open() noexcept { return open_; }

  /// Makes a container of the open items from `first` on; of a repeated name the last item counts. The result isn't open.
  /// Throws Errc::value_too_large, and then the open items stay.
  Item close_array(std::size_t first);
  Item close_object(std::size_t first);

  /// How deep containers nest in the item: 0 for none.
  int depth(const Item& item) const noexcept;
  /// Elements or members of a container that was closed here.
  std::span<const Item> children(const Item& container) const noexcept;
  /// Forgets the container that was closed last.
  void discard_last_container() noexcept;
  /// The string, if the item is one; the view is good as long as the item.
  static std::optional<std::string_view> string_of(const Item& item) noexcept;
  static bool is_closed_object(const Item& item) noexcept { return item.head == (node::kObject | kClosed); }

  /// The value. Throws Errc::value_too_large.
  Value finish(const Item& item) const;
  void clear() noexcept;

 private:
  // In the second byte of the head of an item whose tag is a node's: what its body is.
  static constexpr std::uint64_t kText = 1 << 8;    // address of the bytes; the length is in the head's upper half
  static constexpr std::uint64_t kClosed = 2 << 8;  // index in containers_
  static constexpr std::uint64_t kOrigin = 0xff << 8;

  struct Container {
    std::size_t first;  // of its items in closed_
    std::uint32_t count;
    int depth;
    std::uint64_t size;
    std::uint64_t names_size;
  };

  Item close(std::uint64_t tag, std::size_t first, std::uint64_t names_size);
  std::uint64_t node_size(const Item& item) const noexcept;
  std::uint64_t payload_size(const Item& item) const noexcept;
  void write_node(const Item& item, std::byte* to) const noexcept;
  void write_container(const Item& item, std::byte* to) const noexcept;

  std::vector<Item> open_;
  std::vector<Item> closed_;
  std::vector<Container> containers_;
};

}  // namespace cubby::detail
