// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "store/members.hpp"
#include "value/access.hpp"

/// The nodes of the tree in members.hpp, and what reads of it are made of.
///
/// Thread safety: as there.

namespace cubby::detail {

inline node::View Member::view() const noexcept {
  const std::byte* at = reinterpret_cast<const std::byte*>(this) + value_offset();
  if (node::is_node(tag)) return {tag, reinterpret_cast<std::uint64_t>(at)};
  return {node::load64(at), node::load64(at + 8)};
}

inline Value Member::value() const noexcept { return ValueAccess::from_view(const_cast<Member*>(this), view()); }

template <class F>
decltype(auto) Member::with_value(F&& f) const {
  return f(ValueAccess::Borrowed(const_cast<Member*>(this), view()).get());
}

struct MemberNode {
  std::uint64_t edit;
  std::uint32_t skip;
  std::uint16_t count;
  std::uint16_t level;  ///< 0: a leaf
  std::uint64_t hints[Members::kMost];
  Member* members[Members::kMost];  ///< of inner nodes: the first one below each slot

  bool is_leaf() const noexcept { return level == 0; }
  struct Place {
    unsigned index;  ///< the first slot that isn't less
    bool found;
  };
  inline Place search(std::string_view name) const noexcept;
};

struct InnerNode : MemberNode {
  MemberNode* children[Members::kMost];
  std::uint32_t sizes[Members::kMost];  ///< members below each

  /// Below which the name is, or would be.
  unsigned child_of(std::string_view name) const noexcept {
    const Place at = search(name);
    return at.found || at.index == 0 ? at.index : at.index - 1;
  }
};

inline const InnerNode& as_inner(const MemberNode& node) noexcept { return static_cast<const InnerNode&>(node); }
inline InnerNode& as_inner(MemberNode& node) noexcept { return static_cast<InnerNode&>(node); }

/// The 8 bytes from `skip` on, as a number that is in order as they are; zeros where the name ends.
inline std::uint64_t name_hint(std::string_view name, std::size_t skip) noexcept {
  if (name.size() >= skip + 8) return __builtin_bswap64(node::load64(reinterpret_cast<const std::byte*>(name.data()) + skip));
  std::uint64_t word = 0;
  if (name.size() > skip) std::memcpy(&word, name.data() + skip, name.size() - skip);
  return __builtin_bswap64(word);
}

inline MemberNode::Place MemberNode::search(std::string_view name) const noexcept {
  if (count == 0) return {0, false};
  if (skip != 0) {
    const int order = name.substr(0, skip).compare(members[0]->name().substr(0, skip));
    if (order != 0) return {order < 0 ? 0u : count, false};
  }
  const std::uint64_t hint = name_hint(name, skip);
  const std::uint64_t* const end = hints + count;
  const std::uint64_t* const first = std::lower_bound(hints, end, hint);
  if (first == end || *first != hint) return {static_cast<unsigned>(first - hints), false};
  // Equal hints: of one name mostly.
  auto low = static_cast<unsigned>(first - hints);
  auto high = static_cast<unsigned>(std::upper_bound(first, end, hint) - hints);
  while (low < high) {
    const unsigned middle = low + (high - low) / 2;
    const int order = members[middle]->name().compare(name);
    if (order == 0) return {middle, true};
    (order < 0 ? low : high) = order < 0 ? middle + 1 : middle;
  }
  return {low, false};
}

template <class Visit>
void Members::walk(std::size_t first, std::size_t count, Visit&& visit) const {
  if (first >= count_) return;
  count = std::min(count, count_ - first);
  while (count != 0) {
    std::size_t place = first;
    const MemberNode& leaf = *leaf_at(place);
    for (; place < leaf.count && count != 0; ++place, ++first, --count) {
      if (!visit(std::as_const(*leaf.members[place]))) return;
    }
  }
}

}  // namespace cubby::detail
