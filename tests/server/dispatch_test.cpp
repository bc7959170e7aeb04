// SPDX-License-Identifier: Apache-2.0
#include "server/dispatch.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/resp_text.hpp"
#include "server/temporary_folder.hpp"
#include "server/test_client.hpp"

/// What is in a command's way before it runs, in Redis's order and words.

namespace cubby::server {

namespace {

constexpr const char* kOomText = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

class Dispatch : public ::testing::Test {
 protected:
  Dispatch() { use_memory(0); }
  /// As if the network had looked at the stores.
  void use_memory(std::size_t bytes) { server.server().used_memory.store(bytes); }

  testing::TestServer server{[] {
    Settings settings;
    settings.maxmemory = 1000;
    return settings;
  }()};
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(Dispatch, TheMemoryOfClientsCounts) {
  server.server().change(std::vector<std::pair<std::string, std::string>>{{"maxmemory", "10mb"}});
  const auto refused = [&] {
    server.server().refresh_memory();
    return client->line("SET a 1") == kOomText;
  };
  EXPECT_FALSE(refused());
  {
    const auto other = server.connect();
    other->line("MULTI");
    other->command({"PUBLISH", "news", std::string(11 << 20, 'x')});
    EXPECT_TRUE(refused()) << "what it has queued";
    other->line("DISCARD");
    EXPECT_FALSE(refused());
    other->unsent = 11 << 20;
    other->publish_facts();
    EXPECT_TRUE(refused()) << "what it hasn't read";
    other->unsent = 0;
    other->publish_facts();
    EXPECT_FALSE(refused());
    for (int index = 0; index < 100; ++index) other->line("WATCH " + std::string(60'000, 'k') + std::to_string(index));
    EXPECT_TRUE(refused()) << "the names that it watches";
  }
  EXPECT_FALSE(refused()) << "it is gone";
}

TEST_F(Dispatch, UnknownCommandsShowTheirArguments) {
  EXPECT_EQ(client->line("foo"), "-ERR unknown command 'foo', with args beginning with: \r\n");
  EXPECT_EQ(client->command({"FOO", "a", ""}), "-ERR unknown command 'FOO', with args beginning with: 'a' '' \r\n");
  EXPECT_EQ(client->command({"f\r\no", "a\nb"}), "-ERR unknown command 'f  o', with args beginning with: 'a b' \r\n");
  EXPECT_EQ(client->command({""}), "-ERR unknown command '', with args beginning with: \r\n");
}

TEST_F(Dispatch, UnknownCommandsAreShownInPart) {
  const std::string longer(200, 'x');
  const std::string shown(128, 'x');
  EXPECT_EQ(client->command({longer, longer, "b"}),
            "-ERR unknown command '" + shown + "', with args beginning with: '" + shown + "' \r\n");
  const std::string half(100, 'y');
  EXPECT_EQ(client->command({"foo", half, longer, "c"}),
            "-ERR unknown command 'foo', with args beginning with: '" + half + "' '" + std::string(25, 'x') + "' \r\n");
}

TEST_F(Dispatch, NamesAreReadInAnyCase) {
  EXPECT_EQ(client->line("sEt a 1"), kOkText);
  EXPECT_EQ(client->line("gEt a"), bulk_text("1"));
}

TEST_F(Dispatch, ArgumentsAreCounted) {
  EXPECT_EQ(client->line("GET"), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(client->line("GET a b"), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(client->line("DEL"), "-ERR wrong number of arguments for 'del' command\r\n");
  EXPECT_EQ(client->line("CLIENT SETNAME"), "-ERR wrong number of arguments for 'client|setname' command\r\n");
}

TEST_F(Dispatch, WritesAreRefusedWhenMemoryIsFull) {
  EXPECT_EQ(client->line("SET a 1"), kOkText);
  use_memory(1001);
  EXPECT_EQ(client->line("SET a 2"), kOomText);
  EXPECT_EQ(client->line("LPUSH l 2"), kOomText);
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
  EXPECT_EQ(client->line("DEL a"), integer_text(1));
  use_memory(1000);
  EXPECT_EQ(client->line("SET a 2"), kOkText);
}

TEST_F(Dispatch, FullMemoryEndsTransactions) {
  client->line("MULTI");
  use_memory(1001);
  EXPECT_EQ(client->line("SET a 1"), kOomText);
  EXPECT_EQ(client->line("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
  use_memory(0);
  client->line("MULTI");
  client->line("SET a 1");
  use_memory(1001);
  EXPECT_EQ(client->line("EXEC"),
            "-EXECABORT Transaction discarded because of: "
            "command not allowed when used memory > 'maxmemory'.\r\n");
  client->line("MULTI");
  client->line("GET a");
  EXPECT_EQ(client->line("EXEC"), array_text({kNullText}));
}

TEST_F(Dispatch, ASubscriberMayDoLittle) {
  client->line("SUBSCRIBE c");
  const auto refused = [](const std::string& name) {
    return "-ERR Can't execute '" + name +
           "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context\r\n";
  };
  EXPECT_EQ(client->line("GET a"), refused("get"));
  EXPECT_EQ(client->line("MULTI"), refused("multi"));
  EXPECT_EQ(client->line("GET"), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(client->line("FOO"), "-ERR unknown command 'FOO', with args beginning with: \r\n");
  EXPECT_EQ(client->line("PSUBSCRIBE d*"), array_text({bulk_text("psubscribe"), bulk_text("d*"), integer_text(2)}));
  EXPECT_EQ(client->line("UNSUBSCRIBE"), array_text({bulk_text("unsubscribe"), bulk_text("c"), integer_text(1)}));
  EXPECT_EQ(client->line("GET a"), refused("get"));
  EXPECT_EQ(client->line("PUNSUBSCRIBE"), array_text({bulk_text("punsubscribe"), bulk_text("d*"), integer_text(0)}));
  EXPECT_EQ(client->line("GET a"), kNullText);
}

TEST_F(Dispatch, ASubscriberOfTheNewProtocolMayDoAll) {
  client->line("HELLO 3");
  client->line("SUBSCRIBE c");
  EXPECT_EQ(client->line("SET a 1"), kOkText);
}

TEST_F(Dispatch, RepliesAreSwitchedOffWithinAPipeline) {
  EXPECT_EQ(client->pipeline({{"PING"}, {"CLIENT", "REPLY", "SKIP"}, {"PING", "skipped"}, {"PING", "a"}}),
            "+PONG\r\n" + bulk_text("a"));
  EXPECT_EQ(client->pipeline({{"CLIENT", "REPLY", "OFF"}, {"SET", "a", "1"}, {"FOO"}, {"CLIENT", "REPLY", "ON"}, {"GET", "a"}}),
            kOkText + bulk_text("1"));
}

TEST_F(Dispatch, BehindQuitNothingRuns) {
  EXPECT_EQ(client->pipeline({{"SET", "a", "1"}, {"QUIT"}, {"SET", "a", "2"}}), std::string(kOkText) + kOkText);
  EXPECT_TRUE(client->closing);
  EXPECT_EQ(server.connect()->line("GET a"), bulk_text("1"));
}

TEST_F(Dispatch, BehindACommandThatBlocksNothingRuns) {
  EXPECT_EQ(client->pipeline({{"SET", "a", "1"}, {"BLPOP", "l", "0"}, {"SET", "a", "2"}}), kOkText);
  EXPECT_TRUE(client->blocked());
  const auto other = server.connect();
  EXPECT_EQ(other->line("GET a"), bulk_text("1"));
  other->line("RPUSH l x");
  EXPECT_EQ(client->take_output(), bulks_text({"l", "x"}));
  EXPECT_FALSE(client->blocked());
}

TEST_F(Dispatch, MuchOutputGoesBeforeMoreIsMade) {
  const std::string value(100'000, 'v');
  client->command({"SET", "v", value});
  const std::vector<std::string_view> get{"GET", "v"};
  const std::vector<Arguments> requests(20, get);
  ByteBuffer out;
  EXPECT_EQ(execute_all(*client, requests, out), 3U);
  EXPECT_EQ(out.size(), 3 * bulk_text(value).size());
}

TEST_F(Dispatch, RepliesThatAreTooLargeCloseTheClient) {
  client->command({"SET", "v", std::string(10'000, 'v')});
  ByteBuffer out;
  out.limit(5'000);
  execute(*client, std::vector<std::string_view>{"GET", "v"}, out);
  EXPECT_EQ(out.view(), "-ERR the reply is larger than client-output-buffer-limit\r\n");
  EXPECT_TRUE(client->closing);
}

TEST_F(Dispatch, BrowsersAreNotServed) {
  EXPECT_EQ(client->pipeline({{"POST", "/", "HTTP/1.1"}, {"SET", "a", "1"}}), "");
  EXPECT_TRUE(client->closing);
  const auto other = server.connect();
  EXPECT_EQ(other->line("Host: 127.0.0.1"), "");
  EXPECT_TRUE(other->closing);
  EXPECT_EQ(server.connect()->line("GET a"), kNullText);
}

TEST(DispatchOfStrangers, WhatIsWrongAnywayIsSaidFirst) {
  Settings settings;
  settings.requirepass = "secret";
  testing::TestServer server(settings);
  const auto client = server.connect();
  EXPECT_EQ(client->line("FOO"), "-ERR unknown command 'FOO', with args beginning with: \r\n");
  EXPECT_EQ(client->line("GET"), "-ERR wrong number of arguments for 'get' command\r\n");
  EXPECT_EQ(client->line("GET a"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(client->line("MULTI"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(client->line("EXEC"), "-EXECABORT Transaction discarded because of: Authentication required.\r\n");
  EXPECT_EQ(client->line("PING"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(client->line("AUTH secret"), kOkText);
  EXPECT_EQ(client->line("PING"), "+PONG\r\n");
}

class DispatchOfUsers : public ::testing::Test {
 protected:
  std::shared_ptr<testing::TestClient> sign_in(const std::string& name) {
    auto client = server_.connect();
    EXPECT_EQ(client->line("AUTH " + name + " x"), kOkText);
    return client;
  }
  static Settings with_users(const std::string& file) {
    Settings settings;
    settings.users = file;
    return settings;
  }

  const testing::TemporaryFolder folder_;
  testing::TestServer server_{with_users(folder_.file("users",
                                                      "user reader on nopass ~a* %R~r* +@read +@transaction\n"
                                                      "user writer on nopass ~a* %R~r* +@all -flushall\n"
                                                      "user admin on nopass ~* &* +@all\n"))};
};

TEST_F(DispatchOfUsers, CommandsAndKeysAreAllowedOneByOne) {
  const auto reader = sign_in("reader");
  EXPECT_EQ(reader->line("GET a1"), kNullText);
  EXPECT_EQ(reader->line("GET r1"), kNullText);
  EXPECT_EQ(reader->line("GET b"), "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
  EXPECT_EQ(reader->line("MGET a b"), "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
  EXPECT_EQ(reader->line("SET a 1"), "-NOPERM this user has no permissions to run the 'set' command\r\n");
  const auto writer = sign_in("writer");
  EXPECT_EQ(writer->line("SET a 1"), kOkText);
  EXPECT_EQ(writer->line("SET r 1"), "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
  EXPECT_EQ(writer->line("FLUSHALL"), "-NOPERM this user has no permissions to run the 'flushall' command\r\n");
  EXPECT_EQ(writer->line("BLMPOP 0 2 a b LEFT"),
            "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n");
}

TEST_F(DispatchOfUsers, ARefusalEndsTheTransaction) {
  const auto reader = sign_in("reader");
  reader->line("MULTI");
  EXPECT_EQ(reader->line("SET a 1"), "-NOPERM this user has no permissions to run the 'set' command\r\n");
  EXPECT_EQ(reader->line("GET a"), "+QUEUED\r\n");
  EXPECT_EQ(reader->line("EXEC"), "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

TEST_F(DispatchOfUsers, WhoHasBecomeAnotherMayNotDoWhatTheFirstOneQueued) {
  const auto client = sign_in("admin");
  client->line("SET b 1");
  client->line("MULTI");
  EXPECT_EQ(client->line("AUTH writer x"), "+QUEUED\r\n");
  EXPECT_EQ(client->line("SET b 2"), "+QUEUED\r\n");
  EXPECT_EQ(client->line("FLUSHALL"), "+QUEUED\r\n");
  EXPECT_EQ(client->line("EXEC"),
            array_text({kOkText,
                        "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
                        "this user has no permissions to access one of the keys used as arguments\r\n",
                        "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
                        "this user has no permissions to run the 'flushall' command\r\n"}));
  EXPECT_EQ(sign_in("admin")->line("GET b"), bulk_text("1"));
}

}  // namespace

}  // namespace cubby::server
