// SPDX-License-Identifier: Apache-2.0
#include "server/client_list.hpp"

#include <algorithm>

#include "server/client.hpp"

namespace cubby::server {

void ClientList::add(const std::shared_ptr<Client>& client) {
  const std::lock_guard lock(mutex_);
  clients_.insert_or_assign(client->id(), client);
  size_.store(clients_.size(), std::memory_order_relaxed);
}

void ClientList::remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  clients_.erase(id);
  size_.store(clients_.size(), std::memory_order_relaxed);
}

std::vector<std::shared_ptr<Client>> ClientList::all() const {
  std::vector<std::shared_ptr<Client>> clients;
  {
    const std::lock_guard lock(mutex_);
    clients.reserve(clients_.size());
    for (const auto& [id, client] : clients_) {
      if (std::shared_ptr<Client> alive = client.lock()) clients.push_back(std::move(alive));
    }
  }
  std::ranges::sort(clients, {}, [](const std::shared_ptr<Client>& client) { return client->id(); });
  return clients;
}

std::shared_ptr<Client> ClientList::find(std::uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second.lock();
}

}  // namespace cubby::server
