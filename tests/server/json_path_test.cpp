// SPDX-License-Identifier: Apache-2.0
#include "server/json_path.hpp"

#include <gtest/gtest.h>

#include <string>

#include "server/command.hpp"

namespace cubby::server {

namespace {

Value array_of(const std::vector<Value>& values) { return Value::array(values); }

/// All that the path leads to, as one JSON array.
std::string found_json(const char* json, std::string_view path) {
  return array_of(JsonPath(path).find(Value::parse(json))).to_json();
}

std::string path_error(std::string_view path) {
  try {
    const JsonPath read(path);
  } catch (const CommandError& error) {
    return error.what();
  }
  return "none";
}

TEST(JsonPath, TellsLegacyPaths) {
  for (const char* path : {"$", "$.a", "$[0]", "$..a", "$['a']"}) EXPECT_FALSE(JsonPath(path).is_legacy()) << path;
  for (const char* path : {".", "a", ".a", "[0]", "a[0].b", "$a"}) EXPECT_TRUE(JsonPath(path).is_legacy()) << path;
  EXPECT_EQ(JsonPath(".").full_text(), "$");
  EXPECT_EQ(JsonPath("a[0]").full_text(), "$.a[0]");
  EXPECT_EQ(JsonPath(".a").full_text(), "$.a");
  EXPECT_EQ(JsonPath(".a").text(), ".a");
  EXPECT_TRUE(JsonPath(".").is_root());
  EXPECT_TRUE(JsonPath("$").is_root());
}

TEST(JsonPath, FindsMembersAndElements) {
  const char* json = R"({"a":[{"b c":{"c":7}},2,3],"x.y":1,"q'\"":5,"ü":6})";
  EXPECT_EQ(found_json(json, "$.a[0]['b c'].c"), "[7]");
  EXPECT_EQ(found_json(json, "$.a[-1]"), "[3]");
  EXPECT_EQ(found_json(json, "$.a.[1]"), "[2]");
  EXPECT_EQ(found_json(json, "$[\"x.y\"]"), "[1]");
  EXPECT_EQ(found_json(json, "$['q\\'\"']"), "[5]");
  EXPECT_EQ(found_json(json, "$[ 'x.y' ]"), "[1]");
  EXPECT_EQ(found_json(json, "$.ü"), "[6]");
  EXPECT_EQ(found_json(json, "a[1]"), "[2]");
  EXPECT_EQ(found_json(json, "$.a[3]"), "[]");
  EXPECT_EQ(found_json(json, "$.a[-4]"), "[]");
  EXPECT_EQ(found_json(json, "$.a.b"), "[]");
  EXPECT_EQ(found_json(json, "$[0]"), "[]");
  EXPECT_EQ(found_json("[1,[2]]", "[1][0]"), "[2]");
  EXPECT_EQ(found_json("5", "$"), "[5]");
}

TEST(JsonPath, HasNoMoreStepsThanCanLeadAnywhere) {
  std::string path = "$";
  for (int step = 0; step < 16'384; ++step) path += ".a";
  EXPECT_EQ(path_error(path), "none");
  EXPECT_EQ(path_error(path + "[0]"), "ERR Error occurred on position 32769, a path may have 16384 steps at most");
}

TEST(JsonPath, GivesUpWhereTheWayIsTooLong) {
  const JsonPath path("$..*");
  const Value root = Value::parse("[1,[2,3]]");
  JsonEffort effort;
  // What is looked at: each of the five values with `$..*`, and the four below the root as a match.
  for (std::size_t step = 0; step < JsonEffort::kMostSteps - 9; ++step) effort.step();
  EXPECT_EQ(path.find(root, 100, effort).size(), 4U);
  try {
    path.find(root, 100, effort);
    ADD_FAILURE();
  } catch (const CommandError& error) {
    EXPECT_STREQ(error.what(), "ERR the path leads through too many values (33554432 at most)");
  }
}

TEST(JsonPath, FindsAllOfThem) {
  const char* json = R"({"a":{"c":1},"b":[{"c":2},{"c":{"c":3}}],"c":null})";
  EXPECT_EQ(found_json(json, "$.*"), R"([{"c":1},[{"c":2},{"c":{"c":3}}],null])");
  EXPECT_EQ(found_json(json, "$.b[*].c"), R"([2,{"c":3}])");
  // The outer before the inner.
  EXPECT_EQ(found_json(json, "$..c"), R"([null,1,2,{"c":3},3])");
  EXPECT_EQ(found_json(json, "$..[0]"), R"([{"c":2}])");
  EXPECT_EQ(found_json("[[1],2]", "$..*"), "[[1],2,1]");
  EXPECT_EQ(JsonPath("$..c").find(Value::parse(json), 2).size(), 2U);
  EXPECT_FALSE(JsonPath("$..c").is_definite());
  EXPECT_FALSE(JsonPath("$.*").is_definite());
  EXPECT_TRUE(JsonPath("$.b[1]").is_definite());
}

TEST(JsonPath, SaysWhatIsWrong) {
  EXPECT_EQ(path_error(""), "ERR Error occurred on position 2, expected a name");
  EXPECT_EQ(path_error("$."), "ERR Error occurred on position 2, expected a name");
  EXPECT_EQ(path_error("$.a."), "ERR Error occurred on position 4, expected a name");
  EXPECT_EQ(path_error("$['a'"),
            "ERR Error occurred on position 5, expected `]` (unions, slices and filters are not supported)");
  EXPECT_EQ(path_error("$['a"), "ERR Error occurred on position 4, the name has no end");
  EXPECT_EQ(path_error("$['a\\"), "ERR Error occurred on position 5, the name has no end");
  EXPECT_EQ(path_error("$['\\n']"), "ERR Error occurred on position 4, only the quote and the backslash may be escaped");
  EXPECT_EQ(path_error("$['a']b"), "ERR Error occurred on position 6, expected `.` or `[`");
  EXPECT_EQ(path_error("$.a b"), "ERR Error occurred on position 3, a name with this character needs ['...']");
  EXPECT_EQ(path_error("$[0:2]"),
            "ERR Error occurred on position 3, expected `]` (unions, slices and filters are not supported)");
  EXPECT_EQ(path_error("$[0,1]"),
            "ERR Error occurred on position 3, expected `]` (unions, slices and filters are not supported)");
  EXPECT_EQ(
      path_error("$[?(@.a>1)]"),
      "ERR Error occurred on position 2, expected an index, a name in quotes or `*` (slices and filters are not supported)");
  EXPECT_EQ(path_error("$[99999999999999999999]").substr(0, 3), "ERR");
  EXPECT_EQ(path_error("$..a..b"), "none");
  EXPECT_EQ(path_error("$..a..b..c"), "ERR Error occurred on position 9, a path may have two `..` at most");
}

TEST(JsonPath, GoesAsDeepAsValues) {
  const std::string json = std::string(512, '[') + std::string(512, ']');
  const Value deep = Value::parse(json);
  EXPECT_EQ(JsonPath("$..*").find(deep).size(), 511U);
  std::string path = "$";
  for (int level = 0; level < 10'000; ++level) path += "[0]";
  EXPECT_TRUE(JsonPath(path).find(deep).empty());
}

// --- JsonMatches

std::string replaced_json(const char* json, std::string_view text, JsonMatches::Nested nested,
                          const JsonMatches::Replace& replace) {
  const JsonPath path(text);
  const JsonMatches matches(path, Value::parse(json));
  const auto root = matches.replaced(nested, replace);
  return root ? root->to_json() : "nothing";
}

TEST(JsonMatches, ReplacesWhatAPathLeadsTo) {
  const auto to_seven = [](std::size_t, const Value&) -> std::optional<Value> { return 7; };
  const auto away = [](std::size_t, const Value&) -> std::optional<Value> { return std::nullopt; };
  using Nested = JsonMatches::Nested;
  EXPECT_EQ(replaced_json(R"({"a":[1,2,{"b":3}],"c":4})", "$.a[2].b", Nested::outermost, to_seven),
            R"({"a":[1,2,{"b":7}],"c":4})");
  EXPECT_EQ(replaced_json(R"({"a":[1,2,3]})", "$.a[*]", Nested::outermost, to_seven), R"({"a":[7,7,7]})");
  EXPECT_EQ(replaced_json(R"({"a":[1,2,3],"b":1})", "$.a[1]", Nested::outermost, away), R"({"a":[1,3],"b":1})");
  EXPECT_EQ(replaced_json(R"({"a":1,"b":2,"c":3})", "$.b", Nested::outermost, away), R"({"a":1,"c":3})");
  EXPECT_EQ(replaced_json(R"([1,2,3])", "$.*", Nested::outermost, away), "[]");
  EXPECT_EQ(replaced_json("5", "$", Nested::outermost, to_seven), "7");
  EXPECT_EQ(replaced_json("5", "$", Nested::outermost, away), "nothing");
  EXPECT_EQ(replaced_json(R"({"a":1})", "$.x", Nested::outermost, to_seven), R"({"a":1})");
}

TEST(JsonMatches, KnowsWhichLieInOneAnother) {
  std::vector<std::pair<std::size_t, std::string>> seen;
  const auto wrap = [&](std::size_t match, const Value& now) -> std::optional<Value> {
    seen.emplace_back(match, now.to_json());
    return Value::array({now});
  };
  using Seen = decltype(seen);
  EXPECT_EQ(replaced_json(R"({"a":{"a":1}})", "$..a", JsonMatches::Nested::inner_first, wrap), R"({"a":[{"a":[1]}]})");
  EXPECT_EQ(seen, (Seen{{1, "1"}, {0, R"({"a":[1]})"}}));
  seen.clear();
  EXPECT_EQ(replaced_json(R"({"a":{"a":1}})", "$..a", JsonMatches::Nested::outermost, wrap), R"({"a":[{"a":1}]})");
  EXPECT_EQ(seen, (Seen{{0, R"({"a":1})"}}));
  seen.clear();
  // One place that is led to twice.
  EXPECT_EQ(replaced_json("[[[1]]]", "$..*..[0]", JsonMatches::Nested::inner_first, wrap), "[[[[[[1]]]]]]");
  EXPECT_EQ(seen, (Seen{{1, "1"}, {2, "[1]"}, {0, "[[[1]]]"}}));
}

// --- JsonPointer

TEST(JsonPointer, FindsAsTheRfcSays) {
  // The examples of RFC 6901, section 5.
  const Value root =
      Value::parse(R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})");
  const auto at = [&](std::string_view pointer) {
    const auto value = JsonPointer(pointer).find(root);
    return value ? value->to_json() : "nothing";
  };
  EXPECT_EQ(at(""), root.to_json());
  EXPECT_EQ(at("/foo"), R"(["bar","baz"])");
  EXPECT_EQ(at("/foo/0"), "\"bar\"");
  EXPECT_EQ(at("/"), "0");
  EXPECT_EQ(at("/a~1b"), "1");
  EXPECT_EQ(at("/c%d"), "2");
  EXPECT_EQ(at("/e^f"), "3");
  EXPECT_EQ(at("/g|h"), "4");
  EXPECT_EQ(at("/i\\j"), "5");
  EXPECT_EQ(at("/k\"l"), "6");
  EXPECT_EQ(at("/ "), "7");
  EXPECT_EQ(at("/m~0n"), "8");
  for (const char* pointer :
       {"/foo/2", "/foo/01", "/foo/-", "/foo/+1", "/foo/-1", "/foo/", "/foo/0/x", "/nowhere", "/foo/99999999999999999999"}) {
    EXPECT_EQ(at(pointer), "nothing") << pointer;
  }
  EXPECT_THROW(JsonPointer("foo"), CommandError);
  EXPECT_THROW(JsonPointer("/~"), CommandError);
  EXPECT_THROW(JsonPointer("/~2"), CommandError);
}

}  // namespace

}  // namespace cubby::server
