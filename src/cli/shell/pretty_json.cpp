// SPDX-License-Identifier: Apache-2.0
#include <cubby/error.hpp>
#include <cubby/value.hpp>
#include <utility>
#include <vector>

#include "cli/shell/printing.hpp"

namespace cubby::cli::shell {

namespace {

constexpr std::string_view kNameColour = "\x1b[34;1m";
constexpr std::string_view kStringColour = "\x1b[32m";
constexpr std::string_view kNumberColour = "\x1b[36m";
constexpr std::string_view kWordColour = "\x1b[35m";
constexpr std::string_view kPlainColour = "\x1b[0m";

/// A part of the text.
struct JsonPart {
  std::string_view name;   ///< of a member, in its quotes; empty otherwise
  std::string_view token;  ///< of what is no container
  char bracket = '\0';     ///< of a container: how it opens
  std::vector<JsonPart> parts;
  std::size_t length = 0;  ///< in one line
};

/// Splits text that is known to be JSON. It isn't nested more deeply than Value::parse allows.
class JsonSplitter {
 public:
  explicit JsonSplitter(std::string_view text) : text_(text) {}

  JsonPart part() {
    JsonPart part;
    skip();
    if (text_[at_] != '{' && text_[at_] != '[') {
      part.token = token();
      part.length = part.token.size();
      return part;
    }
    part.bracket = text_[at_++];
    const bool object = part.bracket == '{';
    part.length = 2;
    for (skip(); text_[at_] != '}' && text_[at_] != ']'; skip()) {
      if (text_[at_] == ',') {
        ++at_;
        skip();
      }
      std::string_view name;
      if (object) {
        name = token();
        skip();
        ++at_;  // the colon
      }
      JsonPart& inner = part.parts.emplace_back(this->part());
      inner.name = name;
      part.length += inner.length + 2 + (object ? name.size() + 2 : 0);
    }
    if (!part.parts.empty()) part.length -= 2;
    ++at_;
    return part;
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }
  std::string_view token() {
    const std::size_t begin = at_;
    if (text_[at_] == '"') {
      for (++at_; text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
      ++at_;
    } else {
      at_ = std::min(text_.find_first_of(" \n\r\t,:]}", at_), text_.size());
    }
    return text_.substr(begin, at_ - begin);
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class JsonPrinter {
 public:
  explicit JsonPrinter(const PrintStyle& style) : style_(style) {}

  std::string out;

  void print(const JsonPart& part, std::size_t margin) {
    if (!part.name.empty()) {
      token(part.name, kNameColour);
      out += ": ";
    }
    if (part.bracket == '\0') {
      const char first = part.token.front();
      token(part.token, first == '"'                                     ? kStringColour
                        : first == '-' || (first >= '0' && first <= '9') ? kNumberColour
                                                                         : kWordColour);
      return;
    }
    const std::size_t named = part.name.empty() ? 0 : part.name.size() + 2;
    const bool lines = margin + named + part.length > style_.width;
    out += part.bracket;
    for (const JsonPart& inner : part.parts) {
      if (&inner != &part.parts.front()) out += lines ? "," : ", ";
      if (lines) out.append("\n").append(margin + 2, ' ');
      print(inner, margin + 2);
    }
    if (lines) out.append("\n").append(margin, ' ');
    out += part.bracket == '{' ? '}' : ']';
  }

 private:
  void token(std::string_view text, std::string_view colour) {
    if (style_.colours) out += colour;
    out += printable(text);
    if (style_.colours) out += kPlainColour;
  }

  const PrintStyle& style_;
};

bool is_json(std::string_view text) {
  try {
    static_cast<void>(Value::parse(text));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::optional<std::string> pretty_json(std::string_view text, const PrintStyle& style, std::size_t margin) {
  if (!is_json(text)) return std::nullopt;
  JsonPrinter printer(style);
  printer.print(JsonSplitter(text).part(), margin);
  return std::move(printer.out);
}

}  // namespace cubby::cli::shell
