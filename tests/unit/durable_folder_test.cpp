// SPDX-License-Identifier: Apache-2.0

// The folder of a durable store on disks that lose power and fail. A run appends numbers 1, 2, 3, ...; what is recovered must
// be the numbers up to some one, none missing and none twice, and all that were acknowledged.

#include "storage/durable_folder.hpp"

#include <gtest/gtest.h>

#include <random>
#include <shared_mutex>

#include "numbers.hpp"

namespace cubby::detail {
namespace {

using cubby::testing::Numbers;
using cubby::testing::seed;
using cubby::testing::SimulatedDisk;
using cubby::testing::some_key;
using cubby::testing::used_window;

class Folder : public ::testing::TestWithParam<bool> {
 protected:
  std::optional<EncryptionKey> key() const { return GetParam() ? std::optional(some_key()) : std::nullopt; }
};

TEST_P(Folder, EachPointOfARunSurvivesPowerLoss) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("CUBBY_TEST_SEED=" + std::to_string(number));
  std::mt19937_64 random(number);
  for (const Sync sync : {Sync::always(), Sync::never()}) {
    SimulatedDisk disk;
    Numbers store(disk, sync, key());
    for (int step = 0; step < 150; ++step) {
      if (step % 40 == 39) {
        store.checkpoint();
      } else {
        store.append(random() % 3 == 0 ? random() % 20'000 : random() % 100);
      }
      auto rest = disk.after_power_loss(random);
      std::int64_t found = 0;
      {
        Numbers again(*rest, Sync::never(), key());
        found = again.last();
        ASSERT_LE(found, store.last()) << "step " << step;
        if (sync.is_always()) {
          ASSERT_EQ(found, store.last()) << "step " << step;
        }
        // It goes on from there, through another loss.
        again.append(10);
        again.checkpoint();
        again.append(10);
      }
      auto second = rest->after_power_loss(random);
      Numbers third(*second, Sync::never(), key());
      ASSERT_GE(third.last(), found + 1) << "step " << step;
      ASSERT_LE(third.last(), found + 2) << "step " << step;
    }
  }
}

TEST_P(Folder, ADeadProcessLosesNothingAndItsUnfinishedRecordsArePassedOver) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("CUBBY_TEST_SEED=" + std::to_string(number));
  std::mt19937_64 random(number);
  SimulatedDisk disk;
  std::int64_t last = 0;
  std::unique_ptr<SimulatedDisk> now = disk.after_process_death();
  for (int life = 0; life < 30; ++life) {
    auto next = [&] {
      Numbers store(*now, Sync::never(), key());
      EXPECT_EQ(store.last(), last) << "life " << life;
      for (int step = 0; step < 20; ++step) {
        const auto chance = random() % 10;
        if (chance == 0) {
          store.begin_and_die();
        } else if (chance == 1) {
          store.checkpoint();
        } else {
          store.append(random() % 3 == 0 ? random() % 20'000 : random() % 100);
        }
      }
      last = store.last();
      return now->after_process_death();
    }();
    now = std::move(next);
  }
}

TEST_P(Folder, UnfinishedRecordsOfADeadProcessDontEndTheLogOfADeadMachine) {
  std::mt19937_64 random(seed());
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  {
    Numbers store(disk, Sync::never(), key());
    store.append(10);
    store.begin_and_die();
    store.append(10);
    left = disk.after_process_death();
  }
  { EXPECT_EQ(Numbers(*left, Sync::always(), key()).last(), 2); }  // opened, and nothing else
  for (int tries = 0; tries < 20; ++tries) EXPECT_EQ(Numbers(*left->after_power_loss(random), Sync::never(), key()).last(), 2);
}

TEST_P(Folder, WindowsAreUsedAgainAndNothingIsLost) {
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  {
    Numbers store(disk, Sync::never(), key());
    for (int step = 0; step < 200; ++step) store.append(5000);  // a segment takes 64 KiB
    store.append(100'000);                                      // more than a window takes
    for (int step = 0; step < 30; ++step) store.append(5000);
    left = disk.after_process_death();
  }
  std::size_t windows = 0;
  for (const auto& [name, bytes] : left->contents()) windows += name.find("/window.") != std::string::npos ? 1 : 0;
  EXPECT_EQ(windows, 3U);
  Numbers again(*left, Sync::never(), key());
  EXPECT_EQ(again.last(), 231);
  again.append(10);
  EXPECT_EQ(Numbers(*left->after_process_death(), Sync::never(), key()).last(), 232);
}

TEST_P(Folder, AMissingWindowIsDamage) {
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  {
    Numbers store(disk, Sync::never(), key());
    store.append(10);
    left = disk.after_process_death();
  }
  const std::string window = used_window(*left);
  const std::string bytes = left->contents().at(window);
  left->erase(window);
  try {
    Numbers(*left, Sync::never(), key());
    FAIL() << "opened without its window";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::corrupt);
    EXPECT_NE(std::string(error.what()).find("window"), std::string::npos);
  }
  // The machine has died since: what was never synced may be gone.
  std::mt19937_64 random(seed());
  EXPECT_LE(Numbers(*left->after_power_loss(random), Sync::never(), key()).last(), 1);
}

TEST_P(Folder, ACopyOfWhatADeadProcessLeftHasAllOfIt) {
  SimulatedDisk disk;
  {
    Numbers store(disk, Sync::never(), key());
    for (int step = 0; step < 40; ++step) store.append(5000);
    SimulatedDisk copy;
    copy.make_folder("/data/store");
    for (const auto& [name, bytes] : disk.contents()) copy.put("/elsewhere" + name, bytes);  // takes inodes
    for (const auto& [name, bytes] : disk.contents()) copy.put(name, bytes);
    EXPECT_EQ(Numbers(copy, Sync::never(), key()).last(), 40);
  }
}

TEST_P(Folder, ACopyIsToldByDeviceOrTimeWhereItsInodesAreTheSame) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::never(), key());
  store.append(10);
  store.begin_and_die();
  store.append(10);
  // Where the process has died, what it had begun was never acknowledged; in a copy more may be missing.
  EXPECT_EQ(Numbers(*disk.after_process_death(), Sync::never(), key()).last(), 2);
  for (const bool on_another_volume : {true, false}) {
    EXPECT_EQ(Numbers(*disk.copy_with_its_inodes(on_another_volume), Sync::never(), key()).last(), 1) << on_another_volume;
  }
}

TEST(DurableFiles, HeadersSayWhichFileTheyWereMadeFor) {
  const FileSystem::Status made{.inode = 7, .volume = 3, .birth = 5};
  const auto as_read = [](const FileHeader& header) {
    std::array<std::byte, FileHeader::kBytes> bytes{};
    header.write(bytes);
    return FileHeader::read(bytes).value();
  };
  FileHeader header;
  std::copy_n("boot", 4, header.boot.begin());
  header.note_place(made);
  const auto is_untouched = [&](FileSystem::Status now) { return as_read(header).is_untouched(now, "boot"); };
  EXPECT_TRUE(is_untouched(made));
  EXPECT_FALSE(as_read(header).is_untouched(made, "another"));
  EXPECT_FALSE(is_untouched({.inode = 8, .volume = 3, .birth = 5}));
  EXPECT_FALSE(is_untouched({.inode = 7, .volume = 4, .birth = 5}));
  EXPECT_FALSE(is_untouched({.inode = 7, .volume = 3, .birth = 6}));
  EXPECT_TRUE(is_untouched({.inode = 7, .volume = 3, .birth = 0})) << "where the system doesn't tell";
  // Files of before had zeros there, as those have that lie on no block device.
  header.volume = header.birth = 0;
  EXPECT_TRUE(is_untouched(made));
}

TEST(EncryptedFolder, NobodyWithoutTheKeyDropsARecordOrPutsAnEnd) {
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  std::uint64_t offset = 0, size = 0;
  {
    Numbers store(disk, Sync::never(), some_key());
    store.append(10);
    offset = kSegmentStart;
    store.append(10);
    store.append(10);
    left = disk.after_process_death();
  }
  const std::string window = used_window(*left);
  const std::string sound = left->contents().at(window);
  std::string image = sound.substr(LogWindow::kImageOffset);
  const auto bytes = std::as_writable_bytes(std::span(image));
  const FileHeader header = *FileHeader::read(bytes);
  const FrameCodec keyless(header.salt, std::nullopt, header.version);
  const auto word = [&](std::uint64_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, image.data() + at, sizeof value);
    return value;
  };
  const auto put = [&](std::uint64_t at, std::uint64_t value) { std::memcpy(image.data() + at, &value, sizeof value); };
  const auto refused = [&] {
    left->put(window, sound.substr(0, LogWindow::kImageOffset) + image);
    EXPECT_THROW(Numbers(*left, Sync::never(), some_key()), Error);
    image = sound.substr(LogWindow::kImageOffset);
  };
  size = keyless.read_head(word(offset), offset)->size;
  offset += size;  // the second record: void
  size = keyless.read_head(word(offset), offset)->size;
  std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(offset + 8), size - 16, '\0');
  put(offset + size - 8, keyless.void_mark(word(offset), offset));
  refused();
  // an end in its place, and zeros behind
  std::fill(image.begin() + static_cast<std::ptrdiff_t>(offset), image.end(), '\0');
  put(offset, keyless.head({FrameKind::generation_end, keyless.end_size()}, offset));
  put(offset + 8, keyless.end_mark(word(offset), offset));
  refused();
  left->put(window, sound);
  EXPECT_EQ(Numbers(*left, Sync::never(), some_key()).last(), 3);
}

TEST_P(Folder, ADamagedHeaderBehindAnOpenEndIsDamage) {
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  {
    Numbers store(disk, Sync::never(), key());
    store.append(10);
    store.begin_generation_and_die();
    store.append(10);
    left = disk.after_process_death();
  }
  const std::string name = "/data/store/log.00000002.00000000";
  std::string bytes = left->contents().at(name);
  bytes[70] ^= 2;
  left->put(name, bytes);
  EXPECT_THROW(Numbers(*left, Sync::never(), key()), Error);
  EXPECT_EQ(left->contents().at(name), bytes);
  bytes[70] ^= 2;
  left->put(name, bytes);
  EXPECT_EQ(Numbers(*left, Sync::never(), key()).last(), 2);
}

TEST_P(Folder, ACutWhereASegmentIsMissingIsForGood) {
  std::mt19937_64 random(seed());
  SimulatedDisk disk;
  Numbers store(disk, Sync::always(), key());
  while (disk.contents().count("/data/store/log.00000001.00000002") == 0) store.append(5000);
  auto rest = disk.after_power_loss(random);
  rest->erase("/data/store/log.00000001.00000001");
  rest->erase("/data/store/log.00000001.00000002");
  std::int64_t found = 0;
  std::unique_ptr<SimulatedDisk> later;
  {
    Numbers again(*rest, Sync::always(), key());
    found = again.last();
    EXPECT_GT(found, 0);
    again.append(10);
    later = rest->after_process_death();
  }
  EXPECT_EQ(Numbers(*later, Sync::always(), key()).last(), found + 1);
}

TEST_P(Folder, AfterCloseThereIsNoLog) {
  SimulatedDisk disk;
  {
    Numbers store(disk, Sync::always(), key());
    for (int step = 0; step < 100; ++step) store.append(1000);
    store.close();
  }
  EXPECT_EQ(disk.contents().size(), 2U);  // MANIFEST and the checkpoint
  Numbers again(disk, Sync::always(), key());
  EXPECT_EQ(again.last(), 100);
  EXPECT_EQ(again.log_bytes(), 0U);
}

TEST_P(Folder, AnyCallMayFailAndNothingAcknowledgedIsLost) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("CUBBY_TEST_SEED=" + std::to_string(number));
  std::mt19937_64 random(number);
  for (std::size_t call = 1;; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    SimulatedDisk disk;
    disk.fail_at(call, random() % 2 == 0 ? EIO : ENOSPC, random() % 2 == 0);
    std::int64_t acknowledged = 0;
    std::int64_t tried = 0;
    try {
      Numbers store(disk, Sync::always(), key());
      for (int step = 0; step < 60; ++step) {
        try {
          if (step % 20 == 19) {
            store.checkpoint();
          } else {
            tried = store.last() + 1;
            store.append(2000);
            acknowledged = store.last();
          }
        } catch (const Error& error) {
          ASSERT_TRUE(error.code() == Errc::io || error.code() == Errc::read_only) << error.what();
          if (step % 20 != 19 && store.last() == tried) break;  // appended and not synced: it may be seen, and nothing follows
        }
      }
      try {
        store.close();
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), Errc::io) << error.what();
        store.stay_open();
        try {
          tried = store.last() + 1;
          store.append(100);
          acknowledged = store.last();
        } catch (const Error&) {
          // it may be that nothing can be written any more
        }
      }
      if (disk.calls() < call) {
        ASSERT_GT(call, 20U);
        return;  // all calls have failed once
      }
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Errc::io) << error.what();
    }
    disk.no_faults();
    {
      Numbers again(*disk.after_process_death(), Sync::never(), key());
      ASSERT_GE(again.last(), acknowledged);
      ASSERT_LE(again.last(), tried);
    }
    Numbers after_loss(*disk.after_power_loss(random), Sync::never(), key());
    ASSERT_GE(after_loss.last(), acknowledged);
    ASSERT_LE(after_loss.last(), tried);
  }
}

TEST_P(Folder, AFullDiskRefusesWritesUntilThereIsRoom) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::never(), key());
  disk.fail_at(1, ENOSPC, true);
  std::int64_t refused = 0;
  for (int step = 0; step < 300; ++step) {
    try {
      store.append(10'000);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Errc::io) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, 200);
  const std::int64_t before = store.last();
  disk.no_faults();
  for (int step = 0; step < 20; ++step) store.append(10'000);
  EXPECT_EQ(store.last(), before + 20);
  EXPECT_EQ(Numbers(*disk.after_process_death(), Sync::never(), key()).last(), before + 20);
}

TEST_P(Folder, ACheckpointThatFailsLeavesNoFileOfIts) {
  std::size_t failed = 0;
  for (std::size_t call = 1;; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    SimulatedDisk disk;
    Numbers store(disk, Sync::never(), key());
    for (int step = 0; step < 5; ++step) store.append(100);
    disk.fail_at(call, ENOSPC);
    bool succeeded = true;
    try {
      store.checkpoint();
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Errc::io) << error.what();
      succeeded = false;
      ++failed;
    }
    const bool was_reached = disk.calls() >= call;
    disk.no_faults();
    const auto named = read_manifest(disk, "/data/store", key())->checkpoint;
    for (const auto& [name, bytes] : disk.contents()) {
      const auto parsed = parse_name(std::filesystem::path(name).filename().string());
      if (succeeded || !parsed) continue;
      EXPECT_TRUE(parsed->kind != FileName::Kind::temporary) << name;
      EXPECT_TRUE(parsed->kind != FileName::Kind::checkpoint || parsed->generation == named) << name;
    }
    try {
      store.append(100);
      store.checkpoint();
      store.append(100);
      ASSERT_EQ(store.last(), 7);
    } catch (const Error& error) {
      // The log's own thread has met the fault as it wrote in the background: it takes nothing more, and keeps what it has.
      ASSERT_FALSE(store.log().failure().empty()) << error.what();
    }
    ASSERT_EQ(Numbers(*disk.after_process_death(), Sync::never(), key()).last(), store.last());
    if (!was_reached) break;
  }
  EXPECT_GT(failed, 10U);
}

TEST_P(Folder, ADiskThatIsFullAllTheTimeDoesNotMakeAGenerationEachTime) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::never(), key());
  store.append(100);
  const auto before = disk.contents();
  const std::uint32_t generation = store.log().generation();
  // It makes files, and has no room in them.
  for (int tries = 0; tries < 10; ++tries) {
    disk.fill();
    EXPECT_THROW(store.checkpoint(), Error);
    store.append(100);
  }
  disk.fill(false);
  EXPECT_EQ(store.log().generation(), generation);
  const auto after = disk.contents();
  EXPECT_EQ(after.size(), before.size());
  store.checkpoint();
  EXPECT_EQ(Numbers(*disk.after_process_death(), Sync::never(), key()).last(), 11);
}

TEST_P(Folder, AFailedSyncIsNotForgotten) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::always(), key());
  store.append(10);
  disk.fail_at(1, EIO);
  EXPECT_THROW(store.append(10), Error);
  disk.no_faults();
  try {
    store.append(10);
    FAIL() << "written after a failed sync";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::read_only);
    EXPECT_NE(std::string(error.what()).find("sync"), std::string::npos) << error.what();
  }
  EXPECT_GE(Numbers(*disk.after_process_death(), Sync::always(), key()).last(), 1);
}

/// Copies that are made file by file while somebody writes.
TEST_P(Folder, ACopyMadeWhileInUseIsRefusedOrRecovered) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("CUBBY_TEST_SEED=" + std::to_string(number));
  std::mt19937_64 random(number);
  int recovered = 0;
  for (int round = 0; round < 60; ++round) {
    SimulatedDisk disk;
    Numbers store(disk, Sync::never(), key());
    for (int step = 0; step < 20; ++step) store.append(random() % 9000);
    SimulatedDisk copy;
    copy.make_folder("/data/store");
    const auto names = disk.contents();
    for (const auto& [name, ignored] : names) {
      // Each file in two halves, from two moments.
      const auto early = disk.contents();
      for (int step = 0; step < 5; ++step) store.append(random() % 9000);
      if (random() % 4 == 0) store.checkpoint();
      const auto late = disk.contents();
      if (!early.contains(name)) continue;
      std::string bytes = early.at(name);
      if (late.contains(name)) {
        const std::size_t half = random() % (bytes.size() + 1);
        bytes = bytes.substr(0, half) + (late.at(name).size() > half ? late.at(name).substr(half) : std::string());
      }
      copy.put(name, bytes);
    }
    try {
      EXPECT_LE(Numbers(copy, Sync::never(), key()).last(), store.last());  // and a prefix, which Numbers looks at
      ++recovered;
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == Errc::corrupt || error.code() == Errc::wrong_key) << error.what();
    }
  }
  EXPECT_GT(recovered, 0);
}

TEST_P(Folder, ManyThreadsAppendAndAllIsThere) {
  SimulatedDisk disk;
  DurableFolder::Settings settings;
  settings.files = &disk;
  settings.folder = "/data/store";
  settings.key = key();
  settings.sync = Sync::always();
  settings.checkpoint_after = 64 << 10;
  std::shared_mutex publishing;
  settings.wait_for_publishers = [&] { const std::lock_guard all_have_ended(publishing); };
  settings.on_growth = [] {};
  auto folder = std::make_unique<DurableFolder>(settings);
  folder->load([](const LoggedOperation&) {}, [](const LoggedOperation&) {});
  folder->begin(1);
  constexpr int kThreads = 8, kEach = 600;  // through windows that are used several times
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int number = 0; number < kEach; ++number) {
          const Value value(number);
          const std::string name = "thread " + std::to_string(thread);
          LoggedOperation operation;
          operation.code = OperationCode::push;
          operation.key = name;
          operation.value = &value;
          OperationWriter measure;
          measure.write(operation);
          std::shared_lock publisher(publishing);
          const Log::Record record =
              folder->log().reserve(1, measure.body_size() + static_cast<std::uint64_t>(number % 50) * 8);
          OperationWriter writer(record.body());
          writer.write(operation);
          writer.pad(record.frame - folder->log().frame_size(0));
          folder->log().complete(record);
          publisher.unlock();
          if (number % 50 == 0) folder->log().acknowledge(record.end());
        }
      });
    }
  }
  std::map<std::string, std::int64_t> next;
  std::unique_ptr<SimulatedDisk> left = disk.after_process_death();
  settings.files = left.get();
  DurableFolder again(settings);
  again.load(
      [](const LoggedOperation&) {},
      [&](const LoggedOperation& operation) { EXPECT_EQ(operation.value->as_int(), next[std::string(operation.key)]++); });
  EXPECT_EQ(next.size(), static_cast<std::size_t>(kThreads));
  for (const auto& [name, count] : next) EXPECT_EQ(count, kEach) << name;
}

INSTANTIATE_TEST_SUITE_P(Plain, Folder, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Encrypted, Folder, ::testing::Values(true));

}  // namespace
}  // namespace cubby::detail
