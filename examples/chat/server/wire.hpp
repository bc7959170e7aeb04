// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cubby/value.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

#include "server/hub.hpp"
#include "server/store.hpp"

/// What goes over the wire: JSON objects with a member `type`. docs/chat.md lists them.
namespace chat {

inline constexpr std::size_t kMaxText = 4000;  // bytes of a message
inline constexpr std::size_t kMaxName = 48;    // bytes of a person's or room's name

/// A request that isn't granted: goes back to the client as {"type":"error","code":...,"text":...}.
class Refusal : public std::runtime_error {
 public:
  Refusal(std::string code, const std::string& text) : std::runtime_error(text), code_(std::move(code)) {}
  const std::string& code() const noexcept { return code_; }

 private:
  std::string code_;
};

// Members of requests. All throw Refusal ("malformed") for what they can't take.
std::string string_member(const cubby::Value& request, std::string_view name);
std::int64_t integer_member(const cubby::Value& request, std::string_view name);
/// A person's or room's name: printable, without the characters that separate parts of keys.
std::string name_member(const cubby::Value& request, std::string_view name);

/// {"type":TYPE, MEMBERS...}
Text event(std::string_view type, std::initializer_list<std::pair<std::string_view, cubby::Value>> members);
/// The same, with further members that are JSON text already.
Text event(std::string_view type, std::initializer_list<std::pair<std::string_view, cubby::Value>> members,
           std::initializer_list<std::pair<std::string_view, std::string>> json);

}  // namespace chat
