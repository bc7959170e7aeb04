// SPDX-License-Identifier: Apache-2.0

// JSON.*: the replies are those that RedisJSON 2.6 documents; commands_json.cpp says where they differ.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/test_client.hpp"

namespace cubby::server {

namespace {

std::string bulk_of(std::string_view text) { return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n"; }

constexpr std::string_view kNoDocument = "-ERR could not perform this operation on a key that doesn't exist\r\n";
constexpr std::string_view kNil = "$-1\r\n";
constexpr std::string_view kOk = "+OK\r\n";

class Json : public ::testing::Test {
 protected:
  template <class... Words>
  std::string run(Words... words) {
    return client->command({words...});
  }
  void put(const char* json) { ASSERT_EQ(run("JSON.SET", "k", "$", json), kOk); }
  /// The whole value.
  std::string now() {
    const std::string reply = run("JSON.GET", "k");
    const std::size_t line = reply.find("\r\n");
    return reply.size() < line + 4 ? reply : reply.substr(line + 2, reply.size() - line - 4);
  }

  testing::TestServer server;
  std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(Json, SetsAndGetsTheWhole) {
  EXPECT_EQ(run("JSON.GET", "k"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$", R"( {"b":[1,2.5,true,null],"a":"x"} )"), kOk);
  EXPECT_EQ(run("JSON.GET", "k"), bulk_of(R"({"a":"x","b":[1,2.5,true,null]})"));
  EXPECT_EQ(run("JSON.GET", "k", "$"), bulk_of(R"([{"a":"x","b":[1,2.5,true,null]}])"));
  EXPECT_EQ(run("JSON.GET", "k", "."), bulk_of(R"({"a":"x","b":[1,2.5,true,null]})"));
  EXPECT_EQ(run("JSON.SET", "k", ".", "null"), kOk);
  EXPECT_EQ(now(), "null");
}

TEST_F(Json, GetsByPaths) {
  put(R"({"a":[{"b c":{"c":7}},2],"d":"x"})");
  EXPECT_EQ(run("JSON.GET", "k", "$.a[0]['b c'].c"), bulk_of("[7]"));
  EXPECT_EQ(run("JSON.GET", "k", "a[0]['b c'].c"), bulk_of("7"));
  EXPECT_EQ(run("JSON.GET", "k", "$..c"), bulk_of("[7]"));
  EXPECT_EQ(run("JSON.GET", "k", "$.x"), bulk_of("[]"));
  EXPECT_EQ(run("JSON.GET", "k", ".x"), "-ERR Path '$.x' does not exist\r\n");
  EXPECT_EQ(run("JSON.GET", "k", "$.d", "$.a[1]"), bulk_of(R"({"$.d":["x"],"$.a[1]":[2]})"));
  EXPECT_EQ(run("JSON.GET", "k", ".d", ".a[1]"), bulk_of(R"({".d":"x",".a[1]":2})"));
  EXPECT_EQ(run("JSON.GET", "k", ".d", "$.x"), bulk_of(R"({".d":["x"],"$.x":[]})"));
  EXPECT_EQ(run("JSON.GET", "k", ".d", ".d"), bulk_of(R"({".d":"x"})"));
  EXPECT_EQ(run("JSON.GET", "k", ".d", ".x"), "-ERR Path '.x' does not exist\r\n");
  EXPECT_EQ(run("JSON.GET", "none", ".x"), kNil);
  EXPECT_EQ(run("JSON.GET", "k", "$[0:1]").substr(0, 4), "-ERR");
}

TEST_F(Json, LaysTextOut) {
  put(R"({"a":[1,{"b":2}],"c":{},"d":[]})");
  EXPECT_EQ(run("JSON.GET", "k", "INDENT", "\t", "NEWLINE", "\n", "SPACE", " ", "."),
            bulk_of("{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": 2\n\t\t}\n\t],\n\t\"c\": {},\n\t\"d\": []\n}"));
  EXPECT_EQ(run("json.get", "k", "space", " ", "$.a"), bulk_of(R"([[1,{"b": 2}]])"));
  EXPECT_EQ(run("JSON.GET", "k", "NEWLINE", "|", "$.x"), bulk_of("[]"));
  EXPECT_EQ(run("JSON.GET", "k", "NEWLINE", "|", "INDENT", "-", "$.c", "$.a[0]"),
            bulk_of("{|-\"$.c\":[|--{}|-],|-\"$.a[0]\":[|--1|-]|}"));
  EXPECT_EQ(run("JSON.GET", "k", "INDENT"), "-ERR wrong number of arguments for 'json.get' command\r\n");
  EXPECT_EQ(run("JSON.GET", "k", "FORMAT", "STRING", "."), "-ERR FORMAT argument is not supported on RESP2\r\n");
}

TEST_F(Json, TheLayoutDoesNotMakeTextsWithoutEnd) {
  server.server().change(std::vector<std::pair<std::string, std::string>>{{"client-output-buffer-limit", "normal 1000 0 0"}});
  put("[1,2,3,4,5,6,7,8,9,10]");
  const std::string indent(90, ' ');
  EXPECT_EQ(run("JSON.GET", "k", "INDENT", indent, "$[0]"), bulk_of("[" + indent + "1]"));
  EXPECT_EQ(run("JSON.GET", "k", "INDENT", indent, "$"), "-ERR the reply would be larger than the output limit\r\n");
  EXPECT_FALSE(client->closing);
  EXPECT_EQ(run("JSON.GET", "k"), bulk_of("[1,2,3,4,5,6,7,8,9,10]"));
  for (const char* option : {"INDENT", "NEWLINE", "SPACE"}) {
    EXPECT_EQ(run("JSON.GET", "none", option, std::string(1024, ' '), "$"), kNil);
    EXPECT_EQ(run("JSON.GET", "none", option, std::string(1025, ' '), "$"),
              "-ERR " + std::string(option) + " is longer than 1024 bytes\r\n");
  }
}

TEST_F(Json, OneValueDoesNotGrowManifoldWithoutEnd) {
  server.server().change(std::vector<std::pair<std::string, std::string>>{{"proto-max-bulk-len", "1mb"}});
  constexpr std::string_view kTooMuch = "-ERR the value would grow by more than proto-max-bulk-len\r\n";
  const std::string large = '"' + std::string(600'000, 'x') + '"';
  put("[[],[]]");
  EXPECT_EQ(run("JSON.SET", "k", "$[*]", large), kTooMuch);
  EXPECT_EQ(run("JSON.MERGE", "k", "$[*]", large), kTooMuch);
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$[*]", large), kTooMuch);
  EXPECT_EQ(now(), "[[],[]]");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$[0]", large), "*1\r\n:1\r\n");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$[*]", "5"), "*2\r\n:2\r\n:1\r\n");
}

TEST_F(Json, APathWithTooManyMatchesChangesNothing) {
  // 200 arrays in one another around 10,000 numbers, each of which is below each of them.
  std::string nested(200, '[');
  for (int number = 0; number < 10'000; ++number) nested += number == 0 ? "1" : ",1";
  nested += std::string(200, ']');
  put(nested.c_str());
  const std::string before = now();
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$..*..*", "1"), "-ERR the path has too many matches (1048576 at most)\r\n");
  EXPECT_EQ(run("JSON.SET", "k", "$..*..*", "1"), "-ERR the path has too many matches (1048576 at most)\r\n");
  EXPECT_EQ(now(), before);
}

TEST_F(Json, SetsAtPaths) {
  EXPECT_EQ(run("JSON.SET", "k", "$.a", "1"), "-ERR new objects must be created at the root\r\n");
  put(R"({"a":{"b":1},"l":[1,2]})");
  EXPECT_EQ(run("JSON.SET", "k", "$.a.b", "5"), kOk);
  EXPECT_EQ(run("JSON.SET", "k", ".a.c", "[]"), kOk);
  EXPECT_EQ(run("JSON.SET", "k", "$.n", "true"), kOk);
  EXPECT_EQ(run("JSON.SET", "k", "$.l[-1]", "{}"), kOk);
  EXPECT_EQ(now(), R"({"a":{"b":5,"c":[]},"l":[1,{}],"n":true})");
  EXPECT_EQ(run("JSON.SET", "k", "$.x.y", "1"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$.n.y", "1"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$.l[2]", "1"), "-ERR array index out of range\r\n");
  EXPECT_EQ(run("JSON.SET", "k", "$..zz", "1"), "-Err wrong static path\r\n");
  EXPECT_EQ(run("JSON.SET", "k", "$.a.*", "0"), kOk);
  EXPECT_EQ(now(), R"({"a":{"b":0,"c":0},"l":[1,{}],"n":true})");
  EXPECT_EQ(run("JSON.SET", "k", "$", "{").substr(0, 4), "-ERR");
  EXPECT_EQ(run("JSON.SET", "k", "$", "1", "QQ"), "-ERR syntax error\r\n");
  EXPECT_EQ(run("JSON.SET", "k", "$", "1", "NX", "XX"), "-ERR syntax error\r\n");
}

TEST_F(Json, SetsOnConditions) {
  EXPECT_EQ(run("JSON.SET", "k", "$", "1", "XX"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$", R"({"a":1})", "NX"), kOk);
  EXPECT_EQ(run("JSON.SET", "k", "$", "2", "NX"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$.a", "2", "NX"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$.b", "2", "XX"), kNil);
  EXPECT_EQ(run("JSON.SET", "k", "$.b", "2", "NX"), kOk);
  EXPECT_EQ(run("JSON.SET", "k", "$.a", "3", "xx"), kOk);
  EXPECT_EQ(now(), R"({"a":3,"b":2})");
}

TEST_F(Json, Deletes) {
  put(R"({"a":{"b":1,"c":[1,2,3]},"b":2,"d":{"b":{"b":3}}})");
  EXPECT_EQ(run("JSON.DEL", "k", "$.x"), ":0\r\n");
  EXPECT_EQ(run("JSON.DEL", "k", "$.a.c[1]"), ":1\r\n");
  // The one within another isn't counted.
  EXPECT_EQ(run("JSON.DEL", "k", "$..b"), ":3\r\n");
  EXPECT_EQ(now(), R"({"a":{"c":[1,3]},"d":{}})");
  EXPECT_EQ(run("JSON.FORGET", "k", ".a.c[*]"), ":2\r\n");
  EXPECT_EQ(now(), R"({"a":{"c":[]},"d":{}})");
  EXPECT_EQ(run("JSON.DEL", "k"), ":1\r\n");
  EXPECT_EQ(run("EXISTS", "k"), ":0\r\n");
  EXPECT_EQ(run("JSON.DEL", "k"), ":0\r\n");
  EXPECT_EQ(run("JSON.DEL", "k", "$.a"), ":0\r\n");
  EXPECT_EQ(run("JSON.DEL", "k", "$", "more"), "-ERR wrong number of arguments for 'json.del' command\r\n");
}

TEST_F(Json, Merges) {
  EXPECT_EQ(run("JSON.MERGE", "k", "$.a", "1"), "-ERR new objects must be created at the root\r\n");
  EXPECT_EQ(run("JSON.MERGE", "k", "$", R"({"a":{"b":1,"c":2}})"), kOk);
  EXPECT_EQ(run("JSON.MERGE", "k", "$", R"({"a":{"b":null,"d":[1]},"e":{"f":null,"g":1}})"), kOk);
  EXPECT_EQ(now(), R"({"a":{"c":2,"d":[1]},"e":{"g":1}})");
  EXPECT_EQ(run("JSON.MERGE", "k", "$.a", R"({"c":3})"), kOk);
  EXPECT_EQ(run("JSON.MERGE", "k", "$.n", "7"), kOk);
  EXPECT_EQ(run("JSON.MERGE", "k", "$.a.d", "[2]"), kOk);
  EXPECT_EQ(now(), R"({"a":{"c":3,"d":[2]},"e":{"g":1},"n":7})");
  EXPECT_EQ(run("JSON.MERGE", "k", "$.x.y", "1"), kNil);
  put(R"({"a":{"a":{}}})");
  EXPECT_EQ(run("JSON.MERGE", "k", "$..a", R"({"z":1})"), kOk);
  EXPECT_EQ(now(), R"({"a":{"a":{"z":1},"z":1}})");
}

TEST_F(Json, AddsToNumbers) {
  put(R"({"a":1,"b":{"a":1.5,"c":"x"},"d":9223372036854775807})");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.a", "2"), bulk_of("[3]"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", ".a", "-5"), bulk_of("-2"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$..a", "0.5"), bulk_of("[-1.5,2.0]"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.b.*", "1"), bulk_of("[3.0,null]"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.b.c", "1"), bulk_of("[null]"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.x", "1"), bulk_of("[]"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", ".b.c", "1"), "-ERR Path '$.b.c' does not exist or does not contains a number\r\n");
  // One that can't be done leaves the others as they are.
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.*", "1"), "-ERR numeric overflow\r\n");
  EXPECT_EQ(now(), R"({"a":-1.5,"b":{"a":3.0,"c":"x"},"d":9223372036854775807})");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.a", "\"x\""), "-ERR bad input number\r\n");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.a", "x").substr(0, 4), "-ERR");
  EXPECT_EQ(run("JSON.NUMINCRBY", "none", "$.a", "1"), kNoDocument);
  put("1e308");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$", "1e308"), "-ERR result is not a number\r\n");
}

TEST_F(Json, NamesTypes) {
  put(R"({"a":null,"b":true,"c":1,"d":1.0,"e":"x","f":[],"g":{}})");
  EXPECT_EQ(run("JSON.TYPE", "k", "$.*"), "*7\r\n" + bulk_of("null") + bulk_of("boolean") + bulk_of("integer") +
                                              bulk_of("number") + bulk_of("string") + bulk_of("array") + bulk_of("object"));
  EXPECT_EQ(run("JSON.TYPE", "k"), bulk_of("object"));
  EXPECT_EQ(run("JSON.TYPE", "k", ".d"), bulk_of("number"));
  EXPECT_EQ(run("JSON.TYPE", "k", ".x"), kNil);
  EXPECT_EQ(run("JSON.TYPE", "k", "$.x"), "*0\r\n");
  EXPECT_EQ(run("JSON.TYPE", "none", "$.x"), kNil);
}

TEST_F(Json, NamesMembers) {
  put(R"({"b":{"y":1,"x":2},"a":[{}]})");
  EXPECT_EQ(run("JSON.OBJKEYS", "k"), "*2\r\n" + bulk_of("a") + bulk_of("b"));
  EXPECT_EQ(run("JSON.OBJKEYS", "k", "$.*"), "*2\r\n" + std::string(kNil) + "*2\r\n" + bulk_of("x") + bulk_of("y"));
  EXPECT_EQ(run("JSON.OBJKEYS", "k", ".a"), "-ERR Path '$.a' does not exist or not an object\r\n");
  EXPECT_EQ(run("JSON.OBJKEYS", "k", ".x"), kNil);
  EXPECT_EQ(run("JSON.OBJKEYS", "none"), kNil);
  EXPECT_EQ(run("JSON.OBJKEYS", "none", "$"), kNoDocument);
}

TEST_F(Json, AppendsToArrays) {
  put(R"({"a":[1],"b":{"a":[]},"c":3})");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$.a", "2", "\"x\""), "*1\r\n:3\r\n");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", ".a", "{}"), ":4\r\n");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$..a", "null"), "*2\r\n:5\r\n:1\r\n");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$.c", "1"), "*1\r\n" + std::string(kNil));
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$.x", "1"), "*0\r\n");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", ".c", "1"), "-ERR Path '.c' does not exist or not an array\r\n");
  EXPECT_EQ(now(), R"({"a":[1,2,"x",{},null],"b":{"a":[null]},"c":3})");
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$.a", "1", "bad").substr(0, 4), "-ERR");
  EXPECT_EQ(run("JSON.ARRLEN", "k", "$.a"), "*1\r\n:5\r\n");
  EXPECT_EQ(run("JSON.ARRAPPEND", "none", "$", "1"), kNoDocument);
  EXPECT_EQ(run("JSON.ARRAPPEND", "none", ".", "1"), kNoDocument);
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$"), "-ERR wrong number of arguments for 'json.arrappend' command\r\n");
}

TEST_F(Json, PopsFromArrays) {
  put(R"({"a":[1,2,3,4,5],"b":[],"c":3})");
  EXPECT_EQ(run("JSON.ARRPOP", "k", "$.a"), "*1\r\n" + bulk_of("5"));
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".a", "0"), bulk_of("1"));
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".a", "-2"), bulk_of("3"));
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".a", "-100"), bulk_of("2"));
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".a", "100"), bulk_of("4"));
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".a"), kNil);
  EXPECT_EQ(run("JSON.ARRPOP", "k", "$.*"), "*3\r\n" + std::string(kNil) + std::string(kNil) + std::string(kNil));
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".c"), "-ERR Path '$.c' does not exist or not an array\r\n");
  EXPECT_EQ(run("JSON.ARRPOP", "k", ".a", "x"), "-ERR value is not an integer or out of range\r\n");
  EXPECT_EQ(run("JSON.ARRPOP", "none"), kNoDocument);
  // The inner arrays give before the outer one does.
  put("[[1,2],[3,4]]");
  EXPECT_EQ(run("JSON.ARRPOP", "k", "$..*"), "*6\r\n" + bulk_of("2") + bulk_of("4") + std::string(kNil) + std::string(kNil) +
                                                 std::string(kNil) + std::string(kNil));
  EXPECT_EQ(now(), "[[1],[3]]");
}

TEST_F(Json, LeavesAnEmptiedArray) {
  put("[1]");
  EXPECT_EQ(run("JSON.ARRPOP", "k"), bulk_of("1"));
  EXPECT_EQ(now(), "[]");
  EXPECT_EQ(run("EXISTS", "k"), ":1\r\n");
}

TEST_F(Json, TellsLengthsOfArrays) {
  put(R"({"a":[1,2],"b":{}})");
  EXPECT_EQ(run("JSON.ARRLEN", "k", "$.*"), "*2\r\n:2\r\n" + std::string(kNil));
  EXPECT_EQ(run("JSON.ARRLEN", "k", ".a"), ":2\r\n");
  EXPECT_EQ(run("JSON.ARRLEN", "k"), "-ERR Path '.' does not exist or not an array\r\n");
  EXPECT_EQ(run("JSON.ARRLEN", "k", ".x"), "-ERR Path '.x' does not exist\r\n");
  EXPECT_EQ(run("JSON.ARRLEN", "none"), kNil);
  EXPECT_EQ(run("JSON.ARRLEN", "none", "$"), kNoDocument);
}

TEST_F(Json, WorksOnAnyValue) {
  run("SET", "s", "hello");
  EXPECT_EQ(run("JSON.GET", "s", "$"), bulk_of(R"(["hello"])"));
  run("SET", "k", "41");
  EXPECT_EQ(run("JSON.TYPE", "k"), bulk_of("integer"));
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$", "1"), bulk_of("[42]"));
  EXPECT_EQ(run("GET", "k"), bulk_of("42"));
  run("RPUSH", "l", "a", "7");
  EXPECT_EQ(run("JSON.GET", "l"), bulk_of(R"(["a",7])"));
  EXPECT_EQ(run("JSON.ARRAPPEND", "l", "$", "{}"), "*1\r\n:3\r\n");
  EXPECT_EQ(run("LRANGE", "l", "0", "-1"), "*3\r\n" + bulk_of("a") + bulk_of("7") + bulk_of("{}"));
  run("HSET", "h", "f", "1");
  EXPECT_EQ(run("JSON.SET", "h", "$.g", "[1]"), kOk);
  EXPECT_EQ(run("HGET", "h", "g"), bulk_of("[1]"));
  EXPECT_EQ(run("JSON.OBJKEYS", "h"), "*2\r\n" + bulk_of("f") + bulk_of("g"));
}

TEST_F(Json, KeepsTheDeadline) {
  put(R"({"a":1})");
  run("PEXPIREAT", "k", "4102444800000");
  EXPECT_EQ(run("JSON.SET", "k", "$.a", "2"), kOk);
  EXPECT_EQ(run("JSON.SET", "k", "$", "[]"), kOk);
  EXPECT_EQ(run("PEXPIRETIME", "k"), ":4102444800000\r\n");
}

TEST_F(Json, RefusesWhatNestsTooDeep) {
  const std::string most = std::string(512, '[') + std::string(512, ']');
  EXPECT_EQ(run("JSON.SET", "k", "$", std::string_view(most)), kOk);
  EXPECT_EQ(run("JSON.GET", "k", "$"), bulk_of("[" + most + "]"));
  EXPECT_EQ(run("JSON.ARRAPPEND", "k", "$", std::string_view(most)).substr(0, 4), "-ERR");
  const std::string more = "[" + most + "]";
  EXPECT_EQ(run("JSON.SET", "k", "$", std::string_view(more)).substr(0, 4), "-ERR");
  EXPECT_EQ(now(), most);
}

TEST_F(Json, IsPartOfTransactions) {
  put(R"({"a":1})");
  auto other = server.connect();
  // What changes nothing doesn't break a watch.
  run("WATCH", "k");
  EXPECT_EQ(other->command({"JSON.SET", "k", "$.a", "9", "NX"}), kNil);
  EXPECT_EQ(other->command({"JSON.DEL", "k", "$.zz"}), ":0\r\n");
  run("MULTI");
  run("JSON.SET", "k", "$.b", "[]");
  run("JSON.SET", "k", "$.a", "9", "NX");
  run("JSON.ARRAPPEND", "k", "$.c", "1");
  run("JSON.ARRAPPEND", "k", ".c", "1");
  run("JSON.NUMINCRBY", "k", ".a", "1");
  run("JSON.GET", "k");
  EXPECT_EQ(run("EXEC"), "*6\r\n+OK\r\n$-1\r\n*0\r\n-ERR Path '.c' does not exist or not an array\r\n" + bulk_of("2") +
                             bulk_of(R"({"a":2,"b":[]})"));
  run("WATCH", "k");
  EXPECT_EQ(other->command({"JSON.DEL", "k", "$.b"}), ":1\r\n");
  run("MULTI");
  run("JSON.SET", "k", "$", "1");
  EXPECT_EQ(run("EXEC"), "*-1\r\n");
}

TEST_F(Json, RepliesInResp3) {
  run("HELLO", "3");
  put(R"({"a":1,"b":{"a":1.25,"c":"x"},"l":[1]})");
  EXPECT_EQ(run("JSON.GET", "k", "$.a"), bulk_of("[1]"));
  EXPECT_EQ(run("JSON.GET", "k", "FORMAT", "STRING", ".a"), bulk_of("1"));
  EXPECT_EQ(run("JSON.GET", "k", "FORMAT", "OTHER", ".a"), "-ERR wrong reply format\r\n");
  EXPECT_EQ(run("JSON.GET", "none"), "_\r\n");
  EXPECT_EQ(run("JSON.TYPE", "k", "$.a"), "*1\r\n*1\r\n" + bulk_of("integer"));
  EXPECT_EQ(run("JSON.TYPE", "k", ".a"), "*1\r\n" + bulk_of("integer"));
  EXPECT_EQ(run("JSON.TYPE", "none", ".a"), "*1\r\n_\r\n");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$..a", "1"), "*2\r\n:2\r\n,2.25\r\n");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", ".a", "1"), "*1\r\n:3\r\n");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", "$.b.c", "1"), "*1\r\n_\r\n");
  EXPECT_EQ(run("JSON.NUMINCRBY", "k", ".zz", "1"), "*0\r\n");
  EXPECT_EQ(run("JSON.SET", "k", "$.a", "1", "NX"), "_\r\n");
  EXPECT_EQ(run("JSON.ARRPOP", "k", "$.l"), "*1\r\n" + bulk_of("1"));
  EXPECT_EQ(run("JSON.ARRPOP", "k", "$.l"), "*1\r\n_\r\n");
}

}  // namespace

}  // namespace cubby::server
