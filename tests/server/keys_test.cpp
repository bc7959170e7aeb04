// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

class KeyCommands : public ::testing::Test {
 protected:
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(KeyCommands, RemovingCountsWhatWasThere) {
  client->line("MSET a 1 b 2 c 3 d 4");
  EXPECT_EQ(client->line("DEL a"), integer_text(1));
  EXPECT_EQ(client->line("DEL a"), integer_text(0));
  EXPECT_EQ(client->line("DEL b c none b"), integer_text(2));
  EXPECT_EQ(client->line("UNLINK d none"), integer_text(1));
  EXPECT_EQ(client->line("DBSIZE"), integer_text(0));
}

TEST_F(KeyCommands, ExistingKeysAreCountedAsOftenAsTheyAreNamed) {
  client->line("MSET a 1 b 2");
  EXPECT_EQ(client->line("EXISTS a a none b"), integer_text(3));
  EXPECT_EQ(client->line("TOUCH a none"), integer_text(1));
}

TEST_F(KeyCommands, Types) {
  client->line("SET s x");
  client->line("SET n 1");
  client->line("RPUSH l x");
  client->line("HSET h a 1");
  client->store.set("null", Value());
  EXPECT_EQ(client->line("TYPE s"), "+string\r\n");
  EXPECT_EQ(client->line("TYPE n"), "+string\r\n");
  EXPECT_EQ(client->line("TYPE null"), "+string\r\n");
  EXPECT_EQ(client->line("TYPE l"), "+list\r\n");
  EXPECT_EQ(client->line("TYPE h"), "+hash\r\n");
  EXPECT_EQ(client->line("TYPE none"), "+none\r\n");
}

TEST_F(KeyCommands, RenamingMovesValueAndDeadline) {
  client->line("SET a 1 EX 100");
  EXPECT_EQ(client->line("RENAME a b"), kOkText);
  EXPECT_EQ(client->line("EXISTS a"), integer_text(0));
  EXPECT_EQ(client->line("TTL b"), integer_text(100));
  client->line("RPUSH l x y");
  EXPECT_EQ(client->line("RENAME l b"), kOkText);
  EXPECT_EQ(client->line("LRANGE b 0 -1"), bulks_text({"x", "y"}));
  EXPECT_EQ(client->line("TTL b"), integer_text(-1));
  EXPECT_EQ(client->line("RENAME b b"), kOkText);
  EXPECT_EQ(client->line("LLEN b"), integer_text(2));
}

TEST_F(KeyCommands, RenamingNeedsAKey) {
  client->line("SET b 1");
  for (const char* line : {"RENAME none b", "RENAME none other", "RENAME none none", "RENAMENX none b", "RENAMENX none none"}) {
    EXPECT_EQ(client->line(line), "-ERR no such key\r\n") << line;
  }
  EXPECT_EQ(client->line("GET b"), bulk_text("1"));
}

TEST_F(KeyCommands, RenamingIfAbsentKeepsTheOther) {
  client->line("MSET a 1 b 2");
  EXPECT_EQ(client->line("RENAMENX a b"), integer_text(0));
  EXPECT_EQ(client->line("RENAMENX a a"), integer_text(0));
  EXPECT_EQ(client->line("MGET a b"), bulks_text({"1", "2"}));
  EXPECT_EQ(client->line("RENAMENX a c"), integer_text(1));
  EXPECT_EQ(client->line("MGET a c"), array_text({kNullText, bulk_text("1")}));
}

TEST_F(KeyCommands, RenamingInATransaction) {
  client->line("MSET a 1 b 2");
  client->line("MULTI");
  client->line("RENAME a b");
  client->line("RENAME a b");
  client->line("RENAMENX b c");
  EXPECT_EQ(client->line("EXEC"), array_text({kOkText, "-ERR no such key\r\n", integer_text(1)}));
  EXPECT_EQ(client->line("MGET a b c"), array_text({kNullText, kNullText, bulk_text("1")}));
}

TEST_F(KeyCommands, CopiesAreKeysOfTheirOwn) {
  client->line("RPUSH l x");
  client->line("EXPIRE l 100");
  EXPECT_EQ(client->line("COPY l m"), integer_text(1));
  EXPECT_EQ(client->line("TTL m"), integer_text(100));
  client->line("RPUSH m y");
  EXPECT_EQ(client->line("LLEN l"), integer_text(1));
  EXPECT_EQ(client->line("COPY l m"), integer_text(0));
  EXPECT_EQ(client->line("LLEN m"), integer_text(2));
  EXPECT_EQ(client->line("COPY l m replace"), integer_text(1));
  EXPECT_EQ(client->line("LLEN m"), integer_text(1));
  client->line("PERSIST l");
  client->line("COPY l m REPLACE");
  EXPECT_EQ(client->line("TTL m"), integer_text(-1));
  EXPECT_EQ(client->line("COPY none m REPLACE"), integer_text(0));
  EXPECT_EQ(client->line("EXISTS m"), integer_text(1));
}

TEST_F(KeyCommands, CopiesToAnotherDatabase) {
  client->line("SET a 1 EX 100");
  EXPECT_EQ(client->line("COPY a a DB 3"), integer_text(1));
  EXPECT_EQ(client->line("COPY a a DB 3"), integer_text(0));
  EXPECT_EQ(client->line("COPY none a DB 3"), integer_text(0));
  client->line("SET a 2");
  EXPECT_EQ(client->line("COPY a a DB 3 REPLACE"), integer_text(1));
  EXPECT_EQ(client->line("COPY a b DB 0"), integer_text(1));
  client->line("SELECT 3");
  EXPECT_EQ(client->line("GET a"), bulk_text("2"));
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
  EXPECT_EQ(client->line("EXISTS b"), integer_text(0));
}

TEST_F(KeyCommands, CopyRefusesWhatCantBe) {
  client->line("SET a 1");
  const char* same = "-ERR source and destination objects are the same\r\n";
  const char* no_database = "-ERR DB index is out of range\r\n";
  EXPECT_EQ(client->line("COPY a a"), same);
  EXPECT_EQ(client->line("COPY none none"), same);
  EXPECT_EQ(client->line("COPY a a DB 0"), same);
  EXPECT_EQ(client->line("COPY a b foo"), kSyntaxText);
  EXPECT_EQ(client->line("COPY a b DB"), kSyntaxText);
  EXPECT_EQ(client->line("COPY a b DB 16"), no_database);
  EXPECT_EQ(client->line("COPY a b DB -1"), no_database);
  EXPECT_EQ(client->line("COPY a b DB x"), kNotIntegerText);
  EXPECT_EQ(client->line("COPY a b DB 99999999999"),
            "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n");
  EXPECT_EQ(client->line("EXISTS b"), integer_text(0));
}

TEST_F(KeyCommands, ObjectsAreDescribedInRedisTerms) {
  client->line("SET n 7");
  client->line("SET m 10000");
  client->line("SET short text");
  client->command({"SET", "long", std::string(45, 'x')});
  client->line("RPUSH l x");
  client->line("HSET h a 1");
  client->command({"HSET", "wide", "a", std::string(65, 'x')});
  EXPECT_EQ(client->line("OBJECT ENCODING n"), bulk_text("int"));
  EXPECT_EQ(client->line("OBJECT ENCODING short"), bulk_text("embstr"));
  EXPECT_EQ(client->line("OBJECT ENCODING long"), bulk_text("raw"));
  EXPECT_EQ(client->line("OBJECT ENCODING l"), bulk_text("quicklist"));
  EXPECT_EQ(client->line("OBJECT ENCODING h"), bulk_text("listpack"));
  EXPECT_EQ(client->line("OBJECT ENCODING wide"), bulk_text("hashtable"));
  EXPECT_EQ(client->line("OBJECT REFCOUNT n"), integer_text(2147483647));
  EXPECT_EQ(client->line("OBJECT REFCOUNT m"), integer_text(1));
  EXPECT_EQ(client->line("object idletime h"), integer_text(0));
  EXPECT_EQ(client->line("OBJECT FREQ n").substr(0, 56), "-ERR An LFU maxmemory policy is not selected, access fre");
  for (const char* word : {"ENCODING", "REFCOUNT", "IDLETIME", "FREQ"}) {
    EXPECT_EQ(client->command({"OBJECT", word, "none"}), kNullText);
  }
  EXPECT_TRUE(client->line("OBJECT HELP").starts_with("*13\r\n+OBJECT <subcommand>"));
}

TEST_F(KeyCommands, UnknownPartsOfObjectAreRefusedWhenQueued) {
  const char* unknown = "-ERR unknown subcommand 'foo'. Try OBJECT HELP.\r\n";
  const char* count = "-ERR wrong number of arguments for 'object|encoding' command\r\n";
  EXPECT_EQ(client->line("OBJECT foo"), unknown);
  EXPECT_EQ(client->line("OBJECT encoding"), count);
  client->line("MULTI");
  EXPECT_EQ(client->line("OBJECT foo a"), unknown);
  EXPECT_EQ(client->line("OBJECT encoding a b"), count);
  EXPECT_TRUE(client->line("EXEC").starts_with("-EXECABORT"));
}

}  // namespace

}  // namespace cubby::server
