// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/hash_walks.hpp"
#include "server/lookup.hpp"

/// Hashes: objects, whose members are sorted by name; so are they in replies. Walking through them is in hash_walks.cpp.
///
/// Fields are read and changed in time that is logarithmic in their number. Several that are changed are one merge patch. What
/// wants all fields gets the hash as one object, which is made anew after each change.

namespace cubby::server {

namespace {

// --- reading

/// Calls `f` with the whole hash; false if the key is absent. Counts the lookup.
template <class F>
bool read_hash(Call& call, F&& f) {
  const bool found = call.keys.visit(call[1], [&](const Value& hash) {
    if (!hash.is_object()) fail_wrong_type();
    f(hash);
  });
  count_lookup(call, found);
  return found;
}

/// Calls `f(index, const Value&)` for the fields that are there. Counts the lookup.
template <class F>
void read_fields(Call& call, Arguments fields, F&& f) {
  count_lookup(call, call.keys.visit_members(call[1], fields, f).has_value());
}
/// Calls `f(const Value&)` for the field that the second argument names, if it is there; whether it is.
template <class F>
bool read_field(Call& call, F&& f) {
  bool there = false;
  read_fields(call, call.arguments.subspan(2, 1), [&](std::size_t, const Value& value) {
    there = true;
    f(value);
  });
  return there;
}

void run_hget(Call& call) {
  if (!read_field(call, [&](const Value& value) { call.reply.bulk(ValueBytes(value)); })) call.reply.null();
}

void run_hmget(Call& call) {
  const Arguments fields = call.arguments.subspan(2);
  std::size_t replied = 0;
  const auto reply_absent_up_to = [&](std::size_t end) {
    if (replied == 0) call.reply.array(fields.size());  // not before it's known that this is a hash
    for (; replied < end; ++replied) call.reply.null();
  };
  read_fields(call, fields, [&](std::size_t index, const Value& value) {
    reply_absent_up_to(index);
    call.reply.bulk(ValueBytes(value));
    ++replied;
  });
  reply_absent_up_to(fields.size());
}

void run_hlen(Call& call) {
  const auto length = call.keys.count_members(call[1]);
  count_lookup(call, length.has_value());
  call.reply.integer(static_cast<std::int64_t>(length.value_or(0)));
}

void run_hexists(Call& call) {
  call.reply.integer(read_field(call, [](const Value&) {}) ? 1 : 0);
}

void run_hstrlen(Call& call) {
  std::size_t length = 0;
  read_field(call, [&](const Value& value) { length = ValueBytes(value).view().size(); });
  call.reply.integer(static_cast<std::int64_t>(length));
}

// --- changing

Value patch_of(Arguments fields_and_values) {
  if (fields_and_values.size() == 2) return Value::object({{fields_and_values[0], to_value(fields_and_values[1])}});
  std::vector<std::pair<std::string_view, Value>> patch;
  patch.reserve(fields_and_values.size() / 2);
  for (std::size_t index = 0; index + 1 < fields_and_values.size(); index += 2) {
    patch.emplace_back(fields_and_values[index], to_value(fields_and_values[index + 1]));
  }
  return Value::object(patch);
}

void run_hset(Call& call) {
  if (call.count() % 2 != 0) fail_arguments("hset");
  const std::size_t created = call.keys.change_members(call[1], patch_of(call.arguments.subspan(2))).added;
  call.reply.integer(static_cast<std::int64_t>(created));
  call.events.add('h', "hset", call[1]);
}

void run_hmset(Call& call) {
  if (call.count() % 2 != 0) fail_arguments("hmset");
  call.keys.change_members(call[1], patch_of(call.arguments.subspan(2)));
  call.reply.ok();
  call.events.add('h', "hset", call[1]);
}

void run_hsetnx(Call& call) {
  const std::string_view key = call[1];
  const auto is_there = [&] { return call.keys.visit_members(key, call.arguments.subspan(2, 1), [](auto...) {}) == 1; };
  bool stored = false;
  if (!is_there()) {  // if it is, the key must not count as touched
    call.keys.modify_member(key, call[2], [&](std::optional<Value> value) {
      stored = !value;
      return stored ? to_value(call[3]) : std::move(value);
    });
  }
  call.reply.integer(stored ? 1 : 0);
  if (stored) call.events.add('h', "hset", key);
}

void run_hdel(Call& call) {
  const std::string_view key = call[1];
  std::vector<std::pair<std::string_view, Value>> patch;  // whose nulls remove
  for (const std::string_view field : call.arguments.subspan(2)) patch.emplace_back(field, Value());
  const MembersChanged changed = call.keys.change_members(key, Value::object(patch), WhenEmptied::erase);
  call.reply.integer(static_cast<std::int64_t>(changed.removed));
  if (changed.removed == 0) return;
  call.events.add('h', "hdel", key);
  if (changed.size == 0) call.events.add('g', "del", key);
}

void run_hincrby(Call& call) {
  const std::int64_t delta = to_integer(call[3]);
  std::int64_t number = 0;
  call.keys.modify_member(call[1], call[2], [&](const std::optional<Value>& value) -> std::optional<Value> {
    if (value) number = to_integer(ValueBytes(*value), "ERR hash value is not an integer");
    if (__builtin_add_overflow(number, delta, &number)) throw CommandError("ERR increment or decrement would overflow");
    return number;
  });
  call.reply.integer(number);
  call.events.add('h', "hincrby", call[1]);
}

void run_hincrbyfloat(Call& call) {
  const long double delta = to_real(call[3]);
  if (std::isinf(delta)) throw CommandError("ERR value is NaN or Infinity");
  std::string text;
  call.keys.modify_member(call[1], call[2], [&](const std::optional<Value>& value) -> std::optional<Value> {
    const long double number = value ? to_real(ValueBytes(*value), "ERR hash value is not a float") : 0;
    const long double sum = number + delta;
    if (std::isnan(sum) || std::isinf(sum)) throw CommandError("ERR increment would produce NaN or Infinity");
    text = real_text(sum);
    return to_value(text);
  });
  call.reply.bulk(text);
  call.events.add('h', "hincrbyfloat", call[1]);
}

// --- all of it

void reply_all(Call& call, bool fields, bool values) {
  const auto head = [&](std::size_t count) { fields&& values ? call.reply.map(count) : call.reply.array(count); };
  const bool found = read_hash(call, [&](const Value& hash) {
    head(hash.size());
    for (const auto& [name, value] : hash.members()) {
      if (fields) call.reply.bulk(name);
      if (values) call.reply.bulk(ValueBytes(value));
    }
  });
  if (!found) head(0);
}

void run_hgetall(Call& call) { reply_all(call, true, true); }
void run_hkeys(Call& call) { reply_all(call, true, false); }
void run_hvals(Call& call) { reply_all(call, false, true); }

void run_hrandfield(Call& call) {
  if (call.count() == 2) {
    return count_lookup(call, reply_random_field(call.reply, call.keys, call[1]));
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::int64_t count = to_integer(call[2]);
  if (count == -kMost - 1) {
    throw CommandError("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
  }
  const bool with_values = call.count() > 3;
  if (call.count() > 4 || (with_values && !is_word(call[3], "WITHVALUES"))) fail_syntax();
  if (with_values && (count < -(kMost / 2) || count > kMost / 2)) throw CommandError("ERR value is out of range");
  // Fields that may repeat are as many as the client says, so there has to be an end to it.
  const std::size_t limit = count < 0 ? call.server.settings().output_limit : 0;
  const std::size_t most_bytes = limit == 0 ? std::numeric_limits<std::size_t>::max() : limit;
  if (!read_hash(call, [&](const Value& hash) { reply_random_fields(call.reply, hash, count, with_values, most_bytes); })) {
    call.reply.array(0);
  }
}

void run_hscan(Call& call) {
  const std::uint64_t cursor = to_hash_cursor(call[2]);
  // Redis looks at the options only if there is a hash.
  const bool found = call.keys.count_members(call[1]).has_value();
  count_lookup(call, found);
  if (found) return reply_hash_scan(call.reply, call.keys, call[1], cursor, read_hash_scan_options(call.arguments.subspan(3)));
  reply_empty_hash_scan(call.reply);
}

// --- the table

constexpr std::uint32_t kHashWrite = kWriting | kHash;
constexpr std::uint32_t kHashRead = kRead | kHash;
constexpr std::uint32_t kHashGrows = kWrite | kDenyOom | kFast;
constexpr KeyPlaces kHashKey = {1, 1, 1};

constexpr CommandSpec kHashCommands[] = {
    {"hset", -4, kHashGrows, kHashWrite, kHashKey, run_hset, "hash", "Stores fields of a hash, which is made if absent",
     "key field value [field value ...]"},
    {"hsetnx", 4, kHashGrows, kHashWrite, kHashKey, run_hsetnx, "hash", "Stores a field of a hash if the field is absent",
     "key field value"},
    {"hget", 3, kReadOnly | kFast, kHashRead, kHashKey, run_hget, "hash", "Reads a field of a hash", "key field"},
    {"hmget", -3, kReadOnly | kFast, kHashRead, kHashKey, run_hmget, "hash", "Reads several fields of a hash",
     "key field [field ...]"},
    {"hmset", -4, kHashGrows, kHashWrite, kHashKey, run_hmset, "hash", "Stores fields of a hash; the old name of HSET",
     "key field value [field value ...]"},
    {"hgetall", 2, kReadOnly, kHashRead, kHashKey, run_hgetall, "hash", "Reads all fields of a hash with their values", "key"},
    {"hkeys", 2, kReadOnly, kHashRead, kHashKey, run_hkeys, "hash", "Reads the names of all fields of a hash", "key"},
    {"hvals", 2, kReadOnly, kHashRead, kHashKey, run_hvals, "hash", "Reads the values of all fields of a hash", "key"},
    {"hlen", 2, kReadOnly | kFast, kHashRead, kHashKey, run_hlen, "hash", "Counts the fields of a hash", "key"},
    {"hexists", 3, kReadOnly | kFast, kHashRead, kHashKey, run_hexists, "hash", "Tells whether a hash has a field",
     "key field"},
    {"hdel", -3, kWrite | kFast, kHashWrite, kHashKey, run_hdel, "hash", "Removes fields of a hash", "key field [field ...]"},
    {"hincrby", 4, kHashGrows, kHashWrite, kHashKey, run_hincrby, "hash", "Adds to the integer in a field of a hash",
     "key field increment"},
    {"hincrbyfloat", 4, kHashGrows, kHashWrite, kHashKey, run_hincrbyfloat, "hash", "Adds to the number in a field of a hash",
     "key field increment"},
    {"hstrlen", 3, kReadOnly | kFast, kHashRead, kHashKey, run_hstrlen, "hash", "Counts the bytes in a field of a hash",
     "key field"},
    {"hrandfield", -2, kReadOnly, kHashRead, kHashKey, run_hrandfield, "hash",
     "Reads random fields of a hash: different ones, or, of a negative count, any", "key [count [WITHVALUES]]"},
    {"hscan", -3, kReadOnly, kHashRead, kHashKey, run_hscan, "hash", "Walks through the fields of a hash bit by bit",
     "key cursor [MATCH pattern] [COUNT count]"},
};

}  // namespace

std::span<const CommandSpec> hash_commands() { return kHashCommands; }

}  // namespace cubby::server
