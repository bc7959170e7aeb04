// SPDX-License-Identifier: Apache-2.0
#include "server/hub.hpp"

namespace chat {

void Hub::subscribe(const std::string& topic, Peer& peer) {
  Part& here = part(topic);
  const std::unique_lock lock(here.mutex);
  here.topics[topic].push_back(&peer);
}

bool Hub::unsubscribe(const std::string& topic, Peer& peer) {
  Part& here = part(topic);
  const std::unique_lock lock(here.mutex);
  const auto found = here.topics.find(topic);
  if (found == here.topics.end()) return true;
  std::erase(found->second, &peer);
  if (!found->second.empty()) return false;
  here.topics.erase(found);
  return true;
}

bool Hub::has(const std::string& topic) const {
  const Part& here = part(topic);
  const std::shared_lock lock(here.mutex);
  return here.topics.contains(topic);
}

void Hub::publish(const std::string& topic, const Text& text) const {
  const Part& here = part(topic);
  const std::shared_lock lock(here.mutex);
  const auto found = here.topics.find(topic);
  if (found == here.topics.end()) return;
  for (Peer* peer : found->second) peer->send(text);
}

}  // namespace chat
