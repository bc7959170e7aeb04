// SPDX-License-Identifier: Apache-2.0
#include "server/list_operations.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "server/arguments.hpp"
#include "server/values.hpp"

namespace cubby::server {

namespace {

void tell_popped(Events& events, std::string_view key, End end, bool emptied) {
  events.add('l', end == End::first ? "lpop" : "rpop", key);
  if (emptied) events.add('g', "del", key);
}

/// REQUIRES: `keys` is a transaction's, or nobody else writes the key; the key holds an array of this length.
std::vector<Value> take_elements(Keyspace& keys, Events& events, std::string_view key, End end, std::size_t count,
                                 std::size_t length) {
  std::vector<Value> elements;
  const std::size_t taken = std::min(count, length);
  elements.reserve(taken);
  for (std::size_t index = 0; index < taken; ++index) {
    if (auto element = keys.shift(key, end)) elements.push_back(*std::move(element));
  }
  if (!elements.empty()) tell_popped(events, key, end, elements.size() == length);
  return elements;
}

std::optional<std::size_t> length_if_list(const Keyspace& keys, std::string_view key, OtherTypes others) {
  if (others == OtherTypes::fail) return list_length(keys, key);
  const auto type = keys.type(key);
  return type && is_list(*type) ? keys.length(key) : std::nullopt;
}

}  // namespace

End to_end(std::string_view argument) {
  if (is_word(argument, "LEFT")) return End::first;
  if (!is_word(argument, "RIGHT")) fail_syntax();
  return End::last;
}

std::optional<std::size_t> list_length(const Keyspace& keys, std::string_view key) {
  const auto type = keys.type(key);
  if (!type) return std::nullopt;
  if (!is_list(*type)) fail_wrong_type();
  return keys.length(key);
}

std::optional<Value> pop_one(Keyspace& keys, Events& events, std::string_view key, End end) {
  // Whether it was the last element has to be known at the same instant.
  if (events.wanted()) [[unlikely]] {
    auto elements = pop_many(keys, events, key, end, 1);
    return elements && !elements->empty() ? std::optional<Value>(std::move(elements->front())) : std::nullopt;
  }
  // Those who poll an empty queue shouldn't cost an exception each time.
  const auto type = keys.type(key);
  if (!type) return std::nullopt;
  if (!is_list(*type)) fail_wrong_type();
  try {
    return keys.shift(key, end);
  } catch (const Error& error) {
    if (error.code() == Errc::key_not_found) return std::nullopt;
    throw;
  }
}

std::optional<std::vector<Value>> pop_many(Keyspace& keys, Events& events, std::string_view key, End end, std::size_t count) {
  return keys.together({key}, [&](Keyspace& inner) -> std::optional<std::vector<Value>> {
    const auto length = list_length(inner, key);
    if (!length) return std::nullopt;
    return take_elements(inner, events, key, end, count, *length);
  });
}

std::optional<FirstPopped> pop_first(Keyspace& keys, Events& events, std::span<const std::string_view> names, End end,
                                     std::size_t count, OtherTypes others) {
  return keys.together(names, [&](Keyspace& inner) -> std::optional<FirstPopped> {
    for (const std::string_view name : names) {
      const auto length = length_if_list(inner, name, others);
      if (length.value_or(0) == 0) continue;
      return FirstPopped{name, take_elements(inner, events, name, end, count, *length)};
    }
    return std::nullopt;
  });
}

std::optional<Value> move_element(Keyspace& keys, Events& events, const ListMove& move, OtherTypes others) {
  return keys.together({move.source, move.destination}, [&](Keyspace& inner) -> std::optional<Value> {
    const std::size_t length = length_if_list(inner, move.source, others).value_or(0);
    if (length == 0) return std::nullopt;
    list_length(inner, move.destination);  // another type: nothing has changed yet
    const Value element = inner.slice(move.source, move.from == End::first ? 0 : length - 1, 1)[0];
    // Put before it is taken: so a list that is rotated is never empty, and keeps its deadline.
    if (move.to == End::first) {
      inner.unshift(move.destination, element);
    } else {
      inner.push(move.destination, element);
    }
    inner.shift(move.source, move.from);
    events.add('l', move.to == End::first ? "lpush" : "rpush", move.destination);
    tell_popped(events, move.source, move.from, length == 1 && move.source != move.destination);
    return element;
  });
}

MultiPop read_multi_pop(Arguments arguments) {
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  const std::int64_t count = to_integer_between(arguments[0], 1, kMost, "ERR numkeys should be greater than 0");
  const auto rest = arguments.subspan(1);
  if (static_cast<std::uint64_t>(count) >= rest.size()) fail_syntax();
  MultiPop pop;
  pop.names = rest.first(static_cast<std::size_t>(count));
  const auto options = rest.subspan(pop.names.size());
  pop.end = to_end(options[0]);
  if (options.size() == 1) return pop;
  if (options.size() == 2 || !is_word(options[1], "COUNT")) fail_syntax();
  pop.count = static_cast<std::size_t>(to_integer_between(options[2], 1, kMost, "ERR count should be greater than 0"));
  if (options.size() != 3) fail_syntax();
  return pop;
}

void find_counted_keys(Arguments arguments, std::size_t place, std::vector<std::size_t>& places) {
  const auto count = canonical_integer(arguments[place]);
  if (!count || *count <= 0 || static_cast<std::uint64_t>(*count) >= arguments.size() - place) {
    throw CommandError("ERR Invalid arguments specified for command");
  }
  for (std::size_t index = 1; index <= static_cast<std::size_t>(*count); ++index) places.push_back(place + index);
}

void reply_elements(Reply& reply, std::span<const Value> elements) {
  reply.array(elements.size());
  for (const Value& element : elements) reply.bulk(ValueBytes(element));
}

void reply_popped(Reply& reply, const FirstPopped& popped) {
  reply.array(2);
  reply.bulk(popped.key);
  reply_elements(reply, popped.elements);
}

}  // namespace cubby::server
