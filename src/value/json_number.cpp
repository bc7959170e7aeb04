// SPDX-License-Identifier: Apache-2.0
#include "value/json_number.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace cubby::detail {

namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool belongs_to_number(char c) noexcept { return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

/// The decimal exponent of the first digit that isn't zero (0 for 1 to 9, -1 for 0.1), bounded to what fits; nothing for zero.
std::optional<std::int64_t> magnitude(std::string_view token) noexcept {
  const std::size_t e = std::min(token.find_first_of("eE"), token.size());
  const std::string_view mantissa = token.substr(0, e);
  const std::size_t leading = mantissa.find_first_of("123456789");
  if (leading == std::string_view::npos) return std::nullopt;
  const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
  const auto distance = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(leading);
  constexpr std::int64_t kHuge = std::int64_t{1} << 60;
  std::int64_t exponent = 0;
  if (e < token.size()) {
    const std::size_t digits = e + 1 + (token[e + 1] == '+' ? 1 : 0);
    const auto [end, error] = std::from_chars(token.data() + digits, token.data() + token.size(), exponent);
    if (error != std::errc() || exponent > kHuge || exponent < -kHuge) exponent = token[e + 1] == '-' ? -kHuge : kHuge;
  }
  return exponent + (distance > 0 ? distance - 1 : distance);
}

std::optional<double> read_real(std::string_view token) noexcept {
  double real = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), real);
  if (error == std::errc()) return std::isfinite(real) ? std::optional(real) : std::nullopt;
  // Out of range, on which side from_chars doesn't tell.
  const std::optional<std::int64_t> order = magnitude(token);
  if (order && *order > 0) return std::nullopt;
  // Whatever rounds to the smallest double gets a result; what is left is nearest to zero.
  return token.front() == '-' ? -0.0 : 0.0;
}

/// Whether the token is a number by RFC 8259's grammar.
bool is_number(std::string_view token) noexcept {
  std::size_t i = 0;
  const auto digits = [&] {
    const std::size_t begin = i;
    while (i < token.size() && is_digit(token[i])) ++i;
    return i != begin;
  };
  if (i < token.size() && token[i] == '-') ++i;
  const bool zero = i < token.size() && token[i] == '0';
  const std::size_t integer = i;
  if (!digits() || (zero && i != integer + 1)) return false;
  if (i < token.size() && token[i] == '.') {
    ++i;
    if (!digits()) return false;
  }
  if (i < token.size() && (token[i] == 'e' || token[i] == 'E')) {
    ++i;
    if (i < token.size() && (token[i] == '+' || token[i] == '-')) ++i;
    if (!digits()) return false;
  }
  return i == token.size();
}

/// Writes the number that the token means over it, followed by spaces, if there is room.
void respell(char* token, std::size_t size) {
  const std::string_view text(token, size);
  if (!is_number(text)) return;
  const std::optional<node::View> number = read_number(text);
  if (!number || number->tag() != node::kReal) return;
  char spelling[40];
  const char* const end = std::to_chars(spelling, std::end(spelling), number->real(), std::chars_format::scientific).ptr;
  std::string_view shortest(spelling, static_cast<std::size_t>(end - spelling));
  if (number->real() == 0) shortest = std::signbit(number->real()) ? "-0.0" : "0.0";
  if (shortest.size() <= size) std::fill(std::copy(shortest.begin(), shortest.end(), token), token + size, ' ');
}

}  // namespace

std::optional<node::View> read_number(std::string_view token) noexcept {
  if (token.find_first_of(".eE") == std::string_view::npos) {
    std::int64_t integer = 0;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), integer);
    if (error == std::errc()) return node::View{node::kInteger, static_cast<std::uint64_t>(integer)};
  }
  const std::optional<double> real = read_real(token);
  if (!real) return std::nullopt;
  return node::View{node::kReal, std::bit_cast<std::uint64_t>(*real)};
}

void respell_numbers(std::string& json) {
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (is_digit(c) || c == '-') {
      const std::size_t begin = i;
      while (i < json.size() && belongs_to_number(json[i])) ++i;
      respell(json.data() + begin, i - begin);
      --i;
    }
  }
}

}  // namespace cubby::detail
