// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/command.hpp"
#include "server/command_table.hpp"
#include "server/subcommands.hpp"

namespace cubby::server {
namespace {

using NamedBit = std::pair<std::uint32_t, std::string_view>;

/// As Redis names them, in its order.
constexpr NamedBit kFlagNames[] = {
    {kWrite, "write"},      {kReadOnly, "readonly"},       {kDenyOom, "denyoom"}, {kAdmin, "admin"},
    {kPubSub, "pubsub"},    {kBlocking, "blocking"},       {kFast, "fast"},       {kNoAuth, "no_auth"},
    {kNoMulti, "no_multi"}, {kMovableKeys, "movablekeys"},
};

constexpr NamedBit kCategoryNames[] = {
    {kKeyspace, "keyspace"},
    {kRead, "read"},
    {kWriting, "write"},
    {kList, "list"},
    {kHash, "hash"},
    {kString, "string"},
    {kJson, "json"},
    {kPubSubCategory, "pubsub"},
    {kAdminCategory, "admin"},
    {kBlockingCategory, "blocking"},
    {kDangerous, "dangerous"},
    {kConnection, "connection"},
    {kTransaction, "transaction"},
};

bool is_of_category(const CommandSpec& spec, std::string_view category) {
  if (is_word(category, "FAST")) return spec.has(kFast);
  if (is_word(category, "SLOW")) return !spec.has(kFast);
  std::string lower(category);
  for (char& byte : lower) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + 32);
  }
  for (const auto& [bit, name] : kCategoryNames) {
    if (name == lower) return (spec.categories & bit) != 0;
  }
  return false;
}

/// Where the keys are and what becomes of them, for those commands whose keys have fixed places.
void reply_key_places(Reply& reply, const CommandSpec& spec) {
  if (spec.keys.first == 0) return reply.set(0);
  reply.set(1);
  reply.map(3);
  reply.bulk("flags");
  if (spec.has(kReadOnly)) {
    reply.set(2);
    reply.simple("RO");
    reply.simple("access");
  } else {
    reply.set(1);
    reply.simple(spec.has(kWrite) ? "RW" : "RO");
  }
  reply.bulk("begin_search");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.map(1);
  reply.bulk("index");
  reply.integer(spec.keys.first);
  reply.bulk("find_keys");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.map(3);
  reply.bulk("lastkey");
  // Here it counts from the first key.
  reply.integer(spec.keys.last < 0 ? spec.keys.last : spec.keys.last - spec.keys.first);
  reply.bulk("keystep");
  reply.integer(spec.keys.step);
  reply.bulk("limit");
  reply.integer(0);
}

void reply_info(Reply& reply, const CommandSpec& spec) {
  reply.array(10);
  reply.bulk(spec.name);
  reply.integer(spec.arity);

  std::size_t count = 0;
  for (const auto& [bit, name] : kFlagNames) count += (spec.flags & bit) != 0 ? 1U : 0U;
  reply.set(count);
  for (const auto& [bit, name] : kFlagNames) {
    if ((spec.flags & bit) != 0) reply.simple(name);
  }
  reply.integer(spec.keys.first);
  reply.integer(spec.keys.last);
  reply.integer(spec.keys.step);

  count = 1;
  for (const auto& [bit, name] : kCategoryNames) count += (spec.categories & bit) != 0 ? 1U : 0U;
  reply.set(count);
  for (const auto& [bit, name] : kCategoryNames) {
    if (bit == kBlockingCategory) reply.simple(spec.has(kFast) ? "@fast" : "@slow");
    if ((spec.categories & bit) != 0) reply.simple("@" + std::string(name));
  }
  reply.set(0);  // tips
  reply_key_places(reply, spec);
  reply.set(0);  // subcommands
}

void command_info(Call& call) {
  const CommandTable& table = CommandTable::instance();
  if (call.count() <= 2) {
    call.reply.array(table.all().size());
    for (const CommandSpec* spec : table.all()) reply_info(call.reply, *spec);
    return;
  }
  call.reply.array(call.count() - 2);
  for (const std::string_view name : call.arguments.subspan(2)) {
    const CommandSpec* spec = table.find(name);
    spec != nullptr ? reply_info(call.reply, *spec) : call.reply.null();
  }
}

void command_docs(Call& call) {
  const CommandTable& table = CommandTable::instance();
  std::vector<const CommandSpec*> asked;
  if (call.count() == 2) {
    asked.assign(table.all().begin(), table.all().end());
  } else {
    for (const std::string_view name : call.arguments.subspan(2)) {
      if (const CommandSpec* spec = table.find(name)) asked.push_back(spec);
    }
  }
  call.reply.map(asked.size());
  for (const CommandSpec* spec : asked) {
    call.reply.bulk(spec->name);
    call.reply.map(2);
    call.reply.bulk("summary");
    call.reply.bulk(spec->summary);
    call.reply.bulk("group");
    call.reply.bulk(spec->group);
  }
}

void command_count(Call& call) { call.reply.integer(static_cast<std::int64_t>(CommandTable::instance().all().size())); }

void command_list(Call& call) {
  enum class By { nothing, module, category, pattern } by = By::nothing;
  if (call.count() == 5 && is_word(call[2], "FILTERBY")) {
    if (is_word(call[3], "MODULE")) {
      by = By::module;
    } else if (is_word(call[3], "ACLCAT")) {
      by = By::category;
    } else if (is_word(call[3], "PATTERN")) {
      by = By::pattern;
    }
  }
  if (call.count() != 2 && by == By::nothing) fail_syntax();
  std::vector<std::string_view> names;
  for (const CommandSpec* spec : CommandTable::instance().all()) {
    if (by == By::module) continue;  // there are none
    if (by == By::category && !is_of_category(*spec, call[4])) continue;
    if (by == By::pattern && !matches(call[4], spec->name, true)) continue;
    names.push_back(spec->name);
  }
  call.reply.array(names.size());
  for (const std::string_view name : names) call.reply.bulk(name);
}

void command_getkeys(Call& call) {
  const Arguments arguments = call.arguments.subspan(2);
  const CommandSpec* spec = CommandTable::instance().find(arguments[0]);
  if (spec == nullptr) throw CommandError("ERR Invalid command specified");
  if (spec->keys.first == 0 && spec->find_keys == nullptr) throw CommandError("ERR The command has no key arguments");
  if (!spec->takes(arguments.size())) throw CommandError("ERR Invalid number of arguments specified for command");
  std::vector<std::size_t> places;
  try {
    if (spec->check != nullptr) spec->check(arguments);
    find_keys(*spec, arguments, places);
  } catch (const CommandError&) {
    places.clear();
  }
  if (places.empty()) throw CommandError("ERR Invalid arguments specified for command");
  call.reply.array(places.size());
  for (const std::size_t place : places) call.reply.bulk(arguments[place]);
}

void command_help(Call& call) {
  static constexpr std::string_view kLines[] = {
      "(no subcommand)",
      "    Return details about all Redis commands.",
      "COUNT",
      "    Return the total number of commands in this Redis server.",
      "LIST",
      "    Return a list of all commands in this Redis server.",
      "INFO [<command-name> ...]",
      "    Return details about multiple Redis commands.",
      "    If no command names are given, documentation details for all",
      "    commands are returned.",
      "DOCS [<command-name> ...]",
      "    Return documentation details about multiple Redis commands.",
      "    If no command names are given, documentation details for all",
      "    commands are returned.",
      "GETKEYS <full-command>",
      "    Return the keys from a full Redis command.",
  };
  reply_help(call.reply, "COMMAND", kLines);
}

constexpr Subcommand kCommandSubcommands[] = {
    {"COUNT", 2, command_count}, {"INFO", -2, command_info},       {"DOCS", -2, command_docs},
    {"LIST", -2, command_list},  {"GETKEYS", -4, command_getkeys}, {"HELP", 2, command_help},
};

void check_command(Arguments arguments) {
  if (arguments.size() > 1) find_subcommand("COMMAND", kCommandSubcommands, arguments);
}

void command_command(Call& call) {
  call.count() == 1 ? command_info(call) : find_subcommand("COMMAND", kCommandSubcommands, call.arguments).run(call);
}

constexpr CommandSpec kIntrospectionCommands[] = {
    {"command",
     -1,
     0,
     kConnection,
     {},
     command_command,
     "server",
     "Get array of Redis command details",
     "[COUNT | INFO [command ...] | DOCS [command ...] | LIST [FILTERBY MODULE|ACLCAT|PATTERN value] | GETKEYS command ...]",
     nullptr,
     check_command},
};

}  // namespace

std::span<const CommandSpec> introspection_commands() { return kIntrospectionCommands; }

}  // namespace cubby::server
