// SPDX-License-Identifier: Apache-2.0
#include "server/server_health.hpp"

#include "server/server.hpp"

namespace cubby::server {

std::string server_health(const Server& server) {
  const auto stores = server.databases.all();
  if (stores.empty()) return "the stores are closed";
  std::string text;
  const auto add = [&](const std::string& store, const char* what, const std::string& why) {
    if (why.empty()) return;
    if (!text.empty()) text += "\n";
    text.append("store ").append(store).append(what).append(why);
  };
  for (const auto& [name, store] : stores) {
    const Stats stats = store.stats();
    add(name, " can't be written: ", stats.write_error);
    add(name, " couldn't be saved: ", stats.last_save_error);
  }
  return text;
}

}  // namespace cubby::server
