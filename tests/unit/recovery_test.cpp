// SPDX-License-Identifier: Apache-2.0

// Opening a durable folder again and again, each time killed at another point of it: the next open must find what the first
// would have found.

#include <gtest/gtest.h>

#include <functional>

#include "numbers.hpp"

namespace cubby::detail {
namespace {

using cubby::testing::Numbers;
using cubby::testing::seed;
using cubby::testing::SimulatedDisk;
using cubby::testing::some_key;
using cubby::testing::used_window;
using Key = std::optional<EncryptionKey>;

/// A folder as somebody left it, and what must be found in it.
struct Left {
  std::unique_ptr<SimulatedDisk> disk;
  std::int64_t last = 0;
  /// What must be there even if the power is lost while it is recovered.
  std::int64_t on_disk = 0;
};

struct LeftBy {
  const char* what;
  Left (*make)(const Key& key, std::mt19937_64& random);
};

/// By a process that died after `steps`.
Left by_death(const Key& key, Sync sync, const std::function<void(Numbers&)>& steps) {
  SimulatedDisk disk;
  Left left;
  Numbers store(disk, sync, key);
  steps(store);
  left.last = store.last();
  if (sync.is_always()) left.on_disk = left.last;
  left.disk = disk.after_process_death();
  return left;
}

void append_many(Numbers& store, int count, std::size_t text) {
  for (int step = 0; step < count; ++step) store.append(text);
}

/// The image in a window, as bytes of their own.
std::string image_in(const SimulatedDisk& disk, const std::string& window) {
  return disk.contents().at(window).substr(LogWindow::kImageOffset);
}
void put_image(SimulatedDisk& disk, const std::string& window, const std::string& image) {
  disk.put(window, disk.contents().at(window).substr(0, LogWindow::kImageOffset) + image);
}

/// Where the frames in a segment's image end.
std::uint64_t tail_of(const std::string& image) {
  const FileHeader header = *FileHeader::read(std::as_bytes(std::span(image)));
  const FrameCodec codec(header.salt, std::nullopt, header.version);
  std::uint64_t offset = kSegmentStart;
  for (;;) {
    std::uint64_t word = 0;
    std::memcpy(&word, image.data() + offset, sizeof word);
    const auto head = codec.read_head(word, offset);
    if (!head) return offset;
    offset += head->size;
  }
}

/// The head of an end without its mark, as a process leaves that dies while it ends the generation.
void begin_end(SimulatedDisk& disk) {
  const std::string window = used_window(disk);
  std::string image = image_in(disk, window);
  const FileHeader header = *FileHeader::read(std::as_bytes(std::span(image)));
  const FrameCodec codec(header.salt, std::nullopt, header.version);
  const std::uint64_t tail = tail_of(image);
  const std::uint64_t head = codec.head({FrameKind::generation_end, codec.end_size()}, tail);
  std::memcpy(image.data() + tail, &head, sizeof head);
  put_image(disk, window, image);
}

const LeftBy kAll[] = {
    {"a process that died",
     [](const Key& key, std::mt19937_64&) {
       return by_death(key, Sync::never(), [](Numbers& store) { append_many(store, 5, 40); });
     }},
    {"a process that died in the middle of a record",
     [](const Key& key, std::mt19937_64&) {
       return by_death(key, Sync::never(), [](Numbers& store) {
         append_many(store, 3, 40);
         store.begin_and_die();
         append_many(store, 3, 9000);
         store.begin_and_die();
       });
     }},
    {"a process that had synced all, and died",
     [](const Key& key, std::mt19937_64&) {
       return by_death(key, Sync::always(), [](Numbers& store) { append_many(store, 10, 9000); });
     }},
    {"a process that died with many segments",
     [](const Key& key, std::mt19937_64&) {
       return by_death(key, Sync::never(), [](Numbers& store) {
         append_many(store, 15, 5000);
         store.begin_and_die();
         append_many(store, 1, 100'000);  // more than a window takes
         append_many(store, 3, 5000);
       });
     }},
    {"a process that died after the cut of a checkpoint",
     [](const Key& key, std::mt19937_64&) {
       return by_death(key, Sync::never(), [](Numbers& store) {
         store.checkpoint();
         append_many(store, 5, 5000);
         store.begin_generation_and_die();
         append_many(store, 5, 5000);
       });
     }},
    {"a process that died while it ended a generation",
     [](const Key& key, std::mt19937_64&) {
       Left left = by_death(key, Sync::never(), [](Numbers& store) {
         append_many(store, 5, 5000);
         store.begin_generation_and_die();
       });
       begin_end(*left.disk);
       return left;
     }},
    {"a machine that died",
     [](const Key& key, std::mt19937_64& random) {
       Left left = by_death(key, Sync::always(), [](Numbers& store) { append_many(store, 20, 5000); });
       left.disk = left.disk->after_power_loss(random);
       return left;
     }},
    {"a machine that died before it had synced",
     [](const Key& key, std::mt19937_64& random) {
       SimulatedDisk disk;
       Left left;
       {
         Numbers store(disk, Sync::never(), key);
         append_many(store, 20, 5000);
         left.disk = disk.after_power_loss(random);
       }
       left.last = Numbers(*left.disk->after_process_death(), Sync::never(), key).last();
       return left;
     }},
    {"whoever copied what a dead process had left",
     [](const Key& key, std::mt19937_64&) {
       Left left = by_death(key, Sync::never(), [](Numbers& store) { append_many(store, 20, 5000); });
       auto copy = std::make_unique<SimulatedDisk>();
       copy->make_folder("/data/store");
       for (const auto& [name, bytes] : left.disk->contents()) copy->put("/elsewhere" + name, bytes);  // takes inodes
       for (const auto& [name, bytes] : left.disk->contents()) copy->put(name, bytes);
       left.disk = std::move(copy);
       return left;
     }},
    {"a disk that lost a segment",
     [](const Key& key, std::mt19937_64& random) {
       SimulatedDisk disk;
       Left left;
       {
         Numbers store(disk, Sync::always(), key);
         while (disk.contents().count("/data/store/log.00000001.00000002") == 0) store.append(5000);
         left.disk = disk.after_power_loss(random);
       }
       left.disk->erase("/data/store/log.00000001.00000001");
       left.disk->erase("/data/store/log.00000001.00000002");
       left.last = left.on_disk = Numbers(*left.disk->after_process_death(), Sync::never(), key).last();
       return left;
     }},
};

class Recovery : public ::testing::TestWithParam<std::tuple<LeftBy, bool>> {
 protected:
  Key key() const { return std::get<1>(GetParam()) ? Key(some_key()) : std::nullopt; }

  /// Opens the folder, and dies in that call of the file system; whether there were so many.
  bool dies_in(SimulatedDisk& disk, std::size_t call) const {
    disk.die_at(call);
    bool died = false;
    try {
      const Numbers dying(disk, Sync::never(), key());
      died = disk.calls() >= call;  // in something that may fail
    } catch (const Error&) {
      died = true;
    }
    disk.no_faults();
    return died;
  }
  void expect_all(SimulatedDisk& disk, std::int64_t last) const {
    {
      Numbers store(disk, Sync::never(), key());
      ASSERT_EQ(store.last(), last);
      store.append(10);
      store.append(10);
    }
    ASSERT_EQ(Numbers(*disk.after_process_death(), Sync::never(), key()).last(), last + 2);
  }
};

TEST_P(Recovery, MayDieAtEachPoint) {
  const std::uint64_t number = seed();
  SCOPED_TRACE("CUBBY_TEST_SEED=" + std::to_string(number));
  std::mt19937_64 random(number);
  const Left left = std::get<0>(GetParam()).make(key(), random);
  {
    SCOPED_TRACE("not killed");
    ASSERT_NO_FATAL_FAILURE(expect_all(*left.disk->after_process_death(), left.last));
  }
  std::size_t calls = 0;
  // Encryption changes what is written, and not when: some points will do.
  const std::size_t stride = key() ? 4 : 1;
  for (std::size_t call = 1 + random() % stride;; call += stride) {
    SCOPED_TRACE("killed in call " + std::to_string(call));
    const auto disk = left.disk->after_process_death();
    if (!dies_in(*disk, call)) break;
    calls = call;
    const auto lost = disk->after_power_loss(random);
    const auto again = disk->after_process_death();
    ASSERT_NO_FATAL_FAILURE(expect_all(*disk->after_process_death(), left.last));
    // The next is killed too.
    const std::size_t second = 1 + random() % (call + 20);
    SCOPED_TRACE("and then in call " + std::to_string(second));
    dies_in(*again, second);
    ASSERT_EQ(Numbers(*again->after_process_death(), Sync::never(), key()).last(), left.last);
    const std::int64_t found = Numbers(*lost, Sync::never(), key()).last();
    ASSERT_GE(found, left.on_disk) << "with the power lost";
    ASSERT_LE(found, left.last) << "with the power lost";
  }
  EXPECT_GT(calls, 20U);
}

INSTANTIATE_TEST_SUITE_P(Plain, Recovery, ::testing::Combine(::testing::ValuesIn(kAll), ::testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(Encrypted, Recovery, ::testing::Combine(::testing::ValuesIn(kAll), ::testing::Values(true)));

/// A window whose pages got to the disk at different times has parts of the segments that it was used for before.
TEST(Windows, MayHaveAnythingBehindAnEndOnceTheMachineHasDied) {
  Left left = by_death({}, Sync::never(), [](Numbers& store) {
    append_many(store, 3, 40);
    store.begin_generation_and_die();
  });
  const std::string window = used_window(*left.disk);
  std::string image = image_in(*left.disk, window);
  const FileHeader header = *FileHeader::read(std::as_bytes(std::span(image)));
  const FrameCodec codec(header.salt, std::nullopt, header.version);
  const std::uint64_t tail = tail_of(image);
  const std::uint64_t head = codec.head({FrameKind::generation_end, codec.end_size()}, tail);
  const std::uint64_t end[2] = {head, codec.end_mark(head, tail)};
  std::memcpy(image.data() + tail, end, sizeof end);
  image[tail + sizeof end + 512] = 'x';
  put_image(*left.disk, window, image);
  EXPECT_THROW(Numbers(*left.disk->after_process_death(), Sync::never()), Error) << "where nothing explains it";

  SimulatedDisk copy;
  copy.make_folder("/data/store");
  for (const auto& [name, bytes] : left.disk->contents()) copy.put("/elsewhere" + name, bytes);  // takes inodes
  for (const auto& [name, bytes] : left.disk->contents()) copy.put(name, bytes);
  EXPECT_EQ(Numbers(copy, Sync::never()).last(), left.last);
}

}  // namespace
}  // namespace cubby::detail
