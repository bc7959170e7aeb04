// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "server/arguments.hpp"
#include "server/list_operations.hpp"
#include "server/lookup.hpp"

/// Lists: putting elements at the ends, taking and moving them, and reading. The library's queues make the ends O(1).

namespace cubby::server {

namespace {

// --- putting

std::size_t put_element(Keyspace& keys, std::string_view key, std::string_view element, End end) {
  const Value value = to_value(element);
  return end == End::first ? keys.unshift(key, value) : keys.push(key, value);
}

std::size_t put_all(Keyspace& keys, std::string_view key, Arguments elements, End end) {
  std::size_t length = 0;
  for (const std::string_view element : elements) length = put_element(keys, key, element, end);
  return length;
}

void put(Call& call, End end) {
  const std::string_view key = call[1];
  const Arguments elements = call.arguments.subspan(2);
  // Several come to be at one instant: who waits for one gets that which is at its end then.
  const std::size_t length = elements.size() == 1
                                 ? put_element(call.keys, key, elements[0], end)
                                 : call.keys.together({key}, [&](Keyspace& keys) { return put_all(keys, key, elements, end); });
  call.reply.integer(static_cast<std::int64_t>(length));
  call.events.add('l', end == End::first ? "lpush" : "rpush", key);
}

void put_if_there(Call& call, End end) {
  const std::string_view key = call[1];
  const std::size_t length = call.keys.together({key}, [&](Keyspace& keys) -> std::size_t {
    return list_length(keys, key) ? put_all(keys, key, call.arguments.subspan(2), end) : 0;
  });
  call.reply.integer(static_cast<std::int64_t>(length));
  if (length != 0) call.events.add('l', end == End::first ? "lpush" : "rpush", key);
}

void run_lpush(Call& call) { put(call, End::first); }
void run_rpush(Call& call) { put(call, End::last); }
void run_lpushx(Call& call) { put_if_there(call, End::first); }
void run_rpushx(Call& call) { put_if_there(call, End::last); }

// --- taking

void take(Call& call, End end) {
  const std::string_view key = call[1];
  if (call.count() == 2) {
    if (const auto element = pop_one(call.keys, call.events, key, end)) {
      call.reply.bulk(ValueBytes(*element));
    } else {
      call.reply.null();
    }
    return;
  }
  if (call.count() > 3) fail_arguments(end == End::first ? "lpop" : "rpop");
  const std::int64_t count =
      to_integer_between(call[2], 0, std::numeric_limits<std::int64_t>::max(), "ERR value is out of range, must be positive");
  const auto elements = pop_many(call.keys, call.events, key, end, static_cast<std::size_t>(count));
  if (elements) {
    reply_elements(call.reply, *elements);
  } else {
    call.reply.null_array();
  }
}

void run_lpop(Call& call) { take(call, End::first); }
void run_rpop(Call& call) { take(call, End::last); }

void run_lmpop(Call& call) {
  const MultiPop pop = read_multi_pop(call.arguments.subspan(1));
  const auto popped = pop_first(call.keys, call.events, pop.names, pop.end, pop.count, OtherTypes::fail);
  if (popped) {
    reply_popped(call.reply, *popped);
  } else {
    call.reply.null_array();
  }
}

void find_keys_of_lmpop(Arguments arguments, std::vector<std::size_t>& places) { find_counted_keys(arguments, 1, places); }

void move(Call& call, End from, End to) {
  const auto element = move_element(call.keys, call.events, {call[1], call[2], from, to}, OtherTypes::fail);
  if (element) {
    call.reply.bulk(ValueBytes(*element));
  } else {
    call.reply.null();
  }
}

void run_lmove(Call& call) {
  const End from = to_end(call[3]);
  move(call, from, to_end(call[4]));
}
void run_rpoplpush(Call& call) { move(call, End::last, End::first); }

// --- reading

void run_llen(Call& call) {
  const auto length = list_length(call.keys, call[1]);
  count_lookup(call, length.has_value());
  call.reply.integer(static_cast<std::int64_t>(length.value_or(0)));
}

/// The elements that LRANGE means, which counts from the end below zero.
Value slice_of(Keyspace& keys, std::string_view key, std::int64_t first, std::int64_t last) {
  const Value none = Value::array(std::initializer_list<Value>{});
  if (first >= 0 && (last >= 0 || last == -1)) {
    if (last >= 0 && first > last) return keys.slice(key, 0, 0);
    const auto count = last < 0 ? std::numeric_limits<std::size_t>::max() : static_cast<std::size_t>(last - first) + 1;
    return keys.slice(key, static_cast<std::size_t>(first), count);
  }
  // Where the end is has to be known at the instant at which the elements are read.
  return keys.together({key}, [&](Keyspace& inner) {
    const auto range = to_range(first, last, list_length(inner, key).value_or(0));
    return range ? inner.slice(key, range->first, range->count) : none;
  });
}

/// Whether slice() can't be about all elements of the list, which it would keep a copy of.
bool is_part(const Keyspace& keys, std::string_view key, std::int64_t first, std::int64_t last) {
  if (first < 0 || last < -1) return false;
  if (first > 0) return true;
  return last >= 0 && list_length(keys, key).value_or(0) > static_cast<std::size_t>(last) + 1;
}

void run_lrange(Call& call) {
  const std::string_view key = call[1];
  const std::int64_t first = to_integer(call[2]);
  const std::int64_t last = to_integer(call[3]);
  if (is_part(call.keys, key, first, last)) {
    const Value elements = slice_of(call.keys, key, first, last);
    count_lookup(call, elements.size() != 0 || call.keys.exists(key));
    call.reply.array(elements.size());
    for (const Value& element : elements.elements()) call.reply.bulk(ValueBytes(element));
    return;
  }
  call.keys.together({key}, [&](Keyspace& keys) {
    const auto length = list_length(keys, key);
    count_lookup(call, length.has_value());
    const auto range = to_range(first, last, length.value_or(0));
    call.reply.array(range ? range->count : 0);
    if (!range) return;
    walk_elements(keys, key, *length, *range, false, [&](std::size_t, const Value& element) {
      call.reply.bulk(ValueBytes(element));
      return true;
    });
  });
}

void run_lindex(Call& call) {
  const std::string_view key = call[1];
  const auto index = canonical_integer(call[2]);
  if (!index) {
    // Redis looks at the key first.
    if (list_length(call.keys, key)) fail_not_integer();
    count_lookup(call, false);
    return call.reply.null();
  }
  const Value elements = slice_of(call.keys, key, *index, *index);
  count_lookup(call, elements.size() != 0 || call.keys.exists(key));
  if (elements.size() == 0) return call.reply.null();
  call.reply.bulk(ValueBytes(elements[0]));
}

struct PositionOptions {
  std::size_t rank = 1;  ///< 1: the first match
  bool backwards = false;
  std::optional<std::size_t> count;  ///< of matches, 0: all; empty: one, not in an array
  std::size_t most = 0;              ///< elements to be looked at; 0: all
};

PositionOptions read_position_options(Arguments words) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  PositionOptions options;
  for (std::size_t index = 0; index < words.size(); index += 2) {
    if (index + 1 == words.size()) fail_syntax();
    const std::string_view word = words[index];
    const std::string_view argument = words[index + 1];
    if (is_word(word, "RANK")) {
      const std::int64_t rank = to_integer(argument);
      if (rank == 0) {
        throw CommandError(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from "
            "the end of the list");
      }
      options.backwards = rank < 0;
      // The least integer has no counterpart; Redis takes it for -1.
      options.rank = rank == -kMost - 1 ? 1 : static_cast<std::size_t>(rank < 0 ? -rank : rank);
    } else if (is_word(word, "COUNT")) {
      options.count = static_cast<std::size_t>(to_integer_between(argument, 0, kMost, "ERR COUNT can't be negative"));
    } else if (is_word(word, "MAXLEN")) {
      options.most = static_cast<std::size_t>(to_integer_between(argument, 0, kMost, "ERR MAXLEN can't be negative"));
    } else {
      fail_syntax();
    }
  }
  return options;
}

/// REQUIRES: as walk_elements().
std::vector<std::size_t> positions_of(const Keyspace& keys, std::string_view key, std::size_t length, std::string_view wanted,
                                      const PositionOptions& options) {
  const std::size_t looked_at = options.most == 0 ? length : std::min(options.most, length);
  const std::size_t enough = options.count.value_or(1);
  std::vector<std::size_t> positions;
  std::size_t matching = 0;
  const Range range{options.backwards ? length - looked_at : 0, looked_at};
  walk_elements(keys, key, length, range, options.backwards, [&](std::size_t index, const Value& element) {
    if (ValueBytes(element).view() != wanted || ++matching < options.rank) return true;
    positions.push_back(index);
    return positions.size() != enough;
  });
  return positions;
}

void run_lpos(Call& call) {
  const PositionOptions options = read_position_options(call.arguments.subspan(3));
  const std::string_view key = call[1];
  std::vector<std::size_t> positions;
  const bool found = call.keys.together({key}, [&](Keyspace& keys) {
    const auto length = list_length(keys, key);
    if (length) positions = positions_of(keys, key, *length, call[2], options);
    return length.has_value();
  });
  count_lookup(call, found);
  if (options.count) {
    call.reply.array(positions.size());
    for (const std::size_t position : positions) call.reply.integer(static_cast<std::int64_t>(position));
  } else if (positions.empty()) {
    call.reply.null();
  } else {
    call.reply.integer(static_cast<std::int64_t>(positions[0]));
  }
}

// --- the table

constexpr std::uint32_t kListWrite = kWriting | kList;
constexpr std::uint32_t kListRead = kRead | kList;
constexpr KeyPlaces kListKey = {1, 1, 1};

constexpr CommandSpec kListCommands[] = {
    {"lpush", -3, kWrite | kDenyOom | kFast, kListWrite, kListKey, run_lpush, "list",
     "Puts elements at the front of a list, which is made if absent", "key element [element ...]"},
    {"rpush", -3, kWrite | kDenyOom | kFast, kListWrite, kListKey, run_rpush, "list",
     "Puts elements at the end of a list, which is made if absent", "key element [element ...]"},
    {"lpushx", -3, kWrite | kDenyOom | kFast, kListWrite, kListKey, run_lpushx, "list",
     "Puts elements at the front of a list if it is there", "key element [element ...]"},
    {"rpushx", -3, kWrite | kDenyOom | kFast, kListWrite, kListKey, run_rpushx, "list",
     "Puts elements at the end of a list if it is there", "key element [element ...]"},
    {"lpop", -2, kWrite | kFast, kListWrite, kListKey, run_lpop, "list", "Takes elements from the front of a list",
     "key [count]"},
    {"rpop", -2, kWrite | kFast, kListWrite, kListKey, run_rpop, "list", "Takes elements from the end of a list",
     "key [count]"},
    {"llen", 2, kReadOnly | kFast, kListRead, kListKey, run_llen, "list", "Counts the elements of a list", "key"},
    {"lrange", 4, kReadOnly, kListRead, kListKey, run_lrange, "list", "Reads a range of a list's elements", "key start stop"},
    {"lindex", 3, kReadOnly, kListRead, kListKey, run_lindex, "list", "Reads an element of a list by its index", "key index"},
    {"lset", 4, kWrite | kDenyOom, kListWrite, kListKey, run_lset, "list", "Replaces an element of a list by its index",
     "key index element"},
    {"linsert", 5, kWrite | kDenyOom, kListWrite, kListKey, run_linsert, "list",
     "Puts an element before or after another one in a list", "key BEFORE | AFTER pivot element"},
    {"lrem", 4, kWrite, kListWrite, kListKey, run_lrem, "list", "Removes elements that are equal from a list",
     "key count element"},
    {"ltrim", 4, kWrite, kListWrite, kListKey, run_ltrim, "list", "Removes all but a range of a list's elements",
     "key start stop"},
    {"lpos", -3, kReadOnly, kListRead, kListKey, run_lpos, "list", "Finds the indices of equal elements in a list",
     "key element [RANK rank] [COUNT num-matches] [MAXLEN len]"},
    {"lmove",
     5,
     kWrite | kDenyOom,
     kListWrite,
     {1, 2, 1},
     run_lmove,
     "list",
     "Moves an element from one list to another, and returns it",
     "source destination LEFT | RIGHT LEFT | RIGHT"},
    {"rpoplpush",
     3,
     kWrite | kDenyOom,
     kListWrite,
     {1, 2, 1},
     run_rpoplpush,
     "list",
     "Moves the last element of a list to the front of another, and returns it",
     "source destination"},
    {"lmpop",
     -4,
     kWrite | kMovableKeys,
     kListWrite,
     {0, 0, 0},
     run_lmpop,
     "list",
     "Takes elements from the first list that has some",
     "numkeys key [key ...] LEFT | RIGHT [COUNT count]",
     find_keys_of_lmpop},
};

}  // namespace

std::span<const CommandSpec> list_commands() { return kListCommands; }

}  // namespace cubby::server
