// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command.hpp"
#include "server/server.hpp"
#include "server/session_names.hpp"
#include "server/subcommands.hpp"

namespace cubby::server {
namespace {

/// Everybody who isn't a subscriber is `normal`; there is no replication.
enum class ClientType { normal, pubsub, none };

ClientType to_client_type(std::string_view argument) {
  if (is_word(argument, "NORMAL")) return ClientType::normal;
  if (is_word(argument, "PUBSUB")) return ClientType::pubsub;
  if (is_word(argument, "MASTER") || is_word(argument, "REPLICA") || is_word(argument, "SLAVE")) return ClientType::none;
  throw CommandError("ERR Unknown client type '" + shown_argument(argument) + "'");
}

bool is_of_type(const ClientFacts& facts, ClientType type) {
  return type == (facts.channels + facts.patterns != 0 ? ClientType::pubsub : ClientType::normal);
}

/// What Redis keeps for administrators, though CLIENT as such is for everybody.
void check_is_admin(const Call& call, std::string_view subcommand);

/// A client's line of CLIENT LIST. It has all of Redis's fields, as libraries look for them: those that describe buffers which
/// there are none of here are zero.
void append_line(std::string& line, const ClientFacts& facts) {
  const auto add = [&line](std::string_view name, std::string_view value) {
    if (!line.empty() && line.back() != '\n') line += ' ';
    line.append(name).append("=").append(value);
  };
  const auto add_number = [&add](std::string_view name, std::size_t number) { add(name, std::to_string(number)); };

  std::string flags;
  if (facts.channels + facts.patterns != 0) flags += 'P';
  if (facts.in_multi) flags += 'x';
  if (facts.blocked) flags += 'b';
  if (facts.address.starts_with('/')) flags += 'U';
  if (facts.no_evict) flags += 'e';
  if (facts.no_touch) flags += 'T';
  if (flags.empty()) flags = "N";
  const auto number = Databases::number_of(facts.store);

  add("id", std::to_string(facts.id));
  add("addr", facts.address);
  add("laddr", facts.local_address);
  add("fd", std::to_string(facts.descriptor));
  add("name", facts.name);
  add("age", std::to_string(facts.age.count()));
  add("idle", std::to_string(facts.idle.count()));
  add("flags", flags);
  add("db", number ? std::to_string(*number) : facts.store);
  add_number("sub", facts.channels);
  add_number("psub", facts.patterns);
  add("ssub", "0");
  add("multi", facts.in_multi ? std::to_string(facts.queued) : "-1");
  add_number("watch", facts.watches);
  add_number("qbuf", facts.input_bytes);
  for (const char* buffer : {"qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl"}) add(buffer, "0");
  add_number("oll", facts.output_bytes == 0 ? 0 : 1);
  add_number("omem", facts.output_bytes);
  add_number("tot-mem", facts.input_bytes + facts.output_bytes);
  add("events", facts.output_bytes != 0 ? "rw" : "r");
  add("cmd", facts.command.empty() ? "NULL" : facts.command);
  add("user", facts.user.empty() ? "default" : facts.user);
  add("redir", "-1");
  add("resp", std::to_string(facts.protocol));
  add("lib-name", facts.library_name);
  add("lib-ver", facts.library_version);
  line += '\n';
}

/// With what changes while the client sleeps.
ClientFacts facts_of(const Client& client) {
  ClientFacts facts = client.facts();
  facts.blocked = client.blocked();
  return facts;
}

void client_id(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.client.id())); }

void client_info(Call& call) {
  call.client.publish_facts();
  std::string line;
  append_line(line, call.client.facts());
  call.reply.verbatim(line);
}

void client_list(Call& call) {
  check_is_admin(call, "list");
  std::optional<ClientType> type;
  std::optional<std::vector<std::uint64_t>> ids;
  if (call.count() == 4 && is_word(call[2], "TYPE")) {
    type = to_client_type(call[3]);
  } else if (call.count() > 3 && is_word(call[2], "ID")) {
    ids.emplace();
    for (const std::string_view id : call.arguments.subspan(3)) {
      ids->push_back(static_cast<std::uint64_t>(to_integer(id, "ERR Invalid client ID")));
    }
  } else if (call.count() != 2) {
    fail_syntax();
  }
  call.client.publish_facts();
  std::string lines;
  if (ids) {
    for (const std::uint64_t id : *ids) {
      if (const auto client = call.server.clients.find(id)) append_line(lines, facts_of(*client));
    }
  } else {
    for (const auto& client : call.server.clients.all()) {
      const ClientFacts facts = facts_of(*client);
      if (!type || is_of_type(facts, *type)) append_line(lines, facts);
    }
  }
  call.reply.verbatim(lines);
}

void client_getname(Call& call) { call.client.name.empty() ? call.reply.null() : call.reply.bulk(call.client.name); }

void client_setname(Call& call) {
  check_client_name(call[2]);
  call.client.name = call[2];
  call.client.publish_facts();
  call.reply.ok();
}

void client_setinfo(Call& call) {
  std::string* target = nullptr;
  if (is_word(call[2], "LIB-NAME")) target = &call.client.library_name;
  if (is_word(call[2], "LIB-VER")) target = &call.client.library_version;
  if (target == nullptr) throw CommandError("ERR Unrecognized option '" + shown_argument(call[2]) + "'");
  if (!is_session_name(call[3])) {
    throw CommandError("ERR " + shown_argument(call[2]) + " cannot contain spaces, newlines or special characters.");
  }
  *target = call[3];
  call.client.publish_facts();
  call.reply.ok();
}

/// Which clients CLIENT KILL means.
struct KillFilter {
  std::optional<std::int64_t> id;
  std::optional<ClientType> type;
  std::optional<std::string_view> address, local_address, user;
  bool skip_me = true;

  bool fits(const ClientFacts& facts) const {
    return (!id || facts.id == static_cast<std::uint64_t>(*id)) && (!type || is_of_type(facts, *type)) &&
           (!address || facts.address == *address) && (!local_address || facts.local_address == *local_address) &&
           (!user || facts.user == *user);
  }
};

KillFilter to_kill_filter(const Call& call) {
  KillFilter filter;
  for (std::size_t place = 2; place < call.count(); place += 2) {
    const std::string_view option = call[place];
    if (place + 1 == call.count()) fail_syntax();
    const std::string_view value = call[place + 1];
    if (is_word(option, "ID")) {
      filter.id =
          to_integer_between(value, 1, std::numeric_limits<std::int64_t>::max(), "ERR client-id should be greater than 0");
    } else if (is_word(option, "TYPE")) {
      filter.type = to_client_type(value);
    } else if (is_word(option, "ADDR")) {
      filter.address = value;
    } else if (is_word(option, "LADDR")) {
      filter.local_address = value;
    } else if (is_word(option, "USER")) {
      if (call.server.users.find(value) == nullptr) throw CommandError("ERR No such user '" + shown_argument(value) + "'");
      filter.user = value;
    } else if (is_word(option, "SKIPME")) {
      if (!is_word(value, "YES") && !is_word(value, "NO")) fail_syntax();
      filter.skip_me = is_word(value, "YES");
    } else {
      fail_syntax();
    }
  }
  return filter;
}

void client_kill(Call& call) {
  check_is_admin(call, "kill");
  // The old form is an address, and may mean the client itself.
  const bool old_form = call.count() == 3;
  KillFilter filter;
  if (old_form) {
    filter.address = call[2];
    filter.skip_me = false;
  } else {
    filter = to_kill_filter(call);
  }
  call.client.publish_facts();
  std::int64_t killed = 0;
  bool me = false;
  for (const auto& client : call.server.clients.all()) {
    if (filter.skip_me && client.get() == &call.client) continue;
    if (!filter.fits(client->facts())) continue;
    ++killed;
    if (client.get() == &call.client) {
      me = true;
    } else {
      client->kill();
    }
  }
  if (old_form) {
    if (killed == 0) throw CommandError("ERR No such client");
    call.reply.ok();
  } else {
    call.reply.integer(killed);
  }
  if (me) call.client.closing = true;
}

bool to_switch(std::string_view argument) {
  if (is_word(argument, "ON")) return true;
  if (is_word(argument, "OFF")) return false;
  fail_syntax();
}

void client_no_evict(Call& call) {
  check_is_admin(call, "no-evict");
  call.client.no_evict = to_switch(call[2]);
  call.client.publish_facts();
  call.reply.ok();
}

void client_no_touch(Call& call) {
  call.client.no_touch = to_switch(call[2]);
  call.client.publish_facts();
  call.reply.ok();
}

void client_reply(Call& call) {
  using Mode = Client::ReplyMode;
  if (is_word(call[2], "ON")) {
    call.client.reply_mode = Mode::on;
    call.reply.ok();
  } else if (is_word(call[2], "OFF")) {
    call.client.reply_mode = Mode::off;
  } else if (is_word(call[2], "SKIP")) {
    if (call.client.reply_mode != Mode::off) call.client.reply_mode = Mode::skip_next;
  } else {
    fail_syntax();
  }
}

void client_getredir(Call& call) { call.reply.integer(-1); }

void client_help(Call& call) {
  static constexpr std::string_view kLines[] = {
      "GETREDIR",
      "    Return the client ID we are redirecting to when tracking is enabled.",
      "GETNAME",
      "    Return the name of the current connection.",
      "ID",
      "    Return the ID of the current connection.",
      "INFO",
      "    Return information about the current client connection.",
      "KILL <ip:port>",
      "    Kill connection made from <ip:port>.",
      "KILL <option> <value> [<option> <value> [...]]",
      "    Kill connections. Options are:",
      "    * ADDR (<ip:port>|<unixsocket>:0)",
      "      Kill connections made from the specified address",
      "    * ID <client-id>",
      "      Kill the connection with this id.",
      "    * LADDR (<ip:port>|<unixsocket>:0)",
      "      Kill connections made to specified local address",
      "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
      "      Kill connections by type.",
      "    * USER <username>",
      "      Kill connections authenticated by <username>.",
      "    * SKIPME (YES|NO)",
      "      Skip killing current connection (default: yes).",
      "LIST [options ...]",
      "    Return information about client connections. Options:",
      "    * ID <client-id> [<client-id> ...]",
      "      Return the clients with these ids.",
      "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
      "      Return clients of specified type.",
      "REPLY (ON|OFF|SKIP)",
      "    Control the replies sent to the current connection.",
      "SETINFO (LIB-NAME|LIB-VER) <value>",
      "    Set what the client's library is called, or its version.",
      "SETNAME <name>",
      "    Assign the name <name> to the current connection.",
      "NO-EVICT (ON|OFF)",
      "    Protect current client connection from eviction.",
      "NO-TOUCH (ON|OFF)",
      "    Will not touch LRU/LFU stats when this mode is on.",
  };
  reply_help(call.reply, "CLIENT", kLines);
}

constexpr Subcommand kClientSubcommands[] = {
    {"ID", 2, client_id},           {"INFO", 2, client_info},         {"LIST", -2, client_list},
    {"GETNAME", 2, client_getname}, {"SETNAME", 3, client_setname},   {"SETINFO", 4, client_setinfo},
    {"KILL", -3, client_kill},      {"NO-EVICT", 3, client_no_evict}, {"NO-TOUCH", 3, client_no_touch},
    {"REPLY", 3, client_reply},     {"GETREDIR", 2, client_getredir}, {"HELP", 2, client_help},
};

void check_client(Arguments arguments) { find_subcommand("CLIENT", kClientSubcommands, arguments); }
void client_command(Call& call) { find_subcommand("CLIENT", kClientSubcommands, call.arguments).run(call); }

constexpr CommandSpec kClientCommands[] = {
    {"client",
     -2,
     0,
     kConnection,
     {},
     client_command,
     "connection",
     "A container for client connection commands",
     "ID | INFO | LIST [TYPE type | ID id ...] | GETNAME | SETNAME name | SETINFO LIB-NAME|LIB-VER value | KILL address | "
     "KILL option value ... | NO-EVICT ON|OFF | NO-TOUCH ON|OFF | REPLY ON|OFF|SKIP",
     nullptr,
     check_client},
};

void check_is_admin(const Call& call, std::string_view subcommand) {
  if (call.client.user != nullptr && !call.client.user->may_run(client_administration())) {
    throw CommandError("NOPERM this user has no permissions to run the 'client|" + std::string(subcommand) + "' command");
  }
}

}  // namespace

const CommandSpec& client_administration() {
  // The same name, so that a rule that allows CLIENT allows this; and categories that a rule may deny.
  static constexpr CommandSpec kForAdmins = [] {
    CommandSpec spec = kClientCommands[0];
    spec.categories |= kAdminCategory | kDangerous;
    return spec;
  }();
  return kForAdmins;
}

std::span<const CommandSpec> client_commands() { return kClientCommands; }

}  // namespace cubby::server
