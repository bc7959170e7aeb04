// SPDX-License-Identifier: Apache-2.0
#include "cli/json_members.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cubby/error.hpp>
#include <string>
#include <vector>

#include "cli/exit_codes.hpp"
#include "value/access.hpp"

namespace cubby::cli {

namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Finds where members end; whether they are JSON, the parser says.
class Members {
 public:
  explicit Members(const std::function<void(std::string_view, Value)>& member) : member_(member) {}

  void take(std::string_view block) {
    for (const char c : block) {
      take(c);
      ++place_;
    }
  }

  void finish() const {
    if (state_ == State::before) fail(place_, "there is nothing");
    if (state_ != State::behind) fail(place_, "it ends within the object");
  }

 private:
  enum class State { before, inside, behind };

  [[noreturn]] static void fail(std::uint64_t place, std::string_view what) {
    throw UsageError(fmt::format("standard input is no JSON object of {{key: value}}: byte {}: {}", place, what));
  }

  void take(char c) {
    if (state_ == State::before) {
      if (c == '{') {
        state_ = State::inside;
        text_ = "{";
        start_ = place_ + 1;
      } else if (!is_space(c)) {
        fail(place_, "it doesn't begin with {");
      }
      return;
    }
    if (state_ == State::behind) {
      if (!is_space(c)) fail(place_, "there is something behind the object");
      return;
    }
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (depth_ == 0 && (c == ',' || c == '}')) {
      end_member(c == '}');
      return;
    } else if (c == '}' || c == ']') {
      if (depth_ == 0) fail(place_, "nothing is open that this would close");
      --depth_;
    }
    text_ += c;
  }

  void end_member(bool last) {
    const bool blank = text_.find_first_not_of(" \n\r\t", 1) == text_.npos;
    if (blank && (!last || members_ != 0)) fail(place_, "a member is missing");
    if (!blank) parse();
    ++members_;
    text_.resize(1);
    start_ = place_ + 1;
    if (last) state_ = State::behind;
  }

  void parse() {
    text_ += '}';
    try {
      detail::parse_json_object(text_,
                                [this](std::string_view name, Value value, std::size_t) { member_(name, std::move(value)); });
    } catch (const Error& error) {
      if (error.code() != Errc::parse) throw;
      std::string what = error.what();  // "JSON text, byte 7: ..."
      if (const auto colon = what.find(": "); colon != what.npos) what.erase(0, colon + 2);
      fail(start_ + std::max<std::size_t>(error.offset(), 1) - 1, what);
    }
  }

  const std::function<void(std::string_view, Value)>& member_;
  State state_ = State::before;
  bool in_string_ = false;
  bool escaped_ = false;
  std::uint64_t depth_ = 0;  ///< within the member
  std::uint64_t members_ = 0;
  std::uint64_t place_ = 0;
  std::uint64_t start_ = 0;  ///< of the member's text
  std::string text_;         ///< a brace, and the member so far
};

}  // namespace

void read_json_members(std::FILE* stream, const std::function<void(std::string_view name, Value value)>& member,
                       const std::function<void(std::uint64_t bytes)>& progress) {
  Members members(member);
  std::vector<char> block(std::size_t{256} << 10);
  std::uint64_t read = 0;
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), stream)) {
    members.take({block.data(), got});
    progress(read += got);
  }
  if (std::ferror(stream) != 0) throw UsageError("standard input could not be read");
  members.finish();
}

}  // namespace cubby::cli
