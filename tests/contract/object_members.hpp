// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Objects of many sizes, for what changes and reads them member by member.

#include <map>

#include "support.hpp"

namespace cubby::contract {

inline constexpr WhenEmptied kEraseObject = WhenEmptied::erase;

class MembersOfObjects : public ContractTest {
 protected:
  static std::string name_of(int number) { return "member " + std::to_string(1000 + number); }
  static Value value_of(int number) { return "a value that needs a block of its own, number " + std::to_string(number); }
  static Value object(int count) {
    std::map<std::string, Value> members;
    for (int number = 0; number < count; ++number) members.emplace(name_of(number), value_of(number));
    return Value::object(members);
  }
  /// An object of this size that is kept as it is after changes of members: it had more.
  static void make(Datastore& store, std::string_view key, int count) {
    constexpr int kMore = 70;
    store.set(key, object(count + kMore));
    std::map<std::string, Value> gone;
    for (int number = count; number < count + kMore; ++number) gone.emplace(name_of(number), nullptr);
    store.change_members(key, Value::object(gone));
    ASSERT_EQ(store.get(key), object(count));
  }
  static testing::AssertionResult changed(const MembersChanged& result, std::size_t added, std::size_t removed,
                                          std::size_t size) {
    if (result.added == added && result.removed == removed && result.size == size) return testing::AssertionSuccess();
    return testing::AssertionFailure() << result.added << " added, " << result.removed << " removed, " << result.size
                                       << " there";
  }
  /// Small, large, and at the bounds between.
  static constexpr int kSizes[] = {0, 1, 30, 31, 32, 33, 63, 64, 65, 66, 500};
};

}  // namespace cubby::contract
