// SPDX-License-Identifier: Apache-2.0
// Session cache: each request reads its session in place and keeps it alive; sessions that nobody uses expire.

#include <cubby/cubby.hpp>

#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using cubby::Value;

namespace {

cubby::Options session_options() {
  cubby::Options options;
  options.default_ttl = 30min;  // what expire(key) gives
  return options;
}

/// One request: who is it? Empty if the session is unknown or has expired.
std::optional<std::string> authenticate(cubby::Datastore& sessions, std::string_view id) {
  std::string user;
  // visit reads the value where it lies: no copy, and nothing that other threads share is written.
  const bool found = sessions.visit(id, [&user](const Value& session) { user = session["user"].as_string(); });
  if (!found) return std::nullopt;
  try {
    sessions.expire(id);  // the session lives another half hour from now
  } catch (const cubby::Error& error) {
    if (error.code() != cubby::Errc::key_not_found) throw;
    return std::nullopt;  // it expired, or was ended, between the two calls
  }
  return user;
}

}  // namespace

int main() {
  cubby::Datastore sessions = cubby::open("sessions", session_options());

  for (int i = 0; i < 1000; ++i) {
    const Value session = Value::object({{"user", "user" + std::to_string(i)}, {"requests", 0}});
    sessions.set("session:" + std::to_string(i), session, 30min);
  }

  // Four threads serve requests. A profile change merges into the session and keeps its deadline.
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&sessions] {
      for (int i = 0; i < 1000; ++i) {
        const std::string id = "session:" + std::to_string(i);
        if (!authenticate(sessions, id)) std::abort();
        if (i % 10 == 0) sessions.update(id, Value::object({{"theme", "dark"}}));
      }
    });
  }
  threads.clear();  // joins them

  const std::size_t dark = sessions.count([](std::string_view, const Value& session) { return session["theme"] == "dark"; });
  std::cout << sessions.size() << " sessions, " << dark << " of them dark\n";

  // Logging out ends one session; an idle one ends by itself.
  sessions.erase("session:1");
  sessions.expire("session:2", 20ms);
  while (sessions.exists("session:2")) std::this_thread::sleep_for(5ms);
  std::cout << "gone: " << !authenticate(sessions, "session:1") << " and " << !authenticate(sessions, "session:2") << '\n';

  const cubby::Stats stats = sessions.stats();
  std::cout << stats.reads << " reads, " << stats.writes << " writes, " << stats.expired << " expired\n";

  const bool ok = dark == 100 && !authenticate(sessions, "session:1") && !authenticate(sessions, "session:2") &&
                  authenticate(sessions, "session:3") == "user3" && sessions.ttl("session:3") > 29min;
  return ok ? 0 : 1;
}
