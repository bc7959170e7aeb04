// SPDX-License-Identifier: Apache-2.0
#include "server/unsent.hpp"

#include <gtest/gtest.h>

#include <string>

namespace cubby::server {

namespace {

constexpr std::size_t kMegabyteOfOutput = std::size_t{1} << 20;

TEST(Unsent, KeepsOrderAndCount) {
  Unsent unsent;
  EXPECT_TRUE(unsent.empty());
  unsent.append("abc", 2);
  unsent.append("", 7);
  unsent.append("def", 1);
  EXPECT_EQ(unsent.view(), "abcdef");
  EXPECT_EQ(unsent.replies(), 3U);
  unsent.drop(2);
  EXPECT_EQ(unsent.view(), "cdef");
  EXPECT_EQ(unsent.size(), 4U);
  EXPECT_EQ(unsent.replies(), 2U);
  unsent.drop(4);
  EXPECT_TRUE(unsent.empty());
  EXPECT_EQ(unsent.replies(), 0U);
  EXPECT_EQ(unsent.memory(), 0U);
  unsent.append("g", 1);
  EXPECT_EQ(unsent.view(), "g");
  EXPECT_EQ(unsent.replies(), 1U);
}

/// Who always leaves a megabyte unread costs some megabytes, and not all that was ever sent.
TEST(Unsent, WhatHasGoneIsNotKept) {
  Unsent unsent;
  unsent.append(std::string(kMegabyteOfOutput, '0'), 1);
  for (int round = 1; round <= 200; ++round) {
    const char mark = static_cast<char>('0' + round % 10);
    unsent.append(std::string(kMegabyteOfOutput, mark), 1);
    unsent.drop(kMegabyteOfOutput);
    ASSERT_EQ(unsent.size(), kMegabyteOfOutput) << round;
    ASSERT_EQ(unsent.view().find_first_not_of(mark), std::string_view::npos) << round;
    ASSERT_LE(unsent.memory(), 8 * kMegabyteOfOutput) << round;
  }
}

TEST(Unsent, MemoryOfAPeakIsGivenBack) {
  Unsent unsent;
  unsent.append(std::string(64 * kMegabyteOfOutput, 'x'), 1);
  unsent.drop(63 * kMegabyteOfOutput);
  EXPECT_EQ(unsent.size(), kMegabyteOfOutput);
  EXPECT_LE(unsent.memory(), 2 * kMegabyteOfOutput);
}

TEST(Unsent, RepliesGoWithTheirBytes) {
  Unsent unsent;
  unsent.append(std::string(200'000, 'a'), 100);
  unsent.append(std::string(200'000, 'b'), 1);
  unsent.drop(100'000);
  EXPECT_EQ(unsent.replies(), 51U) << "half of the first piece";
  unsent.drop(100'000);
  EXPECT_EQ(unsent.replies(), 1U);
  unsent.drop(199'999);
  EXPECT_EQ(unsent.replies(), 1U) << "its end is still to come";
  unsent.drop(1);
  EXPECT_EQ(unsent.replies(), 0U);
}

/// In whatever portions it goes.
TEST(Unsent, CountsNoReplyTwice) {
  for (const std::size_t portion : {1U, 7U, 4096U, 70'000U}) {
    Unsent unsent;
    std::size_t appended = 0;
    for (int round = 0; round < 2000; ++round) {
      unsent.append("+PONG\r\n", 1);
      ++appended;
      if (unsent.size() > portion) unsent.drop(portion);
      ASSERT_LE(unsent.replies(), appended);
      ASSERT_GE(unsent.replies(), unsent.size() / 7);
      ASSERT_LE(unsent.replies(), unsent.size() / 7 + 2000 / portion + 1);
    }
    unsent.drop(unsent.size());
    EXPECT_EQ(unsent.replies(), 0U) << portion;
  }
}

}  // namespace

}  // namespace cubby::server
