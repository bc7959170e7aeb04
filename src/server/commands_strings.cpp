// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/command.hpp"
#include "server/lookup.hpp"
#include "server/string_edits.hpp"
#include "server/values.hpp"

/// Strings as a whole: reading and storing them. What changes a part of them is in string_edits.cpp.

namespace cubby::server {

namespace {

/// The options of SET and GETEX.
struct StringOptions {
  enum class Time : std::uint8_t { none, ex, px, exat, pxat };
  bool if_absent = false, if_present = false, get_old = false, keep_deadline = false, drop_deadline = false;
  Time time = Time::none;
  std::string_view amount;

  /// The deadline in milliseconds. REQUIRES: a time was given.
  std::int64_t deadline_ms(std::string_view command) const {
    const bool seconds = time == Time::ex || time == Time::exat;
    const bool relative = time == Time::ex || time == Time::px;
    return to_deadline_ms(amount, seconds ? TimeUnit::seconds : TimeUnit::milliseconds,
                          relative ? TimeBase::from_now : TimeBase::since_epoch, true, command);
  }
  bool absolute() const noexcept { return time == Time::exat || time == Time::pxat; }
};

StringOptions read_string_options(Arguments words, bool of_set) {
  using Time = StringOptions::Time;
  constexpr std::pair<std::string_view, Time> kTimes[] = {
      {"EX", Time::ex}, {"PX", Time::px}, {"EXAT", Time::exat}, {"PXAT", Time::pxat}};
  StringOptions options;
  const auto read_time = [&](std::size_t index) {
    for (const auto& [name, time] : kTimes) {
      if (!is_word(words[index], name)) continue;
      // The same one again is fine: the last one counts.
      if (options.time != Time::none && options.time != time) return false;
      if (options.keep_deadline || options.drop_deadline || index + 1 == words.size()) return false;
      options.time = time;
      options.amount = words[index + 1];
      return true;
    }
    return false;
  };
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::string_view word = words[index];
    if (of_set && is_word(word, "NX") && !options.if_present) {
      options.if_absent = true;
    } else if (of_set && is_word(word, "XX") && !options.if_absent) {
      options.if_present = true;
    } else if (of_set && is_word(word, "GET")) {
      options.get_old = true;
    } else if (of_set && is_word(word, "KEEPTTL") && options.time == Time::none) {
      options.keep_deadline = true;
    } else if (!of_set && is_word(word, "PERSIST") && options.time == Time::none) {
      options.drop_deadline = true;
    } else if (read_time(index)) {
      ++index;
    } else {
      fail_syntax();
    }
  }
  return options;
}

/// Replies with a string, or null if the key is absent.
bool reply_string(Call& call, std::string_view key) {
  const auto type = call.keys.visit_scalar(key, [&](const Value& value) { call.reply.bulk(ValueBytes(value)); });
  if (type && !is_string(*type)) fail_wrong_type();
  count_lookup(call, type.has_value());
  if (!type) call.reply.null();
  return type.has_value();
}

void reply_old(Call& call, const std::optional<Value>& old) {
  if (old) {
    call.reply.bulk(ValueBytes(*old));
  } else {
    call.reply.null();
  }
}

std::optional<Value> get_string(const Keyspace& keys, std::string_view key) {
  check_no_list(keys, key);
  std::optional<Value> value = keys.get(key);
  if (value) check_string(*value);
  return value;
}

/// `deadline_ms`: empty for none.
void store_string(Keyspace& keys, std::string_view key, const Value& value, std::optional<std::int64_t> deadline_ms,
                  bool keep) {
  if (deadline_ms) {
    keys.set(key, value, time_point(*deadline_ms));
  } else if (keep) {
    keys.set(key, value);
  } else {
    keys.set(key, value, std::nullopt);
  }
}

void tell_set(Call& call, std::string_view key, std::optional<std::int64_t> deadline_ms) {
  call.events.add('$', "set", key);
  if (deadline_ms) call.events.add('g', "expire", key);
}

void run_get(Call& call) { reply_string(call, call[1]); }

void run_set(Call& call) {
  const std::string_view key = call[1];
  if (call.count() == 3) [[likely]] {
    call.keys.set(key, to_value(call[2]), std::nullopt);
    call.events.add('$', "set", key);
    return call.reply.ok();
  }
  const StringOptions options = read_string_options(call.arguments.subspan(3), true);
  std::optional<std::int64_t> deadline_ms;
  if (options.time != StringOptions::Time::none) deadline_ms = options.deadline_ms("set");
  const Value value = to_value(call[2]);
  bool stored = true;
  if (options.get_old) {
    const std::optional<Value> old = call.keys.together({key}, [&](Keyspace& keys) {
      std::optional<Value> before = get_string(keys, key);
      stored = before ? !options.if_absent : !options.if_present;
      if (stored) store_string(keys, key, value, deadline_ms, options.keep_deadline);
      return before;
    });
    count_lookup(call, old.has_value());
    reply_old(call, old);
  } else {
    if (options.if_absent) {
      stored = deadline_ms ? call.keys.set_once(key, value, time_point(*deadline_ms)) : call.keys.set_once(key, value);
    } else if (options.if_present) {
      call.keys.together({key}, [&](Keyspace& keys) {
        stored = keys.exists(key);
        if (stored) store_string(keys, key, value, deadline_ms, options.keep_deadline);
      });
    } else {
      store_string(call.keys, key, value, deadline_ms, options.keep_deadline);
    }
    stored ? call.reply.ok() : call.reply.null();
  }
  if (stored) tell_set(call, key, deadline_ms);
}

void run_setnx(Call& call) {
  const bool stored = call.keys.set_once(call[1], to_value(call[2]));
  if (stored) call.events.add('$', "set", call[1]);
  call.reply.integer(stored ? 1 : 0);
}

void set_for(Call& call, TimeUnit unit, std::string_view command) {
  const std::int64_t deadline_ms = to_deadline_ms(call[2], unit, TimeBase::from_now, true, command);
  call.keys.set(call[1], to_value(call[3]), time_point(deadline_ms));
  tell_set(call, call[1], deadline_ms);
  call.reply.ok();
}

void run_setex(Call& call) { set_for(call, TimeUnit::seconds, "setex"); }
void run_psetex(Call& call) { set_for(call, TimeUnit::milliseconds, "psetex"); }

void run_getset(Call& call) {
  const std::string_view key = call[1];
  const Value value = to_value(call[2]);
  const std::optional<Value> old = call.keys.together({key}, [&](Keyspace& keys) {
    std::optional<Value> before = get_string(keys, key);
    keys.set(key, value, std::nullopt);
    return before;
  });
  count_lookup(call, old.has_value());
  call.events.add('$', "set", key);
  reply_old(call, old);
}

void run_getdel(Call& call) {
  const std::string_view key = call[1];
  std::optional<Value> taken;
  check_no_list(call.keys, key);
  call.keys.modify(key, [&](std::optional<Value> old) -> std::optional<Value> {
    if (old) check_string(*old);
    taken = std::move(old);
    return std::nullopt;
  });
  count_lookup(call, taken.has_value());
  if (taken) call.events.add('g', "del", key);
  reply_old(call, taken);
}

void run_getex(Call& call) {
  using Time = StringOptions::Time;
  const std::string_view key = call[1];
  const StringOptions options = read_string_options(call.arguments.subspan(2), false);
  if (options.time == Time::none && !options.drop_deadline) {
    reply_string(call, key);
    return;
  }
  std::string_view event;
  const std::optional<Value> value = call.keys.together({key}, [&](Keyspace& keys) {
    std::optional<Value> found = get_string(keys, key);
    if (!found) return found;
    if (options.drop_deadline) {
      if (keys.remove_expiry(key)) event = "persist";
      return found;
    }
    // Redis looks at the time only if the key is there.
    const std::int64_t deadline_ms = options.deadline_ms("getex");
    if (options.absolute() && deadline_ms <= now_ms()) {
      keys.erase(key);
      event = "del";
    } else {
      keys.expire_at(key, time_point(deadline_ms));
      event = "expire";
    }
    return found;
  });
  count_lookup(call, value.has_value());
  if (!event.empty()) call.events.add('g', event, key);
  reply_old(call, value);
}

void run_mget(Call& call) {
  const Arguments names = call.arguments.subspan(1);
  call.reply.array(names.size());
  std::size_t found = 0;
  constexpr std::size_t kStretch = 64;
  for (std::size_t first = 0; first < names.size(); first += kStretch) {
    const Arguments stretch = names.subspan(first, std::min(kStretch, names.size() - first));
    if (!call.keys.in_transaction()) call.keys.store().prefetch(stretch);
    for (const std::string_view name : stretch) {
      const auto type = call.keys.visit_scalar(name, [&](const Value& value) { call.reply.bulk(ValueBytes(value)); });
      if (type) ++found;
      if (!type || !is_string(*type)) call.reply.null();
    }
  }
  Figures::Part& figures = call.server.figures.mine();
  figures.add(Figures::hits, found);
  figures.add(Figures::misses, names.size() - found);
}

/// Stores the pairs at one instant; with `if_absent` none of them if one of the keys is there.
bool set_pairs(Call& call, std::string_view command, bool if_absent) {
  if (call.count() % 2 == 0) fail_arguments(command);
  std::vector<std::string_view> names;
  std::vector<Value> values;
  names.reserve(call.count() / 2);
  values.reserve(call.count() / 2);
  for (std::size_t index = 1; index < call.count(); index += 2) {
    names.push_back(call[index]);
    values.push_back(to_value(call[index + 1]));
  }
  const bool stored = call.keys.together(std::span<const std::string_view>(names), [&](Keyspace& keys) {
    if (if_absent) {
      for (const std::string_view name : names) {
        if (keys.exists(name)) return false;
      }
    }
    for (std::size_t index = 0; index < names.size(); ++index) keys.set(names[index], values[index], std::nullopt);
    return true;
  });
  if (!stored) return false;
  for (const std::string_view name : names) call.events.add('$', "set", name);
  return true;
}

void run_mset(Call& call) {
  set_pairs(call, "mset", false);
  call.reply.ok();
}

void run_msetnx(Call& call) { call.reply.integer(set_pairs(call, "msetnx", true) ? 1 : 0); }

constexpr std::uint32_t kStringRead = kRead | kString;
constexpr std::uint32_t kStringWrite = kWriting | kString;
constexpr std::uint32_t kGrows = kWrite | kDenyOom;
constexpr KeyPlaces kOneKey{1, 1, 1};

constexpr CommandSpec kStringCommands[] = {
    {"get", 2, kReadOnly | kFast, kStringRead, kOneKey, run_get, "string", "Reads a string", "key"},
    {"set", -3, kGrows, kStringWrite, kOneKey, run_set, "string",
     "Stores a string, whatever the key held, and drops its deadline",
     "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
     "KEEPTTL]"},
    {"setnx", 3, kGrows | kFast, kStringWrite, kOneKey, run_setnx, "string", "Stores a string if the key is absent",
     "key value"},
    {"setex", 4, kGrows, kStringWrite, kOneKey, run_setex, "string", "Stores a string with a time to live in seconds",
     "key seconds value"},
    {"psetex", 4, kGrows, kStringWrite, kOneKey, run_psetex, "string", "Stores a string with a time to live in milliseconds",
     "key milliseconds value"},
    {"getset", 3, kGrows | kFast, kStringWrite, kOneKey, run_getset, "string", "Stores a string and returns the old one",
     "key value"},
    {"getdel", 2, kWrite | kFast, kStringWrite, kOneKey, run_getdel, "string", "Reads a string and removes the key", "key"},
    {"getex", -2, kWrite | kFast, kStringWrite, kOneKey, run_getex, "string",
     "Reads a string and sets or drops the key's deadline",
     "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]"},
    {"mget", -2, kReadOnly | kFast, kStringRead, {1, -1, 1}, run_mget, "string", "Reads several strings", "key [key ...]"},
    {"mset",
     -3,
     kGrows,
     kStringWrite,
     {1, -1, 2},
     run_mset,
     "string",
     "Stores several strings at one instant",
     "key value [key value ...]"},
    {"msetnx",
     -3,
     kGrows,
     kStringWrite,
     {1, -1, 2},
     run_msetnx,
     "string",
     "Stores several strings at one instant if all keys are absent",
     "key value [key value ...]"},
    {"append", 3, kGrows | kFast, kStringWrite, kOneKey, run_append, "string", "Appends to a string, which is made if absent",
     "key value"},
    {"strlen", 2, kReadOnly | kFast, kStringRead, kOneKey, run_strlen, "string", "Counts the bytes of a string", "key"},
    {"getrange", 4, kReadOnly, kStringRead, kOneKey, run_getrange, "string", "Reads a part of a string", "key start end"},
    {"substr", 4, kReadOnly, kStringRead, kOneKey, run_getrange, "string", "Reads a part of a string; the old name of GETRANGE",
     "key start end"},
    {"setrange", 4, kGrows, kStringWrite, kOneKey, run_setrange, "string",
     "Overwrites a part of a string, which grows by zero bytes if need be", "key offset value"},
    {"incr", 2, kGrows | kFast, kStringWrite, kOneKey, run_incr, "string", "Adds 1 to an integer; an absent key counts as 0",
     "key"},
    {"decr", 2, kGrows | kFast, kStringWrite, kOneKey, run_decr, "string", "Takes 1 from an integer; an absent key counts as 0",
     "key"},
    {"incrby", 3, kGrows | kFast, kStringWrite, kOneKey, run_incrby, "string", "Adds to an integer; an absent key counts as 0",
     "key increment"},
    {"decrby", 3, kGrows | kFast, kStringWrite, kOneKey, run_decrby, "string",
     "Takes from an integer; an absent key counts as 0", "key decrement"},
    {"incrbyfloat", 3, kGrows | kFast, kStringWrite, kOneKey, run_incrbyfloat, "string",
     "Adds to a number with a fraction; an absent key counts as 0", "key increment"},
};

}  // namespace

std::span<const CommandSpec> string_commands() { return kStringCommands; }

}  // namespace cubby::server
