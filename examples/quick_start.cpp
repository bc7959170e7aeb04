// SPDX-License-Identifier: Apache-2.0
// Quick start: open a store, keep some values in it, let one expire, and find everything again after a restart.

#include <cubby/cubby.hpp>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>

using namespace std::chrono_literals;
using cubby::Value;

namespace {

void use(const cubby::Options& options) {
  // A name opens a store; the same name is the same store, anywhere in the process and from any thread.
  cubby::Datastore store = cubby::open("quick_start", options);

  // Values are null, booleans, integers, reals, strings, binary, arrays and objects.
  store.set("user:1", Value::object({{"name", "Ada"}, {"languages", Value::array({"en", "fr"})}}));
  store.set("user:2", Value::parse(R"({"name": "Grace", "visits": 7})"));

  // get gives the value, which is immutable and cheap to copy; an absent key gives an empty optional.
  if (auto ada = store.get("user:1")) std::cout << (*ada)["name"].as_string() << " speaks " << (*ada)["languages"] << '\n';
  if (!store.get("user:3")) std::cout << "there is no user:3\n";

  // Each operation on a key is atomic, so threads can count, merge and queue without a lock of their own.
  std::cout << "visitors: " << store.increment("visitors") << ", then " << store.increment("visitors", 9) << '\n';
  std::cout << "merged: " << store.update("user:2", Value::object({{"visits", 8}, {"admin", true}})) << '\n';
  std::cout << "queued: " << store.push("inbox", "hello") << " message\n";

  // A key can be given a time to live.
  store.set("token", "secret", 5min);
  std::cout << "the token has a deadline: " << std::boolalpha << store.ttl("token").has_value() << '\n';

  // What goes wrong throws cubby::Error; its code tells one thing from another.
  try {
    store.increment("user:1");
  } catch (const cubby::Error& error) {
    std::cout << "expected: " << error.what() << '\n';
    if (error.code() != cubby::Errc::type_mismatch) throw;
  }
}

bool survived(const cubby::Options& options) {
  const cubby::Datastore store = cubby::open("quick_start", options);
  std::cout << "after the restart: " << store.size() << " keys, visitors = " << store.get("visitors").value() << '\n';
  return store.size() == 5 && store.get("visitors") == Value(10) && store.ttl("token") > 4min;
}

}  // namespace

int main() {
  cubby::Options options;
  options.persist = std::filesystem::temp_directory_path() / ("cubby_quick_start_" + std::to_string(std::random_device{}()));

  use(options);
  cubby::close("quick_start");  // saves; process exit does the same
  const bool ok = survived(options);

  cubby::close("quick_start");
  std::filesystem::remove(options.persist);
  return ok ? 0 : 1;
}
