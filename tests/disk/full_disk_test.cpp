// SPDX-License-Identifier: Apache-2.0

// Durable mode on a disk that is full: what is refused has not happened, what is acknowledged is there, and everything goes on
// once there is room.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "contract/support.hpp"
#include "disk/small_disk.hpp"

namespace cubby::disk_tests {
namespace {

namespace fs = std::filesystem;
using contract::copy_of_one_instant;
using contract::eventually;
using contract::throws;

using Contents = std::map<std::string, Value>;

Contents contents_of(const Datastore& store) {
  Contents contents;
  store.for_each([&](std::string_view key, const Value& value) { contents.emplace(key, value); });
  return contents;
}

std::size_t open_files() {
  const fs::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

class FullDisk : public ::testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint64_t kDisk = 16 << 20;

  void SetUp() override {
    if (!enter_namespace().empty()) GTEST_SKIP() << enter_namespace();
    disk_.emplace(kDisk);
  }
  void TearDown() override {
    if (!disk_) return;
    disk_->make_room();
    cubby::shutdown();
    disk_.reset();
  }

  fs::path folder() const { return disk_->path() / "store"; }
  Options options() const {
    Options options;
    options.directory = folder();
    options.checkpoint_after = std::size_t{1} << 20;
    options.sync = GetParam() ? Sync::always() : Sync::never();
    return options;
  }
  Datastore open() const { return cubby::open("full", options()); }

  /// What a process that dies now leaves, opened.
  Contents left_behind() const {
    const fs::path elsewhere = elsewhere_.path() / "left";
    EXPECT_TRUE(copy_of_one_instant(folder(), elsewhere));
    Options options;
    options.directory = elsewhere;
    const Contents found = contents_of(cubby::open("left", options));
    cubby::close("left");
    return found;
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& each : fs::directory_iterator(folder())) names.insert(each.path().filename().string());
    return names;
  }
  /// Of the log, as files are named.
  std::string last_generation() const {
    std::string last;
    for (const std::string& name : files()) {
      if (name.starts_with("log.")) last = std::max(last, name.substr(4, 8));
    }
    return last;
  }
  /// Sets key after key until that is refused; how often it was not.
  static int set_until_refused(Datastore& store, std::size_t bytes) {
    const std::string text(bytes, 'x');
    for (int number = 0;; ++number) {
      try {
        store.set("fill/" + std::to_string(number), text);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::io) << error.what();
        return number;
      }
    }
  }

  std::optional<SmallDisk> disk_;
  contract::TemporaryFolder elsewhere_;
};

TEST_P(FullDisk, ARefusedCallHasNotHappened) {
  Datastore store = open();
  store.set("number", 1);
  store.set("text", "before");
  store.set("queue", Value::array({1, 2, 3}));
  store.set("object", Value::object({{"a", 1}}));
  disk_->fill_but(64 << 10);
  set_until_refused(store, 3000);
  const Contents before = contents_of(store);
  const std::string large(200'000, 'y');  // more than the rest of any segment
  const auto refused = [&](auto&& call) {
    EXPECT_TRUE(throws(Errc::io, {"full"}, [&] {
      call();
      return 0;
    }));
  };
  refused([&] { store.set("text", large); });
  refused([&] { store.set("new", large); });
  refused([&] { store.set_once("new", large); });
  refused([&] { store.swap("text", large); });
  refused([&] { store.push("queue", large); });
  refused([&] { store.unshift("queue", large); });
  refused([&] { store.update("object", Value::object({{"b", large}})); });
  refused([&] { store.modify("text", [&](const auto&) { return std::optional<Value>(large); }); });
  refused([&] {
    store.transact({"number", "text"}, [&](Transaction& all) {
      all.increment("number");
      all.set("text", large);
    });
  });
  EXPECT_EQ(contents_of(store), before) << "reads go on, and nothing has changed";
  EXPECT_EQ(store.get("number"), Value(1));
  EXPECT_EQ(left_behind(), before);
}

TEST_P(FullDisk, WritesGoOnOnceThereIsRoom) {
  Datastore store = open();
  for (int round = 0; round < 5; ++round) {
    disk_->fill_but(256 << 10);
    const int number = set_until_refused(store, 3000);
    EXPECT_FALSE(store.exists("fill/" + std::to_string(number)) && round == 0);
    disk_->make_room();
    store.set("round", round);
    EXPECT_EQ(left_behind(), contents_of(store)) << "round " << round;
    store.clear();
    store.save();
  }
}

TEST_P(FullDisk, ReopenGivesWhatWasAcknowledged) {
  Contents acknowledged;
  {
    Datastore store = open();
    disk_->fill_but(512 << 10);
    for (int number = 0, refused = 0; refused < 20; ++number) {
      const std::string key = "key/" + std::to_string(number % 300);
      try {
        store.set(key, std::string(1000, 'x') + std::to_string(number));
        acknowledged[key] = std::string(1000, 'x') + std::to_string(number);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::io) << error.what();
        ++refused;
      }
    }
    EXPECT_EQ(contents_of(store), acknowledged);
  }
  EXPECT_EQ(left_behind(), acknowledged);
  disk_->make_room();
  cubby::close("full");
  EXPECT_EQ(contents_of(open()), acknowledged);
}

TEST_P(FullDisk, ACheckpointThatFindsNoRoomLeavesNothing) {
  {
    Datastore store = open();
    for (int number = 0; number < 700; ++number) store.set("key/" + std::to_string(number), std::string(1000, 'x'));
  }
  cubby::close("full");
  Datastore store = open();  // so that no segment is being made ahead
  store.set("key", 1);
  // Too little for another like it, and enough to go on writing.
  disk_->fill_but(500 << 10);
  const auto before = files();
  const std::uint64_t room = disk_->free_bytes();
  const std::size_t descriptors = open_files();
  for (int tries = 0; tries < 20; ++tries) {
    EXPECT_TRUE(throws(Errc::io, {"save", "checkpoint"}, [&] {
      store.save();
      return 0;
    }));
    EXPECT_NE(store.stats().last_save_error, "");
    store.set("tries", tries);
  }
  EXPECT_EQ(files(), before) << "nor another generation of the log";
  EXPECT_EQ(disk_->free_bytes(), room);
  EXPECT_LE(open_files(), descriptors);
  EXPECT_EQ(left_behind(), contents_of(store));
  disk_->make_room();
  store.save();
  EXPECT_EQ(store.stats().last_save_error, "");
  EXPECT_EQ(left_behind(), contents_of(store));
}

TEST_P(FullDisk, AStoreThatHasGrownLearnsHowMuchACheckpointTakes) {
  Options rare = options();
  rare.checkpoint_after = std::size_t{4} << 20;  // no checkpoint comes by itself
  Datastore store = cubby::open("full", rare);
  for (int number = 0; number < 3000; ++number) store.set("key/" + std::to_string(number), std::string(1000, 'x'));
  disk_->fill_but(2 << 20);  // a segment of 1 MiB, and not the whole checkpoint
  const auto fails = [&] {
    EXPECT_TRUE(throws(Errc::io, {"save"}, [&] {
      store.save();
      return 0;
    }));
  };
  fails();  // in the middle: how much there would be was not known
  const std::string last = last_generation();
  for (int tries = 0; tries < 10; ++tries) fails();
  EXPECT_EQ(last_generation(), last) << "then it is, and each try would cost a generation of the log";
  disk_->make_room();
  store.save();
  EXPECT_EQ(left_behind(), contents_of(store));
}

TEST_P(FullDisk, AStoreThatHasShrunkNeedsNoMoreThanItHas) {
  Datastore store = open();
  for (int number = 0; number < 3000; ++number) store.set("key/" + std::to_string(number), std::string(1000, 'x'));
  store.save();
  store.clear();
  store.set("key", 1);
  disk_->fill_but(1 << 20);
  store.save();
  EXPECT_EQ(left_behind(), contents_of(store));
}

TEST_P(FullDisk, ClosingAndOpeningWaitForRoom) {
  Contents contents;
  {
    Datastore store = open();
    for (int number = 0; number < 700; ++number) store.set("key/" + std::to_string(number), std::string(1000, 'x'));
    contents = contents_of(store);
    disk_->fill_but(0);
    EXPECT_TRUE(throws(Errc::io, {"full"}, [&] {
      cubby::close("full");
      return 0;
    }));
    EXPECT_EQ(contents_of(store), contents) << "it stays open";
  }
  disk_->make_room();
  cubby::close("full");
  disk_->fill_but(0);
  EXPECT_TRUE(throws(Errc::io, {"open", "full"}, [&] { return open(); }));
  disk_->make_room();
  EXPECT_EQ(contents_of(open()), contents);
}

INSTANTIATE_TEST_SUITE_P(SyncNever, FullDisk, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(SyncAlways, FullDisk, ::testing::Values(true));

}  // namespace
}  // namespace cubby::disk_tests

int main(int count, char** arguments) {
  cubby::disk_tests::enter_namespace();  // before there is another thread
  ::testing::InitGoogleTest(&count, arguments);
  return RUN_ALL_TESTS();
}
