// SPDX-License-Identifier: Apache-2.0

// The verifier follows the writer: it computes where each thing must lie and what each byte that isn't data must be, and
// compares. So it accepts what the writer makes and nothing else. No byte is read before it is known to be there, and recursion
// ends at 512 levels: a child must state a smaller depth than its parent.

#include <algorithm>

#include "value/access.hpp"

namespace cubby::detail {

namespace {

using namespace node;
using Bytes = std::span<const std::byte>;

bool all_zero(Bytes bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

bool verify_text(std::uint64_t tag, Bytes bytes) noexcept {
  if (bytes.size() < 8) return false;
  const std::uint64_t length = text_length(bytes.data());
  if (tag == kString && length <= kMaxShortString) return false;
  return bytes.size() == text_node_size(length) && all_zero(bytes.subspan(4 + length));
}

/// Size of the payload that a slot points at, or nothing if slot or payload are wrong. `rest` begins at the payload's place.
std::optional<std::uint64_t> verify_slot(std::uint64_t slot, std::uint64_t place, Bytes rest, int parent_depth) noexcept;

bool verify_slots(Bytes bytes, std::uint64_t slots, std::uint64_t payloads) noexcept {
  const int own_depth = depth(bytes.data());
  int deepest = 0;
  std::uint64_t place = payloads;
  for (std::uint64_t i = 0; i < count(bytes.data()); ++i) {
    const std::uint64_t slot = load64(bytes.data() + slots + 8 * i);
    const auto size = verify_slot(slot, place, bytes.subspan(place), own_depth);
    if (!size) return false;
    if (is_container(slot & 0xff)) deepest = std::max(deepest, int{depth(bytes.data() + place)});
    place += *size;
  }
  return place == bytes.size() && own_depth == deepest + 1;
}

bool verify_names(const std::byte* bytes, std::uint64_t names_size) noexcept {
  const Object object(bytes);
  if (name_width(bytes) != name_width_for(names_size)) return false;
  for (std::size_t i = 0; i < object.count(); ++i) {
    if (object.name_end(i) > names_size || object.name_begin(i) > object.name_end(i)) return false;
    const std::string_view name = object.name(i);
    if (i != 0 && object.name(i - 1) >= name) return false;
    if (object.count() <= kMaxFingerprints && bytes[kHeaderSize + i] != std::byte{fingerprint(name)}) return false;
  }
  return true;
}

bool verify_object(Bytes bytes) noexcept {
  const std::uint32_t members = count(bytes.data());
  const unsigned width = name_width(bytes.data());
  if (width != 1 && width != 2 && width != 4) return false;
  const std::uint64_t slots = object_slots_offset(members, width);
  const std::uint64_t names = slots + 8 * std::uint64_t{members};
  if (names > bytes.size()) return false;
  const Object object(bytes.data());
  const std::uint64_t names_size = members == 0 ? 0 : object.name_end(members - 1);
  const std::uint64_t payloads = round_up_8(names + names_size);
  if (payloads > bytes.size() || !verify_names(bytes.data(), names_size)) return false;
  const std::uint64_t ends = name_ends_offset(members) + std::uint64_t{members} * width;
  return all_zero(bytes.subspan(ends, slots - ends)) &&
         all_zero(bytes.subspan(names + names_size, payloads - names - names_size)) && verify_slots(bytes, slots, payloads);
}

bool verify_container(std::uint64_t tag, Bytes bytes) noexcept {
  if (bytes.size() < kArraySlots || container_size(bytes.data()) != bytes.size()) return false;
  if (depth(bytes.data()) > kMaxDepth || bytes[11] != std::byte{0}) return false;
  if (tag == kObject) return verify_object(bytes);
  const std::uint64_t payloads = kArraySlots + 8 * std::uint64_t{count(bytes.data())};
  return name_width(bytes.data()) == 0 && all_zero(bytes.subspan(kHeaderSize, kArraySlots - kHeaderSize)) &&
         payloads <= bytes.size() && verify_slots(bytes, kArraySlots, payloads);
}

/// Whether a slot's text of this length, padded to the end of the words that decode() makes of it, is followed by zeros.
bool zero_padded(const View& words, std::uint64_t length) noexcept {
  return all_zero(std::as_bytes(std::span(&words, 1)).subspan(2 + length));
}

std::optional<std::uint64_t> verify_child(std::uint64_t tag, Bytes rest, int parent_depth) noexcept {
  if (rest.size() < 8) return std::nullopt;
  if (is_container(tag) && (rest.size() < kArraySlots || depth(rest.data()) >= parent_depth)) return std::nullopt;
  const std::uint64_t size = node_size(tag, rest.data());
  if (size > rest.size() || !verify_node(tag, rest.first(size))) return std::nullopt;
  return size;
}

std::optional<std::uint64_t> verify_slot(std::uint64_t slot, std::uint64_t place, Bytes rest, int parent_depth) noexcept {
  const std::uint64_t tag = slot & 0xff, length = slot >> 8 & 0xff;
  std::optional<std::uint64_t> nothing;
  switch (tag) {
    case kNull:
    case kFalse:
    case kTrue:
      return slot == tag ? std::optional<std::uint64_t>(0) : nothing;
    case kInteger:
    case kReal:
      return 0;
    case kShortString:
      return length <= kMaxSlotString && zero_padded({slot, 0}, length) ? std::optional<std::uint64_t>(0) : nothing;
    default:
      break;
  }
  // The rest have a payload, which must be the next one.
  if (tag > kMediumString || tag < kString || slot >> 32 != place || rest.size() < 8) return nothing;
  const std::uint64_t between = slot >> 8 & 0xffffff;
  switch (tag) {
    case kWideInteger:
      return between == 0 && scalar_payload_size(kInteger, load64(rest.data())) == 8 ? std::optional<std::uint64_t>(8)
                                                                                     : nothing;
    case kWideReal:
      return between == 0 && scalar_payload_size(kReal, load64(rest.data())) == 8 ? std::optional<std::uint64_t>(8) : nothing;
    case kMediumString: {
      if (length <= kMaxSlotString || length > kMaxShortString) return nothing;
      const std::uint64_t size = length <= 10 ? 8 : 16;
      if (rest.size() < size || !all_zero(rest.first(size).subspan(length - 2))) return nothing;
      return size;
    }
    default:
      return between == 0 ? verify_child(tag, rest, parent_depth) : nothing;
  }
}

}  // namespace

bool verify_node(std::uint64_t tag, std::span<const std::byte> bytes) noexcept {
  if (!is_node(tag) || bytes.size() % 8 != 0 || bytes.size() > kMaxNodeSize) return false;
  return is_container(tag) ? verify_container(tag, bytes) : verify_text(tag, bytes);
}

bool verify_words(std::uint64_t head, std::uint64_t body) noexcept {
  switch (head & 0xff) {
    case kNull:
    case kFalse:
    case kTrue:
      return body == 0 && head >> 8 == 0;
    case kInteger:
    case kReal:
      return head >> 8 == 0;
    case kShortString: {
      const std::uint64_t length = head >> 8 & 0xff;
      return length <= kMaxShortString && zero_padded({head, body}, length);
    }
    default:
      return false;
  }
}

}  // namespace cubby::detail
