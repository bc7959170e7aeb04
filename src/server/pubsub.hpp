// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/byte_buffer.hpp"

namespace cubby::server {

class Client;

/// Who listens to which channels and patterns.
///
/// Thread safety: all members, from any thread. A message reaches each subscriber in the order in which one thread published.
class PubSub {
 public:
  // Each of them does nothing if it is so already.
  void subscribe(const std::shared_ptr<Client>& client, std::string_view channel);
  void unsubscribe(const Client& client, std::string_view channel);
  void subscribe_pattern(const std::shared_ptr<Client>& client, std::string_view pattern);
  void unsubscribe_pattern(const Client& client, std::string_view pattern);
  /// Messages go to the client in its new protocol. On its own thread.
  void change_protocol(const Client& client);

  /// To how many it went: a client counts once for the channel and once for each matching pattern. What goes to the `publisher`
  /// itself is appended to `replies`, so that it has it before the reply, as with Redis.
  std::size_t publish(std::string_view channel, std::string_view message, const Client* publisher = nullptr,
                      ByteBuffer* replies = nullptr);
  /// To how many a message would go now.
  std::size_t listeners(std::string_view channel) const;
  /// False: publishing reaches nobody.
  bool anybody() const noexcept { return subscriptions_.load(std::memory_order_relaxed) != 0; }

  /// Channels with subscribers that match, by name.
  std::vector<std::string> channels(std::optional<std::string_view> pattern) const;
  std::size_t subscribers(std::string_view channel) const;
  /// Different ones.
  std::size_t patterns() const;

 private:
  struct Subscriber {
    std::weak_ptr<Client> client;
    int protocol;
  };
  using Snapshot = std::shared_ptr<const std::vector<Subscriber>>;
  /// Those of one channel or pattern, by their ids. Publishers take a snapshot, which is made again after a change, so that
  /// delivering, which may cut off a client and come back here, holds no lock.
  struct Audience {
    std::map<std::uint64_t, Subscriber> subscribers;
    Snapshot snapshot;

    const Snapshot& now();
  };
  using Audiences = std::map<std::string, Audience, std::less<>>;

  void add(Audiences& audiences, const std::shared_ptr<Client>& client, std::string_view name);
  void remove(Audiences& audiences, const Client& client, std::string_view name);

  mutable std::mutex mutex_;
  std::atomic<std::size_t> subscriptions_{0};
  Audiences channels_;
  Audiences patterns_;
};

}  // namespace cubby::server
