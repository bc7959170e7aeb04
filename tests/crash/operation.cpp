// SPDX-License-Identifier: Apache-2.0
#include "operation.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <span>

#include "plan.hpp"

namespace cubby_crash {

using cubby::Value;

const char* to_text(Kind kind) {
  static constexpr const char* kNames[] = {"set",
                                           "set_ttl",
                                           "set_expired",
                                           "set_once",
                                           "set_once_ttl",
                                           "swap",
                                           "increment",
                                           "decrement",
                                           "push",
                                           "unshift",
                                           "shift",
                                           "pop",
                                           "shift_wait",
                                           "pop_wait",
                                           "erase",
                                           "take",
                                           "rename",
                                           "expire",
                                           "expire_default",
                                           "expire_now",
                                           "remove_expiry",
                                           "update",
                                           "modify",
                                           "modify_remove",
                                           "transact",
                                           "transact_abort",
                                           "count_increment",
                                           "count_decrement",
                                           "count_modify",
                                           "transfer",
                                           "move_token",
                                           "move_item",
                                           "queue_push",
                                           "queue_unshift",
                                           "queue_shift",
                                           "queue_pop",
                                           "queue_shift_wait",
                                           "queue_pop_wait",
                                           "chain",
                                           "burst",
                                           "epoch_set",
                                           "clear",
                                           "save"};
  static_assert(std::size(kNames) == static_cast<std::size_t>(Kind::save) + 1);
  return static_cast<std::size_t>(kind) < std::size(kNames) ? kNames[static_cast<std::size_t>(kind)] : "?";
}

std::string to_text(const Record& record) {
  std::string text = std::string(to_text(record.kind)) + " (thread " + std::to_string(record.thread) + ", a " +
                     std::to_string(record.a) + ", b " + std::to_string(record.b) + ", argument " +
                     std::to_string(record.argument) + ")";
  if (record.phase == Phase::done) text += record.error != 0 ? " threw " + std::to_string(record.error) : " acknowledged";
  return text;
}

std::int64_t wall_clock() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// --- values
// ----------------------------------------------------------------------------------------------------------------------

namespace {

std::string text_of(Random& random, std::size_t length) {
  std::string text(length, ' ');
  std::uint64_t word = 0;
  for (std::size_t index = 0; index < length; ++index, word >>= 8) {
    if (index % 8 == 0) word = random.next();
    text[index] = static_cast<char>('a' + (word & 15));
  }
  return text;
}

/// Mostly short; a few are longer than a page, and a few longer than a small log may get.
std::size_t length_of(Random& random) {
  if (random.one_in(400)) return static_cast<std::size_t>(random.logarithmic(64 << 10, 300 << 10));
  if (random.one_in(20)) return static_cast<std::size_t>(random.logarithmic(1 << 10, 20 << 10));
  return static_cast<std::size_t>(random.below(random.one_in(2) ? 16 : 300));
}

Value scalar_of(Random& random) {
  switch (random.below(7)) {
    case 0:
      return {};
    case 1:
      return random.one_in(2);
    case 2:
      return static_cast<std::int64_t>(random.next());
    case 3:
      return static_cast<double>(random.below(1 << 20)) / 7;
    case 4: {
      const std::string text = text_of(random, length_of(random));
      return Value::binary(std::as_bytes(std::span(text)));
    }
    default:
      return text_of(random, length_of(random));
  }
}

Value object_of(Random& random, int depth, bool nulls) {
  static constexpr const char* kMembers[] = {"", "a", "user", "roles", "a longer name than fits into a word", "last"};
  std::vector<std::pair<std::string_view, Value>> members;
  for (const char* member : kMembers) {
    if (random.one_in(2)) continue;
    if (nulls && random.one_in(3)) {
      members.emplace_back(member, nullptr);
    } else if (depth > 0 && random.one_in(4)) {
      members.emplace_back(member, object_of(random, depth - 1, nulls));
    } else {
      members.emplace_back(member, scalar_of(random));
    }
  }
  return Value::object(members);
}

Value value_of(Random& random, Class type) {
  switch (type) {
    case Class::number:
      return random.one_in(8) ? Value(random.below(1000) + 0.5) : Value(random.below(1000));
    case Class::array: {
      std::vector<Value> items;
      for (int count = random.below(random.one_in(20) ? 200 : 8); count > 0; --count) items.push_back(scalar_of(random));
      return Value::array(items);
    }
    case Class::object:
      return object_of(random, 2, false);
    default:
      return scalar_of(random);
  }
}

Random random_of(std::int64_t argument) { return Random(static_cast<std::uint64_t>(argument)); }

}  // namespace

Value value_of(std::int64_t argument, Class type) {
  Random random = random_of(argument);
  if (random.one_in(20)) type = static_cast<Class>(random.below(4));
  return value_of(random, type);
}

Value delta_of(std::int64_t argument) {
  Random random = random_of(argument);
  if (random.one_in(100)) return "no number";
  if (random.one_in(50)) return random.below(100) + 0.25;
  return random.below(2000) - 1000;
}

Value patch_of(std::int64_t argument) {
  Random random = random_of(argument);
  return object_of(random, 2, true);
}

std::optional<Value> modified(std::int64_t argument, const std::optional<Value>& old) {
  if (!old) return value_of(argument, Class::any);
  if (old->is_int()) return old->as_int() / 2 + (argument & 1023);
  if (old->is_object()) return Value::object({{"was", static_cast<std::int64_t>(old->size())}, {"a", argument}});
  Random random = random_of(argument);
  return value_of(random, old->is_array() ? Class::array : Class::any);
}

std::chrono::minutes ttl_of(std::int64_t argument) { return std::chrono::minutes(10 + 10 * random_of(argument).below(60)); }

Operation random_owned(std::uint64_t seed) {
  Random random(seed);
  Operation operation{Kind::set, random.below(kOwnedKeys), 0, 0};
  operation.b = (operation.a + 4 * (1 + random.below(kOwnedKeys / 4 - 1))) % kOwnedKeys;  // of the same class
  using enum Kind;
  static constexpr Kind kAny[] = {set,           set,    set_ttl, set_expired,   set_once, set_once_ttl,   swap,
                                  erase,         take,   rename,  rename,        expire,   expire_default, expire_now,
                                  remove_expiry, modify, modify,  modify_remove, transact, transact,       transact_abort};
  static constexpr Kind kNumber[] = {increment, decrement};
  static constexpr Kind kArray[] = {push, push, push, push, unshift, unshift, shift, pop, shift_wait, pop_wait};
  static constexpr Kind kObject[] = {update};
  const auto pick = [&](std::span<const Kind> kinds) {
    return kinds[static_cast<std::size_t>(random.below(static_cast<int>(kinds.size())))];
  };
  const Class type = random.one_in(30) ? static_cast<Class>(random.below(4)) : class_of(operation.a);
  if (type == Class::any || random.one_in(3)) {
    operation.kind = pick(kAny);
  } else {
    operation.kind = type == Class::number ? pick(kNumber) : type == Class::array ? pick(kArray) : pick(kObject);
  }
  operation.argument = static_cast<std::int64_t>(random.next());
  return operation;
}

Steps steps_of(const Operation& transaction) {
  Random random = random_of(transaction.argument);
  Steps result{{transaction.a, transaction.b, random.below(kOwnedKeys)}, random.one_in(2), {}};
  while (result.keys[2] == transaction.a || result.keys[2] == transaction.b) result.keys[2] = (result.keys[2] + 1) % kOwnedKeys;
  using enum Kind;
  static constexpr Kind kKinds[] = {set, set, set_ttl, erase, expire, expire_default};
  for (int count = 1 + random.below(5); count > 0; --count) {
    Operation step{set, result.keys[random.below(3)], 0, static_cast<std::int64_t>(random.next())};
    const Class type = random.one_in(10) ? static_cast<Class>(random.below(4)) : class_of(step.a);
    if (type == Class::number && random.one_in(2)) {
      step.kind = increment;
    } else if (type == Class::array && !random.one_in(3)) {
      step.kind = random.one_in(3) ? (random.one_in(2) ? shift : pop) : push;
    } else {
      step.kind = kKinds[random.below(static_cast<int>(std::size(kKinds)))];
    }
    result.steps.push_back(step);
  }
  return result;
}

// --- results
// ---------------------------------------------------------------------------------------------------------------------

namespace {

std::int64_t digest_bytes(std::span<const std::byte> bytes) {
  std::int64_t result = static_cast<std::int64_t>(bytes.size());
  for (std::size_t index = 0; index < bytes.size(); index += 8) {
    std::int64_t word = 0;
    std::copy_n(bytes.data() + index, std::min<std::size_t>(8, bytes.size() - index), reinterpret_cast<std::byte*>(&word));
    result = mix(result, word);
  }
  return result;
}

std::int64_t digest_text(std::string_view text) { return digest_bytes(std::as_bytes(std::span(text))); }

}  // namespace

std::int64_t digest(const Value& value) {
  std::int64_t result = mix(17, static_cast<std::int64_t>(value.type()));
  switch (value.type()) {
    case cubby::Type::null:
      break;
    case cubby::Type::boolean:
      result = mix(result, value.as_bool() ? 1 : 0);
      break;
    case cubby::Type::integer:
      result = mix(result, value.as_int());
      break;
    case cubby::Type::real:
      result = mix(result, std::bit_cast<std::int64_t>(value.as_double()));
      break;
    case cubby::Type::string:
      result = mix(result, digest_text(value.as_string()));
      break;
    case cubby::Type::binary:
      result = mix(result, digest_bytes(value.as_binary()));
      break;
    case cubby::Type::array:
      for (const Value& element : value.elements()) result = mix(result, digest(element));
      break;
    case cubby::Type::object:
      for (const auto& [name, member] : value.members()) result = mix(mix(result, digest_text(name)), digest(member));
  }
  return result;
}

std::int64_t digest(const std::optional<Value>& value) { return value ? digest(*value) : 0; }

std::string to_text(const Value& value) {
  std::string text = value.to_json();
  if (text.size() > 300) text = text.substr(0, 300) + "... (" + std::to_string(text.size()) + " bytes)";
  return text;
}

}  // namespace cubby_crash
