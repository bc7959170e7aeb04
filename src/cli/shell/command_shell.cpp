// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/shell/server_link.hpp"
#include "cli/shell/shell.hpp"
#include "cli/shell/store_link.hpp"

namespace cubby::cli {

namespace {

constexpr const char* kShellFooter =
    "COMMAND is one of the server's, with its arguments; without one, commands are read from standard input, a line each: on "
    "a\n"
    "terminal with history, completion (TAB) and help for each (help set). Options stand before it.\n"
    "\n"
    "With --dir or --file no server is needed: the same commands work on a durable store, on a folder of stores as cubby "
    "serve\n"
    "has it, or on a JSON file. A file is written by SAVE and at the end; others that write wait as long as this has it open.\n"
    "\n"
    "Examples:\n"
    "  cubby shell                                       # talks to cubby serve on this machine\n"
    "  cubby shell set greeting hello\n"
    "  cubby shell --port 6379 --no-raw hgetall user:7   # any Redis server; the reply as on a terminal\n"
    "  printf 'incr visits\\nget visits\\n' | cubby shell\n"
    "  cubby shell --host db.example --tls --cacert ca.crt --user ann --password-file ~/.cubby-password\n"
    "  cubby shell --dir ./data --read-only              # beside a server that has it open\n"
    "  cubby shell --file store.json json.get user:7 '$.name'\n"
    "\n"
    "The password comes from --password-file or CUBBY_PASSWORD, as everybody can see a command line. What is typed is kept in\n"
    "$XDG_STATE_HOME/cubby/history (~/.local/state/cubby/history), but for lines with passwords. NO_COLOR=1 turns colours "
    "off.\n"
    "Exit codes: 0; 1: a command's reply was an error; 2: the command line; 3: the server or store; 130: Ctrl-C.";

struct ShellOptions {
  shell::ServerAddress address;
  shell::Login login;
  std::string password_file;
  bool read_only = false;
  bool raw = false;
  bool no_raw = false;
};

std::optional<std::string> password_of(const ShellOptions& options) {
  if (!options.password_file.empty()) {
    std::ifstream in(options.password_file);
    std::string password;
    if (!in || (!std::getline(in, password) && !in.eof())) {
      throw UsageError(fmt::format("--password-file {} can't be read: {}", options.password_file, std::strerror(errno)));
    }
    if (password.ends_with('\r')) password.pop_back();
    return password;
  }
  const char* password = std::getenv("CUBBY_PASSWORD");
  if (password != nullptr && password[0] != '\0') return password;
  return std::nullopt;
}

bool is_port(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 1 && number <= 65535;
}

Result run_shell(ShellOptions& options, const Invocation& in, const CLI::App& command) {
  const std::vector<std::string> words = command.remaining();
  if (!words.empty() && words.front().starts_with('-')) {
    throw UsageError(fmt::format("there is no option {}; cubby shell --help lists them", words.front()));
  }
  const bool local = !in.dir.empty() || !in.file.empty();
  if (!in.dir.empty() && !in.file.empty()) throw UsageError("--file and --dir: a store is one or the other; leave one out");
  for (const char* remote : {"--host", "--port", "--unixsocket", "--tls", "--user", "--password-file"}) {
    if (local && command.count(remote) != 0)
      throw UsageError(fmt::format("{} goes with a server, not with --dir or --file", remote));
  }
  if (!local && options.read_only) throw UsageError("--read-only goes with --dir or --file");
  if (in.dir.empty() && !in.key_file.empty()) throw UsageError("--key-file goes with a durable store (--dir)");
  if (options.raw && options.no_raw) throw UsageError("--raw and --no-raw: leave one out");

  if (const std::string& port = options.address.port; !is_port(port)) {
    throw UsageError(fmt::format("--port {}: a port is a number from 1 to 65535", port));
  }

  shell::Signals signals;
  std::unique_ptr<shell::Link> link;
  if (local) {
    link = std::make_unique<shell::StoreLink>(in, options.read_only);
  } else {
    options.login.password = password_of(options);
    if (!options.address.ca_file.empty() || !options.address.cert_file.empty()) options.address.tls = true;
    link = std::make_unique<shell::ServerLink>(options.address, signals);
  }
  const bool terminal = words.empty() && ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  const bool raw = options.raw || (!options.no_raw && ::isatty(STDOUT_FILENO) != 1);
  shell::Shell shell(*link, options.login, signals, raw);
  Result result;
  try {
    result.code = terminal ? shell.run_terminal() : words.empty() ? shell.run_script() : shell.run_one(words);
  } catch (const shell::Interrupted&) {
    result.code = kExitInterrupted;
  } catch (...) {
    link->finish();
    throw;
  }
  link->finish();
  return result;
}

}  // namespace

void add_interactive_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("shell", "Talk to a server, or to stores without one");
  command->group("Serving");
  command->footer(kShellFooter);
  command->prefix_command();
  const auto options = std::make_shared<ShellOptions>();
  const std::string server = "A server", stores = "Stores without a server", output = "Output";
  command->add_option("--host", options->address.host, "Its name or address (default: 127.0.0.1)")->group(server);
  command->add_option("-p,--port", options->address.port, "Its port (default: 7379)")->type_name("PORT")->group(server);
  command->add_option("--unixsocket", options->address.unixsocket, "Its Unix socket instead")->type_name("PATH")->group(server);
  command->add_option("--user", options->login.user, "Who signs in (default: default)")->type_name("NAME")->group(server);
  command
      ->add_option("--password-file", options->password_file,
                   "The password, the first line of a file (default: CUBBY_PASSWORD)")
      ->type_name("FILE")
      ->group(server);
  command->add_flag("--tls", options->address.tls, "Talk TLS")->group(server);
  command->add_option("--cacert", options->address.ca_file, "Who signs the server's certificate, PEM (default: the system's)")
      ->type_name("FILE")
      ->group(server);
  command->add_option("--cert", options->address.cert_file, "A client's certificate, PEM")->type_name("FILE")->group(server);
  command->add_option("--key", options->address.key_file, "Its private key, PEM")->type_name("FILE")->group(server);
  command
      ->add_option("-n,--store", options->login.store,
                   "Go to this store: a number, or a name (default: 0); it is made if it isn't there")
      ->type_name("STORE")
      ->group(server);
  command->add_option("-d,--dir", invocation.dir, "A durable store's folder, or one of several stores")
      ->type_name("DIR")
      ->group(stores);
  command->add_option("-f,--file", invocation.file, "A JSON file of {key: value}; made if it isn't there")
      ->type_name("FILE")
      ->group(stores);
  command->add_option("--key-file", invocation.key_file, "The key of an encrypted folder: 32 bytes or 64 hex digits")
      ->type_name("FILE")
      ->group(stores);
  command->add_flag("--read-only", options->read_only, "Change nothing; works beside a program that has the folder open")
      ->group(stores);
  command->add_flag("--raw", options->raw, "Replies for programs: strings as they are (default unless on a terminal)")
      ->group(output);
  command->add_flag("--no-raw", options->no_raw, "Replies for people")->group(output);
  command->callback([&invocation, options, command] {
    invocation.action = [&invocation, options, command] { return run_shell(*options, invocation, *command); };
  });
}

}  // namespace cubby::cli
