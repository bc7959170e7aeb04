// SPDX-License-Identifier: Apache-2.0
// How much the chat does, on cubby and on the design that cubby replaces: docs/chat.md has the results.
#include <sys/resource.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "load/report.hpp"
#include "load/server_process.hpp"

namespace {

using namespace chat;
using namespace chat::load;

constexpr std::string_view kUsage = R"(usage: cubby_chat_load [option...]

  --rounds=N         of all that is measured (3)
  --workers=N        threads that call the handler; 0: not measured (1000)
  --connections=N    WebSockets; 0: not measured (1000)
  --seconds=N        that a run of the handler takes (4); a step of the ramp over WebSockets takes half of it
  --sessions=N       of people who aren't there (20000)
  --mix=M            everyday or writes (both)
  --store=S          cubby, "in memory" or replaced (all)
  --report=FILE      puts the tables into this Markdown file, and the plot into a folder of its name
)";

struct Arguments {
  int rounds = 3;
  int workers = 1000;
  int connections = 1000;
  int seconds = 4;
  int sessions = 20'000;
  std::vector<Mix> mixes{Mix::everyday, Mix::writes};
  std::vector<std::string> stores{"cubby", "in memory", "replaced"};
  std::filesystem::path report;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string argument(argv[i]);
    const std::size_t equals = std::min(argument.find('='), argument.size());
    const std::string name = argument.substr(0, equals);
    const std::string value = equals < argument.size() ? argument.substr(equals + 1) : "";
    if (name == "--rounds") {
      arguments.rounds = std::stoi(value);
    } else if (name == "--workers") {
      arguments.workers = std::stoi(value);
    } else if (name == "--connections") {
      arguments.connections = std::stoi(value);
    } else if (name == "--seconds") {
      arguments.seconds = std::stoi(value);
    } else if (name == "--sessions") {
      arguments.sessions = std::stoi(value);
    } else if (name == "--mix" && (value == "everyday" || value == "writes")) {
      arguments.mixes = {value == "everyday" ? Mix::everyday : Mix::writes};
    } else if (name == "--store" && (value == "cubby" || value == "in memory" || value == "replaced")) {
      arguments.stores = {value};
    } else if (name == "--report") {
      arguments.report = value;
    } else {
      throw std::runtime_error("unknown: " + argument + "\n\n" + std::string(kUsage));
    }
  }
  return arguments;
}

/// A folder that is gone with this.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "cubby-chat-load-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path path;
};

Rates measure_workers(const Arguments& arguments, Mix mix, const std::string& kind) {
  const Folder folder;
  Settings settings;
  if (kind == "cubby") settings.directory = folder.path / "data";
  settings.inbox = 100;  // soon full, so that pushing costs the same all the time
  const auto store = kind == "replaced" ? make_replaced_store(settings) : open_cubby_store(settings);
  for (int i = 0; i < arguments.sessions; ++i) {
    const std::string name = "idle " + std::to_string(i);
    store->sign_in("token of " + name, name, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", 0);
  }
  return run_workers(*store, mix, arguments.workers, std::chrono::seconds(arguments.seconds),
                     std::string(name_of(mix)) + ", handler: " + kind);
}

Rates measure_connections(const Arguments& arguments, Mix mix, const std::string& kind) {
  const Folder folder;
  const ServerProcess server(kind, folder.path / "data");
  return run_connections(server.port(), server.id(), mix, arguments.connections,
                         std::chrono::milliseconds(500) * arguments.seconds,
                         std::string(name_of(mix)) + ", WebSockets: " + kind);
}

void run(const Arguments& arguments) {
  Measured measured;
  measured.workers = arguments.workers;
  measured.connections = arguments.connections;
  measured.seconds = arguments.seconds;
  for (int round = 0; round < arguments.rounds; ++round) {
    for (const Mix mix : arguments.mixes) {
      for (const std::string& kind : arguments.stores) {
        if (arguments.workers != 0) measured.rounds[{false, mix, kind}].push_back(measure_workers(arguments, mix, kind));
      }
      for (const std::string& kind : arguments.stores) {
        if (kind == "in memory") continue;
        if (arguments.connections != 0) measured.rounds[{true, mix, kind}].push_back(measure_connections(arguments, mix, kind));
      }
    }
  }
  const std::string text = tables(measured);
  if (arguments.report.empty()) {
    std::cout << text;
    return;
  }
  const std::string folder = arguments.report.stem();
  write_plot(arguments.report.parent_path() / folder / "load.svg", measured);
  replace_section(arguments.report, text + "\n![Requests a second](" + folder + "/load.svg)\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::cout << kUsage;
    return 0;
  }
  // A connection is a file descriptor; those of the server are raised with ours.
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "\ncubby_chat_load: " << error.what() << '\n';
    return 1;
  }
}
