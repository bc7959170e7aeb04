// SPDX-License-Identifier: Apache-2.0
// Opening a store from its checkpoint, against redis-server loading the same data from its file.
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "durable.hpp"
#include "redis_server.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kStore = "opened";

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

cubby::Options options_for(const std::filesystem::path& folder) {
  cubby::Options options;
  options.directory = folder;
  return options;
}

void make_store(const std::filesystem::path& folder, std::size_t sessions) {
  cubby::Datastore store = cubby::open(kStore, options_for(folder));
  for (std::size_t i = 0; i < sessions; ++i) store.set(make_key(i), DurableData::make(i));
  cubby::close(kStore);
}

constexpr const char* kCompressed = "compressed.rdb";
constexpr const char* kPlain = "plain.rdb";

/// The file as redis-server writes it by default, and one that it need not decompress: which it loads faster is open.
void make_redis_files(const std::filesystem::path& folder, std::size_t sessions) {
  {
    RedisServer server(folder, kCompressed);
    server.set_all(sessions, make_key, DurableData::make_text);
    server.command({"SAVE"});
  }
  std::filesystem::copy_file(folder / kCompressed, folder / kPlain);
  RedisServer server(folder, kPlain);
  server.command({"CONFIG", "SET", "rdbcompression", "no"});
  server.command({"SAVE"});
}

}  // namespace

void run_durable_opening(DurableRun& run) {
  const std::size_t sessions = run.durable.sessions;
  const std::filesystem::path store = run.folder() / "opening";
  const std::filesystem::path redis = run.folder() / "redis";
  std::vector<DurableRun::Part> parts;
  const Series cubby{kOpening, sessions, 1, kDurable};
  parts.push_back({cubby, [=](const DurableRun::Note& note) {
                     if (!exists(store)) make_store(store, sessions);
                     sync_disk(store);
                     const auto start = Clock::now();
                     const double opening = in_child("durable-open:" + std::to_string(sessions) + ":" + store.string());
                     // The child's end is in it, and so is closing: against the process that answers that errs on its side.
                     note({kAnswering, sessions, 1, kDurable}, seconds_since(start));
                     note(cubby, opening);
                   }});
  if (RedisServer::is_installed()) {
    for (const char* file : {kCompressed, kPlain}) {
      const Series series{kOpening, sessions, 1, file == kCompressed ? "redis-server" : "redis-server, rdbcompression no"};
      parts.push_back({series, [=](const DurableRun::Note& note) {
                         if (!exists(redis)) {
                           create_directory(redis);
                           make_redis_files(redis, sessions);
                         }
                         sync_disk(redis);
                         RedisServer server(redis, file);
                         if (server.command({"DBSIZE"}) != std::to_string(sessions)) {
                           throw std::runtime_error("redis-server did not load all keys");
                         }
                         note(series, server.seconds_to_load());
                         note({kAnswering, sessions, 1, series.store}, server.seconds_to_answer());
                       }});
    }
  } else {
    run.remark("redis-server isn't installed: nothing to compare opening with.");
  }
  run.rounds("durable, opening:", run.options.rounds, std::move(parts));
  std::filesystem::remove_all(store);
  std::filesystem::remove_all(redis);
}

double open_child(const std::string& task) {
  const std::size_t colon = task.find(':');
  const std::size_t sessions = std::stoull(task.substr(0, colon));
  const auto start = Clock::now();
  const cubby::Datastore store = cubby::open(kStore, options_for(task.substr(colon + 1)));
  const double taken = seconds_since(start);
  if (store.size() != sessions || !store.get(make_key(sessions - 1))) throw std::runtime_error("the store lacks keys");
  cubby::close(kStore);
  return taken;
}

}  // namespace bench
