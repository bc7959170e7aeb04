// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace chat {

/// A text on its way to many clients: made once, shared by all of them.
using Text = std::shared_ptr<const std::string>;

/// One client's connection, as the message handler sees it.
class Peer {
 public:
  Peer() = default;
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  virtual ~Peer() = default;

  /// Thread safety: may be called from any thread. Doesn't wait for the client.
  virtual void send(const Text& text) = 0;

  // The handler's notes; only it touches them, with one message of a peer at a time.
  std::string token;  // empty: not signed in
  std::string name;
  std::set<std::string> topics;
};

/// Who is connected here and wants to hear of what. Nothing of this is worth keeping: connections end with the process.
/// Thread safety: all members may be called from any thread. A peer must be taken out of all topics before it goes.
class Hub {
 public:
  void subscribe(const std::string& topic, Peer& peer);
  /// True if nobody is left in the topic.
  bool unsubscribe(const std::string& topic, Peer& peer);
  bool has(const std::string& topic) const;
  /// Sends the text to everybody who has subscribed.
  void publish(const std::string& topic, const Text& text) const;

  static std::string room_topic(std::string_view room) { return "room:" + std::string(room); }
  static std::string person_topic(std::string_view name) { return "person:" + std::string(name); }
  static inline const std::string kAll = "all";

 private:
  struct alignas(64) Part {
    mutable std::shared_mutex mutex;
    std::unordered_map<std::string, std::vector<Peer*>> topics;
  };
  const Part& part(const std::string& topic) const { return parts_[std::hash<std::string>()(topic) % parts_.size()]; }
  Part& part(const std::string& topic) { return parts_[std::hash<std::string>()(topic) % parts_.size()]; }

  std::array<Part, 64> parts_;  // so that rooms don't wait for each other
};

}  // namespace chat
