// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

/// The bulk strings of a reply that has no line ends in them, in order.
std::vector<std::string> bulks_of(const std::string& reply) {
  std::vector<std::string> bulks;
  for (std::size_t at = 0; at < reply.size();) {
    const std::size_t end = reply.find("\r\n", at);
    if (reply[at] == '$') {
      const std::size_t size = std::stoul(reply.substr(at + 1, end - at - 1));
      bulks.push_back(reply.substr(end + 2, size));
      at = end + 2 + size + 2;
    } else {
      at = end + 2;
    }
  }
  return bulks;
}

class ScanCommands : public ::testing::Test {
 protected:
  std::multiset<std::string> keys(std::string_view pattern) {
    const std::vector<std::string> found = bulks_of(client->command({"KEYS", pattern}));
    return {found.begin(), found.end()};
  }
  /// All of a scan, from cursor 0 to cursor 0.
  std::multiset<std::string> scan(std::vector<std::string> options = {}) {
    std::multiset<std::string> found;
    std::string cursor = "0";
    do {
      std::vector<std::string> request{"SCAN", cursor};
      request.insert(request.end(), options.begin(), options.end());
      const std::vector<std::string> bulks = bulks_of(client->command(request));
      if (bulks.empty()) {
        ADD_FAILURE() << "no cursor";
        return found;
      }
      cursor = bulks[0];
      found.insert(bulks.begin() + 1, bulks.end());
    } while (cursor != "0");
    return found;
  }

  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

using Names = std::multiset<std::string>;

TEST_F(ScanCommands, KeysByPattern) {
  EXPECT_EQ(client->line("KEYS *"), "*0\r\n");
  client->line("MSET user:1 a user:2 b item:1 c * d");
  EXPECT_EQ(keys("*"), (Names{"user:1", "user:2", "item:1", "*"}));
  EXPECT_EQ(keys("user:*"), (Names{"user:1", "user:2"}));
  EXPECT_EQ(keys("*:1"), (Names{"user:1", "item:1"}));
  EXPECT_EQ(keys("user:[13]"), (Names{"user:1"}));
  EXPECT_EQ(keys("\\*"), (Names{"*"}));
  EXPECT_EQ(keys("item:1"), (Names{"item:1"}));
  EXPECT_EQ(keys(""), Names{});
}

TEST_F(ScanCommands, AScanSeesEachKeyOnce) {
  Names all;
  for (int index = 0; index < 1000; ++index) {
    const std::string key = "key:" + std::to_string(index);
    client->command({"SET", key, "x"});
    all.insert(key);
  }
  EXPECT_EQ(scan(), all);
  EXPECT_EQ(scan({"COUNT", "1"}), all);
  EXPECT_EQ(scan({"count", "9223372036854775807"}), all);
  EXPECT_EQ(scan({"MATCH", "key:99?"}), (Names{"key:990", "key:991", "key:992", "key:993", "key:994", "key:995", "key:996",
                                               "key:997", "key:998", "key:999"}));
}

TEST_F(ScanCommands, AScanByType) {
  client->line("MSET s x n 1");
  client->line("RPUSH l x");
  client->line("HSET h a 1");
  EXPECT_EQ(scan({"TYPE", "string"}), (Names{"s", "n"}));
  EXPECT_EQ(scan({"TYPE", "LIST"}), (Names{"l"}));
  EXPECT_EQ(scan({"MATCH", "*", "TYPE", "hash", "COUNT", "100"}), (Names{"h"}));
  EXPECT_EQ(scan({"TYPE", "zset"}), Names{});
}

TEST_F(ScanCommands, CursorsAndOptionsThatAreRefused) {
  client->line("SET a 1");
  for (const char* cursor : {"x", "0x10", "99999999999999999999999", " 0", "1 "}) {
    EXPECT_EQ(client->command({"SCAN", cursor}), "-ERR invalid cursor\r\n") << cursor;
  }
  for (const char* line : {"SCAN 0 MATCH", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1", "SCAN 0 foo bar", "SCAN 0 COUNT 1 foo"}) {
    EXPECT_EQ(client->line(line), kSyntaxText) << line;
  }
  EXPECT_EQ(client->line("SCAN 0 COUNT x"), kNotIntegerText);
  const std::string all = array_text({bulk_text("0"), bulks_text({"a"})});
  EXPECT_EQ(client->line("SCAN +0"), all);
  EXPECT_EQ(client->command({"SCAN", ""}), all);
  // Cursors that none was given are none's business, but do no harm.
  EXPECT_TRUE(client->line("SCAN -1").starts_with("*2\r\n"));
  EXPECT_TRUE(client->line("SCAN 18446744073709551615 COUNT 1000").starts_with("*2\r\n"));
}

TEST_F(ScanCommands, AnyKeyAndHowManyThereAre) {
  EXPECT_EQ(client->line("RANDOMKEY"), kNullText);
  EXPECT_EQ(client->line("DBSIZE"), integer_text(0));
  client->line("SET a 1");
  EXPECT_EQ(client->line("RANDOMKEY"), bulk_text("a"));
  EXPECT_EQ(client->line("DBSIZE"), integer_text(1));
}

TEST_F(ScanCommands, FlushingOneDatabaseLeavesTheOthers) {
  client->line("SET a 1");
  client->line("SELECT 1");
  client->line("SET a 2");
  EXPECT_EQ(client->line("FLUSHDB"), kOkText);
  EXPECT_EQ(client->line("DBSIZE"), integer_text(0));
  client->line("SELECT 0");
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
  for (const char* line : {"FLUSHDB foo", "FLUSHDB ASYNC SYNC", "FLUSHALL foo", "FLUSHALL SYNC x"}) {
    EXPECT_EQ(client->line(line), kSyntaxText) << line;
  }
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
  EXPECT_EQ(client->line("FLUSHDB async"), kOkText);
  EXPECT_EQ(client->line("GET a"), kNullText);
}

TEST_F(ScanCommands, FlushingAllLeavesStoresThatAreNoDatabases) {
  for (const char* line : {"SET a 1", "SELECT 15", "SET a 2", "CUBBY.USE other", "SET a 3"}) client->line(line);
  EXPECT_EQ(client->line("FLUSHALL SYNC"), kOkText);
  EXPECT_EQ(client->line("GET a"), bulk_text("3"));
  client->line("SELECT 15");
  EXPECT_EQ(client->line("GET a"), kNullText);
  client->line("SELECT 0");
  EXPECT_EQ(client->line("GET a"), kNullText);
}

TEST_F(ScanCommands, InATransaction) {
  client->line("MULTI");
  for (const char* line : {"SET a 1", "KEYS *", "DBSIZE", "SCAN 0", "FLUSHDB", "DBSIZE"}) client->line(line);
  EXPECT_EQ(client->line("EXEC"), array_text({kOkText, bulks_text({"a"}), integer_text(1),
                                              array_text({bulk_text("0"), bulks_text({"a"})}), kOkText, integer_text(0)}));
}

}  // namespace

}  // namespace cubby::server
