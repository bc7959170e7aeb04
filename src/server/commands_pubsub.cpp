// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command.hpp"
#include "server/server.hpp"
#include "server/subcommands.hpp"

namespace cubby::server {
namespace {

void check_channels(const Call& call, std::size_t last, bool are_patterns) {
  const User* user = call.client.user;
  if (user == nullptr || user->all_channels) return;
  for (std::size_t place = 1; place <= last; ++place) {
    if (!user->may_use_channel(call[place], are_patterns)) {
      throw CommandError("NOPERM this user has no permissions to access one of the channels used as arguments");
    }
  }
}

/// Subscribing and unsubscribing send one of these for each name.
void confirm(Call& call, std::string_view what, std::optional<std::string_view> name) {
  call.reply.push(3);
  call.reply.bulk(what);
  name ? call.reply.bulk(*name) : call.reply.null();
  call.reply.integer(static_cast<std::int64_t>(call.client.channels.size() + call.client.patterns.size()));
}

void subscribe_command(Call& call) {
  check_channels(call, call.count() - 1, false);
  for (const std::string_view channel : call.arguments.subspan(1)) {
    if (call.client.channels.emplace(channel).second) call.server.pubsub.subscribe(call.client.shared_from_this(), channel);
    confirm(call, "subscribe", channel);
  }
}

void psubscribe_command(Call& call) {
  check_channels(call, call.count() - 1, true);
  for (const std::string_view pattern : call.arguments.subspan(1)) {
    if (call.client.patterns.emplace(pattern).second) {
      call.server.pubsub.subscribe_pattern(call.client.shared_from_this(), pattern);
    }
    confirm(call, "psubscribe", pattern);
  }
}

/// What UNSUBSCRIBE and PUNSUBSCRIBE do: the names given, or all there are.
void leave_channels(Call& call, std::string_view what, std::set<std::string, std::less<>>& names,
                    void (PubSub::*unsubscribe)(const Client&, std::string_view)) {
  const auto one = [&](std::string_view name) {
    if (const auto found = names.find(name); found != names.end()) {
      (call.server.pubsub.*unsubscribe)(call.client, name);
      names.erase(found);
    }
    confirm(call, what, name);
  };
  if (call.count() > 1) {
    for (const std::string_view name : call.arguments.subspan(1)) one(name);
  } else if (names.empty()) {
    confirm(call, what, std::nullopt);
  } else {
    for (const std::string& name : std::vector<std::string>(names.begin(), names.end())) one(name);
  }
}

void unsubscribe_command(Call& call) { leave_channels(call, "unsubscribe", call.client.channels, &PubSub::unsubscribe); }
void punsubscribe_command(Call& call) {
  leave_channels(call, "punsubscribe", call.client.patterns, &PubSub::unsubscribe_pattern);
}

void publish_command(Call& call) {
  check_channels(call, 1, false);
  if (call.events.defers()) {
    call.reply.integer(static_cast<std::int64_t>(call.server.pubsub.listeners(call[1])));
    call.events.publish(call[1], call[2]);
    return;
  }
  const std::size_t reached = call.server.pubsub.publish(call[1], call[2], &call.client, &call.reply.out());
  call.reply.integer(static_cast<std::int64_t>(reached));
}

void pubsub_channels(Call& call) {
  if (call.count() > 3) {
    throw CommandError("ERR unknown subcommand or wrong number of arguments for '" + shown_argument(call[1]) +
                       "'. Try PUBSUB HELP.");
  }
  const auto names = call.server.pubsub.channels(call.count() == 3 ? std::optional(call[2]) : std::nullopt);
  call.reply.array(names.size());
  for (const std::string& name : names) call.reply.bulk(name);
}

void pubsub_numsub(Call& call) {
  call.reply.array((call.count() - 2) * 2);
  for (const std::string_view channel : call.arguments.subspan(2)) {
    call.reply.bulk(channel);
    call.reply.integer(static_cast<std::int64_t>(call.server.pubsub.subscribers(channel)));
  }
}

void pubsub_numpat(Call& call) { call.reply.integer(static_cast<std::int64_t>(call.server.pubsub.patterns())); }

void pubsub_help(Call& call) {
  static constexpr std::string_view kLines[] = {
      "CHANNELS [<pattern>]",
      "    Return the currently active channels matching a <pattern> (default: '*').",
      "NUMPAT",
      "    Return number of subscriptions to patterns.",
      "NUMSUB [<channel> ...]",
      "    Return the number of subscribers for the specified channels, excluding",
      "    pattern subscriptions(default: no channels).",
  };
  reply_help(call.reply, "PUBSUB", kLines);
}

constexpr Subcommand kPubSubSubcommands[] = {
    {"CHANNELS", -2, pubsub_channels},
    {"NUMSUB", -2, pubsub_numsub},
    {"NUMPAT", 2, pubsub_numpat},
    {"HELP", 2, pubsub_help},
};

void check_pubsub(Arguments arguments) { find_subcommand("PUBSUB", kPubSubSubcommands, arguments); }
void pubsub_command(Call& call) { find_subcommand("PUBSUB", kPubSubSubcommands, call.arguments).run(call); }

constexpr CommandSpec kPubSubCommands[] = {
    {"subscribe",
     -2,
     kPubSub | kSubscribed,
     kPubSubCategory,
     {},
     subscribe_command,
     "pubsub",
     "Listen for messages published to the given channels",
     "channel [channel ...]"},
    {"psubscribe",
     -2,
     kPubSub | kSubscribed,
     kPubSubCategory,
     {},
     psubscribe_command,
     "pubsub",
     "Listen for messages published to channels matching the given patterns",
     "pattern [pattern ...]"},
    {"unsubscribe",
     -1,
     kPubSub | kSubscribed,
     kPubSubCategory,
     {},
     unsubscribe_command,
     "pubsub",
     "Stop listening for messages posted to the given channels",
     "[channel [channel ...]]"},
    {"punsubscribe",
     -1,
     kPubSub | kSubscribed,
     kPubSubCategory,
     {},
     punsubscribe_command,
     "pubsub",
     "Stop listening for messages posted to channels matching the given patterns",
     "[pattern [pattern ...]]"},
    {"publish", 3, kPubSub, kPubSubCategory, {}, publish_command, "pubsub", "Post a message to a channel", "channel message"},
    {"pubsub",
     -2,
     0,
     kPubSubCategory,
     {},
     pubsub_command,
     "pubsub",
     "A container for Pub/Sub commands",
     "CHANNELS [pattern] | NUMSUB [channel ...] | NUMPAT",
     nullptr,
     check_pubsub},
};

}  // namespace

std::span<const CommandSpec> pubsub_commands() { return kPubSubCommands; }

}  // namespace cubby::server
