// SPDX-License-Identifier: Apache-2.0
#include "server/handler.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cubby/error.hpp>
#include <system_error>
#include <vector>

#include "server/wire.hpp"

namespace chat {

using cubby::Value;

namespace {

std::int64_t now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// 128 bits that nobody guesses.
std::string new_token() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  std::string token;
  for (const unsigned char byte : bytes) {
    token += "0123456789abcdef"[byte >> 4];
    token += "0123456789abcdef"[byte & 15];
  }
  return token;
}

/// The room that a request is about, or the conversation with the person it names.
struct Place {
  std::string room;
  std::string to;  // conversations only

  Place(const Peer& peer, const Value& request) {
    if (request.contains("to")) {
      to = name_member(request, "to");
      if (to == peer.name) throw Refusal("name", "That's you.");
      room = conversation(peer.name, to);
    } else {
      room = name_member(request, "room");
    }
  }
  /// How the place is called in what goes to the client that asked.
  std::pair<std::string_view, Value> member() const {
    return to.empty() ? std::pair<std::string_view, Value>("room", room) : std::pair<std::string_view, Value>("to", to);
  }
};

constexpr std::string_view kEveryone = "@everyone";

}  // namespace

Handler::Handler(Store& store, Hub& hub) : store_(store), hub_(hub) {
  for (const char* room : {"lobby", "kitchen", "workshop"}) store_.create_room(room);
  store_.on_away([this](const std::string& name) {
    try {
      if (!store_.here({name})[0]) presence(name, false);  // may have come back just now
    } catch (const cubby::Error&) {
      // The store is being closed; nobody is left to be told.
    }
  });
}

Handler::~Handler() { store_.on_away({}); }

void Handler::handle(Peer& peer, std::string_view text, std::string_view agent) {
  Value request;
  // An error tells which message it is about: only then the client gives up sending it.
  const auto refuse = [&](std::string_view code, std::string_view reason) {
    peer.send(event("error", {{"code", code}, {"text", reason}, {"client", request["client"]}, {"n", request["n"]}}));
  };
  try {
    request = Value::parse(text);
    dispatch(peer, request, agent);
  } catch (const Refusal& refusal) {
    refuse(refusal.code(), refusal.what());
  } catch (const cubby::Error& error) {
    if (error.code() == cubby::Errc::parse) return refuse("malformed", "not JSON");
    refuse("later", "The server can't do that now. Try again.");  // a full disk, say
  }
}

void Handler::dispatch(Peer& peer, const Value& request, std::string_view agent) {
  const std::string type = string_member(request, "type");
  if (type == "hello") return hello(peer, request, agent);
  authenticate(peer);
  if (type == "say") return say(peer, request);
  if (type == "typing") return typing(peer, request);
  if (type == "seen") return seen(peer, request);
  if (type == "received") return received(peer, request);
  if (type == "open") return open(peer, request);
  if (type == "leave") return leave(peer, request);
  if (type == "ping") return ping(peer);
  if (type == "prefer") return prefer(peer, request);
  if (type == "sign out") return sign_out(peer);
  throw Refusal("malformed", "no such type of request");
}

/// What each message costs before anything is done: its session is read, and lives on.
void Handler::authenticate(const Peer& peer) {
  const auto name = peer.token.empty() ? std::nullopt : store_.session_name(peer.token);
  if (name != peer.name || !store_.touch_session(peer.token)) throw Refusal("session", "Sign in, please.");
}

/// {"type":"hello","token":...} goes on with a session, {"type":"hello","name":...} begins one.
void Handler::hello(Peer& peer, const Value& request, std::string_view agent) {
  unsubscribe(peer);
  if (request.contains("token")) {
    peer.token = string_member(request, "token");
    peer.name = store_.session_name(peer.token).value_or("");
    authenticate(peer);
  } else {
    const std::string name = name_member(request, "name");
    const std::string token = new_token();
    if (!store_.sign_in(token, name, std::string(agent.substr(0, 200)), now())) {
      throw Refusal("taken", "Somebody is signed in by that name.");
    }
    peer.token = token;
    peer.name = name;
    if (store_.join("lobby", name))
      hub_.publish(Hub::room_topic("lobby"), event("joined", {{"room", "lobby"}, {"name", name}}));
  }
  // First the topics, then the lists: what happens in between comes twice rather than not at all.
  subscribe(peer, Hub::kAll);
  subscribe(peer, Hub::person_topic(peer.name));
  for (const RoomState& state : store_.rooms(peer.name)) {
    if (state.joined && !is_conversation(state.room)) subscribe(peer, Hub::room_topic(state.room));
  }
  peer.send(event("welcome", {{"name", peer.name}, {"token", peer.token}},
                  {{"rooms", list_of_rooms(peer.name)},
                   {"inbox", store_.inbox(peer.name)},
                   {"preferences", store_.preferences(peer.token)}}));
  ping(peer);
}

std::string Handler::list_of_rooms(const std::string& name) {
  std::vector<Value> list;
  for (const RoomState& state : store_.rooms(name)) {
    std::pair<std::string_view, Value> place{"room", state.room};
    if (is_conversation(state.room)) {
      const std::size_t colon = state.room.find(':');
      const std::string first = state.room.substr(1, colon - 1);
      place = {"to", first == name ? state.room.substr(colon + 1) : first};
    }
    list.push_back(Value::object({place,
                                  {"joined", state.joined},
                                  {"seen", state.seen},
                                  {"unread", state.joined ? std::max<std::int64_t>(0, state.count - state.seen) : 0}}));
  }
  return Value::array(list).to_json();
}

/// Comes into a room, and gets what there is to see: the last messages, and who is a member.
void Handler::open(Peer& peer, const Value& request) {
  const Place place(peer, request);
  std::vector<std::string> members{peer.name, place.to};
  if (place.to.empty()) {
    if (store_.create_room(place.room)) hub_.publish(Hub::kAll, event("room made", {{"room", place.room}}));
    subscribe(peer, Hub::room_topic(place.room));
    if (store_.join(place.room, peer.name)) {
      hub_.publish(Hub::room_topic(place.room), event("joined", {{"room", place.room}, {"name", peer.name}}));
    }
    members = store_.members(place.room);
  }
  const std::vector<bool> here = store_.here(members);
  std::vector<Value> list;
  for (std::size_t i = 0; i < members.size(); ++i) list.push_back(Value::object({{"name", members[i]}, {"here", here[i]}}));
  peer.send(event("room", {place.member(), {"members", Value::array(list)}}, {{"messages", store_.history(place.room)}}));
}

void Handler::leave(Peer& peer, const Value& request) {
  const Place place(peer, request);
  store_.leave(place.room, peer.name);
  if (!place.to.empty()) return;
  hub_.publish(Hub::room_topic(place.room), event("left", {{"room", place.room}, {"name", peer.name}}));
  const std::string topic = Hub::room_topic(place.room);
  if (peer.topics.erase(topic) != 0) hub_.unsubscribe(topic, peer);
}

/// A message to a room or a person. The sender has its answer when the message is in the store, and not before.
void Handler::say(Peer& peer, const Value& request) {
  const Place place(peer, request);
  const Message message{place.room,
                        peer.name,
                        place.to,
                        string_member(request, "text"),
                        now(),
                        name_member(request, "client"),
                        integer_member(request, "n")};
  if (message.text.empty() || message.text.size() > kMaxText) {
    throw Refusal("text", "A message has 1 to " + std::to_string(kMaxText) + " bytes.");
  }
  std::vector<std::string> inboxes;
  if (!place.to.empty()) {
    store_.join(place.room, peer.name);
    store_.join(place.room, place.to);
    inboxes.push_back(place.to);
  } else if (!peer.topics.contains(Hub::room_topic(place.room))) {
    throw Refusal("room", "You aren't in that room.");
  } else if (message.text.starts_with(kEveryone)) {
    inboxes = store_.members(place.room);  // as a direct message, it waits for those who are away
    std::erase(inboxes, peer.name);
  }

  const Posted posted = store_.post(message, inboxes);
  if (!posted.duplicate) {
    const Text text = event("message", {{"id", message.id()},
                                        {"number", posted.number},
                                        {"from", message.from},
                                        place.member(),
                                        {"text", message.text},
                                        {"at", message.at}});
    if (place.to.empty()) {
      hub_.publish(Hub::room_topic(place.room), text);
    } else {
      hub_.publish(Hub::person_topic(place.to), text);
      hub_.publish(Hub::person_topic(peer.name), text);
    }
  }
  peer.send(event("ack", {{"client", message.client}, {"n", message.n}}));
}

void Handler::typing(const Peer& peer, const Value& request) {
  const Place place(peer, request);
  if (place.to.empty()) {
    if (!peer.topics.contains(Hub::room_topic(place.room))) throw Refusal("room", "You aren't in that room.");
    hub_.publish(Hub::room_topic(place.room), event("typing", {{"room", place.room}, {"name", peer.name}}));
  } else {
    hub_.publish(Hub::person_topic(place.to), event("typing", {{"to", place.to}, {"name", peer.name}}));
  }
}

void Handler::seen(const Peer& peer, const Value& request) {
  const Place place(peer, request);
  const std::int64_t number = integer_member(request, "number");
  store_.mark_seen(peer.name, place.room, number);
  hub_.publish(Hub::person_topic(peer.name), event("seen", {place.member(), {"number", number}}));  // other tabs
}

void Handler::received(const Peer& peer, const Value& request) {
  const Value list = request["ids"];
  if (!list.is_array()) throw Refusal("malformed", "\"ids\" is an array of strings");
  std::vector<std::string> ids;
  for (const Value& id : list.elements()) {
    if (!id.is_string()) throw Refusal("malformed", "\"ids\" is an array of strings");
    ids.emplace_back(id.as_string());
  }
  store_.received(peer.name, ids);
}

/// Clients say often enough that they are here.
void Handler::ping(Peer& peer) {
  if (store_.arrive(peer.name)) presence(peer.name, true);
  peer.send(event("pong", {}));
}

void Handler::prefer(const Peer& peer, const Value& request) {
  store_.set_preference(peer.token, name_member(request, "preference"), string_member(request, "value"));
}

void Handler::sign_out(Peer& peer) {
  store_.sign_out(peer.token);
  depart(peer);
  peer.send(event("signed out", {}));
}

void Handler::closed(Peer& peer) noexcept {
  try {
    depart(peer);
  } catch (const cubby::Error&) {
    // The presence ends by itself.
  }
  unsubscribe(peer);
}

void Handler::depart(Peer& peer) {
  if (!peer.name.empty()) {
    const std::string topic = Hub::person_topic(peer.name);
    if (peer.topics.erase(topic) != 0 && hub_.unsubscribe(topic, peer)) {
      store_.depart(peer.name);
      if (hub_.has(topic)) store_.arrive(peer.name);  // another connection came at the same time
    }
  }
  unsubscribe(peer);
}

void Handler::subscribe(Peer& peer, const std::string& topic) {
  if (peer.topics.insert(topic).second) hub_.subscribe(topic, peer);
}

void Handler::unsubscribe(Peer& peer) {
  for (const std::string& topic : peer.topics) hub_.unsubscribe(topic, peer);
  peer.topics.clear();
  peer.token.clear();
  peer.name.clear();
}

/// Tells those who share a room with this person.
void Handler::presence(const std::string& name, bool here) {
  const Text text = event(here ? "here" : "away", {{"name", name}});
  for (const RoomState& state : store_.rooms(name)) {
    if (!state.joined) continue;
    if (!is_conversation(state.room)) {
      hub_.publish(Hub::room_topic(state.room), text);
    } else {
      for (const std::string& member : store_.members(state.room)) hub_.publish(Hub::person_topic(member), text);
    }
  }
}

}  // namespace chat
