// SPDX-License-Identifier: Apache-2.0
#include "store/members.hpp"

#include <new>

#include "base/allocator.hpp"

namespace cubby::detail {

namespace {

std::size_t node_bytes(unsigned level) noexcept { return level == 0 ? sizeof(MemberNode) : sizeof(InnerNode); }

void free_node(void* node) noexcept { deallocate(node, node_bytes(static_cast<MemberNode*>(node)->level)); }

void release_member(Member* member) noexcept {
  // acq_rel: as in Value::release
  if (member->references.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy(member);
}

Member* make_member(std::string_view name, const node::View& value, std::uint64_t edit) {
  const bool is_node = node::is_node(value.tag());
  const std::size_t value_bytes = is_node ? node::node_size(value.tag(), value.node()) : 2 * sizeof(std::uint64_t);
  const std::size_t bytes = (node::round_up_8(sizeof(Member) + name.size()) + value_bytes + 15) & ~std::size_t{15};
  auto* member = static_cast<Member*>(allocate(bytes));
  new (&member->references) std::atomic<std::uint32_t>(1);
  new (&member->shape) std::atomic<std::uint32_t>(make_shape(bytes, Room::none));
  member->edit = edit;
  member->name_size = static_cast<std::uint32_t>(name.size());
  member->tag = static_cast<std::uint32_t>(value.tag());
  if (!name.empty()) std::memcpy(static_cast<void*>(member + 1), name.data(), name.size());
  std::byte* const at = reinterpret_cast<std::byte*>(member) + member->value_offset();
  if (is_node) {
    std::memcpy(at, value.node(), value_bytes);
  } else {
    node::store64(at, value.head);
    node::store64(at + 8, value.body);
  }
  return member;
}

std::size_t common_prefix(std::string_view one, std::string_view other) noexcept {
  return static_cast<std::size_t>(
      std::mismatch(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(std::min(one.size(), other.size())), other.begin())
          .first -
      one.begin());
}

/// Sets prefix and hints by the names.
void refit(MemberNode& node) noexcept {
  node.skip = static_cast<std::uint32_t>(common_prefix(node.members[0]->name(), node.members[node.count - 1]->name()));
  for (unsigned index = 0; index < node.count; ++index) {
    node.hints[index] = name_hint(node.members[index]->name(), node.skip);
  }
}

/// Gives a slot a member that is in order there. REQUIRES: the others have theirs.
void set_member(MemberNode& node, unsigned index, Member* member) noexcept {
  node.members[index] = member;
  const unsigned last = node.count - 1u;
  if (index == 0 || index == last) {  // between two others it begins as they do
    if (last == 0) return refit(node);
    const std::string_view neighbour = node.members[index == 0 ? 1 : last - 1]->name().substr(0, node.skip);
    if (!member->name().starts_with(neighbour)) return refit(node);
  }
  node.hints[index] = name_hint(member->name(), node.skip);
}

template <class T>
void shift_slots(T* slots, unsigned from, unsigned count, int by) noexcept {
  std::memmove(slots + from + by, slots + from, (count - from) * sizeof(T));
}

/// Makes room for a slot (by 1), or closes that of the one before `from` (by -1). The prefix stays good.
void shift_slots(MemberNode& node, unsigned from, int by) noexcept {
  shift_slots(node.hints, from, node.count, by);
  shift_slots(node.members, from, node.count, by);
  if (!node.is_leaf()) {
    shift_slots(as_inner(node).children, from, node.count, by);
    shift_slots(as_inner(node).sizes, from, node.count, by);
  }
  node.count = static_cast<std::uint16_t>(node.count + by);
}

/// Copies slots without their hints. Within one node: the ranges may overlap.
void copy_slots(MemberNode& to, unsigned at, const MemberNode& from, unsigned first, unsigned count) noexcept {
  std::memmove(to.members + at, from.members + first, count * sizeof(Member*));
  if (to.is_leaf()) return;
  std::memmove(as_inner(to).children + at, as_inner(from).children + first, count * sizeof(MemberNode*));
  std::memmove(as_inner(to).sizes + at, as_inner(from).sizes + first, count * sizeof(std::uint32_t));
}

std::uint32_t members_below(const MemberNode& node) noexcept {
  if (node.is_leaf()) return node.count;
  std::uint32_t sum = 0;
  for (unsigned index = 0; index < node.count; ++index) sum += as_inner(node).sizes[index];
  return sum;
}

void destroy_below(MemberNode* node) noexcept {
  for (unsigned index = 0; index < node->count; ++index) {
    node->is_leaf() ? release_member(node->members[index]) : destroy_below(as_inner(*node).children[index]);
  }
  free_node(node);
}

void abandon_below(MemberNode* node, std::uint64_t edit) noexcept {
  if (node->edit != edit) return;
  for (unsigned index = 0; index < node->count; ++index) {
    if (!node->is_leaf()) {
      abandon_below(as_inner(*node).children[index], edit);
    } else if (node->members[index]->edit == edit) {
      release_member(node->members[index]);
    }
  }
  free_node(node);
}

}  // namespace

/// From the root to the leaf of a change: inner nodes, and the slot in each.
struct Members::Path {
  static constexpr unsigned kLongest = 16;  // more than 2^32 members have
  InnerNode* nodes[kLongest];
  unsigned slots[kLongest];
  unsigned length = 0;

  void add(InnerNode& node, unsigned slot) noexcept {
    nodes[length] = &node;
    slots[length++] = slot;
  }
  /// Lets each know of what has changed below it.
  void refresh(int members) noexcept {
    while (length-- != 0) {
      InnerNode& node = *nodes[length];
      const unsigned slot = slots[length];
      node.sizes[slot] += static_cast<std::uint32_t>(members);
      Member* const first = node.children[slot]->members[0];
      if (node.members[slot] != first) set_member(node, slot, first);
    }
  }
};

MemberNode* Members::make_node(unsigned level) {
  void* const memory = allocate(node_bytes(level));
  MemberNode* node = level == 0 ? new (memory) MemberNode : new (memory) InnerNode;
  node->edit = edit_;
  node->skip = 0;
  node->count = 0;
  node->level = static_cast<std::uint16_t>(level);
  bytes_ += node_bytes(level);
  return node;
}

/// The node, or a copy in its place, that may be changed.
MemberNode& Members::own(MemberNode*& node, Removed& removed) {
  if (node->edit == edit_) return *node;
  MemberNode* const old = node;
  MemberNode* const copy = make_node(old->level);
  copy->skip = old->skip;
  copy->count = old->count;
  std::memcpy(copy->hints, old->hints, old->count * sizeof(std::uint64_t));
  copy_slots(*copy, 0, *old, 0, old->count);
  node = copy;
  let_go(old, removed);
  return *copy;
}

void Members::let_go(Member* member, Removed& removed) noexcept {
  bytes_ -= bytes_of(*member);
  if (member->edit == edit_) {
    release_member(member);
  } else {
    removed.add(member);
  }
}

void Members::let_go(MemberNode* node, Removed& removed) noexcept {
  bytes_ -= node_bytes(node->level);
  if (node->edit == edit_) {
    free_node(node);
  } else {
    removed.add(node, free_node, node_bytes(node->level));
  }
}

void Members::note(const Member& member, bool comes) noexcept {
  const std::uint64_t name = member.name_size, payload = payload_size(member.view());
  count_ += comes ? 1 : std::size_t{0} - 1;
  names_ += comes ? name : 0 - name;
  payloads_ += comes ? payload : 0 - payload;
}

const Member* Members::find(std::string_view name) const noexcept {
  const MemberNode* node = root_;
  if (node == nullptr) return nullptr;
  while (!node->is_leaf()) node = as_inner(*node).children[as_inner(*node).child_of(name)];
  const MemberNode::Place at = node->search(name);
  return at.found ? node->members[at.index] : nullptr;
}

/// The leaf with the member at `place`, which becomes the one within the leaf. REQUIRES: place < size().
const MemberNode* Members::leaf_at(std::size_t& place) const noexcept {
  const MemberNode* node = root_;
  while (!node->is_leaf()) {
    unsigned slot = 0;
    for (const InnerNode& inner = as_inner(*node); place >= inner.sizes[slot]; ++slot) place -= inner.sizes[slot];
    node = as_inner(*node).children[slot];
  }
  return node;
}

/// Divides a full child in two. At the end, where names that count upwards come, the left one stays well filled.
void Members::split(InnerNode& inner, unsigned index, bool at_end) {
  MemberNode& left = *inner.children[index];
  MemberNode* const right = make_node(left.level);
  const unsigned kept = at_end ? left.count - kFew : (left.count + 1u) / 2;
  right->count = static_cast<std::uint16_t>(left.count - kept);
  copy_slots(*right, 0, left, kept, right->count);
  left.count = static_cast<std::uint16_t>(kept);
  refit(left);
  refit(*right);
  shift_slots(inner, index + 1, 1);
  inner.children[index + 1] = right;
  inner.sizes[index + 1] = members_below(*right);
  inner.sizes[index] -= inner.sizes[index + 1];
  set_member(inner, index + 1, right->members[0]);
}

/// Lets a child with kFew slots have more: joins it with the one beside it, or takes some of those. The child that had the
/// name may be another one then.
void Members::refill(InnerNode& inner, unsigned index, Removed& removed) {
  const unsigned at = index > 0 ? index - 1 : 0;
  MemberNode& left = own(inner.children[at], removed);
  const unsigned sum = unsigned{left.count} + inner.children[at + 1]->count;
  if (sum <= kJoined) {
    MemberNode* const right = inner.children[at + 1];
    copy_slots(left, left.count, *right, 0, right->count);
    left.count = static_cast<std::uint16_t>(sum);
    refit(left);
    inner.sizes[at] += inner.sizes[at + 1];
    shift_slots(inner, at + 2, -1);
    let_go(right, removed);
    return;
  }
  MemberNode& right = own(inner.children[at + 1], removed);
  const unsigned half = sum / 2;
  if (left.count < half) {
    const unsigned moved = half - left.count;
    copy_slots(left, left.count, right, 0, moved);
    copy_slots(right, 0, right, moved, right.count - moved);
  } else {
    const unsigned moved = left.count - half;
    copy_slots(right, moved, right, 0, right.count);
    copy_slots(right, 0, left, half, moved);
  }
  left.count = static_cast<std::uint16_t>(half);
  right.count = static_cast<std::uint16_t>(sum - half);
  refit(left);
  refit(right);
  inner.sizes[at] = members_below(left);
  inner.sizes[at + 1] = members_below(right);
  set_member(inner, at + 1, right.members[0]);
}

/// The member that was there before, or null.
Member* Members::place(Member* fresh, bool found, Removed& removed) {
  const std::string_view name = fresh->name();
  if (root_ == nullptr) root_ = make_node(0);
  own(root_, removed);
  if (!found && root_->count == kMost) {
    InnerNode& root = as_inner(*make_node(root_->level + 1u));
    root.count = 1;
    root.children[0] = root_;
    root.sizes[0] = static_cast<std::uint32_t>(count_);
    set_member(root, 0, root_->members[0]);
    root_ = &root;
  }
  Path path;
  MemberNode* node = root_;
  while (!node->is_leaf()) {
    InnerNode& inner = as_inner(*node);
    unsigned slot = inner.child_of(name);
    node = &own(inner.children[slot], removed);
    if (!found && node->count == kMost) {
      split(inner, slot, slot + 1u == inner.count && node->members[kMost - 1]->name() < name);
      if (name >= inner.members[slot + 1]->name()) ++slot;
      node = inner.children[slot];
    }
    path.add(inner, slot);
  }
  const MemberNode::Place at = node->search(name);
  Member* old = nullptr;
  if (at.found) {
    old = std::exchange(node->members[at.index], fresh);  // of the same name: prefix and hint stay
  } else {
    shift_slots(*node, at.index, 1);
    set_member(*node, at.index, fresh);
  }
  path.refresh(at.found ? 0 : 1);
  return old;
}

bool Members::put(std::string_view name, const node::View& value, Removed& removed) {
  const bool found = find(name) != nullptr;
  Member* const fresh = make_member(name, value, edit_);
  Member* old = nullptr;
  try {
    old = place(fresh, found, removed);
  } catch (...) {
    release_member(fresh);
    throw;
  }
  bytes_ += bytes_of(*fresh);
  note(*fresh, true);
  if (old == nullptr) return true;
  note(*old, false);
  let_go(old, removed);
  return false;
}

bool Members::erase(std::string_view name, Removed& removed) {
  if (find(name) == nullptr) return false;
  own(root_, removed);
  Path path;
  MemberNode* node = root_;
  while (!node->is_leaf()) {
    InnerNode& inner = as_inner(*node);
    unsigned slot = inner.child_of(name);
    if (inner.children[slot]->count <= kFew && inner.count > 1) {
      refill(inner, slot, removed);
      slot = inner.child_of(name);
    }
    node = &own(inner.children[slot], removed);
    path.add(inner, slot);
  }
  const unsigned index = node->search(name).index;
  Member* const old = node->members[index];
  shift_slots(*node, index + 1, -1);
  if (node->count != 0) {
    path.refresh(-1);
  } else {
    let_go(std::exchange(root_, nullptr), removed);  // only the root has so few
  }
  while (root_ != nullptr && !root_->is_leaf() && root_->count == 1) {
    MemberNode* const old_root = root_;
    root_ = as_inner(*old_root).children[0];
    let_go(old_root, removed);
  }
  note(*old, false);
  let_go(old, removed);
  return true;
}

void Members::destroy() noexcept {
  if (root_ != nullptr) destroy_below(root_);
  *this = Members();
}

void Members::abandon() noexcept {
  if (root_ != nullptr) abandon_below(root_, edit_);
  *this = Members();
}

}  // namespace cubby::detail
