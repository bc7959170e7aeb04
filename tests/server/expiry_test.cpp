// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

class ExpiryCommands : public ::testing::Test {
 protected:
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(ExpiryCommands, TimesToLiveAndDeadlines) {
  EXPECT_EQ(client->line("EXPIRE a 100"), integer_text(0));
  client->line("SET a 1");
  EXPECT_EQ(client->line("EXPIRE a 100"), integer_text(1));
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  EXPECT_EQ(client->line("PEXPIRE a 200000"), integer_text(1));
  EXPECT_EQ(client->line("TTL a"), integer_text(200));
  EXPECT_EQ(client->line("EXPIREAT a 4102444800"), integer_text(1));
  EXPECT_EQ(client->line("EXPIRETIME a"), integer_text(4102444800));
  EXPECT_EQ(client->line("PEXPIRETIME a"), integer_text(4102444800000));
  EXPECT_EQ(client->line("PEXPIREAT a 4102444800499"), integer_text(1));
  EXPECT_EQ(client->line("PEXPIRETIME a"), integer_text(4102444800499));
  EXPECT_EQ(client->line("EXPIRETIME a"), integer_text(4102444800));
  EXPECT_EQ(client->line("PEXPIREAT a 4102444800500"), integer_text(1));
  EXPECT_EQ(client->line("EXPIRETIME a"), integer_text(4102444801));
}

TEST_F(ExpiryCommands, AbsentKeysAndKeysThatLiveForEver) {
  client->line("SET a 1");
  for (const char* command : {"TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"}) {
    EXPECT_EQ(client->command({command, "none"}), integer_text(-2));
    EXPECT_EQ(client->command({command, "a"}), integer_text(-1));
  }
  EXPECT_EQ(client->line("PERSIST none"), integer_text(0));
  EXPECT_EQ(client->line("PERSIST a"), integer_text(0));
  client->line("EXPIRE a 100");
  EXPECT_EQ(client->line("PERSIST a"), integer_text(1));
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
}

TEST_F(ExpiryCommands, ADeadlineThatIsPastRemovesTheKey) {
  for (const char* line : {"EXPIRE a 0", "EXPIRE a -1", "PEXPIRE a -9223372036854775", "EXPIREAT a 1", "PEXPIREAT a 0",
                           "PEXPIREAT a -9223372036854775808"}) {
    client->line("SET a 1");
    EXPECT_EQ(client->line(line), integer_text(1)) << line;
    EXPECT_EQ(client->line("EXISTS a"), integer_text(0)) << line;
    EXPECT_EQ(client->line(line), integer_text(0)) << line;
  }
}

TEST_F(ExpiryCommands, Conditions) {
  client->line("SET a 1");
  EXPECT_EQ(client->line("EXPIRE a 100 XX"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 100 GT"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 100 XX LT"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 200 LT"), integer_text(1));
  EXPECT_EQ(client->line("EXPIRE a 100 NX"), integer_text(0));
  EXPECT_EQ(client->line("TTL a"), integer_text(200));
  EXPECT_EQ(client->line("EXPIRE a 100 GT"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 300 GT"), integer_text(1));
  EXPECT_EQ(client->line("EXPIRE a 400 LT"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 250 xx lt"), integer_text(1));
  EXPECT_EQ(client->line("TTL a"), integer_text(250));
  EXPECT_EQ(client->line("EXPIRE a -1 GT"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a -1 LT"), integer_text(1));
  EXPECT_EQ(client->line("EXISTS a"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 100 NX"), integer_text(0));
  client->line("SET a 1");
  EXPECT_EQ(client->line("PEXPIREAT a 4102444800000 NX"), integer_text(1));
  EXPECT_EQ(client->line("PEXPIREAT a 4102444800000 GT"), integer_text(0));
  EXPECT_EQ(client->line("PEXPIREAT a 4102444800000 LT"), integer_text(0));
  EXPECT_EQ(client->line("PEXPIREAT a 4102444800000 XX"), integer_text(1));
}

TEST_F(ExpiryCommands, WhatIsRefusedAndInWhichOrder) {
  client->line("SET a 1");
  const char* none_with_others = "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n";
  EXPECT_EQ(client->line("EXPIRE a x foo"), "-ERR Unsupported option foo\r\n");
  EXPECT_EQ(client->line("EXPIRE a 1 NX XX"), none_with_others);
  EXPECT_EQ(client->line("EXPIRE a 1 NX GT LT"), none_with_others);
  EXPECT_EQ(client->line("EXPIRE a x GT LT"), "-ERR GT and LT options at the same time are not compatible\r\n");
  EXPECT_EQ(client->line("EXPIRE a x"), kNotIntegerText);
  EXPECT_EQ(client->line("EXPIRE none 9223372036854775807"), "-ERR invalid expire time in 'expire' command\r\n");
  EXPECT_EQ(client->line("EXPIRE a -9223372036854776"), "-ERR invalid expire time in 'expire' command\r\n");
  EXPECT_EQ(client->line("PEXPIRE a 9223372036854775807"), "-ERR invalid expire time in 'pexpire' command\r\n");
  EXPECT_EQ(client->line("EXPIREAT a 9223372036854776"), "-ERR invalid expire time in 'expireat' command\r\n");
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
}

TEST_F(ExpiryCommands, DeadlinesEndWithTheLibrarysTime) {
  client->line("SET a 1");
  EXPECT_EQ(client->line("PEXPIREAT a 9223372036854775807"), integer_text(1));
  EXPECT_EQ(client->line("EXISTS a"), integer_text(1));
  EXPECT_EQ(client->line("PEXPIREAT a 9223372036854775806 GT"), integer_text(0));
}

TEST_F(ExpiryCommands, KeysGoWhenTheirTimeHasCome) {
  client->line("SET a 1 PX 20");
  client->line("RPUSH l x");
  client->line("PEXPIRE l 20");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (client->line("EXISTS a l") != integer_text(0) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(client->line("EXISTS a l"), integer_text(0));
  EXPECT_EQ(client->line("TTL a"), integer_text(-2));
  EXPECT_EQ(client->line("PERSIST a"), integer_text(0));
  EXPECT_EQ(client->line("EXPIRE a 100"), integer_text(0));
}

TEST_F(ExpiryCommands, InATransaction) {
  client->line("MULTI");
  for (const char* line : {"SET a 1 EX 100", "TTL a", "EXPIRE a 200 LT", "EXPIRE a 200 GT", "TTL a", "PERSIST a", "TTL a",
                           "EXPIRE a -1", "TTL a", "EXPIRE a 1"}) {
    client->line(line);
  }
  EXPECT_EQ(client->line("EXEC"),
            array_text({kOkText, integer_text(100), integer_text(0), integer_text(1), integer_text(200), integer_text(1),
                        integer_text(-1), integer_text(1), integer_text(-2), integer_text(0)}));
}

}  // namespace

}  // namespace cubby::server
