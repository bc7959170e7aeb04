// SPDX-License-Identifier: Apache-2.0
#pragma once

/// How Redis's strings and cubby's values stand for each other.
///
///   a Redis string   that is a canonical 64-bit integer ("7", "-12"; not "+7", "07", "7.0")    an integer
///                    that is UTF-8                                                           a string
///                    other bytes                                                             a binary
///   a list           an array                    a hash    an object
///
/// Read over the wire, an integer is its digits again, and what has no counterpart there (a boolean, null, a real, an element
/// that is an array or an object) is its JSON text.
///
/// Thread safety: plain functions.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <cubby/value.hpp>

namespace cubby::server {

/// The value that stands for these bytes.
Value to_value(std::string_view bytes);

/// The number, if the text is what an integer prints as.
std::optional<std::int64_t> canonical_integer(std::string_view text) noexcept;

/// A number as Redis takes one for INCRBYFLOAT and the like: no blanks around it, no NaN; infinity is.
std::optional<long double> read_real(std::string_view text);
/// As Redis prints such a number: up to 17 digits behind the point, no zeros at the end, never an exponent.
std::string real_text(long double number);

bool is_utf8(std::string_view bytes) noexcept;

inline bool is_list(Type type) noexcept { return type == Type::array; }
inline bool is_hash(Type type) noexcept { return type == Type::object; }
inline bool is_string(Type type) noexcept { return !is_list(type) && !is_hash(type); }
/// What TYPE answers.
inline std::string_view type_name(Type type) noexcept { return is_list(type) ? "list" : is_hash(type) ? "hash" : "string"; }

/// The bytes of a value as a Redis client sees them. The view is good as long as this object and the value are.
class ValueBytes {
 public:
  explicit ValueBytes(const Value& value);
  ValueBytes(const ValueBytes&) = delete;
  ValueBytes& operator=(const ValueBytes&) = delete;

  std::string_view view() const noexcept { return view_; }
  operator std::string_view() const noexcept { return view_; }

 private:
  char digits_[24];
  std::string text_;
  std::string_view view_;
};

}  // namespace cubby::server
