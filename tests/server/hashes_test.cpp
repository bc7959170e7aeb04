// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

class HashCommands : public ::testing::Test {
 protected:
  /// A hash too large to be scanned at once.
  void make_large_hash() {
    for (int index = 0; index < kLarge; ++index) client->command({"HSET", "large", name_of(index), std::to_string(index)});
  }
  static std::string name_of(int index) { return "field:" + std::to_string(1000 + index); }

  struct Scanned {
    std::string cursor;
    std::vector<std::string> names;
  };
  /// Of a reply of HSCAN whose names and values have no line ends in them.
  static Scanned read_scan(const std::string& reply) {
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < reply.size();) {
      const std::size_t end = reply.find("\r\n", at);
      lines.push_back(reply.substr(at, end - at));
      at = end + 2;
    }
    Scanned scanned;
    if (lines.size() < 4) return scanned;
    scanned.cursor = lines[2];
    for (std::size_t line = 5; line < lines.size(); line += 4) scanned.names.push_back(lines[line]);
    return scanned;
  }
  Scanned scan(std::string_view cursor, std::string_view count = "10") {
    return read_scan(client->command({"HSCAN", "large", cursor, "COUNT", count}));
  }

  static constexpr int kLarge = 600;
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(HashCommands, SettingCountsNewFields) {
  EXPECT_EQ(client->command({"HSET", "h", "b", "1", "a", "2"}), integer_text(2));
  EXPECT_EQ(client->command({"HSET", "h", "b", "3", "c", "4", "c", "5"}), integer_text(1));
  EXPECT_EQ(client->command({"HMSET", "h", "d", "6"}), kOkText);
  EXPECT_EQ(client->command({"HSETNX", "h", "d", "7"}), integer_text(0));
  EXPECT_EQ(client->command({"HSETNX", "h", "e", "8"}), integer_text(1));
  EXPECT_EQ(client->command({"HGETALL", "h"}), bulks_text({"a", "2", "b", "3", "c", "5", "d", "6", "e", "8"}));
  EXPECT_EQ(client->command({"HKEYS", "h"}), bulks_text({"a", "b", "c", "d", "e"}));
  EXPECT_EQ(client->command({"HVALS", "h"}), bulks_text({"2", "3", "5", "6", "8"}));
  EXPECT_EQ(client->command({"HSET", "h", "a"}), "-ERR wrong number of arguments for 'hset' command\r\n");
  EXPECT_EQ(client->command({"HSET", "h", "a", "1", "b"}), "-ERR wrong number of arguments for 'hset' command\r\n");
  EXPECT_EQ(client->command({"HMSET", "h", "a", "1", "b"}), "-ERR wrong number of arguments for 'hmset' command\r\n");
}

TEST_F(HashCommands, ReadingFields) {
  client->command({"HSET", "h", "a", "12", "b", "long enough to be outside", "", "empty"});
  EXPECT_EQ(client->command({"HGET", "h", "a"}), bulk_text("12"));
  EXPECT_EQ(client->command({"HGET", "h", ""}), bulk_text("empty"));
  EXPECT_EQ(client->command({"HGET", "h", "z"}), kNullText);
  EXPECT_EQ(client->command({"HGET", "none", "a"}), kNullText);
  EXPECT_EQ(client->command({"HMGET", "h", "b", "z", "a"}),
            array_text({bulk_text("long enough to be outside"), kNullText, bulk_text("12")}));
  EXPECT_EQ(client->command({"HMGET", "none", "a", "b"}), array_text({kNullText, kNullText}));
  EXPECT_EQ(client->command({"HLEN", "h"}), integer_text(3));
  EXPECT_EQ(client->command({"HLEN", "none"}), integer_text(0));
  EXPECT_EQ(client->command({"HEXISTS", "h", "a"}), integer_text(1));
  EXPECT_EQ(client->command({"HEXISTS", "h", "z"}), integer_text(0));
  EXPECT_EQ(client->command({"HSTRLEN", "h", "a"}), integer_text(2));
  EXPECT_EQ(client->command({"HSTRLEN", "h", "z"}), integer_text(0));
  EXPECT_EQ(client->command({"HGETALL", "none"}), "*0\r\n");
}

TEST_F(HashCommands, TheKeyGoesWithTheLastField) {
  client->command({"HSET", "h", "a", "1", "b", "2", "c", "3"});
  EXPECT_EQ(client->command({"HDEL", "h", "z"}), integer_text(0));
  EXPECT_EQ(client->command({"HDEL", "h", "a", "a", "z"}), integer_text(1));
  EXPECT_EQ(client->command({"HKEYS", "h"}), bulks_text({"b", "c"}));
  EXPECT_EQ(client->command({"HDEL", "h", "b", "c"}), integer_text(2));
  EXPECT_EQ(client->command({"EXISTS", "h"}), integer_text(0));
  EXPECT_EQ(client->command({"HDEL", "h", "b"}), integer_text(0));
}

TEST_F(HashCommands, AddingIntegers) {
  EXPECT_EQ(client->command({"HINCRBY", "h", "n", "5"}), integer_text(5));
  EXPECT_EQ(client->command({"HINCRBY", "h", "n", "-7"}), integer_text(-2));
  client->command({"HSET", "h", "most", "9223372036854775807", "text", "x", "blank", " 5"});
  EXPECT_EQ(client->command({"HINCRBY", "h", "most", "1"}), "-ERR increment or decrement would overflow\r\n");
  EXPECT_EQ(client->command({"HINCRBY", "h", "n", "-9223372036854775808"}), "-ERR increment or decrement would overflow\r\n");
  EXPECT_EQ(client->command({"HINCRBY", "h", "text", "1"}), "-ERR hash value is not an integer\r\n");
  EXPECT_EQ(client->command({"HINCRBY", "h", "blank", "1"}), "-ERR hash value is not an integer\r\n");
  EXPECT_EQ(client->command({"HINCRBY", "h", "n", "x"}), kNotIntegerText);
  EXPECT_EQ(client->command({"HGET", "h", "most"}), bulk_text("9223372036854775807"));
}

TEST_F(HashCommands, AddingReals) {
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "n", "1.5"}), bulk_text("1.5"));
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "n", "1.25"}), bulk_text("2.75"));
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "n", "0.25"}), bulk_text("3"));
  EXPECT_EQ(client->command({"HINCRBY", "h", "n", "1"}), integer_text(4));
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "m", "3.0e3"}), bulk_text("3000"));
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "n", "inf"}), "-ERR value is NaN or Infinity\r\n");
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "n", "x"}), "-ERR value is not a valid float\r\n");
  client->command({"HSET", "h", "text", "x"});
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "h", "text", "1"}), "-ERR hash value is not a float\r\n");
}

TEST_F(HashCommands, ChangesKeepTheDeadline) {
  client->command({"HSET", "h", "a", "1", "b", "1"});
  client->command({"EXPIREAT", "h", "9000000000"});
  client->command({"HSET", "h", "c", "1"});
  client->command({"HDEL", "h", "b"});
  client->command({"HINCRBY", "h", "a", "1"});
  EXPECT_EQ(client->command({"EXPIRETIME", "h"}), integer_text(9000000000));
}

TEST_F(HashCommands, OtherTypesAreRefusedAndStay) {
  client->command({"SET", "s", "text"});
  client->command({"RPUSH", "l", "a"});
  for (const char* key : {"s", "l"}) {
    EXPECT_EQ(client->command({"HSET", key, "a", "b"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HMSET", key, "a", "b"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HSETNX", key, "a", "b"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HGET", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HMGET", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HGETALL", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"HKEYS", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"HVALS", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"HLEN", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"HEXISTS", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HDEL", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HINCRBY", key, "a", "1"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HINCRBYFLOAT", key, "a", "1"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HSTRLEN", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HRANDFIELD", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"HRANDFIELD", key, "2"}), kWrongTypeText);
    EXPECT_EQ(client->command({"HSCAN", key, "0", "NONSENSE"}), kWrongTypeText);
  }
  EXPECT_EQ(client->command({"GET", "s"}), bulk_text("text"));
}

TEST_F(HashCommands, RandomFields) {
  client->command({"HSET", "h", "a", "1", "b", "2", "c", "3"});
  std::set<std::string> seen;
  for (int round = 0; round < 1000; ++round) seen.insert(client->command({"HRANDFIELD", "h"}));
  EXPECT_EQ(seen, (std::set<std::string>{bulk_text("a"), bulk_text("b"), bulk_text("c")}));
  seen.clear();
  for (int round = 0; round < 1000; ++round) seen.insert(client->command({"HRANDFIELD", "h", "2"}));
  EXPECT_EQ(seen, (std::set<std::string>{bulks_text({"a", "b"}), bulks_text({"a", "c"}), bulks_text({"b", "c"})}));
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "9"}), bulks_text({"a", "b", "c"}));
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "3", "WITHVALUES"}), bulks_text({"a", "1", "b", "2", "c", "3"}));
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "0"}), "*0\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "-100"}).substr(0, 6), "*100\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "-3", "withvalues"}).substr(0, 4), "*6\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "none"}), kNullText);
  EXPECT_EQ(client->command({"HRANDFIELD", "none", "-5"}), "*0\r\n");
}

TEST_F(HashCommands, RandomFieldsCheckTheirCount) {
  client->command({"HSET", "h", "a", "1"});
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "x", "y"}), kNotIntegerText);
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "1", "y"}), kSyntaxText);
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "1", "WITHVALUES", "y"}), kSyntaxText);
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "-9223372036854775808"}),
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "4611686018427387904", "WITHVALUES"}), "-ERR value is out of range\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "9223372036854775807"}), bulks_text({"a"}));
}

TEST(HashCommandsWithALimit, AReplyWithoutEndIsRefused) {
  Settings settings;
  settings.output_limit = 100'000;
  testing::TestServer server(settings);
  const auto client = server.connect();
  client->command({"HSET", "h", "a", std::string(1000, 'x')});
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "-4611686018427387903", "WITHVALUES"}),
            "-ERR the reply would be larger than the output limit\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "-90"}).substr(0, 5), "*90\r\n");
}

TEST_F(HashCommands, TheThirdProtocolHasMapsAndPairs) {
  client->command({"HELLO", "3"});
  client->command({"HSET", "h", "a", "1", "b", "2"});
  EXPECT_EQ(client->command({"HGETALL", "h"}), "%2\r\n" + bulk_text("a") + bulk_text("1") + bulk_text("b") + bulk_text("2"));
  EXPECT_EQ(client->command({"HGETALL", "none"}), "%0\r\n");
  EXPECT_EQ(client->command({"HRANDFIELD", "h", "2", "WITHVALUES"}),
            array_text({bulks_text({"a", "1"}), bulks_text({"b", "2"})}));
  EXPECT_EQ(client->command({"HRANDFIELD", "none"}), "_\r\n");
  EXPECT_EQ(client->command({"HGET", "h", "z"}), "_\r\n");
}

TEST_F(HashCommands, ASmallHashIsScannedAtOnce) {
  client->command({"HSET", "h", "a", "1", "b", "2", "bc", "3"});
  const std::string all = array_text({bulk_text("0"), bulks_text({"a", "1", "b", "2", "bc", "3"})});
  EXPECT_EQ(client->command({"HSCAN", "h", "0", "COUNT", "1"}), all);
  EXPECT_EQ(client->command({"HSCAN", "h", "12345"}), all);
  EXPECT_EQ(client->command({"HSCAN", "h", "0", "MATCH", "b*"}),
            array_text({bulk_text("0"), bulks_text({"b", "2", "bc", "3"})}));
  EXPECT_EQ(client->command({"HSCAN", "none", "0", "NONSENSE"}), array_text({bulk_text("0"), "*0\r\n"}));
}

TEST_F(HashCommands, ScanArgumentsAreChecked) {
  client->command({"HSET", "h", "a", "1"});
  for (const char* cursor : {"x", "1x", " 1", "18446744073709551616"}) {
    EXPECT_EQ(client->command({"HSCAN", "h", cursor}), "-ERR invalid cursor\r\n") << cursor;
  }
  EXPECT_EQ(client->command({"HSCAN", "h", "0", "COUNT", "0"}), kSyntaxText);
  EXPECT_EQ(client->command({"HSCAN", "h", "0", "COUNT", "x"}), kNotIntegerText);
  EXPECT_EQ(client->command({"HSCAN", "h", "0", "MATCH"}), kSyntaxText);
  EXPECT_EQ(client->command({"HSCAN", "h", "0", "TYPE", "hash"}), kSyntaxText);
}

TEST_F(HashCommands, AScanSeesEachFieldOfAHashThatStays) {
  make_large_hash();
  std::map<std::string, int> seen;
  std::string cursor = "0";
  do {
    const Scanned scanned = scan(cursor, "7");
    EXPECT_LE(scanned.names.size(), 7U);
    for (const std::string& name : scanned.names) ++seen[name];
    cursor = scanned.cursor;
    ASSERT_LT(std::stod(cursor), 9007199254740992.0);  // clients read it into a double
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kLarge));
  for (const auto& [name, times] : seen) EXPECT_EQ(times, 1) << name;
}

TEST_F(HashCommands, AScanSeesWhatIsThereThroughout) {
  make_large_hash();
  std::set<std::string> seen;
  std::string cursor = "0";
  // What the scan has given goes, so that what it hasn't moves to the front; and new fields come before and behind.
  for (int round = 0;; ++round) {
    const Scanned scanned = scan(cursor);
    for (const std::string& name : scanned.names) {
      seen.insert(name);
      client->command({"HDEL", "large", name});
    }
    cursor = scanned.cursor;
    if (cursor == "0") break;
    client->command({"HSET", "large", "a:" + std::to_string(round), "1", "z:" + std::to_string(round), "2"});
    ASSERT_LT(round, 10 * kLarge);
  }
  for (int index = 0; index < kLarge; ++index) EXPECT_TRUE(seen.contains(name_of(index))) << index;
}

TEST_F(HashCommands, AScanWhoseNextFieldGoesLosesNothing) {
  make_large_hash();
  const Scanned first = scan("0");
  ASSERT_EQ(first.names.size(), 10U);
  client->command({"HDEL", "large", name_of(10)});
  std::set<std::string> seen(first.names.begin(), first.names.end());
  for (std::string cursor = first.cursor; cursor != "0";) {
    const Scanned scanned = scan(cursor);
    seen.insert(scanned.names.begin(), scanned.names.end());
    cursor = scanned.cursor;
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kLarge - 1));
}

TEST_F(HashCommands, NamesAndValuesOfAnyBytes) {
  const std::string bytes("\0\xff\r\n\x80", 5);
  EXPECT_EQ(client->command({"HSET", "h", bytes, bytes, "007", "1"}), integer_text(2));
  EXPECT_EQ(client->command({"HGET", "h", bytes}), bulk_text(bytes));
  EXPECT_EQ(client->command({"HGETALL", "h"}), bulks_text({bytes, bytes, "007", "1"}));
  EXPECT_EQ(client->command({"HDEL", "h", bytes}), integer_text(1));
}

TEST_F(HashCommands, LargeOnesAreAsSmallOnes) {
  make_large_hash();
  EXPECT_EQ(client->command({"HLEN", "large"}), integer_text(kLarge));
  EXPECT_EQ(client->command({"HSET", "large", name_of(0), "x", "new", "1", name_of(1), "y"}), integer_text(1));
  EXPECT_EQ(client->command({"HMGET", "large", name_of(0), "none", "new", name_of(0), name_of(2), "none"}),
            array_text({bulk_text("x"), kNullText, bulk_text("1"), bulk_text("x"), bulk_text("2"), kNullText}));
  EXPECT_EQ(client->command({"HMGET", "large", "none"}), array_text({kNullText}));
  EXPECT_EQ(client->command({"HGET", "large", name_of(1)}), bulk_text("y"));
  EXPECT_EQ(client->command({"HGET", "large", "none"}), kNullText);
  EXPECT_EQ(client->command({"HSTRLEN", "large", name_of(599)}), integer_text(3));
  EXPECT_EQ(client->command({"HEXISTS", "large", name_of(599)}), integer_text(1));
  EXPECT_EQ(client->command({"HEXISTS", "large", "none"}), integer_text(0));
  EXPECT_EQ(client->command({"HSETNX", "large", "new", "2"}), integer_text(0));
  EXPECT_EQ(client->command({"HSETNX", "large", "newer", "2"}), integer_text(1));
  EXPECT_EQ(client->command({"HINCRBY", "large", "newer", "-5"}), integer_text(-3));
  EXPECT_EQ(client->command({"HINCRBY", "large", name_of(0), "1"}), "-ERR hash value is not an integer\r\n");
  EXPECT_EQ(client->command({"HINCRBYFLOAT", "large", "newer", "0.5"}), bulk_text("-2.5"));
  EXPECT_EQ(client->command({"HMSET", "large", "newer", "3", "newest", "4"}), kOkText);
  EXPECT_EQ(client->command({"HDEL", "large", "new", "newer", "newest", "new", "none"}), integer_text(3));
  EXPECT_EQ(client->command({"HLEN", "large"}), integer_text(kLarge));
  EXPECT_EQ(client->command({"TYPE", "large"}), "+hash\r\n");
  EXPECT_EQ(client->command({"GET", "large"}), kWrongTypeText);
  EXPECT_EQ(client->command({"LPUSH", "large", "x"}), kWrongTypeText);
  EXPECT_EQ(client->command({"RENAME", "large", "moved"}), kOkText);
  EXPECT_EQ(client->command({"HKEYS", "moved"}).substr(0, 6), "*600\r\n");
  for (int index = 0; index < kLarge; ++index) {
    EXPECT_EQ(client->command({"HDEL", "moved", name_of(index)}), integer_text(1));
    EXPECT_EQ(client->command({"HLEN", "moved"}), integer_text(kLarge - 1 - index));
  }
  EXPECT_EQ(client->command({"EXISTS", "moved"}), integer_text(0));
}

TEST_F(HashCommands, RandomFieldsOfALargeOneAreAnyOfThem) {
  make_large_hash();
  std::set<std::string> seen;
  for (int round = 0; round < 20 * kLarge; ++round) {
    seen.insert(client->command({"HRANDFIELD", "large"}));
    if (round % 100 == 0) client->command({"HSET", "large", name_of(0), std::to_string(round)});
  }
  EXPECT_GT(seen.size(), static_cast<std::size_t>(kLarge) * 9 / 10);
  for (const std::string& reply : seen) EXPECT_EQ(reply.substr(0, 11), bulk_text(name_of(0)).substr(0, 11));
}

TEST_F(HashCommands, WhatChangesNothingTouchesNothing) {
  make_large_hash();
  client->command({"HSET", "small", "a", "1"});
  const auto other = server.connect();
  for (const char* key : {"small", "large"}) {
    const std::string field = std::string_view(key) == "small" ? "a" : name_of(0);
    const auto attempt = [&](std::initializer_list<std::string_view> meanwhile) {
      client->command({"WATCH", key});
      other->command(meanwhile);
      client->command({"MULTI"});
      client->command({"PING"});
      return client->command({"EXEC"});
    };
    EXPECT_EQ(attempt({"HDEL", key, "none"}), array_text({"+PONG\r\n"}));
    EXPECT_EQ(attempt({"HSETNX", key, field, "2"}), array_text({"+PONG\r\n"}));
    EXPECT_EQ(attempt({"HSET", key, field, "1"}), kNullArrayText);
  }
}

TEST_F(HashCommands, InATransactionTheySeeEachOther) {
  client->command({"MULTI"});
  client->command({"HSET", "h", "a", "1"});
  client->command({"HINCRBY", "h", "a", "4"});
  client->command({"HGETALL", "h"});
  client->command({"HDEL", "h", "a"});
  client->command({"HLEN", "h"});
  EXPECT_EQ(client->command({"EXEC"}),
            array_text({integer_text(1), integer_text(5), bulks_text({"a", "5"}), integer_text(1), integer_text(0)}));
  EXPECT_EQ(client->command({"EXISTS", "h"}), integer_text(0));
  make_large_hash();
  client->command({"MULTI"});
  client->command({"HSET", "large", "a", "1", name_of(0), "x"});
  client->command({"HINCRBY", "large", "a", "4"});
  client->command({"HMGET", "large", "a", name_of(0), name_of(1)});
  client->command({"HDEL", "large", "a", name_of(1)});
  client->command({"HSETNX", "large", name_of(1), "z"});
  client->command({"HRANDFIELD", "none"});
  client->command({"HSCAN", "none", "0"});
  client->command({"HLEN", "large"});
  EXPECT_EQ(client->command({"EXEC"}),
            array_text({integer_text(1), integer_text(5), bulks_text({"5", "x", "1"}), integer_text(2), integer_text(1),
                        kNullText, array_text({bulk_text("0"), "*0\r\n"}), integer_text(kLarge)}));
  EXPECT_EQ(client->command({"HGET", "large", name_of(1)}), bulk_text("z"));
}

}  // namespace

}  // namespace cubby::server
