// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reading the arguments of commands, with Redis's errors where they are wrong.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <cubby/options.hpp>

#include "server/command.hpp"

namespace cubby::server {

/// `word` is in upper case.
bool is_word(std::string_view argument, std::string_view word) noexcept;

/// Throws CommandError `error` otherwise.
std::int64_t to_integer(std::string_view argument, const char* error = "ERR value is not an integer or out of range");
std::int64_t to_integer_between(std::string_view argument, std::int64_t least, std::int64_t most, const char* error);
long double to_real(std::string_view argument, const char* error = "ERR value is not a valid float");

/// A timeout in seconds of a blocking command; 0 is for ever.
Timeout to_timeout(std::string_view argument);

/// How SET, GETEX and EXPIRE give times.
enum class TimeUnit : std::uint8_t { seconds, milliseconds };
enum class TimeBase : std::uint8_t { from_now, since_epoch };
/// The deadline in milliseconds since the epoch, as Redis computes it. Throws "ERR invalid expire time in 'command' command" if
/// it is out of range or, with `positive`, not above zero.
std::int64_t to_deadline_ms(std::string_view argument, TimeUnit unit, TimeBase base, bool positive, std::string_view command);

std::int64_t now_ms() noexcept;
/// The library counts nanoseconds: what is out of their range (1677 to 2262) becomes its end.
TimePoint time_point(std::int64_t ms) noexcept;
/// To the millisecond.
std::int64_t to_ms(TimePoint time) noexcept;

/// Places of `first` and `last`, as LRANGE counts them (negative: from the end), in a sequence of this length. Empty: none.
struct Range {
  std::size_t first, count;
};
std::optional<Range> to_range(std::int64_t first, std::int64_t last, std::size_t length) noexcept;

/// Redis's glob patterns: * ? [a-z] [^a] and \ before what stands for itself.
bool matches(std::string_view pattern, std::string_view text, bool fold_case = false) noexcept;
/// What every match begins with, if that is all the pattern says but for a `*` at its end: a prefix.
std::optional<std::string_view> as_prefix(std::string_view pattern) noexcept;

}  // namespace cubby::server
