// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

constexpr const char* kWrongPasswordText = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

/// HELLO's reply behind its head.
std::string hello_text(int protocol, std::uint64_t id) {
  return bulk_text("server") + bulk_text("redis") + bulk_text("version") + bulk_text("7.0.15") + bulk_text("proto") +
         integer_text(protocol) + bulk_text("id") + integer_text(static_cast<long long>(id)) + bulk_text("mode") +
         bulk_text("standalone") + bulk_text("role") + bulk_text("master") + bulk_text("modules") + "*0\r\n";
}

class ConnectionCommands : public ::testing::Test {
 protected:
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

class ProtectedServer : public ::testing::Test {
 protected:
  static Settings with_password() {
    Settings settings;
    settings.requirepass = "open sesame";
    return settings;
  }
  testing::TestServer server{with_password()};
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(ConnectionCommands, PingAndEcho) {
  EXPECT_EQ(client->line("PING"), "+PONG\r\n");
  EXPECT_EQ(client->line("ping hello"), bulk_text("hello"));
  EXPECT_EQ(client->line("PING a b"), "-ERR wrong number of arguments for 'ping' command\r\n");
  EXPECT_EQ(client->command({"ECHO", std::string_view("a\0\r\n", 4)}), bulk_text(std::string_view("a\0\r\n", 4)));
  EXPECT_EQ(client->line("ECHO"), "-ERR wrong number of arguments for 'echo' command\r\n");
}

TEST_F(ConnectionCommands, PingOfASubscriber) {
  client->line("SUBSCRIBE c");
  EXPECT_EQ(client->line("PING"), bulks_text({"pong", ""}));
  EXPECT_EQ(client->line("PING x"), bulks_text({"pong", "x"}));
  client->line("RESET");
  client->line("HELLO 3");
  client->line("SUBSCRIBE c");
  EXPECT_EQ(client->line("PING"), "+PONG\r\n");
}

TEST_F(ConnectionCommands, HelloChoosesTheProtocol) {
  EXPECT_EQ(client->line("HELLO"), "*14\r\n" + hello_text(2, client->id()));
  EXPECT_EQ(client->line("GET nothing"), kNullText);
  EXPECT_EQ(client->line("HELLO 3 SETNAME joe"), "%7\r\n" + hello_text(3, client->id()));
  EXPECT_EQ(client->line("GET nothing"), "_\r\n");
  EXPECT_EQ(client->line("CLIENT GETNAME"), bulk_text("joe"));
  EXPECT_EQ(client->line("HELLO"), "%7\r\n" + hello_text(3, client->id()));
  EXPECT_EQ(client->line("HELLO 2"), "*14\r\n" + hello_text(2, client->id()));
}

TEST_F(ConnectionCommands, HelloChangesNothingIfItFails) {
  EXPECT_EQ(client->line("HELLO 4"), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_EQ(client->line("HELLO three"), "-ERR Protocol version is not an integer or out of range\r\n");
  EXPECT_EQ(client->line("HELLO 3 SETNAME"), "-ERR Syntax error in HELLO option 'SETNAME'\r\n");
  EXPECT_EQ(client->line("HELLO 3 AUTH default"), "-ERR Syntax error in HELLO option 'AUTH'\r\n");
  EXPECT_EQ(client->line("HELLO 3 SETNAME joe AUTH nobody x"), kWrongPasswordText);
  EXPECT_EQ(client->command({"HELLO", "3", "SETNAME", "a b"}),
            "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  EXPECT_EQ(client->protocol, 2);
  EXPECT_EQ(client->line("CLIENT GETNAME"), kNullText);
}

TEST_F(ConnectionCommands, HelloInATransactionIsSeenBehindIt) {
  client->line("MULTI");
  client->line("HELLO 3");
  client->line("GET nothing");
  EXPECT_EQ(client->line("EXEC"), "*2\r\n%7\r\n" + hello_text(3, client->id()) + "_\r\n");
}

TEST_F(ConnectionCommands, AuthWithoutPasswords) {
  EXPECT_EQ(
      client->line("AUTH x"),
      "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is "
      "correct?\r\n");
  EXPECT_EQ(client->line("AUTH default anything"), kOkText);
  EXPECT_EQ(client->line("AUTH nobody x"), kWrongPasswordText);
  EXPECT_EQ(client->line("AUTH a b c"), kSyntaxText);
}

TEST_F(ProtectedServer, NothingButSigningInIsAllowed) {
  EXPECT_EQ(client->line("PING"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(
      client->line("HELLO 3"),
      "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> option can "
      "be used to authenticate the client and select the RESP protocol version at the same time\r\n");
  EXPECT_EQ(client->line("HELLO 9"), "-NOPROTO unsupported protocol version\r\n");
  EXPECT_EQ(client->command({"AUTH", "open sesame"}), kOkText);
  EXPECT_EQ(client->line("PING"), "+PONG\r\n");
  EXPECT_EQ(client->line("RESET"), "+RESET\r\n");
  EXPECT_EQ(client->line("PING"), "-NOAUTH Authentication required.\r\n");
}

TEST_F(ProtectedServer, FailuresAreCounted) {
  for (const char* line : {"AUTH sesame", "AUTH default sesame", "HELLO 3 AUTH default sesame"}) {
    EXPECT_EQ(client->line(line), kWrongPasswordText);
    EXPECT_TRUE(client->sign_in_failed()) << line;
  }
  EXPECT_EQ(server.server().figures.sum(Figures::auth_failures), 3U);
  EXPECT_EQ(client->command({"HELLO", "3", "AUTH", "default", "open sesame"}), "%7\r\n" + hello_text(3, client->id()));
  EXPECT_FALSE(client->sign_in_failed());
  EXPECT_EQ(server.server().figures.sum(Figures::auth_failures), 3U);
}

/// Whoever has a password may try others no faster.
TEST_F(ProtectedServer, NothingRunsTogetherWithAWrongPassword) {
  EXPECT_EQ(client->command({"AUTH", "open sesame"}), kOkText);
  EXPECT_EQ(client->pipeline({{"ECHO", "a"}, {"AUTH", "sesame"}, {"AUTH", "open sesame"}, {"PING"}}),
            bulk_text("a") + kWrongPasswordText);
  EXPECT_EQ(client->pipeline({{"AUTH", "open sesame"}, {"PING"}}), std::string(kOkText) + "+PONG\r\n");
}

TEST_F(ProtectedServer, ATransactionTriesOneWrongPassword) {
  EXPECT_EQ(client->command({"AUTH", "open sesame"}), kOkText);
  client->line("MULTI");
  client->command({"AUTH", "open sesame"});
  for (int guess = 0; guess < 3; ++guess) client->line("AUTH sesame");
  client->line("HELLO 3 AUTH default sesame");
  client->command({"AUTH", "open sesame"});
  client->line("PING");
  const std::string unseen = "-ERR the password isn't looked at: one before it in the transaction was wrong\r\n";
  EXPECT_EQ(client->line("EXEC"),
            std::string("*7\r\n") + kOkText + kWrongPasswordText + unseen + unseen + unseen + unseen + "+PONG\r\n");
  EXPECT_TRUE(client->sign_in_failed());
  EXPECT_EQ(server.server().figures.sum(Figures::auth_failures), 1U);
  EXPECT_EQ(client->command({"AUTH", "open sesame"}), kOkText);
}

TEST_F(ConnectionCommands, SelectGoesToAnotherStore) {
  client->line("SET a 1");
  EXPECT_EQ(client->line("SELECT 3"), kOkText);
  EXPECT_EQ(client->line("GET a"), kNullText);
  EXPECT_EQ(client->store_name, "db3");
  EXPECT_EQ(client->line("SELECT 16"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(client->line("SELECT -1"), "-ERR DB index is out of range\r\n");
  EXPECT_EQ(client->line("SELECT x"), kNotIntegerText);
  EXPECT_EQ(client->line("SELECT 01"), kNotIntegerText);
  EXPECT_EQ(client->line("SELECT 2147483648"), "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  EXPECT_EQ(client->store_name, "db3");
  EXPECT_EQ(client->line("SELECT 0"), kOkText);
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
}

TEST_F(ConnectionCommands, QuitCloses) {
  client->line("MULTI");
  EXPECT_EQ(client->line("QUIT now"), kOkText);
  EXPECT_TRUE(client->closing);
}

TEST_F(ConnectionCommands, ResetForgetsTheSession) {
  for (const char* text : {"HELLO 3 SETNAME joe", "SELECT 2", "SUBSCRIBE c", "PSUBSCRIBE p*", "WATCH k", "MULTI", "GET k"}) {
    client->line(text);
  }
  EXPECT_EQ(client->line("RESET x"), "-ERR wrong number of arguments for 'reset' command\r\n");
  EXPECT_EQ(client->line("RESET"), "+RESET\r\n");
  EXPECT_EQ(client->line("GET nothing"), kNullText);
  EXPECT_EQ(client->line("CLIENT GETNAME"), kNullText);
  EXPECT_EQ(client->line("EXEC"), "-ERR EXEC without MULTI\r\n");
  EXPECT_EQ(client->store_name, "db0");
  EXPECT_FALSE(server.server().pubsub.anybody());
}

}  // namespace

}  // namespace cubby::server
