// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <cubby/cubby.hpp>
#include <random>
#include <string>
#include <vector>

#include "value/access.hpp"

namespace cubby::value_test {

/// What `f` throws must be an Error of this code.
template <class F>
Errc code_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return static_cast<Errc>(error.code().value());
  }
  return Errc{};
}

/// Values of all kinds and sizes, at the borders of the format above all; the same ones for the same seed.
class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t limit) { return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_); }
  std::uint64_t bits() { return random_(); }

  std::string text(std::size_t length) {
    static const std::vector<std::string> kPieces = {
        "a",    "Z",    "0", " ", "\"", "\\",           "/",           "\n", std::string(1, '\0'),
        "\x1f", "\x7f", "é", "€", "😀", "\xef\xbf\xbf", "\xed\x9f\xbf"};
    std::string text;
    while (text.size() < length) text += kPieces[below(kPieces.size())];
    return text;
  }

  std::int64_t integer() {
    const std::int64_t sign = below(2) == 0 ? 1 : -1;
    switch (below(4)) {
      case 0:
        return sign * static_cast<std::int64_t>(below(100));
      case 1:
        return sign * (std::int64_t{1} << (53 + below(4))) + static_cast<std::int64_t>(below(5)) - 2;
      case 2:
        return below(2) == 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
      default:
        return static_cast<std::int64_t>(bits());
    }
  }

  double real() {
    switch (below(5)) {
      case 0:
        return static_cast<double>(static_cast<std::int64_t>(below(2000)) - 1000) / 4;
      case 1:
        return std::ldexp(static_cast<double>(bits() >> 11), static_cast<int>(below(40)) - 20);
      case 2: {
        const double specials[] = {0.0,
                                   -0.0,
                                   5e-324,
                                   -1.7976931348623157e308,
                                   1e300,
                                   1e15,
                                   1e16,
                                   1e21,
                                   0.1,
                                   std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity(),
                                   std::numeric_limits<double>::quiet_NaN()};
        return specials[below(std::size(specials))];
      }
      default:
        return std::bit_cast<double>(bits());
    }
  }

  Value scalar() {
    switch (below(7)) {
      case 0:
        return {};
      case 1:
        return below(2) == 0;
      case 2:
        return integer();
      case 3:
        return real();
      case 4: {
        const std::string bytes = text(below(40));
        return Value::binary(std::as_bytes(std::span(bytes)));
      }
      default:
        return text(below(below(8) == 0 ? 400 : 20));
    }
  }

  Value value(int depth) {
    if (depth == 0 || below(4) == 0) return scalar();
    const std::size_t size = below(20) == 0 ? 20 + below(40) : below(5);
    if (below(2) == 0) {
      std::vector<Value> elements;
      for (std::size_t i = 0; i < size; ++i) elements.push_back(value(depth - 1));
      return Value::array(elements);
    }
    std::vector<std::pair<std::string, Value>> members;
    const std::size_t longest = below(10) == 0 ? 300 : 12;
    for (std::size_t i = 0; i < size; ++i) members.emplace_back(text(below(longest)), value(depth - 1));
    return Value::object(members);
  }

 private:
  std::mt19937_64 random_;
};

inline std::vector<std::byte> node_bytes(const Value& value) {
  std::vector<std::byte> bytes(detail::ValueAccess::node_size(value));
  detail::ValueAccess::copy_node(value, bytes.data());
  return bytes;
}

/// `depth` arrays around nothing.
inline std::string nested_arrays(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace cubby::value_test
