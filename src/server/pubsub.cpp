// SPDX-License-Identifier: Apache-2.0
#include "server/pubsub.hpp"

#include <utility>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/reply.hpp"

namespace cubby::server {
namespace {

/// A message as its subscribers get it: encoded once for each protocol that somebody speaks.
class Encoded {
 public:
  Encoded(std::optional<std::string_view> pattern, std::string_view channel, std::string_view message)
      : pattern_(pattern), channel_(channel), message_(message) {}

  const std::shared_ptr<const std::string>& in(int protocol) {
    auto& text = texts_[protocol == 2 ? 0 : 1];
    if (text == nullptr) {
      ByteBuffer bytes;
      Reply reply(bytes, protocol);
      reply.push(pattern_ ? 4 : 3);
      reply.bulk(pattern_ ? "pmessage" : "message");
      if (pattern_) reply.bulk(*pattern_);
      reply.bulk(channel_);
      reply.bulk(message_);
      text = std::make_shared<const std::string>(bytes.view());
    }
    return text;
  }

 private:
  std::optional<std::string_view> pattern_;
  std::string_view channel_, message_;
  std::shared_ptr<const std::string> texts_[2];
};

/// As Redis has it: no pattern but the empty one is for the channel without a name.
bool is_heard_by(std::string_view channel, std::string_view pattern) noexcept {
  return channel.empty() ? pattern.empty() : matches(pattern, channel);
}

}  // namespace

const PubSub::Snapshot& PubSub::Audience::now() {
  if (snapshot == nullptr) {
    auto made = std::make_shared<std::vector<Subscriber>>();
    made->reserve(subscribers.size());
    for (const auto& [id, subscriber] : subscribers) made->push_back(subscriber);
    snapshot = std::move(made);
  }
  return snapshot;
}

void PubSub::add(Audiences& audiences, const std::shared_ptr<Client>& client, std::string_view name) {
  const std::lock_guard lock(mutex_);
  auto found = audiences.find(name);
  if (found == audiences.end()) found = audiences.emplace(std::string(name), Audience()).first;
  Audience& audience = found->second;
  if (!audience.subscribers.try_emplace(client->id(), Subscriber{client, client->protocol}).second) return;
  audience.snapshot = nullptr;
  subscriptions_.fetch_add(1, std::memory_order_relaxed);
}

void PubSub::remove(Audiences& audiences, const Client& client, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = audiences.find(name);
  if (found == audiences.end() || found->second.subscribers.erase(client.id()) == 0) return;
  found->second.snapshot = nullptr;
  if (found->second.subscribers.empty()) audiences.erase(found);
  subscriptions_.fetch_sub(1, std::memory_order_relaxed);
}

void PubSub::subscribe(const std::shared_ptr<Client>& client, std::string_view channel) { add(channels_, client, channel); }
void PubSub::unsubscribe(const Client& client, std::string_view channel) { remove(channels_, client, channel); }
void PubSub::subscribe_pattern(const std::shared_ptr<Client>& client, std::string_view pattern) {
  add(patterns_, client, pattern);
}
void PubSub::unsubscribe_pattern(const Client& client, std::string_view pattern) { remove(patterns_, client, pattern); }

void PubSub::change_protocol(const Client& client) {
  const std::lock_guard lock(mutex_);
  const auto change = [&](Audiences& audiences, const auto& names) {
    for (const std::string& name : names) {
      const auto audience = audiences.find(name);
      if (audience == audiences.end()) continue;
      const auto subscriber = audience->second.subscribers.find(client.id());
      if (subscriber == audience->second.subscribers.end()) continue;
      subscriber->second.protocol = client.protocol;
      audience->second.snapshot = nullptr;
    }
  };
  change(channels_, client.channels);
  change(patterns_, client.patterns);
}

std::size_t PubSub::publish(std::string_view channel, std::string_view message, const Client* publisher, ByteBuffer* replies) {
  if (!anybody()) return 0;
  Snapshot listeners;
  std::vector<std::pair<std::string, Snapshot>> by_pattern;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = channels_.find(channel); found != channels_.end()) listeners = found->second.now();
    for (auto& [pattern, audience] : patterns_) {
      if (is_heard_by(channel, pattern)) by_pattern.emplace_back(pattern, audience.now());
    }
  }
  std::size_t reached = 0;
  const auto deliver = [&](const Snapshot& audience, Encoded encoded) {
    for (const Subscriber& subscriber : *audience) {
      const std::shared_ptr<Client> client = subscriber.client.lock();
      if (client == nullptr) continue;
      const auto& text = encoded.in(subscriber.protocol);
      // Replies that the client has switched off swallow no messages.
      if (client.get() == publisher && replies != nullptr && publisher->reply_mode == Client::ReplyMode::on) {
        replies->append(*text);
      } else {
        client->deliver(text);
      }
      ++reached;
    }
  };
  if (listeners != nullptr) deliver(listeners, Encoded(std::nullopt, channel, message));
  for (const auto& [pattern, audience] : by_pattern) deliver(audience, Encoded(pattern, channel, message));
  return reached;
}

std::size_t PubSub::listeners(std::string_view channel) const {
  std::size_t count = subscribers(channel);
  const std::lock_guard lock(mutex_);
  for (const auto& [pattern, audience] : patterns_) {
    if (is_heard_by(channel, pattern)) count += audience.subscribers.size();
  }
  return count;
}

std::vector<std::string> PubSub::channels(std::optional<std::string_view> pattern) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, audience] : channels_) {
    if (!pattern || is_heard_by(name, *pattern)) names.push_back(name);
  }
  return names;
}

std::size_t PubSub::subscribers(std::string_view channel) const {
  const std::lock_guard lock(mutex_);
  const auto found = channels_.find(channel);
  return found == channels_.end() ? 0 : found->second.subscribers.size();
}

std::size_t PubSub::patterns() const {
  const std::lock_guard lock(mutex_);
  return patterns_.size();
}

}  // namespace cubby::server
