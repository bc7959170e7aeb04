// SPDX-License-Identifier: Apache-2.0
// The chat on the design that cubby replaces (replaced_map.hpp), with the same keys as cubby_store.cpp. It keeps nothing on
// disk: a restart forgets everything. What takes several steps is done under one lock, which is the best this design can do.
#include <algorithm>
#include <condition_variable>
#include <cubby/value.hpp>
#include <stop_token>
#include <thread>

#include "server/replaced_map.hpp"
#include "server/store.hpp"

namespace chat {
namespace {

using namespace std::chrono_literals;
using Entries = ReplacedMap::Entries;
using Entry = ReplacedMap::Entry;
using Deadline = std::chrono::steady_clock;

const std::string kPresencePrefix = "presence:";

Tree::Object& object_at(Entries& entries, const std::string& key) {
  Tree& value = entries.at(key).value;
  if (!std::holds_alternative<Tree::Object>(value.node)) value.node = Tree::Object();
  return value.object();
}

std::int64_t integer_at(const Entries& entries, const std::string& key) {
  const Entry* entry = entries.find(key);
  return entry == nullptr ? 0 : entry->value.integer();
}

/// The object that lies there; empty if there is none.
const Tree::Object& object_in(const Entries& entries, const std::string& key) {
  static const Tree::Object kNone;
  const Entry* entry = entries.find(key);
  return entry == nullptr ? kNone : entry->value.object();
}

/// To the wire: JSON text is cubby's business in both stores.
cubby::Value value_of(const Tree& tree) {
  if (const auto* boolean = std::get_if<bool>(&tree.node)) return *boolean;
  if (const auto* integer = std::get_if<std::int64_t>(&tree.node)) return *integer;
  if (const auto* string = std::get_if<std::string>(&tree.node)) return *string;
  if (!std::holds_alternative<Tree::Object>(tree.node)) return nullptr;
  std::vector<std::pair<std::string_view, cubby::Value>> members;
  for (const auto& [name, member] : tree.object()) members.emplace_back(name, value_of(member));
  return cubby::Value::object(members);
}

std::string json_of(const std::vector<Tree>& trees) {
  std::vector<cubby::Value> values;
  values.reserve(trees.size());
  for (const Tree& tree : trees) values.push_back(value_of(tree));
  return cubby::Value::array(values).to_json();
}

class ReplacedStore final : public Store {
 public:
  explicit ReplacedStore(const Settings& settings)
      : settings_(settings), sweeper_([this](std::stop_token stop) { sweep(std::move(stop)); }) {}

  // --- sessions ---

  bool sign_in(const std::string& token, const std::string& name, const std::string& agent, std::int64_t now) override {
    Tree::Object session;
    session.emplace("name", Tree{name});
    session.emplace("agent", Tree{agent});
    session.emplace("since", Tree{now});
    session.emplace("preferences", Tree{Tree::Object()});
    return map_.write([&](Entries& entries) {
      const Entry* holder = entries.find("name:" + folded(name));
      if (holder != nullptr && entries.find("session:" + holder->value.string()) != nullptr) return false;
      entries.at("name:" + folded(name)).value = Tree{token};
      Entry& entry = entries.at("session:" + token);
      entry.value = Tree{std::move(session)};
      entry.deadline = Deadline::now() + settings_.session_ttl;
      return true;
    });
  }

  std::optional<std::string> session_name(const std::string& token) override {
    const auto session = map_.get("session:" + token);
    if (!session) return std::nullopt;
    return session->object().at("name").string();
  }

  bool touch_session(const std::string& token) override { return map_.expire("session:" + token, settings_.session_ttl); }

  void set_preference(const std::string& token, const std::string& preference, const std::string& value) override {
    map_.write([&](Entries& entries) {
      Entry* session = entries.find("session:" + token);
      if (session != nullptr) session->value.object()["preferences"].object().insert_or_assign(preference, Tree{value});
    });
  }

  std::string preferences(const std::string& token) override {
    const auto session = map_.get("session:" + token);
    return session ? value_of(session->object().at("preferences")).to_json() : "{}";
  }

  void sign_out(const std::string& token) override {
    map_.write([&](Entries& entries) {
      const Entry* session = entries.find("session:" + token);
      if (session == nullptr) return;
      const std::string claim = "name:" + folded(session->value.object().at("name").string());
      const Entry* holder = entries.find(claim);
      if (holder != nullptr && holder->value.string() == token) entries.erase(claim);
      entries.erase("session:" + token);
    });
  }

  // --- rooms ---

  bool create_room(const std::string& room) override {
    return map_.write([&](Entries& entries) { return object_at(entries, "rooms").emplace(room, Tree{true}).second; });
  }

  std::vector<RoomState> rooms(const std::string& name) override {
    return map_.read([&](const Entries& entries) {
      std::vector<RoomState> states;
      const Tree::Object& person = object_in(entries, "person:" + name);
      for (const auto& [room, there] : object_in(entries, "rooms")) {
        if (!person.contains(room)) states.push_back({room, integer_at(entries, "room:" + room + ":count"), 0, false});
      }
      for (const auto& [room, seen] : person) {
        states.push_back({room, integer_at(entries, "room:" + room + ":count"), seen.integer(), true});
      }
      return states;
    });
  }

  bool join(const std::string& room, const std::string& name) override {
    const bool member = map_.read([&](const Entries& entries) { return object_in(entries, "person:" + name).contains(room); });
    if (member) return false;
    return map_.write([&](Entries& entries) {
      const std::int64_t said = is_conversation(room) ? 0 : integer_at(entries, "room:" + room + ":count");
      if (!object_at(entries, "person:" + name).emplace(room, Tree{said}).second) return false;
      object_at(entries, "room:" + room + ":members").emplace(name, Tree{true});
      return true;
    });
  }

  void leave(const std::string& room, const std::string& name) override {
    map_.write([&](Entries& entries) {
      object_at(entries, "person:" + name).erase(room);
      object_at(entries, "room:" + room + ":members").erase(name);
    });
  }

  std::vector<std::string> members(const std::string& room) override {
    std::vector<std::string> names;
    const auto members = map_.get("room:" + room + ":members");
    if (!members) return names;
    for (const auto& [name, there] : members->object()) names.push_back(name);
    return names;
  }

  std::string history(const std::string& room) override { return json_of(map_.elements("room:" + room + ":messages")); }

  Posted post(const Message& message, const std::vector<std::string>& inboxes) override {
    Tree tree{Tree::Object()};
    tree.object().emplace("id", Tree{message.id()});
    tree.object().emplace("from", Tree{message.from});
    tree.object().emplace("text", Tree{message.text});
    tree.object().emplace("at", Tree{message.at});
    tree.object().emplace(message.to.empty() ? "room" : "to", Tree{message.to.empty() ? message.room : message.to});
    const auto append = [&](std::deque<Tree>& queue, std::size_t most) {
      queue.push_back(tree);
      if (queue.size() > most) queue.pop_front();
    };
    return map_.write([&](Entries& entries) -> Posted {
      const std::string sent = "sent:" + message.from + ':' + message.client;
      if (integer_at(entries, sent) >= message.n) return {0, true};
      Entry& last = entries.at(sent);
      last.value = Tree{message.n};
      last.deadline = Deadline::now() + 24h;
      Entry& count = entries.at("room:" + message.room + ":count");
      const std::int64_t number = std::holds_alternative<std::int64_t>(count.value.node) ? count.value.integer() + 1 : 1;
      count.value = Tree{number};
      tree.object().emplace("number", Tree{number});
      append(entries.at("room:" + message.room + ":messages").queue, kHistory);
      Tree::Object& person = object_at(entries, "person:" + message.from);
      if (const auto seen = person.find(message.room); seen != person.end()) seen->second = Tree{number};
      for (const std::string& name : inboxes) append(entries.at("inbox:" + name).queue, settings_.inbox);
      return {number, false};
    });
  }

  void mark_seen(const std::string& name, const std::string& room, std::int64_t number) override {
    map_.write([&](Entries& entries) {
      Tree::Object& person = object_at(entries, "person:" + name);
      const auto seen = person.find(room);
      if (seen != person.end() && seen->second.integer() < number) seen->second = Tree{number};
    });
  }

  // --- inboxes ---

  std::string inbox(const std::string& name) override { return json_of(map_.elements("inbox:" + name)); }

  void received(const std::string& name, const std::vector<std::string>& ids) override {
    map_.write([&](Entries& entries) {
      Entry* inbox = entries.find("inbox:" + name);
      if (inbox == nullptr) return;
      std::erase_if(inbox->queue, [&](const Tree& message) {
        return std::find(ids.begin(), ids.end(), message.object().at("id").string()) != ids.end();
      });
      if (inbox->queue.empty()) entries.erase("inbox:" + name);
    });
  }

  // --- presence ---

  bool arrive(const std::string& name) override {
    return map_.write([&](Entries& entries) {
      const bool away = entries.find(kPresencePrefix + name) == nullptr;
      Entry& presence = entries.at(kPresencePrefix + name);
      presence.value = Tree{true};
      presence.deadline = Deadline::now() + settings_.presence_ttl;
      return away;
    });
  }

  void depart(const std::string& name) override { map_.expire(kPresencePrefix + name, settings_.grace); }

  std::vector<bool> here(const std::vector<std::string>& names) override {
    return map_.read([&](const Entries& entries) {
      std::vector<bool> here;
      for (const std::string& name : names) here.push_back(entries.find(kPresencePrefix + name) != nullptr);
      return here;
    });
  }

  void on_away(std::function<void(const std::string&)> f) override {
    const std::lock_guard lock(away_mutex_);
    away_ = std::move(f);
  }

 private:
  /// The design has nothing that tells of deadlines, so all keys are looked at, once a second, under the lock.
  void sweep(std::stop_token stop) {
    std::unique_lock lock(away_mutex_);
    while (!wake_.wait_for(lock, stop, 1s, [&] { return stop.stop_requested(); })) {
      if (stop.stop_requested()) return;
      for (const std::string& key : map_.write([](Entries& entries) { return entries.sweep(); })) {
        if (away_ && key.starts_with(kPresencePrefix)) away_(key.substr(kPresencePrefix.size()));
      }
    }
  }

  const Settings settings_;
  ReplacedMap map_;
  std::mutex away_mutex_;
  std::condition_variable_any wake_;
  std::function<void(const std::string&)> away_;
  std::jthread sweeper_;
};

}  // namespace

std::unique_ptr<Store> make_replaced_store(const Settings& settings) { return std::make_unique<ReplacedStore>(settings); }

}  // namespace chat
