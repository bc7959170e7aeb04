// SPDX-License-Identifier: Apache-2.0

// The last step of a repair: whatever fails, the damaged folder is somewhere, and whoever asked is told where.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <map>
#include <string>
#include <utility>

#include <cubby/error.hpp>

#include "forwarding_file_system.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::detail {
namespace {

namespace fs = std::filesystem;

/// The disk, some of whose calls that change names fail: `count` of them, from the n-th on. It may not be able to exchange two.
class FailingNames final : public testing::ForwardingFileSystem {
 public:
  FailingNames(int from, int count, bool exchanges)
      : ForwardingFileSystem(real_file_system()), from_(from), count_(count), exchanges_(exchanges) {}
  bool exchange(const Path& left, const Path& right) override {
    return exchanges_ && ForwardingFileSystem::exchange(left, right);
  }
  void rename(const Path& from, const Path& to) override {
    step("renaming", to);
    ForwardingFileSystem::rename(from, to);
  }
  void sync_folder(const Path& folder) override {
    step("syncing", folder);
    ForwardingFileSystem::sync_folder(folder);
  }
  bool was_reached() const { return calls_ >= from_; }

 private:
  void step(const char* doing, const Path& path) {
    ++calls_;
    if (calls_ >= from_ && calls_ < from_ + count_) throw_io_error(doing, path, ENOSPC);
  }
  const int from_, count_;
  const bool exchanges_;
  int calls_ = 0;
};

class ReplaceFolder : public ::testing::Test {
 protected:
  ReplaceFolder() {
    std::string name = (fs::temp_directory_path() / "cubby-replace-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name;
  }
  ~ReplaceFolder() override { fs::remove_all(root_); }

  /// The old one and the new one.
  void make() const {
    fs::remove_all(root_ / "kept");
    for (const char* each : {"store", "new"}) {
      fs::create_directory(root_ / each);
      std::ofstream(root_ / each / "file") << each;
    }
  }
  /// Each folder with what it is.
  std::map<std::string, std::string> folders() const {
    std::map<std::string, std::string> found;
    for (const auto& each : fs::directory_iterator(root_)) {
      std::ifstream(each.path() / "file") >> found[each.path().filename().string()];
    }
    return found;
  }
  void replace(FileSystem& files) const { replace_folder(files, root_ / "store", root_ / "new", root_ / "kept"); }

  fs::path root_;
};

TEST_F(ReplaceFolder, TheOldOneIsKept) {
  for (const bool exchanges : {true, false}) {
    make();
    FailingNames files(0, 0, exchanges);
    replace(files);
    const std::map<std::string, std::string> expected = {{"store", "new"}, {"kept", "store"}};
    EXPECT_EQ(folders(), expected);
  }
}

TEST_F(ReplaceFolder, WhateverFailsTheOldOneIsThereAndTheErrorSaysWhere) {
  for (const auto& [count, exchanges] : {std::pair(1, true), {100, true}, {1, false}, {100, false}}) {
    for (int from = 1;; ++from) {
      SCOPED_TRACE(std::to_string(count) + " from " + std::to_string(from) + (exchanges ? " with exchange" : ""));
      make();
      FailingNames files(from, count, exchanges);
      std::string what;
      try {
        replace(files);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::io);
        what = error.what();
      }
      ASSERT_EQ(what.empty(), !files.was_reached());
      const auto left = folders();
      std::string place;
      for (const auto& [name, is] : left) {
        if (is == "store") place = name;
      }
      ASSERT_FALSE(place.empty()) << "the old one is gone";
      EXPECT_NE(place, "new") << "what is called so may be removed";
      if (what.empty()) break;
      EXPECT_NE(what.find((root_ / place).string()), std::string::npos) << what;
      if (place == "store") {
        EXPECT_EQ(left.size(), 1U) << "the new one is left over";
      }
    }
  }
}

}  // namespace
}  // namespace cubby::detail
