// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/test_client.hpp"
#include "server/users.hpp"

namespace cubby::server {

namespace {

std::string as_bulk(std::string_view text) { return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n"; }

constexpr std::string_view kNull = "$-1\r\n";

class CubbyCommands : public ::testing::Test {
 protected:
  template <class... Words>
  std::string run(Words... words) {
    return client->command({words...});
  }
  /// The keys that CUBBY.SELECT replies, sorted: the first of each pair of lines of text.
  template <class... Words>
  std::vector<std::string> selected(Words... words) {
    const std::string reply = client->command({"CUBBY.SELECT", words...});
    std::vector<std::string> keys;
    bool is_key = true;
    for (std::size_t at = reply.find("\r\n") + 2; at < reply.size();) {
      const std::size_t line = reply.find("\r\n", at);
      const std::size_t size = std::stoul(reply.substr(at + 1, line - at - 1));
      if (is_key) keys.push_back(reply.substr(line + 2, size));
      is_key = !is_key;
      at = line + 2 + size + 2;
    }
    std::ranges::sort(keys);
    return keys;
  }

  testing::TestServer server;
  std::shared_ptr<testing::TestClient> client = server.connect();
};

using Keys = std::vector<std::string>;

TEST_F(CubbyCommands, WaitHasTheValueAtOnceIfItIsThere) {
  run("SET", "k", "5");
  EXPECT_EQ(run("CUBBY.WAIT", "k", "5", "0"), as_bulk("5"));
  run("SET", "k", "text");
  EXPECT_EQ(run("CUBBY.WAIT", "k", "text", "0"), as_bulk("text"));
}

TEST_F(CubbyCommands, WaitEndsWithAChange) {
  auto other = server.connect();
  run("SET", "k", "1");
  client->send({"CUBBY.WAIT", "k", "0"});
  EXPECT_EQ(other->command({"SET", "k", "1"}), "+OK\r\n");  // equal: no change
  EXPECT_EQ(other->command({"JSON.SET", "k", "$", R"({"a":[1]})"}), "+OK\r\n");
  EXPECT_EQ(client->take_output(), as_bulk(R"({"a":[1]})"));
  client->send({"CUBBY.WAIT", "absent", "0"});
  EXPECT_EQ(other->command({"SET", "absent", "here"}), "+OK\r\n");
  EXPECT_EQ(client->take_output(), as_bulk("here"));
}

TEST_F(CubbyCommands, WaitEndsWithTheValue) {
  auto other = server.connect();
  client->send({"CUBBY.WAIT", "state", "done", "0"});
  EXPECT_EQ(other->command({"SET", "state", "begun"}), "+OK\r\n");
  EXPECT_EQ(other->command({"SET", "state", "done"}), "+OK\r\n");
  EXPECT_EQ(client->take_output(), as_bulk("done"));
}

TEST_F(CubbyCommands, WaitTimesOut) {
  client->send({"CUBBY.WAIT", "k", "0.001"});
  EXPECT_EQ(client->take_output(), kNull);
  client->send({"CUBBY.WAIT", "k", "x", "0.001"});
  EXPECT_EQ(client->take_output(), kNull);
  EXPECT_EQ(run("CUBBY.WAIT", "k", "-1"), "-ERR timeout is negative\r\n");
  EXPECT_EQ(run("CUBBY.WAIT", "k", "x", "y"), "-ERR timeout is not a float or out of range\r\n");
  EXPECT_EQ(run("CUBBY.WAIT", "k"), "-ERR wrong number of arguments for 'cubby.wait' command\r\n");
  EXPECT_EQ(run("CUBBY.WAIT", "k", "x", "1", "1"), "-ERR wrong number of arguments for 'cubby.wait' command\r\n");
}

TEST_F(CubbyCommands, WaitDoesNotWaitInATransaction) {
  run("SET", "k", "1");
  run("MULTI");
  run("CUBBY.WAIT", "k", "0");
  run("CUBBY.WAIT", "k", "2", "0");
  run("CUBBY.WAIT", "k", "1", "0");
  run("SET", "k", "2");
  run("CUBBY.WAIT", "k", "2", "0");
  EXPECT_EQ(run("EXEC"), "*5\r\n$-1\r\n$-1\r\n" + as_bulk("1") + "+OK\r\n" + as_bulk("2"));
}

TEST_F(CubbyCommands, UseGoesToAnyStore) {
  run("SET", "k", "zero");
  EXPECT_EQ(run("CUBBY.USE", "sessions"), "+OK\r\n");
  EXPECT_EQ(run("GET", "k"), kNull);
  run("SET", "k", "other");
  EXPECT_EQ(run("CUBBY.USE", "db0"), "+OK\r\n");
  EXPECT_EQ(run("GET", "k"), as_bulk("zero"));
  EXPECT_EQ(run("CUBBY.USE", "sessions"), "+OK\r\n");
  EXPECT_EQ(run("GET", "k"), as_bulk("other"));
  EXPECT_EQ(run("CUBBY.USE", "../escape").substr(0, 4), "-ERR");
  EXPECT_EQ(run("GET", "k"), as_bulk("other"));
}

TEST_F(CubbyCommands, UseMakesSoManyStoresAndNoMore) {
  server.server().change(std::vector<std::pair<std::string, std::string>>{{"max-stores", "2"}});
  EXPECT_EQ(run("CUBBY.USE", "a"), "+OK\r\n");
  EXPECT_EQ(run("CUBBY.USE", "b"), "+OK\r\n");
  constexpr std::string_view kNoMore = ", and no more can be made: max-stores is 2\r\n";
  EXPECT_EQ(run("CUBBY.USE", "c"), "-ERR there is no store c" + std::string(kNoMore));
  EXPECT_EQ(run("CUBBY.USE", "db16"), "-ERR there is no store db16" + std::string(kNoMore)) << "as SELECT ends at 15";
  EXPECT_EQ(run("CUBBY.USE", "a"), "+OK\r\n");
  EXPECT_EQ(run("CUBBY.USE", "db15"), "+OK\r\n");
  EXPECT_EQ(run("SELECT", "14"), "+OK\r\n");
  server.server().change(std::vector<std::pair<std::string, std::string>>{{"max-stores", "3"}});
  EXPECT_EQ(run("CUBBY.USE", "c"), "+OK\r\n");
}

TEST_F(CubbyCommands, ToMakeAStoreTakesMoreThanToUseIt) {
  EXPECT_EQ(run("CUBBY.USE", "there"), "+OK\r\n");
  User ann("ann");
  ann.apply("+@connection");
  client->user = &ann;
  EXPECT_EQ(run("CUBBY.USE", "new"), "-NOPERM this user has no permissions to make a store\r\n");
  EXPECT_EQ(run("CUBBY.USE", "there"), "+OK\r\n");
  EXPECT_EQ(run("CUBBY.USE", "db7"), "+OK\r\n");
  ann.apply("+@dangerous");
  EXPECT_EQ(run("CUBBY.USE", "new"), "+OK\r\n");
  User bob("bob");
  bob.apply("+@all");
  EXPECT_TRUE(bob.all_commands);
  bob.apply("-@dangerous");
  client->user = &bob;
  EXPECT_EQ(run("CUBBY.USE", "newer"), "-NOPERM this user has no permissions to make a store\r\n");
  bob.apply("+cubby.use");
  EXPECT_EQ(run("CUBBY.USE", "newer"), "+OK\r\n");
  client->user = nullptr;
}

TEST_F(CubbyCommands, SelectCompares) {
  run("JSON.SET", "a", "$", R"({"n":1,"s":"x","l":[10,20]})");
  run("JSON.SET", "b", "$", R"({"n":2.5,"s":"y","m":null})");
  run("JSON.SET", "c", "$", R"({"n":"3"})");
  run("SET", "d", "7");
  EXPECT_EQ(selected("/n", "=", "1"), (Keys{"a"}));
  EXPECT_EQ(selected("/n", "=", "1.0"), (Keys{"a"}));
  EXPECT_EQ(selected("/n", "!=", "1"), (Keys{"b", "c"}));
  EXPECT_EQ(selected("/n", "<", "2.5"), (Keys{"a"}));
  EXPECT_EQ(selected("/n", "<=", "2.5"), (Keys{"a", "b"}));
  EXPECT_EQ(selected("/n", ">", "1"), (Keys{"b"}));
  EXPECT_EQ(selected("/n", ">=", "1"), (Keys{"a", "b"}));
  EXPECT_EQ(selected("/n", ">", "\"2\""), (Keys{"c"}));
  EXPECT_EQ(selected("/s", ">=", "x"), (Keys{"a", "b"}));
  EXPECT_EQ(selected("/s", "=", "\"y\""), (Keys{"b"}));
  EXPECT_EQ(selected("/l/1", "=", "20"), (Keys{"a"}));
  EXPECT_EQ(selected("/l", "=", "[10,20]"), (Keys{"a"}));
  EXPECT_EQ(selected("/m", "exists"), (Keys{"b"}));
  EXPECT_EQ(selected("/m", "=", "null"), (Keys{"b"}));
  EXPECT_EQ(selected("", "=", "7"), (Keys{"d"}));
  EXPECT_EQ(selected("", "EXISTS"), (Keys{"a", "b", "c", "d"}));
  EXPECT_EQ(run("CUBBY.SELECT", "/m", "EXISTS"), "*2\r\n" + as_bulk("b") + as_bulk(R"({"m":null,"n":2.5,"s":"y"})"));
  EXPECT_EQ(run("CUBBY.SELECT", "", "=", "8"), "*0\r\n");
  run("HELLO", "3");
  EXPECT_EQ(run("CUBBY.SELECT", "", "=", "7"), "%1\r\n" + as_bulk("d") + as_bulk("7"));
}

TEST_F(CubbyCommands, SelectComparesNumbersExactly) {
  run("SET", "a", "9007199254740993");  // 2^53 + 1, which no double is
  run("SET", "b", "9223372036854775807");
  EXPECT_EQ(selected("", ">", "9007199254740992.0"), (Keys{"a", "b"}));
  EXPECT_EQ(selected("", "<", "9007199254740994.0"), (Keys{"a"}));
  EXPECT_EQ(selected("", "<", "9223372036854775808"), (Keys{"a", "b"}));
  EXPECT_EQ(selected("", ">", "-1e300"), (Keys{"a", "b"}));
  EXPECT_EQ(selected("", ">=", "1e300"), (Keys{}));
  EXPECT_EQ(selected("", "<", R"({"$numberDouble":"NaN"})"), (Keys{}));
  run("JSON.SET", "a", "$", "-0.5");
  EXPECT_EQ(selected("", "<", "0"), (Keys{"a"}));
  EXPECT_EQ(selected("", ">", "-1"), (Keys{"a", "b"}));
}

TEST_F(CubbyCommands, SelectReadsJsonAndWaitWhatSetStores) {
  run("JSON.SET", "user:7", "$", R"({"active":true,"age":36,"code":"7","name":"Ada"})");
  EXPECT_EQ(selected("/age", ">", "30"), Keys{"user:7"});
  EXPECT_EQ(selected("/active", "=", "true"), Keys{"user:7"});
  EXPECT_EQ(selected("/name", "=", "Ada"), Keys{"user:7"});
  EXPECT_EQ(selected("/code", "=", R"("7")"), Keys{"user:7"});
  EXPECT_EQ(selected("/code", "=", "7"), Keys{});
  run("JSON.SET", "flag", "$", "true");
  client->send({"CUBBY.WAIT", "flag", "true", "0"});
  EXPECT_TRUE(client->blocked()) << "a boolean is not the string true";
  EXPECT_EQ(server.connect()->command({"SET", "flag", "true"}), "+OK\r\n");
  EXPECT_EQ(client->take_output(), as_bulk("true"));
}

TEST_F(CubbyCommands, SelectHasALimit) {
  for (int key = 0; key < 150; ++key) {
    const std::string name = "k" + std::to_string(key);
    run("SET", std::string_view(name), "1");
  }
  EXPECT_EQ(selected("", "=", "1").size(), 100U);
  EXPECT_EQ(selected("", "=", "1", "LIMIT", "7").size(), 7U);
  EXPECT_EQ(selected("", "EXISTS", "limit", "1000").size(), 150U);
}

TEST_F(CubbyCommands, SelectShowsOnlyWhatTheUserMayRead) {
  for (const char* key : {"mine:1", "mine:2", "shown:1", "other:1", "other:2"}) run("SET", key, "1");
  User user("ann");
  for (const char* rule : {"on", "+@all", "~mine:*", "%R~shown:*"}) user.apply(rule);
  client->user = &user;
  EXPECT_EQ(selected("", "=", "1"), (Keys{"mine:1", "mine:2", "shown:1"}));
  EXPECT_EQ(selected("", "=", "1", "LIMIT", "3"), (Keys{"mine:1", "mine:2", "shown:1"}));
}

TEST_F(CubbyCommands, SelectSaysWhatIsWrong) {
  EXPECT_EQ(run("CUBBY.SELECT", "n", "=", "1"), "-ERR a JSON pointer is empty or begins with /\r\n");
  EXPECT_EQ(run("CUBBY.SELECT", "/~", "=", "1"), "-ERR in a JSON pointer ~ is followed by 0 or 1\r\n");
  EXPECT_EQ(run("CUBBY.SELECT", "/n", "~", "1"), "-ERR unknown comparison; there are = != < <= > >= EXISTS\r\n");
  EXPECT_EQ(run("CUBBY.SELECT", "/n", "="), "-ERR wrong number of arguments for 'cubby.select' command\r\n");
  EXPECT_EQ(run("CUBBY.SELECT", "/n", "=", "1", "LIMIT"), "-ERR syntax error\r\n");
  EXPECT_EQ(run("CUBBY.SELECT", "/n", "EXISTS", "1"), "-ERR syntax error\r\n");
  EXPECT_EQ(run("CUBBY.SELECT", "/n", "EXISTS", "LIMIT", "0"), "-ERR LIMIT is not a positive integer or out of range\r\n");
}

}  // namespace

}  // namespace cubby::server
