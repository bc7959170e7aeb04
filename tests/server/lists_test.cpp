// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

class ListCommands : public ::testing::Test {
 protected:
  std::string all(std::string_view key) { return client->command({"LRANGE", key, "0", "-1"}); }

  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(ListCommands, PushesPutElementsAtTheEndsInTheOrderGiven) {
  EXPECT_EQ(client->command({"RPUSH", "l", "a", "b"}), integer_text(2));
  EXPECT_EQ(client->command({"LPUSH", "l", "c", "d", "e"}), integer_text(5));
  EXPECT_EQ(client->command({"RPUSH", "l", "7"}), integer_text(6));
  EXPECT_EQ(client->command({"LPUSH", "l", ""}), integer_text(7));
  EXPECT_EQ(all("l"), bulks_text({"", "e", "d", "c", "a", "b", "7"}));
}

TEST_F(ListCommands, ConditionalPushesNeedTheList) {
  EXPECT_EQ(client->command({"LPUSHX", "l", "a"}), integer_text(0));
  EXPECT_EQ(client->command({"RPUSHX", "l", "a", "b"}), integer_text(0));
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
  client->command({"RPUSH", "l", "a"});
  EXPECT_EQ(client->command({"LPUSHX", "l", "b", "c"}), integer_text(3));
  EXPECT_EQ(client->command({"RPUSHX", "l", "d"}), integer_text(4));
  EXPECT_EQ(all("l"), bulks_text({"c", "b", "a", "d"}));
}

TEST_F(ListCommands, PopsTakeFromTheEndsAndTheKeyGoesWithTheLastElement) {
  client->command({"RPUSH", "l", "a", "b", "c", "d", "e"});
  EXPECT_EQ(client->command({"LPOP", "l"}), bulk_text("a"));
  EXPECT_EQ(client->command({"RPOP", "l"}), bulk_text("e"));
  EXPECT_EQ(client->command({"RPOP", "l", "2"}), bulks_text({"d", "c"}));
  EXPECT_EQ(client->command({"LPOP", "l", "0"}), "*0\r\n");
  EXPECT_EQ(client->command({"LPOP", "l", "9"}), bulks_text({"b"}));
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
  EXPECT_EQ(client->command({"LPOP", "l"}), kNullText);
  EXPECT_EQ(client->command({"RPOP", "l", "1"}), kNullArrayText);
  EXPECT_EQ(client->command({"LPOP", "l", "0"}), kNullArrayText);
  client->command({"RPUSH", "l", "a"});
  EXPECT_EQ(client->command({"RPOP", "l"}), bulk_text("a"));
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
}

TEST_F(ListCommands, PopCountsAreChecked) {
  client->command({"RPUSH", "l", "a"});
  for (const char* count : {"-1", "x", "9223372036854775808"}) {
    EXPECT_EQ(client->command({"LPOP", "l", count}), "-ERR value is out of range, must be positive\r\n") << count;
  }
  EXPECT_EQ(client->command({"RPOP", "l", "1", "2"}), "-ERR wrong number of arguments for 'rpop' command\r\n");
  EXPECT_EQ(client->command({"LLEN", "l"}), integer_text(1));
}

TEST_F(ListCommands, RangesAndIndicesCountFromBothEnds) {
  client->command({"RPUSH", "l", "a", "b", "c", "d"});
  EXPECT_EQ(client->command({"LRANGE", "l", "1", "2"}), bulks_text({"b", "c"}));
  EXPECT_EQ(client->command({"LRANGE", "l", "-2", "-1"}), bulks_text({"c", "d"}));
  EXPECT_EQ(client->command({"LRANGE", "l", "1", "-2"}), bulks_text({"b", "c"}));
  EXPECT_EQ(client->command({"LRANGE", "l", "2", "-1"}), bulks_text({"c", "d"}));
  EXPECT_EQ(client->command({"LRANGE", "l", "-100", "100"}), bulks_text({"a", "b", "c", "d"}));
  EXPECT_EQ(client->command({"LRANGE", "l", "2", "1"}), "*0\r\n");
  EXPECT_EQ(client->command({"LRANGE", "l", "9", "-1"}), "*0\r\n");
  EXPECT_EQ(client->command({"LRANGE", "l", "0", "9223372036854775807"}), bulks_text({"a", "b", "c", "d"}));
  EXPECT_EQ(client->command({"LRANGE", "none", "0", "-1"}), "*0\r\n");
  EXPECT_EQ(client->command({"LRANGE", "l", "x", "1"}), kNotIntegerText);
  EXPECT_EQ(client->command({"LINDEX", "l", "0"}), bulk_text("a"));
  EXPECT_EQ(client->command({"LINDEX", "l", "-1"}), bulk_text("d"));
  EXPECT_EQ(client->command({"LINDEX", "l", "-4"}), bulk_text("a"));
  EXPECT_EQ(client->command({"LINDEX", "l", "-5"}), kNullText);
  EXPECT_EQ(client->command({"LINDEX", "l", "4"}), kNullText);
  EXPECT_EQ(client->command({"LINDEX", "l", "x"}), kNotIntegerText);
  EXPECT_EQ(client->command({"LINDEX", "none", "x"}), kNullText);
}

TEST_F(ListCommands, SettingReplacesOneElement) {
  client->command({"RPUSH", "l", "a", "b", "c"});
  EXPECT_EQ(client->command({"LSET", "l", "0", "x"}), kOkText);
  EXPECT_EQ(client->command({"LSET", "l", "-1", "z"}), kOkText);
  EXPECT_EQ(all("l"), bulks_text({"x", "b", "z"}));
  EXPECT_EQ(client->command({"LSET", "l", "3", "y"}), "-ERR index out of range\r\n");
  EXPECT_EQ(client->command({"LSET", "l", "-4", "y"}), "-ERR index out of range\r\n");
  EXPECT_EQ(client->command({"LSET", "l", "x", "y"}), kNotIntegerText);
  EXPECT_EQ(client->command({"LSET", "none", "x", "y"}), "-ERR no such key\r\n");
  EXPECT_EQ(all("l"), bulks_text({"x", "b", "z"}));
}

TEST_F(ListCommands, InsertingNeedsThePivot) {
  client->command({"RPUSH", "l", "a", "b", "a"});
  EXPECT_EQ(client->command({"LINSERT", "l", "BEFORE", "a", "x"}), integer_text(4));
  EXPECT_EQ(client->command({"LINSERT", "l", "after", "b", "y"}), integer_text(5));
  EXPECT_EQ(client->command({"LINSERT", "l", "after", "none", "y"}), integer_text(-1));
  EXPECT_EQ(client->command({"LINSERT", "none", "after", "a", "y"}), integer_text(0));
  EXPECT_EQ(client->command({"LINSERT", "l", "beside", "a", "y"}), kSyntaxText);
  EXPECT_EQ(all("l"), bulks_text({"x", "a", "b", "y", "a"}));
}

TEST_F(ListCommands, RemovingCountsFromTheEndThatTheSignSays) {
  client->command({"RPUSH", "l", "1", "b", "1", "c", "1", "d", "1"});
  EXPECT_EQ(client->command({"LREM", "l", "1", "1"}), integer_text(1));
  EXPECT_EQ(client->command({"LREM", "l", "-2", "1"}), integer_text(2));
  EXPECT_EQ(all("l"), bulks_text({"b", "1", "c", "d"}));
  EXPECT_EQ(client->command({"LREM", "l", "0", "01"}), integer_text(0));
  EXPECT_EQ(client->command({"LREM", "l", "-9223372036854775808", "1"}), integer_text(1));
  EXPECT_EQ(client->command({"LREM", "none", "0", "1"}), integer_text(0));
  client->command({"DEL", "l"});
  client->command({"RPUSH", "l", "a", "a"});
  EXPECT_EQ(client->command({"LREM", "l", "0", "a"}), integer_text(2));
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
}

TEST_F(ListCommands, TrimmingKeepsARange) {
  client->command({"RPUSH", "l", "a", "b", "c", "d", "e", "f"});
  EXPECT_EQ(client->command({"LTRIM", "l", "1", "-2"}), kOkText);
  EXPECT_EQ(all("l"), bulks_text({"b", "c", "d", "e"}));
  EXPECT_EQ(client->command({"LTRIM", "l", "0", "-1"}), kOkText);
  EXPECT_EQ(all("l"), bulks_text({"b", "c", "d", "e"}));
  EXPECT_EQ(client->command({"LTRIM", "l", "3", "9"}), kOkText);  // most of it goes
  EXPECT_EQ(all("l"), bulks_text({"e"}));
  EXPECT_EQ(client->command({"LTRIM", "l", "1", "5"}), kOkText);
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
  EXPECT_EQ(client->command({"LTRIM", "none", "0", "1"}), kOkText);
  EXPECT_EQ(client->command({"LTRIM", "none", "0", "x"}), kNotIntegerText);
}

TEST_F(ListCommands, PositionsOfEqualElements) {
  client->command({"RPUSH", "l", "a", "b", "c", "1", "2", "3", "c", "c"});
  EXPECT_EQ(client->command({"LPOS", "l", "c"}), integer_text(2));
  EXPECT_EQ(client->command({"LPOS", "l", "2"}), integer_text(4));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "RANK", "2"}), integer_text(6));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "RANK", "-1"}), integer_text(7));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "RANK", "-9223372036854775808"}), integer_text(7));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "COUNT", "2"}), array_text({integer_text(2), integer_text(6)}));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "RANK", "-1", "COUNT", "0"}),
            array_text({integer_text(7), integer_text(6), integer_text(2)}));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "COUNT", "0", "MAXLEN", "3"}), array_text({integer_text(2)}));
  EXPECT_EQ(client->command({"LPOS", "l", "c", "MAXLEN", "2"}), kNullText);
  EXPECT_EQ(client->command({"LPOS", "l", "z"}), kNullText);
  EXPECT_EQ(client->command({"LPOS", "none", "z", "COUNT", "1"}), "*0\r\n");
  EXPECT_EQ(client->command({"LPOS", "l", "c", "RANK", "0"}),
            "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from "
            "the end of the list\r\n");
  EXPECT_EQ(client->command({"LPOS", "l", "c", "COUNT", "-1"}), "-ERR COUNT can't be negative\r\n");
  EXPECT_EQ(client->command({"LPOS", "l", "c", "MAXLEN", "x"}), "-ERR MAXLEN can't be negative\r\n");
  EXPECT_EQ(client->command({"LPOS", "l", "c", "COUNT"}), kSyntaxText);
}

TEST_F(ListCommands, MovingTakesAndPutsAtOnce) {
  client->command({"RPUSH", "a", "1", "2", "3"});
  EXPECT_EQ(client->command({"LMOVE", "a", "b", "LEFT", "RIGHT"}), bulk_text("1"));
  EXPECT_EQ(client->command({"LMOVE", "a", "b", "right", "left"}), bulk_text("3"));
  EXPECT_EQ(all("b"), bulks_text({"3", "1"}));
  EXPECT_EQ(client->command({"RPOPLPUSH", "a", "b"}), bulk_text("2"));
  EXPECT_EQ(client->command({"EXISTS", "a"}), integer_text(0));
  EXPECT_EQ(client->command({"RPOPLPUSH", "a", "b"}), kNullText);
  EXPECT_EQ(client->command({"LMOVE", "a", "b", "UP", "LEFT"}), kSyntaxText);
  EXPECT_EQ(all("b"), bulks_text({"2", "3", "1"}));
}

TEST_F(ListCommands, AListThatIsRotatedKeepsItsDeadline) {
  client->command({"RPUSH", "l", "a", "b"});
  EXPECT_EQ(client->command({"RPOPLPUSH", "l", "l"}), bulk_text("b"));
  EXPECT_EQ(all("l"), bulks_text({"b", "a"}));
  EXPECT_EQ(client->command({"LMOVE", "l", "l", "LEFT", "LEFT"}), bulk_text("b"));
  EXPECT_EQ(all("l"), bulks_text({"b", "a"}));
  client->command({"RPUSH", "one", "x"});
  client->command({"EXPIREAT", "one", "9000000000"});
  EXPECT_EQ(client->command({"LMOVE", "one", "one", "LEFT", "RIGHT"}), bulk_text("x"));
  EXPECT_EQ(client->command({"LMOVE", "one", "one", "RIGHT", "RIGHT"}), bulk_text("x"));
  EXPECT_EQ(all("one"), bulks_text({"x"}));
  EXPECT_EQ(client->command({"EXPIRETIME", "one"}), integer_text(9000000000));
}

TEST_F(ListCommands, ChangesKeepTheDeadline) {
  client->command({"RPUSH", "l", "a", "b", "c", "d", "e", "f", "g"});
  client->command({"EXPIREAT", "l", "9000000000"});
  client->command({"LSET", "l", "0", "x"});
  client->command({"LINSERT", "l", "BEFORE", "b", "y"});
  client->command({"LREM", "l", "1", "y"});
  client->command({"LTRIM", "l", "1", "-1"});
  client->command({"LTRIM", "l", "0", "1"});
  client->command({"LPUSH", "l", "1", "2"});
  client->command({"LPOP", "l", "2"});
  EXPECT_EQ(all("l"), bulks_text({"b", "c"}));
  EXPECT_EQ(client->command({"EXPIRETIME", "l"}), integer_text(9000000000));
}

TEST_F(ListCommands, MultiPopTakesFromTheFirstListThatHasSome) {
  client->command({"RPUSH", "b", "1", "2", "3"});
  EXPECT_EQ(client->command({"LMPOP", "2", "a", "b", "LEFT"}), array_text({bulk_text("b"), bulks_text({"1"})}));
  EXPECT_EQ(client->command({"LMPOP", "2", "a", "b", "RIGHT", "COUNT", "5"}),
            array_text({bulk_text("b"), bulks_text({"3", "2"})}));
  EXPECT_EQ(client->command({"LMPOP", "2", "a", "b", "RIGHT"}), kNullArrayText);
  EXPECT_EQ(client->command({"LMPOP", "x", "a", "LEFT"}), "-ERR numkeys should be greater than 0\r\n");
  EXPECT_EQ(client->command({"LMPOP", "0", "a", "LEFT"}), "-ERR numkeys should be greater than 0\r\n");
  EXPECT_EQ(client->command({"LMPOP", "2", "a", "LEFT"}), kSyntaxText);
  EXPECT_EQ(client->command({"LMPOP", "9223372036854775807", "a", "LEFT"}), kSyntaxText);
  EXPECT_EQ(client->command({"LMPOP", "1", "a", "UP"}), kSyntaxText);
  EXPECT_EQ(client->command({"LMPOP", "1", "a", "LEFT", "COUNT"}), kSyntaxText);
  EXPECT_EQ(client->command({"LMPOP", "1", "a", "LEFT", "COUNT", "0"}), "-ERR count should be greater than 0\r\n");
  EXPECT_EQ(client->command({"LMPOP", "1", "a", "LEFT", "COUNT", "1", "COUNT", "1"}), kSyntaxText);
}

TEST_F(ListCommands, OtherTypesAreRefusedAndStay) {
  client->command({"SET", "s", "text"});
  client->command({"HSET", "h", "f", "v"});
  client->command({"RPUSH", "l", "a"});
  for (const char* key : {"s", "h"}) {
    EXPECT_EQ(client->command({"LPUSH", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"RPUSH", key, "a", "b"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LPUSHX", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LPOP", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"RPOP", key, "2"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LLEN", key}), kWrongTypeText);
    EXPECT_EQ(client->command({"LRANGE", key, "0", "-1"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LRANGE", key, "-3", "-1"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LRANGE", key, "3", "1"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LINDEX", key, "0"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LINDEX", key, "x"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LSET", key, "0", "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LINSERT", key, "BEFORE", "a", "b"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LREM", key, "0", "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LTRIM", key, "0", "1"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LPOS", key, "a"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LMPOP", "2", key, "l", "LEFT"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LMOVE", key, "l", "LEFT", "LEFT"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LMOVE", "l", key, "LEFT", "LEFT"}), kWrongTypeText);
    EXPECT_EQ(client->command({"LMOVE", "none", key, "LEFT", "LEFT"}), kNullText);
  }
  EXPECT_EQ(all("l"), bulks_text({"a"}));
  EXPECT_EQ(client->command({"GET", "s"}), bulk_text("text"));
}

TEST_F(ListCommands, WhatChangesNothingIsNoWrite) {
  client->command({"RPUSH", "l", "a"});
  client->command({"WATCH", "l"});
  client->command({"LINSERT", "l", "BEFORE", "none", "x"});
  client->command({"LREM", "l", "0", "none"});
  client->command({"LPOP", "l", "0"});
  client->command({"MULTI"});
  EXPECT_EQ(client->command({"EXEC"}), "*0\r\n");
}

TEST_F(ListCommands, InATransactionTheySeeEachOther) {
  client->command({"MULTI"});
  client->command({"RPUSH", "l", "a", "b", "c"});
  client->command({"LRANGE", "l", "-2", "-1"});
  client->command({"LMOVE", "l", "m", "LEFT", "LEFT"});
  client->command({"LTRIM", "l", "1", "-1"});
  client->command({"LMPOP", "2", "l", "m", "LEFT"});
  client->command({"LLEN", "l"});
  client->command({"LPOP", "s", "x"});
  EXPECT_EQ(client->command({"EXEC"}), array_text({integer_text(3), bulks_text({"b", "c"}), bulk_text("a"), kOkText,
                                                   array_text({bulk_text("l"), bulks_text({"c"})}), integer_text(0),
                                                   "-ERR value is out of range, must be positive\r\n"}));
  EXPECT_EQ(client->command({"EXISTS", "l"}), integer_text(0));
  EXPECT_EQ(all("m"), bulks_text({"a"}));
}

TEST_F(ListCommands, BytesOfAnyKindComeBack) {
  const std::string bytes("\0\xff\r\n\x80", 5);
  client->command({"RPUSH", "l", bytes, "007", "-9223372036854775808", "é"});
  EXPECT_EQ(all("l"), bulks_text({bytes, "007", "-9223372036854775808", "é"}));
  EXPECT_EQ(client->command({"LPOS", "l", bytes}), integer_text(0));
  EXPECT_EQ(client->command({"LPOS", "l", "7"}), kNullText);
}

}  // namespace

}  // namespace cubby::server
