// SPDX-License-Identifier: Apache-2.0
#include "server/wire.hpp"

#include <algorithm>
#include <vector>

namespace chat {

using cubby::Value;

namespace {

Refusal malformed(std::string_view name) {
  return {"malformed", "the member \"" + std::string(name) + "\" is missing or wrong"};
}

}  // namespace

std::string string_member(const Value& request, std::string_view name) {
  const Value member = request[name];
  if (!member.is_string()) throw malformed(name);
  return std::string(member.as_string());
}

std::int64_t integer_member(const Value& request, std::string_view name) {
  const Value member = request[name];
  if (!member.is_int()) throw malformed(name);
  return member.as_int();
}

std::string name_member(const Value& request, std::string_view name) {
  std::string text = string_member(request, name);
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && c != ':' && c != '@' && c != '#' && c != '/';
  });
  if (text.empty() || text.size() > kMaxName || !printable || text.front() == ' ' || text.back() == ' ') {
    throw Refusal("name", "A name has 1 to " + std::to_string(kMaxName) + " bytes and none of : @ # /");
  }
  return text;
}

Text event(std::string_view type, std::initializer_list<std::pair<std::string_view, Value>> members) {
  return event(type, members, {});
}

Text event(std::string_view type, std::initializer_list<std::pair<std::string_view, Value>> members,
           std::initializer_list<std::pair<std::string_view, std::string>> json) {
  std::vector<std::pair<std::string_view, Value>> all(members);
  all.emplace_back("type", type);
  std::string text = Value::object(all).to_json();
  for (const auto& [name, value] : json) {
    text.back() = ',';  // instead of the brace
    text += Value(name).to_json();
    text += ':';
    text += value;
    text += '}';
  }
  return std::make_shared<const std::string>(std::move(text));
}

}  // namespace chat
