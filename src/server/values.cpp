// SPDX-License-Identifier: Apache-2.0
#include "server/values.hpp"

#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

namespace cubby::server {

std::optional<std::int64_t> canonical_integer(std::string_view text) noexcept {
  if (text.empty() || text.size() > 20) return std::nullopt;
  const std::string_view digits = text.front() == '-' ? text.substr(1) : text;
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return std::nullopt;
  if (digits.front() == '0' && text.size() != 1) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Value to_value(std::string_view bytes) {
  if (const auto number = canonical_integer(bytes)) return *number;
  if (is_utf8(bytes)) return bytes;
  return Value::binary(std::as_bytes(std::span(bytes)));
}

bool is_utf8(std::string_view bytes) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto* const end = at + bytes.size();
  while (at != end) {
    // Most text is ASCII: eight bytes at a time.
    while (end - at >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, sizeof word);
      if ((word & 0x8080808080808080U) != 0) break;
      at += 8;
    }
    if (at == end) break;
    const unsigned lead = *at;
    if (lead < 0x80) {
      ++at;
      continue;
    }
    // RFC 3629: the second byte's range keeps out overlong forms, surrogates and what is above U+10FFFF.
    std::ptrdiff_t length = 0;
    unsigned least = 0x80;
    unsigned most = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      length = 2;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      length = 3;
      if (lead == 0xe0) least = 0xa0;
      if (lead == 0xed) most = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      length = 4;
      if (lead == 0xf0) least = 0x90;
      if (lead == 0xf4) most = 0x8f;
    } else {
      return false;
    }
    if (end - at < length || at[1] < least || at[1] > most) return false;
    for (std::ptrdiff_t index = 2; index < length; ++index) {
      if ((at[index] & 0xc0) != 0x80) return false;
    }
    at += length;
  }
  return true;
}

std::optional<long double> read_real(std::string_view text) {
  // Redis's own bound: a long double printed without an exponent fits.
  if (text.empty() || text.size() >= 5120 || std::isspace(static_cast<unsigned char>(text.front())) != 0) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const long double number = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(number)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(number) || number == 0)) return std::nullopt;
  return number;
}

std::string real_text(long double number) {
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  // Of the largest long double some 5,000 digits stand before the point.
  std::string text(5120, '\0');
  text.resize(static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%.17Lf", number)));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

ValueBytes::ValueBytes(const Value& value) {
  switch (value.type()) {
    case Type::string:
      view_ = value.as_string();
      break;
    case Type::binary: {
      const auto bytes = value.as_binary();
      view_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      break;
    }
    case Type::integer:
      view_ = {digits_,
               static_cast<std::size_t>(std::to_chars(digits_, digits_ + sizeof digits_, value.as_int()).ptr - digits_)};
      break;
    default:
      text_ = value.to_json();
      view_ = text_;
  }
}

}  // namespace cubby::server
