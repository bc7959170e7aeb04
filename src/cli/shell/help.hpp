// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cubby::server {
struct CommandSpec;
}

/// What the shell knows about commands, from the server's own table.
namespace cubby::cli::shell {

/// What `help` prints: with `topics` empty the groups of commands, else help for a command ("set"), a command's subcommands
/// ("client"), or a group ("@string"). `width` is the terminal's.
std::string help(std::span<const std::string> topics, std::size_t width);

/// "SET key value [NX | XX] ..."; empty for a command that there isn't.
std::string syntax_of(std::string_view command);

/// Whether it is a word that is typed as it stands: NX, LIB-NAME.
bool is_word_of_syntax(std::string_view word);
/// The parts of "GET pattern | SET name value", of a command whose first argument chooses among them; empty for any other.
std::vector<std::string_view> subcommands_of(const server::CommandSpec& spec);
std::string_view first_word(std::string_view text);

/// Groups of commands, sorted.
std::vector<std::string> command_groups();

std::string upper_case(std::string_view text);

/// The words in columns, as ls prints them; ends with a line break.
std::string in_columns(std::span<const std::string> words, std::size_t width);

}  // namespace cubby::cli::shell
