// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

class StringCommands : public ::testing::Test {
 protected:
  /// The store as C++ code sees it.
  Datastore& store() { return client->store; }

  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(StringCommands, WhatIsSetIsRead) {
  EXPECT_EQ(client->line("GET a"), kNullText);
  EXPECT_EQ(client->line("SET a value"), kOkText);
  EXPECT_EQ(client->line("GET a"), bulk_text("value"));
  EXPECT_EQ(client->command({"SET", "a", ""}), kOkText);
  EXPECT_EQ(client->line("GET a"), bulk_text(""));
  const std::string bytes("\xff\0\r\n", 4);
  EXPECT_EQ(client->command({"SET", "a", bytes}), kOkText);
  EXPECT_EQ(client->line("GET a"), bulk_text(bytes));
}

TEST_F(StringCommands, CppCodeSeesNumbersTextAndBytes) {
  client->line("SET a -12");
  EXPECT_EQ(store().get("a"), Value(-12));
  client->line("SET a 012");
  EXPECT_EQ(store().get("a"), Value("012"));
  client->command({"SET", "a", "\xff"});
  const std::byte byte{0xff};
  EXPECT_EQ(store().get("a"), Value::binary(std::span(&byte, 1)));
}

TEST_F(StringCommands, WhatCppCodeHasStoredReadsAsJson) {
  store().set("real", Value(1.5));
  store().set("null", Value());
  store().set("yes", Value(true));
  EXPECT_EQ(client->line("MGET real null yes"), bulks_text({"1.5", "null", "true"}));
  EXPECT_EQ(client->line("STRLEN yes"), integer_text(4));
}

TEST_F(StringCommands, SetDropsTheDeadlineUnlessToldOtherwise) {
  client->line("SET a 1 EX 100");
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  client->line("SET a 2 KEEPTTL");
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  client->line("SET a 3 XX KEEPTTL");
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  client->line("SET a 4");
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
  client->line("SET a 5 PXAT 4102444800000");
  EXPECT_EQ(client->line("PEXPIRETIME a"), integer_text(4102444800000));
  client->line("SET a 6 XX");
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
  EXPECT_EQ(client->line("SET a 7 EXAT 1"), kOkText);
  EXPECT_EQ(client->line("EXISTS a"), integer_text(0));
}

TEST_F(StringCommands, SetDependsOnWhetherTheKeyIsThere) {
  EXPECT_EQ(client->line("SET a 1 XX"), kNullText);
  EXPECT_EQ(client->line("SET a 1 NX"), kOkText);
  EXPECT_EQ(client->line("SET a 2 nx"), kNullText);
  EXPECT_EQ(client->line("SET a 3 XX"), kOkText);
  EXPECT_EQ(client->line("SET a 4 NX GET"), bulk_text("3"));
  EXPECT_EQ(client->line("GET a"), bulk_text("3"));
  EXPECT_EQ(client->line("SET a 5 GET EX 10"), bulk_text("3"));
  EXPECT_EQ(client->line("TTL a"), integer_text(10));
  EXPECT_EQ(client->line("SET b 6 GET"), kNullText);
  EXPECT_EQ(client->line("GET b"), bulk_text("6"));
  EXPECT_EQ(client->line("SET c 7 XX GET"), kNullText);
  EXPECT_EQ(client->line("EXISTS c"), integer_text(0));
  EXPECT_EQ(client->line("SETNX a x"), integer_text(0));
  EXPECT_EQ(client->line("SETNX c x"), integer_text(1));
}

TEST_F(StringCommands, SetRefusesOptionsThatContradict) {
  for (const char* line :
       {"SET a 1 NX XX", "SET a 1 EX", "SET a 1 EX 1 PX 1", "SET a 1 KEEPTTL EX 1", "SET a 1 EX 1 KEEPTTL", "SET a 1 PERSIST",
        "SET a 1 foo", "GETEX a PERSIST EX 1", "GETEX a EX 1 PERSIST", "GETEX a KEEPTTL", "GETEX a NX"}) {
    EXPECT_EQ(client->line(line), kSyntaxText) << line;
  }
  EXPECT_EQ(client->line("SET a 1 EX 1 EX 20"), kOkText);
  EXPECT_EQ(client->line("TTL a"), integer_text(20));
  EXPECT_EQ(client->line("SET a 1 EX x"), kNotIntegerText);
  for (const char* time : {"0", "-1", "9223372036854775807"}) {
    EXPECT_EQ(client->command({"SET", "a", "2", "EX", time}), "-ERR invalid expire time in 'set' command\r\n");
    EXPECT_EQ(client->command({"SETEX", "a", time, "2"}), "-ERR invalid expire time in 'setex' command\r\n");
    EXPECT_EQ(client->command({"PSETEX", "a", time, "2"}), "-ERR invalid expire time in 'psetex' command\r\n");
    EXPECT_EQ(client->command({"GETEX", "a", "PX", time}), "-ERR invalid expire time in 'getex' command\r\n");
  }
  EXPECT_EQ(client->line("GET a"), bulk_text("1"));
}

TEST_F(StringCommands, SetWithATimeToLive) {
  EXPECT_EQ(client->line("SETEX a 100 x"), kOkText);
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  EXPECT_EQ(client->line("PSETEX a 200000 y"), kOkText);
  EXPECT_EQ(client->line("TTL a"), integer_text(200));
  EXPECT_EQ(client->line("GET a"), bulk_text("y"));
}

TEST_F(StringCommands, ReadAndReplace) {
  EXPECT_EQ(client->line("GETSET a 1"), kNullText);
  client->line("EXPIRE a 100");
  EXPECT_EQ(client->line("GETSET a 2"), bulk_text("1"));
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
  EXPECT_EQ(client->line("GETDEL a"), bulk_text("2"));
  EXPECT_EQ(client->line("GETDEL a"), kNullText);
}

TEST_F(StringCommands, ReadAndChangeTheDeadline) {
  EXPECT_EQ(client->line("GETEX a EX 0"), kNullText);
  client->line("SET a x");
  EXPECT_EQ(client->line("GETEX a EX 100"), bulk_text("x"));
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  EXPECT_EQ(client->line("GETEX a"), bulk_text("x"));
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  EXPECT_EQ(client->line("GETEX a PERSIST"), bulk_text("x"));
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
  EXPECT_EQ(client->line("GETEX a PXAT 1"), bulk_text("x"));
  EXPECT_EQ(client->line("EXISTS a"), integer_text(0));
}

TEST_F(StringCommands, SeveralAtOnce) {
  EXPECT_EQ(client->line("MSET a 1 b 2 a 3"), kOkText);
  client->line("RPUSH l x");
  EXPECT_EQ(client->line("MGET a none b l a"),
            array_text({bulk_text("3"), kNullText, bulk_text("2"), kNullText, bulk_text("3")}));
  EXPECT_EQ(client->line("MGET none"), array_text({kNullText}));
  EXPECT_EQ(client->line("MSETNX c 1 a 2"), integer_text(0));
  EXPECT_EQ(client->line("EXISTS c"), integer_text(0));
  EXPECT_EQ(client->line("MSETNX c 1 d 2"), integer_text(1));
  EXPECT_EQ(client->line("MSET a 1 b"), "-ERR wrong number of arguments for 'mset' command\r\n");
  EXPECT_EQ(client->line("MSETNX a 1 b"), "-ERR wrong number of arguments for 'msetnx' command\r\n");
  client->line("EXPIRE a 100");
  client->line("MSET a 5 l 6");
  EXPECT_EQ(client->line("TTL a"), integer_text(-1));
  EXPECT_EQ(client->line("GET l"), bulk_text("6"));
}

TEST_F(StringCommands, ListsAndHashesAreNoStrings) {
  client->line("RPUSH l x");
  client->line("HSET h a 1");
  for (const std::string key : {"l", "h"}) {
    for (const std::string line :
         {"GET KEY", "SET KEY 1 GET", "GETSET KEY 1", "GETDEL KEY", "GETEX KEY", "GETEX KEY EX 0", "APPEND KEY x", "STRLEN KEY",
          "GETRANGE KEY 0 1", "SETRANGE KEY 0 x", "INCR KEY", "DECRBY KEY 2", "INCRBYFLOAT KEY x"}) {
      std::string with_key = line;
      with_key.replace(with_key.find("KEY"), 3, key);
      EXPECT_EQ(client->line(with_key), kWrongTypeText) << with_key;
    }
  }
  EXPECT_EQ(client->line("LLEN l"), integer_text(1));
  EXPECT_EQ(client->line("HLEN h"), integer_text(1));
  EXPECT_EQ(client->line("SET l 1"), kOkText);
}

TEST_F(StringCommands, Append) {
  EXPECT_EQ(client->line("APPEND a 1"), integer_text(1));
  client->line("EXPIRE a 100");
  EXPECT_EQ(client->line("APPEND a 2"), integer_text(2));
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  EXPECT_EQ(store().get("a"), Value(12));
  EXPECT_EQ(client->line("APPEND a -a-long-text-behind-it"), integer_text(24));
  EXPECT_EQ(client->line("GET a"), bulk_text("12-a-long-text-behind-it"));
}

TEST_F(StringCommands, AppendingBytesMayMakeTextOfThem) {
  client->command({"SET", "a", "\xc3"});
  EXPECT_TRUE(store().get("a")->is_binary());
  EXPECT_EQ(client->command({"APPEND", "a", "\xa4"}), integer_text(2));
  EXPECT_EQ(store().get("a"), Value("\xc3\xa4"));
  const std::string text(100, 'x');
  client->command({"SET", "a", text});
  EXPECT_EQ(client->command({"APPEND", "a", "\xff"}), integer_text(101));
  EXPECT_TRUE(store().get("a")->is_binary());
  EXPECT_EQ(client->command({"APPEND", "a", "y"}), integer_text(102));
  EXPECT_EQ(client->line("GET a"), bulk_text(text + "\xffy"));
}

TEST_F(StringCommands, Parts) {
  client->line("SET a 12345");
  EXPECT_EQ(client->line("STRLEN a"), integer_text(5));
  EXPECT_EQ(client->line("STRLEN none"), integer_text(0));
  struct Part {
    const char *start, *end, *bytes;
  };
  for (const Part& part : {Part{"0", "-1", "12345"}, Part{"1", "2", "23"}, Part{"-2", "-1", "45"}, Part{"-100", "1", "12"},
                           Part{"0", "-100", "1"}, Part{"-1", "-2", ""}, Part{"3", "1", ""}, Part{"5", "9", ""},
                           Part{"4", "9223372036854775807", "5"}, Part{"-9223372036854775808", "-9223372036854775808", "1"}}) {
    EXPECT_EQ(client->command({"GETRANGE", "a", part.start, part.end}), bulk_text(part.bytes)) << part.start << ' ' << part.end;
    EXPECT_EQ(client->command({"SUBSTR", "a", part.start, part.end}), bulk_text(part.bytes));
  }
  EXPECT_EQ(client->line("GETRANGE none 0 -1"), bulk_text(""));
  EXPECT_EQ(client->line("GETRANGE a x 1"), kNotIntegerText);
}

TEST_F(StringCommands, PartsAreOverwritten) {
  EXPECT_EQ(client->command({"SETRANGE", "a", "3", ""}), integer_text(0));
  EXPECT_EQ(client->line("EXISTS a"), integer_text(0));
  EXPECT_EQ(client->line("SETRANGE a 2 xy"), integer_text(4));
  EXPECT_EQ(client->line("GET a"), bulk_text(std::string("\0\0xy", 4)));
  EXPECT_EQ(client->line("SETRANGE a 0 12"), integer_text(4));
  EXPECT_EQ(client->line("SETRANGE a 2 3456"), integer_text(6));
  EXPECT_EQ(store().get("a"), Value(123456));
  EXPECT_EQ(client->command({"SETRANGE", "a", "3", ""}), integer_text(6));
  EXPECT_EQ(client->line("SETRANGE a -1 x"), "-ERR offset is out of range\r\n");
  EXPECT_EQ(client->line("SETRANGE a x x"), kNotIntegerText);
  const char* too_large = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
  EXPECT_EQ(client->line("SETRANGE a 536870912 x"), too_large);
  EXPECT_EQ(client->line("SETRANGE none 9223372036854775807 x"), too_large);
  EXPECT_EQ(client->line("EXISTS none"), integer_text(0));
}

TEST_F(StringCommands, Counting) {
  EXPECT_EQ(client->line("INCR a"), integer_text(1));
  EXPECT_EQ(client->line("INCRBY a 41"), integer_text(42));
  EXPECT_EQ(client->line("DECR a"), integer_text(41));
  EXPECT_EQ(client->line("DECRBY a 50"), integer_text(-9));
  EXPECT_EQ(client->line("INCRBY a x"), kNotIntegerText);
  EXPECT_EQ(client->line("INCRBY a 1.5"), kNotIntegerText);
  EXPECT_EQ(client->line("DECRBY a -9223372036854775808"), "-ERR decrement would overflow\r\n");
  client->line("SET a 9223372036854775807 EX 100");
  EXPECT_EQ(client->line("INCR a"), "-ERR increment or decrement would overflow\r\n");
  EXPECT_EQ(client->line("DECR a"), integer_text(9223372036854775806));
  EXPECT_EQ(client->line("TTL a"), integer_text(100));
  for (const char* text : {"abc", "007", "1.5", "9223372036854775808"}) {
    client->command({"SET", "a", text});
    EXPECT_EQ(client->line("INCR a"), kNotIntegerText) << text;
    EXPECT_EQ(client->line("GET a"), bulk_text(text));
  }
}

TEST_F(StringCommands, CountingWhatCppCodeHasStored) {
  store().set("a", Value("41"));
  EXPECT_EQ(client->line("INCR a"), integer_text(42));
  EXPECT_EQ(store().get("a"), Value(42));
  store().set("a", Value(1.5));
  EXPECT_EQ(client->line("INCR a"), kNotIntegerText);
  EXPECT_EQ(client->line("INCRBYFLOAT a 0.25"), bulk_text("1.75"));
  store().set("a", Value("9223372036854775807"));
  EXPECT_EQ(client->line("INCR a"), "-ERR increment or decrement would overflow\r\n");
}

TEST_F(StringCommands, CountingFractions) {
  EXPECT_EQ(client->line("INCRBYFLOAT a 10.5"), bulk_text("10.5"));
  EXPECT_EQ(client->line("INCRBYFLOAT a 0.1"), bulk_text("10.6"));
  EXPECT_EQ(client->line("INCRBYFLOAT a -0.6"), bulk_text("10"));
  EXPECT_EQ(store().get("a"), Value(10));
  EXPECT_EQ(client->line("INCRBYFLOAT a 5e3"), bulk_text("5010"));
  EXPECT_EQ(client->line("INCRBYFLOAT a x"), "-ERR value is not a valid float\r\n");
  EXPECT_EQ(client->line("INCRBYFLOAT a inf"), "-ERR increment would produce NaN or Infinity\r\n");
  client->line("SET a x");
  EXPECT_EQ(client->line("INCRBYFLOAT a 1"), "-ERR value is not a valid float\r\n");
  EXPECT_EQ(client->line("GET a"), bulk_text("x"));
}

TEST_F(StringCommands, NoIncrementIsLost) {
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this] {
      const auto other = server.connect();
      for (int turn = 0; turn < kEach; ++turn) {
        other->line("INCR n");
        other->line("APPEND text x");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(client->line("GET n"), bulk_text(std::to_string(kThreads * kEach)));
  EXPECT_EQ(client->line("STRLEN text"), integer_text(kThreads * kEach));
}

TEST_F(StringCommands, InATransaction) {
  client->line("MULTI");
  for (const char* line :
       {"SET a 1", "INCR a", "MGET a b", "GETSET a x", "INCR a", "MSETNX b 1 c 2", "GETDEL a", "SET a 2 NX"}) {
    EXPECT_EQ(client->line(line), "+QUEUED\r\n");
  }
  EXPECT_EQ(client->line("EXEC"), array_text({kOkText, integer_text(2), array_text({bulk_text("2"), kNullText}), bulk_text("2"),
                                              kNotIntegerText, integer_text(1), bulk_text("x"), kOkText}));
  EXPECT_EQ(client->line("MGET a b c"), bulks_text({"2", "1", "2"}));
}

}  // namespace

}  // namespace cubby::server
