// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

/// MULTI, EXEC, DISCARD, WATCH, UNWATCH.

namespace cubby::server {

namespace {

constexpr const char* kQueuedText = "+QUEUED\r\n";
constexpr const char* kAbortText = "-EXECABORT Transaction discarded because of previous errors.\r\n";

class Transactions : public ::testing::Test {
 protected:
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
  const std::shared_ptr<testing::TestClient> other = server.connect();
};

TEST_F(Transactions, CommandsRunTogether) {
  EXPECT_EQ(client->line("MULTI"), kOkText);
  EXPECT_EQ(client->line("SET a 1"), kQueuedText);
  EXPECT_EQ(client->line("INCR a"), kQueuedText);
  EXPECT_EQ(client->line("LPUSH a x"), kQueuedText);
  EXPECT_EQ(client->line("GET a"), kQueuedText);
  EXPECT_EQ(other->line("GET a"), kNullText);
  EXPECT_EQ(client->line("EXEC"), array_text({kOkText, integer_text(2), kWrongTypeText, bulk_text("2")}));
  EXPECT_EQ(other->line("GET a"), bulk_text("2"));
}

TEST_F(Transactions, AnEmptyOne) {
  client->line("MULTI");
  EXPECT_EQ(client->line("EXEC"), array_text({}));
}

TEST_F(Transactions, WhatIsOutOfPlace) {
  EXPECT_EQ(client->line("EXEC"), "-ERR EXEC without MULTI\r\n");
  EXPECT_EQ(client->line("DISCARD"), "-ERR DISCARD without MULTI\r\n");
  client->line("MULTI");
  EXPECT_EQ(client->line("MULTI"), "-ERR MULTI calls can not be nested\r\n");
  EXPECT_EQ(client->line("WATCH a"), "-ERR WATCH inside MULTI is not allowed\r\n");
  EXPECT_EQ(client->line("EXEC"), array_text({}));
}

TEST_F(Transactions, DiscardForgets) {
  client->line("MULTI");
  client->line("SET a 1");
  EXPECT_EQ(client->line("DISCARD"), kOkText);
  EXPECT_EQ(client->line("GET a"), kNullText);
  EXPECT_EQ(client->line("EXEC"), "-ERR EXEC without MULTI\r\n");
}

TEST_F(Transactions, WhatCannotBeQueuedEndsIt) {
  for (const char* wrong : {"GET", "FOO", "SAVE", "MULTI x", "CLIENT FOO", "CLIENT SETNAME", "EXEC x"}) {
    client->line("MULTI");
    EXPECT_EQ(client->line("SET a 1"), kQueuedText);
    EXPECT_EQ(client->line(wrong).substr(0, 4), std::string_view(wrong) == "EXEC x" ? "-EXE" : "-ERR") << wrong;
    const std::string end = client->line("EXEC");
    // A wrong EXEC has ended it already.
    EXPECT_EQ(end, std::string_view(wrong) == "EXEC x" ? "-ERR EXEC without MULTI\r\n" : kAbortText) << wrong;
    EXPECT_EQ(client->line("GET a"), kNullText) << wrong;
  }
}

TEST_F(Transactions, SavingIsNotForThem) {
  client->line("MULTI");
  EXPECT_EQ(client->line("SAVE"), "-ERR Command not allowed inside a transaction\r\n");
  EXPECT_EQ(client->line("EXEC"), kAbortText);
}

TEST_F(Transactions, NothingWaitsInThem) {
  client->line("MULTI");
  client->line("BLPOP l 0");
  client->line("BLMOVE l m LEFT LEFT 0");
  client->line("RPUSH l x y");
  client->line("BRPOP l 0");
  EXPECT_EQ(client->line("EXEC"), array_text({kNullArrayText, kNullText, integer_text(2), bulks_text({"l", "y"})}));
}

TEST_F(Transactions, WatchedKeysMustStayUntouched) {
  const auto attempt = [&](auto&& meanwhile) {
    client->line("SET a 1");
    EXPECT_EQ(client->line("WATCH a b"), kOkText);
    meanwhile();
    client->line("MULTI");
    client->line("SET c done");
    return client->line("EXEC");
  };
  const std::string done = array_text({kOkText});
  EXPECT_EQ(attempt([] {}), done);
  EXPECT_EQ(attempt([&] { other->line("SET a 1"); }), kNullArrayText);
  EXPECT_EQ(attempt([&] { other->line("DEL a"); }), kNullArrayText);
  EXPECT_EQ(attempt([&] { other->line("EXPIRE a 100"); }), kNullArrayText);
  EXPECT_EQ(attempt([&] { other->line("SET b 1"); }), kNullArrayText);
  EXPECT_EQ(attempt([&] { other->line("DEL b"); }), kNullArrayText);
  EXPECT_EQ(attempt([&] { other->line("FLUSHDB"); }), kNullArrayText);
  EXPECT_EQ(attempt([&] { client->line("SET a 1"); }), kNullArrayText);  // the client itself
  EXPECT_EQ(attempt([&] { other->line("GET a"); }), done);
  EXPECT_EQ(attempt([&] { other->line("DEL nothing"); }), done);
  EXPECT_EQ(attempt([&] { other->line("SET d 1"); }), done);
}

TEST_F(Transactions, EachEndForgetsTheWatches) {
  client->line("SET a 1");
  for (const char* end : {"UNWATCH", "MULTI EXEC", "MULTI DISCARD", "RESET"}) {
    client->line("WATCH a");
    if (std::string_view(end).starts_with("MULTI")) {
      client->line("MULTI");
      client->line(std::string_view(end).substr(6));
    } else {
      client->line(end);
    }
    other->line("SET a 2");
    client->line("MULTI");
    client->line("PING");
    EXPECT_EQ(client->line("EXEC"), array_text({"+PONG\r\n"})) << end;
  }
}

TEST_F(Transactions, TheFirstWatchOfAKeyCounts) {
  client->line("WATCH a");
  other->line("SET a 1");
  client->line("WATCH a");
  client->line("MULTI");
  EXPECT_EQ(client->line("EXEC"), kNullArrayText);
}

TEST_F(Transactions, WatchesBelongToTheirStore) {
  client->line("WATCH a");
  client->line("SELECT 1");
  client->line("WATCH b");
  other->line("SELECT 1");
  other->line("SET a 1");
  client->line("MULTI");
  client->line("SET a 2");
  EXPECT_EQ(client->line("EXEC"), array_text({kOkText})) << "a of another store was touched";
  client->line("SELECT 0");
  for (const char* command : {"PING", "SET c 1", "DBSIZE", "SELECT 0"}) {
    client->line("WATCH a");
    client->line("SELECT 1");
    other->line("SELECT 0");
    other->line("SET a 1");
    client->line("MULTI");
    client->line(command);
    EXPECT_EQ(client->line("EXEC"), kNullArrayText) << command;
    client->line("SELECT 0");
  }
}

TEST_F(Transactions, SelectWithinLeadsToAnotherStore) {
  client->line("MULTI");
  client->line("SET a 0");
  client->line("SELECT 3");
  client->line("SET a 3");
  client->line("SELECT 99");
  client->line("GET a");
  client->line("DBSIZE");
  EXPECT_EQ(client->line("EXEC"),
            array_text({kOkText, kOkText, kOkText, "-ERR DB index is out of range\r\n", bulk_text("3"), integer_text(1)}));
  EXPECT_EQ(client->line("GET a"), bulk_text("3"));
  EXPECT_EQ(other->line("GET a"), bulk_text("0"));
}

TEST_F(Transactions, ATouchedWatchLeavesTheClientWhereItWas) {
  client->line("WATCH a");
  other->line("SET a 1");
  client->line("MULTI");
  client->line("SELECT 3");
  client->line("SET a 3");
  EXPECT_EQ(client->line("EXEC"), kNullArrayText);
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
}

TEST_F(Transactions, ResetAndQuitEndThem) {
  client->line("MULTI");
  client->line("SET a 1");
  EXPECT_EQ(client->line("RESET"), "+RESET\r\n");
  EXPECT_EQ(client->line("EXEC"), "-ERR EXEC without MULTI\r\n");
  client->line("MULTI");
  EXPECT_EQ(client->line("QUIT"), kOkText);
  EXPECT_TRUE(client->closing);
}

TEST_F(Transactions, RepliesSpeakTheProtocolOfTheirTime) {
  client->line("MULTI");
  client->line("GET a");
  client->line("HELLO 3");
  client->line("GET a");
  const std::string replies = client->line("EXEC");
  EXPECT_TRUE(replies.starts_with("*3\r\n$-1\r\n%7\r\n")) << replies;
  EXPECT_TRUE(replies.ends_with("_\r\n")) << replies;
}

TEST_F(Transactions, TheyWakeWhoWaits) {
  other->send({"BLPOP", "l", "0"});
  client->line("MULTI");
  client->line("RPUSH l a b c");
  client->line("LPOP l");
  EXPECT_EQ(client->line("EXEC"), array_text({integer_text(3), bulk_text("a")}));
  EXPECT_EQ(other->take_output(), bulks_text({"l", "b"}));
}

TEST_F(Transactions, MuchThatIsQueuedCounts) {
  client->line("MULTI");
  client->line("PING");
  EXPECT_GE(client->queued_bytes, 50U) << "the memory, not the bytes of the arguments";
  client->line("DISCARD");
  EXPECT_EQ(client->queued_bytes, 0U);
}

TEST_F(Transactions, ThereAreSoManyWatchesAndNoMore) {
  std::vector<std::string> words{"WATCH"};
  for (std::size_t index = 0; index < Watches::kMost; ++index) words.push_back("k" + std::to_string(index));
  EXPECT_EQ(client->command(words), kOkText);
  EXPECT_EQ(client->command(words), kOkText) << "they are known already";
  EXPECT_EQ(client->line("WATCH another"), "-ERR too many keys are watched (10000 at most)\r\n");
  EXPECT_EQ(client->line("UNWATCH"), kOkText);
  EXPECT_EQ(client->line("WATCH another"), kOkText);
  EXPECT_EQ(server.server().watched_memory, 0U) << "of keys that are absent";
}

TEST_F(Transactions, WatchesDoNotKeepWhatHasBeenReplaced) {
  const std::string large(5'000'000, 'x');
  client->command({"SET", "k", large});
  client->command({"SET", "l", large});
  client->line("WATCH k");
  other->line("WATCH l");
  EXPECT_GE(server.server().watched_memory, 10'000'000U);
  server.server().refresh_memory();
  EXPECT_EQ(client->line("PING"), "+PONG\r\n");  // runs what was posted
  EXPECT_GE(server.server().watched_memory, 10'000'000U) << "they are there still";
  client->line("DEL k");
  server.server().refresh_memory();
  client->line("PING");
  other->line("PING");
  EXPECT_LT(server.server().watched_memory, 6'000'000U);
  EXPECT_EQ(client->line("WATCH k m"), kOkText);
  client->line("MULTI");
  EXPECT_EQ(client->line("EXEC"), kNullArrayText) << "it stays touched";
  client->line("WATCH k");
  client->line("MULTI");
  EXPECT_EQ(client->line("EXEC"), array_text({}));
  other->line("MULTI");
  other->line("PING");
  EXPECT_EQ(other->line("EXEC"), array_text({"+PONG\r\n"}));
  EXPECT_EQ(server.server().watched_memory, 0U);
}

/// What WATCH is for: counters that clients read and write again, with SELECT in the transaction or without.
TEST_F(Transactions, NoIncrementIsLost) {
  constexpr int kClients = 4, kIncrements = 200;
  std::vector<std::thread> threads;
  for (int index = 0; index < kClients; ++index) {
    threads.emplace_back([&, index] {
      const auto mine = server.connect();
      for (int done = 0; done < kIncrements;) {
        mine->line("WATCH n");
        const std::string text = mine->line("GET n");
        const int number = text == kNullText ? 0 : std::stoi(text.substr(text.find('\n') + 1));
        mine->line("MULTI");
        if (index % 2 == 0) mine->line("SELECT 0");
        mine->line("SET n " + std::to_string(number + 1));
        if (mine->line("EXEC") != kNullArrayText) ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(client->line("GET n"), bulk_text(std::to_string(kClients * kIncrements)));
}

}  // namespace

}  // namespace cubby::server
