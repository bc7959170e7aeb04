// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

class BlockingLists : public ::testing::Test {
 protected:
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
  const std::shared_ptr<testing::TestClient> sleeper = server.connect();
};

TEST_F(BlockingLists, WhatIsThereIsTakenAtOnce) {
  client->command({"RPUSH", "b", "1", "2", "3", "4", "5", "6"});
  EXPECT_EQ(client->command({"BLPOP", "a", "b", "0"}), bulks_text({"b", "1"}));
  EXPECT_EQ(client->command({"BRPOP", "a", "b", "0"}), bulks_text({"b", "6"}));
  EXPECT_EQ(client->command({"BLMOVE", "b", "c", "LEFT", "RIGHT", "0"}), bulk_text("2"));
  EXPECT_EQ(client->command({"BRPOPLPUSH", "b", "c", "0"}), bulk_text("5"));
  EXPECT_EQ(client->command({"BLMPOP", "0", "2", "a", "b", "RIGHT", "COUNT", "9"}),
            array_text({bulk_text("b"), bulks_text({"4", "3"})}));
  EXPECT_EQ(client->command({"LRANGE", "c", "0", "-1"}), bulks_text({"5", "2"}));
}

TEST_F(BlockingLists, ASleeperGetsWhatComes) {
  sleeper->send({"BLPOP", "a", "b", "0"});
  EXPECT_TRUE(sleeper->blocked());
  EXPECT_EQ(client->command({"RPUSH", "b", "x"}), integer_text(1));
  EXPECT_EQ(sleeper->take_output(), bulks_text({"b", "x"}));
  EXPECT_EQ(client->command({"EXISTS", "b"}), integer_text(0));
}

TEST_F(BlockingLists, SeveralElementsComeAtOneInstant) {
  sleeper->send({"BLPOP", "l", "0"});
  EXPECT_EQ(client->command({"LPUSH", "l", "a", "b", "c"}), integer_text(3));
  EXPECT_EQ(sleeper->take_output(), bulks_text({"l", "c"}));
  client->command({"DEL", "l"});
  sleeper->send({"BRPOP", "l", "0"});
  EXPECT_EQ(client->command({"RPUSH", "l", "a", "b", "c"}), integer_text(3));
  EXPECT_EQ(sleeper->take_output(), bulks_text({"l", "c"}));
  EXPECT_EQ(client->command({"LRANGE", "l", "0", "-1"}), bulks_text({"a", "b"}));
}

TEST_F(BlockingLists, SleepersAreServedInOrderOfArrival) {
  const std::shared_ptr<testing::TestClient> second = server.connect();
  sleeper->send({"BLPOP", "l", "0"});
  second->send({"BLPOP", "l", "0"});
  client->command({"RPUSH", "l", "1"});
  client->command({"RPUSH", "l", "2"});
  EXPECT_EQ(sleeper->take_output(), bulks_text({"l", "1"}));
  EXPECT_EQ(second->take_output(), bulks_text({"l", "2"}));
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
}

TEST_F(BlockingLists, MovesWaitForTheirSource) {
  sleeper->send({"BLMOVE", "a", "b", "RIGHT", "LEFT", "0"});
  client->command({"RPUSH", "b", "old"});
  client->command({"RPUSH", "a", "1", "2"});
  EXPECT_EQ(sleeper->take_output(), bulk_text("2"));
  EXPECT_EQ(client->command({"LRANGE", "b", "0", "-1"}), bulks_text({"2", "old"}));
  sleeper->send({"BRPOPLPUSH", "c", "c", "0"});
  client->command({"RPUSH", "c", "1", "2"});
  EXPECT_EQ(sleeper->take_output(), bulk_text("2"));
  EXPECT_EQ(client->command({"LRANGE", "c", "0", "-1"}), bulks_text({"2", "1"}));
}

TEST_F(BlockingLists, AMoveWakesWhoWaitsForItsDestination) {
  const std::shared_ptr<testing::TestClient> second = server.connect();
  sleeper->send({"BLMOVE", "a", "b", "LEFT", "LEFT", "0"});
  second->send({"BLPOP", "b", "0"});
  client->command({"RPUSH", "a", "1"});
  EXPECT_EQ(sleeper->take_output(), bulk_text("1"));
  EXPECT_EQ(second->take_output(), bulks_text({"b", "1"}));
}

TEST_F(BlockingLists, MultiPopTakesAsManyAsItMay) {
  sleeper->send({"BLMPOP", "0", "2", "a", "b", "RIGHT", "COUNT", "2"});
  client->command({"RPUSH", "b", "1", "2", "3"});
  EXPECT_EQ(sleeper->take_output(), array_text({bulk_text("b"), bulks_text({"3", "2"})}));
}

TEST_F(BlockingLists, ATransactionWakesAtItsEnd) {
  sleeper->send({"BLPOP", "l", "0"});
  client->command({"MULTI"});
  client->command({"RPUSH", "l", "a"});
  client->command({"RPUSH", "l", "b"});
  client->command({"LPOP", "l"});
  client->command({"EXEC"});
  EXPECT_EQ(sleeper->take_output(), bulks_text({"l", "b"}));
}

TEST_F(BlockingLists, InATransactionNobodyWaits) {
  client->command({"MULTI"});
  client->command({"BLPOP", "a", "0"});
  client->command({"BRPOP", "a", "0"});
  client->command({"BLMOVE", "a", "b", "LEFT", "LEFT", "0"});
  client->command({"BRPOPLPUSH", "a", "b", "0"});
  client->command({"BLMPOP", "0", "1", "a", "LEFT"});
  client->command({"RPUSH", "a", "x"});
  client->command({"BLPOP", "a", "0"});
  EXPECT_EQ(client->command({"EXEC"}), array_text({kNullArrayText, kNullArrayText, kNullText, kNullText, kNullArrayText,
                                                   integer_text(1), bulks_text({"a", "x"})}));
}

TEST_F(BlockingLists, TimeoutsReplyNull) {
  const auto ends = [&](std::initializer_list<std::string_view> arguments) {
    sleeper->send(arguments);
    return sleeper->take_output();
  };
  EXPECT_EQ(ends({"BLPOP", "a", "0.01"}), kNullArrayText);
  EXPECT_EQ(ends({"BRPOP", "a", "b", "0.01"}), kNullArrayText);
  EXPECT_EQ(ends({"BLMOVE", "a", "b", "LEFT", "LEFT", "0.01"}), kNullArrayText);
  EXPECT_EQ(ends({"BRPOPLPUSH", "a", "b", "0.01"}), kNullArrayText);
  EXPECT_EQ(ends({"BLMPOP", "0.01", "1", "a", "LEFT"}), kNullArrayText);
  EXPECT_EQ(ends({"PING"}), "+PONG\r\n");
}

TEST_F(BlockingLists, NothingIsTakenForAClientThatIsGone) {
  sleeper->send({"BLPOP", "l", "0"});
  sleeper->disconnect();
  client->command({"RPUSH", "l", "a"});
  EXPECT_EQ(client->command({"LRANGE", "l", "0", "-1"}), bulks_text({"a"}));
}

TEST_F(BlockingLists, OtherTypesAreRefusedAtOnceAndPassedOverLater) {
  client->command({"SET", "s", "x"});
  EXPECT_EQ(client->command({"BLPOP", "none", "s", "0"}), kWrongTypeText);
  EXPECT_EQ(client->command({"BLMPOP", "0", "1", "s", "LEFT"}), kWrongTypeText);
  EXPECT_EQ(client->command({"BLMOVE", "s", "b", "LEFT", "LEFT", "0"}), kWrongTypeText);
  sleeper->send({"BLPOP", "a", "b", "0"});
  client->command({"SET", "a", "x"});
  client->command({"RPUSH", "b", "1"});
  EXPECT_EQ(sleeper->take_output(), bulks_text({"b", "1"}));
}

TEST_F(BlockingLists, ADestinationOfAnotherTypeIsAnErrorAndTakesNothing) {
  client->command({"SET", "s", "x"});
  sleeper->send({"BLMOVE", "a", "s", "LEFT", "LEFT", "0"});
  client->command({"RPUSH", "a", "1"});
  EXPECT_EQ(sleeper->take_output(), kWrongTypeText);
  EXPECT_EQ(client->command({"LRANGE", "a", "0", "-1"}), bulks_text({"1"}));
}

TEST(ListEvents, AreToldAsRedisOrdersThem) {
  Settings settings;
  settings.notify_keyspace_events = "Klgh";
  testing::TestServer server(settings);
  const auto client = server.connect();
  const auto listener = server.connect();
  listener->command({"PSUBSCRIBE", "*"});
  const auto told = [&](std::string_view key, std::string_view event) {
    return array_text(
        {bulk_text("pmessage"), bulk_text("*"), bulk_text("__keyspace@0__:" + std::string(key)), bulk_text(event)});
  };
  client->command({"RPUSH", "a", "1", "2"});
  client->command({"LPOP", "a"});
  client->command({"LMOVE", "a", "b", "LEFT", "LEFT"});
  EXPECT_EQ(listener->take_output(),
            told("a", "rpush") + told("a", "lpop") + told("b", "lpush") + told("a", "lpop") + told("a", "del"));
  client->command({"LTRIM", "b", "1", "0"});
  client->command({"HSET", "h", "f", "1"});
  client->command({"HDEL", "h", "f", "g"});
  EXPECT_EQ(listener->take_output(),
            told("b", "ltrim") + told("b", "del") + told("h", "hset") + told("h", "hdel") + told("h", "del"));
  const auto sleeper = server.connect();
  sleeper->send({"BRPOP", "a", "0"});
  client->command({"LPUSH", "a", "x", "y"});
  EXPECT_EQ(sleeper->take_output(), bulks_text({"a", "x"}));
  const std::string output = listener->take_output();
  EXPECT_NE(output.find(told("a", "lpush")), std::string::npos);
  EXPECT_NE(output.find(told("a", "rpop")), std::string::npos);
}

TEST_F(BlockingLists, ArgumentsAreCheckedInRedissOrder) {
  EXPECT_EQ(client->command({"BLPOP", "a", "x"}), "-ERR timeout is not a float or out of range\r\n");
  EXPECT_EQ(client->command({"BLPOP", "a", "-1"}), "-ERR timeout is negative\r\n");
  EXPECT_EQ(client->command({"BLMOVE", "a", "b", "UP", "LEFT", "x"}), kSyntaxText);
  EXPECT_EQ(client->command({"BLMOVE", "a", "b", "LEFT", "LEFT", "x"}), "-ERR timeout is not a float or out of range\r\n");
  EXPECT_EQ(client->command({"BRPOPLPUSH", "a", "b", "x"}), "-ERR timeout is not a float or out of range\r\n");
  EXPECT_EQ(client->command({"BLMPOP", "x", "x", "a", "LEFT"}), "-ERR numkeys should be greater than 0\r\n");
  EXPECT_EQ(client->command({"BLMPOP", "x", "1", "a", "LEFT", "COUNT", "0"}), "-ERR count should be greater than 0\r\n");
  EXPECT_EQ(client->command({"BLMPOP", "x", "1", "a", "LEFT"}), "-ERR timeout is not a float or out of range\r\n");
}

}  // namespace

}  // namespace cubby::server
