// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <cubby/cubby.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/meter.hpp"
#include "cli/shell_store.hpp"
#include "cli/text.hpp"
#include "storage/folder_salvage.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::cli {

namespace {

namespace fs = std::filesystem;
using detail::real_file_system;

constexpr const char* kMendingGroup = "The folder of a durable store";

struct MendingOptions {
  std::string new_key_file;
  bool decrypt = false;
  bool yes = false;
};

void refuse_what_is_no_store(const std::string& dir) {
  if (!detail::holds_store(real_file_system(), dir)) throw StoreError(fmt::format("there is no durable store in {}", dir));
}

Result run_rekey(const Invocation& in, const MendingOptions& chosen) {
  if (chosen.new_key_file.empty() != chosen.decrypt) {
    throw UsageError("which key shall it have? Give either --new-key-file FILE or --decrypt");
  }
  const auto from = key_of(in);
  std::optional<std::array<std::byte, 32>> to;
  if (!chosen.decrypt) to = read_key_file(chosen.new_key_file);
  refuse_what_is_no_store(in.dir);
  const fs::path folder = detail::folder_identity(in.dir);
  const auto found = detail::read_manifest_unverified(real_file_system(), folder);
  if (found && !found->encrypted && chosen.decrypt) {
    throw StoreError(fmt::format("{} is not encrypted: there is nothing to decrypt", in.dir));
  }
  if (found && found->encrypted && from && from == to) {
    throw UsageError("the key in --new-key-file is the one in the key file: nothing would change");
  }
  try {
    const auto manifest = detail::read_manifest(real_file_system(), folder, from);
    if (manifest && !manifest->closed) {
      // Left by a crash: closing it puts all of the log into a checkpoint.
      Options options;
      options.directory = folder;
      options.encryption_key = from;
      open(kOpenedAs, options);
      close(kOpenedAs);
    }
    Meter meter("rekey");
    detail::rekey_folder(real_file_system(), folder, from, to,
                         [&](std::uint64_t done, std::uint64_t all) { meter.show(done, all); });
  } catch (const Error& error) {
    if (error.code() == Errc::config) throw StoreError(fmt::format("{} was opened by somebody meanwhile: try again", in.dir));
    throw;
  }
  return {};
}

std::string describe(const detail::SalvageReport& report) {
  std::string out;
  for (const std::string& damage : report.damage) {
    out += fmt::format("damage: {}\n", damage.substr(0, damage.find(". Nothing was changed")));
  }
  out += "\nLost:\n";
  bool lost = false;
  const auto line = [&](const std::string& text) {
    out += "  " + text + "\n";
    lost = true;
  };
  if (report.manifest_lost) line("the manifest; what it said follows from the other files, if they are the newest");
  for (const auto& range : report.lost_ranges) {
    line(fmt::format("{}, bytes {} to {} ({})", range.file.filename().string(), range.offset, range.offset + range.bytes,
                     brief_bytes(range.bytes)));
  }
  if (!report.lost_ranges.empty() || report.keys_lost.value_or(0) != 0) {
    line(report.keys_lost ? fmt::format("{} of the checkpoint", counted(*report.keys_lost, "key"))
                          : std::string("keys of the checkpoint; how many can't be told"));
  }
  if (!report.log_end.empty()) {
    line(fmt::format("the log from there on: {}", report.log_end));
    line(fmt::format("{} behind that which can still be read, as they may depend on what can't",
                     counted(report.records_lost, "record")));
  }
  if (report.operations_left_out != 0) {
    line(fmt::format("{} on keys that are lost", counted(report.operations_left_out, "operation")));
  }
  if (!lost) line("nothing");
  if (report.keys == 0) {
    out += "\nSaved:\n  nothing: not one key can be read, and the repaired store would be empty\n";
  } else {
    out += fmt::format("\nSaved:\n  {}, from {} of the checkpoint and {} of the log\n", counted(report.keys, "key"),
                       counted(report.checkpoint_keys, "key"), counted(report.records, "record"));
  }
  return out;
}

bool confirmed(const std::string& question) {
  tell(fmt::format("{} [y/N] ", question));
  std::fflush(stderr);
  std::string answer;
  std::getline(std::cin, answer);
  // Where nobody has pressed Enter, what follows would stand on the line of the question.
  if (isatty(STDIN_FILENO) == 0 || std::cin.eof()) tell("\n");
  return answer == "y" || answer == "Y" || answer == "yes";
}

std::string time_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d-%H%M%S", &local);
  return text.data();
}

Result run_repair(const Invocation& in, const MendingOptions& chosen) {
  const auto key = key_of(in);
  refuse_what_is_no_store(in.dir);
  const fs::path folder = detail::folder_identity(in.dir);
  const auto lock = real_file_system().lock(folder / detail::kLockName);
  std::optional<detail::FolderSalvage> salvage;
  {
    Meter meter("repair");
    salvage.emplace(real_file_system(), folder, key, [&](std::uint64_t done, std::uint64_t all) { meter.show(done, all); });
  }
  if (!salvage->report().lost_anything()) {
    return {fmt::format("{} is sound: there is nothing to repair\n", in.dir)};
  }
  const std::string stamp = time_stamp();
  const fs::path kept = folder.string() + ".damaged-" + stamp;
  const fs::path replacement = folder.string() + ".repaired-" + stamp;
  std::error_code error;
  if (fs::exists(kept, error) || fs::exists(replacement, error)) {
    throw StoreError(fmt::format("{} or {} is there already: try again in a second", kept.string(), replacement.string()));
  }
  fmt::print("{}\n", describe(salvage->report()));
  std::fflush(stdout);
  const char* what = salvage->report().keys == 0 ? "an empty store" : "what was saved";
  if (!chosen.yes &&
      !confirmed(fmt::format("Put {} in the place of {}, and keep the damaged folder as {}?", what, in.dir, kept.string()))) {
    throw AnswerNo(fmt::format("nothing was changed{}", std::cin.eof() ? ": answer y, or give --yes" : ""));
  }
  // The new folder is whole and on the disk before it takes the name, and the old one only changes its name.
  try {
    salvage->write(replacement);
  } catch (...) {
    fs::remove_all(replacement, error);
    throw;
  }
  detail::replace_folder(real_file_system(), folder, replacement, kept);
  const char* state = salvage->report().keys == 0 ? "an empty store now" : "sound again";
  return {fmt::format("{} is {}; the damaged folder is kept as {}\n", in.dir, state, kept.string())};
}

}  // namespace

void add_mending_commands(CLI::App& app, Invocation& in) {
  const auto chosen = std::make_shared<MendingOptions>();
  const auto add = [&](const char* name, const char* description, const char* examples, auto run) -> CLI::App& {
    CLI::App& command = *app.add_subcommand(name, description);
    command.group(kMendingGroup);
    command.add_option("DIR", in.argument, "The folder, as --dir says it")->type_name("");
    command.add_option("-d,--dir", in.dir, "The folder; CUBBY_DIR doesn't count here")->type_name("DIR");
    add_key_file_option(command, in);
    command.footer(std::string("Examples:\n") + examples);
    command.callback([&in, chosen, run] {
      in.action = [&in, chosen, run] {
        choose_folder(in, true);
        return run(in, *chosen);
      };
    });
    return command;
  };
  CLI::App& rekey =
      add("rekey", "Encrypt a durable store with another key, or decrypt it",
          "  openssl rand -hex 32 > key; cubby rekey sessions --new-key-file key\n"
          "  cubby rekey sessions --key-file key --new-key-file key2\n"
          "  cubby rekey sessions --key-file key2 --decrypt\n"
          "Nobody may have it open. Whatever happens meanwhile, the store opens with the old key or with the new one.",
          run_rekey);
  rekey.add_option("--new-key-file", chosen->new_key_file, "The key it shall have")->type_name("FILE");
  rekey.add_flag("--decrypt", chosen->decrypt, "It shall have none");
  CLI::App& repair = add("repair", "Save what can be saved of a damaged store",
                         "  cubby check sessions || cubby repair sessions\n"
                         "Shows what is lost and asks. The damaged folder is kept beside the new one, as\n"
                         "sessions.damaged-YYYYMMDD-hhmmss. Does nothing to a folder that is sound, or in use.\n"
                         "(A repair that was killed may leave a folder too many: cubby check tells which is\n"
                         "sound. One called sessions.repaired-* never is the damaged one; it can go, or if there\n"
                         "is no sessions any more, be renamed to that.)\n"
                         "Exits with 1 if you say no.",
                         run_repair);
  repair.add_flag("--yes", chosen->yes, "Don't ask");
}

}  // namespace cubby::cli
