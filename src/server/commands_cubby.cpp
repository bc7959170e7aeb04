// SPDX-License-Identifier: Apache-2.0

// CUBBY.*: what cubby has and Redis hasn't.

#include <algorithm>
#include <cmath>
#include <compare>
#include <cubby/error.hpp>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command.hpp"
#include "server/json_path.hpp"
#include "server/server.hpp"
#include "server/users.hpp"
#include "server/values.hpp"

namespace cubby::server {

namespace {

// --- CUBBY.WAIT

void check_wait(Arguments arguments) {
  if (arguments.size() > 4) fail_arguments("cubby.wait");
}

void reply_with_value(Reply& reply, const Value& value) { reply.bulk(ValueBytes(value)); }

void cubby_wait(Call& call) {
  const std::string_view key = call[1];
  const Timeout timeout = to_timeout(call.arguments.back());
  const auto nil = [](Reply& reply) { reply.null(); };
  if (call.count() == 3) {
    if (call.keys.in_transaction()) return nil(call.reply);
    return call.client.sleep_for_value(key, nullptr, timeout, reply_with_value, nil);
  }
  const Value expected = to_value(call[2]);
  bool is_there = false;
  call.keys.visit(key, [&](const Value& value) {
    is_there = value == expected;
    if (is_there) reply_with_value(call.reply, value);
  });
  if (is_there) return;
  if (call.keys.in_transaction()) return nil(call.reply);
  call.client.sleep_for_value(key, &expected, timeout, reply_with_value, nil);
}

// --- CUBBY.USE

void cubby_use(Call& call) {
  // To make one costs threads, files and room on the disk.
  const User* const user = call.client.user;
  if (user != nullptr && !user->may_run(store_making()) && !call.server.databases.knows(std::string(call[1]))) {
    throw CommandError("NOPERM this user has no permissions to make a store");
  }
  call.client.use(call[1]);
  call.reply.ok();
}

// --- CUBBY.SELECT

enum class Comparison : std::uint8_t { equal, unequal, less, at_most, greater, at_least, exists };

struct Selection {
  JsonPointer pointer;
  Comparison comparison;
  Value operand;
  std::size_t limit = 100;
};

Comparison to_comparison(std::string_view word) {
  if (word == "=") return Comparison::equal;
  if (word == "!=") return Comparison::unequal;
  if (word == "<") return Comparison::less;
  if (word == "<=") return Comparison::at_most;
  if (word == ">") return Comparison::greater;
  if (word == ">=") return Comparison::at_least;
  if (is_word(word, "EXISTS")) return Comparison::exists;
  throw CommandError("ERR unknown comparison; there are = != < <= > >= EXISTS");
}

/// JSON text, or else a string.
Value to_operand(std::string_view text) {
  try {
    return Value::parse(text);
  } catch (const Error& error) {
    if (error.code() != Errc::parse) throw;
    return to_value(text);
  }
}

Selection to_selection(Arguments arguments) {
  Selection selection{JsonPointer(arguments[1]), to_comparison(arguments[2]), Value(), 100};
  std::size_t index = 3;
  if (selection.comparison != Comparison::exists) {
    if (index == arguments.size()) fail_arguments("cubby.select");
    selection.operand = to_operand(arguments[index++]);
  }
  if (index == arguments.size()) return selection;
  if (index + 2 != arguments.size() || !is_word(arguments[index], "LIMIT")) fail_syntax();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  selection.limit = static_cast<std::size_t>(
      to_integer_between(arguments[index + 1], 1, kMost, "ERR LIMIT is not a positive integer or out of range"));
  return selection;
}

/// Exactly: a double can't tell all integers apart.
std::partial_ordering order_of_numbers(std::int64_t integer, double real) noexcept {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  if (std::isnan(real)) return std::partial_ordering::unordered;
  if (real >= kEnd) return std::partial_ordering::less;
  if (real < -kEnd) return std::partial_ordering::greater;
  const auto whole = static_cast<std::int64_t>(real);
  if (integer != whole) return integer <=> whole;
  return 0.0 <=> real - static_cast<double>(whole);
}

/// Numbers have an order, and strings have one by their bytes; nothing else has.
std::partial_ordering order_of(const Value& left, const Value& right) {
  if (left.is_string() && right.is_string()) return left.as_string() <=> right.as_string();
  if (!left.is_number() || !right.is_number()) return std::partial_ordering::unordered;
  if (left.is_int() && right.is_int()) return left.as_int() <=> right.as_int();
  if (left.is_int()) return order_of_numbers(left.as_int(), right.as_double());
  if (right.is_int()) return 0 <=> order_of_numbers(right.as_int(), left.as_double());
  return left.as_double() <=> right.as_double();
}

bool is_selected(const Selection& selection, const Value& root) {
  const std::optional<Value> value = selection.pointer.find(root);
  if (!value) return false;
  switch (selection.comparison) {
    case Comparison::equal:
      return *value == selection.operand;
    case Comparison::unequal:
      return *value != selection.operand;
    case Comparison::less:
      return order_of(*value, selection.operand) < 0;
    case Comparison::at_most:
      return order_of(*value, selection.operand) <= 0;
    case Comparison::greater:
      return order_of(*value, selection.operand) > 0;
    case Comparison::at_least:
      return order_of(*value, selection.operand) >= 0;
    case Comparison::exists:
      return true;
  }
  return false;
}

void check_select(Arguments arguments) { to_selection(arguments); }

void cubby_select(Call& call) {
  const Selection selection = to_selection(call.arguments);
  const User* const user = call.client.user;
  std::vector<std::pair<std::string, Value>> found;
  call.keys.store().for_each([&](std::string_view key, const Value& value) {
    // The comparison comes first: of the keys that the user may not see only those that fit cost a look at the patterns.
    if (!is_selected(selection, value) || user == nullptr || !user->may_use_key(key, false)) return true;
    found.emplace_back(key, value);
    return found.size() < selection.limit;
  });
  call.reply.map(found.size());
  for (const auto& [key, value] : found) {
    call.reply.bulk(key);
    call.reply.bulk(ValueBytes(value));
  }
}

constexpr CommandSpec kCubbyCommands[] = {
    {"cubby.select",
     -3,
     kReadOnly | kWholeStore,
     kKeyspace | kRead | kDangerous,
     {},
     cubby_select,
     "cubby",
     "Returns keys and values whose part at a JSON pointer compares so, up to 100 by default",
     "pointer = | != | < | <= | > | >= | EXISTS [value] [LIMIT count]",
     nullptr,
     check_select},
    {"cubby.use", 2, kFast | kWholeStore, kConnection, {}, cubby_use, "cubby", "Goes to the store of this name", "store"},
    {"cubby.wait",
     -3,
     kReadOnly | kBlocking,
     kKeyspace | kRead | kBlockingCategory,
     {1, 1, 1},
     cubby_wait,
     "cubby",
     "Waits until a key's value changes, or equals the one given, and returns it; nil after the timeout",
     "key [value] timeout",
     nullptr,
     check_wait},
};

}  // namespace

const CommandSpec& store_making() {
  // The same name, so that a rule that allows CUBBY.USE allows this; and categories that a rule may deny.
  static constexpr CommandSpec kStoreMaking = [] {
    CommandSpec spec = *std::ranges::find(kCubbyCommands, std::string_view("cubby.use"), &CommandSpec::name);
    spec.categories = kAdminCategory | kDangerous;
    return spec;
  }();
  return kStoreMaking;
}

std::span<const CommandSpec> cubby_commands() { return kCubbyCommands; }

}  // namespace cubby::server
