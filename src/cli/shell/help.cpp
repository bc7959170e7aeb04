// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "cli/shell/session.hpp"
#include "server/command_table.hpp"

namespace cubby::cli::shell {

namespace {

using server::CommandSpec;
using server::CommandTable;

std::string help_for(const CommandSpec& spec) {
  std::string text = fmt::format("{}\n  {}\n", syntax_of(spec.name), spec.summary);
  text += fmt::format("  group: @{}\n", spec.group);
  const std::vector<std::string_view> subcommands = subcommands_of(spec);
  if (subcommands.size() > 1) text += "  one of:\n";
  for (const std::string_view part : subcommands) {
    if (subcommands.size() > 1) text += fmt::format("    {} {}\n", upper_case(spec.name), part);
  }
  return text;
}

std::string help_for_group(std::string_view group) {
  std::string text;
  for (const CommandSpec* spec : CommandTable::instance().all()) {
    if (spec->group == group) text += fmt::format("{}\n  {}\n", syntax_of(spec->name), spec->summary);
  }
  if (text.empty()) text = fmt::format("There is no group @{}; help lists them.\n", group);
  return text;
}

}  // namespace

bool is_word_of_syntax(std::string_view word) {
  return word.size() > 1 && std::ranges::all_of(word, [](char byte) { return (byte >= 'A' && byte <= 'Z') || byte == '-'; }) &&
         word.front() != '-';
}

std::string_view first_word(std::string_view text) { return text.substr(0, text.find(' ')); }

std::vector<std::string_view> subcommands_of(const CommandSpec& spec) {
  std::string_view syntax = spec.syntax;
  if (syntax.starts_with('[') && syntax.ends_with(']')) syntax = syntax.substr(1, syntax.size() - 2);
  std::vector<std::string_view> parts;
  int depth = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < syntax.size(); ++at) {
    depth += syntax[at] == '[' ? 1 : syntax[at] == ']' ? -1 : 0;
    if (depth == 0 && syntax.substr(at).starts_with(" | ")) {
      parts.push_back(syntax.substr(begin, at - begin));
      begin = at + 3;
    }
  }
  parts.push_back(syntax.substr(begin));
  if (spec.keys.first != 0 || !is_word_of_syntax(first_word(parts.front()))) parts.clear();
  return parts;
}

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& byte : upper) byte = static_cast<char>(std::toupper(static_cast<unsigned char>(byte)));
  return upper;
}

std::string syntax_of(std::string_view command) {
  const CommandSpec* spec = CommandTable::instance().find(command);
  if (spec == nullptr) return {};
  return upper_case(spec->name) + (spec->syntax.empty() ? "" : " ") + std::string(spec->syntax);
}

std::vector<std::string> command_groups() {
  std::set<std::string> groups;
  for (const CommandSpec* spec : CommandTable::instance().all()) groups.emplace(spec->group);
  return {groups.begin(), groups.end()};
}

std::string in_columns(std::span<const std::string> words, std::size_t width) {
  std::size_t longest = 0;
  for (const std::string& word : words) longest = std::max(longest, word.size());
  const std::size_t columns = std::max<std::size_t>(1, width / (longest + 2));
  const std::size_t lines = (words.size() + columns - 1) / columns;
  std::string text;
  for (std::size_t line = 0; line < lines; ++line) {
    for (std::size_t index = line; index < words.size(); index += lines) {
      text += index + lines < words.size() ? fmt::format("{:<{}}", words[index], longest + 2) : words[index];
    }
    text += '\n';
  }
  return text;
}

std::string help(std::span<const std::string> topics, std::size_t width) {
  if (topics.empty()) {
    std::string text =
        "help <command>   what a command does, and its arguments\n"
        "help @<group>    all commands of a group\n"
        "clear            clears the screen\n"
        "exit, Ctrl-D     leaves; Ctrl-C cancels a line, or a command that waits\n"
        "TAB completes commands, their words, settings and keys; Ctrl-R searches what was typed before.\n"
        "Arguments may be quoted: \"a b\\n\\xff\" and 'a b'.\n";
    for (const std::string& group : command_groups()) {
      std::vector<std::string> names;
      for (const CommandSpec* spec : CommandTable::instance().all()) {
        if (spec->group == group) names.push_back(upper_case(spec->name));
      }
      text += fmt::format("\n@{}\n{}", group, in_columns(names, width));
    }
    return text;
  }
  if (topics.front().starts_with('@')) return help_for_group(lower_case(topics.front()).substr(1));
  const CommandSpec* spec = CommandTable::instance().find(topics.front());
  if (spec == nullptr) return fmt::format("There is no command {}; help lists them.\n", topics.front());
  return help_for(*spec);
}

}  // namespace cubby::cli::shell
