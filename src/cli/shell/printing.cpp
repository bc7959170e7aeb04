// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/printing.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace cubby::cli::shell {

namespace {

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kFaint = "\x1b[2m";
constexpr std::string_view kNormal = "\x1b[0m";

std::string coloured(std::string text, std::string_view colour, const PrintStyle& style) {
  return style.colours ? fmt::format("{}{}{}", colour, text, kNormal) : text;
}

/// How many bytes the printable character at the beginning has; 0 if there is none.
std::size_t printable_length(std::string_view text) {
  const auto byte = [&](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  if (byte(0) < 0x80) return byte(0) >= 0x20 && byte(0) != 0x7f ? 1 : 0;
  const std::size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return 0;
  for (std::size_t index = 1; index < size; ++index) {
    if ((byte(index) & 0xc0) != 0x80) return 0;
  }
  // Control characters, overlong forms, surrogates, and what is beyond Unicode.
  if (byte(0) == 0xc2 && byte(1) < 0xa0) return 0;
  if ((byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) > 0x9f)) return 0;
  if ((byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) > 0x8f)) return 0;
  // Marks that turn the direction of what stands around them.
  if (byte(0) == 0xe2 && byte(1) == 0x80 && byte(2) >= 0xaa && byte(2) <= 0xae) return 0;
  return size;
}

void escape(std::string_view text, bool quotes, std::string& out) {
  while (!text.empty()) {
    const char first = text.front();
    std::size_t size = 1;
    if (first == '\n') {
      out += "\\n";
    } else if (first == '\r') {
      out += "\\r";
    } else if (first == '\t') {
      out += "\\t";
    } else if (quotes && (first == '"' || first == '\\')) {
      out.append("\\").append(1, first);
    } else if (size = printable_length(text); size != 0) {
      out += text.substr(0, size);
    } else {
      size = 1;
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(first));
    }
    text.remove_prefix(size);
  }
}

std::string formatted_scalar(const RespValue& value, const PrintStyle& style, bool json, std::size_t margin) {
  switch (value.kind) {
    case '+':
      return printable(value.text);
    case '-':
      return coloured("(error) " + printable(value.text), kRed, style);
    case ':':
      return "(integer) " + printable(value.text);
    case ',':
      return "(double) " + printable(value.text);
    case '(':
      return "(big number) " + printable(value.text);
    case '#':
      return value.text == "t" ? "(true)" : "(false)";
    case '_':
      return coloured("(nil)", kFaint, style);
    case '=':
      return value.text;
    default:
      break;
  }
  const bool container = !value.text.empty() && (value.text.front() == '{' || value.text.front() == '[');
  if (container || json) {
    if (std::optional<std::string> text = pretty_json(value.text, style, margin)) return *text;
  }
  return in_double_quotes(value.text);
}

void append_formatted(const RespValue& value, const PrintStyle& style, bool json, std::size_t margin, std::string& out) {
  if (!value.is_aggregate()) {
    out += formatted_scalar(value, style, json, margin);
    out += '\n';
    return;
  }
  const bool map = value.kind == '%';
  if (value.items.empty()) {
    out += map ? "(empty hash)\n" : value.kind == '~' ? "(empty set)\n" : "(empty array)\n";
    return;
  }
  const char mark = map ? '#' : value.kind == '~' ? '~' : ')';
  const std::size_t count = map ? value.items.size() / 2 : value.items.size();
  const std::size_t digits = std::to_string(count).size();
  for (std::size_t index = 0; index < count; ++index) {
    if (index != 0) out.append(margin, ' ');
    out += coloured(fmt::format("{:>{}}{}", index + 1, digits, mark), kFaint, style) + ' ';
    const std::size_t inner = margin + digits + 2;
    if (map) {
      std::string name;
      append_formatted(value.items[2 * index], style, false, inner, name);
      name.pop_back();
      out += name + " => ";
      const RespValue& member = value.items[2 * index + 1];
      // Behind the name if it fits in one line, else below.
      if (member.is_aggregate() && !member.items.empty()) out.append("\n").append(inner, ' ');
      append_formatted(member, style, json, inner, out);
    } else {
      append_formatted(value.items[index], style, json, inner, out);
    }
  }
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  escape(text, false, out);
  return out;
}

std::string in_double_quotes(std::string_view text) {
  std::string out = "\"";
  escape(text, true, out);
  return out + '"';
}

std::string formatted(const RespValue& value, const PrintStyle& style, bool json) {
  std::string out;
  append_formatted(value, style, json, 0, out);
  // Texts such as that of INFO end with a line break of their own.
  if (out.ends_with("\n\n")) out.pop_back();
  return out;
}

std::string raw(const RespValue& value) {
  if (value.is_null()) return "\n";
  if (value.kind == '#') return value.text == "t" ? "true\n" : "false\n";
  if (!value.is_aggregate()) return value.kind == '=' && value.text.ends_with('\n') ? value.text : value.text + "\n";
  std::string out;
  for (const RespValue& item : value.items) out += raw(item);
  return out.empty() ? "\n" : out;
}

std::size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

bool has_colours() {
  const char* none = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) == 1 && (none == nullptr || none[0] == '\0') && terminal != nullptr &&
         std::string_view(terminal) != "dumb";
}

}  // namespace cubby::cli::shell
