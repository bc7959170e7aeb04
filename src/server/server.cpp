// SPDX-License-Identifier: Apache-2.0
#include "server/server.hpp"

#include <random>
#include <utility>

#include "server/client.hpp"
#include "server/open_files.hpp"

namespace cubby::server {

namespace {

/// 40 hexadecimal digits that no other run has.
std::string new_run_id() {
  std::random_device random;
  std::string id;
  while (id.size() < 40) id += "0123456789abcdef"[random() % 16];
  return id;
}

/// To ask clients for touched watches costs more than the memory below that is worth.
constexpr std::size_t kMuchWatched = std::size_t{4} << 20;

/// The classes of keyspace notifications as bits of a word: those of events, by their letter.
constexpr std::string_view kEventKinds = "g$lshzxetmdn";
constexpr std::uint32_t kKeyspaceChannel = 1U << 30;
constexpr std::uint32_t kKeyeventChannel = 1U << 31;

constexpr std::uint32_t bit_of(char kind) noexcept {
  const std::size_t place = kEventKinds.find(kind);
  return place == std::string_view::npos ? 0 : 1U << place;
}

std::uint32_t notification_bits(std::string_view letters) noexcept {
  std::uint32_t bits = 0;
  for (const char letter : letters) {
    if (letter == 'K') {
      bits |= kKeyspaceChannel;
    } else if (letter == 'E') {
      bits |= kKeyeventChannel;
    } else if (letter == 'A') {
      // Redis's alias: all but key misses and new keys.
      for (const char kind : std::string_view("g$lshzxetd")) bits |= bit_of(kind);
    } else {
      bits |= bit_of(letter);
    }
  }
  // Without a kind of channel there is nobody to tell.
  return (bits & (kKeyspaceChannel | kKeyeventChannel)) != 0 ? bits : 0;
}

}  // namespace

Server::Server(Settings settings) : run_id(new_run_id()), databases(settings), users(settings), settings_(std::move(settings)) {
  begin();
}

Server::Server(Settings settings, std::map<std::string, Datastore> given)
    : run_id(new_run_id()), databases(std::move(given)), users(settings), settings_(std::move(settings)) {
  begin();
}

void Server::begin() {
  apply(settings_);
  databases.on_open([this](const std::string& store_name, Datastore& store) {
    store.on_expired([this, store_name](std::string_view key) {
      Events events(notifications() != 0);
      events.add('x', "expired", key);
      notify(store_name, events);
    });
  });
  refresh_memory();
}

Server::~Server() {
  // Expired keys are told to subscribers, who go before the stores.
  databases.close_quietly();
}

Settings Server::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

void Server::change(std::span<const std::pair<std::string, std::string>> changes) {
  const std::lock_guard lock(mutex_);
  Settings changed = settings_;
  for (const auto& [name, value] : changes) changed.set(name, std::array{value});
  changed.check();
  if (changed.maxclients > settings_.maxclients) {
    const std::size_t room = make_room_for_clients(changed.maxclients);
    if (room < changed.maxclients) {
      throw SettingError("maxclients: the system is not able to handle so many clients, try with " + std::to_string(room));
    }
  }
  const bool new_password = changed.requirepass != settings_.requirepass;
  settings_ = std::move(changed);
  if (new_password) users.set_default_password(settings_.requirepass);
  apply(settings_);
}

void Server::apply(const Settings& settings) {
  maxmemory_.store(settings.maxmemory, std::memory_order_relaxed);
  slow_after_us_.store(settings.slowlog_log_slower_than, std::memory_order_relaxed);
  notifications_.store(notification_bits(settings.notify_keyspace_events), std::memory_order_relaxed);
  slow_log.limit(settings.slowlog_max_len);
  databases.limit(settings.max_stores);
  if (on_change) on_change(settings);
}

void Server::refresh_memory() {
  std::size_t bytes = 0;
  for (const auto& [name, store] : databases.all()) bytes += store.stats().bytes;
  bytes += client_memory.load(std::memory_order_relaxed);
  if (watched_memory.load(std::memory_order_relaxed) > kMuchWatched) {
    for (const std::shared_ptr<Client>& client : clients.all()) {
      if (client->watches.held_bytes() == 0) continue;
      client->post([weak = std::weak_ptr<Client>(client)] {
        if (const auto strong = weak.lock()) strong->watches.give_up_touched();
      });
    }
  }
  used_memory.store(bytes, std::memory_order_relaxed);
}

void Server::notify(std::string_view store_name, const Events& events) {
  if (!pubsub.anybody()) return;
  const std::uint32_t bits = notifications();
  // Redis names databases by their number; other stores have their name.
  const auto number = Databases::number_of(store_name);
  const std::string database = number ? std::to_string(*number) : std::string(store_name);
  for (const Events::Event& event : events.all()) {
    if (event.kind == Events::kPublished) {
      pubsub.publish(event.key, event.message);
      continue;
    }
    if ((bits & bit_of(event.kind)) == 0) continue;
    if ((bits & kKeyspaceChannel) != 0) pubsub.publish("__keyspace@" + database + "__:" + event.key, event.name);
    if ((bits & kKeyeventChannel) != 0) pubsub.publish("__keyevent@" + database + "__:" + std::string(event.name), event.key);
  }
}

void Server::request_shutdown(bool save) {
  if (on_shutdown) on_shutdown(save);
}

}  // namespace cubby::server
