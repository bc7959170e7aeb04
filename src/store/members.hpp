// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <cubby/transaction.hpp>
#include <cubby/value.hpp>

#include "store/removed.hpp"
#include "value/node.hpp"

/// The members of an object that is changed member by member, each change in logarithmic time, while readers look at it without
/// a lock.
///
/// A B+-tree sorted by the bytes of the names. A version is a small header (Members) with a root. Members and nodes that were
/// published are not written again: a change copies the nodes on its path, so that versions share all others.
///
///     old root    new root         an inner slot: a hint, the first member below, the child, how many members it has
///        |    .___/   |
///        |   /        |
///     [ leaf ]  [ leaf ] [ leaf ]  a leaf's slot: a hint, the member
///                    |
///                   name | value   a counted block, which Values that readers take out share
///
/// Invariants
///  1. A node or member of a version has been made by its `edit` or an earlier one; those of `edit` itself were never shown to
///     anybody while the version is changed, and may be changed in place. The versions of a key are numbered upwards.
///  2. Only the newest version of a key's members is changed, under the key's lock; it owns all nodes and members it reaches.
///     What leaves it goes to a Removed list, whose owner frees it once no reader can hold an older header; what was made by
///     the same edit is freed at once.
///  3. All nodes but the root have kFew slots or more, and an inner root two or more (one, after a change that failed).
///  4. All names below a node begin with the same `skip` bytes. A hint is the 8 bytes after them, so most comparisons look at
///     no member. The first member of an inner node's slot is that of its child.
///  5. A change that throws leaves the tree whole, but maybe half changed: it is abandoned then.
///
/// Thread safety: a version may be read by any threads; changing is the lock holder's.

namespace cubby::detail {

struct Member : Block {
  std::uint64_t edit;
  std::uint32_t name_size;
  std::uint32_t tag;  ///< of the value; behind the name, at a multiple of 8: its node, or the words of one that is no node

  std::string_view name() const noexcept { return {reinterpret_cast<const char*>(this + 1), name_size}; }
  std::uint32_t value_offset() const noexcept {
    return static_cast<std::uint32_t>(node::round_up_8(sizeof(Member) + name_size));
  }
  /// The value in place.
  node::View view() const noexcept;
  /// The value, with a reference of its own.
  Value value() const noexcept;
  /// Calls `f(const Value&)` on the value in place.
  template <class F>
  decltype(auto) with_value(F&& f) const;
};

struct MemberNode;
struct InnerNode;

class Members {
 public:
  static constexpr unsigned kMost = 31;  ///< slots of a node
  static constexpr unsigned kFew = kMost / 4;
  static constexpr unsigned kJoined = kMost * 3 / 4;  ///< two nodes that together have no more become one
  /// An object with more members becomes a tree when it is changed; one with fewer than the latter is a node again.
  static constexpr std::size_t kLargestNode = 64, kSmallestTree = 32;

  Members() = default;
  /// Copies the object's members. Throws std::bad_alloc.
  static Members of(const Value& object);
  /// The version that changes of this one make.
  Members successor() const noexcept {
    Members next = *this;
    ++next.edit_;
    return next;
  }

  std::size_t size() const noexcept { return count_; }
  /// Null if there is none of this name. Logarithmic, as all that follow unless they say else.
  const Member* find(std::string_view name) const noexcept;
  /// Calls `visit(const Member&)` for [first, first + count), as far as there are any, in order, until it returns false.
  template <class Visit>
  void walk(std::size_t first, std::size_t count, Visit&& visit) const;
  /// The members as one object. Linear. Throws std::bad_alloc, Errc::value_too_large.
  Value flatten() const;
  /// The size of its node. Constant.
  std::uint64_t flat_size() const noexcept { return flat_size(count_, names_, payloads_); }
  /// The same after merge(patch). Throws std::bad_alloc.
  std::uint64_t flat_size_with(const Value& patch) const;
  /// The same after put(name, value), or with null after erase(name).
  std::uint64_t flat_size_with(std::string_view name, const node::View* value) const noexcept;

  /// Puts a member, in the place of one of its name; true if there was none. Throws std::bad_alloc.
  bool put(std::string_view name, const node::View& value, Removed& removed);
  /// True if there was one.
  bool erase(std::string_view name, Removed& removed);
  /// Merges the patch, an object (RFC 7396).
  MembersChanged merge(const Value& patch, Removed& removed);

  /// Frees all members and nodes. REQUIRES: nobody reads any version.
  void destroy() noexcept;
  /// Frees what was made for this version, a successor, whose base stays the newest one. REQUIRES: never published.
  void abandon() noexcept;

  /// Memory of nodes and members.
  std::size_t bytes() const noexcept { return bytes_; }

  /// The size of an object's node.
  static std::uint64_t flat_size(std::size_t count, std::uint64_t names, std::uint64_t payloads) noexcept;
  /// What a value takes in an object besides its slot.
  static std::uint64_t payload_size(const node::View& value) noexcept;

 private:
  struct Path;

  MemberNode* make_node(unsigned level);
  MemberNode& own(MemberNode*& node, Removed& removed);
  void let_go(Member* member, Removed& removed) noexcept;
  void let_go(MemberNode* node, Removed& removed) noexcept;
  void split(InnerNode& inner, unsigned index, bool at_end);
  void refill(InnerNode& inner, unsigned index, Removed& removed);
  Member* place(Member* fresh, bool found, Removed& removed);
  void note(const Member& member, bool comes) noexcept;
  const MemberNode* leaf_at(std::size_t& place) const noexcept;

  MemberNode* root_ = nullptr;  ///< null if there are no members
  std::uint64_t edit_ = 0;
  std::size_t count_ = 0;
  std::uint64_t names_ = 0, payloads_ = 0;  ///< bytes of names, and of payloads as node.hpp has them
  std::size_t bytes_ = 0;
};

}  // namespace cubby::detail

#include "store/members_inline.hpp"
