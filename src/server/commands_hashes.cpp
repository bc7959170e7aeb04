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
/// An object is one immutable block. Reading a field is quick at any size, but each change, of one field too, writes the hash
/// anew: O(its size), at the speed of copying. A change is a merge patch, which copies the members that stay without looking
/// into them; several fields are one patch.

namespace cubby::server {

namespace {

using Patch = std::vector<std::pair<std::string_view, Value>>;

// --- reading

/// Calls `f` with the hash in place; false if the key is absent. Counts the lookup.
template <class F>
bool read_hash(Call& call, F&& f) {
  const bool found = call.keys.visit(call[1], [&](const Value& hash) {
    if (!hash.is_object()) fail_wrong_type();
    f(hash);
  });
  count_lookup(call, found);
  return found;
}

void reply_field(Reply& reply, const Value& hash, std::string_view field) {
  if (const auto value = hash.find(field)) {
    reply.bulk(ValueBytes(*value));
  } else {
    reply.null();
  }
}

void run_hget(Call& call) {
  if (!read_hash(call, [&](const Value& hash) { reply_field(call.reply, hash, call[2]); })) call.reply.null();
}

void run_hmget(Call& call) {
  const Arguments fields = call.arguments.subspan(2);
  const auto reply_fields = [&](const Value& hash) {
    call.reply.array(fields.size());
    for (const std::string_view field : fields) reply_field(call.reply, hash, field);
  };
  if (!read_hash(call, reply_fields)) reply_fields(Value());
}

void run_hlen(Call& call) {
  std::size_t length = 0;
  read_hash(call, [&](const Value& hash) { length = hash.size(); });
  call.reply.integer(static_cast<std::int64_t>(length));
}

void run_hexists(Call& call) {
  bool there = false;
  read_hash(call, [&](const Value& hash) { there = hash.contains(call[2]); });
  call.reply.integer(there ? 1 : 0);
}

void run_hstrlen(Call& call) {
  std::size_t length = 0;
  read_hash(call, [&](const Value& hash) {
    if (const auto value = hash.find(call[2])) length = ValueBytes(*value).view().size();
  });
  call.reply.integer(static_cast<std::int64_t>(length));
}

// --- changing

/// The hash as it is; null if the key is absent. Throws CommandError WRONGTYPE.
Value hash_at(const Keyspace& keys, std::string_view key) {
  auto hash = keys.get(key);
  if (!hash) return {};
  if (!hash->is_object()) fail_wrong_type();
  return *std::move(hash);
}

Patch patch_of(Arguments fields_and_values) {
  Patch patch;
  patch.reserve(fields_and_values.size() / 2);
  for (std::size_t index = 0; index + 1 < fields_and_values.size(); index += 2) {
    patch.emplace_back(fields_and_values[index], to_value(fields_and_values[index + 1]));
  }
  return patch;
}

void run_hset(Call& call) {
  if (call.count() % 2 != 0) fail_arguments("hset");
  const std::string_view key = call[1];
  const Value patch = Value::object(patch_of(call.arguments.subspan(2)));
  const std::size_t created = call.keys.together({key}, [&](Keyspace& keys) {
    const std::size_t before = hash_at(keys, key).size();
    return keys.update(key, patch).size() - before;
  });
  call.reply.integer(static_cast<std::int64_t>(created));
  call.events.add('h', "hset", key);
}

void run_hmset(Call& call) {
  if (call.count() % 2 != 0) fail_arguments("hmset");
  call.keys.update(call[1], Value::object(patch_of(call.arguments.subspan(2))));
  call.reply.ok();
  call.events.add('h', "hset", call[1]);
}

void run_hsetnx(Call& call) {
  const std::string_view key = call[1];
  const bool stored = call.keys.together({key}, [&](Keyspace& keys) {
    if (hash_at(keys, key).contains(call[2])) return false;
    keys.update(key, Value::object({{call[2], to_value(call[3])}}));
    return true;
  });
  call.reply.integer(stored ? 1 : 0);
  if (stored) call.events.add('h', "hset", key);
}

void run_hdel(Call& call) {
  const std::string_view key = call[1];
  Patch patch;  // whose nulls remove
  for (const std::string_view field : call.arguments.subspan(2)) patch.emplace_back(field, Value());
  std::size_t removed = 0;
  const bool emptied = call.keys.together({key}, [&](Keyspace& keys) {
    const Value hash = hash_at(keys, key);
    std::erase_if(patch, [&](const auto& member) { return !hash.contains(member.first); });
    if (patch.empty()) return false;
    const Value fields = Value::object(patch);  // a field that was given twice is there once
    removed = fields.size();
    if (removed == hash.size()) return keys.erase(key);
    keys.update(key, fields);
    return false;
  });
  call.reply.integer(static_cast<std::int64_t>(removed));
  if (removed != 0) call.events.add('h', "hdel", key);
  if (emptied) call.events.add('g', "del", key);
}

void run_hincrby(Call& call) {
  const std::string_view key = call[1];
  const std::int64_t delta = to_integer(call[3]);
  const std::int64_t sum = call.keys.together({key}, [&](Keyspace& keys) {
    std::int64_t number = 0;
    if (const auto value = hash_at(keys, key).find(call[2])) {
      number = to_integer(ValueBytes(*value), "ERR hash value is not an integer");
    }
    if (__builtin_add_overflow(number, delta, &number)) throw CommandError("ERR increment or decrement would overflow");
    keys.update(key, Value::object({{call[2], number}}));
    return number;
  });
  call.reply.integer(sum);
  call.events.add('h', "hincrby", key);
}

void run_hincrbyfloat(Call& call) {
  const std::string_view key = call[1];
  const long double delta = to_real(call[3]);
  if (std::isinf(delta)) throw CommandError("ERR value is NaN or Infinity");
  const std::string text = call.keys.together({key}, [&](Keyspace& keys) {
    long double number = 0;
    if (const auto value = hash_at(keys, key).find(call[2])) {
      number = to_real(ValueBytes(*value), "ERR hash value is not a float");
    }
    const long double sum = number + delta;
    if (std::isnan(sum) || std::isinf(sum)) throw CommandError("ERR increment would produce NaN or Infinity");
    const std::string sum_text = real_text(sum);
    keys.update(key, Value::object({{call[2], to_value(sum_text)}}));
    return sum_text;
  });
  call.reply.bulk(text);
  call.events.add('h', "hincrbyfloat", key);
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
    if (!read_hash(call, [&](const Value& hash) { reply_random_field(call.reply, hash); })) call.reply.null();
    return;
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
  const bool found = read_hash(call, [&](const Value& hash) {
    reply_hash_scan(call.reply, hash, cursor, read_hash_scan_options(call.arguments.subspan(3)));
  });
  if (found) return;
  call.reply.array(2);
  call.reply.bulk("0");
  call.reply.array(0);
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
