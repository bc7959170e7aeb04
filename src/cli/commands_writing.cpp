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

constexpr const char* kWritingGroup = "Changing a store";

using Access = ShellStore::Access;

std::string no_key(const Invocation& in, const std::string& key) {
  return fmt::format("no key {} in {}", in_quotes(key), in.store());
}

Result run_set(const Invocation& in) {
  check_key(in, in.key);
  const Value value = read_value(in.value, in.as_string, "the value");
  std::optional<std::chrono::nanoseconds> ttl;
  if (in.ttl) ttl = parse_duration(*in.ttl, "--ttl");

  ShellStore file(in, Access::create);
  Datastore& store = file.store();
  if (in.once) {
    const bool stored = ttl ? store.set_once(in.key, value, *ttl) : store.set_once(in.key, value);
    if (!stored) throw AnswerNo(fmt::format("key {} is already in {}", in_quotes(in.key), in.store()));
  } else if (ttl) {
    store.set(in.key, value, *ttl);
  } else {
    store.set(in.key, value);
  }
  file.save();
  return {};
}

Result run_swap(const Invocation& in) {
  check_key(in, in.key);
  const Value value = read_value(in.value, in.as_string, "the value");
  ShellStore file(in, Access::create);
  const std::optional<Value> old = file.store().swap(in.key, value);
  file.save();
  return {old.value_or(Value()).to_json() + "\n"};
}

Result run_increment(const Invocation& in, bool down) {
  check_key(in, in.key);
  const Value delta = in.amount ? read_json(*in.amount, "N") : Value(1);
  if (!delta.is_number()) throw UsageError(fmt::format("N is {}, which is no number", delta.to_json()));
  ShellStore file(in, Access::create);
  const Value sum = down ? file.store().decrement(in.key, delta) : file.store().increment(in.key, delta);
  file.save();
  return {sum.to_json() + "\n"};
}

Result run_update(const Invocation& in) {
  check_key(in, in.key);
  const Value patch = read_json(in.value, "the patch");
  if (!patch.is_object()) throw UsageError("the patch is no JSON object, as in '{\"name\": \"Ann\", \"old\": null}'");
  ShellStore file(in, Access::create);
  const Value merged = file.store().update(in.key, patch);
  file.save();
  return {merged.to_json() + "\n"};
}

Result run_delete(const Invocation& in) {
  std::vector<std::string> keys = in.keys;
  for (std::string& key : keys) {
    if (key.ends_with(kListGuard)) key.pop_back();
    check_key(in, key);
  }
  ShellStore file(in, Access::change);
  std::size_t removed = 0;
  for (const std::string& key : keys) removed += file.store().erase(key) ? 1 : 0;
  if (removed == 0) return {"0\n", kExitNo};
  file.save();
  return {fmt::format("{}\n", removed)};
}

Result run_take(const Invocation& in) {
  check_key(in, in.key);
  ShellStore file(in, Access::change);
  const std::optional<Value> value = file.store().take(in.key);
  if (!value) throw AnswerNo(no_key(in, in.key));
  file.save();
  return {value->to_json() + "\n"};
}

Result run_rename(const Invocation& in) {
  check_key(in, in.key);
  check_key(in, in.to);
  ShellStore file(in, Access::change);
  try {
    file.store().rename(in.key, in.to);
  } catch (const Error& error) {
    if (error.code() == Errc::key_not_found) throw AnswerNo(no_key(in, in.key));
    if (error.code() == Errc::key_exists) {
      throw AnswerNo(
          fmt::format("key {} is already in {}: delete it first, or choose another name", in_quotes(in.to), in.store()));
    }
    throw;
  }
  file.save();
  return {};
}

Result run_clear(const Invocation& in) {
  ShellStore file(in, Access::change);
  const std::size_t removed = file.store().keys().size();
  file.store().clear();
  file.save();
  return {fmt::format("{}\n", removed)};
}

Result run_expire(const Invocation& in) {
  check_key(in, in.key);
  std::optional<std::chrono::nanoseconds> ttl;
  if (in.ttl) ttl = parse_duration(*in.ttl, "TTL");
  ShellStore file(in, Access::change);
  if (!file.store().exists(in.key)) throw AnswerNo(no_key(in, in.key));
  if (ttl) {
    file.store().expire(in.key, *ttl);
  } else {
    file.store().expire(in.key);
  }
  file.save();
  return {};
}

Result run_persist(const Invocation& in) {
  check_key(in, in.key);
  ShellStore file(in, Access::change);
  if (!file.store().remove_expiry(in.key)) {
    if (!file.store().exists(in.key)) throw AnswerNo(no_key(in, in.key));
    return {"false\n", kExitNo};
  }
  file.save();
  return {"true\n"};
}

void add_value(CLI::App& command, Invocation& in) {
  command.add_option("JSON", in.value, "The value as JSON; - reads it from standard input")->required()->type_name("");
  command.add_flag("--string", in.as_string, "Take the value as plain text instead of JSON");
}

}  // namespace

void add_writing_commands(CLI::App& app, Invocation& in) {
  CLI::App& set = add_shell_command(app, in, "set", "Store a value", kWritingGroup,
                                    "  cubby set user:7 '{\"name\": \"Ann\"}' --file store.json\n"
                                    "  cubby set motd 'Good morning' --string --file store.json\n"
                                    "  curl -s https://example.org/rates.json | cubby set rates - --ttl 10m --file store.json\n"
                                    "  cubby set lock 1 --once --ttl 30s --file store.json && run-the-job\n"
                                    "Without --ttl, a deadline that the key already has is kept.",
                                    [&in] { return run_set(in); });
  set.add_option("KEY", in.key, "The key")->required()->type_name("");
  add_value(set, in);
  set.add_option("--ttl", in.ttl, "Time to live, such as 500ms, 10s, 5m, 2h or 1d")->type_name("TIME");
  set.add_flag("--once", in.once, "Only if the key is absent; exit with 1 if it is not");

  CLI::App& swap =
      add_shell_command(app, in, "swap", "Store a value and print the old one (null if there was none)", kWritingGroup,
                        "  cubby swap leader '\"node-2\"' --file store.json", [&in] { return run_swap(in); });
  swap.add_option("KEY", in.key, "The key")->required()->type_name("");
  add_value(swap, in);

  CLI::App& incr =
      add_shell_command(app, in, "incr", "Add to a number (an absent key counts as 0) and print the sum", kWritingGroup,
                        "  cubby incr visits --file store.json\n"
                        "  cubby incr balance -2.5 --file store.json",
                        [&in] { return run_increment(in, false); });
  incr.add_option("KEY", in.key, "The key")->required()->type_name("");
  incr.add_option("N", in.amount, "How much to add (default 1)")->type_name("");

  CLI::App& decr = add_shell_command(app, in, "decr", "Subtract from a number and print the difference", kWritingGroup,
                                     "  cubby decr stock 3 --file store.json", [&in] { return run_increment(in, true); });
  decr.add_option("KEY", in.key, "The key")->required()->type_name("");
  decr.add_option("N", in.amount, "How much to subtract (default 1)")->type_name("");

  CLI::App& update =
      add_shell_command(app, in, "update", "Merge a patch into an object (RFC 7396) and print the result", kWritingGroup,
                        "  cubby update user:7 '{\"mail\": \"ann@example.org\", \"phone\": null}' --file store.json\n"
                        "A null deletes a member; an absent key counts as {}.",
                        [&in] { return run_update(in); });
  update.add_option("KEY", in.key, "The key")->required()->type_name("");
  update.add_option("PATCH", in.value, "A JSON object; - reads it from standard input")->required()->type_name("");

  CLI::App& del = add_shell_command(app, in, "del", "Remove keys and print how many were there", kWritingGroup,
                                    "  cubby del user:7 user:8 --file store.json\n"
                                    "Exits with 0 if any was there, and with 1 if none was.",
                                    [&in] { return run_delete(in); });
  del.add_option("KEY", in.keys, "The keys")->required()->type_name("");

  CLI::App& take = add_shell_command(app, in, "take", "Remove a key and print its value", kWritingGroup,
                                     "  cubby take job:next --file store.json\n"
                                     "Exits with 1 if the key is absent.",
                                     [&in] { return run_take(in); });
  take.add_option("KEY", in.key, "The key")->required()->type_name("");

  CLI::App& rename = add_shell_command(app, in, "rename", "Move a value and its deadline to another key", kWritingGroup,
                                       "  cubby rename draft:1 post:1 --file store.json\n"
                                       "Exits with 1 if FROM is absent, or TO is there already.",
                                       [&in] { return run_rename(in); });
  rename.add_option("FROM", in.key, "The key as it is")->required()->type_name("");
  rename.add_option("TO", in.to, "The key as it shall be")->required()->type_name("");

  add_shell_command(app, in, "clear", "Remove all keys and print how many there were", kWritingGroup,
                    "  cubby clear --file store.json", [&in] { return run_clear(in); });

  CLI::App& expire = add_shell_command(app, in, "expire", "Set a key's time to live", kWritingGroup,
                                       "  cubby expire session:7 30m --file store.json\n"
                                       "  cubby expire session:7 0 --file store.json      # removes it now\n"
                                       "Exits with 1 if the key is absent.",
                                       [&in] { return run_expire(in); });
  expire.add_option("KEY", in.key, "The key")->required()->type_name("");
  expire.add_option("TTL", in.ttl, "Time to live, such as 500ms, 10s, 5m, 2h or 1d (default 1h)")->type_name("");

  CLI::App& persist =
      add_shell_command(app, in, "persist", "Drop a key's deadline and print whether there was one", kWritingGroup,
                        "  cubby persist session:7 --file store.json\n"
                        "Exits with 1 if there was none.",
                        [&in] { return run_persist(in); });
  persist.add_option("KEY", in.key, "The key")->required()->type_name("");
}

}  // namespace cubby::cli
