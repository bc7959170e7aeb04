// SPDX-License-Identifier: Apache-2.0
// The design the demo compares with must be right as well, or the comparison is worth nothing.
#include "cli/demo/replaced_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <ostream>
#include <thread>
#include <vector>

namespace cubby::cli {

void PrintTo(ReplacedLock lock, std::ostream* out) { *out << (lock == ReplacedLock::reader ? "reader" : "exclusive"); }

namespace {

using namespace std::chrono_literals;

class ReplacedStoreTest : public testing::TestWithParam<ReplacedLock> {
 protected:
  ReplacedStore store_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Locks, ReplacedStoreTest, testing::Values(ReplacedLock::reader, ReplacedLock::exclusive),
                         [](const auto& lock) { return lock.param == ReplacedLock::reader ? "reader" : "exclusive"; });

Tree::Object object(std::int64_t seen) {
  Tree::Object members;
  members.emplace("seen", Tree{seen});
  return members;
}

std::int64_t seen(const Tree& tree) { return std::get<std::int64_t>(std::get<Tree::Object>(tree.node).at("seen").node); }

TEST_P(ReplacedStoreTest, ValuesAreCopies) {
  store_.set("a", Tree{object(1)}, 1h);
  std::optional<Tree> copy = store_.get("a");
  ASSERT_TRUE(copy);
  std::get<Tree::Object>(copy->node).at("seen").node = std::int64_t{2};
  EXPECT_EQ(seen(*store_.get("a")), 1);
  EXPECT_TRUE(store_.update("a", object(3)));
  EXPECT_EQ(seen(*store_.get("a")), 3);
  EXPECT_FALSE(store_.update("absent", object(3)));
  EXPECT_FALSE(store_.get("absent"));
}

TEST_P(ReplacedStoreTest, KeysExpire) {
  store_.set("a", Tree{object(1)}, 1h);
  EXPECT_TRUE(store_.expire("a", 0s));
  EXPECT_FALSE(store_.get("a"));
  EXPECT_FALSE(store_.expire("a", 1h));
}

TEST_P(ReplacedStoreTest, NothingIsLostBetweenThreads) {
  constexpr int kThreads = 4;
  constexpr std::int64_t kEach = 500;
  std::atomic<std::int64_t> taken{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (std::int64_t n = 0; n < kEach; ++n) {
          store_.increment("n", 1);
          store_.push("queue", Tree{n});
        }
      });
      threads.emplace_back([&] {
        for (std::int64_t n = 0; n < kEach; ++n) {
          if (store_.shift_wait("queue", 1min, {})) ++taken;
        }
      });
    }
  }
  EXPECT_EQ(std::get<std::int64_t>(store_.get("n")->node), kThreads * kEach);
  EXPECT_EQ(taken, kThreads * kEach);
  EXPECT_TRUE(store_.elements("queue").empty());
}

TEST_P(ReplacedStoreTest, WaitingEndsByTimeoutAndByStop) {
  EXPECT_FALSE(store_.shift_wait("queue", 1ms, {}));
  std::jthread waiter([&](std::stop_token stop) { EXPECT_FALSE(store_.shift_wait("queue", 1h, std::move(stop))); });
}

}  // namespace
}  // namespace cubby::cli
