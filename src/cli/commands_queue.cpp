// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cubby/cubby.hpp>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/shell_store.hpp"
#include "cli/text.hpp"

namespace cubby::cli {

namespace {

constexpr const char* kQueueGroup = "Arrays and queues in a store";

enum class End { front, back };

Result run_put(const Invocation& in, End end) {
  check_key(in, in.key);
  const Value value = read_value(in.value, in.as_string, "the item");
  ShellStore file(in, ShellStore::Access::create);
  const std::size_t length = end == End::back ? file.store().push(in.key, value) : file.store().unshift(in.key, value);
  file.save();
  return {fmt::format("{}\n", length)};
}

Result run_fetch(const Invocation& in, End end) {
  check_key(in, in.key);
  ShellStore file(in, ShellStore::Access::change);
  std::optional<Value> item;
  try {
    item = end == End::back ? file.store().pop(in.key) : file.store().shift(in.key);
  } catch (const Error& error) {
    if (error.code() != Errc::key_not_found) throw;
    throw AnswerNo(fmt::format("no key {} in {}", in_quotes(in.key), in.store()));
  }
  if (!item) throw AnswerNo(fmt::format("array {} in {} is empty", in_quotes(in.key), in.store()));
  file.save();
  if (in.raw && item->is_string()) return {std::string(item->as_string()) + "\n"};
  return {item->to_json() + "\n"};
}

}  // namespace

void add_queue_commands(CLI::App& app, Invocation& in) {
  const auto add_put = [&](const char* name, const char* description, const char* examples, End end) {
    CLI::App& command =
        add_shell_command(app, in, name, description, kQueueGroup, examples, [&in, end] { return run_put(in, end); });
    command.add_option("KEY", in.key, "The key of the array, which is made if absent")->required()->type_name("");
    command.add_option("JSON", in.value, "The item as JSON; - reads it from standard input")->required()->type_name("");
    command.add_flag("--string", in.as_string, "Take the item as plain text instead of JSON");
  };
  const auto add_fetch = [&](const char* name, const char* description, const char* examples, End end) {
    CLI::App& command =
        add_shell_command(app, in, name, description, kQueueGroup, examples, [&in, end] { return run_fetch(in, end); });
    command.add_option("KEY", in.key, "The key of the array")->required()->type_name("");
    command.add_flag("--raw", in.raw, "Print a string as it is, without quotes and escapes");
  };
  add_put("push", "Append an item to an array and print the new length",
          "  cubby push jobs '{\"task\": \"resize\", \"id\": 7}' --file store.json\n"
          "  hostname | tr -d '\\n' | cubby push hosts - --string --file store.json",
          End::back);
  add_put("unshift", "Put an item before all others of an array and print the new length",
          "  cubby unshift jobs '{\"task\": \"urgent\"}' --file store.json", End::front);
  add_fetch("shift", "Take the first item of an array and print it",
            "  while job=$(cubby shift jobs --file store.json); do work-on \"$job\"; done\n"
            "Exits with 1 if the array is empty or absent. Items come out once, however many scripts take from it.",
            End::front);
  add_fetch("pop", "Take the last item of an array and print it",
            "  cubby pop undo --file store.json\n"
            "Exits with 1 if the array is empty or absent.",
            End::back);
}

}  // namespace cubby::cli
