// SPDX-License-Identifier: Apache-2.0
// The chat on cubby. One durable store holds everything:
//
//   session:TOKEN          {name, agent, since, preferences}     expires, and every request puts that off
//   name:FOLDED            the token that holds the name
//   rooms                  {ROOM: true}
//   room:ROOM:members      {NAME: true}
//   room:ROOM:messages     the last kHistory messages
//   room:ROOM:count        how many there were
//   person:NAME            {ROOM: number of the last message seen}
//   sent:NAME:CLIENT       number of this client's last message  expires a day after that
//   inbox:NAME             messages that nobody has received yet
//   presence:NAME          true                                  expires
#include <cubby/cubby.hpp>

#include <algorithm>
#include <utility>

#include "server/store.hpp"

namespace chat {
namespace {

using cubby::Value;
using namespace std::chrono_literals;

constexpr std::string_view kPresence = "presence:";

cubby::Options options_of(const Settings& settings) {
  cubby::Options options;
  options.default_ttl = settings.session_ttl;  // what expire(key) gives
  options.directory = settings.directory;      // every change is in a log before anybody sees it
  return options;
}

class CubbyStore final : public Store {
 public:
  explicit CubbyStore(const Settings& settings) : settings_(settings), store_(cubby::open("chat", options_of(settings))) {}

  ~CubbyStore() override {
    try {
      cubby::close("chat");  // leaves a checkpoint, so that the next start is quick
    } catch (const cubby::Error&) {
      // The log has everything; the next start reads that.
    }
  }

  // --- sessions ---

  bool sign_in(const std::string& token, const std::string& name, const std::string& agent, std::int64_t now) override {
    const Value session = Value::object({{"name", name}, {"agent", agent}, {"since", now}, {"preferences", Value::object({})}});
    store_.set("session:" + token, session, settings_.session_ttl);
    // The session is there before the name is claimed: from then on nobody finds the name's holder gone. modify is atomic: of
    // many who want the name at once, one gets it.
    bool taken = false;
    store_.modify("name:" + folded(name), [&](std::optional<Value> holder) -> std::optional<Value> {
      taken = holder && store_.exists("session:" + std::string(holder->as_string()));
      return taken ? holder : Value(token);
    });
    if (taken) store_.erase("session:" + token);
    return !taken;
  }

  std::optional<std::string> session_name(const std::string& token) override {
    // Reads where the value lies: no copy, no lock, nothing written that other threads use.
    std::string name;
    if (!store_.visit("session:" + token, [&](const Value& session) { name = session["name"].as_string(); })) return {};
    return name;
  }

  bool touch_session(const std::string& token) override {
    try {
      store_.expire("session:" + token);
      return true;
    } catch (const cubby::Error& error) {
      if (error.code() != cubby::Errc::key_not_found) throw;
      return false;  // it has expired since it was read
    }
  }

  void set_preference(const std::string& token, const std::string& preference, const std::string& value) override {
    // A merge, so that it loses nothing that another tab changes at the same time. A session that has ended stays so.
    const Value patch = Value::object({{"preferences", Value::object({{preference, value}})}});
    const std::string key = "session:" + token;
    store_.transact({key}, [&](cubby::Transaction& t) {
      if (t.exists(key)) t.update(key, patch);
    });
  }

  std::string preferences(const std::string& token) override {
    const auto session = store_.get("session:" + token);
    return session ? (*session)["preferences"].to_json() : "{}";
  }

  void sign_out(const std::string& token) override {
    const auto session = store_.take("session:" + token);
    if (!session) return;
    const std::string name((*session)["name"].as_string());
    store_.modify("name:" + folded(name), [&](std::optional<Value> holder) {
      return holder == Value(token) ? std::nullopt : holder;  // it may be another session's by now
    });
  }

  // --- rooms ---

  bool create_room(const std::string& room) override {
    return store_.transact({"rooms"}, [&](cubby::Transaction& t) {
      bool there = false;
      t.visit("rooms", [&](const Value& rooms) { there = rooms.contains(room); });
      if (!there) t.update("rooms", Value::object({{room, true}}));
      return !there;
    });
  }

  std::vector<RoomState> rooms(const std::string& name) override {
    const Value all = store_.get("rooms").value_or(Value::object({}));
    const Value person = store_.get("person:" + name).value_or(Value::object({}));
    std::vector<RoomState> states;
    for (const auto& [room, there] : all.members()) {
      if (!person.contains(room)) states.push_back({std::string(room), 0, 0, false});
    }
    for (const auto& [room, seen] : person.members()) states.push_back({std::string(room), 0, seen.as_int(), true});
    std::vector<std::string> counts;
    for (const RoomState& state : states) counts.push_back("room:" + state.room + ":count");
    store_.visit_many(counts, [&](std::size_t index, const Value& count) { states[index].count = count.as_int(); });
    return states;
  }

  bool join(const std::string& room, const std::string& name) override {
    bool member = false;
    store_.visit("person:" + name, [&](const Value& person) { member = person.contains(room); });
    if (member) return false;
    const std::string person = "person:" + name;
    const std::string members = "room:" + room + ":members";
    const std::string count = "room:" + room + ":count";
    return store_.transact({person, members, count}, [&](cubby::Transaction& t) {
      bool joined = false;
      t.visit(person, [&](const Value& rooms) { joined = rooms.contains(room); });
      if (joined) return false;
      // Who comes into a room has seen what was said before; in a conversation everything is new.
      const auto said = is_conversation(room) ? std::nullopt : t.get(count);
      t.update(person, Value::object({{room, said.value_or(0)}}));
      t.update(members, Value::object({{name, true}}));
      return true;
    });
  }

  void leave(const std::string& room, const std::string& name) override {
    const std::string person = "person:" + name;
    const std::string members = "room:" + room + ":members";
    store_.transact({person, members}, [&](cubby::Transaction& t) {
      t.update(person, Value::object({{room, nullptr}}));  // null removes the member
      t.update(members, Value::object({{name, nullptr}}));
    });
  }

  std::vector<std::string> members(const std::string& room) override {
    std::vector<std::string> names;
    const auto members = store_.get("room:" + room + ":members");  // no copy: a reference to what is there
    if (!members) return names;
    names.reserve(members->size());
    for (const auto& [name, there] : members->members()) names.emplace_back(name);
    return names;
  }

  std::string history(const std::string& room) override {
    return store_.slice("room:" + room + ":messages", 0, kHistory).to_json();
  }

  Posted post(const Message& message, const std::vector<std::string>& inboxes) override {
    const std::string sent = "sent:" + message.from + ':' + message.client;
    const std::string count = "room:" + message.room + ":count";
    const std::string messages = "room:" + message.room + ":messages";
    const std::string person = "person:" + message.from;
    std::vector<std::string> keys{sent, count, messages, person};
    keys.reserve(keys.size() + inboxes.size());
    for (const std::string& name : inboxes) keys.push_back("inbox:" + name);

    // All of this happens at one instant, and is in the log as one record: there is no state in which the message is in the
    // room and the client's number is not noted, whenever the process is killed.
    return store_.transact(keys, [&](cubby::Transaction& t) -> Posted {
      const auto last = t.get(sent);
      if (last && last->as_int() >= message.n) return {0, true};
      t.set(sent, message.n, 24h);
      const std::int64_t number = t.increment(count).as_int();
      const Value value = stored(message, number);
      if (t.push(messages, value) > kHistory) t.shift(messages);
      bool joined = false;
      t.visit(person, [&](const Value& rooms) { joined = rooms.contains(message.room); });
      if (joined) t.update(person, Value::object({{message.room, number}}));  // who speaks has seen what was said before
      for (std::size_t i = 4; i < keys.size(); ++i) {
        if (t.push(keys[i], value) > settings_.inbox) t.shift(keys[i]);  // two hundred inboxes share one value
      }
      return {number, false};
    });
  }

  void mark_seen(const std::string& name, const std::string& room, std::int64_t number) override {
    const std::string person = "person:" + name;
    bool news = false;
    store_.visit(person, [&](const Value& rooms) { news = rooms[room].is_int() && rooms[room].as_int() < number; });
    if (!news) return;
    store_.transact({person}, [&](cubby::Transaction& t) {
      bool later = false;  // another tab may have been faster
      t.visit(person, [&](const Value& rooms) { later = rooms[room].is_int() && rooms[room].as_int() < number; });
      if (later) t.update(person, Value::object({{room, number}}));
    });
  }

  // --- inboxes ---

  std::string inbox(const std::string& name) override { return store_.slice("inbox:" + name, 0, settings_.inbox).to_json(); }

  void received(const std::string& name, const std::vector<std::string>& ids) override {
    const std::string key = "inbox:" + name;
    const auto arrived = [&](const Value& message) {
      return std::any_of(ids.begin(), ids.end(), [&](const std::string& id) { return message["id"] == id; });
    };
    store_.transact({key}, [&](cubby::Transaction& t) {
      const auto waiting = t.get(key);
      if (!waiting) return;
      std::vector<Value> rest;
      for (const Value& message : waiting->elements()) {
        if (!arrived(message)) rest.push_back(message);
      }
      if (rest.empty()) {
        t.erase(key);
      } else if (rest.size() < waiting->size()) {
        t.set(key, Value::array(rest));
      }
    });
  }

  // --- presence ---

  bool arrive(const std::string& name) override {
    const std::string key = std::string(kPresence) + name;
    if (store_.set_once(key, true, settings_.presence_ttl)) return true;
    store_.set(key, true, settings_.presence_ttl);
    return false;
  }

  void depart(const std::string& name) override {
    try {
      store_.expire(std::string(kPresence) + name, settings_.grace);
    } catch (const cubby::Error& error) {
      if (error.code() != cubby::Errc::key_not_found) throw;
    }
  }

  std::vector<bool> here(const std::vector<std::string>& names) override {
    std::vector<std::string> keys;
    for (const std::string& name : names) keys.push_back(std::string(kPresence) + name);
    std::vector<bool> here(names.size());
    store_.visit_many(keys, [&](std::size_t index, const Value&) { here[index] = true; });
    return here;
  }

  void on_away(std::function<void(const std::string&)> f) override {
    if (!f) return store_.on_expired({});
    store_.on_expired([f = std::move(f)](std::string_view key) {
      if (key.starts_with(kPresence)) f(std::string(key.substr(kPresence.size())));
    });
  }

 private:
  static Value stored(const Message& message, std::int64_t number) {
    const auto value = [&](std::pair<std::string_view, Value> where) {
      return Value::object({{"id", message.id()},
                            {"number", number},
                            {"from", message.from},
                            {"text", message.text},
                            {"at", message.at},
                            std::move(where)});
    };
    return message.to.empty() ? value({"room", message.room}) : value({"to", message.to});
  }

  const Settings settings_;
  cubby::Datastore store_;
};

}  // namespace

std::unique_ptr<Store> open_cubby_store(const Settings& settings) { return std::make_unique<CubbyStore>(settings); }

}  // namespace chat
