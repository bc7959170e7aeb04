// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command.hpp"
#include "server/lookup.hpp"
#include "server/subcommands.hpp"

/// Commands on keys whatever they hold.

namespace cubby::server {

namespace {

void run_del(Call& call) {
  const Arguments names = call.arguments.subspan(1);
  if (names.size() == 1) {
    const bool erased = call.keys.erase(names[0]);
    if (erased) call.events.add('g', "del", names[0]);
    return call.reply.integer(erased ? 1 : 0);
  }
  std::vector<std::string_view> erased;
  call.keys.together(names, [&](Keyspace& keys) {
    for (const std::string_view name : names) {
      if (keys.erase(name)) erased.push_back(name);
    }
  });
  for (const std::string_view name : erased) call.events.add('g', "del", name);
  call.reply.integer(static_cast<std::int64_t>(erased.size()));
}

/// EXISTS and TOUCH: a key that is named twice counts twice.
void run_exists(Call& call) {
  std::int64_t found = 0;
  for (const std::string_view name : call.arguments.subspan(1)) {
    const bool there = call.keys.exists(name);
    count_lookup(call, there);
    if (there) ++found;
  }
  call.reply.integer(found);
}

void run_type(Call& call) {
  const std::optional<Type> type = call.keys.type(call[1]);
  count_lookup(call, type.has_value());
  call.reply.simple(type ? type_name(*type) : "none");
}

enum class Renamed : std::uint8_t { yes, no_source, target_there };

Renamed rename_if_absent(Keyspace& keys, std::string_view from, std::string_view to) {
  try {
    keys.rename(from, to);
    return Renamed::yes;
  } catch (const Error& error) {
    if (error.code() == Errc::key_not_found) return Renamed::no_source;
    if (error.code() == Errc::key_exists) return Renamed::target_there;
    throw;
  }
}

Renamed rename_over(Keyspace& outer, std::string_view from, std::string_view to) {
  // An absent target needs no transaction, which would copy a long list.
  if (!outer.exists(to)) {
    const Renamed renamed = rename_if_absent(outer, from, to);
    if (renamed != Renamed::target_there) return renamed;
  }
  return outer.together({from, to}, [&](Keyspace& keys) {
    if (!keys.exists(from)) return Renamed::no_source;
    keys.erase(to);
    keys.rename(from, to);
    return Renamed::yes;
  });
}

Renamed rename_key(Call& call, bool over) {
  const std::string_view from = call[1];
  const std::string_view to = call[2];
  Renamed renamed = Renamed::target_there;
  if (from == to) {
    if (!call.keys.exists(from)) renamed = Renamed::no_source;
  } else {
    renamed = over ? rename_over(call.keys, from, to) : rename_if_absent(call.keys, from, to);
  }
  if (renamed == Renamed::no_source) throw CommandError("ERR no such key");
  if (renamed == Renamed::yes) {
    call.events.add('g', "rename_from", from);
    call.events.add('g', "rename_to", to);
  }
  return renamed;
}

void run_rename(Call& call) {
  rename_key(call, true);
  call.reply.ok();
}

void run_renamenx(Call& call) { call.reply.integer(rename_key(call, false) == Renamed::yes ? 1 : 0); }

int read_database(Call& call, std::string_view argument) {
  constexpr std::int64_t kLeast = std::numeric_limits<int>::min();
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  const std::int64_t number = to_integer(argument);
  if (number < kLeast || number > kMost) {
    throw CommandError("ERR value is out of range, value must between " + std::to_string(kLeast) + " and " +
                       std::to_string(kMost));
  }
  if (number < 0 || number >= call.server.settings().databases) throw CommandError("ERR DB index is out of range");
  return static_cast<int>(number);
}

/// A value and the deadline that goes with it.
struct KeyCopy {
  Value value;
  std::optional<TimePoint> deadline;
};

std::optional<KeyCopy> copy_of(const Keyspace& keys, std::string_view key) {
  std::optional<Value> value = keys.get(key);
  if (!value) return std::nullopt;
  return KeyCopy{*std::move(value), keys.deadline(key)};
}

/// False if the key is there, and mustn't be replaced.
bool put_copy(Keyspace& keys, std::string_view key, const KeyCopy& copy, bool replace) {
  if (!replace) return copy.deadline ? keys.set_once(key, copy.value, *copy.deadline) : keys.set_once(key, copy.value);
  if (copy.deadline) {
    keys.set(key, copy.value, *copy.deadline);
  } else {
    keys.set(key, copy.value, std::nullopt);
  }
  return true;
}

/// The value is read at one instant and stored at a later one: there is no transaction on two stores.
bool copy_to_database(Call& call, const std::string& database, bool replace) {
  if (call.keys.in_transaction()) throw CommandError("ERR COPY to another database can't be part of a transaction");
  const std::string_view from = call[1];
  const std::string_view to = call[2];
  const auto copy = call.keys.together({from}, [&](Keyspace& keys) { return copy_of(keys, from); });
  count_lookup(call, copy.has_value());
  if (!copy) return false;
  Datastore store = call.server.databases.open(database);
  Keyspace target(store);
  if (!put_copy(target, to, *copy, replace)) return false;
  Events events(call.server.notifications() != 0);
  events.add('g', "copy_to", to);
  call.server.notify(database, events);
  return true;
}

void run_copy(Call& call) {
  const std::string_view from = call[1];
  const std::string_view to = call[2];
  bool replace = false;
  std::optional<std::string> database;
  for (std::size_t index = 3; index < call.count(); ++index) {
    if (is_word(call[index], "REPLACE")) {
      replace = true;
    } else if (is_word(call[index], "DB") && index + 1 < call.count()) {
      database = Databases::name_of(read_database(call, call[++index]));
    } else {
      fail_syntax();
    }
  }
  if (database && *database != call.client.store_name) {
    return call.reply.integer(copy_to_database(call, *database, replace) ? 1 : 0);
  }
  if (from == to) throw CommandError("ERR source and destination objects are the same");
  bool found = false;
  const bool stored = call.keys.together({from, to}, [&](Keyspace& keys) {
    const auto copy = copy_of(keys, from);
    found = copy.has_value();
    return copy && put_copy(keys, to, *copy, replace);
  });
  count_lookup(call, found);
  if (stored) call.events.add('g', "copy_to", to);
  call.reply.integer(stored ? 1 : 0);
}

// --- OBJECT

/// What Redis calls the way in which it would keep such a value, with its settings as they come.
std::string_view encoding_of(const Value& value) {
  constexpr std::size_t kLongestEmbedded = 44;
  constexpr std::size_t kMostFields = 512;
  constexpr std::size_t kLongestField = 64;
  if (is_list(value.type())) return "quicklist";
  if (is_hash(value.type())) {
    if (value.size() > kMostFields) return "hashtable";
    for (const auto& [name, member] : value.members()) {
      if (name.size() > kLongestField || ValueBytes(member).view().size() > kLongestField) return "hashtable";
    }
    return "listpack";
  }
  if (value.is_int()) return "int";
  return ValueBytes(value).view().size() <= kLongestEmbedded ? "embstr" : "raw";
}

void object_encoding(Call& call) {
  // A list isn't looked at in full for that.
  if (const auto type = call.keys.type(call[2]); type && is_list(*type)) return call.reply.bulk("quicklist");
  if (!call.keys.visit(call[2], [&](const Value& value) { call.reply.bulk(encoding_of(value)); })) call.reply.null();
}

void object_refcount(Call& call) {
  const auto type = call.keys.type(call[2]);
  if (!type) return call.reply.null();
  // Redis shares its small integers, and says so.
  constexpr std::int64_t kSharedIntegers = 10'000;
  bool shared = false;
  if (*type == Type::integer) {
    call.keys.visit(call[2], [&](const Value& value) {
      shared = value.is_int() && value.as_int() >= 0 && value.as_int() < kSharedIntegers;
    });
  }
  call.reply.integer(shared ? std::numeric_limits<int>::max() : 1);
}

/// Readers leave no trace, so nobody knows: every key counts as used just now.
void object_idletime(Call& call) {
  if (call.keys.exists(call[2])) {
    call.reply.integer(0);
  } else {
    call.reply.null();
  }
}

void object_freq(Call& call) {
  if (!call.keys.exists(call[2])) return call.reply.null();
  throw CommandError(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between "
      "policies at runtime LRU and LFU data will take some time to adjust.");
}

void object_help(Call& call) {
  constexpr std::string_view kLines[] = {
      "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "ENCODING <key>",
      "    Return the kind of internal representation that Redis would use in order to",
      "    store the value associated with a <key>.",
      "FREQ <key>",
      "    Not tracked: an error, if the <key> exists.",
      "IDLETIME <key>",
      "    Not tracked: 0, if the <key> exists.",
      "REFCOUNT <key>",
      "    Return the number of references that the value associated with the specified",
      "    <key> would have in Redis.",
      "HELP",
      "    Prints this help.",
  };
  call.reply.array(std::size(kLines));
  for (const std::string_view line : kLines) call.reply.simple(line);
}

struct ObjectCommand {
  std::string_view word, name;
  std::size_t arguments;
  void (*run)(Call&);
};

constexpr ObjectCommand kObjectCommands[] = {
    {"ENCODING", "encoding", 3, object_encoding},
    {"REFCOUNT", "refcount", 3, object_refcount},
    {"IDLETIME", "idletime", 3, object_idletime},
    {"FREQ", "freq", 3, object_freq},
    {"HELP", "help", 2, object_help},
};

const ObjectCommand& object_command(Arguments arguments) {
  for (const ObjectCommand& command : kObjectCommands) {
    if (!is_word(arguments[1], command.word)) continue;
    if (arguments.size() != command.arguments) fail_arguments("object|" + std::string(command.name));
    return command;
  }
  fail_subcommand("OBJECT", arguments[1]);
}

void check_object(Arguments arguments) { object_command(arguments); }
void run_object(Call& call) { object_command(call.arguments).run(call); }
void find_object_keys(Arguments arguments, std::vector<std::size_t>& places) {
  if (arguments.size() == 3) places.push_back(2);
}

constexpr KeyPlaces kFirstKey{1, 1, 1};
constexpr KeyPlaces kTwoKeys{1, 2, 1};
constexpr KeyPlaces kAllKeys{1, -1, 1};
constexpr std::uint32_t kKeyRead = kRead | kKeyspace;
constexpr std::uint32_t kKeyWrite = kWriting | kKeyspace;

constexpr CommandSpec kKeyCommands[] = {
    {"del", -2, kWrite, kKeyWrite, kAllKeys, run_del, "generic", "Removes keys at one instant", "key [key ...]"},
    {"unlink", -2, kWrite | kFast, kKeyWrite, kAllKeys, run_del, "generic", "Removes keys at one instant; the same as DEL",
     "key [key ...]"},
    {"exists", -2, kReadOnly | kFast, kKeyRead, kAllKeys, run_exists, "generic", "Counts those of the keys that are there",
     "key [key ...]"},
    {"touch", -2, kReadOnly | kFast, kKeyRead, kAllKeys, run_exists, "generic",
     "Counts those of the keys that are there; the same as EXISTS", "key [key ...]"},
    {"type", 2, kReadOnly | kFast, kKeyRead, kFirstKey, run_type, "generic", "What kind of value a key holds", "key"},
    {"rename", 3, kWrite, kKeyWrite, kTwoKeys, run_rename, "generic",
     "Gives a key another name, which it may take from another key", "key newkey"},
    {"renamenx", 3, kWrite | kFast, kKeyWrite, kTwoKeys, run_renamenx, "generic", "Gives a key another name if no key has it",
     "key newkey"},
    {"copy", -3, kWrite | kDenyOom, kKeyWrite, kTwoKeys, run_copy, "generic", "Copies a value and its deadline to another key",
     "source destination [DB database] [REPLACE]"},
    {"object",
     -2,
     kReadOnly,
     kKeyRead,
     {},
     run_object,
     "generic",
     "How Redis would keep a value",
     "ENCODING key | REFCOUNT key | IDLETIME key | FREQ key | HELP",
     find_object_keys,
     check_object},
};

}  // namespace

std::span<const CommandSpec> key_commands() { return kKeyCommands; }

}  // namespace cubby::server
