// SPDX-License-Identifier: Apache-2.0
#include "server/http_value_tree.hpp"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "server/http_message.hpp"
#include "server/values.hpp"
#include "value/access.hpp"

namespace cubby::server {

namespace {

using TreeMembers = std::vector<std::pair<std::string_view, Value>>;

/// An array is copied out of a queue: no more of it than that at once.
constexpr std::size_t kMostCopied = std::size_t{4} << 20;

/// What each piece of an array takes besides its elements, at most.
constexpr std::size_t kNodeHead = 32;

std::string_view tree_type_name(Type type) noexcept {
  switch (type) {
    case Type::null:
      return "null";
    case Type::boolean:
      return "boolean";
    case Type::integer:
      return "integer";
    case Type::real:
      return "real";
    case Type::string:
      return "string";
    case Type::binary:
      return "binary";
    case Type::array:
      return "array";
    case Type::object:
      return "object";
  }
  return "null";
}

std::string hexadecimal(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<unsigned>(byte) >> 4];
    text += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

/// The first bytes, a whole number of characters. REQUIRES: UTF-8.
std::string_view beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most != 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80) --most;
  return text.substr(0, most);
}

class TreeWriter {
 public:
  explicit TreeWriter(const TreeLimits& limits) : limits_(limits), values_(limits.values), text_(limits.all_text) {}

  /// `size` and `from`: of the array that `value` are elements of.
  Value array_part(const Value& value, std::size_t size, std::size_t from) {
    std::vector<Value> items;
    for (std::size_t index = 0; index < std::min(value.size(), limits_.children) && room(); ++index) {
      items.push_back(describe(value[index], 1, 0));
    }
    return Value::object({{"type", "array"}, {"size", size}, {"from", from}, {"items", Value::array(items)}});
  }

  Value describe(const Value& value, std::size_t depth, std::size_t from) {
    if (values_ != 0) --values_;
    TreeMembers members{{"type", tree_type_name(value.type())}};
    switch (value.type()) {
      case Type::null:
        break;
      case Type::boolean:
        members.emplace_back("value", value.as_bool());
        break;
      case Type::integer:
      case Type::real:
        members.emplace_back("text", value.to_json());
        break;
      case Type::string:
        add_text(members, value.size(), string_text(value.as_string()));
        break;
      case Type::binary: {
        const auto bytes = value.as_binary();
        add_text(members, value.size(), hexadecimal(bytes.first(std::min({bytes.size(), limits_.text / 2, text_ / 2}))));
        break;
      }
      case Type::array:
      case Type::object:
        members.emplace_back("size", value.size());
        if (depth <= limits_.depth && room()) add_children(members, value, depth, from);
        break;
    }
    return Value::object(members);
  }

 private:
  bool room() const noexcept { return values_ != 0 && text_ != 0; }

  std::string string_text(std::string_view bytes) const {
    const std::size_t most = std::min(limits_.text, text_);
    return is_utf8(bytes) ? std::string(beginning(bytes, most)) : shown_text(bytes.substr(0, most));
  }
  void add_text(TreeMembers& members, std::size_t size, std::string text) {
    text_ -= std::min(text_, text.size());
    members.emplace_back("size", size);
    members.emplace_back("text", std::move(text));
  }

  void add_children(TreeMembers& members, const Value& value, std::size_t depth, std::size_t from) {
    std::vector<Value> children;
    const std::size_t first = std::min(from, value.size());
    std::size_t left = std::min(limits_.children, value.size() - first);
    if (value.is_array()) {
      for (std::size_t index = first; left != 0 && room(); ++index, --left) {
        children.push_back(describe(value[index], depth + 1, 0));
      }
    } else {
      const Value::Members all = value.members();
      auto at = all.begin();
      for (std::size_t skipped = 0; skipped < first; ++skipped) ++at;
      for (; left != 0 && room(); ++at, --left) {
        const auto [name, member] = *at;
        text_ -= std::min(text_, name.size());
        std::vector<Value> entry;
        entry.reserve(3);
        entry.emplace_back(shown_text(name));
        entry.push_back(describe(member, depth + 1, 0));
        if (!is_utf8(name)) entry.emplace_back(percent_encoded(name));
        children.push_back(Value::array(entry));
      }
    }
    members.emplace_back("from", first);
    members.emplace_back(value.is_array() ? "items" : "members", Value::array(children));
  }

  const TreeLimits& limits_;
  std::size_t values_;
  std::size_t text_;
};

/// Takes the first token off a JSON pointer; empty if it is none.
std::optional<std::string> next_token(std::string_view& path) {
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  const std::string_view raw = path.substr(0, std::min(path.find('/'), path.size()));
  path.remove_prefix(raw.size());
  std::string token;
  for (std::size_t at = 0; at < raw.size(); ++at) {
    if (raw[at] == '~' && at + 1 < raw.size() && (raw[at + 1] == '0' || raw[at + 1] == '1')) {
      token += raw[++at] == '0' ? '~' : '/';
    } else {
      token += raw[at];
    }
  }
  return token;
}

std::optional<std::size_t> element_index(std::string_view token) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  if (error != std::errc() || end != token.data() + token.size()) return std::nullopt;
  return index;
}

std::optional<Value> child_of(const Value& value, std::string_view token) {
  if (value.is_object()) return value.find(token);
  if (!value.is_array()) return std::nullopt;
  const auto index = element_index(token);
  if (!index || *index >= value.size()) return std::nullopt;
  return value[*index];
}

std::optional<Value> describe_part(const Value& root, std::string_view path, std::size_t from, const TreeLimits& limits) {
  Value part = root;
  while (!path.empty()) {
    const auto token = next_token(path);
    if (!token) return std::nullopt;
    auto child = child_of(part, *token);
    if (!child) return std::nullopt;
    part = std::move(*child);
  }
  return TreeWriter(limits).describe(part, 0, from);
}

}  // namespace

std::optional<Value> value_tree(Datastore& store, std::string_view key, std::string_view path, std::size_t from,
                                const TreeLimits& limits) {
  const auto type = store.type(key);
  if (!type) return std::nullopt;
  if (*type == Type::array) {
    // Not by visit(), which would make one block of a queue's chunks.
    if (path.empty()) {
      const std::size_t size = store.length(key).value_or(0);
      from = std::min(from, size);
      const Value first = store.slice(key, from, 1);
      const std::size_t bytes = first.size() == 0 ? 1 : std::max<std::size_t>(detail::ValueAccess::stored_size(first), 1);
      const std::size_t count = std::clamp<std::size_t>(kMostCopied / bytes, 1, limits.children);
      return TreeWriter(limits).array_part(store.slice(key, from, count), size, from);
    }
    const auto token = next_token(path);
    const auto index = token ? element_index(*token) : std::nullopt;
    if (!index) return std::nullopt;
    const Value element = store.slice(key, *index, 1);
    if (element.size() == 0) return std::nullopt;
    return describe_part(element[0], path, from, limits);
  }
  std::optional<Value> tree;
  store.visit(key, [&](const Value& value) { tree = describe_part(value, path, from, limits); });
  return tree;
}

WholeValue whole_value(Datastore& store, std::string_view key, std::size_t most_bytes) {
  WholeValue whole;
  const auto type = store.type(key);
  if (!type) return whole;
  if (*type == Type::array) {
    // visit() would make one block of a queue's chunks, whatever their size. So it is looked at in growing pieces first.
    std::size_t bytes = 0;
    std::size_t count = 1;
    for (std::size_t at = 0;; at += count, count *= 2) {
      const Value piece = store.slice(key, at, count);
      bytes += detail::ValueAccess::stored_size(piece);
      if (bytes > most_bytes + count * kNodeHead) return {.value = {}, .found = true, .too_large = true};
      if (piece.size() < count) break;
    }
  }
  store.visit(key, [&](const Value& value) {
    whole.found = true;
    whole.too_large = detail::ValueAccess::stored_size(value) > most_bytes;
    if (!whole.too_large) whole.value = value;
  });
  return whole;
}

std::string shown_text(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    if (code >= 0x20 && code < 0x7f) {
      text += byte;
    } else {
      text += "\\x";
      text += kDigits[code >> 4];
      text += kDigits[code & 15];
    }
  }
  return text;
}

}  // namespace cubby::server
