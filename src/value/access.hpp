// SPDX-License-Identifier: Apache-2.0
#pragma once

// The library's own way into Value: nodes as bytes (node.hpp draws them), values that borrow instead of counting, and the
// conversions that the store and its files need.
//
// Thread safety: as for Value. Everything here is a function of its arguments.

#include <cubby/value.hpp>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "value/node.hpp"
#include "value/write.hpp"

namespace cubby::detail {

struct ValueAccess {
  class Borrowed;

  static std::uint64_t tag(const Value& value) noexcept { return value.tag(); }
  /// The raw words. For a value that lies in itself they are all there is of it.
  static std::uint64_t head(const Value& value) noexcept { return value.head_; }
  static std::uint64_t body(const Value& value) noexcept { return value.body_; }

  /// Whether the value is a node in a counted block.
  static bool is_counted(const Value& value) noexcept { return value.counted(); }
  /// REQUIRES is_counted.
  static Block* block(const Value& value) noexcept { return value.block(); }
  static std::uint32_t offset(const Value& value) noexcept { return static_cast<std::uint32_t>(value.head_ >> 32); }
  static const std::byte* node(const Value& value) noexcept { return node_at(value.block(), offset(value)); }
  /// Whether the value is the node of a block that may have room in front of it. REQUIRES is_counted.
  static bool may_have_room(const Value& value) noexcept { return offset(value) == kRoomyOffset; }

  /// Bytes of its node, a multiple of 8; 0 if the value lies in itself.
  static std::size_t node_size(const Value& value) noexcept {
    return value.counted() ? static_cast<std::size_t>(node::node_size(value.tag(), node(value))) : 0;
  }
  /// Copies the node_size(value) bytes of its node. `to` is 8-aligned.
  static void copy_node(const Value& value, std::byte* to) noexcept {
    if (value.counted()) std::memcpy(to, node(value), node_size(value));
  }
  /// How deep its arrays and objects nest: 0 for none.
  static int depth(const Value& value) noexcept {
    return value.counted() && node::is_container(value.tag()) ? node::depth(node(value)) : 0;
  }
  /// The size of the value as stored: of its node, or the 16 bytes of the Value.
  static std::size_t stored_size(const Value& value) noexcept { return value.counted() ? node_size(value) : sizeof(Value); }

  /// The node of this tag at `block + offset`; adds a reference.
  static Value retained(Block* block, std::uint32_t offset, std::uint64_t tag) noexcept {
    block->references.fetch_add(1, std::memory_order_relaxed);
    return adopted(block, offset, tag);
  }
  /// The same, taking over a reference that the caller holds.
  static Value adopted(Block* block, std::uint32_t offset, std::uint64_t tag) noexcept {
    return words(tag | std::uint64_t{offset} << 32, reinterpret_cast<std::uint64_t>(block));
  }
  /// REQUIRES the words of a value that lies in itself.
  static Value from_words(std::uint64_t head, std::uint64_t body) noexcept { return words(head, body); }

  /// A value in a block of its own, made from the bytes of a node (verified, if they come from outside).
  static Value from_node(std::uint64_t tag, const std::byte* node);
  /// Keeping the value keeps no bytes alive but its own.
  static bool is_whole_block(const Value& value) noexcept;
  /// The same value, in a block of its own unless is_whole_block.
  static Value compact(const Value& value) { return is_whole_block(value) ? value : from_node(value.tag(), node(value)); }

  static node::View view(const Value& value) noexcept {
    if (!value.counted()) return {value.head_, value.body_};
    return {value.tag(), reinterpret_cast<std::uint64_t>(node(value))};
  }
  /// A value read from within `block`; adds a reference if it is a node.
  static Value from_view(Block* block, const node::View& view) noexcept {
    if (node::is_node(view.tag())) block->references.fetch_add(1, std::memory_order_relaxed);
    return within(block, view);
  }

 private:
  static Value within(Block* block, const node::View& view) noexcept {
    if (!node::is_node(view.tag())) return words(view.head, view.body);
    return adopted(block, static_cast<std::uint32_t>(view.node() - reinterpret_cast<const std::byte*>(block)), view.tag());
  }
  static Value words(std::uint64_t head, std::uint64_t body) noexcept {
    Value value;
    value.head_ = head;
    value.body_ = body;
    return value;
  }
};

/// A `const Value&` that neither adds a reference nor drops one. Whoever makes it keeps the block alive as long as it, and
/// as long as views into it. Copies of the Value count as usual.
class ValueAccess::Borrowed {
 public:
  Borrowed(Block* block, std::uint32_t offset, std::uint64_t tag) noexcept : value_(adopted(block, offset, tag)) {}
  /// REQUIRES the words of a value that lies in itself, or of one that the caller keeps alive.
  Borrowed(std::uint64_t head, std::uint64_t body) noexcept : value_(words(head, body)) {}
  /// A value read from within the block.
  Borrowed(Block* block, const node::View& view) noexcept : value_(within(block, view)) {}
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {}  // not value_'s destructor, which would drop a reference

  const Value& get() const noexcept { return value_; }
  operator const Value&() const noexcept { return value_; }

 private:
  union {
    Value value_;
  };
};

/// An array of all values in all runs, one behind the other; linear in their size, and no more memory than the result.
/// Throws Errc::invalid_argument beyond 512 levels, Errc::value_too_large beyond 4 GiB.
Value make_array(std::span<const std::span<const Value>> runs);
inline Value make_array(std::span<const Value> elements) { return make_array(std::span(&elements, 1)); }

/// Elements, members or bytes; empty for values that have none of these.
inline std::optional<std::size_t> length_of(const Value& value) noexcept {
  if (value.is_array() || value.is_object() || value.is_string() || value.is_binary()) return value.size();
  return std::nullopt;
}
/// Elements [first, first + count) of an array, as far as it has them, as an array. REQUIRES: an array.
Value slice_of(const Value& array, std::size_t first, std::size_t count);

/// RFC 7396. Linear in the sizes of both.
Value merge_patch(const Value& target, const Value& patch);

/// The object with this member, in the place of one of its name, or with null without it. Linear. Throws
/// Errc::value_too_large. REQUIRES: the value nests less than 512 deep.
Value with_member(const Value& object, std::string_view name, const Value* value);

/// Reads JSON text as Value::parse does, with containers nested up to `max_depth`.
Value parse_json(std::string_view json, int max_depth = node::kMaxDepth);

/// Takes a member of the outer object, and the byte at which its value ends.
using MemberSink = std::function<void(std::string_view name, Value value, std::size_t offset)>;

/// Reads text that is one JSON object, and hands each member over as it comes, repeated names too. The outer object counts for
/// no nesting and for no Extended JSON form, and it may be larger than a Value. Throws Errc::parse, also if the text is
/// something else than an object; and what `member` throws. Either may come when members were handed over already.
void parse_json_object(std::string_view json, const MemberSink& member);

/// Appends the text of the value as Value::to_json(indent) makes it, standing `level` levels deep. Throws
/// Errc::invalid_argument for what isn't UTF-8; `out` is then as long as it was.
void append_json(std::string& out, const Value& value, int indent, int level);
/// Appends a JSON string. Throws as append_json.
void append_json_string(std::string& out, std::string_view text);

/// Where the bytes stop being UTF-8, or npos.
std::size_t find_invalid_utf8(std::string_view text) noexcept;

/// Whether the bytes are exactly one node of this tag, as this library would have written it. Reads nothing else, whatever the
/// bytes are. REQUIRES 8-aligned bytes.
bool verify_node(std::uint64_t tag, std::span<const std::byte> bytes) noexcept;

/// Whether two words are a value that lies in itself, as this library would have made it.
bool verify_words(std::uint64_t head, std::uint64_t body) noexcept;

}  // namespace cubby::detail
