// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/list_operations.hpp"
#include "server/values.hpp"

/// Lists changed elsewhere than at their ends: LSET, LINSERT, LREM and LTRIM. All but LTRIM write the list anew: O(length).
///
/// They work in together() rather than modify(), as what changes nothing there counts as no write.

namespace cubby::server {

namespace {

/// The list's elements; empty if the key is absent. Throws CommandError WRONGTYPE. REQUIRES: `keys` is a transaction's.
std::optional<std::vector<Value>> elements_of(Keyspace& keys, std::string_view key) {
  const auto length = list_length(keys, key);
  if (!length) return std::nullopt;
  std::vector<Value> elements;
  elements.reserve(*length + 1);
  walk_elements(keys, key, *length, {0, *length}, false, [&](std::size_t, const Value& element) {
    elements.push_back(element);
    return true;
  });
  return elements;
}

bool equals(const Value& element, std::string_view bytes) { return ValueBytes(element).view() == bytes; }

/// Removes up to `most` of the elements that are equal, beginning at the front; how many.
std::size_t remove_equal(std::vector<Value>& elements, std::string_view bytes, std::size_t most) {
  std::size_t removed = 0;
  std::erase_if(elements, [&](const Value& element) {
    if (removed == most || !equals(element, bytes)) return false;
    ++removed;
    return true;
  });
  return removed;
}

}  // namespace

void run_lset(Call& call) {
  const std::string_view key = call[1];
  call.keys.together({key}, [&](Keyspace& keys) {
    auto elements = elements_of(keys, key);
    if (!elements) throw CommandError("ERR no such key");
    const std::int64_t index = to_integer(call[2]);
    const auto place = to_range(index, index, elements->size());
    if (!place) throw CommandError("ERR index out of range");
    (*elements)[place->first] = to_value(call[3]);
    keys.set(key, Value::array(*elements));
  });
  call.reply.ok();
  call.events.add('l', "lset", key);
}

void run_linsert(Call& call) {
  const std::string_view key = call[1];
  const bool after = is_word(call[2], "AFTER");
  if (!after && !is_word(call[2], "BEFORE")) fail_syntax();
  const std::int64_t length = call.keys.together({key}, [&](Keyspace& keys) -> std::int64_t {
    auto elements = elements_of(keys, key);
    if (!elements) return 0;
    const auto pivot =
        std::find_if(elements->begin(), elements->end(), [&](const Value& element) { return equals(element, call[3]); });
    if (pivot == elements->end()) return -1;
    elements->insert(after ? pivot + 1 : pivot, to_value(call[4]));
    keys.set(key, Value::array(*elements));
    return static_cast<std::int64_t>(elements->size());
  });
  call.reply.integer(length);
  if (length > 0) call.events.add('l', "linsert", key);
}

void run_lrem(Call& call) {
  const std::string_view key = call[1];
  const std::int64_t count = to_integer(call[2]);
  std::size_t removed = 0;
  const bool emptied = call.keys.together({key}, [&](Keyspace& keys) {
    auto elements = elements_of(keys, key);
    if (!elements) return false;
    if (count < 0) {
      std::reverse(elements->begin(), elements->end());
      removed = remove_equal(*elements, call[3], std::size_t{0} - static_cast<std::size_t>(count));
      std::reverse(elements->begin(), elements->end());
    } else {
      removed = remove_equal(*elements, call[3], count == 0 ? elements->size() : static_cast<std::size_t>(count));
    }
    if (removed == 0) return false;
    if (elements->empty()) return keys.erase(key);
    keys.set(key, Value::array(*elements));
    return false;
  });
  call.reply.integer(static_cast<std::int64_t>(removed));
  if (removed != 0) call.events.add('l', "lrem", key);
  if (emptied) call.events.add('g', "del", key);
}

void run_ltrim(Call& call) {
  const std::string_view key = call[1];
  const std::int64_t first = to_integer(call[2]);
  const std::int64_t last = to_integer(call[3]);
  bool emptied = false;
  const bool found = call.keys.together({key}, [&](Keyspace& keys) {
    const auto length = list_length(keys, key);
    if (!length) return false;
    const auto range = to_range(first, last, *length);
    if (!range) {
      emptied = keys.erase(key);
      return true;
    }
    const std::size_t removed = *length - range->count;
    if (removed <= range->count) {
      // The usual case, a list that is kept at some length: O(removed).
      for (std::size_t index = 0; index < range->first; ++index) keys.shift(key, End::first);
      for (std::size_t index = range->first + range->count; index < *length; ++index) keys.shift(key, End::last);
    } else {
      keys.set(key, keys.slice(key, range->first, range->count));
    }
    return true;
  });
  call.reply.ok();
  if (found) call.events.add('l', "ltrim", key);
  if (emptied) call.events.add('g', "del", key);
}

}  // namespace cubby::server
