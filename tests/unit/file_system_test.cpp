// SPDX-License-Identifier: Apache-2.0
#include "storage/file_replacement.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include <cubby/error.hpp>

#include "memory_file_system.hpp"

namespace cubby::detail {
namespace {

namespace fs = std::filesystem;
using testing::MemoryFileSystem;

/// Runs `f`, which must throw an Errc::io that names `path`, and returns its text.
template <class F>
std::string io_error(const fs::path& path, F f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::io) << error.what();
    EXPECT_NE(std::string(error.what()).find(path.string()), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

void replace(FileSystem& file_system, const fs::path& path, const std::vector<std::string>& parts) {
  FileReplacement replacement(file_system, path);
  for (const std::string& part : parts) replacement.write(part);
  replacement.commit();
}

// ------------------------------------------------------------------------------------------------------ faults and power loss

constexpr const char* kPath = "/data/store.json";

TEST(FileReplacement, SyncsBeforeItRenamesAndTheFolderAfter) {
  MemoryFileSystem disk;
  replace(disk, kPath, {"new"});
  const std::vector<std::string> expected = {"resolve", "status", "create", "write", "sync", "close", "rename", "sync_folder"};
  EXPECT_EQ(disk.calls(), expected);
}

TEST(FileReplacement, AtEveryFailingCallTheOldFileOrTheNewOneStandsWhole) {
  for (const bool had_old : {false, true}) {
    for (const int error : {EIO, ENOSPC, EDQUOT}) {
      std::size_t call = 1;
      for (bool failed = true; failed; ++call) {
        MemoryFileSystem disk;
        if (had_old) disk.put(kPath, "old");
        disk.fail_at(call, error);
        failed = false;
        try {
          replace(disk, kPath, {"new ", "contents"});
        } catch (const Error& thrown) {
          failed = true;
          EXPECT_EQ(thrown.code(), Errc::io);
          EXPECT_NE(std::string(thrown.what()).find(kPath), std::string::npos) << thrown.what();
          EXPECT_NE(std::string(thrown.what()).find(std::generic_category().message(error)), std::string::npos)
              << thrown.what();
        }
        const bool renamed = !failed || disk.calls()[call - 1] == "sync_folder";
        const auto expected = renamed   ? std::optional<std::string>("new contents")
                              : had_old ? std::optional<std::string>("old")
                                        : std::nullopt;
        EXPECT_EQ(disk.contents(kPath), expected) << "call " << call;
        EXPECT_EQ(disk.files(), expected ? 1U : 0U) << "call " << call << ": the new file was left behind";
      }
      EXPECT_EQ(call, 11U);  // nine calls can fail, the tenth round succeeded
    }
  }
}

TEST(FileReplacement, ADiskThatFailsForGoodLeavesTheOldFile) {
  for (std::size_t call = 1; call <= 8; ++call) {
    MemoryFileSystem disk;
    disk.put(kPath, "old");
    disk.fail_at(call, EIO, true);
    EXPECT_THROW(replace(disk, kPath, {"new ", "contents"}), Error) << call;
    EXPECT_EQ(disk.contents(kPath), "old") << call;
  }
}

TEST(FileReplacement, ShortWritesAreContinued) {
  MemoryFileSystem disk;
  disk.write_at_most(3);
  replace(disk, kPath, {"0123456789", "", "abc"});
  EXPECT_EQ(disk.contents(kPath), "0123456789abc");
}

TEST(FileReplacement, AWriteThatGetsNowhereIsAnError) {
  MemoryFileSystem disk;
  disk.put(kPath, "old");
  disk.write_at_most(0);
  io_error(kPath, [&] { replace(disk, kPath, {"new"}); });
  EXPECT_EQ(disk.contents(kPath), "old");
  EXPECT_EQ(disk.files(), 1U);
}

TEST(FileReplacement, WithoutCommitNothingChanges) {
  MemoryFileSystem disk;
  disk.put(kPath, "old");
  { FileReplacement(disk, kPath).write("new"); }
  EXPECT_EQ(disk.contents(kPath), "old");
  EXPECT_EQ(disk.files(), 1U);
}

/// Loses power at every call in turn; returns whether the file was always found old or new, and new if the write had returned.
bool survives_power_loss(bool had_old, bool lying_disk) {
  for (const auto survival : MemoryFileSystem::kSurvivals) {
    for (std::size_t call = 1;; ++call) {
      MemoryFileSystem disk;
      if (had_old) disk.put(kPath, "old");
      if (lying_disk) disk.lie_about_sync();
      disk.lose_power_at(call);
      bool returned = false;
      try {
        replace(disk, kPath, {"new ", "contents"});
        returned = true;
      } catch (const Error&) {
      }
      disk.restart(survival);
      const auto found = disk.contents(kPath);
      const bool is_new = found == "new contents";
      const bool is_old = had_old ? found == "old" : !found;
      if (!(is_new || (is_old && !returned))) return false;
      if (returned) break;
    }
  }
  return true;
}

TEST(FileReplacement, PowerLossAtEveryCallLeavesTheOldFileOrTheNewOneWhole) {
  EXPECT_TRUE(survives_power_loss(true, false));
  EXPECT_TRUE(survives_power_loss(false, false));
}

TEST(FileReplacement, ThePowerLossTestNoticesAMissingSync) { EXPECT_FALSE(survives_power_loss(true, true)); }

// --------------------------------------------------------------------------------------------------------------- the real one

class RealFileSystem : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "cubby-file-system-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = fs::canonical(name);
    descriptors_ = open_descriptors();
  }
  void TearDown() override {
    EXPECT_EQ(open_descriptors(), descriptors_) << "a descriptor leaked";
    fs::permissions(folder_, fs::perms::owner_all);
    fs::remove_all(folder_);
  }

  fs::path put(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  static std::string bytes_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static mode_t mode_of(const fs::path& path) {
    struct stat found {};
    EXPECT_EQ(::stat(path.c_str(), &found), 0);
    return found.st_mode & 07777U;
  }
  std::ptrdiff_t files() const { return std::distance(fs::directory_iterator(folder_), {}); }
  static std::ptrdiff_t open_descriptors() { return std::distance(fs::directory_iterator("/proc/self/fd"), {}); }

  FileSystem& disk_ = real_file_system();
  fs::path folder_;
  std::ptrdiff_t descriptors_ = 0;
};

TEST_F(RealFileSystem, CreatesAndReplaces) {
  const fs::path path = folder_ / "store.json";
  EXPECT_FALSE(disk_.read(path));
  EXPECT_FALSE(disk_.status(path));
  replace(disk_, path, {"one"});
  EXPECT_EQ(disk_.read(path), "one");
  const std::string large(3'000'000, 'x');
  replace(disk_, path, {large, std::string("\0two", 4)});
  EXPECT_EQ(disk_.read(path), large + std::string("\0two", 4));
  EXPECT_EQ(bytes_of(path).size(), large.size() + 4);
  replace(disk_, path, {});
  EXPECT_EQ(disk_.read(path), "");
  EXPECT_EQ(files(), 1);
}

TEST_F(RealFileSystem, ReadsFilesThatHaveNoSize) { EXPECT_EQ(disk_.read("/proc/self/status").value().substr(0, 5), "Name:"); }

TEST_F(RealFileSystem, KeepsPermissions) {
  const fs::path path = put("store.json", "old");
  for (const mode_t mode : {0600U, 0640U, 0664U, 0444U, 0777U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    replace(disk_, path, {"new"});
    EXPECT_EQ(mode_of(path), mode);
  }
}

TEST_F(RealFileSystem, ANewFileGetsWhatTheUmaskLeaves) {
  const mode_t before = ::umask(027);
  replace(disk_, folder_ / "store.json", {"new"});
  ::umask(before);
  EXPECT_EQ(mode_of(folder_ / "store.json"), 0640U);
}

TEST_F(RealFileSystem, KeepsTheOwnerWhereItMay) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may give files away";
  const fs::path path = put("store.json", "old");
  if (::chown(path.c_str(), 4321, 4322) != 0) GTEST_SKIP() << "this root may not";
  replace(disk_, path, {"new"});
  const auto status = disk_.status(path);
  EXPECT_EQ(status->user, 4321U);
  EXPECT_EQ(status->group, 4322U);
}

TEST_F(RealFileSystem, ReplacesWhatALinkLeadsToAndNotTheLink) {
  fs::create_directory(folder_ / "elsewhere");
  const fs::path target = put("elsewhere/target.json", "old");
  fs::create_symlink("elsewhere/target.json", folder_ / "first");
  fs::create_symlink(folder_ / "first", folder_ / "second");
  replace(disk_, folder_ / "second", {"new"});
  EXPECT_TRUE(fs::is_symlink(folder_ / "second"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "first"));
  EXPECT_FALSE(fs::is_symlink(target));
  EXPECT_EQ(bytes_of(target), "new");

  fs::create_symlink("elsewhere/not-yet.json", folder_ / "dangling");
  EXPECT_FALSE(disk_.read(folder_ / "dangling"));
  replace(disk_, folder_ / "dangling", {"made"});
  EXPECT_TRUE(fs::is_symlink(folder_ / "dangling"));
  EXPECT_EQ(bytes_of(folder_ / "elsewhere/not-yet.json"), "made");

  fs::create_symlink("loop", folder_ / "loop");
  io_error(folder_ / "loop", [&] { replace(disk_, folder_ / "loop", {"new"}); });
  io_error(folder_ / "loop", [&] { (void)disk_.read(folder_ / "loop"); });
}

TEST_F(RealFileSystem, RefusesWhatIsNoRegularFile) {
  const fs::path inner = folder_ / "folder";
  fs::create_directory(inner);
  io_error(inner, [&] { replace(disk_, inner, {"new"}); });
  io_error(inner, [&] { (void)disk_.read(inner); });
  io_error(inner, [&] { replace(disk_, inner / "", {"new"}); });
  io_error(inner, [&] { replace(disk_, inner / ".", {"new"}); });
  io_error("/", [&] { replace(disk_, "/", {"new"}); });
  io_error("/dev/null", [&] { replace(disk_, "/dev/null", {"new"}); });
  io_error("/dev/null", [&] { (void)disk_.read("/dev/null"); });
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  io_error(pipe, [&] { (void)disk_.read(pipe); });
  io_error(pipe, [&] { replace(disk_, pipe, {"new"}); });
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_TRUE(fs::is_empty(inner));
}

TEST_F(RealFileSystem, MakesNoFolders) {
  const fs::path path = folder_ / "missing" / "store.json";
  io_error(path, [&] { replace(disk_, path, {"new"}); });
  EXPECT_FALSE(disk_.read(path));
  const fs::path file = put("file", "old");
  io_error(file / "store.json", [&] { replace(disk_, file / "store.json", {"new"}); });
  io_error(file / "store.json", [&] { (void)disk_.read(file / "store.json"); });
  EXPECT_EQ(files(), 1);
}

TEST_F(RealFileSystem, AFolderThatTakesNoFilesLeavesTheOldOne) {
  const fs::path path = put("store.json", "old");
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
  const bool root = ::geteuid() == 0;
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const std::string what = io_error(path, [&] { replace(disk_, path, {"new"}); });
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_NE(what.find(std::generic_category().message(EACCES)), std::string::npos) << what;
  EXPECT_EQ(bytes_of(path), "old");
}

TEST_F(RealFileSystem, AFullDiskLeavesTheOldFile) {
  const fs::path path = put("store.json", "old");
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small {
    100'000, before.rlim_max
  };  // as if it were full: first a short write, then an error
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string what = io_error(path, [&] { replace(disk_, path, {std::string(150'000, 'x')}); });
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(what.find(std::generic_category().message(EFBIG)), std::string::npos) << what;
  EXPECT_EQ(bytes_of(path), "old");
  EXPECT_EQ(files(), 1);
}

TEST_F(RealFileSystem, DescriptorsAreClosedOnExec) {
  const fs::path path = folder_ / "store.json";
  FileReplacement replacement(disk_, path);
  replacement.write("new");
  int seen = 0;
  for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    if (fs::read_symlink(entry.path(), error).string().rfind(path.string(), 0) != 0) continue;
    ++seen;
    EXPECT_NE(::fcntl(std::stoi(entry.path().filename().string()), F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(seen, 1);
}

TEST_F(RealFileSystem, NamesOfAnyLengthCanBeReplaced) {
  for (const std::string& name : {std::string(255, 'n'), std::string(253, 'n') + "é"}) {
    replace(disk_, folder_ / name, {"new"});
    EXPECT_EQ(bytes_of(folder_ / name), "new");
  }
  std::string accents;
  while (accents.size() < 254) accents += "é";
  replace(disk_, folder_ / accents, {"new"});
  EXPECT_EQ(bytes_of(folder_ / accents), "new");
  io_error(folder_ / std::string(256, 'n'), [&] { replace(disk_, folder_ / std::string(256, 'n'), {"new"}); });
}

TEST_F(RealFileSystem, ReplacementsOfOneFileDontMeet) {
  const fs::path path = folder_ / "store.json";
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 25; ++round) replace(disk_, path, {std::string(20'000, static_cast<char>('a' + i)), "."});
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string found = bytes_of(path);
  EXPECT_EQ(found, std::string(20'000, found[0]) + ".");
  EXPECT_EQ(files(), 1);
}

// ------------------------------------------------------------------------------------------------------------------- identity

TEST_F(RealFileSystem, OneFileHasOneIdentityHoweverItIsNamed) {
  fs::create_directory(folder_ / "sub");
  const fs::path path = put("store.json", "{}");
  const std::string identity = file_identity(path);
  EXPECT_EQ(identity, path.string());
  EXPECT_EQ(file_identity(folder_ / "." / "sub" / ".." / "store.json"), identity);
  EXPECT_EQ(file_identity(folder_.string() + "//store.json"), identity);
  fs::create_symlink("store.json", folder_ / "link");
  EXPECT_EQ(file_identity(folder_ / "link"), identity);
  fs::create_directory_symlink(folder_, folder_ / "sub" / "up");
  EXPECT_EQ(file_identity(folder_ / "sub" / "up" / "link"), identity);
  // ".." leaves the folder that a link leads to, not the one it lies in.
  fs::create_directory_symlink("/", folder_ / "root");
  EXPECT_EQ(file_identity(folder_ / "root" / ".." / "store.json"), "/store.json");

  const fs::path back = fs::current_path();
  fs::current_path(folder_);
  EXPECT_EQ(file_identity("store.json"), identity);
  EXPECT_EQ(file_identity("sub/../link"), identity);
  fs::current_path(back);

  EXPECT_NE(file_identity(folder_ / "other.json"), identity);
  EXPECT_TRUE(same_file(path, folder_ / "link"));
  EXPECT_FALSE(same_file(path, folder_ / "other.json"));
}

TEST_F(RealFileSystem, IdentityStaysWhenTheFileIsMadeAndReplaced) {
  const fs::path path = folder_ / "store.json";
  fs::create_symlink("store.json", folder_ / "link");
  const std::string identity = file_identity(path);
  EXPECT_EQ(file_identity(folder_ / "link"), identity);
  EXPECT_TRUE(same_file(path, folder_ / "link"));
  for (int i = 0; i < 2; ++i) {
    replace(disk_, path, {"{}"});
    EXPECT_EQ(file_identity(path), identity);
    EXPECT_EQ(file_identity(folder_ / "link"), identity);
  }
  EXPECT_EQ(file_identity(folder_ / "missing" / "store.json"), (folder_ / "missing" / "store.json").string());
}

TEST_F(RealFileSystem, HardLinksAreOneFileUntilOneIsSaved) {
  const fs::path path = put("store.json", "{}");
  fs::create_hard_link(path, folder_ / "hard");
  EXPECT_TRUE(same_file(path, folder_ / "hard"));
  replace(disk_, path, {"{}"});
  EXPECT_FALSE(same_file(path, folder_ / "hard"));
}

}  // namespace
}  // namespace cubby::detail
