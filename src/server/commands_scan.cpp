// SPDX-License-Identifier: Apache-2.0
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/arguments.hpp"
#include "server/byte_buffer.hpp"
#include "server/command.hpp"
#include "server/server.hpp"
#include "server/values.hpp"

/// Commands that walk over all keys of a store, count or remove them.

namespace cubby::server {

namespace {

/// Replies that are counted before they are sent, as an array's length stands before its elements.
class GatheredKeys {
 public:
  void add(std::string_view key) {
    replies_.bulk(key);
    ++count_;
  }
  void send(Reply& reply) const {
    reply.array(count_);
    reply.out().append(bytes_.view());
  }

 private:
  ByteBuffer bytes_;
  Reply replies_{bytes_, 2};
  std::size_t count_ = 0;
};

void run_keys(Call& call) {
  const std::string_view pattern = call[1];
  Datastore& store = call.keys.store();
  if (const auto prefix = as_prefix(pattern)) {
    const auto names = store.keys(*prefix);
    call.reply.array(names.size());
    for (const std::string& name : names) call.reply.bulk(name);
    return;
  }
  GatheredKeys found;
  constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  std::uint64_t cursor = 0;
  do {
    cursor = store.scan(cursor, kAll, [&](std::string_view key) {
      if (matches(pattern, key)) found.add(key);
    });
  } while (cursor != 0);
  found.send(call.reply);
}

/// Redis reads cursors by strtoul: signs and the empty text are fine.
std::uint64_t read_cursor(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const std::uint64_t cursor = std::strtoull(copy.c_str(), &end, 10);
  if (std::isspace(static_cast<unsigned char>(copy.c_str()[0])) != 0 || *end != '\0' || errno == ERANGE) {
    throw CommandError("ERR invalid cursor");
  }
  return cursor;
}

bool is_named(Type type, std::string_view name) noexcept {
  return is_word(name, is_list(type) ? "LIST" : is_hash(type) ? "HASH" : "STRING");
}

void run_scan(Call& call) {
  std::uint64_t cursor = read_cursor(call[1]);
  std::int64_t count = 10;
  std::optional<std::string_view> pattern;
  std::optional<std::string_view> type_wanted;
  for (std::size_t index = 2; index < call.count(); index += 2) {
    if (index + 1 == call.count()) fail_syntax();
    if (is_word(call[index], "COUNT")) {
      count = to_integer(call[index + 1]);
      if (count < 1) fail_syntax();
    } else if (is_word(call[index], "MATCH")) {
      pattern = call[index + 1];
    } else if (is_word(call[index], "TYPE")) {
      type_wanted = call[index + 1];
    } else {
      fail_syntax();
    }
  }
  GatheredKeys found;
  cursor = call.keys.store().scan(cursor, static_cast<std::size_t>(count), [&](std::string_view key, Type type) {
    if (pattern && !matches(*pattern, key)) return;
    if (type_wanted && !is_named(type, *type_wanted)) return;
    found.add(key);
  });
  call.reply.array(2);
  call.reply.bulk(static_cast<std::int64_t>(cursor));
  found.send(call.reply);
}

void run_randomkey(Call& call) {
  if (const auto key = call.keys.store().random_key()) {
    call.reply.bulk(*key);
  } else {
    call.reply.null();
  }
}

void run_dbsize(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.keys.store().size())); }

/// ASYNC and SYNC are the same here: a store is emptied at one instant, and its memory is freed in the background.
void read_flush_options(Call& call) {
  if (call.count() > 2 || (call.count() == 2 && !is_word(call[1], "ASYNC") && !is_word(call[1], "SYNC"))) fail_syntax();
}

void run_flushdb(Call& call) {
  read_flush_options(call);
  call.keys.store().clear();
  call.reply.ok();
}

/// The numbered databases; stores that have other names are none of Redis's.
void run_flushall(Call& call) {
  read_flush_options(call);
  for (auto& [name, store] : call.server.databases.all()) {
    if (Databases::number_of(name)) store.clear();
  }
  call.reply.ok();
}

constexpr std::uint32_t kWalks = kReadOnly | kWholeStore;
constexpr std::uint32_t kWalkCategories = kRead | kKeyspace;
constexpr std::uint32_t kFlushes = kWrite | kWholeStore;
constexpr std::uint32_t kFlushCategories = kWriting | kKeyspace | kDangerous;

constexpr CommandSpec kScanCommands[] = {
    {"keys", 2, kWalks, kWalkCategories | kDangerous, {}, run_keys, "generic", "All keys that match a glob pattern", "pattern"},
    {"scan",
     -2,
     kWalks,
     kWalkCategories,
     {},
     run_scan,
     "generic",
     "Some of the keys, and the cursor to go on with",
     "cursor [MATCH pattern] [COUNT count] [TYPE type]"},
    {"randomkey", 1, kWalks, kWalkCategories, {}, run_randomkey, "generic", "Any key", ""},
    {"dbsize", 1, kWalks | kFast, kWalkCategories, {}, run_dbsize, "server", "How many keys there are", ""},
    {"flushdb", -1, kFlushes, kFlushCategories, {}, run_flushdb, "server", "Removes all keys of the store", "[ASYNC | SYNC]"},
    {"flushall",
     -1,
     kFlushes,
     kFlushCategories,
     {},
     run_flushall,
     "server",
     "Removes all keys of all numbered databases",
     "[ASYNC | SYNC]"},
};

}  // namespace

std::span<const CommandSpec> scan_commands() { return kScanCommands; }

}  // namespace cubby::server
