// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cubby/cubby.hpp>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/json_members.hpp"
#include "cli/meter.hpp"
#include "cli/shell_store.hpp"
#include "cli/text.hpp"

/// A whole store as JSON text, in the format of Options::persist.
namespace cubby::cli {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr const char* kExchangeGroup = "A whole store";
constexpr std::string_view kReserved = "$cubby";

nanoseconds wall_clock() { return std::chrono::system_clock::now().time_since_epoch(); }

// Files hold deadlines in whole milliseconds, stores in nanoseconds from now. As long as less than half a millisecond passes
// between two readings of clocks, the same milliseconds come out again.
constexpr nanoseconds kExact = std::chrono::microseconds(300);

/// A deadline as milliseconds since the epoch; empty if there is none, or no key any more.
std::optional<std::int64_t> deadline_of(const Datastore& store, const std::string& key) {
  constexpr int kMostTries = 100;
  for (int tries = 1;; ++tries) {
    const auto before = std::chrono::steady_clock::now();
    const std::optional<nanoseconds> left = store.ttl(key);
    if (!left) return std::nullopt;
    const nanoseconds wall = wall_clock();
    const bool exact = std::chrono::steady_clock::now() - before < kExact;
    if (!exact && tries != kMostTries) continue;
    const auto whole = std::chrono::floor<milliseconds>(wall);  // the sum may be beyond what nanoseconds hold
    const auto left_whole = std::chrono::floor<milliseconds>(*left);
    return (whole + left_whole + std::chrono::round<milliseconds>((wall - whole) + (*left - left_whole))).count();
  }
}

/// Removes the key if the time has come.
void set_deadline(Datastore& store, const std::string& key, std::int64_t deadline_ms) {
  constexpr int kMostTries = 100;
  for (int tries = 1;; ++tries) {
    const nanoseconds before = wall_clock();
    const std::int64_t now_ms = std::chrono::floor<milliseconds>(before).count();
    if (deadline_ms <= now_ms) {
      store.erase(key);
      return;
    }
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 1'000'000;
    const nanoseconds within = before - milliseconds(now_ms);
    try {
      store.expire(key, nanoseconds(milliseconds(std::min(deadline_ms - now_ms, kMost - 1))) - within);
    } catch (const Error& error) {
      if (error.code() != Errc::key_not_found) throw;  // a deadline of a key that isn't there says nothing
      return;
    }
    if (wall_clock() - before < kExact || tries == kMostTries) return;
  }
}

class Output {
 public:
  void add(std::string_view text) {
    text_ += text;
    constexpr std::size_t kBlock = std::size_t{256} << 10;
    if (text_.size() >= kBlock) flush();
  }
  void flush() {
    const bool written = std::fwrite(text_.data(), 1, text_.size(), stdout) == text_.size() && std::fflush(stdout) == 0;
    if (!written) throw StoreError("standard output can't be written");
    text_.clear();
  }

 private:
  std::string text_;
};

std::string name_of(const std::string& key) {
  try {
    return Value(key).to_json();
  } catch (const Error&) {
    throw StoreError(fmt::format("key {} is not UTF-8, and JSON text can't hold it", in_quotes(key)));
  }
}

/// Begins another member of the object.
void add_member(Output& out, bool& first, const std::string& key) {
  out.add(first ? "{\n  " : ",\n  ");
  first = false;
  out.add(name_of(key));
  out.add(": ");
}

void add_deadlines(Output& out, bool& first, const std::vector<std::pair<std::string, std::int64_t>>& deadlines) {
  if (deadlines.empty()) return;
  add_member(out, first, std::string(kReserved));
  out.add("{\n    \"expires\": {");
  for (std::size_t i = 0; i < deadlines.size(); ++i) {
    out.add(fmt::format("{}\n      {}: {}", i == 0 ? "" : ",", name_of(deadlines[i].first), deadlines[i].second));
  }
  out.add("\n    },\n    \"version\": 1\n  }");
}

Result run_export(const Invocation& in) {
  ShellStore file(in, ShellStore::Access::read);
  const Datastore& store = file.store();
  std::vector<std::string> keys = store.keys();
  std::sort(keys.begin(), keys.end());
  std::vector<std::pair<std::string, std::int64_t>> deadlines;
  for (const std::string& key : keys) {
    if (key == kReserved) throw StoreError("key \"$cubby\" can't stand in a JSON file, which keeps deadlines under that name");
    static_cast<void>(name_of(key));
    if (const auto deadline = deadline_of(store, key)) deadlines.emplace_back(key, *deadline);
  }

  Meter meter("export");
  Output out;
  bool first = true;
  std::size_t done = 0;
  bool deadlines_are_out = false;
  for (const std::string& key : keys) {
    if (!deadlines_are_out && key > kReserved) {
      add_deadlines(out, first, deadlines);
      deadlines_are_out = true;
    }
    meter.show(done++, keys.size(), "keys");
    const std::optional<Value> value = store.get(key);
    if (!value) continue;  // it has expired
    add_member(out, first, key);
    std::string text;
    try {
      text = value->to_json(2);
    } catch (const Error& error) {
      throw StoreError(fmt::format("the value of key {} can't be written as JSON: {}", in_quotes(key), error.what()));
    }
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());  // layout, never part of a string
      out.add(std::string_view(text).substr(at, end - at));
      if (end < text.size()) out.add("\n  ");
      at = end + 1;
    }
  }
  if (!deadlines_are_out) add_deadlines(out, first, deadlines);
  out.add(first ? "{}\n" : "\n}\n");
  out.flush();
  return {};
}

class Import {
 public:
  explicit Import(Datastore& store) : store_(store) {}

  void take(std::string_view key, const Value& value) {
    if (key == kReserved) {
      take_reserved(value);
      return;
    }
    if (key.size() > 65535)
      throw UsageError(fmt::format("key {}... is longer than 65,535 bytes", in_quotes(key.substr(0, 40))));
    store_.set(key, value);
    store_.remove_expiry(key);  // as load() does: what the text says of a key counts, the deadline included, or none
    ++keys_;
  }

  void finish() {
    if (!deadlines_.is_object()) return;
    for (const auto& [key, deadline] : deadlines_.members()) set_deadline(store_, std::string(key), deadline.as_int());
  }

  std::uint64_t keys() const { return keys_; }

 private:
  static void refuse(std::string_view what) { throw UsageError(fmt::format("standard input: {}", what)); }

  void take_reserved(const Value& reserved) {
    const std::optional<Value> version = reserved.find("version");
    if (!version || !version->is_int()) return refuse("\"$cubby\" has no version");
    if (version->as_int() != 1) {
      return refuse(fmt::format("\"$cubby\" is of version {}, and this cubby reads version 1", version->to_json()));
    }
    for (const auto& [name, member] : reserved.members()) {
      if (name == "version") continue;
      if (name != "expires")
        return refuse(fmt::format("\"$cubby\" has a member {}, which version 1 doesn't know", in_quotes(name)));
      if (!member.is_object()) return refuse("\"expires\" in \"$cubby\" is no object");
      for (const auto& [key, deadline] : member.members()) {
        if (!deadline.is_int()) return refuse(fmt::format("the deadline of key {} is no 64-bit integer", in_quotes(key)));
      }
      deadlines_ = member;
    }
  }

  Datastore& store_;
  Value deadlines_;
  std::uint64_t keys_ = 0;
};

Result run_import(const Invocation& in, bool merge) {
  ShellStore file(in, ShellStore::Access::create, true);
  Datastore& store = file.store();
  if (!merge && store.size() != 0) {
    throw AnswerNo(
        fmt::format("{} has {} keys already: add --merge to set those of the text besides, or import into a new store",
                    in.store(), grouped(store.size())));
  }
  Import import(store);
  try {
    Meter meter("import");
    read_json_members(
        stdin, [&](std::string_view key, const Value& value) { import.take(key, value); },
        [&](std::uint64_t bytes) { meter.show(bytes, 0); });
    import.finish();
  } catch (...) {
    // What was empty stays so. A JSON file isn't saved at all.
    if (!merge) {
      store.clear();
      throw;
    }
    if (!in.dir.empty() && import.keys() != 0) {
      tell(fmt::format("cubby: the first {} keys of the text were imported\n", grouped(import.keys())));
    }
    throw;
  }
  file.save();
  return {fmt::format("{}\n", import.keys())};
}

}  // namespace

void add_exchange_commands(CLI::App& app, Invocation& in) {
  struct Chosen {
    bool merge = false;
  };
  const auto chosen = std::make_shared<Chosen>();
  const auto add = [&](const char* name, const char* description, const char* examples, auto run) -> CLI::App& {
    CLI::App& command = *app.add_subcommand(name, description);
    command.group(kExchangeGroup);
    command.add_option("STORE", in.argument, "JSON file, or folder of a durable store, as --file and --dir say it")
        ->type_name("");
    add_file_option(command, in);
    add_dir_option(command, in);
    add_key_file_option(command, in);
    command.footer(std::string("Examples:\n") + examples);
    command.callback([&in, chosen, run] {
      in.action = [&in, chosen, run] {
        choose_store(in);
        return run(in, *chosen);
      };
    });
    return command;
  };
  add("export", "Print a store, deadlines and all, as the text of a JSON store file",
      "  cubby export sessions > sessions.json         # a folder that is in use too: as it is at this moment\n"
      "  cubby export sessions --key-file key | gzip > sessions.json.gz\n"
      "  cubby export old | cubby import new\n"
      "cubby import reads the text, and so does a program whose store is a JSON file. Keys are sorted.",
      [](const Invocation& invocation, const Chosen&) { return run_export(invocation); });
  CLI::App& import =
      add("import", "Fill a store with the text of a JSON store file on standard input, and print the number of keys",
          "  cubby import sessions < sessions.json         # makes the durable store sessions\n"
          "  zcat sessions.json.gz | cubby import sessions --key-file key\n"
          "  cubby import sessions --merge < more.json     # sets these keys, and leaves others alone\n"
          "A store that is made is a JSON file if its name ends in .json, a durable folder otherwise. One that has keys is\n"
          "refused without --merge (exit code 1). Text that turns out not to be right leaves an empty store empty; with\n"
          "--merge a durable store keeps what came before the error, and a JSON file stays as it was.",
          [](const Invocation& invocation, const Chosen& what) { return run_import(invocation, what.merge); });
  import.add_flag("--merge", chosen->merge, "Into a store that has keys: set those of the text, leave the others");
}

}  // namespace cubby::cli
