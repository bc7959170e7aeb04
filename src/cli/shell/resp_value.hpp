// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cubby::cli::shell {

/// A reply or a message of RESP2 or RESP3.
struct RespValue {
  /// RESP's own letter: `+` simple, `-` error, `:` integer, `$` string, `*` array, `_` null, `#` boolean, `,` real, `(` big
  /// number, `=` verbatim text, `%` map, `~` set, `>` push. RESP2's nulls are `_` too, and `!`, an error as a string, is `-`.
  char kind = '_';
  std::string text;              ///< of those that are no aggregates; of verbatim text without its format
  std::vector<RespValue> items;  ///< of aggregates; of a map its keys and values in turn

  bool is_error() const noexcept { return kind == '-'; }
  bool is_null() const noexcept { return kind == '_'; }
  bool is_aggregate() const noexcept { return kind == '*' || kind == '%' || kind == '~' || kind == '>'; }
};

/// What came isn't RESP.
struct RespError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Puts replies together from the bytes that come, however these are cut.
class RespReader {
 public:
  void feed(std::string_view bytes) { bytes_ += bytes; }
  /// The next that is there as a whole. Throws RespError.
  std::optional<RespValue> next();
  void clear();

 private:
  struct Open {
    RespValue value;
    std::size_t missing;
  };
  std::optional<std::string_view> line();
  bool read_head(RespValue& value, std::size_t& items, bool& opens);

  std::string bytes_;
  std::size_t at_ = 0;
  std::vector<Open> open_;  ///< aggregates that aren't whole, the outermost first
};

}  // namespace cubby::cli::shell
