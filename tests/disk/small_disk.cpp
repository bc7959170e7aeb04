// SPDX-License-Identifier: Apache-2.0
#include "disk/small_disk.hpp"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace cubby::disk_tests {

namespace {

[[noreturn]] void fail(const std::string& doing) { throw std::system_error(errno, std::generic_category(), doing); }

/// In a user namespace of its own the process may mount: it is root there, and who it was outside.
void become_root_inside(unsigned user, unsigned group) {
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream users("/proc/self/uid_map");
  users << "0 " << user << " 1" << std::flush;
  std::ofstream groups("/proc/self/gid_map");
  groups << "0 " << group << " 1" << std::flush;
  if (!users || !groups) throw std::runtime_error("the user namespace can't be set up");
}

std::string try_to_enter() {
  try {
    const unsigned user = ::geteuid(), group = ::getegid();
    if (::unshare(CLONE_NEWNS) != 0) {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) fail("neither root, nor allowed to make a user namespace");
      become_root_inside(user, group);
    }
    // What is mounted here shall not be seen outside.
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) fail("making mounts private");
    const SmallDisk tried(1 << 20);
    return {};
  } catch (const std::exception& error) {
    return std::string("no file system can be mounted here: ") + error.what();
  }
}

}  // namespace

const std::string& enter_namespace() {
  static const std::string why_not = try_to_enter();
  return why_not;
}

SmallDisk::SmallDisk(std::uint64_t bytes) {
  std::string name = (std::filesystem::temp_directory_path() / "cubby-disk-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail("making a temporary folder");
  path_ = name;
  if (::mount("cubby-disk", path_.c_str(), "tmpfs", 0, ("size=" + std::to_string(bytes)).c_str()) != 0) {
    const int error = errno;
    ::rmdir(path_.c_str());
    errno = error;
    fail("mounting a tmpfs");
  }
}

SmallDisk::~SmallDisk() {
  ::umount2(path_.c_str(), MNT_DETACH);
  ::rmdir(path_.c_str());
}

std::uint64_t SmallDisk::free_bytes() const {
  struct statvfs found {};
  if (::statvfs(path_.c_str(), &found) != 0) fail("looking at the disk");
  return std::uint64_t{found.f_bavail} * found.f_bsize;
}

void SmallDisk::fill_but(std::uint64_t bytes) {
  make_room();
  const int file = ::open((path_ / "ballast").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) fail("making the ballast");
  int error = ENOSPC;
  // Somebody else may take room at the same time.
  while (error == ENOSPC || error == EINTR) {
    const std::uint64_t free = free_bytes();
    error = free > bytes ? ::posix_fallocate(file, 0, static_cast<off_t>(free - bytes)) : 0;
  }
  ::close(file);
  if (error != 0) {
    errno = error;
    fail("filling the disk");
  }
}

void SmallDisk::make_room() { std::filesystem::remove(path_ / "ballast"); }

}  // namespace cubby::disk_tests
