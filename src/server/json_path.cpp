// SPDX-License-Identifier: Apache-2.0
#include "server/json_path.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "server/command.hpp"

namespace cubby::server {

namespace {

/// Each further one multiplies what there is to look at by the depth of the value.
constexpr int kMostDescents = 2;
/// Values nest less deep by far, and a step takes many times the memory of its text.
constexpr std::size_t kMostPathSteps = 16'384;

class PathReader {
 public:
  explicit PathReader(std::string_view text) : text_(text) {}

  std::vector<JsonPath::Step> read() {
    std::vector<JsonPath::Step> steps;
    ++at_;  // the `$`
    while (at_ < text_.size()) {
      if (steps.size() == kMostPathSteps) fail("a path may have " + std::to_string(kMostPathSteps) + " steps at most");
      steps.push_back(step());
    }
    return steps;
  }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw CommandError("ERR Error occurred on position " + std::to_string(at_) + ", " + std::string(what));
  }
  bool take(char byte) {
    if (at_ == text_.size() || text_[at_] != byte) return false;
    ++at_;
    return true;
  }

  JsonPath::Step step() {
    bool descends = false;
    if (take('.')) {
      descends = take('.');
      if (descends && ++descents_ > kMostDescents) fail("a path may have two `..` at most");
      if (!take('[')) return named(descends);
    } else if (!take('[')) {
      fail("expected `.` or `[`");
    }
    JsonPath::Step step = bracket(descends);
    if (!take(']')) fail("expected `]` (unions, slices and filters are not supported)");
    return step;
  }

  JsonPath::Step named(bool descends) {
    if (take('*')) return {JsonPath::Kind::all, descends, {}, 0};
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '[') {
      constexpr std::string_view kNeedQuotes = "]*()'\"?@,<>=!&|{}\\";
      const char byte = text_[at_];
      const bool blank = static_cast<unsigned char>(byte) <= ' ';
      if (blank || kNeedQuotes.find(byte) != std::string_view::npos) fail("a name with this character needs ['...']");
      ++at_;
    }
    if (at_ == begin) fail("expected a name");
    return {JsonPath::Kind::member, descends, std::string(text_.substr(begin, at_ - begin)), 0};
  }

  /// What is between [ and ].
  JsonPath::Step bracket(bool descends) {
    skip_blanks();
    JsonPath::Step step{JsonPath::Kind::all, descends, {}, 0};
    if (take('\'')) {
      step.kind = JsonPath::Kind::member;
      step.name = quoted('\'');
    } else if (take('"')) {
      step.kind = JsonPath::Kind::member;
      step.name = quoted('"');
    } else if (!take('*')) {
      step.kind = JsonPath::Kind::element;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), step.index);
      if (error != std::errc()) fail("expected an index, a name in quotes or `*` (slices and filters are not supported)");
      at_ = static_cast<std::size_t>(end - text_.data());
    }
    skip_blanks();
    return step;
  }

  std::string quoted(char quote) {
    std::string name;
    while (!take(quote)) {
      if (take('\\') && at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\') {
        fail("only the quote and the backslash may be escaped");
      }
      if (at_ == text_.size()) fail("the name has no end");
      name += text_[at_++];
    }
    return name;
  }

  void skip_blanks() {
    while (take(' ')) {
    }
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  int descents_ = 0;
};

bool begins_with_root(std::string_view text) {
  return text.starts_with('$') && (text.size() < 2 || text[1] == '.' || text[1] == '[');
}

std::string full_path(std::string_view text) {
  if (begins_with_root(text)) return std::string(text);
  if (text == ".") return "$";
  return (text.starts_with('.') ? "$" : "$.") + std::string(text);
}

std::optional<std::size_t> place_of(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < -count || index >= count) return std::nullopt;
  return static_cast<std::size_t>(index < 0 ? index + count : index);
}

}  // namespace

void JsonEffort::fail() {
  throw CommandError("ERR the path leads through too many values (" + std::to_string(kMostSteps) + " at most)");
}

JsonPath::JsonPath(std::string_view text)
    : legacy_(!begins_with_root(text)), text_(text), full_text_(full_path(text)), steps_(PathReader(full_text_).read()) {}

bool JsonPath::is_definite() const noexcept {
  return std::ranges::all_of(steps_, [](const Step& step) { return step.kind != Kind::all && !step.descends; });
}

JsonPath JsonPath::parent() const {
  JsonPath outer = *this;
  outer.steps_.pop_back();
  return outer;
}

/// Follows a path. It goes down with the value, so it is nested no deeper than values are.
class JsonWalk {
 public:
  JsonWalk(const JsonPath& path, std::vector<Value>& found, std::size_t most, JsonEffort& effort, JsonMatches* matches)
      : steps_(path.steps()), found_(found), most_(most), effort_(effort), matches_(matches) {}

  void walk(const Value& value, std::size_t at = 0) {
    if (found_.size() >= most_) return;
    effort_.step();
    if (at == steps_.size()) return match(value);
    const JsonPath::Step& step = steps_[at];
    switch (step.kind) {
      case JsonPath::Kind::member:
        if (value.is_object()) {
          if (const auto member = value.find(step.name)) enter({0, step.name}, *member, at + 1);
        }
        break;
      case JsonPath::Kind::element:
        if (value.is_array()) {
          if (const auto place = place_of(step.index, value.size())) enter({*place, {}}, value[*place], at + 1);
        }
        break;
      case JsonPath::Kind::all:
        enter_all(value, at + 1);
    }
    if (step.descends) enter_all(value, at);
  }

 private:
  void match(const Value& value) {
    const std::size_t most = matches_ != nullptr ? JsonEffort::kMostReplaced : JsonEffort::kMostFound;
    if (found_.size() == most) throw CommandError("ERR the path has too many matches (" + std::to_string(most) + " at most)");
    if (matches_ != nullptr) {
      JsonMatches::Node* node = &matches_->tree_;
      for (const JsonMatches::Place& place : trail_) {
        auto& child = node->children[place];
        if (child == nullptr) child = std::make_unique<JsonMatches::Node>();
        node = child.get();
      }
      node->matches.push_back(found_.size());
    }
    found_.push_back(value);
  }

  void enter(const JsonMatches::Place& place, const Value& value, std::size_t at) {
    if (matches_ != nullptr) trail_.push_back(place);
    walk(value, at);
    if (matches_ != nullptr) trail_.pop_back();
  }

  void enter_all(const Value& value, std::size_t at) {
    if (value.is_array()) {
      for (std::size_t index = 0; index < value.size(); ++index) enter({index, {}}, value[index], at);
    } else if (value.is_object()) {
      for (const auto& [name, member] : value.members()) enter({0, name}, member, at);
    }
  }

  const std::vector<JsonPath::Step>& steps_;
  std::vector<Value>& found_;
  const std::size_t most_;
  JsonEffort& effort_;
  JsonMatches* const matches_;
  std::vector<JsonMatches::Place> trail_;
};

std::vector<Value> JsonPath::find(const Value& root, std::size_t most) const {
  JsonEffort effort;
  return find(root, most, effort);
}

std::vector<Value> JsonPath::find(const Value& root, std::size_t most, JsonEffort& effort) const {
  std::vector<Value> found;
  JsonWalk(*this, found, most, effort, nullptr).walk(root);
  return found;
}

JsonMatches::JsonMatches(const JsonPath& path, Value root) : root_(std::move(root)) {
  // The names in the tree lie in the path, or in the root's block.
  JsonEffort effort;
  JsonWalk(path, values_, std::numeric_limits<std::size_t>::max(), effort, this).walk(root_);
}

JsonMatches::~JsonMatches() = default;

std::optional<Value> JsonMatches::replaced(Nested nested, const Replace& replace) const {
  return rebuilt(root_, tree_, nested, replace);
}

std::optional<Value> JsonMatches::rebuilt(const Value& value, const Node& node, Nested nested, const Replace& replace) {
  Value now = value;
  const bool inner = nested == Nested::inner_first || node.matches.empty();
  if (inner && !node.children.empty()) {
    // Children and members are both in order, so one pass over both is enough.
    auto child = node.children.begin();
    if (value.is_array()) {
      std::vector<Value> elements;
      elements.reserve(value.size());
      for (std::size_t index = 0; index < value.size(); ++index) {
        std::optional<Value> element = value[index];
        if (child != node.children.end() && child->first.index == index) {
          element = rebuilt(*element, *child->second, nested, replace);
          ++child;
        }
        if (element) elements.push_back(*std::move(element));
      }
      now = Value::array(elements);
    } else {
      std::vector<std::pair<std::string_view, Value>> members;
      members.reserve(value.size());
      for (const auto& [name, before] : value.members()) {
        std::optional<Value> member = before;
        if (child != node.children.end() && child->first.name == name) {
          member = rebuilt(before, *child->second, nested, replace);
          ++child;
        }
        if (member) members.emplace_back(name, *std::move(member));
      }
      now = Value::object(members);
    }
  }
  for (const std::size_t match : node.matches) {
    std::optional<Value> other = replace(match, now);
    if (!other) return std::nullopt;
    now = *std::move(other);
  }
  return now;
}

JsonPointer::JsonPointer(std::string_view text) {
  if (text.empty()) return;
  if (text.front() != '/') throw CommandError("ERR a JSON pointer is empty or begins with /");
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '/') {
      tokens_.emplace_back();
    } else if (text[at] != '~') {
      tokens_.back() += text[at];
    } else if (const std::string_view rest = text.substr(at + 1); rest.starts_with('0') || rest.starts_with('1')) {
      tokens_.back() += rest.front() == '0' ? '~' : '/';
      ++at;
    } else {
      throw CommandError("ERR in a JSON pointer ~ is followed by 0 or 1");
    }
  }
}

std::optional<Value> JsonPointer::find(const Value& root) const {
  Value at = root;
  for (const std::string& token : tokens_) {
    std::optional<Value> next;
    if (at.is_object()) {
      next = at.find(token);
    } else if (at.is_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      const bool canonical = token == "0" || !token.starts_with('0');
      if (error == std::errc() && end == token.data() + token.size() && canonical && index < at.size()) next = at[index];
    }
    if (!next) return std::nullopt;
    at = *std::move(next);
  }
  return at;
}

}  // namespace cubby::server
