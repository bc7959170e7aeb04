// SPDX-License-Identifier: Apache-2.0
#include "cli/text.hpp"

#include <gtest/gtest.h>

#include <cubby/value.hpp>
#include <limits>
#include <string>

#include "cli/exit_codes.hpp"

namespace cubby::cli {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, KnowsEachUnit) {
  EXPECT_EQ(parse_duration("500ms", "--ttl"), 500ms);
  EXPECT_EQ(parse_duration("10s", "--ttl"), 10s);
  EXPECT_EQ(parse_duration("5m", "--ttl"), 5min);
  EXPECT_EQ(parse_duration("2h", "--ttl"), 2h);
  EXPECT_EQ(parse_duration("1d", "--ttl"), 24h);
  EXPECT_EQ(parse_duration("2w", "--ttl"), 336h);
  EXPECT_EQ(parse_duration("1.5h", "--ttl"), 90min);
  EXPECT_EQ(parse_duration("0", "--ttl"), 0ns);
  EXPECT_EQ(parse_duration("0s", "--ttl"), 0ns);
}

TEST(ParseDuration, SaturatesInsteadOfWrapping) {
  EXPECT_EQ(parse_duration("1e300d", "--ttl"), std::chrono::nanoseconds::max());
}

TEST(ParseDuration, SaysWhatIsWrongWithTheRest) {
  for (const char* text : {"", "s", "5", "5x", "5 s", "5sec", "-5s", "nan", "inf", "infs", "0x5s", "5s5s", "1h30m"}) {
    try {
      parse_duration(text, "--ttl");
      ADD_FAILURE() << text << " was taken for a duration";
    } catch (const UsageError& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find("--ttl \"" + std::string(text) + "\""), std::string::npos) << what;
      EXPECT_NE(what.find("500ms"), std::string::npos) << what;
    }
  }
}

TEST(Brief, ShowsTwoOrThreeDigits) {
  EXPECT_EQ(brief(0ns), "0ns");
  EXPECT_EQ(brief(840ns), "840ns");
  EXPECT_EQ(brief(1234ns), "1.2us");
  EXPECT_EQ(brief(31us), "31us");
  EXPECT_EQ(brief(999600ns), "1.0ms");
  EXPECT_EQ(brief(250ms), "250ms");
  EXPECT_EQ(brief(2500ms), "2.5s");
}

TEST(Grouped, SetsThousandsApart) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(counted(0, "key"), "0 keys");
  EXPECT_EQ(counted(1, "key"), "1 key");
  EXPECT_EQ(counted(1234, "key"), "1,234 keys");
}

TEST(BriefBytes, ChoosesTheUnit) {
  EXPECT_EQ(brief_bytes(0), "0 B");
  EXPECT_EQ(brief_bytes(1023), "1023 B");
  EXPECT_EQ(brief_bytes(1024), "1.0 KiB");
  EXPECT_EQ(brief_bytes(std::uint64_t{5} << 20), "5.0 MiB");
  EXPECT_EQ(brief_bytes(std::uint64_t{7} << 30), "7.0 GiB");
}

TEST(InQuotes, IsSafeOnATerminal) {
  EXPECT_EQ(in_quotes("user:7"), "\"user:7\"");
  EXPECT_EQ(in_quotes("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(in_quotes("k\xff\n\""), "\"k\\xff\\x0a\\x22\"");
}

TEST(CheckKey, RefusesWhatNoFileHolds) {
  EXPECT_NO_THROW(check_key(""));
  EXPECT_NO_THROW(check_key(std::string(65535, 'k')));
  EXPECT_THROW(check_key(std::string(65536, 'k')), UsageError);
  EXPECT_THROW(check_key("$cubby"), UsageError);
  EXPECT_THROW(check_key("\xc3"), UsageError);
}

TEST(ReadValue, TakesJsonOrText) {
  EXPECT_EQ(read_json("{\"a\": [1, null]}", "the value"), Value::parse("{\"a\":[1,null]}"));
  EXPECT_EQ(read_value("5", false, "the value"), Value(5));
  EXPECT_EQ(read_value("5", true, "the value"), Value("5"));
  EXPECT_THROW(read_value("\xff", true, "the value"), UsageError);
  EXPECT_THROW(read_value("\"\xff\"", false, "the value"), UsageError);
}

TEST(ReadValue, SaysWhereTheJsonIsWrongAndWhatToDo) {
  try {
    read_value("hello", false, "the value");
    ADD_FAILURE() << "text without quotes was taken for JSON";
  } catch (const UsageError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("the value \"hello\" is not JSON"), std::string::npos) << what;
    EXPECT_NE(what.find("--string"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace cubby::cli
