// SPDX-License-Identifier: Apache-2.0

// CONFIG and ACL.

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command_table.hpp"
#include "server/commands_server.hpp"
#include "server/server.hpp"
#include "server/subcommands.hpp"

namespace cubby::server {

namespace {

// --- CONFIG

/// What tools ask a Redis for before they do their work, and what it would say if it were run like this server.
struct RedisSetting {
  std::string_view name;
  std::string (*get)(const Settings&);
};
constexpr std::array<RedisSetting, 4> kRedisSettings{{
    {"appendfsync",
     [](const Settings& settings) -> std::string {
       return settings.sync.is_always() ? "always" : settings.sync.is_never() ? "no" : "everysec";
     }},
    {"appendonly", [](const Settings& settings) -> std::string { return settings.dir.empty() ? "no" : "yes"; }},
    {"maxmemory-policy", [](const Settings&) -> std::string { return "noeviction"; }},
    {"save", [](const Settings&) -> std::string { return ""; }},
}};

void config_get(Call& call) {
  const Settings settings = call.server.settings();
  const auto patterns = call.arguments.subspan(2);
  const auto asked = [patterns](std::string_view name) {
    return std::ranges::any_of(patterns, [name](std::string_view pattern) { return matches(pattern, name, true); });
  };
  std::vector<std::pair<std::string_view, std::string>> found;
  for (const Setting& setting : all_settings()) {
    // Another spelling of it is its name, too.
    const bool named =
        std::ranges::any_of(patterns, [&setting](std::string_view name) { return find_setting(name) == &setting; });
    if (named || asked(setting.name)) found.emplace_back(setting.name, setting.get(settings));
  }
  for (const RedisSetting& setting : kRedisSettings) {
    if (asked(setting.name)) found.emplace_back(setting.name, setting.get(settings));
  }
  call.reply.map(found.size());
  for (const auto& [name, value] : found) {
    call.reply.bulk(name);
    call.reply.bulk(value);
  }
}

[[noreturn]] void fail_config_set(std::string_view name, std::string_view why) {
  throw CommandError("ERR CONFIG SET failed (possibly related to argument '" + std::string(name) + "') - " + std::string(why));
}

void config_set(Call& call) {
  const auto arguments = call.arguments.subspan(2);
  if (arguments.size() % 2 != 0) fail_syntax();
  std::vector<const Setting*> settings;
  for (std::size_t at = 0; at < arguments.size(); at += 2) {
    const Setting* const setting = find_setting(arguments[at]);
    const bool of_redis = std::ranges::any_of(
        kRedisSettings, [&](const RedisSetting& known) { return matches(known.name, arguments[at], true); });
    if (setting == nullptr && !of_redis) {
      throw CommandError("ERR Unknown option or number of arguments for CONFIG SET - '" + std::string(arguments[at]) + "'");
    }
    if (setting == nullptr || !setting->while_running) fail_config_set(arguments[at], "can't set immutable config");
    if (std::ranges::find(settings, setting) != settings.end()) fail_config_set(arguments[at], "duplicate parameter");
    settings.push_back(setting);
  }
  // First on a copy, to name the one that is wrong.
  Settings changed = call.server.settings();
  std::vector<std::pair<std::string, std::string>> changes;
  for (std::size_t index = 0; index < settings.size(); ++index) {
    const std::string value(arguments[2 * index + 1]);
    try {
      settings[index]->set(changed, settings[index]->name, std::span(&value, 1));
    } catch (const SettingError& error) {
      fail_config_set(settings[index]->name, error.what());
    }
    changes.emplace_back(settings[index]->name, value);
  }
  try {
    call.server.change(changes);
  } catch (const SettingError& error) {
    fail_config_set(settings.front()->name, error.what());
  }
  call.reply.ok();
}

void config_resetstat(Call& call) {
  call.server.figures.reset();
  call.reply.ok();
}

void config_rewrite(Call& /*call*/) {
  throw CommandError("ERR Rewriting config file: it is not written by the server; change it yourself");
}

void config_help(Call& call) {
  static constexpr std::array<std::string_view, 6> kLines{
      "GET <pattern>",
      "    Return parameters matching the glob-like <pattern> and their values.",
      "SET <directive> <value>",
      "    Set the configuration <directive> to <value>.",
      "RESETSTAT",
      "    Reset statistics reported by the INFO command.",
  };
  reply_help(call.reply, "CONFIG", kLines);
}

constexpr std::array kConfigSubcommands{
    Subcommand{"GET", -3, config_get},        Subcommand{"SET", -4, config_set},  Subcommand{"RESETSTAT", 2, config_resetstat},
    Subcommand{"REWRITE", 2, config_rewrite}, Subcommand{"HELP", 2, config_help},
};

// --- ACL

/// Who may not run the commands of administrators isn't shown who else there is.
void need_administrator(Call& call) {
  static const CommandSpec* const config = CommandTable::instance().find("config");
  if (call.client.user == nullptr || call.client.user->may_run(*config)) return;
  throw CommandError("NOPERM this user has no permissions to run the 'acl|" + shown_argument(call[1]) + "' command");
}

void acl_whoami(Call& call) {
  call.reply.bulk(call.client.user == nullptr ? std::string_view("default") : std::string_view(call.client.user->name));
}

void acl_users(Call& call) {
  need_administrator(call);
  const std::vector<const User*> users = call.server.users.all();
  call.reply.array(users.size());
  for (const User* user : users) call.reply.bulk(user->name);
}

void acl_list(Call& call) {
  need_administrator(call);
  const std::vector<const User*> users = call.server.users.all();
  call.reply.array(users.size());
  for (const User* user : users) call.reply.bulk("user " + user->name + " " + user->rules());
}

void acl_getuser(Call& call) {
  need_administrator(call);
  const User* const user = call.server.users.find(call[2]);
  if (user == nullptr) return call.reply.null();
  Reply& reply = call.reply;
  reply.map(6);
  reply.bulk("flags");
  reply.set(user->needs_no_password ? 2 : 1);
  reply.bulk(user->enabled ? "on" : "off");
  if (user->needs_no_password) reply.bulk("nopass");
  reply.bulk("passwords");
  reply.array(user->password_hashes.size());
  for (const std::string& hash : user->password_hashes) reply.bulk(hash);
  reply.bulk("commands");
  reply.bulk(user->command_rules);
  reply.bulk("keys");
  reply.bulk(user->key_rules());
  reply.bulk("channels");
  reply.bulk(user->channel_rules());
  reply.bulk("selectors");
  reply.array(0);
}

void acl_cat(Call& call) {
  if (call.count() > 3) {
    throw CommandError("ERR unknown subcommand or wrong number of arguments for '" + shown_argument(call[1]) +
                       "'. Try ACL HELP.");
  }
  const auto categories = category_names();
  if (call.count() == 2) {
    call.reply.array(categories.size());
    for (const auto& [name, bit] : categories) call.reply.bulk(name);
    return;
  }
  const auto found =
      std::ranges::find_if(categories, [&](const auto& category) { return matches(category.first, call[2], true); });
  if (found == categories.end()) throw CommandError("ERR Unknown category '" + std::string(call[2]) + "'");
  std::vector<std::string_view> names;
  for (const CommandSpec* command : CommandTable::instance().all()) {
    if (is_in_category(*command, found->first)) names.push_back(command->name);
  }
  call.reply.array(names.size());
  for (const std::string_view name : names) call.reply.bulk(name);
}

void acl_help(Call& call) {
  static constexpr std::array<std::string_view, 11> kLines{
      "CAT [<category>]",
      "    List all commands that belong to <category>, or all command categories",
      "    when no category is specified.",
      "GETUSER <username>",
      "    Get the user's details.",
      "LIST",
      "    Show users details in config file format.",
      "USERS",
      "    List all the registered usernames.",
      "WHOAMI",
      "    Return the current connection username.",
  };
  reply_help(call.reply, "ACL", kLines);
}

constexpr std::array kAclSubcommands{
    Subcommand{"CAT", -2, acl_cat},    Subcommand{"GETUSER", 3, acl_getuser}, Subcommand{"LIST", 2, acl_list},
    Subcommand{"USERS", 2, acl_users}, Subcommand{"WHOAMI", 2, acl_whoami},   Subcommand{"HELP", 2, acl_help},
};

}  // namespace

void run_config(Call& call) { find_subcommand("CONFIG", kConfigSubcommands, call.arguments).run(call); }
void check_config(Arguments arguments) { find_subcommand("CONFIG", kConfigSubcommands, arguments); }
void run_acl(Call& call) { find_subcommand("ACL", kAclSubcommands, call.arguments).run(call); }
void check_acl(Arguments arguments) { find_subcommand("ACL", kAclSubcommands, arguments); }

}  // namespace cubby::server
