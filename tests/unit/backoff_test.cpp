// SPDX-License-Identifier: Apache-2.0
#include "base/backoff.hpp"

#include <gtest/gtest.h>

namespace cubby::detail {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToItsLimitAndBeginsAnewOnceItSucceeds) {
  Backoff backoff(1s, 64s);
  for (const auto wait : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 64s, 64s}) EXPECT_EQ(backoff.failed(), wait);
  backoff.succeeded();
  for (const auto wait : {1s, 2s}) EXPECT_EQ(backoff.failed(), wait);
}

TEST(Backoff, NeverWaitsLongerThanItsLimit) {
  Backoff backoff(3s, 10s);
  for (const auto wait : {3s, 6s, 10s, 10s}) EXPECT_EQ(backoff.failed(), wait);
}

}  // namespace
}  // namespace cubby::detail
