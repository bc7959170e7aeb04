// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/client.hpp"
#include "server/network_support.hpp"
#include "server/resp_text.hpp"

/// Clients that want too much: they are cut off, and nobody else is.

namespace cubby::server {

namespace {

using testing::eventually;
using testing::NetworkServer;
using testing::request_text;
using testing::Socket;

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

template <class Change>
Settings limited(Change&& change) {
  Settings settings;
  change(settings);
  return settings;
}

bool serves(NetworkServer& server) { return server.connect().ask("PING\r\n", "+PONG\r\n") == "+PONG\r\n"; }

TEST(NetworkLimits, WhoDoesNotReadIsCutOff) {
  NetworkServer server(limited([](Settings& settings) { settings.output_limit = kMegabyte; }));
  Socket socket = Socket::to_port(server.port(), 4096);
  ASSERT_EQ(socket.ask(request_text({"SET", "v", std::string(kMegabyte / 4, 'v')}), kOkText), kOkText);
  for (int index = 0; index < 200; ++index) {
    if (!socket.try_send("GET v\r\n")) break;
  }
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 0; }));
  EXPECT_EQ(server.server().figures.sum(Figures::output_limit_disconnections), 1U);
  EXPECT_LT(socket.receive_all().size(), 50 * kMegabyte);
  EXPECT_TRUE(serves(server));
}

TEST(NetworkLimits, AReplyThatIsTooLargeIsNotEvenMade) {
  NetworkServer server(limited([](Settings& settings) {
    settings.output_limit = kMegabyte;
    settings.pubsub_output_limit = kMegabyte;
  }));
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask(request_text({"SET", "v", std::string(kMegabyte / 8, 'v')}), kOkText), kOkText);
  std::string request = "MGET";
  for (int index = 0; index < 10'000; ++index) request += " v";
  socket.send("PING\r\n" + request + "\r\nPING\r\n");
  EXPECT_EQ(socket.receive_all(), "+PONG\r\n-ERR the reply is larger than client-output-buffer-limit\r\n");
  EXPECT_TRUE(serves(server));
}

TEST(NetworkLimits, SlowSubscribersAreCutOff) {
  NetworkServer server(limited([](Settings& settings) { settings.pubsub_output_limit = kMegabyte; }));
  Socket slow = Socket::to_port(server.port(), 4096);
  Socket quick = server.connect();
  const std::string confirmed = array_text({bulk_text("subscribe"), bulk_text("c"), integer_text(1)});
  ASSERT_EQ(slow.ask("SUBSCRIBE c\r\n", confirmed), confirmed);
  ASSERT_EQ(quick.ask("SUBSCRIBE c\r\n", confirmed), confirmed);
  Socket publisher = server.connect();
  const std::string text(kMegabyte / 8, 'm');
  const std::string publish = request_text({"PUBLISH", "c", text});
  const std::string message = bulks_text({"message", "c", text});
  std::string reached = ":2\r\n";
  int published = 0;
  for (; published < 400 && reached == ":2\r\n"; ++published) {
    reached = publisher.ask(publish, ":2\r\n");
    ASSERT_TRUE(quick.receive(message.size()) == message);
  }
  EXPECT_EQ(reached, ":1\r\n") << "after " << published;
  EXPECT_EQ(server.server().figures.sum(Figures::output_limit_disconnections), 1U);
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 2; }));
}

TEST(NetworkLimits, MoreMessagesAtOnceThanASubscriberMayHaveCutItOff) {
  NetworkServer server(limited([](Settings& settings) { settings.pubsub_output_limit = kMegabyte; }));
  Socket subscriber = server.connect();
  const std::string confirmed = array_text({bulk_text("subscribe"), bulk_text("c"), integer_text(1)});
  ASSERT_EQ(subscriber.ask("SUBSCRIBE c\r\n", confirmed), confirmed);
  Socket publisher = server.connect();
  const std::string too_much = request_text({"PUBLISH", "c", std::string(2 * kMegabyte, 'm')});
  EXPECT_EQ(publisher.ask(too_much, ":1\r\n"), ":1\r\n");
  EXPECT_EQ(subscriber.receive_all(), "");
}

TEST(NetworkLimits, EndlessPipelinesAreToldSo) {
  NetworkServer server(limited([](Settings& settings) { settings.pipeline_depth = 1000; }));
  Socket socket = server.connect();
  const std::string word(8192, 'e');
  const std::string request = request_text({"ECHO", word});
  const std::string reply = bulk_text(word);
  const auto is_cut = [&] { return server.server().figures.sum(Figures::output_limit_disconnections) != 0; };
  // Without reading, until it is too much.
  EXPECT_TRUE(eventually([&] {
    for (std::string_view rest = request; !rest.empty() && !is_cut();) {
      const auto sent = socket.try_send(rest);
      if (!sent) return true;
      rest.remove_prefix(*sent);
    }
    return is_cut();
  }));
  const std::string all = socket.receive_all();
  const std::string error = "-ERR more requests than pipeline-depth (1000) without reading the replies\r\n";
  ASSERT_GT(all.size(), error.size());
  EXPECT_EQ(all.substr(all.size() - error.size()), error);
  EXPECT_EQ((all.size() - error.size()) % reply.size(), 0U);
  EXPECT_TRUE(serves(server));
}

TEST(NetworkLimits, DeepPipelinesThatAreReadAreFine) {
  NetworkServer server(limited([](Settings& settings) { settings.pipeline_depth = 1000; }));
  Socket socket = server.connect();
  std::string requests, replies;
  for (int index = 0; index < 20'000; ++index) {
    requests += "PING\r\n";
    replies += "+PONG\r\n";
  }
  EXPECT_TRUE(socket.ask(requests, replies) == replies);
}

/// It is never seen without unread replies, and never has many of them.
TEST(NetworkLimits, WhoReadsWithDelayIsNotCutOff) {
  constexpr std::size_t kAhead = 60, kInAll = 200;
  NetworkServer server(limited([](Settings& settings) { settings.pipeline_depth = 100; }));
  Socket socket = server.connect();
  const std::string value(kMegabyte / 2, 'v');
  ASSERT_EQ(socket.ask(request_text({"SET", "v", value}), kOkText), kOkText);
  const std::string reply = bulk_text(value);
  for (std::size_t index = 0; index < kAhead; ++index) socket.send("GET v\r\n");
  for (std::size_t index = 0; index < kInAll; ++index) {
    socket.send("GET v\r\n");
    ASSERT_TRUE(socket.receive(reply.size()) == reply) << index;
  }
  EXPECT_EQ(server.server().figures.sum(Figures::output_limit_disconnections), 0U);
}

TEST(NetworkLimits, LargeRequestsAreRefused) {
  NetworkServer server(limited([](Settings& settings) {
    settings.client_query_buffer_limit = kMegabyte;
    settings.proto_max_bulk_len = kMegabyte / 2;
  }));
  Socket socket = server.connect();
  socket.send("*2\r\n$4\r\nECHO\r\n$600000\r\n");
  EXPECT_EQ(socket.receive_all(), "-ERR Protocol error: invalid bulk length\r\n");
  Socket second = server.connect();
  second.send("*4\r\n$4\r\nMGET\r\n$400000\r\n" + std::string(400'000, 'a') + "\r\n$400000\r\n" + std::string(400'000, 'a') +
              "\r\n$400000\r\n");
  EXPECT_EQ(second.receive_all(), "-ERR Protocol error: the request is too large\r\n");
}

TEST(NetworkLimits, LargeTransactionsAreRefused) {
  NetworkServer server(limited([](Settings& settings) { settings.client_query_buffer_limit = kMegabyte; }));
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask("MULTI\r\n", kOkText), kOkText);
  std::string requests;
  for (int index = 0; index < 100'000; ++index) requests += "PING\r\n";
  socket.try_send(requests);
  const std::string replies = socket.receive_all();
  const std::string error = "-ERR the transaction is larger than client-query-buffer-limit\r\n";
  ASSERT_GT(replies.size(), error.size());
  EXPECT_EQ(replies.substr(replies.size() - error.size()), error);
  EXPECT_TRUE(serves(server));
}

TEST(NetworkLimits, StrangersMaySayLittle) {
  NetworkServer server(limited([](Settings& settings) { settings.requirepass = "secret"; }));
  Socket socket = server.connect();
  socket.send("*2\r\n$4\r\nAUTH\r\n$20000\r\n");
  EXPECT_EQ(socket.receive_all(), "-ERR Protocol error: unauthenticated bulk length\r\n");
  // Behind the password, in the same piece, other limits count.
  Socket second = server.connect();
  const std::string word(20'000, 'w');
  const std::string expected = kOkText + bulk_text(word);
  EXPECT_EQ(second.ask("AUTH secret\r\n" + request_text({"ECHO", word}), expected), expected);
}

TEST(NetworkLimits, TheIdleAreSentAwayButNotWhoWaits) {
  NetworkServer server(limited([](Settings& settings) { settings.timeout = 1; }));
  Socket idle = server.connect();
  Socket blocked = server.connect();
  blocked.send("BLPOP l 0\r\n");
  Socket subscriber = server.connect();
  const std::string confirmed = array_text({bulk_text("subscribe"), bulk_text("c"), integer_text(1)});
  ASSERT_EQ(subscriber.ask("SUBSCRIBE c\r\n", confirmed), confirmed);
  EXPECT_EQ(idle.receive_all(), "");
  // They have been idle as long.
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 2; }));
  Socket other = server.connect();
  EXPECT_EQ(other.ask("RPUSH l x\r\nPUBLISH c m\r\n", ":1\r\n:1\r\n"), ":1\r\n:1\r\n");
  const std::string popped = bulks_text({"l", "x"});
  EXPECT_EQ(blocked.receive(popped.size()), popped);
}

TEST(NetworkLimits, NoMoreClientsThanThereMayBe) {
  NetworkServer server(limited([](Settings& settings) { settings.maxclients = 10; }));
  std::vector<std::unique_ptr<Socket>> sockets;
  for (int index = 0; index < 30; ++index) sockets.push_back(std::make_unique<Socket>(server.connect()));
  for (std::size_t index = 0; index < sockets.size(); ++index) {
    if (index < 10) {
      EXPECT_EQ(sockets[index]->ask("PING\r\n", "+PONG\r\n"), "+PONG\r\n") << index;
    } else {
      EXPECT_EQ(sockets[index]->receive_all(), "-ERR max number of clients reached\r\n") << index;
    }
  }
  EXPECT_EQ(server.server().figures.sum(Figures::rejected_connections), 20U);
  sockets[3]->cut();
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 9; }));
  EXPECT_TRUE(serves(server));
}

}  // namespace

}  // namespace cubby::server
