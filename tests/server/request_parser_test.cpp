// SPDX-License-Identifier: Apache-2.0
#include "server/request_parser.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Requests out of bytes. The errors are worded as redis-server 7.0 words them.

namespace cubby::server {

namespace {

using ParsedRequest = std::vector<std::string>;

/// What a stream of bytes was understood as.
struct ParsedStream {
  std::vector<ParsedRequest> requests;
  std::string error;  ///< which ends it
  std::size_t rest = 0;

  bool operator==(const ParsedStream&) const = default;
};

/// Gives the parser the bytes in pieces that end at `cuts`, as a connection does.
ParsedStream parse_cut(std::string_view bytes, const std::vector<std::size_t>& cuts, const RequestParser::Limits& limits = {}) {
  RequestParser parser;
  ParsedStream stream;
  std::string received;
  std::vector<std::string_view> arguments;
  std::size_t begin = 0;
  std::vector<std::size_t> ends = cuts;
  ends.push_back(bytes.size());
  for (const std::size_t end : ends) {
    // A copy elsewhere each time: views into what was given before must not matter.
    received = std::string(received) + std::string(bytes.substr(begin, end - begin));
    begin = end;
    for (;;) {
      std::size_t used = 0;
      const auto result = parser.next(received, limits, used, arguments);
      if (result == RequestParser::Result::error) {
        stream.error = parser.error();
        return stream;
      }
      if (result == RequestParser::Result::incomplete) break;
      stream.requests.emplace_back(arguments.begin(), arguments.end());
      received.erase(0, used);
    }
  }
  stream.rest = received.size();
  return stream;
}

ParsedStream parse(std::string_view bytes, const RequestParser::Limits& limits = {}) { return parse_cut(bytes, {}, limits); }

std::string error_of(std::string_view bytes, const RequestParser::Limits& limits = {}) { return parse(bytes, limits).error; }

TEST(RequestParser, ReadsArrays) {
  const ParsedStream stream = parse("*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n");
  EXPECT_EQ(stream.requests, (std::vector<ParsedRequest>{{"GET", "a"}, {"PING"}}));
  EXPECT_EQ(stream.error, "");
  EXPECT_EQ(stream.rest, 0U);
}

TEST(RequestParser, ReadsEmptyArgumentsAndAnyBytes) {
  using namespace std::string_view_literals;
  EXPECT_EQ(parse("*3\r\n$3\r\nSET\r\n$0\r\n\r\n$5\r\n\r\n\0$*\r\n"sv).requests,
            (std::vector<ParsedRequest>{{"SET", "", std::string("\r\n\0$*", 5)}}));
}

TEST(RequestParser, EmptyRequestsAreNone) {
  EXPECT_EQ(parse("*0\r\n*-1\r\n*-1000\r\n\r\n\n   \r\n").requests, (std::vector<ParsedRequest>(6)));
}

TEST(RequestParser, DoesNotLookBehindAnArgument) {
  EXPECT_EQ(parse("*2\r\n$4\r\nECHO\r\n$1\r\naXYPING\r\n").requests, (std::vector<ParsedRequest>{{"ECHO", "a"}, {"PING"}}));
}

TEST(RequestParser, ReadsLines) {
  EXPECT_EQ(parse("PING\nGET a\r\n \t SET  a\tb \r\n").requests,
            (std::vector<ParsedRequest>{{"PING"}, {"GET", "a"}, {"SET", "a", "b"}}));
}

TEST(RequestParser, ResolvesQuotes) {
  EXPECT_EQ(parse(R"(ECHO "a\x41\n\r\t\b\a\q\"\\" )"
                  "\r\n")
                .requests,
            (std::vector<ParsedRequest>{{"ECHO", "aA\n\r\t\b\aq\"\\"}}));
  EXPECT_EQ(parse("ECHO 'it\\'s \\n \"' \"\" ''\r\n").requests, (std::vector<ParsedRequest>{{"ECHO", "it's \\n \"", "", ""}}));
  EXPECT_EQ(parse("ECHO a\"b c\"\r\n").requests, (std::vector<ParsedRequest>{{"ECHO", "ab c"}}));
  EXPECT_EQ(parse("ECHO \"\\x4\\xg1\\xFf\"\r\n").requests, (std::vector<ParsedRequest>{{"ECHO", "x4xg1\xff"}}));
}

TEST(RequestParser, VerticalTabsEndNoWord) {
  EXPECT_EQ(parse("\v ECHO a\vb\fc\r\n").requests, (std::vector<ParsedRequest>{{"ECHO", "a\vb\fc"}}));
}

TEST(RequestParser, RefusesQuotesThatDoNotCloseOrThatTextFollows) {
  constexpr const char* kText = "Protocol error: unbalanced quotes in request";
  for (const char* line : {"PING \"a\r\n", "PING 'a\r\n", "\"PING\" \"a\"b\r\n", "'a'b\n", "\"a\\\"\n", "\"\\\n"}) {
    EXPECT_EQ(error_of(line), kText) << line;
  }
}

TEST(RequestParser, RefusesWrongCounts) {
  for (const char* request : {"*\r\n", "*x\r\n", "*1x\r\n", "*01\r\n", "*-0\r\n", "*+1\r\n", "* 1\r\n", "*--1\r\n", "*1 \r\n",
                              "*2147483648\r\n", "*99999999999999999999\r\n", "*-\r\n"}) {
    EXPECT_EQ(error_of(request), "Protocol error: invalid multibulk length") << request;
  }
  EXPECT_EQ(error_of("*2147483647\r\n"), "");
}

TEST(RequestParser, RefusesWrongLengths) {
  for (const char* length : {"", "x", "1x", "04", "-1", "-0", "+1", "536870913", "99999999999999999999"}) {
    EXPECT_EQ(error_of("*1\r\n$" + std::string(length) + "\r\n"), "Protocol error: invalid bulk length") << length;
  }
  EXPECT_EQ(error_of("*1\r\n$536870912\r\n"), "");
}

TEST(RequestParser, RefusesWhatIsNoArgument) {
  EXPECT_EQ(error_of("*1\r\n:4\r\n"), "Protocol error: expected '$', got ':'");
  EXPECT_EQ(error_of("*2\r\n$1\r\na\r\nX\r\n"), "Protocol error: expected '$', got 'X'");
  EXPECT_EQ(error_of("*1\r\n*1\r\n"), "Protocol error: expected '$', got '*'");
}

TEST(RequestParser, RefusesLinesWithoutEnd) {
  const std::string endless(70'000, '1');
  EXPECT_EQ(error_of(endless), "Protocol error: too big inline request");
  EXPECT_EQ(error_of("*" + endless), "Protocol error: too big mbulk count string");
  EXPECT_EQ(error_of("*1\r\n$" + endless), "Protocol error: too big bulk count string");
  const std::string longest = "ECHO " + std::string(65'530, 'x');
  EXPECT_EQ(parse(longest + "\n").requests, (std::vector<ParsedRequest>{{"ECHO", longest.substr(5)}}));
  EXPECT_EQ(parse(longest).rest, longest.size());
}

TEST(RequestParser, HasOtherLimitsForStrangers) {
  const auto limits = RequestParser::unauthenticated();
  EXPECT_EQ(error_of("*11\r\n", limits), "Protocol error: unauthenticated multibulk length");
  EXPECT_EQ(error_of("*10\r\n", limits), "");
  EXPECT_EQ(error_of("*1\r\n$16385\r\n", limits), "Protocol error: unauthenticated bulk length");
  EXPECT_EQ(error_of("*1\r\n$16384\r\n", limits), "");
  EXPECT_EQ(error_of("*1\r\n$-1\r\n", limits), "Protocol error: invalid bulk length");
}

TEST(RequestParser, LimitsArgumentsAndRequests) {
  RequestParser::Limits limits;
  limits.bulk = 20'000;
  limits.request = 30'000;
  EXPECT_EQ(error_of("*1\r\n$20001\r\n", limits), "Protocol error: invalid bulk length");
  const std::string argument = "$20000\r\n" + std::string(20'000, 'a') + "\r\n";
  EXPECT_EQ(parse("*1\r\n" + argument, limits).requests.size(), 1U);
  EXPECT_EQ(error_of("*2\r\n" + argument + argument, limits), "Protocol error: the request is too large");
}

/// Requests of all kinds, and each error behind some of them: however the bytes are cut in two, or come one by one, they are
/// understood the same.
TEST(RequestParser, CutsDoNotMatter) {
  using namespace std::string_view_literals;
  const std::string good =
      "*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\nPING 'a b' "
      "\"\\x00\"\r\n\r\n*0\r\n*1\r\n$0\r\n\r\n*3\r\n$1\r\n*\r\n$1\r\n$\r\n$1\r\n\n\r\nA\n";
  const std::vector<std::string_view> ends{"",
                                           "*1x\r\n",
                                           "*\r\n",
                                           "*1\r\n$x1\r\n",
                                           "*1\r\nx",
                                           "*1\r\n$5\r\nabc",
                                           "PING 'a\r\n",
                                           "PING",
                                           "*-\r\n",
                                           "*99999999999999999999999999999999999999999\r\n",
                                           "*1\r\n$99999999999999999999999999999999999999999999\r\n",
                                           "\0\r\n*1\r"sv};
  for (const std::string_view end : ends) {
    const std::string bytes = good + std::string(end);
    const ParsedStream whole = parse(bytes);
    std::vector<std::size_t> each;
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      EXPECT_EQ(parse_cut(bytes, {cut}), whole) << "cut at " << cut << " before " << end;
      each.push_back(cut);
    }
    EXPECT_EQ(parse_cut(bytes, each), whole) << "byte by byte, before " << end;
  }
}

TEST(RequestParser, SaysHowMuchIsMissing) {
  RequestParser parser;
  std::size_t used = 0;
  std::vector<std::string_view> arguments;
  EXPECT_EQ(parser.next("*1\r\n$1000\r\nabc", {}, used, arguments), RequestParser::Result::incomplete);
  EXPECT_EQ(parser.wanted(), 11U + 1000U + 2U);
}

TEST(RequestParser, ForgetsAnUnfinishedRequest) {
  RequestParser parser;
  std::size_t used = 0;
  std::vector<std::string_view> arguments;
  EXPECT_EQ(parser.next("*2\r\n$1\r\na\r\n", {}, used, arguments), RequestParser::Result::incomplete);
  parser.reset();
  EXPECT_EQ(parser.next("*1\r\n$4\r\nPING\r\n", {}, used, arguments), RequestParser::Result::request);
  EXPECT_EQ(arguments, (std::vector<std::string_view>{"PING"}));
}

}  // namespace

}  // namespace cubby::server
