// SPDX-License-Identifier: Apache-2.0
#include "value/write.hpp"

#include <algorithm>
#include <cubby/error.hpp>
#include <new>

#include "base/allocator.hpp"
#include "value/access.hpp"

namespace cubby::detail {

using node::View;

namespace {

[[noreturn]] void throw_too_large() { throw Error(Errc::value_too_large, "a value can't take more than 4 GiB of memory"); }

constexpr bool fits_slot(std::int64_t integer) noexcept { return integer << 8 >> 8 == integer; }

void copy_bytes(std::byte* to, const void* from, std::size_t size) noexcept {
  if (size != 0) std::memcpy(to, from, size);
}

void write_header(std::byte* to, std::uint64_t size, std::uint32_t count, int depth, unsigned name_width) noexcept {
  node::store32(to, static_cast<std::uint32_t>(size));
  node::store32(to + 4, count);
  node::store32(to + 8, static_cast<std::uint32_t>(depth) | name_width << 16);
}

void sort_by_name(std::span<Composer::Item> items) {
  const auto before = [](const Composer::Item& left, const Composer::Item& right) { return left.name < right.name; };
  constexpr std::size_t kFew = 24;
  if (items.size() > kFew) {
    if (!std::is_sorted(items.begin(), items.end(), before)) std::stable_sort(items.begin(), items.end(), before);
    return;
  }
  for (std::size_t i = 1; i < items.size(); ++i) {
    const Composer::Item item = items[i];
    std::size_t j = i;
    for (; j > 0 && before(item, items[j - 1]); --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

}  // namespace

NewBlock allocate_block(std::uint64_t node_size) {
  if (node_size > node::kMaxNodeSize) throw_too_large();
  const bool roomy = node_size >= kSmallestRoomyNode && node_size <= kLargestRoomyNode;
  const std::uint32_t offset = roomy ? kRoomyOffset : kRootOffset;
  const std::size_t bytes = (offset + static_cast<std::size_t>(node_size) + 15) & ~std::size_t{15};
  return {::new (allocate(bytes)) Block{1, make_shape(bytes, roomy ? Room::fresh : Room::none)}, offset};
}

void destroy(Block* block) noexcept { deallocate(block, bytes_of(*block)); }

bool take_room(Block& block) noexcept {
  std::uint32_t seen = block.shape.load(std::memory_order_relaxed);
  const auto room = static_cast<Room>(seen >> kRoomShift);
  if (room == Room::none || room == Room::taken) return false;
  const std::uint32_t size = seen & ((std::uint32_t{1} << kRoomShift) - 1);
  // (1) acquire: synchronises with (2), after all that the last user and its readers did
  if (!block.shape.compare_exchange_strong(seen, size | static_cast<std::uint32_t>(Room::taken) << kRoomShift,
                                           std::memory_order_acquire, std::memory_order_relaxed)) {
    return false;
  }
  // acquire: synchronises with whoever dropped a reference through which the room could be seen
  if (room == Room::left && block.references.load(std::memory_order_acquire) != 1) {
    leave_room(block);
    return false;
  }
  return true;
}

void leave_room(Block& block) noexcept {
  // (2) A plain store: while the room is taken, nobody else changes the word.
  block.shape.store(make_shape(bytes_of(block), Room::left), std::memory_order_release);
}

std::uint64_t scalar_payload_size(std::uint64_t head, std::uint64_t body) noexcept {
  switch (head & 0xff) {
    case node::kInteger:
      return fits_slot(static_cast<std::int64_t>(body)) ? 0 : 8;
    case node::kReal:
      return (body & 0xff) == 0 ? 0 : 8;
    case node::kShortString: {
      const std::uint64_t length = head >> 8 & 0xff;
      return length <= node::kMaxSlotString ? 0 : length <= 10 ? 8 : 16;
    }
    default:
      return 0;
  }
}

View short_string(std::string_view text) noexcept {
  View words;
  auto* bytes = reinterpret_cast<char*>(&words);
  bytes[0] = static_cast<char>(node::kShortString);
  bytes[1] = static_cast<char>(text.size());
  if (!text.empty()) std::memcpy(bytes + 2, text.data(), text.size());
  return words;
}

void write_text(std::byte* to, std::string_view bytes) noexcept {
  const std::uint64_t size = node::text_node_size(bytes.size());
  node::store64(to + size - 8, 0);  // the padding is in the last word; an empty text's length is, too
  node::store32(to, static_cast<std::uint32_t>(bytes.size()));
  copy_bytes(to + 4, bytes.data(), bytes.size());
}

void SlotWriter::put_scalar(std::uint64_t head, std::uint64_t body) noexcept {
  const std::uint64_t size = scalar_payload_size(head, body);
  std::uint64_t slot = head;
  if (size == 0) {
    if ((head & 0xff) == node::kInteger) slot = body << 8 | node::kInteger;
    if ((head & 0xff) == node::kReal) slot = body | node::kReal;
  } else {
    std::byte* const payload = container_ + payload_;
    slot = payload_ << 32;
    switch (head & 0xff) {
      case node::kInteger:
        slot |= node::kWideInteger;
        node::store64(payload, body);
        break;
      case node::kReal:
        slot |= node::kWideReal;
        node::store64(payload, body);
        break;
      default:  // bytes 4 to 15 of the words
        slot |= (head & 0xffffff00) | node::kMediumString;
        node::store64(payload, head >> 32 | body << 32);
        if (size == 16) node::store64(payload + 8, body >> 32);
    }
    payload_ += size;
  }
  node::store64(slot_, slot);
  slot_ += 8;
}

std::byte* SlotWriter::put_node(std::uint64_t tag, std::uint64_t size) noexcept {
  std::byte* const place = container_ + payload_;
  node::store64(slot_, tag | payload_ << 32);
  slot_ += 8;
  payload_ += size;
  return place;
}

void SlotWriter::put(const View& value) noexcept {
  if (!node::is_node(value.tag())) return put_scalar(value.head, value.body);
  const std::uint64_t size = node::node_size(value.tag(), value.node());
  std::memcpy(put_node(value.tag(), size), value.node(), size);
}

Composer::Item Composer::text(node::Tag tag, std::string_view bytes, std::string_view name) {
  if (tag == node::kString && bytes.size() <= node::kMaxShortString) {
    const View words = short_string(bytes);
    return {words.head, words.body, name};
  }
  if (bytes.size() > node::kMaxNodeSize) throw_too_large();
  return {tag | kText | bytes.size() << 32, reinterpret_cast<std::uint64_t>(bytes.data()), name};
}

Composer::Item Composer::close_array(std::size_t first) { return close(node::kArray, first, 0); }

Composer::Item Composer::close_object(std::size_t first) {
  sort_by_name(std::span(open_).subspan(first));
  std::uint64_t names_size = 0;
  std::size_t kept = first;
  for (std::size_t i = first; i < open_.size(); ++i) {
    if (i + 1 < open_.size() && open_[i].name == open_[i + 1].name) continue;  // the sort is stable: a later one follows
    names_size += open_[i].name.size();
    open_[kept++] = open_[i];
  }
  open_.resize(kept);
  return close(node::kObject, first, names_size);
}

Composer::Item Composer::close(std::uint64_t tag, std::size_t first, std::uint64_t names_size) {
  const std::size_t count = open_.size() - first;
  if (count > node::kMaxNodeSize / 8 || names_size > node::kMaxNodeSize) throw_too_large();
  Container container{closed_.size(), static_cast<std::uint32_t>(count), 0, node::kArraySlots + 8 * count, names_size};
  if (tag == node::kObject) {
    const std::uint64_t names_at =
        node::object_slots_offset(container.count, node::name_width_for(names_size)) + 8 * container.count;
    container.size = node::round_up_8(names_at + names_size);
  }
  for (std::size_t i = first; i < open_.size(); ++i) {
    container.size += payload_size(open_[i]);
    container.depth = std::max(container.depth, depth(open_[i]));
  }
  ++container.depth;
  if (container.size > node::kMaxNodeSize) throw_too_large();
  closed_.insert(closed_.end(), open_.begin() + static_cast<std::ptrdiff_t>(first), open_.end());
  containers_.push_back(container);
  open_.resize(first);
  return {tag | kClosed, containers_.size() - 1};
}

int Composer::depth(const Item& item) const noexcept {
  if (!node::is_container(item.tag())) return 0;
  if ((item.head & kOrigin) == kClosed) return containers_[item.body].depth;
  return node::depth(reinterpret_cast<const std::byte*>(item.body));
}

std::span<const Composer::Item> Composer::children(const Item& item) const noexcept {
  const Container& container = containers_[item.body];
  return std::span(closed_).subspan(container.first, container.count);
}

void Composer::discard_last_container() noexcept {
  closed_.resize(containers_.back().first);
  containers_.pop_back();
}

std::optional<std::string_view> Composer::string_of(const Item& item) noexcept {
  if (item.tag() == node::kShortString) {
    return std::string_view(reinterpret_cast<const char*>(&item.head) + 2, item.head >> 8 & 0xff);
  }
  if ((item.head & (kOrigin | 0xff)) != (kText | node::kString)) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(item.body), item.head >> 32);
}

void Composer::clear() noexcept {
  open_.clear();
  closed_.clear();
  containers_.clear();
}

std::uint64_t Composer::node_size(const Item& item) const noexcept {
  switch (item.head & kOrigin) {
    case kText:
      return node::text_node_size(item.head >> 32);
    case kClosed:
      return containers_[item.body].size;
    default:
      return node::node_size(item.tag(), reinterpret_cast<const std::byte*>(item.body));
  }
}

std::uint64_t Composer::payload_size(const Item& item) const noexcept {
  return node::is_node(item.tag()) ? node_size(item) : scalar_payload_size(item.head, item.body);
}

void Composer::write_node(const Item& item, std::byte* to) const noexcept {
  switch (item.head & kOrigin) {
    case kText:
      return write_text(to, {reinterpret_cast<const char*>(item.body), item.head >> 32});
    case kClosed:
      return write_container(item, to);
    default:
      std::memcpy(to, reinterpret_cast<const std::byte*>(item.body), node_size(item));
  }
}

// Recursion ends at the depth of the value, which whoever closed the containers has limited.
void Composer::write_container(const Item& item, std::byte* to) const noexcept {
  const Container& container = containers_[item.body];
  const std::span<const Item> items = children(item);
  std::uint64_t slots = node::kArraySlots;
  std::uint64_t payloads = slots + 8 * items.size();
  if (item.tag() == node::kObject) {
    const unsigned width = node::name_width_for(container.names_size);
    slots = node::object_slots_offset(container.count, width);
    const std::uint64_t names = slots + 8 * items.size();
    payloads = node::round_up_8(names + container.names_size);
    // The zeros in front of slots and payloads lie in the words before them, which the rest then overwrites.
    node::store64(to + slots - 8, 0);
    if (container.names_size != 0) node::store64(to + payloads - 8, 0);
    write_header(to, container.size, container.count, container.depth, width);
    std::byte* const ends = to + node::name_ends_offset(container.count);
    std::byte* name = to + names;
    std::uint32_t end = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string_view text = items[i].name;
      if (container.count <= node::kMaxFingerprints) to[node::kHeaderSize + i] = std::byte{node::fingerprint(text)};
      copy_bytes(name, text.data(), text.size());
      name += text.size();
      end += static_cast<std::uint32_t>(text.size());
      if (width == 1) {
        ends[i] = static_cast<std::byte>(end);
      } else if (width == 2) {
        node::store16(ends + 2 * i, static_cast<std::uint16_t>(end));
      } else {
        node::store32(ends + 4 * i, end);
      }
    }
  } else {
    write_header(to, container.size, container.count, container.depth, 0);
    node::store32(to + node::kHeaderSize, 0);
  }
  SlotWriter writer(to, slots, payloads);
  for (const Item& child : items) {
    if (node::is_node(child.tag())) {
      write_node(child, writer.put_node(child.tag(), node_size(child)));
    } else {
      writer.put_scalar(child.head, child.body);
    }
  }
}

Value Composer::finish(const Item& item) const {
  if (!node::is_node(item.tag())) return ValueAccess::from_words(item.head, item.body);
  const NewBlock made = allocate_block(node_size(item));
  write_node(item, made.node());
  return ValueAccess::adopted(made.block, made.offset, item.tag());
}

namespace {

/// An array of what `for_each(take)` hands to `take(View)`, twice the same.
template <class ForEach>
Value write_array(ForEach&& for_each) {
  std::uint64_t count = 0;
  std::uint64_t payloads = 0;
  int depth = 0;
  for_each([&](const View& view) {
    ++count;
    if (!node::is_node(view.tag())) {
      payloads += scalar_payload_size(view.head, view.body);
      return;
    }
    payloads += node::node_size(view.tag(), view.node());
    if (node::is_container(view.tag())) depth = std::max(depth, int{node::depth(view.node())});
  });
  if (depth >= node::kMaxDepth) throw Error(Errc::invalid_argument, "an array can't be nested deeper than 512 levels");
  const std::uint64_t first_payload = node::kArraySlots + 8 * count;
  const std::uint64_t size = first_payload + payloads;
  const NewBlock made = allocate_block(size);
  std::byte* const to = made.node();
  write_header(to, size, static_cast<std::uint32_t>(count), depth + 1, 0);
  node::store32(to + node::kHeaderSize, 0);
  SlotWriter writer(to, node::kArraySlots, first_payload);
  for_each([&](const View& view) { writer.put(view); });
  return ValueAccess::adopted(made.block, made.offset, node::kArray);
}

}  // namespace

Value make_array(std::span<const std::span<const Value>> runs) {
  return write_array([runs](auto&& take) {
    for (const std::span<const Value> run : runs) {
      for (const Value& value : run) take(ValueAccess::view(value));
    }
  });
}

Value slice_of(const Value& array, std::size_t first, std::size_t count) {
  const std::size_t size = array.size();
  first = std::min(first, size);
  count = std::min(count, size - first);
  if (count == size) return array;
  // As views: no element's reference is taken, which others would see.
  const std::byte* const from = ValueAccess::node(array);
  return write_array([from, first, count](auto&& take) {
    for (std::size_t index = first; index < first + count; ++index) take(node::decode(from, node::array_slot(from, index)));
  });
}

Value ValueAccess::from_node(std::uint64_t tag, const std::byte* node) {
  const std::uint64_t size = node::node_size(tag, node);
  const NewBlock made = allocate_block(size);
  std::memcpy(made.node(), node, size);
  return adopted(made.block, made.offset, tag);
}

bool ValueAccess::is_whole_block(const Value& value) noexcept {
  if (!value.counted()) return true;
  const std::uint64_t whole = (offset(value) + node_size(value) + 15) & ~std::uint64_t{15};
  return offset(value) == root_offset(*value.block()) && bytes_of(*value.block()) == whole;
}

}  // namespace cubby::detail
