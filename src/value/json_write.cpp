// SPDX-License-Identifier: Apache-2.0

// Values to JSON text. Reals: the shortest digits that read back to the same double, never in the spelling of an integer.
// Integral ones below 1e16 are written out with ".0" (100000.0); beyond, and for small fractions, std::to_chars chooses, so
// 1e+300, which reads back as a real too. Minus zero is -0.0. Recursion ends at 512 levels, as values do.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cubby/error.hpp>

#include "value/access.hpp"
#include "value/extended_json.hpp"

namespace cubby::detail {

namespace {

using node::View;

/// What a byte needs in a JSON string: nothing, UTF-8 validation, or an escape.
enum class Care : char { none, escape, validate };

constexpr Care care_of(unsigned char byte) noexcept {
  if (byte >= 0x80) return Care::validate;
  return byte < 0x20 || byte == '"' || byte == '\\' ? Care::escape : Care::none;
}

/// Length of the well-formed UTF-8 sequence at the start of the text, 0 if there is none. REQUIRES a byte >= 0x80 there.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) -> unsigned { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned lead = byte(0), second = byte(1);
  if (lead < 0xc2 || lead > 0xf4 || !continues(1)) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) {
    if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || !continues(2)) return 0;
    return 3;
  }
  if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f) || !continues(2) || !continues(3)) return 0;
  return 4;
}

void append_escape(std::string& out, unsigned char byte) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '\\';
  switch (byte) {
    case '\b':
      out += 'b';
      break;
    case '\f':
      out += 'f';
      break;
    case '\n':
      out += 'n';
      break;
    case '\r':
      out += 'r';
      break;
    case '\t':
      out += 't';
      break;
    case '"':
    case '\\':
      out += static_cast<char>(byte);
      break;
    default:
      out += "u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
  }
}

/// Appends the text in quotes; returns where it stops being UTF-8, or npos.
std::size_t append_quoted(std::string& out, std::string_view text) {
  out += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    switch (care_of(byte)) {
      case Care::none:
        ++i;
        break;
      case Care::validate: {
        const std::size_t length = sequence_length(text.substr(i));
        if (length == 0) return i;
        i += length;
        break;
      }
      case Care::escape:
        out.append(text, done, i - done);
        append_escape(out, byte);
        done = ++i;
    }
  }
  out.append(text, done);
  out += '"';
  return std::string_view::npos;
}

void append_integer(std::string& out, std::int64_t integer) {
  char digits[24];
  out.append(digits, std::to_chars(digits, std::end(digits), integer).ptr);
}

void append_real(std::string& out, double real) {
  char digits[40];
  const bool written_out = std::abs(real) < 1e16 && real == std::trunc(real);
  const char* const end = written_out ? std::to_chars(digits, std::end(digits), real, std::chars_format::fixed).ptr
                                      : std::to_chars(digits, std::end(digits), real).ptr;
  const std::string_view text(digits, static_cast<std::size_t>(end - digits));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

class Writer {
 public:
  Writer(std::string& out, int indent) : out_(out), indent_(indent) {}

  void write(const View& value, int level) {
    switch (value.tag()) {
      case node::kFalse:
        out_ += "false";
        break;
      case node::kTrue:
        out_ += "true";
        break;
      case node::kInteger:
        append_integer(out_, value.integer());
        break;
      case node::kReal:
        write_real(value.real(), level);
        break;
      case node::kShortString:
      case node::kString:
        write_string(value.string(), "the string");
        break;
      case node::kBinary:
        write_binary(value, level);
        break;
      case node::kArray:
        write_array(value.node(), level);
        break;
      case node::kObject:
        write_object(value.node(), level);
        break;
      default:
        out_ += "null";
    }
  }

 private:
  // Where the writer is, for messages: a list that lives on the stack.
  struct Place {
    const Place* outer;
    bool in_array;
    std::size_t index;
    std::string_view name;
  };

  void break_line(int level) {
    if (indent_ < 0) return;
    out_ += '\n';
    out_.append(static_cast<std::size_t>(indent_) * static_cast<std::size_t>(level), ' ');
  }

  void write_string(std::string_view text, const char* what) {
    const std::size_t invalid = append_quoted(out_, text);
    if (invalid == std::string_view::npos) return;
    throw Error(Errc::invalid_argument, std::string("to_json: ") + what + place() + " is not UTF-8 at its byte " +
                                            std::to_string(invalid) + "; JSON can't hold it (binary can)");
  }

  void write_name(std::string_view name) {
    out_ += '"';
    out_ += name;
    out_ += indent_ < 0 ? "\":" : "\": ";
  }

  void write_real(double real, int level) {
    if (std::isfinite(real)) return append_real(out_, real);
    out_ += '{';
    break_line(level + 1);
    write_name(kRealForm);
    out_ += '"';
    out_ += spell_real(real);
    out_ += '"';
    break_line(level);
    out_ += '}';
  }

  void write_binary(const View& value, int level) {
    out_ += '{';
    break_line(level + 1);
    write_name(kBinaryForm);
    out_ += '{';
    break_line(level + 2);
    write_name(kBinaryBytes);
    out_ += '"';
    append_base64(out_, {node::text_bytes(value.node()), node::text_length(value.node())});
    out_ += "\",";
    break_line(level + 2);
    write_name(kBinaryKind);
    out_ += '"';
    out_ += kGenericKind;
    out_ += '"';
    break_line(level + 1);
    out_ += '}';
    break_line(level);
    out_ += '}';
  }

  void write_array(const std::byte* array, int level) {
    const std::size_t elements = node::count(array);
    Place here{place_, true, 0, {}};
    place_ = &here;
    out_ += '[';
    for (; here.index < elements; ++here.index) {
      if (here.index != 0) out_ += ',';
      break_line(level + 1);
      write(node::decode(array, node::array_slot(array, here.index)), level + 1);
    }
    if (elements != 0) break_line(level);
    out_ += ']';
    place_ = here.outer;
  }

  void write_object(const std::byte* bytes, int level) {
    const node::Object object(bytes);
    Place here{place_, false, 0, {}};
    out_ += '{';
    for (; here.index < object.count(); ++here.index) {
      if (here.index != 0) out_ += ',';
      break_line(level + 1);
      here.name = object.name(here.index);
      write_string(here.name, "a member name in the object");
      out_ += indent_ < 0 ? ":" : ": ";
      place_ = &here;
      write(node::decode(bytes, object.slot(here.index)), level + 1);
      place_ = here.outer;
    }
    if (object.count() != 0) break_line(level);
    out_ += '}';
  }

  /// " at /users/3/name", or nothing at the top.
  std::string place() const {
    std::string path;
    for (const Place* at = place_; at != nullptr; at = at->outer) {
      path.insert(0, at->in_array ? std::to_string(at->index) : std::string(at->name));
      path.insert(0, 1, '/');
    }
    return path.empty() ? path : " at " + path;
  }

  std::string& out_;
  const int indent_;
  const Place* place_ = nullptr;
};

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = sequence_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

void append_json(std::string& out, const Value& value, int indent, int level) {
  const std::size_t size = out.size();
  try {
    Writer(out, indent).write(ValueAccess::view(value), level);
  } catch (...) {
    out.resize(size);
    throw;
  }
}

void append_json_string(std::string& out, std::string_view text) {
  const std::size_t size = out.size();
  const std::size_t invalid = append_quoted(out, text);
  if (invalid == std::string_view::npos) return;
  out.resize(size);
  throw Error(Errc::invalid_argument, "the text is not UTF-8 at its byte " + std::to_string(invalid));
}

}  // namespace cubby::detail
