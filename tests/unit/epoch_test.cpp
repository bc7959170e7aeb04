// SPDX-License-Identifier: Apache-2.0
#include "base/epoch.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "base/atomics.hpp"

namespace {

using Domain = cubby::detail::EpochDomain<cubby::detail::StdAtomics>;
using cubby::detail::kEverywhere;
using cubby::detail::kNowhere;
using cubby::detail::kSomewhere;
using cubby::detail::Place;

class Epochs : public testing::Test {
 protected:
  void SetUp() override {
    domain_.link(sleeper_);
    domain_.link(writer_);
  }
  void TearDown() override { domain_.hand_over(writer_, true); }

  void retire(int count, Place place) {
    for (int index = 0; index < count; ++index) {
      domain_.retire(
          writer_, &freed_[place == kSomewhere ? 3 : place], [](void* counter) { ++*static_cast<int*>(counter); }, 1, place);
    }
  }
  /// As a writer does all the time.
  void write(int count, Place place) {
    for (int index = 0; index < count; ++index) {
      retire(1, place);
      domain_.tidy(writer_);
    }
  }

  Domain domain_;
  Domain::Participant sleeper_, writer_;
  int freed_[4] = {};
};

TEST_F(Epochs, WhoIsAtAPlaceHoldsUpOnlyThat) {
  domain_.enter(sleeper_, 1);
  retire(10, 1);
  retire(10, 2);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[1], 0);
  EXPECT_EQ(freed_[2], 10);
  EXPECT_TRUE(domain_.pending());
  domain_.leave(sleeper_);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[1], 10);
  EXPECT_FALSE(domain_.pending());
}

TEST_F(Epochs, WhatBelongsToNoPlaceIsHeldUpByAnybody) {
  domain_.enter(sleeper_, 1);
  retire(10, kEverywhere);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[kEverywhere], 0);
  domain_.leave(sleeper_);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[kEverywhere], 10);
}

TEST_F(Epochs, WhoIsNowhereHoldsUpOnlyWhatEverybodyReaches) {
  domain_.enter(sleeper_, kNowhere);
  retire(10, kEverywhere);
  retire(10, 1);
  retire(10, kSomewhere);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[kEverywhere], 0);
  EXPECT_EQ(freed_[1], 10);
  EXPECT_EQ(freed_[3], 10);
  domain_.leave(sleeper_);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[kEverywhere], 10);
}

TEST_F(Epochs, WhatIsReachedFromSomewhereIsHeldUpFromAnyPlace) {
  for (const Place place : {Place{1}, kEverywhere}) {
    freed_[3] = 0;
    domain_.enter(sleeper_, place);
    retire(10, kSomewhere);
    domain_.hand_over(writer_, true);
    EXPECT_EQ(freed_[3], 0);
    domain_.leave(sleeper_);
    domain_.hand_over(writer_, true);
    EXPECT_EQ(freed_[3], 10);
  }
}

TEST_F(Epochs, WhoEntersAgainIsEverywhereUntilItLeavesAltogether) {
  domain_.enter(sleeper_, 1);
  domain_.enter(sleeper_, 2);
  retire(10, 3);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[3], 0);
  domain_.leave(sleeper_);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[3], 0);
  domain_.leave(sleeper_);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[3], 10);
}

TEST_F(Epochs, WhoEntersLaterHoldsUpNothingOlder) {
  retire(10, 1);
  domain_.enter(sleeper_, 2);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[1], 10);
  domain_.leave(sleeper_);
  domain_.enter(sleeper_, 1);  // begins at the epoch of the hand-over
  domain_.enter(writer_);
  domain_.leave(writer_);
  retire(10, 1);
  domain_.hand_over(writer_, true);
  EXPECT_EQ(freed_[1], 10);
  domain_.leave(sleeper_);
}

TEST_F(Epochs, AWriterFreesWhatItRetiresThoughSomebodySleeps) {
  constexpr int kWrites = 100'000;
  domain_.enter(sleeper_, 1);
  write(kWrites, 2);
  EXPECT_GT(freed_[2], kWrites - 4096);
  write(kWrites, 1);
  EXPECT_EQ(freed_[1], 0);
  domain_.leave(sleeper_);
  // Looked at again before as much has come once more.
  write(2 * kWrites, 2);
  domain_.hand_over(writer_, false);
  EXPECT_GT(freed_[1], 0);
}

}  // namespace
