// SPDX-License-Identifier: Apache-2.0

// The log between two steps of a write: what stands in files then, and who waits while the disk stalls.

#include "storage/log.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "forwarding_file_system.hpp"
#include "numbers.hpp"

namespace cubby::detail {
namespace {

using cubby::testing::ForwardingFileSystem;
using cubby::testing::Numbers;
using cubby::testing::SimulatedDisk;
using cubby::testing::some_key;
using namespace std::chrono_literals;

// -------------------------------------------------------------------------------------------------------------- clear text

constexpr std::string_view kSecret = "a key that nobody may read";

/// A record whose text is written, and that isn't complete yet. What is set is the number that follows.
Log::Record write_secret(Numbers& store, std::uint64_t more) {
  const Value value(store.last() + 1);
  LoggedOperation operation;
  operation.code = OperationCode::set;
  operation.key = kSecret;
  operation.value = &value;
  OperationWriter measure;
  measure.write(operation);
  const Log::Record record = store.log().reserve(1, measure.body_size() + more);
  OperationWriter writer(record.body());
  writer.write(operation);
  writer.pad(record.frame - store.log().frame_size(0));
  return record;
}

/// Wherever it is: in files, or in memory that is one.
bool can_be_read(const SimulatedDisk& disk) {
  for (const auto& [name, bytes] : disk.contents()) {
    if (bytes.find(kSecret) != std::string::npos) return true;
  }
  return false;
}

// A small record, one for which its thread gets more memory than it keeps, and one that fits in no window: its segment is
// mapped.
class ClearText : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ClearText, StandsInNoFileAtAnyMoment) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::never(), some_key());
  for (int round = 0; round < 3; ++round) {  // memory that is used again
    const Log::Record given_up = write_secret(store, GetParam());
    EXPECT_FALSE(can_be_read(disk)) << "before it is given up";
    EXPECT_EQ(Numbers(*disk.after_process_death(), Sync::never(), some_key()).last(), 0);
    store.log().discard(given_up);
    EXPECT_FALSE(can_be_read(disk)) << "given up";
  }
  const Log::Record record = write_secret(store, GetParam());
  EXPECT_FALSE(can_be_read(disk)) << "before it is complete";
  EXPECT_EQ(Numbers(*disk.after_process_death(), Sync::never(), some_key()).last(), 0);
  store.log().complete(record);
  EXPECT_FALSE(can_be_read(disk)) << "complete";
  EXPECT_EQ(Numbers(*disk.after_process_death(), Sync::never(), some_key()).last(), 1);
}

TEST_P(ClearText, IsFoundWhereThereIsNoKey) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::never());
  store.log().complete(write_secret(store, GetParam()));
  EXPECT_TRUE(can_be_read(disk));
}

INSTANTIATE_TEST_SUITE_P(Sizes, ClearText, ::testing::Values(0, 100'000, 3 << 20));

// ------------------------------------------------------------------------------------------------------- a disk that stalls

constexpr auto kLong = 60s;  // for what takes no time at all

/// A disk whose syncs of files wait when they are told to.
class StallingDisk final : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;

  void stall() {
    const std::lock_guard lock(mutex_);
    stalled_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    stalled_ = false;
    changed_.notify_all();
  }
  void let_one_through() {
    const std::lock_guard lock(mutex_);
    ++let_through_;
    changed_.notify_all();
  }
  /// Until so many syncs have come to wait, ever; false if they don't.
  bool await_syncs(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, [&] { return have_come_ >= count; });
  }

  std::unique_ptr<ReservedFile> create_reserved(const Path& path, std::size_t size) override {
    return std::make_unique<File>(*this, ForwardingFileSystem::create_reserved(path, size));
  }

 private:
  class File final : public ReservedFile {
   public:
    File(StallingDisk& disk, std::unique_ptr<ReservedFile> to) : disk_(disk), to_(std::move(to)) {}
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override { to_->write_at(offset, bytes); }
    void sync() override {
      disk_.wait();
      to_->sync();
    }

   private:
    StallingDisk& disk_;
    std::unique_ptr<ReservedFile> to_;
  };

  void wait() {
    std::unique_lock lock(mutex_);
    if (!stalled_) return;
    ++have_come_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !stalled_ || let_through_ != 0; });
    if (stalled_) --let_through_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stalled_ = false;
  int let_through_ = 0;
  int have_come_ = 0;
};

/// Lets the disk go on before what is declared earlier goes, whatever has failed.
struct GoesOn {
  StallingDisk& disk;
  ~GoesOn() { disk.go_on(); }
};

void let_pass(std::chrono::nanoseconds time) { advance_clock_for_testing(time.count()); }

/// Whether writers stop waiting; it takes what is running now.
bool stops_waiting(const Log& log) {
  const auto end = std::chrono::steady_clock::now() + kLong;
  while (log.waits_for_disk()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(SyncAtAnInterval, WritersWaitOnceWhatIsOlderIsNotSynced) {
  SimulatedDisk memory;
  StallingDisk disk(memory);
  Numbers store(disk, Sync::interval(1h));
  const GoesOn in_the_end{disk};
  disk.stall();
  store.append(10);
  let_pass(50min);
  ASSERT_TRUE(disk.await_syncs(1)) << "it begins before the hour is over";
  EXPECT_FALSE(store.log().waits_for_disk()) << "the hour is not over";
  store.append(10);
  let_pass(11min);
  // The segment is far from full, and any thread of the log's own may be stuck.
  ASSERT_TRUE(store.log().waits_for_disk());
  disk.go_on();
  EXPECT_TRUE(stops_waiting(store.log()));
}

TEST(SyncAtAnInterval, WhatCameDuringASyncIsNotCoveredByIt) {
  SimulatedDisk memory;
  StallingDisk disk(memory);
  Numbers store(disk, Sync::interval(1h));
  const GoesOn in_the_end{disk};
  disk.stall();
  store.append(10);
  let_pass(50min);
  ASSERT_TRUE(disk.await_syncs(1));
  store.append(10);
  disk.let_one_through();
  let_pass(50min);  // whether or not the first has ended by now, the second is for what came at minute 50
  ASSERT_TRUE(disk.await_syncs(2));
  EXPECT_FALSE(store.log().waits_for_disk());
  let_pass(11min);
  EXPECT_TRUE(store.log().waits_for_disk());
}

}  // namespace
}  // namespace cubby::detail
