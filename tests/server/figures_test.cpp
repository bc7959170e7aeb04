// SPDX-License-Identifier: Apache-2.0
#include "server/figures.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "server/slow_log.hpp"
#include "server/test_client.hpp"

namespace cubby::server {
namespace {

TEST(Figures, SumWhatAllThreadsCounted) {
  Figures figures;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 1000; ++round) {
        figures.mine().add(Figures::hits);
        figures.mine().add(Figures::bytes_in, 10);
        figures.mine().add_command(3, 7, round % 2 == 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(figures.sum(Figures::hits), 4000U);
  EXPECT_EQ(figures.sum(Figures::bytes_in), 40000U);
  EXPECT_EQ(figures.sum(Figures::misses), 0U);
  const Figures::CommandFigures command = figures.of_command(3);
  EXPECT_EQ(command.calls, 4000U);
  EXPECT_EQ(command.nanoseconds, 28000U);
  EXPECT_EQ(command.failed, 2000U);
}

TEST(Figures, OfTwoServersDontMix) {
  auto one = std::make_unique<Figures>();
  Figures other;
  for (int round = 0; round < 3; ++round) {
    one->mine().add(Figures::commands);
    other.mine().add(Figures::commands, 2);
  }
  EXPECT_EQ(one->sum(Figures::commands), 3U);
  EXPECT_EQ(other.sum(Figures::commands), 6U);
  EXPECT_EQ(&other.mine(), &other.mine());
  // One that takes the place of another begins at nothing.
  one.reset();
  one = std::make_unique<Figures>();
  one->mine().add(Figures::commands);
  EXPECT_EQ(one->sum(Figures::commands), 1U);
}

TEST(Figures, LatenciesAreInBucketsOfPowersOfTwo) {
  Figures figures;
  for (const std::uint64_t nanoseconds : {0ULL, 999ULL, 1000ULL, 1999ULL, 2000ULL, 3999ULL, 4000ULL, ~0ULL}) {
    figures.mine().add_latency(nanoseconds);
  }
  const auto latencies = figures.latencies();
  EXPECT_EQ(latencies[0], 2U);
  EXPECT_EQ(latencies[1], 2U);
  EXPECT_EQ(latencies[2], 2U);
  EXPECT_EQ(latencies[3], 1U);
  EXPECT_EQ(latencies[Figures::kLatencyBuckets - 1], 1U);
}

TEST(Figures, ResetCountsFromThere) {
  Figures figures;
  figures.mine().add(Figures::errors, 5);
  figures.mine().add_command(255, 10, true);
  figures.mine().add_latency(0);
  figures.reset();
  EXPECT_EQ(figures.sum(Figures::errors), 0U);
  EXPECT_EQ(figures.of_command(255).calls, 0U);
  EXPECT_EQ(figures.latencies()[0], 0U);
  figures.mine().add(Figures::errors);
  figures.mine().add_command(255, 10, false);
  EXPECT_EQ(figures.sum(Figures::errors), 1U);
  EXPECT_EQ(figures.of_command(255).calls, 1U);
  EXPECT_EQ(figures.of_command(255).failed, 0U);
  figures.reset();
  EXPECT_EQ(figures.sum(Figures::errors), 0U);
}

class SlowLogTest : public ::testing::Test {
 protected:
  void add(const std::vector<std::string_view>& arguments, std::int64_t microseconds = 1) {
    log_.add(arguments, microseconds, *client_);
  }
  std::vector<std::string> last_arguments() const { return log_.latest(1).at(0).arguments; }

  testing::TestServer server_;
  std::shared_ptr<testing::TestClient> client_ = server_.connect();
  SlowLog log_;
};

TEST_F(SlowLogTest, HasTheLatestFirst) {
  client_->name = "worker";
  add({"get", "a"}, 5);
  add({"get", "b"}, 6);
  const auto entries = log_.latest(10);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].id, 1U);
  EXPECT_EQ(entries[0].microseconds, 6);
  EXPECT_EQ(entries[0].arguments, (std::vector<std::string>{"get", "b"}));
  EXPECT_EQ(entries[0].client, "127.0.0.1:1");
  EXPECT_EQ(entries[0].client_name, "worker");
  EXPECT_GT(entries[0].at, 1'600'000'000);
  EXPECT_EQ(log_.latest(1).size(), 1U);
  log_.reset();
  EXPECT_EQ(log_.size(), 0U);
  add({"get", "c"});
  EXPECT_EQ(log_.latest(1)[0].id, 2U);
}

TEST_F(SlowLogTest, KeepsAsManyAsItMay) {
  log_.limit(2);
  for (int round = 0; round < 5; ++round) add({"ping"});
  EXPECT_EQ(log_.size(), 2U);
  EXPECT_EQ(log_.latest(9)[1].id, 3U);
  log_.limit(0);
  EXPECT_EQ(log_.size(), 0U);
  add({"ping"});
  EXPECT_EQ(log_.size(), 0U);
}

TEST_F(SlowLogTest, CutsWhatIsLong) {
  const std::string longest(128, 'x');
  add({"set", longest, longest + "yz"});
  EXPECT_EQ(last_arguments(), (std::vector<std::string>{"set", longest, longest + "... (2 more bytes)"}));
  add(std::vector<std::string_view>(32, "a"));
  EXPECT_EQ(last_arguments().size(), 32U);
  EXPECT_EQ(last_arguments().back(), "a");
  add(std::vector<std::string_view>(33, "a"));
  EXPECT_EQ(last_arguments().size(), 32U);
  EXPECT_EQ(last_arguments().back(), "... (2 more arguments)");
}

TEST_F(SlowLogTest, ShowsNoPasswords) {
  using Words = std::vector<std::string>;
  add({"AUTH", "ann", "secret"});
  EXPECT_EQ(last_arguments(), (Words{"AUTH", "(redacted)", "(redacted)"}));
  add({"hello", "3", "auth", "ann", "secret", "setname", "x"});
  EXPECT_EQ(last_arguments(), (Words{"hello", "3", "auth", "(redacted)", "(redacted)", "setname", "x"}));
  add({"config", "set", "timeout", "1", "requirepass", "secret"});
  EXPECT_EQ(last_arguments(), (Words{"config", "set", "timeout", "1", "requirepass", "(redacted)"}));
}

}  // namespace
}  // namespace cubby::server
