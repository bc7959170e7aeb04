// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdlib>
#include <cubby/cubby.hpp>
#include <map>
#include <memory>
#include <optional>

#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/service_manager.hpp"
#include "server/http_server.hpp"
#include "server/log_text.hpp"
#include "server/network.hpp"
#include "server/open_files.hpp"
#include "server/server.hpp"

namespace cubby::cli {

namespace {

using server::Settings;

/// The words that the command line has for settings, by their names.
struct ServeOptions {
  std::string config;
  std::map<std::string, std::vector<std::string>> flags;
};

constexpr const char* kServeFooter =
    "Each setting can be given in four places, the last of which counts: its default, a configuration file (--config; one\n"
    "\"name value\" a line, as Redis has it), the environment (CUBBY_PORT=7000, CUBBY_MAX_MEMORY=1gb), the command line.\n"
    "CONFIG GET shows all of them to a client, and CONFIG SET changes those that can change while the server runs.\n"
    "CUBBY_DIR names the folder of the stores here, and one store to commands such as cubby get.\n"
    "\n"
    "Examples:\n"
    "  cubby serve                                       # in memory, on the loopback addresses\n"
    "  cubby serve --dir ./data                          # durable: what is acknowledged survives kill -9\n"
    "  cubby serve --dir ./data --sync always            # ... and the loss of power\n"
    "  cubby serve --unixsocket /run/cubby.sock --port 0\n"
    "  CUBBY_REQUIREPASS=... cubby serve --bind '* ::*'  # on all addresses; refused without a password or users\n"
    "  cubby serve --tls-port 7443 --tls-cert-file server.crt --tls-key-file server.key\n"
    "  redis-cli -p 7379 set greeting hello              # any Redis client\n"
    "\n"
    "SIGTERM and SIGINT end it: it lets nobody in any more, answers what it has received, makes a checkpoint of each store\n"
    "and exits with 0. A second signal ends it at once; durable stores then lose nothing, but open slower.\n"
    "Passwords are best given by the environment or a file, as everybody can see a command line.";

/// `unknown`: the variables of the environment that are no settings.
Settings read_settings(const ServeOptions& options, std::vector<std::string>& unknown) {
  Settings settings;
  std::string config = options.config;
  if (config.empty()) {
    if (const char* named = std::getenv("CUBBY_CONFIG")) config = named;
  }
  if (!config.empty()) settings.read(config);
  unknown = settings.read_environment();
  for (const auto& [name, words] : options.flags) {
    if (words.empty()) continue;
    try {
      settings.set(name, words);
    } catch (const server::SettingError& error) {
      throw UsageError(fmt::format("--{}", error.what()));  // which begins with the name
    }
  }
  settings.check();
  return settings;
}

spdlog::level::level_enum level_of(const std::string& name) {
  if (name == "debug") return spdlog::level::debug;
  if (name == "verbose" || name == "notice") return spdlog::level::info;
  return spdlog::level::warn;
}

void start_log(const Settings& settings) {
  std::shared_ptr<spdlog::logger> logger;
  try {
    logger = settings.logfile.empty() ? spdlog::stderr_logger_mt("cubby") : spdlog::basic_logger_mt("cubby", settings.logfile);
  } catch (const spdlog::spdlog_ex& error) {
    throw StoreError(fmt::format("logfile: {}", error.what()));
  }
  // One line an event: what happened, then name=value pairs.
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z level=%l pid=%P %v");
  logger->set_level(level_of(settings.loglevel));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

std::string list_of(const std::vector<std::string>& all) { return fmt::format("{}", fmt::join(all, ", ")); }

Result serve(const ServeOptions& options) {
  std::vector<std::string> unknown;
  Settings settings = [&] {
    try {
      return read_settings(options, unknown);
    } catch (const server::SettingError& error) {
      throw UsageError(error.what());
    }
  }();
  start_log(settings);
  for (const std::string& name : unknown) {
    spdlog::warn("environment variable ignored name=\"{}\" reason=\"there is no such setting: see cubby serve --help\"",
                 server::log_text(name));
  }
  if (const std::size_t room = server::make_room_for_clients(settings.maxclients); room < settings.maxclients) {
    if (room == 0) throw UsageError("the system lets this process open too few files: raise the limit (ulimit -n)");
    spdlog::warn("maxclients lowered from={} to={} reason=\"the system lets this process open no more files (ulimit -n)\"",
                 settings.maxclients, room);
    settings.maxclients = room;
  }
  try {
    server::Server server(settings);
    for (const std::string& name : server.databases.left_out()) {
      spdlog::warn("folder not served folder=\"{}\" reason=\"cubby repair has left it: look at it, and move it elsewhere\"",
                   server::log_text((server.databases.folder() / name).string()));
    }
    server::Network network(server);
    std::optional<server::HttpServer> http;
    if (settings.http_port != 0) http.emplace(server, network.context(), network.sign_ins(), settings.http_port);
    std::atomic<bool> save{true};
    server.on_shutdown = [&](bool with_checkpoints) {
      save = with_checkpoints;
      network.stop();
    };
    server.on_change = [](const Settings& changed) { spdlog::default_logger()->set_level(level_of(changed.loglevel)); };

    boost::asio::signal_set signals(network.context(), SIGTERM, SIGINT);
    signals.async_wait([&](const boost::system::error_code& error, int number) {
      if (error) return;
      spdlog::info("stopping signal={}", number == SIGTERM ? "SIGTERM" : "SIGINT");
      // From now on a signal does what it does by itself.
      signals.clear();
      std::signal(SIGTERM, SIG_DFL);
      std::signal(SIGINT, SIG_DFL);
      network.stop();
    });

    fmt::print("cubby {} serves on {} with {} thread{}{}\n", CUBBY_VERSION, list_of(network.addresses()), network.threads(),
               network.threads() == 1 ? "" : "s",
               settings.dir.empty() ? ", in memory" : fmt::format(", data in {}", settings.dir));
    if (http) fmt::print("dashboard: {}\n", http->urls().front());
    std::fflush(stdout);
    spdlog::info("ready version={} addresses=\"{}\" threads={} dir=\"{}\" stores={}", CUBBY_VERSION,
                 list_of(network.addresses()), network.threads(), server::log_text(settings.dir),
                 server.databases.all().size());
    tell_service_manager("READY=1\nSTATUS=serving on " + list_of(network.addresses()));
    network.run();
    tell_service_manager("STOPPING=1\nSTATUS=closing the stores");
    http.reset();
    spdlog::info("stopped accepting and answering clients; closing the stores checkpoints={}", save.load());
    if (!save) {
      // Their logs have everything: they are left as if the process had been killed.
      spdlog::shutdown();
      std::_Exit(kExitOk);
    }
    server.databases.close();
    spdlog::info("stopped");
  } catch (const server::SettingError& error) {
    throw UsageError(error.what());
  } catch (const Error& error) {
    spdlog::error("failed reason=\"{}\"", server::log_text(error.what()));
    throw;
  }
  spdlog::shutdown();
  return {};
}

}  // namespace

void add_serve_command(CLI::App& app, Invocation& invocation) {
  CLI::App* command = app.add_subcommand("serve", "Serve stores to Redis clients");
  command->group("Serving");
  command->footer(kServeFooter);
  const auto options = std::make_shared<ServeOptions>();
  command->add_option("--config", options->config, "Read settings from this file (default: CUBBY_CONFIG)")->type_name("FILE");
  for (const server::Setting& setting : server::all_settings()) {
    std::string name = "--" + std::string(setting.name);
    // As those write it who don't know Redis.
    if (setting.name == "maxmemory") name += ",--max-memory";
    if (setting.name == "maxclients") name += ",--max-clients";
    std::string help(setting.help);
    const std::string default_value = setting.get(Settings{});
    if (!default_value.empty()) help += " (default: " + default_value + ")";
    command->add_option(name, options->flags[std::string(setting.name)], help)
        ->type_name(std::string(setting.value_name))
        ->group(std::string(setting.group))
        ->expected(1)
        ->allow_extra_args(false)  // or [a,b] is a list: passwords are as they are
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  command->callback([&invocation, options] { invocation.action = [options] { return serve(*options); }; });
}

}  // namespace cubby::cli
