// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "server/client.hpp"
#include "server/network_support.hpp"
#include "server/resp_text.hpp"
#include "server/sign_in_guard.hpp"

/// Guessing passwords is slow.

namespace cubby::server {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::NetworkServer;
using testing::Socket;

constexpr const char* kWrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

TEST(SignInGuard, EachFailureWaitsTheLonger) {
  SignInGuard guard;
  const SignInGuard::Clock::time_point now{seconds(1000)};
  EXPECT_EQ(guard.failed("a", now), milliseconds(100));
  EXPECT_EQ(guard.failed("a", now), milliseconds(200));
  EXPECT_EQ(guard.failed("a", now), milliseconds(400));
  for (int index = 0; index < 10; ++index) guard.failed("a", now);
  EXPECT_EQ(guard.failed("a", now), SignInGuard::kLongest);
  EXPECT_EQ(guard.failed("b", now), milliseconds(100)) << "another address";
}

TEST(SignInGuard, ForgivesAfterAWhile) {
  SignInGuard guard;
  SignInGuard::Clock::time_point now{seconds(1000)};
  for (int index = 0; index < 10; ++index) guard.failed("a", now);
  now += SignInGuard::kForgiven + seconds(1);
  EXPECT_EQ(guard.failed("a", now), milliseconds(100));
}

TEST(SignInGuard, WhoDoesNotWaitForAnswersMayNotTry) {
  SignInGuard guard;
  SignInGuard::Clock::time_point now{seconds(1000)};
  EXPECT_FALSE(guard.on_alert(now));
  for (std::size_t index = 0; index < SignInGuard::kMostAtOnce; ++index) {
    EXPECT_EQ(guard.wait_before("a", now), milliseconds(0)) << index;
    guard.failed("a", now);
  }
  EXPECT_TRUE(guard.on_alert(now));
  EXPECT_EQ(guard.wait_before("b", now), milliseconds(0)) << "another address";
  // Until the first answer is given.
  EXPECT_EQ(guard.wait_before("a", now), SignInGuard::kFirst);
  now += SignInGuard::kFirst;
  EXPECT_EQ(guard.wait_before("a", now), milliseconds(0));
  guard.failed("a", now);
  EXPECT_EQ(guard.wait_before("a", now), SignInGuard::kFirst) << "the second, which is due 200 ms after its try";
  now += SignInGuard::kLongest;
  EXPECT_FALSE(guard.on_alert(now));
  EXPECT_EQ(guard.wait_before("a", now), milliseconds(0));
}

/// However many connections and however impatient: in a minute there are few tries.
TEST(SignInGuard, FewTriesAMinute) {
  SignInGuard guard;
  SignInGuard::Clock::time_point now{seconds(1000)};
  int tries = 0;
  for (const auto end = now + seconds(60); now < end; now += milliseconds(1)) {
    while (guard.wait_before("a", now) <= milliseconds(0)) {
      guard.failed("a", now);
      ++tries;
    }
  }
  EXPECT_LE(tries, 16 * (60 / 5 + 2));
}

TEST(SignInGuard, CrowdsOfAddressesGetNoFirstTry) {
  SignInGuard guard;
  const SignInGuard::Clock::time_point now{seconds(1000)};
  for (int index = 0; index < 10'000; ++index) guard.failed(std::to_string(index), now);
  EXPECT_EQ(guard.failed("new", now), SignInGuard::kLongest);
  EXPECT_EQ(guard.failed("new", now + SignInGuard::kForgiven + seconds(1)), SignInGuard::kFirst);
}

class SignIn : public ::testing::Test {
 protected:
  static Settings with_secret() {
    Settings settings;
    settings.requirepass = "secret";
    return settings;
  }
  NetworkServer server{with_secret()};
};

TEST_F(SignIn, AnswersToWrongPasswordsComeInOrder) {
  Socket socket = server.connect();
  const std::string expected = "-NOAUTH Authentication required.\r\n" + std::string(kWrong) + kWrong + kOkText + "+PONG\r\n";
  EXPECT_EQ(socket.ask("PING\r\nAUTH wrong\r\nAUTH default worse\r\nAUTH secret\r\nPING\r\n", expected), expected);
  EXPECT_EQ(server.server().figures.sum(Figures::auth_failures), 2U);
}

TEST_F(SignIn, HelloIsNoWayAround) {
  Socket socket = server.connect();
  const std::string expected = std::string(kWrong) + "-NOAUTH Authentication required.\r\n" + kOkText;
  EXPECT_EQ(socket.ask("HELLO 3 AUTH default wrong\r\nGET a\r\nAUTH secret\r\n", expected), expected);
}

TEST_F(SignIn, TheRightPasswordDoesNotWaitForTheAnswersToWrongOnes) {
  // The server isn't left to give these answers before it stops.
  std::vector<Socket> guessers;
  for (int index = 0; index < 10; ++index) {
    guessers.push_back(server.connect());
    guessers.back().send("AUTH guess" + std::to_string(index) + "\r\n");
  }
  ASSERT_TRUE(testing::eventually([&] { return server.server().figures.sum(Figures::auth_failures) == 10; }));
  EXPECT_EQ(server.connect().ask("AUTH secret\r\nPING\r\n", "+OK\r\n+PONG\r\n"), "+OK\r\n+PONG\r\n");
  EXPECT_EQ(guessers[0].receive(std::string_view(kWrong).size()), kWrong);
}

/// Those who leave before the answer: of many, few are looked at.
TEST_F(SignIn, TheImpatientHaveToWaitToo) {
  for (int index = 0; index < 100; ++index) {
    Socket guesser = server.connect();
    guesser.send("AUTH guess\r\n");
    guesser.close();
  }
  EXPECT_TRUE(testing::eventually([&] { return server.server().clients.size() == 0; }));
  EXPECT_LT(server.server().figures.sum(Figures::auth_failures), 100U);
  EXPECT_EQ(server.connect().ask("AUTH secret\r\nPING\r\n", "+OK\r\n+PONG\r\n"), "+OK\r\n+PONG\r\n");
}

}  // namespace

}  // namespace cubby::server
