// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cubby::server {

/// Takes requests out of received bytes: RESP arrays of bulk strings, and lines as a person types them ("inline commands", with
/// quotes as in redis-cli).
///
/// What it has understood of a request that hasn't come in full it keeps, so that a large request in many pieces is looked at
/// once.
///
/// Thread safety: as an int.
class RequestParser {
 public:
  struct Limits {
    std::size_t bulk = std::size_t{512} << 20;           ///< bytes of one argument
    std::size_t arguments = (std::size_t{1} << 31) - 1;  ///< of one request, which its bytes limit too
    std::size_t line = std::size_t{64} << 10;            ///< bytes of a line
    std::size_t request = std::size_t{1024} << 20;       ///< bytes of one request
  };
  /// Of who hasn't signed in: enough for AUTH and HELLO.
  static constexpr Limits unauthenticated() { return {.bulk = 16384, .arguments = 10, .line = 16384, .request = 65536}; }

  enum class Result {
    request,     ///< `arguments` has it; empty for a blank line or an empty array
    incomplete,  ///< more bytes are needed
    error,       ///< error() says why; nothing that follows can be understood
  };

  /// Looks at `bytes`, which begin where the request does. Of a request, `used` is its length, and `arguments` are views into
  /// `bytes` or, of a line with quotes, into this object, until the next call. If it is incomplete, the next call has to give
  /// the same bytes and more.
  Result next(std::string_view bytes, const Limits& limits, std::size_t& used, std::vector<std::string_view>& arguments);

  const std::string& error() const noexcept { return error_; }

  /// How many bytes the request will need at least, as far as one knows: a hint for the buffer.
  std::size_t wanted() const noexcept { return wanted_; }

  /// Forgets the unfinished request.
  void reset();

 private:
  struct Piece {
    std::size_t offset, length;
  };

  Result next_array(std::string_view bytes, const Limits& limits, std::size_t& used, std::vector<std::string_view>& arguments);
  Result next_line(std::string_view bytes, const Limits& limits, std::size_t& used, std::vector<std::string_view>& arguments);
  /// Reads "<digits>\r\n" at `place`, of `longest` bytes at most.
  enum class Number { read, incomplete, wrong, too_long };
  static Number read_number(std::string_view bytes, std::size_t& place, std::size_t longest, long long& number);
  Result fail(std::string text);

  // Of the unfinished array.
  std::size_t place_ = 0;      ///< behind what was understood
  std::size_t remaining_ = 0;  ///< arguments to come
  bool in_array_ = false;
  std::vector<Piece> pieces_;

  std::vector<std::string> unquoted_;
  std::size_t wanted_ = 0;
  std::string error_;
};

}  // namespace cubby::server
