// SPDX-License-Identifier: Apache-2.0
#include "server/handler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cubby/value.hpp>
#include <filesystem>
#include <mutex>
#include <thread>

using namespace chat;
using namespace std::chrono_literals;
using cubby::Value;

namespace {

/// A client without a network: keeps what it is sent.
class Client final : public Peer {
 public:
  explicit Client(Handler& handler) : handler_(handler) {}
  ~Client() override { handler_.closed(*this); }

  void send(const Text& text) override {
    const std::lock_guard lock(mutex_);
    received_.push_back(Value::parse(*text));
  }
  void request(std::string_view json) { handler_.handle(*this, json, "test"); }

  /// What came of this type, in order.
  std::vector<Value> all(std::string_view type) const {
    const std::lock_guard lock(mutex_);
    std::vector<Value> found;
    for (const Value& event : received_) {
      if (event["type"] == Value(type)) found.push_back(event);
    }
    return found;
  }
  /// The last one of this type; null if there is none.
  Value last(std::string_view type) const {
    const auto found = all(type);
    return found.empty() ? Value() : found.back();
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    received_.clear();
  }

 private:
  Handler& handler_;
  mutable std::mutex mutex_;
  std::vector<Value> received_;
};

struct Server {
  Server(const std::string& kind, const Settings& settings)
      : store(kind == "cubby" ? open_cubby_store(settings) : make_replaced_store(settings)) {}
  std::unique_ptr<Store> store;
  Hub hub;
  Handler handler{*store, hub};
};

class ChatHandler : public testing::TestWithParam<std::string> {
 protected:
  void start() { server_ = std::make_unique<Server>(GetParam(), settings_); }
  void SetUp() override { start(); }

  std::unique_ptr<Client> sign_in(const std::string& name) {
    auto client = std::make_unique<Client>(server_->handler);
    client->request(R"({"type":"hello","name":")" + name + "\"}");
    EXPECT_EQ(client->last("welcome")["name"], Value(name)) << client->last("error");
    return client;
  }

  Settings settings_;
  std::unique_ptr<Server> server_;
};

std::vector<std::string> texts(const Value& messages) {
  std::vector<std::string> texts;
  for (const Value& message : messages.elements()) texts.emplace_back(message["text"].as_string());
  return texts;
}

Value room_of(const Value& welcome, std::string_view member, std::string_view name) {
  for (const Value& room : welcome["rooms"].elements()) {
    if (room[member] == Value(name)) return room;
  }
  return {};
}

bool is_here(const Value& room, std::string_view name) {
  for (const Value& member : room["members"].elements()) {
    if (member["name"] == Value(name)) return member["here"].as_bool();
  }
  return false;
}

template <class Condition>
bool eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(2ms);
  }
  return true;
}

}  // namespace

TEST_P(ChatHandler, SaysToTheRoomAndAcknowledges) {
  const auto ada = sign_in("Ada"), bob = sign_in("Bob");
  ada->request(R"({"type":"say","room":"lobby","text":"hello","client":"c","n":1})");
  EXPECT_EQ(ada->last("ack")["n"], Value(1));
  const Value message = bob->last("message");
  EXPECT_EQ(message["from"], Value("Ada"));
  EXPECT_EQ(message["text"], Value("hello"));
  EXPECT_EQ(message["number"], Value(1));
  EXPECT_EQ(ada->last("message"), message);
}

TEST_P(ChatHandler, DropsWhatWasSentTwice) {
  const auto ada = sign_in("Ada"), bob = sign_in("Bob");
  const std::string text = R"({"type":"say","room":"lobby","text":"once","client":"c","n":1})";
  ada->request(text);
  ada->request(text);
  EXPECT_EQ(ada->all("ack").size(), 2u);
  EXPECT_EQ(bob->all("message").size(), 1u);
  ada->request(R"({"type":"say","room":"lobby","text":"another client's first","client":"d","n":1})");
  EXPECT_EQ(bob->all("message").size(), 2u);
  bob->request(R"({"type":"open","room":"lobby"})");
  EXPECT_EQ(texts(bob->last("room")["messages"]), (std::vector<std::string>{"once", "another client's first"}));
}

TEST_P(ChatHandler, ANameBelongsToOneSession) {
  const auto ada = sign_in("Ada");
  Client other(server_->handler);
  other.request(R"({"type":"hello","name":"ADA"})");
  EXPECT_EQ(other.last("error")["code"], Value("taken"));
  ada->request(R"({"type":"sign out"})");
  EXPECT_TRUE(ada->last("signed out").is_object());
  other.request(R"({"type":"hello","name":"ADA"})");
  EXPECT_EQ(other.last("welcome")["name"], Value("ADA"));
}

TEST_P(ChatHandler, ASessionIsNeededAndGoesOnWithItsToken) {
  Client client(server_->handler);
  client.request(R"({"type":"say","room":"lobby","text":"x","client":"c","n":1})");
  EXPECT_EQ(client.last("error")["code"], Value("session"));
  client.request(R"({"type":"hello","token":"guessed"})");
  EXPECT_EQ(client.last("error")["code"], Value("session"));

  const auto ada = sign_in("Ada");
  ada->request(R"({"type":"prefer","preference":"theme","value":"dark"})");
  Client again(server_->handler);
  again.request(Value::object({{"type", "hello"}, {"token", ada->last("welcome")["token"]}}).to_json());
  EXPECT_EQ(again.last("welcome")["name"], Value("Ada"));
  EXPECT_EQ(again.last("welcome")["preferences"]["theme"], Value("dark"));
}

TEST_P(ChatHandler, SessionsEndWhenNobodyUsesThem) {
  server_.reset();
  settings_.session_ttl = 20ms;
  start();
  const auto ada = sign_in("Ada");
  EXPECT_TRUE(eventually([&] { return !server_->store->session_name(ada->token); }));
  ada->request(R"({"type":"say","room":"lobby","text":"x","client":"c","n":1})");
  EXPECT_EQ(ada->last("error")["code"], Value("session"));
  EXPECT_EQ(ada->last("error")["n"], Value(1));
  sign_in("ada");  // the name is free
}

TEST_P(ChatHandler, CountsWhatIsUnread) {
  const auto ada = sign_in("Ada");
  const auto bob = sign_in("Bob");
  for (int n = 1; n <= 3; ++n) {
    ada->request(R"({"type":"say","room":"lobby","text":"x","client":"c","n":)" + std::to_string(n) + "}");
  }
  const std::string hello = Value::object({{"type", "hello"}, {"token", bob->token}}).to_json();
  bob->request(hello);
  EXPECT_EQ(room_of(bob->last("welcome"), "room", "lobby")["unread"], Value(3));
  bob->request(R"({"type":"seen","room":"lobby","number":2})");
  bob->request(R"({"type":"seen","room":"lobby","number":1})");  // late: nothing goes back
  bob->request(hello);
  EXPECT_EQ(room_of(bob->last("welcome"), "room", "lobby")["unread"], Value(1));
  bob->request(R"({"type":"say","room":"lobby","text":"x","client":"c","n":1})");  // who speaks has seen what was said before
  bob->request(hello);
  EXPECT_EQ(room_of(bob->last("welcome"), "room", "lobby")["unread"], Value(0));
  EXPECT_EQ(room_of(sign_in("Cyd")->last("welcome"), "room", "lobby")["unread"], Value(0));
}

TEST_P(ChatHandler, RoomsAreBounded) {
  const auto ada = sign_in("Ada");
  for (std::size_t n = 1; n <= kHistory + 5; ++n) {
    const std::string number = std::to_string(n);
    ada->request(R"({"type":"say","room":"lobby","text":")" + number + R"(","client":"c","n":)" + number + "}");
  }
  ada->request(R"({"type":"open","room":"lobby"})");
  const auto kept = texts(ada->last("room")["messages"]);
  ASSERT_EQ(kept.size(), kHistory);
  EXPECT_EQ(kept.front(), "6");
  EXPECT_EQ(kept.back(), std::to_string(kHistory + 5));
}

TEST_P(ChatHandler, RoomsAreMadeJoinedAndLeft) {
  const auto ada = sign_in("Ada"), bob = sign_in("Bob");
  ada->request(R"({"type":"open","room":"garden"})");
  EXPECT_EQ(bob->last("room made")["room"], Value("garden"));
  bob->request(R"({"type":"say","room":"garden","text":"not in it","client":"c","n":1})");
  EXPECT_EQ(bob->last("error")["code"], Value("room"));
  bob->request(R"({"type":"open","room":"garden"})");
  EXPECT_EQ(ada->last("joined")["name"], Value("Bob"));
  ada->request(R"({"type":"typing","room":"garden"})");
  EXPECT_EQ(bob->last("typing")["name"], Value("Ada"));
  bob->request(R"({"type":"leave","room":"garden"})");
  EXPECT_EQ(ada->last("left")["name"], Value("Bob"));
  ada->request(R"({"type":"say","room":"garden","text":"alone","client":"c","n":1})");
  EXPECT_TRUE(bob->all("message").empty());
  ada->request(R"({"type":"open","room":"garden"})");
  EXPECT_EQ(ada->last("room")["members"].size(), 1u);
}

TEST_P(ChatHandler, DirectMessagesWaitForWhoIsAway) {
  const auto ada = sign_in("Ada");
  std::string token;
  {
    const auto bob = sign_in("Bob");
    token = bob->token;
  }
  ada->request(R"({"type":"say","to":"Bob","text":"one","client":"c","n":1})");
  ada->request(R"({"type":"say","to":"Bob","text":"two","client":"c","n":2})");
  Client bob(server_->handler);
  const std::string hello = Value::object({{"type", "hello"}, {"token", token}}).to_json();
  bob.request(hello);
  const Value waiting = bob.last("welcome")["inbox"];
  EXPECT_EQ(texts(waiting), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(room_of(bob.last("welcome"), "to", "Ada")["unread"], Value(2));

  bob.request(Value::object({{"type", "received"}, {"ids", Value::array({waiting[1]["id"]})}}).to_json());
  bob.request(hello);
  EXPECT_EQ(texts(bob.last("welcome")["inbox"]), (std::vector<std::string>{"one"}));
  bob.request(Value::object({{"type", "received"}, {"ids", Value::array({waiting[0]["id"]})}}).to_json());
  bob.request(hello);
  EXPECT_EQ(bob.last("welcome")["inbox"].size(), 0u);

  // Who is here gets it at once, and the conversation keeps it for both.
  bob.request(R"({"type":"say","to":"Ada","text":"three","client":"d","n":1})");
  EXPECT_EQ(ada->last("message")["text"], Value("three"));
  ada->request(R"({"type":"open","to":"Bob"})");
  EXPECT_EQ(texts(ada->last("room")["messages"]), (std::vector<std::string>{"one", "two", "three"}));
  const auto cyd = sign_in("Cyd");
  cyd->request(R"({"type":"open","to":"Bob"})");
  EXPECT_EQ(cyd->last("room")["messages"].size(), 0u);
}

TEST_P(ChatHandler, EveryoneMeansEveryInboxOfTheRoom) {
  const auto ada = sign_in("Ada"), bob = sign_in("Bob"), cyd = sign_in("Cyd");
  ada->request(R"({"type":"say","room":"lobby","text":"@everyone lunch","client":"c","n":1})");
  for (const Client* client : {bob.get(), cyd.get()}) {
    EXPECT_EQ(texts(Value::parse(server_->store->inbox(client->name))), std::vector<std::string>{"@everyone lunch"});
  }
  EXPECT_EQ(server_->store->inbox("Ada"), "[]");
}

TEST_P(ChatHandler, TellsWhoComesAndGoes) {
  server_.reset();
  settings_.grace = 1ms;
  start();
  const auto ada = sign_in("Ada");
  auto bob = sign_in("Bob");
  EXPECT_EQ(ada->last("here")["name"], Value("Bob"));
  ada->request(R"({"type":"open","room":"lobby"})");
  EXPECT_TRUE(is_here(ada->last("room"), "Bob"));
  bob.reset();
  EXPECT_TRUE(eventually([&] { return ada->last("away")["name"] == Value("Bob"); }));
  ada->request(R"({"type":"open","room":"lobby"})");
  EXPECT_FALSE(is_here(ada->last("room"), "Bob"));
  EXPECT_TRUE(is_here(ada->last("room"), "Ada"));
}

TEST_P(ChatHandler, RefusesWhatMakesNoSense) {
  const auto ada = sign_in("Ada");
  const auto code = [&](std::string_view request) {
    ada->forget();
    ada->request(request);
    return ada->last("error")["code"];
  };
  for (const char* request : {"", "{", "[]", "7", "{}", R"({"type":7})", R"({"type":"dance"})", R"({"type":"say"})",
                              R"({"type":"say","room":"lobby","text":"x","client":"c"})", R"({"type":"received","ids":[1]})",
                              R"({"type":"seen","room":"lobby"})"}) {
    EXPECT_EQ(code(request), Value("malformed")) << request;
  }
  for (const char* name : {"", "a:b", "@a", " a", "a\\u0000", "0123456789012345678901234567890123456789012345678"}) {
    EXPECT_EQ(code(R"({"type":"open","room":")" + std::string(name) + "\"}"), Value("name")) << name;
  }
  EXPECT_EQ(code(R"({"type":"say","to":"Ada","text":"x","client":"c","n":1})"), Value("name"));
  EXPECT_EQ(code(R"({"type":"say","room":"lobby","text":"","client":"c","n":1})"), Value("text"));
  EXPECT_EQ(code(R"({"type":"say","room":"lobby","client":"c","n":1,"text":")" + std::string(4001, 'x') + "\"}"),
            Value("text"));
}

TEST_P(ChatHandler, ManyThreadsLoseNothing) {
  constexpr int kThreads = 8, kEach = 100;
  std::vector<std::unique_ptr<Client>> clients;
  for (int t = 0; t < kThreads; ++t) clients.push_back(sign_in("person" + std::to_string(t)));
  std::vector<std::jthread> threads;
  for (const auto& client : clients) {
    threads.emplace_back([&client] {
      for (int n = 1; n <= kEach; ++n) {
        client->request(R"({"type":"say","room":"lobby","text":"x","client":"c","n":)" + std::to_string(n) + "}");
      }
    });
  }
  threads.clear();
  for (const auto& client : clients) {
    std::vector<std::int64_t> numbers;
    for (const Value& message : client->all("message")) numbers.push_back(message["number"].as_int());
    std::sort(numbers.begin(), numbers.end());
    ASSERT_EQ(numbers.size(), kThreads * kEach);
    for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], static_cast<std::int64_t>(i) + 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Stores, ChatHandler, testing::Values("cubby", "replaced"),
                         [](const auto& test) { return test.param; });

TEST(ChatStore, ARestartKeepsEverything) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / ("chat-" + std::to_string(getpid()));
  std::filesystem::remove_all(folder);
  Settings settings;
  settings.directory = folder;
  std::string ada_token, bob_token;
  const std::string said = R"({"type":"say","room":"lobby","text":"kept","client":"c","n":1})";
  {
    Server server("cubby", settings);
    Client ada(server.handler), bob(server.handler);
    ada.request(R"({"type":"hello","name":"Ada"})");
    bob.request(R"({"type":"hello","name":"Bob"})");
    ada_token = ada.token;
    bob_token = bob.token;
    ada.request(said);
    ada.request(R"({"type":"say","to":"Bob","text":"waits","client":"c","n":2})");
    ada.request(R"({"type":"open","room":"garden"})");
  }
  {
    Server server("cubby", settings);
    Client ada(server.handler), bob(server.handler);
    ada.request(Value::object({{"type", "hello"}, {"token", ada_token}}).to_json());
    bob.request(Value::object({{"type", "hello"}, {"token", bob_token}}).to_json());
    EXPECT_TRUE(room_of(ada.last("welcome"), "room", "garden")["joined"].as_bool());
    EXPECT_EQ(texts(bob.last("welcome")["inbox"]), std::vector<std::string>{"waits"});
    EXPECT_EQ(room_of(bob.last("welcome"), "room", "lobby")["unread"], Value(1));
    ada.request(said);  // had no answer, as it were
    bob.request(R"({"type":"open","room":"lobby"})");
    EXPECT_EQ(texts(bob.last("room")["messages"]), std::vector<std::string>{"kept"});
  }
  std::filesystem::remove_all(folder);
}
