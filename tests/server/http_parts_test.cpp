// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "server/http_history.hpp"
#include "server/http_message.hpp"
#include "server/http_sessions.hpp"
#include "server/test_client.hpp"
#include "server/users.hpp"

/// What HTTP is made of, each by itself.

namespace cubby::server::testing {

namespace {

TEST(HttpSessions, EndAfterAWhile) {
  const User user("ann");
  HttpSessions sessions;
  const HttpSessions::Clock::time_point start{};
  const std::string token = sessions.begin(user, start).token;
  EXPECT_EQ(sessions.find("0", start), nullptr);
  auto now = start;
  for (; now <= start + HttpSessions::kLongest; now += HttpSessions::kIdle) ASSERT_NE(sessions.find(token, now), nullptr);
  EXPECT_EQ(sessions.find(token, now), nullptr);
  const std::string idle = sessions.begin(user, start).token;
  EXPECT_EQ(sessions.find(idle, start + HttpSessions::kIdle + std::chrono::seconds(1)), nullptr);
}

TEST(HttpSessions, AreOnlySoMany) {
  const User user("ann");
  HttpSessions sessions;
  HttpSessions::Clock::time_point now{};
  const std::string first = sessions.begin(user, now).token;
  for (std::size_t count = 0; count < HttpSessions::kMost; ++count) sessions.begin(user, now += std::chrono::milliseconds(1));
  EXPECT_EQ(sessions.find(first, now), nullptr);
}

TEST(HttpHistory, ReadsLatenciesFromBuckets) {
  std::array<std::uint64_t, Figures::kLatencyBuckets> buckets{};
  EXPECT_EQ(latency_quantile(buckets, 0.5), 0);
  buckets[0] = 100;  // below a microsecond
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 0.5), 0.5);
  buckets[4] = 100;  // 8 to 15
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 0.5), 1);
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 0.75), 12);
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 1), 16);
}

TEST(HttpHistory, KeepsTheLastMinutes) {
  TestServer server;
  HttpHistory history(server.server());
  server.connect()->command({"PING"});
  history.sample();
  ASSERT_EQ(history.samples().size(), 1U);
  EXPECT_GT(history.samples().front().commands, 0);
  EXPECT_GT(history.samples().front().p99_us, 0);
  server.server().figures.reset();
  for (std::size_t count = 0; count < HttpHistory::kKept; ++count) history.sample();
  EXPECT_EQ(history.samples().size(), HttpHistory::kKept);
  EXPECT_EQ(history.samples().front().number, 2U);
  EXPECT_EQ(history.samples().back().commands, 0);
}

TEST(HttpMessage, ReadsTargetsCookiesAndBase64) {
  HttpRequest request;
  EXPECT_TRUE(request.set_target("/a/b?x=1&y=%00%ff+&x=2&z"));
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.parameter("x"), "1");
  EXPECT_EQ(request.parameter("y"), std::string_view("\0\xff ", 3));
  EXPECT_EQ(request.parameter("z"), "");
  EXPECT_EQ(request.parameter("w"), std::nullopt);
  for (const char* target : {"", "x", "*", "?x", "http://a/", "/?a=%", "/?a=%1", "/?a=%zz"}) {
    EXPECT_FALSE(request.set_target(target)) << target;
  }
  EXPECT_EQ(cookie_value("a=1; bc=2;c=3", "c"), "3");
  EXPECT_EQ(cookie_value("a=1; bc=2", "b"), "");
  EXPECT_EQ(cookie_value("", "b"), "");
  EXPECT_EQ(base64_decoded("YTpi"), "a:b");
  EXPECT_EQ(base64_decoded("YTo="), "a:");
  EXPECT_EQ(base64_decoded("Y-o="), std::nullopt);
  EXPECT_EQ(percent_encoded("a b\xff/~"), "a%20b%FF%2F~");
}

}  // namespace

}  // namespace cubby::server::testing
