// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cctype>
#include <span>
#include <string>
#include <string_view>

#include "server/arguments.hpp"
#include "server/command.hpp"

/// Commands whose first argument says what they do: CLIENT LIST, PUBSUB CHANNELS.

namespace cubby::server {

struct Subcommand {
  std::string_view name;  ///< upper case
  /// Arguments, both names among them; negative: at least as many.
  int arity;
  void (*run)(Call&);
};

/// An argument as Redis's errors show it: up to the first zero byte, and no more than 128 bytes.
inline std::string shown_argument(std::string_view argument) {
  return std::string(argument.substr(0, std::min(argument.find('\0'), std::size_t{128})));
}

[[noreturn]] inline void fail_subcommand(std::string_view command, std::string_view argument) {
  throw CommandError("ERR unknown subcommand '" + shown_argument(argument) + "'. Try " + std::string(command) + " HELP.");
}

/// Finds what the first argument names. `command` is in upper case. Throws CommandError for an unknown name or a wrong number
/// of arguments. REQUIRES: two arguments.
inline const Subcommand& find_subcommand(std::string_view command, std::span<const Subcommand> all, Arguments arguments) {
  for (const Subcommand& subcommand : all) {
    if (!is_word(arguments[1], subcommand.name)) continue;
    const int arity = subcommand.arity;
    const auto least = static_cast<std::size_t>(arity < 0 ? -arity : arity);
    if (arity < 0 ? arguments.size() < least : arguments.size() != least) {
      std::string name = std::string(command) + "|" + std::string(subcommand.name);
      for (char& byte : name) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
      fail_arguments(name);
    }
    return subcommand;
  }
  fail_subcommand(command, arguments[1]);
}

/// What HELP answers: a heading, and these lines.
inline void reply_help(Reply& reply, std::string_view command, std::span<const std::string_view> lines) {
  reply.array(lines.size() + 3);
  reply.simple(std::string(command) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const std::string_view text : lines) reply.simple(text);
  reply.simple("HELP");
  reply.simple("    Prints this help.");
}

}  // namespace cubby::server
