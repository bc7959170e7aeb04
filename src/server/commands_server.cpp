// SPDX-License-Identifier: Apache-2.0
#include "server/commands_server.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/server.hpp"
#include "server/server_info.hpp"
#include "server/subcommands.hpp"
#include "store/entry.hpp"
#include "value/access.hpp"

namespace cubby::server {

namespace {

void run_info(Call& call) { call.reply.verbatim(server_info(call.server, call.arguments.subspan(1))); }

// --- saving

void need_folder(Call& call) {
  if (!call.server.databases.durable())
    throw CommandError("ERR there is nowhere to save to: the server was started without dir");
}

void run_save(Call& call) {
  need_folder(call);
  if (!call.server.databases.save()) throw CommandError("ERR Background save already in progress");
  call.reply.ok();
}

void run_bgsave(Call& call) {
  if (call.count() > 2 || (call.count() == 2 && !is_word(call[1], "SCHEDULE"))) fail_syntax();
  need_folder(call);
  if (!call.server.databases.start_save()) throw CommandError("ERR Background save already in progress");
  call.reply.simple("Background saving started");
}

void run_lastsave(Call& call) {
  const auto last = call.server.databases.saves().last.time_since_epoch();
  call.reply.integer(std::chrono::duration_cast<std::chrono::seconds>(last).count());
}

void run_shutdown(Call& call) {
  bool save = false;
  bool no_save = false;
  bool others = false;
  bool abort = false;
  for (const std::string_view option : call.arguments.subspan(1)) {
    if (is_word(option, "NOSAVE")) {
      no_save = true;
    } else if (is_word(option, "SAVE")) {
      save = true;
    } else if (is_word(option, "NOW") || is_word(option, "FORCE")) {
      others = true;
    } else if (is_word(option, "ABORT")) {
      abort = true;
    } else {
      fail_syntax();
    }
  }
  if ((save && no_save) || (abort && (save || no_save || others))) fail_syntax();
  // Nothing is waited for between the command and the end, so there is never one to be called off.
  if (abort) throw CommandError("ERR No shutdown in progress.");
  // As in Redis the end of the connection is the reply.
  call.client.closing = true;
  call.server.request_shutdown(!no_save);
}

// --- DEBUG

/// Puts the client to sleep, and neither its thread nor the server, as Redis would.
void run_debug(Call& call) {
  if (!is_word(call[1], "SLEEP") || call.count() != 3) {
    throw CommandError("ERR unknown subcommand or wrong number of arguments for '" + shown_argument(call[1]) +
                       "'. Try DEBUG HELP.");
  }
  const double seconds = std::strtod(std::string(call[2]).c_str(), nullptr);
  if (!(seconds > 0)) return call.reply.ok();
  // No element of it is ever taken: only the time matters.
  static constexpr std::array<std::string_view, 1> kNothing{std::string_view("\0cubby:sleep", 12)};
  call.client.sleep_for_elements(
      kNothing, std::chrono::duration<double>(seconds), [](Keyspace&, Reply&, Events&) { return false; },
      [](Reply& reply) { reply.ok(); });
}

// --- SLOWLOG

void slowlog_get(Call& call) {
  if (call.count() > 3) {
    throw CommandError("ERR unknown subcommand or wrong number of arguments for '" + shown_argument(call[1]) +
                       "'. Try SLOWLOG HELP.");
  }
  std::int64_t most = 10;
  if (call.count() == 3) {
    most = to_integer_between(call[2], -1, std::numeric_limits<long>::max(), "ERR count should be greater than or equal to -1");
  }
  const std::vector<SlowLog::Entry> entries = call.server.slow_log.latest(static_cast<std::size_t>(most));
  call.reply.array(entries.size());
  for (const SlowLog::Entry& entry : entries) {
    call.reply.array(6);
    call.reply.integer(static_cast<std::int64_t>(entry.id));
    call.reply.integer(entry.at);
    call.reply.integer(entry.microseconds);
    call.reply.array(entry.arguments.size());
    for (const std::string& argument : entry.arguments) call.reply.bulk(argument);
    call.reply.bulk(entry.client);
    call.reply.bulk(entry.client_name);
  }
}

void slowlog_len(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.server.slow_log.size())); }

void slowlog_reset(Call& call) {
  call.server.slow_log.reset();
  call.reply.ok();
}

void slowlog_help(Call& call) {
  static constexpr std::array<std::string_view, 9> kLines{
      "GET [<count>]",
      "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
      "    Entries are made of:",
      "    id, timestamp, time in microseconds, arguments array, client IP and port,",
      "    client name",
      "LEN",
      "    Return the length of the slowlog.",
      "RESET",
      "    Reset the slowlog.",
  };
  reply_help(call.reply, "SLOWLOG", kLines);
}

constexpr std::array kSlowlogSubcommands{
    Subcommand{"GET", -2, slowlog_get},
    Subcommand{"LEN", 2, slowlog_len},
    Subcommand{"RESET", 2, slowlog_reset},
    Subcommand{"HELP", 2, slowlog_help},
};
void check_slowlog(Arguments arguments) { find_subcommand("SLOWLOG", kSlowlogSubcommands, arguments); }
void run_slowlog(Call& call) { find_subcommand("SLOWLOG", kSlowlogSubcommands, call.arguments).run(call); }

// --- MEMORY

constexpr std::size_t in_blocks(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

/// Of an element of a list beside the others.
std::size_t element_bytes(const Value& element) { return sizeof(Value) + detail::ValueAccess::node_size(element); }

/// Of the entry that holds the key, and of its slot in the table.
std::size_t key_bytes(std::string_view key) {
  constexpr std::size_t kSlot = 16;  // eight bytes, and about as many that are free
  return kSlot + sizeof(detail::Entry) + key.size();
}

void memory_usage(Call& call) {
  std::int64_t samples = 5;
  for (std::size_t at = 3; at < call.count(); at += 2) {
    if (!is_word(call[at], "SAMPLES") || at + 1 == call.count()) fail_syntax();
    samples = to_integer(call[at + 1]);
    if (samples < 0) fail_syntax();
  }
  const std::string_view key = call[2];
  const std::optional<Type> type = call.keys.type(key);
  if (!type) return call.reply.null();
  if (*type == Type::array) {
    // To read it as a whole would copy it, and keep the copy.
    const std::size_t length = call.keys.length(key).value_or(0);
    const Value sample = call.keys.slice(key, 0, samples == 0 ? length : std::min(length, static_cast<std::size_t>(samples)));
    std::size_t bytes = 0;
    for (const Value& element : sample.elements()) bytes += element_bytes(element);
    if (sample.size() != 0) bytes = bytes * length / sample.size();
    return call.reply.integer(static_cast<std::int64_t>(in_blocks(key_bytes(key) + bytes)));
  }
  std::size_t bytes = 0;
  const bool found = call.keys.visit(
      key, [&](const Value& value) { bytes = in_blocks(key_bytes(key) + detail::ValueAccess::stored_size(value)); });
  if (!found) return call.reply.null();
  call.reply.integer(static_cast<std::int64_t>(bytes));
}

void memory_help(Call& call) {
  static constexpr std::array<std::string_view, 3> kLines{
      "USAGE <key> [SAMPLES <count>]",
      "    Return memory in bytes used by <key> and its value. Nested values are",
      "    sampled up to <count> times (default: 5, 0 means sample all).",
  };
  reply_help(call.reply, "MEMORY", kLines);
}

constexpr std::array kMemorySubcommands{
    Subcommand{"USAGE", -3, memory_usage},
    Subcommand{"HELP", 2, memory_help},
};
void check_memory(Arguments arguments) { find_subcommand("MEMORY", kMemorySubcommands, arguments); }
void run_memory(Call& call) { find_subcommand("MEMORY", kMemorySubcommands, call.arguments).run(call); }
void find_memory_keys(Arguments arguments, std::vector<std::size_t>& places) {
  if (is_word(arguments[1], "USAGE") && arguments.size() > 2) places.push_back(2);
}

void run_time(Call& call) {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch());
  call.reply.array(2);
  call.reply.bulk(now.count() / 1'000'000);
  call.reply.bulk(now.count() % 1'000'000);
}

constexpr std::uint32_t kAdminOnly = kAdminCategory | kDangerous;
constexpr std::string_view kServerGroup = "server";

constexpr std::array kServerCommands{
    CommandSpec{"acl",
                -2,
                kWholeStore,
                0,
                {},
                run_acl,
                kServerGroup,
                "Tells who is signed in, and which users there are",
                "WHOAMI | USERS | LIST | GETUSER username | CAT [category] | HELP",
                nullptr,
                check_acl},
    CommandSpec{
        "bgsave", -1, kAdmin, kAdminOnly, {}, run_bgsave, kServerGroup, "Makes a checkpoint in the background", "[SCHEDULE]"},
    CommandSpec{"config",
                -2,
                kAdmin | kWholeStore,
                kAdminOnly,
                {},
                run_config,
                kServerGroup,
                "Shows and changes settings",
                "GET pattern [pattern ...] | SET name value [name value ...] | RESETSTAT | HELP",
                nullptr,
                check_config},
    CommandSpec{"debug",
                -2,
                kAdmin | kNoMulti | kBlocking,
                kAdminOnly,
                {},
                run_debug,
                kServerGroup,
                "Puts this client to sleep",
                "SLEEP seconds"},
    CommandSpec{"info",
                -1,
                kWholeStore,
                kDangerous,
                {},
                run_info,
                kServerGroup,
                "Tells what the server does and has done",
                "[section ...]"},
    CommandSpec{"lastsave",
                1,
                kAdmin | kFast,
                kAdminOnly,
                {},
                run_lastsave,
                kServerGroup,
                "Returns when the last checkpoint was made, in seconds since 1970",
                ""},
    CommandSpec{"memory",
                -2,
                kReadOnly | kMovableKeys,
                kRead,
                {},
                run_memory,
                kServerGroup,
                "Tells how much memory a key takes",
                "USAGE key [SAMPLES count] | HELP",
                find_memory_keys,
                check_memory},
    CommandSpec{
        "save", 1, kAdmin | kNoMulti, kAdminOnly, {}, run_save, kServerGroup, "Makes a checkpoint, and waits for it", ""},
    CommandSpec{"shutdown",
                -1,
                kAdmin | kNoMulti,
                kAdminOnly,
                {},
                run_shutdown,
                kServerGroup,
                "Ends the server",
                "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]"},
    CommandSpec{"slowlog",
                -2,
                kAdmin | kWholeStore,
                kAdminOnly,
                {},
                run_slowlog,
                kServerGroup,
                "Shows which commands took long",
                "GET [count] | LEN | RESET | HELP",
                nullptr,
                check_slowlog},
    CommandSpec{
        "time", 1, kFast, 0, {}, run_time, kServerGroup, "Returns the time in seconds since 1970, and microseconds", ""},
};

}  // namespace

std::span<const CommandSpec> server_commands() { return kServerCommands; }

}  // namespace cubby::server
