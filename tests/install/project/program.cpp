// SPDX-License-Identifier: Apache-2.0
// What a program that uses an installed cubby may look like: public headers only, plain C++20.

#include <cubby/cubby.hpp>

#include <cstring>
#include <iostream>
#include <thread>
#include <vector>

int main() {
  using cubby::Value;

  cubby::Datastore store = cubby::open("install");
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&store] {
        for (int i = 0; i < 1000; ++i) store.increment("count");
      });
    }
  }
  bool ok = store.get("count") == Value(4000);

  store.set("text", Value::parse(R"({"a": [1, 2.5, "three"]})"));
  ok = ok && store.get("text")->to_json() == R"({"a":[1,2.5,"three"]})";

  // Exceptions and their codes cross the library's border.
  try {
    store.increment("text");
    ok = false;
  } catch (const cubby::Error& error) {
    ok = ok && error.code() == cubby::Errc::type_mismatch;
  }
  cubby::close("install");

  ok = ok && std::strlen(CUBBY_VERSION) > 0 && cubby::count() == 0;
  std::cout << "cubby " << CUBBY_VERSION << (ok ? " works" : " is broken") << '\n';
  return ok ? 0 : 1;
}
