// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "server/arguments.hpp"
#include "server/command.hpp"

/// What the commands on lists share with their blocking forms.
///
/// Thread safety: plain functions.

namespace cubby::server {

/// LEFT or RIGHT. Throws CommandError "ERR syntax error".
End to_end(std::string_view argument);

/// How many elements the key's array has; empty if it is absent. Throws CommandError WRONGTYPE for anything else.
std::optional<std::size_t> list_length(const Keyspace& keys, std::string_view key);

/// Calls `f(index, element)` for the elements in the range, backwards the last one first, until it returns false.
///
/// It reads in stretches, none of which is the whole list if that has two elements: a slice of all of them is kept beside the
/// list, and counted nowhere. REQUIRES: `keys` is a transaction's; the key holds a list of this length, with the range in it.
template <class F>
void walk_elements(const Keyspace& keys, std::string_view key, std::size_t length, Range range, bool backwards, F&& f) {
  constexpr std::size_t kFirstStretch = 64, kStretch = 4096;
  // Long lists in sixteen: to find the beginning of a stretch means to walk there.
  const std::size_t most = std::min(std::max(kStretch, length / 16), (length + 1) / 2);
  std::size_t stretch = std::min(kFirstStretch, most);
  for (std::size_t done = 0; done < range.count; stretch = std::min(stretch * 2, most)) {
    const std::size_t count = std::min(stretch, range.count - done);
    const std::size_t first = backwards ? range.first + range.count - done - count : range.first + done;
    const Value elements = keys.slice(key, first, count);
    for (std::size_t step = 0; step < count; ++step) {
      const std::size_t at = backwards ? count - 1 - step : step;
      if (!f(first + at, elements[at])) return;
    }
    done += count;
  }
}

/// Takes one element and adds the events; empty if there is none. Throws CommandError WRONGTYPE, cubby::Error.
std::optional<Value> pop_one(Keyspace& keys, Events& events, std::string_view key, End end);

/// Takes up to `count` elements at one instant and adds the events; empty if the key is absent.
std::optional<std::vector<Value>> pop_many(Keyspace& keys, Events& events, std::string_view key, End end, std::size_t count);

/// What becomes of keys that hold something else than a list.
enum class OtherTypes : std::uint8_t {
  fail,       ///< CommandError WRONGTYPE
  pass_over,  ///< as if absent: they may become lists while the client waits
};

/// The elements of the first key that has some.
struct FirstPopped {
  std::string_view key;
  std::vector<Value> elements;
};
std::optional<FirstPopped> pop_first(Keyspace& keys, Events& events, std::span<const std::string_view> names, End end,
                                     std::size_t count, OtherTypes others);

/// Moves an element from one list to another, or within one, and adds the events; empty if there is none. A destination of
/// another type is CommandError WRONGTYPE; nothing has changed then.
struct ListMove {
  std::string_view source, destination;
  End from = End::first, to = End::first;
};
std::optional<Value> move_element(Keyspace& keys, Events& events, const ListMove& move, OtherTypes others);

/// The arguments of LMPOP and BLMPOP from the number of keys on. Throws CommandError.
struct MultiPop {
  std::span<const std::string_view> names;
  End end = End::first;
  std::size_t count = 1;
};
MultiPop read_multi_pop(Arguments arguments);
/// Where the keys are if their number is the argument at `place`. Throws CommandError.
void find_counted_keys(Arguments arguments, std::size_t place, std::vector<std::size_t>& places);

/// An array of them.
void reply_elements(Reply& reply, std::span<const Value> elements);
/// As LMPOP replies: the key, and an array.
void reply_popped(Reply& reply, const FirstPopped& popped);

// What changes lists elsewhere than at their ends: commands_lists_changing.cpp. The table is in commands_lists.cpp.
void run_lset(Call& call);
void run_linsert(Call& call);
void run_lrem(Call& call);
void run_ltrim(Call& call);

}  // namespace cubby::server
