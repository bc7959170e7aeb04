// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/resp_value.hpp"

#include <charconv>
#include <utility>

namespace cubby::cli::shell {

namespace {

constexpr std::size_t kDeepest = 1024;
constexpr long long kMostItems = 1LL << 40;

long long resp_number(std::string_view text) {
  long long number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < -1 || number > kMostItems) {
    throw RespError("the server doesn't speak RESP: a length is wrong");
  }
  return number;
}

}  // namespace

std::optional<std::string_view> RespReader::line() {
  const std::size_t end = bytes_.find("\r\n", at_);
  if (end == std::string::npos) return std::nullopt;
  const std::string_view text = std::string_view(bytes_).substr(at_, end - at_);
  at_ = end + 2;
  return text;
}

/// Reads one value but for its items. False, and nothing has been read, if it isn't there as a whole.
bool RespReader::read_head(RespValue& value, std::size_t& items, bool& opens) {
  const std::size_t begin = at_;
  const std::optional<std::string_view> head = line();
  if (!head) return false;
  if (head->empty()) throw RespError("the server doesn't speak RESP: an empty line");
  value.kind = head->front();
  const std::string_view rest = head->substr(1);
  switch (value.kind) {
    case '+':
    case '-':
    case ':':
    case ',':
    case '(':
    case '#':
      value.text = rest;
      return true;
    case '_':
      return true;
    case '$':
    case '=':
    case '!': {
      const long long size = resp_number(rest);
      if (size < 0) {
        value.kind = '_';
        return true;
      }
      if (bytes_.size() - at_ < static_cast<std::size_t>(size) + 2) {
        at_ = begin;
        return false;
      }
      value.text = bytes_.substr(at_, static_cast<std::size_t>(size));
      at_ += static_cast<std::size_t>(size) + 2;
      if (value.kind == '=') value.text.erase(0, 4);
      if (value.kind == '!') value.kind = '-';
      return true;
    }
    case '*':
    case '~':
    case '>':
    case '%':
    case '|': {
      const long long count = resp_number(rest);
      if (count < 0) {
        value.kind = '_';
        return true;
      }
      items = static_cast<std::size_t>(count) * (value.kind == '%' || value.kind == '|' ? 2 : 1);
      opens = true;
      return true;
    }
    default:
      throw RespError("the server doesn't speak RESP");
  }
}

std::optional<RespValue> RespReader::next() {
  for (;;) {
    RespValue value;
    std::size_t items = 0;
    bool opens = false;
    if (!read_head(value, items, opens)) {
      bytes_.erase(0, at_);
      at_ = 0;
      return std::nullopt;
    }
    if (items != 0) {
      if (open_.size() == kDeepest) throw RespError("the server's reply nests too deeply");
      open_.push_back({std::move(value), items});
      continue;
    }
    // Closes those that it completes.
    for (;;) {
      const bool attribute = value.kind == '|';  // about the reply behind it
      if (open_.empty()) {
        if (attribute) break;
        bytes_.erase(0, at_);
        at_ = 0;
        return value;
      }
      Open& outer = open_.back();
      if (attribute) break;
      outer.value.items.push_back(std::move(value));
      if (--outer.missing != 0) break;
      value = std::move(outer.value);
      open_.pop_back();
    }
  }
}

void RespReader::clear() {
  bytes_.clear();
  at_ = 0;
  open_.clear();
}

}  // namespace cubby::cli::shell
