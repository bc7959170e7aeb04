// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ClientCommands : public ::testing::Test {
 protected:
  static std::string id_of(const Client& client) { return std::to_string(client.id()); }

  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
  const std::shared_ptr<testing::TestClient> other = server.connect();
};

TEST_F(ClientCommands, SubcommandsAreCheckedAsRedisDoes) {
  EXPECT_EQ(client->line("CLIENT"), "-ERR wrong number of arguments for 'client' command\r\n");
  EXPECT_EQ(client->line("CLIENT FOO"), "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n");
  EXPECT_EQ(client->line("client id x"), "-ERR wrong number of arguments for 'client|id' command\r\n");
  EXPECT_EQ(client->command({"CLIENT", std::string_view("a\0b", 3)}), "-ERR unknown subcommand 'a'. Try CLIENT HELP.\r\n");
  EXPECT_EQ(client->command({"CLIENT", std::string(300, 'x')}),
            "-ERR unknown subcommand '" + std::string(128, 'x') + "'. Try CLIENT HELP.\r\n");
  EXPECT_THAT(client->line("CLIENT HELP"), StartsWith("*"));
}

TEST_F(ClientCommands, SubcommandsAreCheckedWhenTheyAreQueued) {
  client->line("MULTI");
  EXPECT_EQ(client->line("CLIENT FOO"), "-ERR unknown subcommand 'FOO'. Try CLIENT HELP.\r\n");
  EXPECT_EQ(client->line("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

TEST_F(ClientCommands, Names) {
  EXPECT_EQ(client->line("CLIENT GETNAME"), kNullText);
  EXPECT_EQ(client->line("CLIENT SETNAME worker-1"), kOkText);
  EXPECT_EQ(client->line("CLIENT GETNAME"), bulk_text("worker-1"));
  for (const char* name : {"a b", "a\n", "\xc3\xa4", "\x7f"}) {
    EXPECT_EQ(client->command({"CLIENT", "SETNAME", name}),
              "-ERR Client names cannot contain spaces, newlines or special characters.\r\n");
  }
  EXPECT_EQ(client->line("CLIENT GETNAME"), bulk_text("worker-1"));
  EXPECT_EQ(client->command({"CLIENT", "SETNAME", ""}), kOkText);
  EXPECT_EQ(client->line("CLIENT GETNAME"), kNullText);
}

TEST_F(ClientCommands, Libraries) {
  EXPECT_EQ(client->line("CLIENT SETINFO LIB-NAME redis-py"), kOkText);
  EXPECT_EQ(client->line("CLIENT SETINFO lib-ver 5.0"), kOkText);
  EXPECT_THAT(client->line("CLIENT INFO"), HasSubstr("lib-name=redis-py lib-ver=5.0\n"));
  EXPECT_EQ(client->line("CLIENT SETINFO LIB-AGE 5"), "-ERR Unrecognized option 'LIB-AGE'\r\n");
  EXPECT_EQ(client->command({"CLIENT", "SETINFO", "lib-name", "a b"}),
            "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n");
}

TEST_F(ClientCommands, InfoDescribesTheClientItself) {
  EXPECT_EQ(client->line("CLIENT ID"), integer_text(static_cast<long long>(client->id())));
  client->line("CLIENT SETNAME me");
  client->line("SELECT 2");
  const std::string info = client->line("CLIENT INFO");
  EXPECT_THAT(info, HasSubstr("\r\nid=" + id_of(*client) + " addr=127.0.0.1:1 laddr=127.0.0.1:7379 "));
  EXPECT_THAT(info, HasSubstr(" name=me "));
  EXPECT_THAT(info, HasSubstr(" flags=N db=2 sub=0 psub=0 ssub=0 multi=-1 "));
  EXPECT_THAT(info, HasSubstr(" cmd=client user=default redir=-1 resp=2 "));
  client->line("HELLO 3");
  client->line("SUBSCRIBE a b");
  client->line("PSUBSCRIBE a*");
  const std::string of_subscriber = client->line("CLIENT INFO");
  EXPECT_THAT(of_subscriber, StartsWith("="));
  EXPECT_THAT(of_subscriber, HasSubstr("\r\ntxt:id="));
  EXPECT_THAT(of_subscriber, HasSubstr(" flags=P db=2 sub=2 psub=1 "));
}

TEST_F(ClientCommands, ListChoosesByTypeAndId) {
  other->line("SUBSCRIBE c");
  other->publish_facts();
  const auto lists = [](const std::string& reply, const Client& which) {
    return reply.find("id=" + id_of(which) + " ") != std::string::npos;
  };
  const std::string all = client->line("CLIENT LIST");
  EXPECT_TRUE(lists(all, *client) && lists(all, *other));
  const std::string normal = client->line("CLIENT LIST TYPE normal");
  EXPECT_TRUE(lists(normal, *client) && !lists(normal, *other));
  const std::string subscribers = client->line("CLIENT LIST TYPE PubSub");
  EXPECT_TRUE(!lists(subscribers, *client) && lists(subscribers, *other));
  EXPECT_EQ(client->line("CLIENT LIST TYPE replica"), bulk_text(""));
  EXPECT_EQ(client->line("CLIENT LIST TYPE x"), "-ERR Unknown client type 'x'\r\n");
  const std::string by_id = client->command({"CLIENT", "LIST", "ID", "999999", id_of(*other)});
  EXPECT_TRUE(!lists(by_id, *client) && lists(by_id, *other));
  EXPECT_EQ(client->line("CLIENT LIST ID x"), "-ERR Invalid client ID\r\n");
  EXPECT_EQ(client->line("CLIENT LIST ID"), kSyntaxText);
  EXPECT_EQ(client->line("CLIENT LIST TYPE normal x"), kSyntaxText);
}

TEST_F(ClientCommands, ListShowsWhoIsBlocked) {
  other->send({"BLPOP", "queue", "0"});
  EXPECT_THAT(client->command({"CLIENT", "LIST", "ID", id_of(*other)}), HasSubstr(" flags=b "));
}

TEST_F(ClientCommands, KillById) {
  EXPECT_EQ(client->command({"CLIENT", "KILL", "ID", id_of(*other)}), integer_text(1));
  EXPECT_TRUE(other->killed());
  EXPECT_EQ(client->line("CLIENT KILL ID 999999"), integer_text(0));
  for (const char* id : {"0", "-1", "x", "99999999999999999999"}) {
    EXPECT_EQ(client->command({"CLIENT", "KILL", "ID", id}), "-ERR client-id should be greater than 0\r\n");
  }
}

TEST_F(ClientCommands, KillSparesTheCallerUnlessToldOtherwise) {
  EXPECT_EQ(client->line("CLIENT KILL TYPE normal"), integer_text(1));
  EXPECT_TRUE(other->killed());
  EXPECT_FALSE(client->closing);
  EXPECT_EQ(client->line("CLIENT KILL TYPE normal SKIPME no"), integer_text(2));
  EXPECT_TRUE(client->closing);
  EXPECT_FALSE(client->killed());  // its reply has to be sent first
}

TEST_F(ClientCommands, KillByAddress) {
  EXPECT_EQ(client->line("CLIENT KILL 1.2.3.4:5"), "-ERR No such client\r\n");
  EXPECT_EQ(client->line("CLIENT KILL ADDR 1.2.3.4:5"), integer_text(0));
  EXPECT_EQ(client->line("CLIENT KILL LADDR 127.0.0.1:7379 ADDR 127.0.0.1:1"), integer_text(1));
  EXPECT_TRUE(other->killed());
  EXPECT_EQ(client->line("CLIENT KILL 127.0.0.1:1"), kOkText);
  EXPECT_TRUE(client->closing);
}

TEST_F(ClientCommands, KillLooksAtAllOptionsFirst) {
  EXPECT_EQ(client->line("CLIENT KILL TYPE normal SKIPME maybe"), kSyntaxText);
  EXPECT_EQ(client->line("CLIENT KILL TYPE normal ADDR"), kSyntaxText);
  EXPECT_EQ(client->line("CLIENT KILL TYPE normal FOO bar"), kSyntaxText);
  EXPECT_EQ(client->line("CLIENT KILL TYPE normal USER nobody"), "-ERR No such user 'nobody'\r\n");
  EXPECT_EQ(client->line("CLIENT KILL TYPE what ID 1"), "-ERR Unknown client type 'what'\r\n");
  EXPECT_FALSE(other->killed());
  EXPECT_EQ(client->line("CLIENT KILL USER default"), integer_text(1));
}

TEST_F(ClientCommands, RepliesCanBeSwitchedOff) {
  EXPECT_EQ(client->line("CLIENT REPLY OFF"), "");
  EXPECT_EQ(client->line("SET a 1"), "");
  EXPECT_EQ(client->line("CLIENT REPLY SKIP"), "");
  EXPECT_EQ(client->line("PING"), "");
  EXPECT_EQ(client->line("CLIENT REPLY ON"), kOkText);
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
  EXPECT_EQ(client->line("CLIENT REPLY SKIP"), "");
  EXPECT_EQ(client->line("PING"), "");
  EXPECT_EQ(client->line("PING"), "+PONG\r\n");
  EXPECT_EQ(client->line("CLIENT REPLY SKIP"), "");
  EXPECT_EQ(client->line("CLIENT REPLY ON"), kOkText);
  EXPECT_EQ(client->line("CLIENT REPLY maybe"), kSyntaxText);
}

TEST_F(ClientCommands, Switches) {
  EXPECT_EQ(client->line("CLIENT NO-EVICT on"), kOkText);
  EXPECT_EQ(client->line("CLIENT NO-TOUCH ON"), kOkText);
  EXPECT_THAT(client->line("CLIENT INFO"), HasSubstr(" flags=eT "));
  EXPECT_EQ(client->line("CLIENT NO-EVICT off"), kOkText);
  EXPECT_EQ(client->line("CLIENT NO-TOUCH off"), kOkText);
  EXPECT_THAT(client->line("CLIENT INFO"), HasSubstr(" flags=N "));
  EXPECT_EQ(client->line("CLIENT NO-EVICT x"), kSyntaxText);
  EXPECT_EQ(client->line("CLIENT GETREDIR"), integer_text(-1));
}

TEST(ClientCommandsOfUsers, AdministrationIsForThoseWhoMay) {
  const std::filesystem::path file = std::filesystem::path(::testing::TempDir()) / "cubby_client_commands_users";
  std::ofstream(file) << "user joe on nopass ~* &* +@all -@dangerous\n"
                         "user ann on nopass ~* &* +@connection +@dangerous\n";
  Settings settings;
  settings.users = file.string();
  testing::TestServer server(settings);
  const auto client = server.connect();
  client->line("AUTH joe x");
  EXPECT_EQ(client->line("CLIENT ID"), integer_text(static_cast<long long>(client->id())));
  EXPECT_EQ(client->line("CLIENT LIST"), "-NOPERM this user has no permissions to run the 'client|list' command\r\n");
  EXPECT_EQ(client->line("CLIENT KILL ID 1"), "-NOPERM this user has no permissions to run the 'client|kill' command\r\n");
  EXPECT_EQ(client->line("CLIENT NO-EVICT on"),
            "-NOPERM this user has no permissions to run the 'client|no-evict' command\r\n");
  client->line("AUTH ann x");
  EXPECT_THAT(client->line("CLIENT LIST"), HasSubstr(" user=ann "));
  EXPECT_THAT(client->line("CLIENT LIST"), Not(HasSubstr(" user=joe ")));
  std::filesystem::remove(file);
}

}  // namespace

}  // namespace cubby::server
