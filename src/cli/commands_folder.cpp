// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cubby/cubby.hpp>
#include <memory>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/meter.hpp"
#include "cli/shell_store.hpp"
#include "cli/text.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::cli {

namespace {

using detail::real_file_system;

constexpr const char* kFolderGroup = "The folder of a durable store";

struct FolderOptions {
  bool json = false;
  bool open = false;
};

std::string user_text(const std::optional<std::int64_t>& used_by) {
  if (!used_by) return "nobody";
  return *used_by > 0 ? fmt::format("process {}", *used_by) : std::string("another process");
}

/// Carries out what the log says, which no checksum can vouch for, and tells how many keys there are then.
std::uint64_t keys_when_opened(const Invocation& in, const std::optional<std::array<std::byte, 32>>& key) {
  Options options;
  options.directory = in.dir;
  options.read_only = true;
  options.encryption_key = key;
  const std::uint64_t keys = open(kOpenedAs, options).count([](std::string_view, const Value&) { return true; });
  close(kOpenedAs);
  return keys;
}

Result run_check(const Invocation& in, const FolderOptions& chosen) {
  const auto key = key_of(in);
  detail::FolderCheck check;
  {
    Meter meter("check");
    check = detail::check_folder(real_file_system(), in.dir, key,
                                 [&](std::uint64_t done, std::uint64_t all) { meter.show(done, all); });
  }
  std::optional<std::uint64_t> keys;
  if (chosen.open && check.damage.empty()) {
    try {
      keys = keys_when_opened(in, key);
    } catch (const Error& error) {
      if (error.code() != Errc::corrupt) throw;
      check.damage.emplace_back(in_words(error, in));
    }
  }

  std::string out;
  const auto line = [&out](std::string_view name, const std::string& text) { out += fmt::format("{:<11} {}\n", name, text); };
  if (check.used_by)
    line("in use", fmt::format("by {}; what it writes while this runs is not looked at", user_text(check.used_by)));
  if (check.manifest) {
    const detail::Manifest& manifest = *check.manifest;
    line("closed", manifest.closed ? "yes"
                   : check.used_by ? "no, it is open"
                                   : "no: it was left by a crash, and recovers when opened");
    if (manifest.checkpoint == 0) {
      line("checkpoint", "none");
    } else if (check.checkpoint.bytes == 0) {
      line("checkpoint", "can't be read whole");
    } else {
      line("checkpoint", fmt::format("{}, {}", counted(check.checkpoint.keys, "key"), brief_bytes(check.checkpoint.bytes)));
    }
    line("log", manifest.closed ? "none"
                                : fmt::format("{}, {} in {}", counted(check.records, "record"), brief_bytes(check.record_bytes),
                                              counted(check.segments, "file")));
    if (check.incomplete != 0) {
      line("skipped", counted(check.incomplete, "record") +
                          (check.used_by ? " being written" : " that were begun and never acknowledged"));
    }
    if (!check.cut.empty())
      line("log ends at", check.cut + " (the machine stopped, or the folder was copied, before more was on the disk)");
  }
  if (keys) {
    const char* what = check.used_by        ? "read from outside at this moment"
                       : check.records == 0 ? "all of them in the checkpoint"
                                            : "once the log is carried out on the checkpoint";
    line("opened", fmt::format("{}, {}", counted(*keys, "key"), what));
  }
  for (const std::string& note : check.notes) line("note", note);
  for (const std::string& damage : check.damage) line("DAMAGED", damage);
  line("result", check.damage.empty() ? "sound" : "damaged");
  return {out, check.damage.empty() ? kExitOk : kExitNo};
}

std::string hex(const detail::StoreId& id) {
  std::string digits;
  for (const std::byte byte : id) digits += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
  return digits;
}

std::string age_text(std::int64_t seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 120) return counted(static_cast<std::uint64_t>(seconds), "second");
  if (seconds < 7200) return counted(static_cast<std::uint64_t>(seconds / 60), "minute");
  if (seconds < 172800) return counted(static_cast<std::uint64_t>(seconds / 3600), "hour");
  return counted(static_cast<std::uint64_t>(seconds / 86400), "day");
}

Value info_value(const detail::FolderFigures& figures) {
  const detail::Manifest& manifest = figures.manifest;
  Value checkpoint;
  if (manifest.checkpoint != 0) {
    checkpoint = Value::object({{"generation", manifest.checkpoint},
                                {"file", detail::checkpoint_name(manifest.checkpoint)},
                                {"bytes", manifest.checkpoint_bytes},
                                {"keys", manifest.keys},
                                {"age_seconds", figures.checkpoint_found ? Value(figures.checkpoint_age) : Value()}});
  }
  std::vector<Value> leftovers(figures.leftovers.begin(), figures.leftovers.end());
  return Value::object({{"store_id", hex(manifest.store)},
                        {"format_version", figures.version},
                        {"encrypted", manifest.encrypted},
                        {"closed", manifest.closed},
                        {"in_use", figures.used_by.has_value()},
                        {"in_use_by", figures.used_by && *figures.used_by > 0 ? Value(*figures.used_by) : Value()},
                        {"checkpoint", checkpoint},
                        {"log", Value::object({{"segments", figures.segments},
                                               {"file_bytes", figures.segment_bytes},
                                               {"records", figures.records},
                                               {"bytes", figures.record_bytes}})},
                        {"leftovers", Value::array(leftovers)}});
}

Result run_info(const Invocation& in, const FolderOptions& chosen) {
  detail::FolderFigures figures;
  try {
    figures = detail::look_at_folder(real_file_system(), in.dir);
  } catch (const Error& error) {
    if (error.code() == Errc::io && !detail::holds_store(real_file_system(), in.dir)) {
      throw StoreError(fmt::format("there is no durable store in {}", in.dir));
    }
    throw;
  }
  if (chosen.json) return {info_value(figures).to_json(2) + "\n"};
  const detail::Manifest& manifest = figures.manifest;
  std::string out;
  const auto line = [&out](std::string_view name, const std::string& text) { out += fmt::format("{:<11} {}\n", name, text); };
  line("store", hex(manifest.store));
  line("format", fmt::format("version {}", figures.version));
  line("encrypted", manifest.encrypted ? "yes, AES-256-GCM" : "no");
  line("in use by", user_text(figures.used_by));
  line("closed", manifest.closed   ? "yes"
                 : figures.used_by ? "no, it is open"
                                   : "no: it was left by a crash, and recovers when opened");
  if (manifest.checkpoint == 0) {
    line("checkpoint", "none");
  } else {
    line("checkpoint", fmt::format("generation {}, {}, {}, {}", manifest.checkpoint, counted(manifest.keys, "key"),
                                   brief_bytes(manifest.checkpoint_bytes),
                                   figures.checkpoint_found ? "written " + age_text(figures.checkpoint_age) + " ago"
                                                            : std::string("MISSING")));
  }
  line("log", figures.segments == 0
                  ? std::string("none")
                  : fmt::format("{}, {} in {} of {}", counted(figures.records, "record"), brief_bytes(figures.record_bytes),
                                counted(figures.segments, "file"), brief_bytes(figures.segment_bytes)));
  for (const std::string& name : figures.leftovers) line("left over", name);
  return {out};
}

}  // namespace

void add_folder_commands(CLI::App& app, Invocation& in) {
  const auto chosen = std::make_shared<FolderOptions>();
  const auto add = [&](const char* name, const char* description, const char* examples, auto run) -> CLI::App& {
    CLI::App& command = *app.add_subcommand(name, description);
    command.group(kFolderGroup);
    command.add_option("DIR", in.argument, "The folder, as --dir says it")->type_name("");
    add_dir_option(command, in);
    command.footer(std::string("Examples:\n") + examples);
    command.callback([&in, chosen, run] {
      in.action = [&in, chosen, run] {
        choose_folder(in, false);
        return run(in, *chosen);
      };
    });
    return command;
  };
  CLI::App& check =
      add("check", "Verify every byte of a durable store, without changing any",
          "  cubby check sessions\n"
          "  cubby check sessions --key-file key || page-somebody\n"
          "  cubby check sessions --open                   # what would be there, were it opened now\n"
          "Works on a folder that is in use, and on one that a crash has left. Exits with 0 if it is sound, 1 if it is\n"
          "damaged (each damage with file, byte and what to do), 3 if it can't be read or the key is another's.",
          run_check);
  add_key_file_option(check, in);
  check.add_flag("--open", chosen->open,
                 "Also carry out what the log says, as opening does, and tell how many keys that makes (takes as much memory)");
  CLI::App& info = add("info", "Tell what a durable store's folder holds; needs no key",
                       "  cubby info sessions\n"
                       "  cubby info sessions --json | jq .in_use_by",
                       run_info);
  info.add_flag("--json", chosen->json, "Print it as JSON");
}

}  // namespace cubby::cli
