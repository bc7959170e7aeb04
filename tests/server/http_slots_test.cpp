// SPDX-License-Identifier: Apache-2.0
#include "server/http_slots.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace cubby::server {

namespace {

using SlotKind = HttpSlots::Kind;
constexpr const char* kThisMachine = "";

TEST(HttpSlots, AnAddressHasButAPart) {
  HttpSlots slots(8, 3);
  std::vector<HttpSlots::Slot> taken;
  for (int index = 0; index < 3; ++index) {
    taken.push_back(slots.take("192.0.2.1"));
    EXPECT_EQ(taken.back().kind(), SlotKind::any) << index;
  }
  EXPECT_EQ(slots.take("192.0.2.1").kind(), SlotKind::refused);
  EXPECT_EQ(slots.take("192.0.2.2").kind(), SlotKind::any);
  taken.pop_back();
  EXPECT_EQ(slots.take("192.0.2.1").kind(), SlotKind::any);
  for (int index = 0; index < 6; ++index) {
    taken.push_back(slots.take(kThisMachine));
    EXPECT_EQ(taken.back().kind(), SlotKind::any) << "a proxy here, " << index;
  }
}

TEST(HttpSlots, SomeAreLeftForHealth) {
  HttpSlots slots(4, 4);
  std::vector<HttpSlots::Slot> taken;
  for (int index = 0; index < 4; ++index) taken.push_back(slots.take("192.0.2.1"));
  std::vector<HttpSlots::Slot> spare;
  for (std::size_t index = 0; index < HttpSlots::kSpare; ++index) {
    const std::string address = "198.51.100." + std::to_string(index / HttpSlots::kSpareOfAddress);
    spare.push_back(slots.take(address));
    EXPECT_EQ(spare.back().kind(), SlotKind::health) << index;
    if (index + 1 == HttpSlots::kSpareOfAddress) {
      EXPECT_EQ(slots.take(address).kind(), SlotKind::refused);
    }
  }
  EXPECT_EQ(slots.take("203.0.113.1").kind(), SlotKind::refused);
  // This machine has its own.
  for (std::size_t index = 0; index < HttpSlots::kSpare; ++index) {
    spare.push_back(slots.take(kThisMachine));
    EXPECT_EQ(spare.back().kind(), SlotKind::health) << index;
  }
  EXPECT_EQ(slots.take(kThisMachine).kind(), SlotKind::refused);
  spare.clear();
  EXPECT_EQ(slots.take("203.0.113.1").kind(), SlotKind::health);
  taken.clear();
  EXPECT_EQ(slots.take("203.0.113.1").kind(), SlotKind::any);
}

/// Those who are told so are connections too.
TEST(HttpSlots, NotEverybodyIsToldThatThereAreTooMany) {
  HttpSlots slots(2, 1);
  const HttpSlots::Slot own = slots.take("192.0.2.1");
  std::optional<HttpSlots::Slot> first = slots.take("192.0.2.1");
  const HttpSlots::Slot second = slots.take("192.0.2.1");
  EXPECT_EQ(first->kind(), SlotKind::refused);
  EXPECT_EQ(second.kind(), SlotKind::refused);
  EXPECT_EQ(slots.take("192.0.2.1").kind(), SlotKind::none);
  EXPECT_EQ(slots.take("192.0.2.2").kind(), SlotKind::any);
  first.reset();
  EXPECT_EQ(slots.take("192.0.2.1").kind(), SlotKind::refused);
}

}  // namespace

}  // namespace cubby::server
