// SPDX-License-Identifier: Apache-2.0
#include "server/network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/client.hpp"
#include "server/network_support.hpp"
#include "server/resp_text.hpp"

namespace {

std::atomic<int> umask_calls{0};

}  // namespace

/// In the place of the C library's.
extern "C" ::mode_t umask(::mode_t mask) noexcept {
  ++umask_calls;
  return static_cast<::mode_t>(::syscall(SYS_umask, mask));
}

/// Connections: what they say arrives in order and in full, however it comes, until the end.

namespace cubby::server {

namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::NetworkServer;
using testing::request_text;
using testing::Socket;

std::string repeated(std::string_view text, std::size_t count) {
  std::string all;
  all.reserve(text.size() * count);
  for (std::size_t index = 0; index < count; ++index) all += text;
  return all;
}

const std::string kPing = "PING\r\n";
const std::string kPong = "+PONG\r\n";

class Networking : public ::testing::Test {
 protected:
  /// How many clients wait.
  std::size_t waiting() {
    std::size_t count = 0;
    for (const auto& client : server.server().clients.all()) count += client->blocked() ? 1 : 0;
    return count;
  }

  NetworkServer server;
};

TEST_F(Networking, ListensWhereItSays) {
  EXPECT_THAT(server.network().addresses(),
              ::testing::ElementsAre("127.0.0.1:" + std::to_string(server.port()), server.unixsocket()));
  EXPECT_EQ(server.connect().ask(kPing, kPong), kPong);
  EXPECT_EQ(server.connect_to_path().ask(kPing, kPong), kPong);
}

TEST_F(Networking, PipelinesAreAnsweredInOrder) {
  Socket socket = server.connect();
  std::string requests, replies;
  for (int index = 0; index < 20'000; ++index) {
    const std::string text = std::to_string(index);
    requests += index % 7 == 0 ? "ECHO " + text + "\r\n" : request_text({"ECHO", text});
    replies += bulk_text(text);
  }
  EXPECT_TRUE(socket.ask(requests, replies) == replies);
}

TEST_F(Networking, LargeValuesGoBothWays) {
  Socket socket = server.connect();
  std::string value(8 << 20, '\0');
  for (std::size_t index = 0; index < value.size(); ++index) value[index] = static_cast<char>(index * 7 + index / 4096);
  EXPECT_EQ(socket.ask(request_text({"SET", "large", value}), kOkText), kOkText);
  const std::string reply = bulk_text(value);
  EXPECT_TRUE(socket.ask("GET large\r\n", reply) == reply);
  EXPECT_EQ(socket.ask(kPing, kPong), kPong);
}

TEST_F(Networking, ARequestMayComeInPieces) {
  Socket socket = server.connect();
  const std::string request = request_text({"ECHO", "hello"}) + "ECHO 'in a line'\r\n";
  const std::string reply = bulk_text("hello") + bulk_text("in a line");
  for (std::size_t cut = 1; cut < request.size(); ++cut) {
    // The answer to PING shows that the piece behind it has come as well.
    ASSERT_EQ(socket.ask(kPing + request.substr(0, cut), kPong), kPong);
    const std::string rest = request.substr(cut);
    ASSERT_EQ(socket.ask(rest, reply), reply) << "cut at " << cut;
  }
}

TEST_F(Networking, ManyClientsAtOnce) {
  std::vector<Socket> sockets;
  for (int index = 0; index < 200; ++index) sockets.push_back(index % 2 == 0 ? server.connect() : server.connect_to_path());
  for (std::size_t index = 0; index < sockets.size(); ++index)
    sockets[index].send("INCR n\r\nECHO " + std::to_string(index) + "\r\n");
  for (std::size_t index = 0; index < sockets.size(); ++index) {
    const std::string echo = bulk_text(std::to_string(index));
    const std::string text = sockets[index].receive(1);
    ASSERT_EQ(text, ":");
    std::string number;
    for (std::string byte = sockets[index].receive(1); byte != "\n"; byte = sockets[index].receive(1)) number += byte;
    EXPECT_EQ(sockets[index].receive(echo.size()), echo);
  }
  const std::string all = bulk_text("200");
  EXPECT_EQ(sockets[0].ask("GET n\r\n", all), all);
}

TEST_F(Networking, WhoHasSaidAllGetsAllAnswers) {
  for (const bool is_unix : {false, true}) {
    Socket socket = is_unix ? server.connect_to_path() : server.connect();
    socket.send(repeated(kPing, 10'000));
    socket.end_output();
    EXPECT_TRUE(socket.receive_all() == repeated(kPong, 10'000));
  }
}

TEST_F(Networking, WhoHasSaidAllGetsLargeAnswersToo) {
  Socket socket = server.connect();
  const std::string value(1 << 20, 'v');
  socket.send(request_text({"SET", "v", value}) + repeated("GET v\r\n", 20));
  socket.end_output();
  EXPECT_TRUE(socket.receive_all() == kOkText + repeated(bulk_text(value), 20));
}

TEST_F(Networking, QuitAnswersWhatCameBefore) {
  Socket socket = server.connect();
  socket.send(repeated(kPing, 1000) + "QUIT\r\n" + repeated(kPing, 100'000));
  EXPECT_TRUE(socket.receive_all() == repeated(kPong, 1000) + kOkText);
}

TEST_F(Networking, NonsenseEndsTheConversation) {
  Socket socket = server.connect();
  socket.send(kPing + "*1\r\n!\r\n" + repeated(kPing, 100'000));
  EXPECT_EQ(socket.receive_all(), kPong + "-ERR Protocol error: expected '$', got '!'\r\n");
  EXPECT_EQ(server.connect().ask(kPing, kPong), kPong);
}

TEST_F(Networking, BrowsersAreCutOff) {
  Socket socket = server.connect();
  socket.send("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nSET a 1\r\n");
  EXPECT_EQ(socket.receive_all(), "");
  EXPECT_EQ(server.connect().ask("GET a\r\n", kNullText), kNullText);
}

TEST_F(Networking, WhatComesBehindABlockingCommandRunsBehindIt) {
  Socket socket = server.connect();
  socket.send("BLPOP l 0\r\nSET a 1\r\nBRPOP l 0\r\nPING\r\n");
  Socket other = server.connect();
  ASSERT_TRUE(eventually([&] { return waiting() == 1; }));
  EXPECT_EQ(other.ask("GET a\r\n", kNullText), kNullText);
  EXPECT_EQ(other.ask("RPUSH l x y\r\n", ":2\r\n"), ":2\r\n");
  const std::string expected = bulks_text({"l", "x"}) + kOkText + bulks_text({"l", "y"}) + kPong;
  EXPECT_EQ(socket.receive(expected.size()), expected);
}

TEST_F(Networking, MessagesCrossThreads) {
  std::vector<Socket> subscribers;
  const std::string confirmed = array_text({bulk_text("subscribe"), bulk_text("c"), integer_text(1)});
  for (int index = 0; index < 8; ++index) {
    subscribers.push_back(server.connect());
    ASSERT_EQ(subscribers.back().ask("SUBSCRIBE c\r\n", confirmed), confirmed);
  }
  Socket publisher = server.connect();
  std::string messages;
  for (int index = 0; index < 1000; ++index) {
    const std::string text = std::to_string(index);
    ASSERT_EQ(publisher.ask("PUBLISH c " + text + "\r\n", ":8\r\n"), ":8\r\n");
    messages += bulks_text({"message", "c", text});
  }
  for (Socket& subscriber : subscribers) EXPECT_TRUE(subscriber.receive(messages.size()) == messages);
}

TEST_F(Networking, TheDeadTakeNoElements) {
  constexpr std::size_t kDead = 40;
  std::vector<Socket> dead;
  for (std::size_t index = 0; index < kDead; ++index) {
    dead.push_back(index % 4 == 3 ? server.connect_to_path() : server.connect());
    dead.back().send(index % 2 == 0 ? "BLPOP l 0\r\n" : "BLMOVE l m LEFT RIGHT 0\r\n");
  }
  ASSERT_TRUE(eventually([&] { return waiting() == kDead; }));
  Socket living = server.connect();
  living.send("BLPOP l 0\r\n");
  ASSERT_TRUE(eventually([&] { return waiting() == kDead + 1; }));
  for (std::size_t index = 0; index < kDead; ++index) {
    switch (index % 3) {
      case 0:
        dead[index].cut();
        break;
      case 1:
        dead[index].close();
        break;
      default:
        dead[index].end_output();  // Redis takes it for gone, too
    }
  }
  ASSERT_TRUE(eventually([&] { return server.server().clients.size() == 1; }));
  Socket other = server.connect();
  EXPECT_EQ(other.ask("RPUSH l a b c\r\n", ":3\r\n"), ":3\r\n");
  const std::string first = bulks_text({"l", "a"});
  EXPECT_EQ(living.receive(first.size()), first);
  const std::string rest = bulks_text({"b", "c"});
  EXPECT_EQ(other.ask("LRANGE l 0 -1\r\n", rest), rest);
}

TEST_F(Networking, ClientsSeeAndKillEachOther) {
  Socket socket = server.connect();
  Socket victim = server.connect();
  ASSERT_EQ(victim.ask("CLIENT SETNAME victim\r\n", kOkText), kOkText);
  const auto all = server.server().clients.all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1]->facts().name, "victim");
  EXPECT_THAT(all[1]->facts().address, HasSubstr("127.0.0.1:"));
  EXPECT_EQ(all[1]->facts().local_address, "127.0.0.1:" + std::to_string(server.port()));
  EXPECT_EQ(socket.ask("CLIENT KILL ID " + std::to_string(all[1]->id()) + "\r\n", ":1\r\n"), ":1\r\n");
  EXPECT_EQ(victim.receive_all(), "");
  EXPECT_EQ(socket.ask("CLIENT KILL ID " + std::to_string(all[0]->id()) + " SKIPME no\r\n", ":1\r\n"), ":1\r\n");
  EXPECT_EQ(socket.receive_all(), "");
}

TEST_F(Networking, OthersSeeAtOnceWhatAClientHasBecome) {
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask(kPing, kPong), kPong);
  const auto facts = [client = server.server().clients.all().at(0)] { return client->facts(); };
  ASSERT_EQ(socket.ask("SELECT 3\r\nMULTI\r\n", repeated(kOkText, 2)), repeated(kOkText, 2));
  EXPECT_EQ(facts().store, "db3");
  EXPECT_TRUE(facts().in_multi);
  ASSERT_EQ(socket.ask("DISCARD\r\nWATCH k\r\n", repeated(kOkText, 2)), repeated(kOkText, 2));
  EXPECT_FALSE(facts().in_multi);
  EXPECT_EQ(facts().watches, 1U);
  ASSERT_EQ(socket.ask("CUBBY.USE jobs\r\n", kOkText), kOkText);
  EXPECT_EQ(facts().store, "jobs");
  const std::string confirmed = array_text({bulk_text("subscribe"), bulk_text("c"), integer_text(1)}) +
                                array_text({bulk_text("psubscribe"), bulk_text("p*"), integer_text(2)}) +
                                array_text({bulk_text("unsubscribe"), bulk_text("c"), integer_text(1)});
  ASSERT_EQ(socket.ask("SUBSCRIBE c\r\nPSUBSCRIBE p*\r\nUNSUBSCRIBE c\r\n", confirmed), confirmed);
  EXPECT_EQ(facts().channels, 0U);
  EXPECT_EQ(facts().patterns, 1U);
  EXPECT_EQ(server.connect().ask("CLIENT KILL TYPE pubsub\r\n", ":1\r\n"), ":1\r\n");
  EXPECT_EQ(socket.receive_all(), "");
}

/// A client's end, while what it waits for is on its way to it.
class NetworkingEnds : public ::testing::Test {
 protected:
  NetworkingEnds() {
    EXPECT_EQ(blocked.ask(kPing, kPong), kPong);
    blocked.send("BLPOP l 0\r\n");
    EXPECT_TRUE(eventually([&] { return client()->blocked(); }));
    // The thread is busy elsewhere: what comes now comes together.
    client()->post([this] { go_on.get_future().wait(); });
  }
  std::shared_ptr<Client> client() { return server.server().clients.all().at(0); }
  static Settings of_one_thread() {
    Settings settings;
    settings.threads = 1;
    return settings;
  }

  NetworkServer server{of_one_thread()};
  Socket blocked = server.connect();
  std::promise<void> go_on;
  const std::string popped = bulks_text({"l", "x"});
};

TEST_F(NetworkingEnds, WhoIsKilledGetsTheElementThatWasTaken) {
  client()->kill();
  Datastore store = server.server().databases.open("db0");
  store.push("l", "x");
  EXPECT_FALSE(store.exists("l")) << "taken";
  go_on.set_value();
  EXPECT_EQ(blocked.receive_all(), popped);
}

TEST_F(NetworkingEnds, WhoIsKilledTakesNothingAfterwards) {
  client()->kill();
  go_on.set_value();
  EXPECT_EQ(blocked.receive_all(), "");
  Datastore store = server.server().databases.open("db0");
  store.push("l", "x");
  EXPECT_TRUE(store.exists("l"));
}

TEST_F(NetworkingEnds, StoppingSendsTheElementThatWasTaken) {
  server.network().stop();
  // Nobody is let in any more: the clients have been told, or are about to be.
  ASSERT_TRUE(eventually([&] {
    try {
      server.connect();
      return false;
    } catch (const std::system_error&) {
      return true;
    }
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // only lets it be told first, as is to be shown
  Datastore store = server.server().databases.open("db0");
  store.push("l", "x");
  EXPECT_FALSE(store.exists("l")) << "taken";
  go_on.set_value();
  EXPECT_EQ(blocked.receive_all(), popped);
}

/// Clients count as fast as they can while the server is told to stop: each increment that has happened was answered.
TEST_F(Networking, StoppingAnswersWhatHasHappened) {
  constexpr int kClients = 6;
  std::vector<std::thread> threads;
  std::vector<std::size_t> answered(kClients, 0);
  std::atomic<int> going{0};
  for (int index = 0; index < kClients; ++index) {
    threads.emplace_back([&, index] {
      Socket socket = index % 2 == 0 ? server.connect() : server.connect_to_path();
      std::thread sender([&] {
        const std::string requests = repeated("INCR n" + std::to_string(index) + "\r\n", 500);
        try {
          for (;;) socket.send(requests);
        } catch (const std::system_error&) {
        }
      });
      std::string replies = socket.receive(100'000);
      ++going;
      replies += socket.receive_all();
      answered[static_cast<std::size_t>(index)] = static_cast<std::size_t>(std::count(replies.begin(), replies.end(), '\n'));
      sender.join();
    });
  }
  EXPECT_TRUE(eventually([&] { return going == kClients; }));
  server.stop();
  for (std::thread& thread : threads) thread.join();
  const Datastore store = server.server().databases.open("db0");
  for (int index = 0; index < kClients; ++index) {
    const std::size_t happened = static_cast<std::size_t>(store.get("n" + std::to_string(index)).value_or(Value(0)).as_int());
    EXPECT_EQ(answered[static_cast<std::size_t>(index)], happened) << "client " << index;
  }
}

TEST_F(Networking, StoppingEndsAllKindsOfClients) {
  Socket idle = server.connect();
  ASSERT_EQ(idle.ask(kPing, kPong), kPong);
  Socket blocked = server.connect();
  blocked.send("BLPOP l 0\r\n");
  Socket half = server.connect();
  ASSERT_EQ(half.ask(kPing + "*2\r\n$4\r\nEC", kPong), kPong);
  Socket subscriber = server.connect_to_path();
  const std::string confirmed = array_text({bulk_text("subscribe"), bulk_text("c"), integer_text(1)});
  ASSERT_EQ(subscriber.ask("SUBSCRIBE c\r\n", confirmed), confirmed);
  ASSERT_TRUE(eventually([&] { return waiting() == 1; }));
  server.stop();
  for (Socket* socket : {&idle, &blocked, &half, &subscriber}) EXPECT_EQ(socket->receive_all(), "");
  EXPECT_EQ(server.server().clients.size(), 0U);
  EXPECT_THROW(server.connect(), std::system_error);
}

TEST(NetworkOfUnixSockets, ADeadServersSocketIsReplacedAndALivingOnesIsNot) {
  const testing::TemporaryFolder folder;
  Settings settings;
  settings.unixsocket = folder.path() / "s";
  settings.port = 0;
  // A socket that nobody listens on any more.
  const int left = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, settings.unixsocket.c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(left, reinterpret_cast<const ::sockaddr*>(&address), sizeof address), 0);
  ::close(left);
  NetworkServer server(settings);
  EXPECT_EQ(server.connect_to_path().ask(kPing, kPong), kPong);
  EXPECT_EQ(std::filesystem::status(settings.unixsocket).permissions() & std::filesystem::perms::all,
            std::filesystem::perms::owner_all);
  EXPECT_THROW(Network{server.server()}, SettingError);
  EXPECT_EQ(server.connect_to_path().ask(kPing, kPong), kPong);
}

/// The umask is the process's: stores' threads make files with it.
TEST(NetworkOfUnixSockets, TheirPermissionsAreNobodyElses) {
  const testing::TemporaryFolder folder;
  Settings settings;
  settings.unixsocket = folder.path() / "s";
  settings.unixsocketperm = 0622;
  settings.port = 0;
  const int before = umask_calls;
  NetworkServer server(settings);
  EXPECT_EQ(umask_calls, before);
  EXPECT_EQ(std::filesystem::status(settings.unixsocket).permissions(), static_cast<std::filesystem::perms>(0622));
}

TEST(NetworkOfUnixSockets, AFileIsNotReplaced) {
  const testing::TemporaryFolder folder;
  Settings settings;
  settings.unixsocket = folder.file("s", "important");
  settings.port = 0;
  Server server(settings);
  EXPECT_THROW(Network{server}, SettingError);
  EXPECT_TRUE(std::filesystem::exists(settings.unixsocket));
}

TEST(NetworkOfPorts, ATakenPortIsNamed) {
  NetworkServer server;
  Settings settings;
  settings.bind = {"127.0.0.1"};
  settings.port = server.port();
  Server second(settings);
  try {
    const Network network(second);
    FAIL() << "both listen on " << server.port();
  } catch (const SettingError& error) {
    EXPECT_EQ(error.what(), "can't listen on 127.0.0.1:" + std::to_string(server.port()) + " (port): Address already in use");
  }
}

}  // namespace

}  // namespace cubby::server
