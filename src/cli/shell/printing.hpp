// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/shell/resp_value.hpp"

/// How replies look.
namespace cubby::cli::shell {

struct PrintStyle {
  bool colours = false;
  std::size_t width = 80;  ///< JSON that is longer goes over several lines
};

/// For people: as redis-cli does on a terminal, strings in quotes and numbered elements; JSON in colours, over several lines if
/// it is long. `json`: a string is JSON if it can be; otherwise only if it is an array or an object. Ends with a line break.
std::string formatted(const RespValue& value, const PrintStyle& style, bool json = false);

/// For programs: strings as they are, elements a line each. Ends with a line break.
std::string raw(const RespValue& value);

/// In quotes, with what can't be printed escaped, as it may be typed: "a\n\xff".
std::string in_double_quotes(std::string_view text);
/// The same without quotes, for lines that others have written.
std::string printable(std::string_view text);

/// JSON text, indented and coloured; empty if it is no JSON. Members, numbers and escapes stay as they are. Lines behind the
/// first begin with `margin` blanks.
std::optional<std::string> pretty_json(std::string_view text, const PrintStyle& style, std::size_t margin);

/// Columns of the terminal; 80 where there is none.
std::size_t terminal_width();
/// Whether standard output shows colours.
bool has_colours();

}  // namespace cubby::cli::shell
