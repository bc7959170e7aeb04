// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <optional>
#include <string>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command.hpp"
#include "server/server.hpp"
#include "server/session_names.hpp"
#include "server/subcommands.hpp"

namespace cubby::server {
namespace {

/// Whose protocol and commands these are. Client libraries switch features on by it.
constexpr std::string_view kRedisVersion = "7.0.15";

void ping_command(Call& call) {
  if (call.count() > 2) fail_arguments("ping");
  if (call.reply.protocol() == 2 && call.client.subscribed()) {
    call.reply.array(2);
    call.reply.bulk("pong");
    call.reply.bulk(call.count() == 2 ? call[1] : std::string_view());
  } else if (call.count() == 2) {
    call.reply.bulk(call[1]);
  } else {
    call.reply.simple("PONG");
  }
}

void echo_command(Call& call) { call.reply.bulk(call[1]); }

/// Throws CommandError if name or password is wrong; the client stays who it is then.
void sign_in(Call& call, std::string_view name, std::string_view password) {
  Client& client = call.client;
  // A transaction is one command, whose answer waits once.
  if (client.sign_in_failed())
    throw CommandError("ERR the password isn't looked at: one before it in the transaction was wrong");
  const User* user = call.server.users.sign_in(name, password);
  if (user == nullptr) {
    client.failed_sign_in = client.commands;
    call.server.figures.mine().add(Figures::auth_failures);
    throw CommandError("WRONGPASS invalid username-password pair or user is disabled.");
  }
  client.user = user;
  client.user_name = user->name;
}

void auth_command(Call& call) {
  if (call.count() > 3) fail_syntax();
  if (call.count() == 2) {
    if (!call.server.needs_password()) {
      throw CommandError(
          "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is "
          "correct?");
    }
    sign_in(call, "default", call[1]);
  } else {
    sign_in(call, call[1], call[2]);
  }
  call.client.publish_facts();
  call.reply.ok();
}

void hello_command(Call& call) {
  Client& client = call.client;
  Reply& reply = call.reply;
  std::optional<int> protocol;
  if (call.count() >= 2) {
    const std::int64_t number = to_integer(call[1], "ERR Protocol version is not an integer or out of range");
    if (number != 2 && number != 3) throw CommandError("NOPROTO unsupported protocol version");
    protocol = static_cast<int>(number);
  }
  std::optional<std::string_view> user, password, name;
  for (std::size_t place = 2; place < call.count(); ++place) {
    const std::size_t more = call.count() - 1 - place;
    if (more >= 2 && is_word(call[place], "AUTH")) {
      user = call[place + 1];
      password = call[place + 2];
      place += 2;
    } else if (more >= 1 && is_word(call[place], "SETNAME")) {
      name = call[place + 1];
      check_client_name(*name);
      ++place;
    } else {
      throw CommandError("ERR Syntax error in HELLO option '" + shown_argument(call[place]) + "'");
    }
  }
  if (user) sign_in(call, *user, *password);
  if (client.user == nullptr) {
    throw CommandError(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can "
        "be "
        "used to authenticate the client and select the RESP protocol version at the same time");
  }
  if (name) client.name = *name;
  if (protocol && *protocol != client.protocol) {
    client.protocol = *protocol;
    reply.set_protocol(*protocol);
    if (client.subscribed()) call.server.pubsub.change_protocol(client);
  }
  client.publish_facts();

  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(client.protocol);
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(client.id()));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

void select_command(Call& call) {
  using Limits = std::numeric_limits<int>;
  const std::int64_t number = to_integer(call[1]);
  if (number < Limits::min() || number > Limits::max()) {
    throw CommandError("ERR value is out of range, value must between -2147483648 and 2147483647");
  }
  if (number < 0 || number >= call.server.settings().databases) throw CommandError("ERR DB index is out of range");
  call.client.use(Databases::name_of(static_cast<int>(number)));
  call.reply.ok();
}

void quit_command(Call& call) {
  call.client.closing = true;
  call.reply.ok();
}

void reset_command(Call& call) {
  call.client.reset_session();
  call.reply.set_protocol(call.client.protocol);
  call.client.publish_facts();
  call.reply.simple("RESET");
}

constexpr CommandSpec kConnectionCommands[] = {
    {"auth",
     -2,
     kNoAuth | kFast,
     kConnection,
     {},
     auth_command,
     "connection",
     "Authenticate to the server",
     "[username] password"},
    {"echo", 2, kFast, kConnection, {}, echo_command, "connection", "Echo the given string", "message"},
    {"hello",
     -1,
     kNoAuth | kFast,
     kConnection,
     {},
     hello_command,
     "connection",
     "Handshake with the server",
     "[protover [AUTH username password] [SETNAME clientname]]"},
    {"ping", -1, kFast | kSubscribed, kConnection, {}, ping_command, "connection", "Ping the server", "[message]"},
    {"quit",
     -1,
     kNoAuth | kFast | kImmediate | kSubscribed,
     kConnection,
     {},
     quit_command,
     "connection",
     "Close the connection",
     ""},
    {"reset",
     1,
     kNoAuth | kFast | kImmediate | kSubscribed,
     kConnection,
     {},
     reset_command,
     "connection",
     "Reset the connection",
     ""},
    {"select",
     2,
     kFast | kWholeStore,
     kConnection,
     {},
     select_command,
     "connection",
     "Change the selected database for the current connection",
     "index"},
};

}  // namespace

std::span<const CommandSpec> connection_commands() { return kConnectionCommands; }

}  // namespace cubby::server
