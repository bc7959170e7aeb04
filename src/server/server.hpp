// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "server/client_list.hpp"
#include "server/databases.hpp"
#include "server/figures.hpp"
#include "server/pubsub.hpp"
#include "server/settings.hpp"
#include "server/slow_log.hpp"
#include "server/users.hpp"

namespace cubby::server {

/// What all clients of a server share. The network (network.hpp) brings it clients; commands find everything else here.
///
/// Thread safety: all members, from any thread.
class Server {
 public:
  /// Opens the stores. Throws cubby::Error, SettingError.
  explicit Server(Settings settings);
  /// Serves these stores, `db0` among them, and no other; they stay open when this object goes.
  Server(Settings settings, std::map<std::string, Datastore> given);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// As they are now; a copy.
  Settings settings() const;
  /// As CONFIG SET: all of them, or, if one of them throws SettingError, none.
  void change(std::span<const std::pair<std::string, std::string>> settings);

  // What is asked for at each command, of the settings.
  std::size_t maxmemory() const noexcept { return maxmemory_.load(std::memory_order_relaxed); }
  std::int64_t slow_after_us() const noexcept { return slow_after_us_.load(std::memory_order_relaxed); }
  /// The classes of notify-keyspace-events, as bits; 0: nobody is to be told.
  std::uint32_t notifications() const noexcept { return notifications_.load(std::memory_order_relaxed); }
  bool needs_password() const noexcept { return users.needs_password(); }

  /// Whether a write has to be refused, as memory is full. Looks at figures that the network refreshes ten times a second.
  bool memory_full() const noexcept {
    const std::size_t most = maxmemory();
    return most != 0 && used_memory.load(std::memory_order_relaxed) > most;
  }
  std::atomic<std::size_t> used_memory{0};
  /// Of clients, as far as it may grow: queued commands, what they watch, and their buffers, as facts() knows them.
  std::atomic<std::size_t> client_memory{0};
  /// Of the values that WATCH keeps, which the stores may have replaced.
  std::atomic<std::size_t> watched_memory{0};
  /// Looks at stores and clients anew. If WATCH keeps much, clients give up what has been touched, soon.
  void refresh_memory();

  /// Tells subscribers what has happened in a store ("db0").
  void notify(std::string_view store_name, const Events& events);

  /// Asks the program to end, as SIGTERM does. `save`: with checkpoints.
  void request_shutdown(bool save);
  std::function<void(bool save)> on_shutdown;
  /// Called with the settings as CONFIG SET has left them, by the thread that did. To be set before there are clients.
  std::function<void(const Settings&)> on_change;

  const std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
  const std::string run_id;

  Databases databases;
  Users users;
  ClientList clients;
  PubSub pubsub;
  Figures figures;
  SlowLog slow_log;

 private:
  void begin();
  void apply(const Settings& settings);

  mutable std::mutex mutex_;
  Settings settings_;
  std::atomic<std::size_t> maxmemory_{0};
  std::atomic<std::int64_t> slow_after_us_{10'000};
  std::atomic<std::uint32_t> notifications_{0};
};

}  // namespace cubby::server
