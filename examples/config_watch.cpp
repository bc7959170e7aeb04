// SPDX-License-Identifier: Apache-2.0
// Configuration watch: parts of a program sleep until the configuration that concerns them changes, and then apply it.

#include <cubby/cubby.hpp>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <thread>

using namespace std::chrono_literals;
using cubby::Value;

int main() {
  cubby::Datastore config = cubby::open("config");
  config.set("logging", Value::object({{"level", "info"}, {"version", 1}}));

  // The watcher applies what it finds, says so, and sleeps until there is something newer. wait_for looks at the value that is
  // there first, so a change between two waits is not missed; of several changes it may see only the last, which is what counts
  // here.
  std::jthread logger([config]() mutable {
    std::int64_t applied = 0;
    for (;;) {
      const Value now = config.wait_for(
          "logging", [applied](const Value& value) { return value["version"].as_int() > applied; }, std::nullopt);
      applied = now["version"].as_int();
      if (now.contains("stop")) return;
      config.set("applied", now["level"]);
    }
  });

  // wait with a value returns once the key equals it, at whatever instant. Every wait has a timeout: here ten seconds.
  config.wait("applied", "info", 10s);
  std::cout << "the logger runs at info\n";

  // update merges its argument into the object, atomically; other members stay.
  config.update("logging", Value::object({{"level", "debug"}, {"version", 2}}));
  config.wait("applied", "debug", 10s);
  std::cout << "the logger followed to debug\n";

  // modify is a read-modify-write of any kind; it runs exactly once.
  config.modify("logging", [](std::optional<Value> old) -> std::optional<Value> {
    const std::int64_t version = old ? (*old)["version"].as_int() : 0;
    return Value::object({{"level", "warning"}, {"version", version + 1}});
  });
  config.wait("applied", "warning", 10s);
  std::cout << "the logger followed to warning\n";

  config.update("logging", Value::object({{"stop", true}, {"version", 4}}));
  logger.join();

  // Nothing more will come, so a wait runs into its timeout.
  try {
    config.wait("applied", 20ms);
  } catch (const cubby::Error& error) {
    std::cout << "expected: " << error.what() << '\n';
    return error.code() == cubby::Errc::timeout ? 0 : 1;
  }
  return 1;
}
