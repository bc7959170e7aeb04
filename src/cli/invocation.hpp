// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

/// How the subcommands hang together: each registers its options and an action; main runs the one that the command line chose,
/// prints what it returns and turns what it throws into an exit code.
namespace cubby::cli {

struct Result {
  std::string out;  ///< for standard output, printed once the store is saved
  int code = 0;     ///< an ExitCode
};

/// What the command line of a shell command said. One for all of them: each fills what it has options for.
struct Invocation {
  std::string file;  ///< this or dir
  std::string dir;
  std::string argument;  ///< the store, of a command that takes it as an argument too; choose_store() puts it into one of those
  std::string key_file;
  std::string key;
  std::vector<std::string> keys;
  std::string prefix;
  std::string value;
  std::string to;
  std::optional<std::string> amount;
  std::optional<std::string> ttl;
  int indent = -1;
  bool as_string = false;
  bool raw = false;
  bool once = false;
  bool lines = false;

  std::function<Result()> action;

  /// The store as the user named it, for messages.
  const std::string& store() const { return dir.empty() ? file : dir; }
};

/// Ends each of `keys` that CLI11 would otherwise take for a list; no argument can have one of its own.
inline constexpr char kListGuard = '\0';

/// Subcommands that change nothing: get, exists, keys, size, ttl, dump, stats.
void add_reading_commands(CLI::App& app, Invocation& invocation);
/// Those that change keys: set, swap, incr, decr, update, del, take, rename, clear, expire, persist.
void add_writing_commands(CLI::App& app, Invocation& invocation);
/// Those that work on arrays: push, unshift, pop, shift.
void add_queue_commands(CLI::App& app, Invocation& invocation);
/// Those that look at a durable folder: check, info.
void add_folder_commands(CLI::App& app, Invocation& invocation);
/// Those that change one as a whole: rekey, repair.
void add_mending_commands(CLI::App& app, Invocation& invocation);
/// A whole store as JSON text: export, import.
void add_exchange_commands(CLI::App& app, Invocation& invocation);
/// The demonstrations: demo sessions.
void add_demo_command(CLI::App& app, Invocation& invocation);
/// The server: serve.
void add_serve_command(CLI::App& app, Invocation& invocation);
/// Its client: shell.
void add_interactive_command(CLI::App& app, Invocation& invocation);

/// Adds a subcommand on a store: its options --file, --dir and --key-file, its examples below the help, its action.
CLI::App& add_shell_command(CLI::App& app, Invocation& invocation, const std::string& name, const std::string& description,
                            const std::string& group, const std::string& examples, std::function<Result()> action);

/// Options of more than one kind of command, each with its help.
void add_file_option(CLI::App& command, Invocation& invocation);
void add_dir_option(CLI::App& command, Invocation& invocation);
void add_key_file_option(CLI::App& command, Invocation& invocation);

}  // namespace cubby::cli
