// SPDX-License-Identifier: Apache-2.0
#include "server/json_text.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "server/command.hpp"

namespace cubby::server {

void fail_no_path(const std::string& path) { throw CommandError("ERR Path '" + path + "' does not exist"); }

namespace {

/// Writes text instead of making a larger value of the matches: that could nest too deep.
class JsonText {
 public:
  JsonText(const JsonLayout& layout, std::size_t most_bytes) : layout_(layout), most_bytes_(most_bytes) {}

  void add(const Value& value, std::size_t level) {
    const bool has_parts = (value.is_array() || value.is_object()) && value.size() != 0;
    if (!has_parts || layout_.is_plain()) {
      put(value.to_json());
    } else if (value.is_array()) {
      add_array(value.elements(), level);
    } else {
      begin('{');
      for (const auto& [name, member] : value.members()) {
        add_name(name, level + 1);
        add(member, level + 1);
      }
      end('}', level);
    }
  }
  template <class Values>
  void add_array(const Values& values, std::size_t level) {
    begin('[');
    for (const Value& value : values) {
      begin_part(level + 1);
      add(value, level + 1);
    }
    end(']', level);
  }
  void begin(char bracket) {
    put({&bracket, 1});
    first_ = true;
  }
  void add_name(std::string_view name, std::size_t level) {
    begin_part(level);
    put(Value(name).to_json());
    put(":");
    put(layout_.space);
  }
  void end(char bracket, std::size_t level) {
    if (!first_) break_line(level);
    first_ = false;
    put({&bracket, 1});
  }
  std::string take() noexcept { return std::move(text_); }

 private:
  void begin_part(std::size_t level) {
    if (!first_) put(",");
    first_ = false;
    break_line(level);
  }
  void break_line(std::size_t level) {
    put(layout_.newline);
    for (; level != 0; --level) put(layout_.indent);
  }
  void put(std::string_view bytes) {
    if (bytes.size() > most_bytes_ - text_.size()) throw CommandError("ERR the reply would be larger than the output limit");
    text_ += bytes;
  }

  const JsonLayout layout_;
  const std::size_t most_bytes_;
  std::string text_;
  bool first_ = true;  // nothing has been put yet into the innermost array or object
};

void add_found(JsonText& text, JsonEffort& effort, const JsonPath& path, const Value& document, bool legacy,
               const std::string& path_in_error, std::size_t level) {
  const std::vector<Value> found = path.find(document, legacy ? 1 : std::numeric_limits<std::size_t>::max(), effort);
  if (!legacy) return text.add_array(found, level);
  if (found.empty()) fail_no_path(path_in_error);
  text.add(found.front(), level);
}

}  // namespace

std::string json_text(const Value& document, const std::vector<JsonPath>& paths, const JsonLayout& layout,
                      std::size_t most_bytes) {
  const bool legacy = std::ranges::all_of(paths, &JsonPath::is_legacy);
  JsonText text(layout, most_bytes);
  JsonEffort effort;
  if (paths.size() == 1) {
    add_found(text, effort, paths.front(), document, legacy, paths.front().full_text(), 0);
    return text.take();
  }
  std::set<std::string_view> done;
  text.begin('{');
  for (const JsonPath& path : paths) {
    if (!done.insert(path.text()).second) continue;
    text.add_name(path.text(), 1);
    add_found(text, effort, path, document, legacy, path.text(), 1);
  }
  text.end('}', 0);
  return text.take();
}

}  // namespace cubby::server
