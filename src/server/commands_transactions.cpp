// SPDX-License-Identifier: Apache-2.0
#include "server/client.hpp"
#include "server/command.hpp"
#include "server/dispatch.hpp"
#include "server/server.hpp"

/// MULTI, EXEC, DISCARD, WATCH, UNWATCH.

namespace cubby::server {

namespace {

void multi(Call& call) {
  if (call.client.in_multi) throw CommandError("ERR MULTI calls can not be nested");
  call.client.in_multi = true;
  call.reply.ok();
}

void exec(Call& call) {
  Client& client = call.client;
  if (!client.in_multi) throw CommandError("ERR EXEC without MULTI");
  if (client.multi_failed) {
    client.leave_multi();
    throw CommandError("EXECABORT Transaction discarded because of previous errors.");
  }
  execute_transaction(client, call.reply);
}

void discard(Call& call) {
  if (!call.client.in_multi) throw CommandError("ERR DISCARD without MULTI");
  call.client.leave_multi();
  call.reply.ok();
}

void watch(Call& call) {
  Client& client = call.client;
  if (client.in_multi) throw CommandError("ERR WATCH inside MULTI is not allowed");
  for (const std::string_view key : call.arguments.subspan(1)) client.watches.add(client.store_name, client.store, key);
  call.reply.ok();
}

void unwatch(Call& call) {
  call.client.watches.clear();
  call.reply.ok();
}

constexpr CommandSpec kTransactionCommands[] = {
    {"multi", 1, kImmediate | kFast, kTransaction, {}, multi, "transactions", "Starts a transaction", ""},
    {"exec",
     1,
     kImmediate,
     kTransaction,
     {},
     exec,
     "transactions",
     "Executes all commands of a transaction at one instant",
     ""},
    {"discard", 1, kImmediate | kFast, kTransaction, {}, discard, "transactions", "Discards a transaction", ""},
    {"watch",
     -2,
     kImmediate | kFast,
     kTransaction,
     {1, -1, 1},
     watch,
     "transactions",
     "Lets the next EXEC fail if one of the keys is touched before",
     "key [key ...]"},
    {"unwatch", 1, kFast, kTransaction, {}, unwatch, "transactions", "Forgets about watched keys", ""},
};

}  // namespace

std::span<const CommandSpec> transaction_commands() { return kTransactionCommands; }

}  // namespace cubby::server
