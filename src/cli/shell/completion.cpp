// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/completion.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include "cli/shell/help.hpp"
#include "cli/shell/printing.hpp"
#include "cli/shell/session.hpp"
#include "server/command_table.hpp"
#include "server/settings.hpp"

namespace cubby::cli::shell {

namespace {

using server::CommandSpec;
using server::CommandTable;

/// The line up to the cursor: the words before the last, and the last, which may be empty or lack its closing quote.
struct TypedLine {
  std::vector<std::string> before;
  std::string last;
  std::size_t begin = 0;
  char quote = '\0';  ///< that the last opens with
};

TypedLine typed(std::string_view line) {
  TypedLine result;
  std::size_t at = 0;
  for (;;) {
    while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
    const std::size_t begin = at;
    char quote = '\0';
    while (at < line.size() && (quote != '\0' || (line[at] != ' ' && line[at] != '\t'))) {
      if (quote == '\0' && (line[at] == '"' || line[at] == '\'')) {
        quote = line[at];
      } else if (quote != '\0' && line[at] == '\\' && at + 1 < line.size()) {
        ++at;
      } else if (line[at] == quote) {
        quote = '\0';
      }
      ++at;
    }
    std::string text(line.substr(begin, at - begin));
    if (quote != '\0') text += quote;
    std::vector<std::string> words;
    try {
      words = server::split_words(text);
    } catch (const server::SettingError&) {
      words = {text};
    }
    if (at == line.size()) {
      result.begin = begin;
      result.quote = begin < line.size() && (line[begin] == '"' || line[begin] == '\'') ? line[begin] : '\0';
      if (!words.empty()) result.last = words.front();
      return result;
    }
    result.before.push_back(words.empty() ? std::string() : words.front());
  }
}

std::vector<std::string> words_of_syntax(std::string_view syntax) {
  std::vector<std::string> words;
  while (!syntax.empty()) {
    const std::size_t end = std::min(syntax.find_first_of(" []()|<>"), syntax.size());
    if (is_word_of_syntax(syntax.substr(0, end))) words.emplace_back(syntax.substr(0, end));
    syntax.remove_prefix(std::min(end + 1, syntax.size()));
  }
  return words;
}

bool is_place_of_key(const CommandSpec& spec, std::size_t index) {
  const server::KeyPlaces& places = spec.keys;
  const auto at = static_cast<int>(index);
  if (places.first == 0 || at < places.first || (places.last > 0 && at > places.last)) return false;
  return places.step <= 1 || (at - places.first) % places.step == 0;
}

std::vector<std::string> options_at(const CommandSpec& spec, const std::vector<std::string>& before) {
  const std::vector<std::string_view> parts = subcommands_of(spec);
  if (!parts.empty() && before.size() == 1) {
    std::vector<std::string> words;
    for (const std::string_view part : parts) {
      if (is_word_of_syntax(first_word(part))) words.emplace_back(first_word(part));
    }
    return words;
  }
  if (!parts.empty()) {
    const std::string chosen = upper_case(before[1]);
    if (chosen == "GET" || chosen == "SET") {
      std::vector<std::string> names;
      if (spec.name == "config") {
        for (const server::Setting& setting : server::all_settings()) names.emplace_back(setting.name);
      }
      return names;
    }
    std::vector<std::string> words;
    for (const std::string_view part : parts) {
      if (first_word(part) != chosen) continue;
      for (std::string& word : words_of_syntax(part.substr(chosen.size()))) words.push_back(std::move(word));
    }
    return words;
  }
  return words_of_syntax(spec.syntax);
}

/// As it is typed: in quotes if it has to be, or if it was begun so.
std::string as_typed(const std::string& word, char quote) {
  const std::string escaped = in_double_quotes(word);
  const bool plain = !word.empty() && escaped.size() == word.size() + 2 && word.find_first_of(" '") == std::string::npos;
  return plain && quote == '\0' ? word : escaped;
}

}  // namespace

Completion complete(std::string_view line, const FindKeys& find_keys) {
  const TypedLine given = typed(line);
  Completion completion;
  completion.begin = given.begin;

  std::vector<std::string> names;  // whose case is the user's
  if (given.before.empty()) {
    for (const CommandSpec* spec : CommandTable::instance().all()) names.emplace_back(spec->name);
    for (const char* own : {"help", "exit", "clear"}) names.emplace_back(own);
  } else if (lower_case(given.before.front()) == "help") {
    if (given.before.size() == 1) {
      for (const CommandSpec* spec : CommandTable::instance().all()) names.emplace_back(spec->name);
      for (const std::string& group : command_groups()) names.push_back("@" + group);
    }
  } else if (const CommandSpec* spec = CommandTable::instance().find(given.before.front())) {
    if (is_place_of_key(*spec, given.before.size())) {
      for (const std::string& key : find_keys(given.last)) completion.words.push_back(as_typed(key, given.quote));
    } else {
      names = options_at(*spec, given.before);
    }
    if (given.last.empty()) completion.hint = syntax_of(spec->name);
  }

  const std::string wanted = lower_case(given.last);
  const bool upper =
      !given.last.empty() && std::ranges::none_of(given.last, [](char byte) { return byte >= 'a' && byte <= 'z'; });
  for (const std::string& name : names) {
    const std::string lower = lower_case(name);
    if (!lower.starts_with(wanted)) continue;
    const bool word_of_syntax = is_word_of_syntax(name) && given.last.empty();
    completion.words.push_back(upper || word_of_syntax ? upper_case(name) : lower);
  }
  std::ranges::sort(completion.words);
  completion.words.erase(std::unique(completion.words.begin(), completion.words.end()), completion.words.end());
  return completion;
}

std::string common_prefix(const std::vector<std::string>& words) {
  if (words.empty()) return {};
  std::string prefix = words.front();
  for (const std::string& word : words) {
    const auto [end, other] = std::ranges::mismatch(prefix, word);
    prefix.erase(end, prefix.end());
  }
  // Not within a character.
  while (!prefix.empty() && prefix.size() < words.front().size() &&
         (static_cast<unsigned char>(words.front()[prefix.size()]) & 0xc0) == 0x80) {
    prefix.pop_back();
  }
  return prefix;
}

std::string pattern_of_prefix(std::string_view prefix) {
  std::string pattern;
  for (const char byte : prefix) {
    if (std::string_view("*?[]\\^").find(byte) != std::string_view::npos) pattern += '\\';
    pattern += byte;
  }
  return pattern + "*";
}

}  // namespace cubby::cli::shell
