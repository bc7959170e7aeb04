// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace cubby::server {

class Client;

/// Everybody who is connected.
///
/// Thread safety: all members, from any thread.
class ClientList {
 public:
  std::uint64_t next_id() noexcept { return next_id_.fetch_add(1, std::memory_order_relaxed); }
  void add(const std::shared_ptr<Client>& client);
  void remove(std::uint64_t id);
  std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  /// In the order in which they came.
  std::vector<std::shared_ptr<Client>> all() const;
  std::shared_ptr<Client> find(std::uint64_t id) const;

 private:
  std::atomic<std::uint64_t> next_id_{1};
  std::atomic<std::size_t> size_{0};
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::weak_ptr<Client>> clients_;
};

}  // namespace cubby::server
