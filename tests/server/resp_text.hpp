// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

/// Replies as they look on the wire, for tests to compare with.

namespace cubby::server {

inline std::string integer_text(long long number) { return ":" + std::to_string(number) + "\r\n"; }

inline std::string bulk_text(std::string_view bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + std::string(bytes) + "\r\n";
}

/// An array of these replies.
inline std::string array_text(std::initializer_list<std::string> replies) {
  std::string text = "*" + std::to_string(replies.size()) + "\r\n";
  for (const std::string& reply : replies) text += reply;
  return text;
}

/// An array of bulk strings.
inline std::string bulks_text(std::initializer_list<std::string_view> elements) {
  std::string text = "*" + std::to_string(elements.size()) + "\r\n";
  for (const std::string_view element : elements) text += bulk_text(element);
  return text;
}

inline constexpr const char* kNullText = "$-1\r\n";
inline constexpr const char* kNullArrayText = "*-1\r\n";
inline constexpr const char* kOkText = "+OK\r\n";
inline constexpr const char* kWrongTypeText = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
inline constexpr const char* kNotIntegerText = "-ERR value is not an integer or out of range\r\n";
inline constexpr const char* kSyntaxText = "-ERR syntax error\r\n";

}  // namespace cubby::server
