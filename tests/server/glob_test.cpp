// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "server/arguments.hpp"

namespace cubby::server {

namespace {

struct GlobCase {
  std::string_view pattern, text;
  bool match;
};

/// As Debian's redis-server 7.0 answered KEYS.
TEST(Glob, MatchesAsRedisDoes) {
  constexpr GlobCase kCases[] = {
      {"*", "", true},
      {"", "", true},
      {"**", "", false},
      {"", "a", false},
      {"*", "abc", true},
      {"a*", "abc", true},
      {"*c", "abc", true},
      {"a*c", "abbbc", true},
      {"a*c", "abbbd", false},
      {"a?c", "abc", true},
      {"a?c", "ac", false},
      {"?", "", false},
      {"a*b*c", "a1b2c", true},
      {"a*b*c", "a1c2b", false},
      {"*a*b*", "xxaxxbxx", true},
      {"abc", "abcd", false},
      {"abcd", "abc", false},
      {"[abc]", "b", true},
      {"[abc]", "d", false},
      {"[^abc]", "d", true},
      {"[^abc]", "a", false},
      {"[a-c]", "b", true},
      {"[c-a]", "b", true},
      {"[a-c]", "d", false},
      {"[a-]", "-", false},
      {"[a-]", "`", true},
      {"[a-]", "^", true},
      {"[\\]]", "]", true},
      {"[\\-]", "-", true},
      {"x[ab]y", "xby", true},
      {"x[ab]y", "xcy", false},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\?x", "?x", true},
      {"a\\", "a\\", true},
      {"[a", "a", true},
      {"h[^e]llo", "hallo", true},
      {"h[^e]llo", "hello", false},
      {"A", "a", false},
      {"abc*", "abc", true},
      {"abc**", "abc", true},
  };
  for (const GlobCase& sample : kCases) {
    EXPECT_EQ(matches(sample.pattern, sample.text), sample.match) << sample.pattern << " on " << sample.text;
  }
}

TEST(Glob, CaseIsFoldedOnRequest) {
  EXPECT_TRUE(matches("MaxMem*", "maxmemory", true));
  EXPECT_TRUE(matches("[A-C]x", "bX", true));
  EXPECT_FALSE(matches("[A-C]x", "dx", true));
}

TEST(Glob, HostilePatternsEnd) {
  // By going back to each star this would take longer than the world will last.
  std::string pattern;
  for (int star = 0; star < 50; ++star) pattern += "*a";
  pattern += "*b";
  EXPECT_FALSE(matches(pattern, std::string(2000, 'a')));
}

TEST(Glob, PrefixesAreRecognized) {
  EXPECT_EQ(as_prefix("*"), "");
  EXPECT_EQ(as_prefix("user:*"), "user:");
  EXPECT_EQ(as_prefix("user:**"), "user:");
  for (const char* pattern : {"", "user", "us?r*", "us*r*", "[a]*", "a\\*"})
    EXPECT_EQ(as_prefix(pattern), std::nullopt) << pattern;
}

}  // namespace

}  // namespace cubby::server
