// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What a log record says: one call's operations, in order. A checkpoint block holds nothing but `set`s. docs/format.md has the
/// bytes.
///
///   offset 0   code        1
///          1   flags       1    fresh, same key, same value, and which deadline
///          2   key size    2
///          4   key
///              deadline    8    where the flags say so: milliseconds since the epoch
///              other key   2 + size   of a rename
///              value       where the operation has one that isn't the last one again: its tag, and by that
///                            null, false, true     nothing more
///                            integer               its length in bytes (in the tag's upper half), and these
///                            real                  8
///                            short string          its length (likewise), and these
///                            node                  zeros to a multiple of 8, and the node as it lies in memory
///
/// What follows the last operation, up to the end of the body, is zeros.
///
/// Thread safety: plain functions; a reader belongs to one thread.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include <cubby/value.hpp>

#include "value/access.hpp"

namespace cubby::detail {

enum class OperationCode : std::uint8_t {
  end = 0,
  set = 1,
  erase = 2,
  push = 3,
  unshift = 4,
  shift = 5,
  pop = 6,
  add = 7,
  subtract = 8,
  merge = 9,    ///< update with a patch
  expire = 10,  ///< sets or drops the deadline
  rename = 11,
  clear = 12,
};

struct LoggedOperation {
  enum class Deadline : std::uint8_t { keep = 0, none = 1, at = 2 };

  OperationCode code = OperationCode::end;
  /// The key was absent when this took effect: whatever stands there had expired.
  bool fresh = false;
  Deadline deadline = Deadline::keep;
  std::int64_t deadline_ms = 0;  ///< wall clock
  std::string_view key;
  std::string_view other_key;    ///< rename: the new one
  const Value* value = nullptr;  ///< borrowed
};

/// Collects operations into a body. `to` may be null: then it only measures. Keys and values must outlive it.
class OperationWriter {
 public:
  explicit OperationWriter(std::byte* to = nullptr) noexcept : to_(to) {}
  void write(const LoggedOperation& operation) noexcept;
  /// Bytes so far, rounded up to a multiple of 8.
  std::uint64_t body_size() const noexcept { return (size_ + 7) & ~std::uint64_t{7}; }
  std::uint64_t size() const noexcept { return size_; }
  /// Writes zeros up to `size`. REQUIRES: not less than what there is.
  void pad(std::uint64_t size) noexcept;

 private:
  void put(const void* bytes, std::size_t size) noexcept;
  void put_key(std::string_view key) noexcept;
  void put_value(const Value& value) noexcept;

  std::byte* to_;
  std::uint64_t size_ = 0;
  bool is_last_value(const Value& value) noexcept;

  std::string_view last_key_;
  bool has_key_ = false;
  const Block* last_block_ = nullptr;  ///< the node that was written last, which is still there
  std::uint32_t last_offset_ = 0;
};

/// Takes operations out of a body, checking every byte.
class OperationReader {
 public:
  /// REQUIRES: the body at a multiple of 8.
  explicit OperationReader(std::span<std::byte> body) noexcept : body_(body) {}

  enum class Result : std::uint8_t { operation, end, damaged };
  /// `operation.value` is good until the next call. That of a `set` may be a node that is read where it lies, and can't be
  /// counted: it is to be copied (Entry::make does), not kept.
  Result next(LoggedOperation& operation);
  /// Where it stands in the body.
  std::size_t place() const noexcept { return place_; }

 private:
  bool take(void* to, std::size_t size) noexcept;
  bool take_key(std::string_view& key) noexcept;
  bool take_value(bool may_borrow);
  bool take_last_value(bool may_borrow);

  std::span<std::byte> body_;
  std::size_t place_ = 0;
  std::string_view last_key_;
  bool has_key_ = false;
  Value owned_;
  std::optional<ValueAccess::Borrowed> borrowed_;
  const Value* value_ = nullptr;
};

}  // namespace cubby::detail
