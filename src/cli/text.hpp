// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <string_view>

/// Reading and writing the small texts of the command line: durations, keys in messages, JSON arguments.
namespace cubby {
class Value;
}

namespace cubby::cli {

/// Reads "500ms", "10s", "1.5h", "2d"; units are ms, s, m, h, d and w; "0" needs none. Throws UsageError naming `what`.
std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what);

/// The shortest of the units above that shows `length` with two or three digits, for people: "840ns", "1.2us", "31ms", "2.5s".
std::string brief(std::chrono::nanoseconds length);

/// 1234567 as "1,234,567".
std::string grouped(unsigned long long number);
/// "1 key", "1,234 keys".
std::string counted(unsigned long long number, std::string_view what);

/// `bytes` as "12 B", "3.4 KiB", "5.6 MiB".
std::string brief_bytes(unsigned long long bytes);

/// `text` in quotes, bytes that are no printable UTF-8 escaped, to stand in a message on a terminal.
std::string in_quotes(std::string_view text);

/// Writes `text` to standard error. That it can't be written is no reason to fail: the exit code says what happened.
void tell(const std::string& text) noexcept;

/// True if `text` is UTF-8, as all that goes into a JSON file must be.
bool is_utf8(std::string_view text);

/// The value that an argument spells in JSON; "-" reads it from standard input. Throws UsageError naming `what`, with the byte
/// where the JSON went wrong.
Value read_json(const std::string& argument, std::string_view what);
/// The same, or with `as_string` the text itself.
Value read_value(const std::string& argument, bool as_string, std::string_view what);

/// Throws UsageError if no JSON file could hold `key`.
void check_key(std::string_view key);

}  // namespace cubby::cli
