// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What the chat keeps, as an interface with two implementations: cubby_store.cpp, which is what one would write, and
/// replaced_store.cpp, the design that cubby replaces, to compare it with.
namespace chat {

struct Settings {
  std::string directory;  // of a durable store; empty: all is in memory
  std::chrono::milliseconds session_ttl = std::chrono::hours(24);
  std::chrono::milliseconds presence_ttl = std::chrono::seconds(45);
  std::chrono::milliseconds grace = std::chrono::seconds(5);  // between the last connection's end and being away
  std::size_t inbox = 1000;                                   // messages that wait for one person at most
};

inline constexpr std::size_t kHistory = 200;  // messages that a room keeps

/// A message as it goes into the store. Its number, from 1 on in its room, is given there.
struct Message {
  std::string room;  // a room's name, or that of a conversation of two: conversation()
  std::string from;
  std::string to;  // direct messages only
  std::string text;
  std::int64_t at = 0;  // milliseconds since 1970
  // Which message of which client this is. Clients number their messages 1, 2, 3...; who gets no answer sends it again.
  std::string client;
  std::int64_t n = 0;

  std::string id() const { return from + ':' + client + ':' + std::to_string(n); }
};

struct Posted {
  std::int64_t number = 0;
  bool duplicate = false;  // this client's message was there already: nothing was done
};

/// A room or a conversation, as one person sees it.
struct RoomState {
  std::string room;
  std::int64_t count = 0;  // messages so far
  std::int64_t seen = 0;   // the number of the last one that this person has seen
  bool joined = false;
};

/// Thread safety: all members may be called from any thread at any time. What is returned as JSON is ready for the wire.
class Store {
 public:
  virtual ~Store() = default;

  // Sessions: a secret token stands for who signed in, until it wasn't used for Settings::session_ttl.

  /// Begins a session and claims the name for it; false if the name belongs to another living session.
  virtual bool sign_in(const std::string& token, const std::string& name, const std::string& agent, std::int64_t now) = 0;
  /// Whose session it is; empty if there is none.
  virtual std::optional<std::string> session_name(const std::string& token) = 0;
  /// Lets the session live on; false if there is none.
  virtual bool touch_session(const std::string& token) = 0;
  /// Changes one of the preferences that a session holds.
  virtual void set_preference(const std::string& token, const std::string& preference, const std::string& value) = 0;
  virtual std::string preferences(const std::string& token) = 0;  // JSON object
  virtual void sign_out(const std::string& token) = 0;

  // Rooms.

  /// Makes the room unless it is there; true if it wasn't.
  virtual bool create_room(const std::string& room) = 0;
  /// Every room, and the conversations of this person.
  virtual std::vector<RoomState> rooms(const std::string& name) = 0;
  /// Puts the person into the room, or the conversation into the person's list; true if it wasn't so.
  virtual bool join(const std::string& room, const std::string& name) = 0;
  virtual void leave(const std::string& room, const std::string& name) = 0;
  virtual std::vector<std::string> members(const std::string& room) = 0;
  virtual std::string history(const std::string& room) = 0;  // JSON array of messages, the oldest first
  /// Puts the message into the room and into the inboxes of these people: all of it or, if the client sent it before, nothing.
  virtual Posted post(const Message& message, const std::vector<std::string>& inboxes) = 0;
  /// This person has seen the room's messages up to this one. Never goes back.
  virtual void mark_seen(const std::string& name, const std::string& room, std::int64_t number) = 0;

  // Inboxes: messages to a person wait until one of the person's clients says that they have arrived.

  virtual std::string inbox(const std::string& name) = 0;  // JSON array of messages
  virtual void received(const std::string& name, const std::vector<std::string>& ids) = 0;

  // Presence: a person is here as long as a client says so again and again.

  /// True if the person was away before.
  virtual bool arrive(const std::string& name) = 0;
  /// The person is away in a moment (Settings::grace), unless arrive() comes first.
  virtual void depart(const std::string& name) = 0;
  /// Which of these people are here.
  virtual std::vector<bool> here(const std::vector<std::string>& names) = 0;
  /// `f(name)` is called when somebody's presence has expired, on any thread; an empty one ends that.
  virtual void on_away(std::function<void(const std::string&)> f) = 0;
};

std::unique_ptr<Store> open_cubby_store(const Settings& settings);
std::unique_ptr<Store> make_replaced_store(const Settings& settings);  // has no persistence: Settings::directory means nothing

/// The room that two people share.
inline std::string conversation(const std::string& a, const std::string& b) {
  return a < b ? '@' + a + ':' + b : '@' + b + ':' + a;
}
inline bool is_conversation(std::string_view room) { return room.starts_with('@'); }

/// "Ada" and "ada" are one name to claim.
inline std::string folded(std::string name) {
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

}  // namespace chat
