// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cubby::server {

class Client;

/// Who listens to which channels and patterns.
///
/// Thread safety: all members, from any thread. A message reaches each subscriber in the order in which one thread published.
class PubSub {
 public:
  void subscribe(const std::shared_ptr<Client>& client, std::string_view channel);
  void unsubscribe(const Client& client, std::string_view channel);
  void subscribe_pattern(const std::shared_ptr<Client>& client, std::string_view pattern);
  void unsubscribe_pattern(const Client& client, std::string_view pattern);

  /// To how many it went: a client counts once for the channel and once for each matching pattern.
  std::size_t publish(std::string_view channel, std::string_view message);
  /// False: publishing reaches nobody.
  bool anybody() const noexcept { return subscriptions_.load(std::memory_order_relaxed) != 0; }

  /// Channels with subscribers that match.
  std::vector<std::string> channels(std::optional<std::string_view> pattern) const;
  std::size_t subscribers(std::string_view channel) const;
  std::size_t patterns() const;

 private:
  struct Subscriber {
    std::shared_ptr<Client> client;
    int protocol;
  };
  using Subscribers = std::map<std::uint64_t, std::weak_ptr<Client>>;

  mutable std::mutex mutex_;
  std::atomic<std::size_t> subscriptions_{0};
  std::map<std::string, Subscribers, std::less<>> channels_;
  std::map<std::string, Subscribers, std::less<>> patterns_;
};

}  // namespace cubby::server
