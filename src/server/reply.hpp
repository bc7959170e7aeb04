// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/byte_buffer.hpp"

namespace cubby::server {

/// Writes replies, in the client's protocol: RESP2 or RESP3. An aggregate is its head (array, map, set, push) and then as many
/// replies as that announced.
///
/// Thread safety: as an int.
class Reply {
 public:
  Reply(ByteBuffer& out, int protocol) noexcept : out_(out), protocol_(protocol) {}

  int protocol() const noexcept { return protocol_; }
  void set_protocol(int protocol) noexcept { protocol_ = protocol; }
  ByteBuffer& out() noexcept { return out_; }

  void ok() { out_.append("+OK\r\n"); }
  void simple(std::string_view text) { line('+', text); }
  /// `text` begins with its code: "ERR no such key". Line ends in it become blanks.
  void error(std::string_view text);
  void integer(std::int64_t number) { number_line(':', number); }
  void bulk(std::string_view bytes) {
    char* to = out_.room(bytes.size() + 32);
    char* at = to;
    *at++ = '$';
    at = std::to_chars(at, at + 24, bytes.size()).ptr;
    *at++ = '\r';
    *at++ = '\n';
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    at += bytes.size();
    *at++ = '\r';
    *at++ = '\n';
    out_.add(static_cast<std::size_t>(at - to));
  }
  /// The number as text.
  void bulk(std::int64_t number) {
    char text[24];
    bulk(std::string_view(text, static_cast<std::size_t>(std::to_chars(text, text + sizeof text, number).ptr - text)));
  }
  void null() { out_.append(protocol_ == 2 ? "$-1\r\n" : "_\r\n"); }
  /// Where RESP2 has an array that isn't there.
  void null_array() { out_.append(protocol_ == 2 ? "*-1\r\n" : "_\r\n"); }
  void array(std::size_t count) { number_line('*', static_cast<std::int64_t>(count)); }
  /// Of `count` pairs; in RESP2 an array of twice as many.
  void map(std::size_t count) { protocol_ == 2 ? array(count * 2) : number_line('%', static_cast<std::int64_t>(count)); }
  void set(std::size_t count) { number_line(protocol_ == 2 ? '*' : '~', static_cast<std::int64_t>(count)); }
  /// What wasn't asked for: messages.
  void push(std::size_t count) { number_line(protocol_ == 2 ? '*' : '>', static_cast<std::int64_t>(count)); }
  /// A double: text in RESP2.
  void real(double number);
  /// 1 or 0 in RESP2.
  void boolean(bool yes) { protocol_ == 2 ? integer(yes ? 1 : 0) : out_.append(yes ? "#t\r\n" : "#f\r\n"); }
  /// Text that redis-cli prints as it is.
  void verbatim(std::string_view text);

 private:
  void line(char kind, std::string_view text);
  void number_line(char kind, std::int64_t number) {
    char* to = out_.room(32);
    *to = kind;
    char* end = std::to_chars(to + 1, to + 24, number).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out_.add(static_cast<std::size_t>(end - to));
  }

  ByteBuffer& out_;
  int protocol_;
};

}  // namespace cubby::server
