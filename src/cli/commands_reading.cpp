// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cubby/cubby.hpp>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/shell_store.hpp"
#include "cli/text.hpp"

namespace cubby::cli {

namespace {

constexpr const char* kReadingGroup = "Reading a store";

ShellStore open_to_read(const Invocation& in) { return ShellStore(in, ShellStore::Access::read); }

Result run_get(const Invocation& in) {
  check_key(in, in.key);
  ShellStore file = open_to_read(in);
  const std::optional<Value> value = file.store().get(in.key);
  if (!value) throw AnswerNo(fmt::format("no key {} in {}", in_quotes(in.key), in.store()));
  if (in.raw && value->is_string()) return {std::string(value->as_string()) + "\n"};
  return {value->to_json(in.indent) + "\n"};
}

Result run_exists(const Invocation& in) {
  check_key(in, in.key);
  ShellStore file = open_to_read(in);
  const bool found = file.store().exists(in.key);
  return {found ? "true\n" : "false\n", found ? kExitOk : kExitNo};
}

Result run_keys(const Invocation& in) {
  ShellStore file = open_to_read(in);
  std::vector<std::string> keys = file.store().keys(in.prefix);
  std::sort(keys.begin(), keys.end());
  if (!in.lines) return {Value::array(keys).to_json(in.indent) + "\n"};
  std::string out;
  for (const std::string& key : keys) out += key + "\n";
  return {out};
}

Result run_size(const Invocation& in) {
  ShellStore file = open_to_read(in);
  return {fmt::format("{}\n", file.store().size())};
}

Result run_ttl(const Invocation& in) {
  check_key(in, in.key);
  ShellStore file = open_to_read(in);
  const std::optional<std::chrono::nanoseconds> left = file.store().ttl(in.key);
  if (left) return {fmt::format("{}\n", std::chrono::ceil<std::chrono::milliseconds>(*left).count())};
  if (!file.store().exists(in.key)) throw AnswerNo(fmt::format("no key {} in {}", in_quotes(in.key), in.store()));
  return {"null\n"};
}

/// Written member by member: a value as deep as a store takes would be too deep inside one more object.
Result run_dump(const Invocation& in) {
  ShellStore file = open_to_read(in);
  std::vector<std::pair<std::string, Value>> found;
  file.store().for_each(in.prefix, [&](std::string_view key, const Value& value) { found.emplace_back(key, value); });
  std::sort(found.begin(), found.end(), [](const auto& left, const auto& right) { return left.first < right.first; });
  if (found.empty()) return {"{}\n"};

  const bool one_line = in.indent < 0;
  const std::string break_and_pad = one_line ? "" : "\n" + std::string(static_cast<std::size_t>(in.indent), ' ');
  std::string out = "{";
  for (const auto& [key, value] : found) {
    if (out.size() > 1) out += ',';
    out += break_and_pad + Value(key).to_json() + (one_line ? ":" : ": ");
    for (const char c : value.to_json(in.indent)) {
      if (c == '\n') {
        out += break_and_pad;  // a line break in JSON text is layout, never part of a string
      } else {
        out += c;
      }
    }
  }
  return {out + (one_line ? "}\n" : "\n}\n")};
}

Result run_stats(const Invocation& in) {
  ShellStore file = open_to_read(in);
  const Datastore& store = file.store();
  std::int64_t expiring = 0;
  for (const std::string& key : store.keys()) expiring += store.ttl(key).has_value() ? 1 : 0;
  const Stats stats = store.stats();
  const Value report = Value::object(
      {{"bytes", stats.bytes}, {"expiring", expiring}, {"file_bytes", file.bytes_on_disk()}, {"keys", stats.keys}});
  return {report.to_json(in.indent) + "\n"};
}

void add_indent(CLI::App& command, Invocation& in, int otherwise = -1) {
  command.add_option("--indent", in.indent, fmt::format("Spaces a level; -1 prints one line (default {})", otherwise))
      ->type_name("N")
      ->check(CLI::Range(-1, 16).description(""));
  command.preparse_callback([&in, otherwise](std::size_t) { in.indent = otherwise; });
}

}  // namespace

void add_reading_commands(CLI::App& app, Invocation& in) {
  CLI::App& get = add_shell_command(app, in, "get", "Print the value of a key", kReadingGroup,
                                    "  cubby get user:7 --file store.json\n"
                                    "  cubby get motd --raw --file store.json\n"
                                    "  CUBBY_FILE=store.json cubby get user:7 | jq .name\n"
                                    "Exits with 1 if the key is absent.",
                                    [&in] { return run_get(in); });
  get.add_option("KEY", in.key, "The key")->required()->type_name("");
  get.add_flag("--raw", in.raw, "Print a string as it is, without quotes and escapes");
  add_indent(get, in);

  CLI::App& exists = add_shell_command(app, in, "exists", "Print true or false, and exit with 0 or 1", kReadingGroup,
                                       "  if cubby exists user:7 --file store.json >/dev/null; then echo there; fi",
                                       [&in] { return run_exists(in); });
  exists.add_option("KEY", in.key, "The key")->required()->type_name("");

  CLI::App& keys = add_shell_command(app, in, "keys", "Print the keys, sorted, as a JSON array", kReadingGroup,
                                     "  cubby keys --file store.json\n"
                                     "  cubby keys user: --lines --file store.json | wc -l",
                                     [&in] { return run_keys(in); });
  keys.add_option("PREFIX", in.prefix, "Only keys that start with this")->type_name("");
  keys.add_flag("--lines", in.lines, "One key a line, without quotes, instead of JSON");
  add_indent(keys, in);

  add_shell_command(app, in, "size", "Print the number of keys", kReadingGroup, "  cubby size --file store.json",
                    [&in] { return run_size(in); });

  CLI::App& ttl =
      add_shell_command(app, in, "ttl", "Print the milliseconds a key has to live; null if it has no deadline", kReadingGroup,
                        "  cubby ttl session:7 --file store.json\n"
                        "Exits with 1 if the key is absent.",
                        [&in] { return run_ttl(in); });
  ttl.add_option("KEY", in.key, "The key")->required()->type_name("");

  CLI::App& dump = add_shell_command(app, in, "dump", "Print all keys and values as one JSON object", kReadingGroup,
                                     "  cubby dump --file store.json\n"
                                     "  cubby dump user: --indent -1 --file store.json\n"
                                     "Deadlines are not part of it; cubby ttl tells them.",
                                     [&in] { return run_dump(in); });
  dump.add_option("PREFIX", in.prefix, "Only keys that start with this")->type_name("");
  add_indent(dump, in, 2);

  CLI::App& stats =
      add_shell_command(app, in, "stats", "Print figures about the store as JSON", kReadingGroup,
                        "  cubby stats --file store.json\n"
                        "keys: how many; expiring: those with a deadline; bytes: memory the store takes when it is\n"
                        "open; file_bytes: on the disk.",
                        [&in] { return run_stats(in); });
  add_indent(stats, in);
}

}  // namespace cubby::cli
