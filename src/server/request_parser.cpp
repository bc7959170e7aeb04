// SPDX-License-Identifier: Apache-2.0
#include "server/request_parser.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <utility>

namespace cubby::server {

namespace {

int hex_digit(char byte) noexcept {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const char lower = static_cast<char>(byte | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool is_blank(char byte) noexcept { return std::isspace(static_cast<unsigned char>(byte)) != 0; }
/// Of the blanks, \v and \f end no word.
bool ends_word(char byte) noexcept { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

/// Takes one word, its quotes resolved, out of `line`. False if a quote is left open or text follows one.
bool take_word(std::string_view line, std::size_t& place, std::string& word) {
  char quote = 0;
  for (; place < line.size(); ++place) {
    const char byte = line[place];
    if (quote == 0) {
      if (ends_word(byte)) return true;
      if (byte == '"' || byte == '\'') {
        quote = byte;
      } else {
        word += byte;
      }
    } else if (byte == quote) {
      ++place;
      return place == line.size() || is_blank(line[place]);
    } else if (byte == '\\' && quote == '\'' && place + 1 < line.size() && line[place + 1] == '\'') {
      word += '\'';
      ++place;
    } else if (byte == '\\' && quote == '"' && place + 1 < line.size()) {
      const char next = line[place + 1];
      if (next == 'x' && place + 3 < line.size() && hex_digit(line[place + 2]) >= 0 && hex_digit(line[place + 3]) >= 0) {
        word += static_cast<char>(hex_digit(line[place + 2]) * 16 + hex_digit(line[place + 3]));
        place += 3;
      } else {
        switch (next) {
          case 'n':
            word += '\n';
            break;
          case 'r':
            word += '\r';
            break;
          case 't':
            word += '\t';
            break;
          case 'b':
            word += '\b';
            break;
          case 'a':
            word += '\a';
            break;
          default:
            word += next;
        }
        ++place;
      }
    } else {
      word += byte;
    }
  }
  return quote == 0;
}

}  // namespace

RequestParser::Result RequestParser::next(std::string_view bytes, const Limits& limits, std::size_t& used,
                                          std::vector<std::string_view>& arguments) {
  arguments.clear();
  wanted_ = 0;
  if (bytes.empty()) return Result::incomplete;
  return in_array_ || bytes.front() == '*' ? next_array(bytes, limits, used, arguments)
                                           : next_line(bytes, limits, used, arguments);
}

RequestParser::Number RequestParser::read_number(std::string_view bytes, std::size_t& place, std::size_t longest,
                                                 long long& number) {
  const std::size_t end = bytes.substr(0, place + longest + 1).find('\r', place);
  if (end == std::string_view::npos) return bytes.size() - place > longest ? Number::too_long : Number::incomplete;
  if (end + 1 == bytes.size()) return Number::incomplete;
  // As Redis reads numbers: one way to write each of them.
  std::string_view digits = bytes.substr(place, end - place);
  const bool negative = digits.starts_with('-');
  if (negative) digits.remove_prefix(1);
  if (digits.empty() || digits.size() > 18 || (digits[0] == '0' && (negative || digits.size() > 1))) return Number::wrong;
  long long value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return Number::wrong;
    value = value * 10 + (digit - '0');
  }
  number = negative ? -value : value;
  place = end + 2;  // Redis doesn't look at the byte behind the \r either
  return Number::read;
}

RequestParser::Result RequestParser::next_array(std::string_view bytes, const Limits& limits, std::size_t& used,
                                                std::vector<std::string_view>& arguments) {
  if (!in_array_) {
    std::size_t place = 1;
    long long count = 0;
    switch (read_number(bytes, place, limits.line, count)) {
      case Number::incomplete:
        return Result::incomplete;
      case Number::too_long:
        return fail("Protocol error: too big mbulk count string");
      case Number::wrong:
        return fail("Protocol error: invalid multibulk length");
      case Number::read:
        break;
    }
    if (count > 0 && static_cast<unsigned long long>(count) > limits.arguments) {
      return fail(limits.arguments <= unauthenticated().arguments ? "Protocol error: unauthenticated multibulk length"
                                                                  : "Protocol error: invalid multibulk length");
    }
    if (count <= 0) {
      used = place;
      return Result::request;
    }
    in_array_ = true;
    remaining_ = static_cast<std::size_t>(count);
    place_ = place;
    pieces_.clear();
  }
  while (remaining_ != 0) {
    std::size_t place = place_;
    if (place >= bytes.size()) return Result::incomplete;
    if (bytes[place] != '$') {
      const char got = bytes[place];
      return fail(std::string("Protocol error: expected '$', got '") + got + "'");
    }
    ++place;
    long long length = 0;
    switch (read_number(bytes, place, limits.line, length)) {
      case Number::incomplete:
        return Result::incomplete;
      case Number::too_long:
        return fail("Protocol error: too big bulk count string");
      case Number::wrong:
        return fail("Protocol error: invalid bulk length");
      case Number::read:
        break;
    }
    if (length < 0 || static_cast<unsigned long long>(length) > limits.bulk) {
      return fail(length >= 0 && limits.bulk <= unauthenticated().bulk ? "Protocol error: unauthenticated bulk length"
                                                                       : "Protocol error: invalid bulk length");
    }
    const auto size = static_cast<std::size_t>(length);
    if (place + size > limits.request) return fail("Protocol error: the request is too large");
    if (bytes.size() < place + size + 2) {
      wanted_ = place + size + 2;
      return Result::incomplete;
    }
    pieces_.push_back({place, size});
    place_ = place + size + 2;
    --remaining_;
  }
  for (const Piece& piece : pieces_) arguments.push_back(bytes.substr(piece.offset, piece.length));
  used = place_;
  reset();
  return Result::request;
}

RequestParser::Result RequestParser::next_line(std::string_view bytes, const Limits& limits, std::size_t& used,
                                               std::vector<std::string_view>& arguments) {
  const std::size_t end = bytes.find('\n');
  if (end == std::string_view::npos || end > limits.line) {
    return bytes.size() > limits.line ? fail("Protocol error: too big inline request") : Result::incomplete;
  }
  std::string_view line = bytes.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  used = end + 1;
  unquoted_.clear();
  for (std::size_t place = 0;;) {
    while (place < line.size() && is_blank(line[place])) ++place;
    if (place == line.size()) break;
    unquoted_.emplace_back();
    if (!take_word(line, place, unquoted_.back())) return fail("Protocol error: unbalanced quotes in request");
  }
  arguments.assign(unquoted_.begin(), unquoted_.end());
  return Result::request;
}

void RequestParser::reset() {
  in_array_ = false;
  remaining_ = 0;
  place_ = 0;
  // A request of very many arguments shall not cost its client memory for ever.
  pieces_.clear();
  if (pieces_.capacity() > 64) std::vector<Piece>().swap(pieces_);
}

RequestParser::Result RequestParser::fail(std::string text) {
  error_ = std::move(text);
  return Result::error;
}

}  // namespace cubby::server
