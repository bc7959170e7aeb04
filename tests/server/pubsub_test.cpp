// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

std::string confirmation_text(std::string_view what, std::string_view name, int count, char head = '*') {
  return head + std::string("3\r\n") + bulk_text(what) + bulk_text(name) + integer_text(count);
}

class PubSubCommands : public ::testing::Test {
 protected:
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
  const std::shared_ptr<testing::TestClient> publisher = server.connect();
};

TEST_F(PubSubCommands, MessagesReachSubscribers) {
  EXPECT_EQ(client->line("SUBSCRIBE a b a"), confirmation_text("subscribe", "a", 1) + confirmation_text("subscribe", "b", 2) +
                                                 confirmation_text("subscribe", "a", 2));
  EXPECT_EQ(publisher->line("PUBLISH a hello"), integer_text(1));
  EXPECT_EQ(client->take_output(), bulks_text({"message", "a", "hello"}));
  EXPECT_EQ(publisher->line("PUBLISH c hello"), integer_text(0));
  EXPECT_EQ(client->line("UNSUBSCRIBE a"), confirmation_text("unsubscribe", "a", 1));
  EXPECT_EQ(publisher->line("PUBLISH a hello"), integer_text(0));
  EXPECT_EQ(client->line("UNSUBSCRIBE"), confirmation_text("unsubscribe", "b", 0));
  EXPECT_EQ(client->line("UNSUBSCRIBE"), "*3\r\n" + bulk_text("unsubscribe") + kNullText + integer_text(0));
  EXPECT_EQ(client->line("UNSUBSCRIBE x"), confirmation_text("unsubscribe", "x", 0));
  EXPECT_FALSE(server.server().pubsub.anybody());
}

TEST_F(PubSubCommands, PatternsCountForThemselves) {
  EXPECT_EQ(client->line("SUBSCRIBE news.art"), confirmation_text("subscribe", "news.art", 1));
  EXPECT_EQ(client->line("PSUBSCRIBE news.* *.art x*"), confirmation_text("psubscribe", "news.*", 2) +
                                                            confirmation_text("psubscribe", "*.art", 3) +
                                                            confirmation_text("psubscribe", "x*", 4));
  EXPECT_EQ(publisher->line("PUBLISH news.art m"), integer_text(3));
  EXPECT_EQ(client->take_output(), bulks_text({"message", "news.art", "m"}) +
                                       bulks_text({"pmessage", "*.art", "news.art", "m"}) +
                                       bulks_text({"pmessage", "news.*", "news.art", "m"}));
  EXPECT_EQ(client->line("PUNSUBSCRIBE"), confirmation_text("punsubscribe", "*.art", 3) +
                                              confirmation_text("punsubscribe", "news.*", 2) +
                                              confirmation_text("punsubscribe", "x*", 1));
}

TEST_F(PubSubCommands, ATransactionTellsWhatItDidInItsOrder) {
  EXPECT_EQ(publisher->line("CONFIG SET notify-keyspace-events Kg$"), "+OK\r\n");
  client->line("PSUBSCRIBE *");
  publisher->line("MULTI");
  publisher->line("SET k v");
  publisher->line("PUBLISH news m");
  publisher->line("DEL k");
  EXPECT_EQ(publisher->line("EXEC"), "*3\r\n+OK\r\n" + integer_text(1) + integer_text(1));
  EXPECT_EQ(client->take_output(), bulks_text({"pmessage", "*", "__keyspace@0__:k", "set"}) +
                                       bulks_text({"pmessage", "*", "news", "m"}) +
                                       bulks_text({"pmessage", "*", "__keyspace@0__:k", "del"}));
}

TEST_F(PubSubCommands, ATransactionWithoutKeysPublishes) {
  client->line("SUBSCRIBE news");
  publisher->line("MULTI");
  publisher->line("PUBLISH news m");
  EXPECT_EQ(publisher->line("EXEC"), "*1\r\n" + integer_text(1));
  EXPECT_EQ(client->take_output(), bulks_text({"message", "news", "m"}));
}

TEST_F(PubSubCommands, TheChannelWithoutAName) {
  client->line("PSUBSCRIBE *");
  EXPECT_EQ(publisher->command({"PUBLISH", "", "m"}), integer_text(0));
  client->command({"SUBSCRIBE", ""});
  EXPECT_EQ(publisher->command({"PUBLISH", "", "m"}), integer_text(1));
  EXPECT_EQ(publisher->line("PUBSUB CHANNELS *"), "*0\r\n");
  EXPECT_EQ(publisher->line("PUBSUB CHANNELS"), bulks_text({""}));
}

TEST_F(PubSubCommands, EachSubscriberHasItsProtocol) {
  client->line("SUBSCRIBE c");
  const auto modern = server.connect();
  modern->line("HELLO 3");
  EXPECT_EQ(modern->line("SUBSCRIBE c"), confirmation_text("subscribe", "c", 1, '>'));
  EXPECT_EQ(publisher->line("PUBLISH c m"), integer_text(2));
  EXPECT_EQ(client->take_output(), bulks_text({"message", "c", "m"}));
  EXPECT_EQ(modern->take_output(), ">3\r\n" + bulk_text("message") + bulk_text("c") + bulk_text("m"));
  modern->line("HELLO 2");
  publisher->line("PUBLISH c m");
  EXPECT_EQ(modern->take_output(), bulks_text({"message", "c", "m"}));
}

TEST_F(PubSubCommands, AnOldSubscriberIsRestricted) {
  client->line("SUBSCRIBE c");
  EXPECT_EQ(
      client->line("GET a"),
      "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n");
  EXPECT_EQ(client->line("UNSUBSCRIBE"), confirmation_text("unsubscribe", "c", 0));
  EXPECT_EQ(client->line("GET a"), kNullText);
}

TEST_F(PubSubCommands, AMessageToTheSenderComesBeforeTheReply) {
  client->line("HELLO 3");
  client->line("SUBSCRIBE c");
  EXPECT_EQ(client->line("PUBLISH c m"), ">3\r\n" + bulk_text("message") + bulk_text("c") + bulk_text("m") + integer_text(1));
  client->line("CLIENT REPLY OFF");
  EXPECT_EQ(client->line("PUBLISH c m"), ">3\r\n" + bulk_text("message") + bulk_text("c") + bulk_text("m"));
}

TEST_F(PubSubCommands, InATransaction) {
  client->line("MULTI");
  client->line("SUBSCRIBE a");
  client->line("UNSUBSCRIBE a");
  client->line("PUBLISH a m");
  EXPECT_EQ(client->line("EXEC"),
            array_text({confirmation_text("subscribe", "a", 1), confirmation_text("unsubscribe", "a", 0), integer_text(0)}));
}

TEST_F(PubSubCommands, AskingWhoListens) {
  client->line("SUBSCRIBE a b");
  client->line("PSUBSCRIBE p* q*");
  const auto second = server.connect();
  second->line("SUBSCRIBE b");
  second->line("PSUBSCRIBE p*");
  EXPECT_EQ(publisher->line("PUBSUB CHANNELS"), bulks_text({"a", "b"}));
  EXPECT_EQ(publisher->line("PUBSUB CHANNELS [b-z]"), bulks_text({"b"}));
  EXPECT_EQ(publisher->line("PUBSUB NUMSUB"), "*0\r\n");
  EXPECT_EQ(publisher->line("PUBSUB NUMSUB b z"),
            array_text({bulk_text("b"), integer_text(2), bulk_text("z"), integer_text(0)}));
  EXPECT_EQ(publisher->line("PUBSUB NUMPAT"), integer_text(2));
  EXPECT_EQ(publisher->line("PUBSUB CHANNELS a b"),
            "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.\r\n");
  EXPECT_EQ(publisher->line("PUBSUB FOO"), "-ERR unknown subcommand 'FOO'. Try PUBSUB HELP.\r\n");
  EXPECT_EQ(publisher->line("PUBSUB NUMPAT x"), "-ERR wrong number of arguments for 'pubsub|numpat' command\r\n");
  second->disconnect();
  EXPECT_EQ(publisher->line("PUBSUB NUMSUB b"), array_text({bulk_text("b"), integer_text(1)}));
}

TEST_F(PubSubCommands, OnesOwnOrderIsKept) {
  constexpr int kPublishers = 4;
  constexpr int kMessages = 500;
  client->line("SUBSCRIBE c");
  std::vector<std::thread> threads;
  for (int number = 0; number < kPublishers; ++number) {
    threads.emplace_back([&, number] {
      const auto mine = server.connect();
      for (int message = 0; message < kMessages; ++message) {
        mine->command({"PUBLISH", "c", std::to_string(number) + ":" + std::to_string(message)});
      }
    });
  }
  // Others come and go meanwhile.
  for (int round = 0; round < 200; ++round) {
    const auto guest = server.connect();
    guest->line("SUBSCRIBE c");
    if (round % 2 == 0) guest->line("UNSUBSCRIBE");
  }
  for (std::thread& thread : threads) thread.join();
  const std::string got = client->take_output();
  std::vector<int> next(kPublishers, 0);
  std::size_t place = 0;
  for (int count = 0; count < kPublishers * kMessages; ++count) {
    bool found = false;
    for (int number = 0; number < kPublishers && !found; ++number) {
      const auto which = static_cast<std::size_t>(number);
      const std::string expected = bulks_text({"message", "c", std::to_string(number) + ":" + std::to_string(next[which])});
      found = got.compare(place, expected.size(), expected) == 0;
      if (!found) continue;
      ++next[which];
      place += expected.size();
    }
    ASSERT_TRUE(found) << got.substr(place, 100);
  }
  EXPECT_EQ(place, got.size());
}

TEST(PubSubOfUsers, OnlyTheirChannels) {
  const std::filesystem::path file = std::filesystem::path(::testing::TempDir()) / "cubby_pubsub_users";
  std::ofstream(file) << "user joe on nopass ~* resetchannels &news.* &x +@all\n";
  Settings settings;
  settings.users = file.string();
  testing::TestServer server(settings);
  const auto client = server.connect();
  client->line("AUTH joe x");
  const std::string denied = "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n";
  EXPECT_EQ(client->line("SUBSCRIBE news.1 foo"), denied);
  EXPECT_EQ(client->line("PSUBSCRIBE *"), denied);
  EXPECT_EQ(client->line("PSUBSCRIBE news.1"), denied);
  EXPECT_EQ(client->line("PUBLISH foo m"), denied);
  EXPECT_FALSE(server.server().pubsub.anybody());
  EXPECT_EQ(client->line("PUBLISH news.2 m"), integer_text(0));
  EXPECT_EQ(client->line("PSUBSCRIBE news.*"), confirmation_text("psubscribe", "news.*", 1));
  EXPECT_EQ(client->line("SUBSCRIBE news.3 x"),
            confirmation_text("subscribe", "news.3", 2) + confirmation_text("subscribe", "x", 3));
  std::filesystem::remove(file);
}

}  // namespace

}  // namespace cubby::server
