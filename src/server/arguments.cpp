// SPDX-License-Identifier: Apache-2.0
#include "server/arguments.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "server/values.hpp"

namespace cubby::server {

void fail_syntax() { throw CommandError("ERR syntax error"); }
void fail_wrong_type() { throw CommandError("WRONGTYPE Operation against a key holding the wrong kind of value"); }
void fail_not_integer() { throw CommandError("ERR value is not an integer or out of range"); }
void fail_arguments(std::string_view command) {
  throw CommandError("ERR wrong number of arguments for '" + std::string(command) + "' command");
}

bool is_word(std::string_view argument, std::string_view word) noexcept {
  if (argument.size() != word.size()) return false;
  for (std::size_t index = 0; index < word.size(); ++index) {
    const char byte = argument[index];
    if ((byte >= 'a' && byte <= 'z' ? static_cast<char>(byte - 32) : byte) != word[index]) return false;
  }
  return true;
}

std::int64_t to_integer(std::string_view argument, const char* error) {
  if (const auto number = canonical_integer(argument)) return *number;
  throw CommandError(error);
}

std::int64_t to_integer_between(std::string_view argument, std::int64_t least, std::int64_t most, const char* error) {
  const auto number = canonical_integer(argument);
  if (!number || *number < least || *number > most) throw CommandError(error);
  return *number;
}

long double to_real(std::string_view argument, const char* error) {
  if (const auto number = read_real(argument)) return *number;
  throw CommandError(error);
}

Timeout to_timeout(std::string_view argument) {
  const auto seconds = read_real(argument);
  if (!seconds) throw CommandError("ERR timeout is not a float or out of range");
  if (*seconds < 0) throw CommandError("ERR timeout is negative");
  const long double ms = std::ceil(*seconds * 1000);
  if (ms > static_cast<long double>(std::numeric_limits<std::int64_t>::max() - now_ms())) {
    throw CommandError("ERR timeout is out of range");
  }
  if (ms == 0) return std::nullopt;
  return std::chrono::duration<long double, std::milli>(ms);
}

std::int64_t now_ms() noexcept { return to_ms(std::chrono::system_clock::now()); }

TimePoint time_point(std::int64_t ms) noexcept {
  using std::chrono::milliseconds;
  constexpr auto kMost = std::chrono::floor<milliseconds>(TimePoint::duration::max());
  constexpr auto kLeast = std::chrono::ceil<milliseconds>(TimePoint::duration::min());
  return TimePoint(std::chrono::duration_cast<TimePoint::duration>(std::clamp(milliseconds(ms), kLeast, kMost)));
}

std::int64_t to_ms(TimePoint time) noexcept {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::int64_t to_deadline_ms(std::string_view argument, TimeUnit unit, TimeBase base, bool positive, std::string_view command) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::int64_t time = to_integer(argument);
  const auto fail = [&] { throw CommandError("ERR invalid expire time in '" + std::string(command) + "' command"); };
  if (positive && time <= 0) fail();
  if (unit == TimeUnit::seconds) {
    if (time > kMost / 1000 || time < -(kMost / 1000)) fail();
    time *= 1000;
  }
  if (base == TimeBase::from_now) {
    const std::int64_t now = now_ms();
    if (time > kMost - now) fail();
    time += now;
  }
  return time;
}

std::optional<Range> to_range(std::int64_t first, std::int64_t last, std::size_t length) noexcept {
  const auto size = static_cast<std::int64_t>(length);
  if (first < 0) first = first < -size ? 0 : first + size;
  if (last < 0) last = last < -size ? -1 : last + size;
  if (last >= size) last = size - 1;
  if (first > last || first >= size) return std::nullopt;
  return Range{static_cast<std::size_t>(first), static_cast<std::size_t>(last - first + 1)};
}

namespace {

char folded(char byte, bool fold_case) noexcept {
  return fold_case ? static_cast<char>(std::tolower(static_cast<unsigned char>(byte))) : byte;
}

/// Whether `byte` is in the set that begins behind the `[` at `place`, which goes behind its `]`. An open set ends with the
/// pattern.
bool in_set(std::string_view pattern, std::size_t& place, char byte, bool fold_case) noexcept {
  const bool negated = place < pattern.size() && pattern[place] == '^';
  if (negated) ++place;
  bool found = false;
  while (place < pattern.size() && pattern[place] != ']') {
    if (pattern[place] == '\\' && place + 1 < pattern.size()) {
      ++place;
      found |= folded(pattern[place++], fold_case) == folded(byte, fold_case);
    } else if (place + 2 < pattern.size() && pattern[place + 1] == '-') {
      auto low = static_cast<unsigned char>(folded(pattern[place], fold_case));
      auto high = static_cast<unsigned char>(folded(pattern[place + 2], fold_case));
      if (low > high) std::swap(low, high);
      const auto at = static_cast<unsigned char>(folded(byte, fold_case));
      found |= at >= low && at <= high;
      place += 3;
    } else {
      found |= folded(pattern[place++], fold_case) == folded(byte, fold_case);
    }
  }
  if (place < pattern.size()) ++place;
  return found != negated;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text, bool fold_case) noexcept {
  // As Redis has it: `**` and the like don't match an empty text.
  if (text.empty()) return pattern.empty() || pattern == "*";
  // Only the last star has to be gone back to, so it is quadratic at worst.
  std::size_t at = 0;
  std::size_t place = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_at = 0;
  while (at < text.size()) {
    if (place < pattern.size() && pattern[place] == '*') {
      star = place++;
      star_at = at;
      continue;
    }
    std::size_t next = place;
    bool same = false;
    if (place < pattern.size()) {
      switch (pattern[place]) {
        case '?':
          same = true;
          next = place + 1;
          break;
        case '[':
          next = place + 1;
          same = in_set(pattern, next, text[at], fold_case);
          break;
        case '\\':
          if (place + 1 < pattern.size()) ++next;
          [[fallthrough]];
        default:
          same = folded(pattern[next], fold_case) == folded(text[at], fold_case);
          ++next;
      }
    }
    if (same) {
      place = next;
      ++at;
    } else if (star != std::string_view::npos) {
      place = star + 1;
      at = ++star_at;
    } else {
      return false;
    }
  }
  while (place < pattern.size() && pattern[place] == '*') ++place;
  return place == pattern.size();
}

std::optional<std::string_view> as_prefix(std::string_view pattern) noexcept {
  if (!pattern.ends_with('*')) return std::nullopt;
  const std::string_view prefix = pattern.substr(0, pattern.find('*'));
  if (pattern.find_first_not_of('*', prefix.size()) != std::string_view::npos) return std::nullopt;
  if (prefix.find_first_of("?[\\") != std::string_view::npos) return std::nullopt;
  if (prefix.empty() && pattern.size() > 1) return std::nullopt;  // `**` doesn't match the empty text
  return prefix;
}

}  // namespace cubby::server
