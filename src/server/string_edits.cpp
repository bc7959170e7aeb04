// SPDX-License-Identifier: Apache-2.0
#include "server/string_edits.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/arguments.hpp"
#include "server/lookup.hpp"
#include "server/values.hpp"

namespace cubby::server {

namespace {

/// Of bytes that were put together. `text`: known to be UTF-8, so that what may be long isn't looked at again.
Value joined_value(std::string_view bytes, bool text) {
  constexpr std::size_t kLongestInteger = 20;
  return text && bytes.size() > kLongestInteger ? Value(bytes) : to_value(bytes);
}

/// INCR and its kin on what isn't an integer by itself: a string that C++ code has stored may consist of digits.
std::int64_t add_to_text(Call& call, std::int64_t delta) {
  std::int64_t sum = delta;
  call.keys.modify(call[1], [&](std::optional<Value> old) -> std::optional<Value> {
    if (!old) return Value(delta);
    check_string(*old);
    const auto number = canonical_integer(ValueBytes(*old));
    if (!number) fail_not_integer();
    if (__builtin_add_overflow(*number, delta, &sum)) throw CommandError("ERR increment or decrement would overflow");
    return Value(sum);
  });
  return sum;
}

void add_to(Call& call, std::int64_t delta) {
  const std::string_view key = call[1];
  // The store would add to a real too, where Redis has none. If C++ code puts one there right now, its sum is the reply.
  const std::optional<Type> type = call.keys.type(key);
  if (type && is_list(*type)) fail_wrong_type();
  if (type && *type != Type::integer) {
    call.reply.integer(add_to_text(call, delta));
  } else {
    std::optional<Value> sum;
    try {
      sum = call.keys.increment(key, delta);
    } catch (const Error& error) {
      if (error.code() != Errc::type_mismatch) throw;
    }
    if (!sum) {
      call.reply.integer(add_to_text(call, delta));
    } else if (sum->is_int()) {
      call.reply.integer(sum->as_int());
    } else {
      call.reply.bulk(ValueBytes(*sum));
    }
  }
  call.events.add('$', "incrby", key);
}

}  // namespace

void run_append(Call& call) {
  const std::string_view key = call[1];
  const std::string_view addition = call[2];
  std::size_t size = addition.size();
  check_no_list(call.keys, key);
  call.keys.modify(key, [&](std::optional<Value> old) -> std::optional<Value> {
    if (!old) return to_value(addition);
    check_string(*old);
    const ValueBytes before(*old);
    size = before.view().size() + addition.size();
    check_string_size(call, size);
    std::string joined;
    joined.reserve(size);
    joined.append(before.view()).append(addition);
    return joined_value(joined, old->is_string() && is_utf8(addition));
  });
  call.events.add('$', "append", key);
  call.reply.integer(static_cast<std::int64_t>(size));
}

void run_strlen(Call& call) {
  std::size_t size = 0;
  const auto type = call.keys.visit_scalar(call[1], [&](const Value& value) { size = ValueBytes(value).view().size(); });
  if (type && !is_string(*type)) fail_wrong_type();
  count_lookup(call, type.has_value());
  call.reply.integer(static_cast<std::int64_t>(size));
}

void run_getrange(Call& call) {
  const std::int64_t start = to_integer(call[2]);
  const std::int64_t end = to_integer(call[3]);
  // Not as LRANGE counts: an end before the beginning is the first byte.
  const auto part_of = [&](std::string_view bytes) -> std::string_view {
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (size == 0 || (start < 0 && end < 0 && start > end)) return {};
    const std::int64_t first = std::max<std::int64_t>(start < 0 ? start + size : start, 0);
    const std::int64_t last = std::min(std::max<std::int64_t>(end < 0 ? end + size : end, 0), size - 1);
    if (first > last) return {};
    return bytes.substr(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first + 1));
  };
  const auto type = call.keys.visit_scalar(call[1], [&](const Value& value) { call.reply.bulk(part_of(ValueBytes(value))); });
  if (type && !is_string(*type)) fail_wrong_type();
  count_lookup(call, type.has_value());
  if (!type) call.reply.bulk(std::string_view());
}

void run_setrange(Call& call) {
  const std::string_view key = call[1];
  const std::int64_t place = to_integer(call[2]);
  if (place < 0) throw CommandError("ERR offset is out of range");
  const std::string_view part = call[3];
  check_no_list(call.keys, key);
  if (part.empty()) {
    // Changes nothing, and makes no key.
    std::size_t size = 0;
    call.keys.visit(key, [&](const Value& value) {
      check_string(value);
      size = ValueBytes(value).view().size();
    });
    return call.reply.integer(static_cast<std::int64_t>(size));
  }
  const auto offset = static_cast<std::size_t>(place);
  std::size_t size = 0;
  call.keys.modify(key, [&](std::optional<Value> old) -> std::optional<Value> {
    if (old) check_string(*old);
    check_string_size(call, offset + part.size());
    const Value empty{std::string_view()};
    const ValueBytes before(old ? *old : empty);
    size = std::max(before.view().size(), offset + part.size());
    std::string bytes;
    bytes.reserve(size);
    bytes.append(before.view()).resize(size);
    std::memcpy(bytes.data() + offset, part.data(), part.size());
    return to_value(bytes);
  });
  call.events.add('$', "setrange", key);
  call.reply.integer(static_cast<std::int64_t>(size));
}

void run_incr(Call& call) { add_to(call, 1); }
void run_decr(Call& call) { add_to(call, -1); }
void run_incrby(Call& call) { add_to(call, to_integer(call[2])); }

void run_decrby(Call& call) {
  const std::int64_t amount = to_integer(call[2]);
  if (amount == std::numeric_limits<std::int64_t>::min()) throw CommandError("ERR decrement would overflow");
  add_to(call, -amount);
}

void run_incrbyfloat(Call& call) {
  const std::string_view key = call[1];
  std::string text;
  check_no_list(call.keys, key);
  call.keys.modify(key, [&](std::optional<Value> old) -> std::optional<Value> {
    long double sum = 0;
    if (old) {
      check_string(*old);
      sum = to_real(ValueBytes(*old));
    }
    sum += to_real(call[2]);
    if (std::isnan(sum) || std::isinf(sum)) throw CommandError("ERR increment would produce NaN or Infinity");
    text = real_text(sum);
    return to_value(text);
  });
  call.events.add('$', "incrbyfloat", key);
  call.reply.bulk(text);
}

}  // namespace cubby::server
