// SPDX-License-Identifier: Apache-2.0

// What the machine may have lost when it died, and what it may not: a segment of the log that had been synced.

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "numbers.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::detail {
namespace {

using cubby::testing::Numbers;
using cubby::testing::seed;
using cubby::testing::SimulatedDisk;
using cubby::testing::some_key;

class LostSegment : public ::testing::TestWithParam<bool> {
 protected:
  std::optional<EncryptionKey> key() const { return GetParam() ? std::optional(some_key()) : std::nullopt; }

  static std::string path_of(std::uint32_t generation, std::uint32_t number) {
    return "/data/store/" + segment_name(generation, number);
  }

  /// Segments 0 to 3 of the first generation, each call acknowledged, and the machine died.
  std::unique_ptr<SimulatedDisk> after_power_loss() {
    SimulatedDisk disk;
    Numbers store(disk, Sync::always(), key());
    for (int step = 0; step < 45; ++step) store.append(5000);  // twelve in each, and the rest in the last
    last_ = store.last();
    return disk.after_power_loss(random_);
  }
  /// The same, opened since and written to, and the process was killed.
  std::unique_ptr<SimulatedDisk> opened_since() {
    const auto disk = after_power_loss();
    Numbers store(*disk, Sync::never(), key());
    EXPECT_EQ(store.last(), last_);
    store.append(10);
    last_ = store.last();
    return disk->after_process_death();
  }

  /// That the folder is refused, and nothing in it changed; and that `cubby check` says so.
  void expect_damage(SimulatedDisk& disk, const std::string& what) const {
    SCOPED_TRACE(what);
    const auto before = disk.contents();
    try {
      const Numbers opened(disk, Sync::never(), key());
      FAIL() << "opened, up to " << opened.last() << " of " << last_;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::corrupt) << error.what();
    }
    EXPECT_EQ(disk.contents(), before);
    EXPECT_FALSE(check_folder(disk, "/data/store", key(), {}, true).damage.empty());
  }
  void expect_damage_in_all_ways(const SimulatedDisk& disk, const std::string& segment) const {
    const auto lost = disk.after_process_death();
    lost->erase(segment);
    expect_damage(*lost, segment + " is missing");
    expect_damage_without_header(disk, segment);
  }
  void expect_damage_without_header(const SimulatedDisk& disk, const std::string& segment) const {
    const std::string sound = disk.contents().at(segment);
    const auto changed = disk.after_process_death();
    std::string bytes = sound;
    bytes[70] ^= 2;
    changed->put(segment, bytes);
    expect_damage(*changed, segment + " has another header");
    std::fill_n(bytes.begin(), kSegmentStart, '\0');
    changed->put(segment, bytes);
    expect_damage(*changed, segment + " has no header");
    changed->put(segment, {});
    expect_damage(*changed, segment + " is empty");
    changed->put(segment, sound);
    EXPECT_EQ(Numbers(*changed, Sync::never(), key()).last(), last_);
  }

  std::int64_t last_ = 0;
  std::mt19937_64 random_{seed()};
};

TEST_P(LostSegment, IsDamageWhereItWasReadBefore) {
  const auto disk = opened_since();
  for (const std::uint32_t number : {0U, 1U, 2U, 3U}) expect_damage_in_all_ways(*disk, path_of(1, number));
}

TEST_P(LostSegment, IsDamageWhereALaterMachineHasDiedToo) {
  const auto disk = opened_since();
  {
    Numbers store(*disk, Sync::always(), key());
    store.append(10);
    last_ = store.last();
  }
  const auto again = disk->after_power_loss(random_);
  expect_damage_in_all_ways(*again, path_of(1, 1));
  expect_damage_in_all_ways(*again, path_of(2, 0));
  expect_damage_in_all_ways(*again, path_of(3, 0));
}

/// It was on the disk before the generation before it was ended.
TEST_P(LostSegment, IsDamageWhereItIsTheFirstOfAGeneration) {
  const auto disk = opened_since();
  expect_damage_in_all_ways(*disk, path_of(2, 0));
}

TEST_P(LostSegment, IsDamageWhereALaterOneWasSynced) {
  const auto disk = after_power_loss();
  expect_damage_in_all_ways(*disk, path_of(1, 1));
  // A header that was written, and isn't one any more, was not lost with the machine.
  std::string bytes = disk->contents().at(path_of(1, 3));
  bytes[70] ^= 2;
  disk->put(path_of(1, 3), bytes);
  expect_damage(*disk, "the last has another header");
}

TEST_P(LostSegment, MayBeLostWhereNothingLaterWasSynced) {
  const auto disk = after_power_loss();
  for (const std::uint32_t number : {2U, 3U}) disk->erase(path_of(1, number));
  std::unique_ptr<SimulatedDisk> later;
  std::int64_t found = 0;
  {
    Numbers store(*disk, Sync::never(), key());
    found = store.last();
    EXPECT_GT(found, 0);
    EXPECT_LT(found, last_);
    store.append(10);
    later = disk->after_process_death();
  }
  EXPECT_EQ(Numbers(*later, Sync::never(), key()).last(), found + 1);
}

TEST_P(LostSegment, HadAHeaderIfItHasRecords) {
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  {
    Numbers store(disk, Sync::never(), key());
    store.append(10);
    store.begin_generation_and_die();
    store.append(10);
    last_ = store.last();
    left = disk.after_process_death();
  }
  expect_damage_without_header(*left, path_of(2, 0));
}

INSTANTIATE_TEST_SUITE_P(Plain, LostSegment, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Encrypted, LostSegment, ::testing::Values(true));

}  // namespace
}  // namespace cubby::detail
