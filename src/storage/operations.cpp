// SPDX-License-Identifier: Apache-2.0
#include "storage/operations.hpp"

#include <algorithm>
#include <cstring>

namespace cubby::detail {

namespace {

constexpr std::uint8_t kFresh = 1;
constexpr std::uint8_t kSameKey = 2;
constexpr unsigned kDeadlineShift = 2;
constexpr std::uint8_t kSameValue = 16;
constexpr std::uint8_t kKnownFlags = 0x1f;
// Nodes up to this are read where they lie; larger ones get a block of their own, as entries share those.
constexpr std::uint64_t kLargestBorrowed = 2048;

bool has_value(OperationCode code) noexcept {
  switch (code) {
    case OperationCode::set:
    case OperationCode::push:
    case OperationCode::unshift:
    case OperationCode::add:
    case OperationCode::subtract:
    case OperationCode::merge:
      return true;
    default:
      return false;
  }
}

/// Bytes that an integer needs as two's complement; 0 for 0.
std::size_t integer_length(std::int64_t integer) noexcept {
  std::size_t length = 0;
  while (length < 8 &&
         (length == 0 ? integer != 0 : (integer >> (8 * length - 1)) != 0 && (integer >> (8 * length - 1)) != -1)) {
    ++length;
  }
  return length;
}

}  // namespace

void OperationWriter::put(const void* bytes, std::size_t size) noexcept {
  if (to_ != nullptr && size != 0) std::memcpy(to_ + size_, bytes, size);
  size_ += size;
}

void OperationWriter::pad(std::uint64_t size) noexcept {
  if (to_ != nullptr) std::memset(to_ + size_, 0, size - size_);
  size_ = size;
}

void OperationWriter::put_key(std::string_view key) noexcept {
  const auto size = static_cast<std::uint16_t>(key.size());
  put(&size, sizeof size);
  put(key.data(), key.size());
}

void OperationWriter::put_value(const Value& value) noexcept {
  const std::uint64_t tag = ValueAccess::tag(value);
  const auto put_tag = [&](std::size_t length) {
    const auto byte = static_cast<std::uint8_t>(tag | length << 4);
    put(&byte, 1);
  };
  if (ValueAccess::is_counted(value)) {
    put_tag(0);
    pad((size_ + 7) & ~std::uint64_t{7});
    put(ValueAccess::node(value), ValueAccess::node_size(value));
    return;
  }
  const std::uint64_t body = ValueAccess::body(value);
  switch (tag) {
    case node::kInteger: {
      const std::size_t length = integer_length(static_cast<std::int64_t>(body));
      put_tag(length);
      put(&body, length);
      break;
    }
    case node::kReal:
      put_tag(0);
      put(&body, sizeof body);
      break;
    case node::kShortString: {
      const std::string_view text = value.as_string();
      put_tag(text.size());
      put(text.data(), text.size());
      break;
    }
    default:
      put_tag(0);
  }
}

/// What goes to many keys is written once.
bool OperationWriter::is_last_value(const Value& value) noexcept {
  if (!ValueAccess::is_counted(value)) {
    last_block_ = nullptr;
    return false;
  }
  const Block* block = ValueAccess::block(value);
  const std::uint32_t offset = ValueAccess::offset(value);
  if (block == last_block_ && offset == last_offset_) return true;
  last_block_ = block;
  last_offset_ = offset;
  return false;
}

void OperationWriter::write(const LoggedOperation& operation) noexcept {
  const bool same_key = has_key_ && operation.key == last_key_;
  const bool same_value = has_value(operation.code) && is_last_value(*operation.value);
  const std::uint8_t head[2] = {
      static_cast<std::uint8_t>(operation.code),
      static_cast<std::uint8_t>((operation.fresh ? kFresh : 0) | (same_key ? kSameKey : 0) | (same_value ? kSameValue : 0) |
                                static_cast<unsigned>(operation.deadline) << kDeadlineShift)};
  put(head, sizeof head);
  put_key(same_key ? std::string_view() : operation.key);
  last_key_ = operation.key;
  has_key_ = true;
  if (operation.deadline == LoggedOperation::Deadline::at) put(&operation.deadline_ms, sizeof operation.deadline_ms);
  if (operation.code == OperationCode::rename) put_key(operation.other_key);
  if (has_value(operation.code) && !same_value) put_value(*operation.value);
}

bool OperationReader::take(void* to, std::size_t size) noexcept {
  if (body_.size() - place_ < size) return false;
  if (size != 0) std::memcpy(to, body_.data() + place_, size);
  place_ += size;
  return true;
}

bool OperationReader::take_key(std::string_view& key) noexcept {
  std::uint16_t size = 0;
  if (!take(&size, sizeof size) || body_.size() - place_ < size) return false;
  key = {reinterpret_cast<const char*>(body_.data()) + place_, size};
  place_ += size;
  return true;
}

bool OperationReader::take_value(bool may_borrow) {
  std::uint8_t byte = 0;
  if (!take(&byte, 1)) return false;
  const std::uint64_t tag = byte & 15U;
  const std::size_t length = byte >> 4U;
  borrowed_.reset();
  owned_ = Value();
  switch (tag) {
    case node::kNull:
    case node::kFalse:
    case node::kTrue:
      if (length != 0) return false;
      borrowed_.emplace(tag, 0);
      break;
    case node::kInteger: {
      std::uint64_t bits = 0;
      if (length > 8 || !take(&bits, length)) return false;
      if (length != 0 && length < 8) {
        const auto unused = static_cast<unsigned>(64 - 8 * length);
        bits = static_cast<std::uint64_t>(static_cast<std::int64_t>(bits << unused) >> unused);
      }
      if (integer_length(static_cast<std::int64_t>(bits)) != length) return false;
      borrowed_.emplace(node::kInteger, bits);
      break;
    }
    case node::kReal: {
      std::uint64_t bits = 0;
      if (length != 0 || !take(&bits, sizeof bits)) return false;
      borrowed_.emplace(node::kReal, bits);
      break;
    }
    case node::kShortString: {
      char text[16];
      if (length > node::kMaxShortString || !take(text, length)) return false;
      const node::View view = short_string({text, length});
      borrowed_.emplace(view.head, view.body);
      break;
    }
    case node::kString:
    case node::kBinary:
    case node::kArray:
    case node::kObject: {
      if (length != 0) return false;
      const std::size_t begin = (place_ + 7) & ~std::size_t{7};
      if (begin > body_.size() || body_.size() - begin < 8) return false;
      if (std::any_of(body_.data() + place_, body_.data() + begin, [](std::byte pad) { return pad != std::byte{0}; }))
        return false;
      const std::uint64_t size = node::node_size(tag, body_.data() + begin);
      if (size % 8 != 0 || size > body_.size() - begin || !verify_node(tag, body_.subspan(begin, size))) return false;
      place_ = begin + size;
      if (may_borrow && size <= kLargestBorrowed) {
        // Nobody counts references to it: see Borrowed.
        borrowed_.emplace(reinterpret_cast<Block*>(body_.data() + begin - kRootOffset), kRootOffset, tag);
      } else {
        owned_ = ValueAccess::from_node(tag, body_.data() + begin);
      }
      break;
    }
    default:
      return false;
  }
  value_ = borrowed_ ? &borrowed_->get() : &owned_;
  return borrowed_ && !ValueAccess::is_counted(*value_) ? verify_words(ValueAccess::head(*value_), ValueAccess::body(*value_))
                                                        : true;
}

bool OperationReader::take_last_value(bool may_borrow) {
  if (value_ == nullptr || !ValueAccess::is_counted(*value_)) return false;
  if (borrowed_ && !may_borrow) {
    owned_ = ValueAccess::from_node(ValueAccess::tag(*value_), ValueAccess::node(*value_));
    borrowed_.reset();
    value_ = &owned_;
  }
  return true;
}

OperationReader::Result OperationReader::next(LoggedOperation& operation) {
  operation = {};
  std::uint8_t head[2] = {};
  if (place_ == body_.size()) return Result::end;
  if (body_[place_] == std::byte{0}) {
    const auto rest = body_.subspan(place_);
    return std::all_of(rest.begin(), rest.end(), [](std::byte pad) { return pad == std::byte{0}; }) ? Result::end
                                                                                                    : Result::damaged;
  }
  if (!take(head, sizeof head) || head[0] > static_cast<std::uint8_t>(OperationCode::clear) || (head[1] & ~kKnownFlags) != 0) {
    return Result::damaged;
  }
  operation.code = static_cast<OperationCode>(head[0]);
  operation.fresh = (head[1] & kFresh) != 0;
  const unsigned deadline = (head[1] & ~kSameValue) >> kDeadlineShift;
  if (deadline > static_cast<unsigned>(LoggedOperation::Deadline::at)) return Result::damaged;
  operation.deadline = static_cast<LoggedOperation::Deadline>(deadline);
  if (!take_key(operation.key)) return Result::damaged;
  if ((head[1] & kSameKey) != 0) {
    if (!has_key_ || !operation.key.empty()) return Result::damaged;
    operation.key = last_key_;
  }
  last_key_ = operation.key;
  has_key_ = true;
  if (operation.deadline == LoggedOperation::Deadline::at && !take(&operation.deadline_ms, sizeof operation.deadline_ms)) {
    return Result::damaged;
  }
  if (operation.code == OperationCode::rename && !take_key(operation.other_key)) return Result::damaged;
  const bool same_value = (head[1] & kSameValue) != 0;
  if (has_value(operation.code)) {
    const bool may_borrow = operation.code == OperationCode::set;
    if (!(same_value ? take_last_value(may_borrow) : take_value(may_borrow))) return Result::damaged;
    operation.value = value_;
  } else if (same_value) {
    return Result::damaged;
  }
  return Result::operation;
}

}  // namespace cubby::detail
