// SPDX-License-Identifier: Apache-2.0
#include "server/hash_walks.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/arguments.hpp"
#include "server/values.hpp"

namespace cubby::server {

namespace {

using Members = Value::Members;

std::size_t random_below(std::size_t bound) {
  static thread_local std::mt19937_64 generator{std::random_device()()};
  return std::uniform_int_distribution<std::size_t>(0, bound - 1)(generator);
}

/// The member at this place. Iterators step by counting up, so going far costs no looking at what is in between.
Members::iterator member_at(const Members::iterator& begin, std::size_t place) {
  return std::next(begin, static_cast<std::ptrdiff_t>(place));
}

void reply_pair(Reply& reply, const Members::iterator& member, bool with_values) {
  const auto& [name, value] = *member;
  if (with_values && reply.protocol() != 2) reply.array(2);
  reply.bulk(name);
  if (with_values) reply.bulk(ValueBytes(value));
}

/// `count` places below `size`, in their order, any such set as likely as another (Floyd). REQUIRES: count <= size.
std::set<std::size_t> random_places(std::size_t count, std::size_t size) {
  std::set<std::size_t> places;
  for (std::size_t last = size - count; last < size; ++last) {
    const std::size_t place = random_below(last + 1);
    places.insert(places.contains(place) ? last : place);
  }
  return places;
}

// --- cursors
//
// A cursor names the member to go on with: 20 bits of its place, and 32 of its name's hash, which is never 0. So it has 52
// bits, which a double holds exactly: there are clients that take cursors for numbers of that kind.

constexpr unsigned kPlaceBits = 20;
constexpr std::uint64_t kPlaceMask = (std::uint64_t{1} << kPlaceBits) - 1;

std::uint64_t fingerprint_of(std::string_view name) {
  return std::max<std::uint64_t>(std::hash<std::string_view>()(name) & 0xffffffffU, 1);
}

std::uint64_t cursor_of(std::size_t place, std::string_view name) {
  return fingerprint_of(name) << kPlaceBits | (place & kPlaceMask);
}

/// Where the member that the cursor names is now. If it is gone, the beginning: nothing else leaves out nobody.
std::size_t place_of(const Members& members, std::uint64_t cursor) {
  if (cursor == 0) return 0;
  const auto begin = members.begin();
  const std::uint64_t fingerprint = cursor >> kPlaceBits;
  const auto is_at = [&](std::size_t place) { return fingerprint_of((*member_at(begin, place)).first) == fingerprint; };
  for (std::size_t place = cursor & kPlaceMask; place < members.size(); place += kPlaceMask + 1) {
    if (is_at(place)) return place;
  }
  std::size_t place = 0;
  for (const auto& member : members) {
    // Were there two, the first one leaves out nobody either.
    if (fingerprint_of(member.first) == fingerprint) return place;
    ++place;
  }
  return 0;
}

constexpr std::size_t kMostFields = 512;  // of a hash that is small, whatever its cursor

bool is_small_hash(const Members& members) {
  constexpr std::size_t kMostBytes = 64;
  if (members.size() > kMostFields) return false;
  return std::all_of(members.begin(), members.end(), [](const auto& member) {
    return member.first.size() <= kMostBytes && ValueBytes(member.second).view().size() <= kMostBytes;
  });
}

}  // namespace

bool reply_random_field(Reply& reply, const Keyspace& keys, std::string_view key) {
  std::optional<std::size_t> size = keys.count_members(key);
  bool replied = false;
  // It may have become smaller in between.
  while (!replied && size.value_or(0) != 0) {
    size = keys.visit_members(key, random_below(*size), 1, [&](std::string_view name, const Value&) {
      reply.bulk(name);
      replied = true;
    });
  }
  if (!replied) reply.null();
  return size.has_value();
}

void reply_random_fields(Reply& reply, const Value& hash, std::int64_t count, bool with_values, std::size_t most_bytes) {
  const std::size_t size = hash.size();
  const bool repeat = count < 0;
  // The least integer isn't asked for.
  auto wanted = static_cast<std::size_t>(repeat ? -count : count);
  if (size == 0) wanted = 0;
  if (!repeat) wanted = std::min(wanted, size);
  const std::size_t begin = reply.out().size();
  reply.array(with_values && reply.protocol() == 2 ? wanted * 2 : wanted);
  const auto first = hash.members().begin();
  const auto reply_at = [&](std::size_t place) {
    reply_pair(reply, member_at(first, place), with_values);
    if (reply.out().size() - begin > most_bytes) throw CommandError("ERR the reply would be larger than the output limit");
  };
  if (repeat) {
    for (std::size_t index = 0; index < wanted; ++index) reply_at(random_below(size));
  } else if (wanted == size) {
    for (std::size_t place = 0; place < size; ++place) reply_at(place);
  } else {
    for (const std::size_t place : random_places(wanted, size)) reply_at(place);
  }
}

HashScanOptions read_hash_scan_options(Arguments words) {
  HashScanOptions options;
  for (std::size_t index = 0; index < words.size(); index += 2) {
    const bool last = index + 1 == words.size();
    if (!last && is_word(words[index], "COUNT")) {
      const std::int64_t count = to_integer(words[index + 1]);
      if (count < 1) fail_syntax();
      options.count = static_cast<std::size_t>(count);
    } else if (!last && is_word(words[index], "MATCH")) {
      options.pattern = words[index + 1];
    } else {
      fail_syntax();
    }
  }
  return options;
}

std::uint64_t to_hash_cursor(std::string_view argument) {
  // As lenient as Redis, which takes an empty one for 0, and signs.
  const std::string text(argument);
  char* end = nullptr;
  errno = 0;
  const auto cursor = std::strtoull(text.c_str(), &end, 10);
  if (std::isspace(static_cast<unsigned char>(text[0])) != 0 || *end != '\0' || errno == ERANGE) {
    throw CommandError("ERR invalid cursor");
  }
  return cursor;
}

namespace {

void reply_scan_of(Reply& reply, const Value& hash, std::uint64_t cursor, const HashScanOptions& options) {
  const Members members = hash.members();
  const bool whole = is_small_hash(members);
  const std::size_t first = whole ? 0 : place_of(members, cursor);
  const std::size_t count = whole ? members.size() : std::min(options.count, members.size() - first);
  auto member = member_at(members.begin(), first);
  std::vector<Members::iterator> matching;
  for (std::size_t index = 0; index < count; ++index, ++member) {
    if (!options.pattern || matches(*options.pattern, (*member).first)) matching.push_back(member);
  }
  const std::size_t next = first + count;
  reply.array(2);
  reply.bulk(next == members.size() ? "0" : std::to_string(cursor_of(next, (*member).first)));
  reply.array(matching.size() * 2);
  for (const auto& found : matching) {
    const auto& [name, value] = *found;
    reply.bulk(name);
    reply.bulk(ValueBytes(value));
  }
}

/// The step of a scan through the members where they are, without the others; false, and nothing replied, if the hash is small
/// or the member that the cursor names isn't where it was.
bool reply_scan_in_place(Reply& reply, const Keyspace& keys, std::string_view key, std::uint64_t cursor,
                         const HashScanOptions& options) {
  const std::size_t size = keys.count_members(key).value_or(0);
  if (size <= kMostFields) return false;
  std::size_t first = cursor & kPlaceMask;
  std::vector<std::pair<std::string, Value>> members;
  for (;; first += kPlaceMask + 1) {
    if (first >= size) return false;
    members.clear();
    const auto named = [&](std::string_view name) { return cursor == 0 || fingerprint_of(name) == cursor >> kPlaceBits; };
    keys.visit_members(key, first, 1, [&](std::string_view name, const Value& value) {
      if (named(name)) members.emplace_back(name, value);
    });
    if (members.empty()) continue;
    members.clear();
    keys.visit_members(key, first, options.count + 1,
                       [&](std::string_view name, const Value& value) { members.emplace_back(name, value); });
    if (!members.empty() && named(members.front().first)) break;
  }
  std::uint64_t next = 0;
  if (members.size() > options.count) {
    next = cursor_of(first + options.count, members.back().first);
    members.pop_back();
  }
  if (options.pattern) std::erase_if(members, [&](const auto& member) { return !matches(*options.pattern, member.first); });
  reply.array(2);
  reply.bulk(std::to_string(next));
  reply.array(members.size() * 2);
  for (const auto& [name, value] : members) {
    reply.bulk(name);
    reply.bulk(ValueBytes(value));
  }
  return true;
}

}  // namespace

void reply_hash_scan(Reply& reply, const Keyspace& keys, std::string_view key, std::uint64_t cursor,
                     const HashScanOptions& options) {
  if (reply_scan_in_place(reply, keys, key, cursor, options)) return;
  const bool found = keys.visit(key, [&](const Value& hash) {
    if (!hash.is_object()) fail_wrong_type();
    reply_scan_of(reply, hash, cursor, options);
  });
  if (!found) reply_empty_hash_scan(reply);
}

void reply_empty_hash_scan(Reply& reply) {
  reply.array(2);
  reply.bulk("0");
  reply.array(0);
}

}  // namespace cubby::server
