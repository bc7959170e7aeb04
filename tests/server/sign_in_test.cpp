// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
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
using testing::request_text;
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

TEST(SignInGuard, CrowdsAreRemembered) {
  SignInGuard guard;
  const SignInGuard::Clock::time_point now{seconds(1000)};
  for (int index = 0; index < 10'000; ++index) guard.failed(std::to_string(index), now);
  for (std::size_t index = 0; index < SignInGuard::kMostAtOnce; ++index) {
    EXPECT_EQ(guard.wait_before("new", now), milliseconds(0)) << index;
    guard.failed("new", now);
  }
  EXPECT_GT(guard.wait_before("new", now), milliseconds(0));
  // In the place of who had failed first.
  EXPECT_EQ(guard.failed("1", now), milliseconds(200));
  EXPECT_EQ(guard.failed("0", now), SignInGuard::kLongest);
}

TEST(SignInGuard, AddressesAreTheirNetworks) {
  EXPECT_EQ(network_of("192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(network_of("::ffff:192.0.2.1"), "192.0.2.1");
  EXPECT_EQ(network_of("[::1]"), "::/64");
  EXPECT_EQ(network_of("::1"), "::/64");
  EXPECT_EQ(network_of("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
  EXPECT_EQ(network_of("[2001:DB8:0:1::]"), "2001:db8:0:1::/64");
  EXPECT_EQ(network_of("fe80::1%eth0"), "fe80::/64");
  EXPECT_EQ(network_of("/run/cubby/socket"), "/run/cubby/socket");
  EXPECT_EQ(network_of(""), "");
  SignInGuard guard;
  const SignInGuard::Clock::time_point now{seconds(1000)};
  EXPECT_EQ(guard.failed("[2001:db8::1]", now), milliseconds(100));
  EXPECT_EQ(guard.failed("2001:db8::2", now), milliseconds(200));
  EXPECT_EQ(guard.failed("2001:db8:0:1::1", now), milliseconds(100));
}

class SignIn : public ::testing::Test {
 protected:
  static Settings with_secret() {
    Settings settings;
    settings.requirepass = "secret";
    return settings;
  }
  /// How many pieces of work clients' requests have been.
  std::uint64_t batches() {
    const auto latencies = server.server().figures.latencies();
    return std::accumulate(latencies.begin(), latencies.end(), std::uint64_t{0});
  }
  /// As many wrong passwords of the address as there may be, whose answers are due in an hour.
  void let_guess(const std::string& address) {
    const auto later = SignInGuard::Clock::now() + std::chrono::hours(1);
    for (std::size_t guess = 0; guess < SignInGuard::kMostAtOnce; ++guess) server.network().sign_ins().failed(address, later);
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

TEST_F(SignIn, WhoHasAPasswordGuessesNoFaster) {
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask("AUTH secret\r\n", kOkText), kOkText);
  std::string requests;
  for (const char* password : {"a", "b", "c", "secret"}) requests += request_text({"AUTH", password});
  const std::string expected = std::string(kWrong) + kWrong + kWrong + kOkText;
  EXPECT_EQ(socket.ask(requests, expected), expected);
  EXPECT_EQ(server.network().sign_ins().failed("127.0.0.1", SignInGuard::Clock::now()), milliseconds(800))
      << "it is the fourth";
}

TEST_F(SignIn, ATransactionIsNoWayAround) {
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask("AUTH secret\r\n", kOkText), kOkText);
  std::string requests = request_text({"MULTI"});
  for (const char* password : {"a", "secret"}) requests += request_text({"AUTH", password});
  requests += request_text({"EXEC"}) + request_text({"PING"});
  const std::string expected = std::string(kOkText) + "+QUEUED\r\n+QUEUED\r\n*2\r\n" + kWrong +
                               "-ERR the password isn't looked at: one before it in the transaction was wrong\r\n+PONG\r\n";
  EXPECT_EQ(socket.ask(requests, expected), expected);
  EXPECT_EQ(server.network().sign_ins().failed("127.0.0.1", SignInGuard::Clock::now()), milliseconds(200))
      << "it is the second";
}

TEST_F(SignIn, ATransactionsPasswordsWaitForTheirTurnToo) {
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask("AUTH secret\r\n", kOkText), kOkText);
  let_guess("127.0.0.1");
  const std::string expected = std::string("+PONG\r\n") + kOkText + "+QUEUED\r\n";
  EXPECT_EQ(socket.ask(request_text({"PING"}) + request_text({"MULTI"}) + request_text({"AUTH", "a"}) + request_text({"EXEC"}),
                       expected),
            expected);
  EXPECT_EQ(server.server().figures.sum(Figures::auth_failures), 0U);
  // One without a password goes on.
  Socket second = server.connect_to_path();
  ASSERT_EQ(second.ask("AUTH secret\r\n", kOkText), kOkText);
  const std::string all = std::string(kOkText) + "+QUEUED\r\n*1\r\n+PONG\r\n" + kOkText;
  EXPECT_EQ(
      second.ask(request_text({"MULTI"}) + request_text({"PING"}) + request_text({"EXEC"}) + request_text({"AUTH", "secret"}),
                 all),
      all);
}

TEST_F(SignIn, AStrangersGuessesMakeNobodysPipelineSlow) {
  Socket socket = server.connect();
  ASSERT_EQ(socket.ask("AUTH secret\r\n", kOkText), kOkText);
  let_guess("192.0.2.1");
  const std::uint64_t before = batches();
  std::string requests, replies;
  for (int index = 0; index < 32; ++index) {
    requests += request_text({"PING"});
    replies += "+PONG\r\n";
  }
  EXPECT_EQ(socket.ask(requests, replies), replies);
  EXPECT_LT(batches() - before, 32U);
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
