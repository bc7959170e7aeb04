// SPDX-License-Identifier: Apache-2.0

// The lock of a folder, whatever the process that holds it does besides. Its other half, with the holder's id, is also in
// tests/cli/durable_test.sh.

#include "storage/file_lock.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include <cubby/error.hpp>

namespace cubby::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLockVariable = "CUBBY_UNIT_LOCK";

/// A second opener is this program, started anew by gtest: it finds the path in its environment, and leaves the lock alone
/// until it is asked.
class FileLockDeathTest : public ::testing::Test {
 protected:
  FileLockDeathTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    if (const char* inherited = ::getenv(kLockVariable)) {
      path_ = inherited;
      return;
    }
    std::string name = (fs::temp_directory_path() / "cubby-lock-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    own_ = name;
    path_ = own_ / "LOCK";
    ::setenv(kLockVariable, path_.c_str(), 1);
    lock_ = lock_file(path_);
  }
  ~FileLockDeathTest() override {
    if (own_.empty()) return;
    ::unsetenv(kLockVariable);
    lock_.reset();
    fs::remove_all(own_);
  }
  bool is_second() const { return own_.empty(); }

  enum Found : int { free = 10, held_by_first = 11, held = 12, another_error = 13 };
  /// In the second process.
  [[noreturn]] void try_to_lock() const {
    const auto holder = file_lock_holder(path_);
    try {
      const auto lock = lock_file(path_);
      ::_exit(holder ? another_error : free);
    } catch (const Error& error) {
      const std::string first = "process " + std::to_string(::getppid());
      const bool told = std::string_view(error.what()).find(first) != std::string_view::npos;
      if (error.code() != Errc::locked || !holder || (told && *holder != ::getppid())) ::_exit(another_error);
      ::_exit(told ? held_by_first : held);
    }
  }

  fs::path own_;
  fs::path path_;
  std::unique_ptr<FileSystem::Lock> lock_;
};

TEST_F(FileLockDeathTest, AnotherProcessIsRefusedAndToldWhoHoldsIt) {
  EXPECT_EXIT(try_to_lock(), ::testing::ExitedWithCode(held_by_first), "");
}

TEST_F(FileLockDeathTest, IsNotLostWhereItsFileIsOpenedAndClosedElsewhere) {
  if (!is_second()) std::ifstream(path_).get();  // as a backup that copies the folder does
  EXPECT_EXIT(try_to_lock(), ::testing::ExitedWithCode(held), "");
}

TEST_F(FileLockDeathTest, ASecondLockOfTheSameProcessIsRefused) { EXPECT_THROW(lock_file(path_), Error); }

TEST_F(FileLockDeathTest, IsFreeWhenItGoes) {
  lock_.reset();
  EXPECT_EXIT(try_to_lock(), ::testing::ExitedWithCode(free), "");
}

#if defined(__linux__)
/// The forked child calls what is safe there only.
bool is_open_here(const char* path) {
  char name[64], target[4096];
  const std::string_view wanted(path);
  for (int file = 3; file < 1024; ++file) {
    std::snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    const ssize_t length = ::readlink(name, target, sizeof target);
    if (length > 0 && std::string_view(target, static_cast<std::size_t>(length)) == wanted) return true;
  }
  return false;
}

TEST_F(FileLockDeathTest, AForkedChildDoesNotHoldIt) {
  if (!is_second()) {
    const std::string path = fs::canonical(path_).string();
    ASSERT_TRUE(is_open_here(path.c_str()));
    const pid_t child = ::fork();
    if (child == 0) ::_exit(is_open_here(path.c_str()) ? 1 : 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_EXIT(try_to_lock(), ::testing::ExitedWithCode(held_by_first), "");
}
#endif

}  // namespace
}  // namespace cubby::detail
