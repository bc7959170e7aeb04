// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cubby/cubby.hpp>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/shell_store.hpp"
#include "cli/text.hpp"

namespace cubby::cli {

CLI::App& add_shell_command(CLI::App& app, Invocation& invocation, const std::string& name, const std::string& description,
                            const std::string& group, const std::string& examples, std::function<Result()> action) {
  CLI::App* command = app.add_subcommand(name, description);
  command->group(group);
  add_file_option(*command, invocation);
  add_dir_option(*command, invocation);
  add_key_file_option(*command, invocation);
  command->footer("Examples:\n" + examples);
  command->callback([&invocation, action = std::move(action)] {
    invocation.action = [&invocation, action] {
      choose_store(invocation);
      return action();
    };
  });
  return *command;
}

// CLI11's own handling of an environment variable would fill the option of every other subcommand too, over this one's.
void add_file_option(CLI::App& command, Invocation& invocation) {
  command.add_option("-f,--file", invocation.file, "The store: a JSON file of {key: value} (default: CUBBY_FILE)")
      ->type_name("FILE");
}

void add_dir_option(CLI::App& command, Invocation& invocation) {
  command.add_option("-d,--dir", invocation.dir, "The store: the folder of a durable one (default: CUBBY_DIR)")
      ->type_name("DIR");
}

void add_key_file_option(CLI::App& command, Invocation& invocation) {
  command
      .add_option("--key-file", invocation.key_file,
                  "The key of an encrypted folder: 32 bytes or 64 hex digits (default: CUBBY_KEY_FILE)")
      ->type_name("FILE");
}

namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  cubby demo sessions\n"
    "  cubby set user:7 '{\"name\": \"Ann\"}' --file store.json\n"
    "  cubby get user:7 --file store.json\n"
    "  export CUBBY_FILE=store.json; cubby incr visits; cubby keys\n"
    "  cubby get user:7 --dir sessions      # a durable store: a folder that loses nothing when its program dies\n"
    "  cubby check sessions && cubby export sessions > sessions.json\n"
    "  cubby get --help                     # each command has examples of its own\n"
    "\n"
    "Values are JSON in and out. A key or value that starts with a dash goes behind --.\n"
    "Reading commands never change the store. Writing commands wait for each other, so any number of them may run at\n"
    "once and no update is lost. A JSON file (--file) is replaced as a whole, under a lock (flock) on its folder; they\n"
    "don't know of a program that has it open as its store: let that program do the writing. A durable folder (--dir)\n"
    "has one writer at a time: while a program has it open, reading commands work and writing ones say who it is.\n"
    "Keys of encrypted folders are read from files (--key-file), as everybody can see a command line.\n"
    "\n"
    "Environment: CUBBY_FILE or CUBBY_DIR name the store, CUBBY_KEY_FILE the key, where the command line doesn't. Not to\n"
    "rekey and repair, which change a folder as a whole: these want it named. To serve CUBBY_DIR is its setting dir, a\n"
    "folder of stores, and to shell nothing.\n"
    "\n"
    "Exit codes:\n"
    "  0    done\n"
    "  1    the key is absent (rename, set --once: is there already; del: none of the keys is there), the array is\n"
    "       empty, or the answer is false; check: the folder is damaged; import: the store has keys; repair: you said no\n"
    "  2    the command line or a value is wrong; nothing was changed (an import into a folder keeps what came before)\n"
    "  3    the store: missing, damaged, in use, not writable, another key's, a value of the wrong type, ...; nothing\n"
    "       was changed\n"
    "  4    demo: what was found is not what was done\n"
    "  5    it was done, but standard output can't be written\n"
    "  130  demo: interrupted before there was anything to verify";

int complain(const std::string& text, int code) {
  if (!text.empty()) tell(fmt::format("cubby: {}\n", text));
  return code;
}

/// The command line as CLI11 wants it, last argument first.
std::vector<std::string> arguments(int argc, char** argv) {
  std::vector<std::string> all(argv + 1, argv + argc);
  // Where an option takes several, CLI11 takes [a,b] for two of them; kListGuard keeps such a key whole.
  if (!all.empty() && all.front() == "del") {
    for (std::string& argument : all) {
      if (argument.starts_with('[') && argument.ends_with(']')) argument += kListGuard;
    }
  }
  std::reverse(all.begin(), all.end());
  return all;
}

/// CLI11 takes the next word for the value of an option whose `=` has nothing behind it, and with it what that word meant.
void refuse_empty_values(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (std::size_t at = 0; at < words.size() && words[at] != "--"; ++at) {
    const std::string& word = words[at];
    if (!word.starts_with('-')) {
      if (command->get_prefix_command()) return;  // the server's command begins
      const auto found = command->get_subcommands([&word](const CLI::App* one) { return one->check_name(word); });
      if (!found.empty()) command = found.front();
      continue;
    }
    const std::size_t equals = word.find('=');
    const CLI::Option* option = command->get_option_no_throw(word.substr(0, equals));
    const bool takes_value = option != nullptr && option->get_items_expected_min() > 0;
    if (word.starts_with("--") && equals != std::string::npos && equals + 1 == word.size()) {
      const std::string name = word.substr(0, equals);
      throw UsageError(takes_value ? fmt::format("{} has no value: write {} VALUE, or {} '' for an empty one", word, name, name)
                                   : fmt::format("{} has nothing behind the equals sign", word));
    }
    if (takes_value && equals == std::string::npos) ++at;
  }
}

int run(int argc, char** argv) {
  CLI::App app("cubby: a concurrent datastore inside your process, and its files from the shell", "cubby");
  app.set_version_flag("-V,--version", "cubby " CUBBY_VERSION, "Print the version and exit");
  app.footer(kFooter);
  app.get_formatter()->column_width(32);
  app.require_subcommand(0, 1);  // none is reported below: CLI11 would report it before a mistyped name

  Invocation invocation;
  add_demo_command(app, invocation);
  add_serve_command(app, invocation);
  add_interactive_command(app, invocation);
  add_reading_commands(app, invocation);
  add_writing_commands(app, invocation);
  add_queue_commands(app, invocation);
  add_exchange_commands(app, invocation);
  add_folder_commands(app, invocation);
  add_mending_commands(app, invocation);

  try {
    refuse_empty_values(app, std::vector<std::string>(argv + 1, argv + argc));
    app.parse(arguments(argc, argv));
  } catch (const UsageError& error) {
    return complain(error.what(), kExitUsage);
  } catch (const CLI::Success& success) {
    app.exit(success);
    return std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? kExitOk
                                                                : complain("standard output can't be written", kExitOutput);
  } catch (const CLI::ParseError& error) {
    if (app.get_subcommands().empty() && argv[1][0] != '-') {
      return complain(fmt::format("there is no command {}; cubby --help lists them", in_quotes(argv[1])), kExitUsage);
    }
    std::string name = "cubby";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      name += " " + at->get_name();
    }
    tell(fmt::format("{}: {}\nTry: {} --help\n", name, error.what(), name));
    return kExitUsage;
  }
  if (!invocation.action) {
    tell(fmt::format("{}", app.help()));
    return kExitUsage;
  }

  try {
    const Result result = invocation.action();
    if (std::fwrite(result.out.data(), 1, result.out.size(), stdout) != result.out.size() || std::fflush(stdout) != 0) {
      return complain("it was done, but standard output can't be written", kExitOutput);
    }
    return result.code;
  } catch (const AnswerNo& no) {
    return complain(no.what(), kExitNo);
  } catch (const UsageError& error) {
    return complain(error.what(), kExitUsage);
  } catch (const StoreError& error) {
    return complain(error.what(), kExitStore);
  } catch (const Error& error) {
    return complain(in_words(error, invocation), kExitStore);
  } catch (const std::bad_alloc&) {
    return complain("out of memory", kExitStore);
  } catch (const std::exception& error) {
    return complain(error.what(), kExitStore);
  }
}

}  // namespace

}  // namespace cubby::cli

int main(int argc, char** argv) {
  const int code = cubby::cli::run(argc, argv);
  std::fflush(stderr);
  // A store file still open belongs to a command that failed: it must stay as it was, where a normal exit would save it.
  std::_Exit(code);
}
