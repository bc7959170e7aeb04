// SPDX-License-Identifier: Apache-2.0
#include "cli/text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cubby/error.hpp>
#include <cubby/value.hpp>

#include "cli/exit_codes.hpp"

namespace cubby::cli {

namespace {

struct Unit {
  std::string_view name;
  double nanoseconds;
};

constexpr std::array kUnits{Unit{"ms", 1e6},   Unit{"s", 1e9},     Unit{"m", 60e9},
                            Unit{"h", 3600e9}, Unit{"d", 86400e9}, Unit{"w", 604800e9}};

std::string read_standard_input() {
  std::string text;
  std::array<char, 65536> buffer;
  while (std::size_t got = std::fread(buffer.data(), 1, buffer.size(), stdin)) text.append(buffer.data(), got);
  if (std::ferror(stdin) != 0) throw UsageError("standard input could not be read");
  return text;
}

/// What an argument stands for, and how to name it in a message.
struct Input {
  std::string name;
  std::string text;
};

Input input(const std::string& argument, std::string_view what) {
  if (argument == "-") return {fmt::format("{} on standard input", what), read_standard_input()};
  return {std::string(what), argument};
}

Value parse_json(const Input& input, std::string_view hint) {
  try {
    return Value::parse(input.text);
  } catch (const Error& error) {
    if (error.code() != Errc::parse && error.code() != Errc::invalid_argument) throw;
    constexpr std::size_t kShown = 60;
    const std::string shown =
        input.text.size() <= kShown ? in_quotes(input.text) : fmt::format("({} bytes)", input.text.size());
    std::string reason = error.what();
    if (reason.ends_with('.')) reason.pop_back();
    throw UsageError(fmt::format("{} {} is not JSON: {}{}", input.name, shown, reason, hint));
  }
}

}  // namespace

std::chrono::nanoseconds parse_duration(std::string_view text, std::string_view what) {
  constexpr std::string_view kHint = "write a number and a unit, such as 500ms, 10s, 5m, 2h or 1d";
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || !std::isfinite(number)) {
    throw UsageError(fmt::format("{} {} is no duration: {}", what, in_quotes(text), kHint));
  }
  if (number < 0) throw UsageError(fmt::format("{} {} is negative: {}", what, in_quotes(text), kHint));
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.empty() && number == 0) return {};
  for (const Unit& candidate : kUnits) {
    if (candidate.name != unit) continue;
    const double nanoseconds = std::round(number * candidate.nanoseconds);
    if (nanoseconds >= 9.2e18) return std::chrono::nanoseconds::max();
    return std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds));
  }
  throw UsageError(fmt::format("{} {} has {}: {}", what, in_quotes(text), unit.empty() ? "no unit" : "an unknown unit", kHint));
}

std::string brief(std::chrono::nanoseconds length) {
  const auto count = static_cast<double>(length.count());
  constexpr std::array<std::pair<double, const char*>, 4> kScales{{{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}}};
  for (const auto& [scale, name] : kScales) {
    const double scaled = count / scale;
    // 999.6 us is 1.0 ms: the unit is chosen for the rounded figure.
    if (scaled < 0.9995 && scale > 1) continue;
    return fmt::format("{:.{}f}{}", scaled, scaled < 9.95 && scale > 1 ? 1 : 0, name);
  }
  return "0ns";
}

std::string grouped(unsigned long long number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::string counted(unsigned long long number, std::string_view what) {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

std::string brief_bytes(unsigned long long bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double scaled = static_cast<double>(bytes) / 1024;
  for (const char* unit : {"KiB", "MiB"}) {
    if (scaled < 1023.95) return fmt::format("{:.1f} {}", scaled, unit);
    scaled /= 1024;
  }
  return fmt::format("{:.1f} GiB", scaled);
}

bool is_utf8(std::string_view text) {
  try {
    static_cast<void>(Value(text).to_json());
    return true;
  } catch (const Error& error) {
    if (error.code() != Errc::invalid_argument) throw;
    return false;
  }
}

std::string in_quotes(std::string_view text) {
  if (is_utf8(text)) return Value(text).to_json();
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

Value read_json(const std::string& argument, std::string_view what) { return parse_json(input(argument, what), ""); }

Value read_value(const std::string& argument, bool as_string, std::string_view what) {
  const Input read = input(argument, what);
  if (!as_string) return parse_json(read, ". Quote strings, as in '\"text\"', or pass --string for plain text");
  if (!is_utf8(read.text)) {
    throw UsageError(
        fmt::format("{} is not UTF-8, which a JSON file needs: convert it (iconv -t UTF-8), or encode it (base64)", read.name));
  }
  return Value(read.text);
}

void check_key(std::string_view key) {
  constexpr std::size_t kLongest = 65535;
  if (key.size() > kLongest) throw UsageError(fmt::format("a key has {} bytes; {} are the most", key.size(), kLongest));
  if (key == "$cubby") throw UsageError("key \"$cubby\" is where the file keeps deadlines: choose another name");
  if (!is_utf8(key))
    throw UsageError(
        fmt::format("key {} is not UTF-8, which a JSON file needs: encode it, for instance in base64", in_quotes(key)));
}

void tell(const std::string& text) noexcept { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace cubby::cli
