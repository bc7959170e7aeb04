// SPDX-License-Identifier: Apache-2.0
#include "storage/file_lock.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <string>
#include <vector>

#include <cubby/error.hpp>

namespace cubby::detail {

namespace {

constexpr off_t kProcessByte = 0, kFileByte = 1;

struct flock one_byte(off_t byte, short type = F_WRLCK) noexcept {
  struct flock range {};  // l_pid has to be 0
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  return range;
}

int control(int file, int command, struct flock& range) noexcept {
  int result = 0;
  do result = ::fcntl(file, command, &range);
  while (result < 0 && errno == EINTR);
  return result;
}

/// The process that holds the byte, as file_lock_holder() says it.
std::optional<std::int64_t> holder_of(int file, off_t byte) noexcept {
  struct flock holder = one_byte(byte);
  if (control(file, F_GETLK, holder) != 0 || holder.l_type == F_UNLCK) return std::nullopt;
  return std::max<std::int64_t>(holder.l_pid, 0);
}

/// Descriptors of files that are locked: forked children let go of them.
class LockedFiles {
 public:
  static LockedFiles& get() {
    static auto& files = *new LockedFiles;  // stores are closed at the very end
    return files;
  }

  std::mutex& mutex() noexcept { return mutex_; }
  /// REQUIRES: the mutex is held for the next four.
  void make_room() { descriptors_.reserve(descriptors_.size() + 1); }
  void add(int file) noexcept { descriptors_.push_back(file); }
  void remove(int file) noexcept { std::erase(descriptors_, file); }
  bool contains(const std::filesystem::path& path) const noexcept {
    struct stat wanted {};
    return ::stat(path.c_str(), &wanted) == 0 && std::any_of(descriptors_.begin(), descriptors_.end(), [&](int file) {
             struct stat found {};
             return ::fstat(file, &found) == 0 && found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino;
           });
  }

 private:
  LockedFiles() {
    ::pthread_atfork([] { get().mutex_.lock(); }, [] { get().mutex_.unlock(); }, [] { get().let_go(); });
  }

  void let_go() noexcept {
    // Their numbers stay taken: the child's copies of the locks still name them.
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (const int file : descriptors_) {
      if (nothing < 0 || ::dup2(nothing, file) < 0) ::close(file);
      ::fcntl(file, F_SETFD, FD_CLOEXEC);
    }
    if (nothing >= 0) ::close(nothing);
    descriptors_.clear();
    mutex_.unlock();
  }

  std::mutex mutex_;
  std::vector<int> descriptors_;
};

class HeldLock final : public FileSystem::Lock {
 public:
  explicit HeldLock(int file) noexcept : file_(file) {}
  ~HeldLock() override {
    const std::lock_guard guard(LockedFiles::get().mutex());
    LockedFiles::get().remove(file_);
    ::close(file_);
  }

 private:
  const int file_;
};

/// Whether it has both halves now; who else has one, if it hasn't.
bool take(int file, const std::filesystem::path& path) {
  struct flock range = one_byte(kProcessByte);
  bool taken = control(file, F_SETLK, range) == 0;
#ifdef F_OFD_SETLK
  if (taken) {
    range = one_byte(kFileByte);
    taken = control(file, F_OFD_SETLK, range) == 0 || errno == EINVAL;  // the kernel, or the file system, has none
  }
#endif
  if (!taken && errno != EACCES && errno != EAGAIN) throw_io_error("locking", path, errno);
  return taken;
}

}  // namespace

std::unique_ptr<FileSystem::Lock> lock_file(const std::filesystem::path& path) {
  LockedFiles& locked = LockedFiles::get();
  const std::lock_guard guard(locked.mutex());  // no fork between opening it and noting that
  locked.make_room();
  int file = -1;
  do file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  while (file < 0 && errno == EINTR);
  if (file < 0) throw_io_error("opening", path, errno);
  std::string by = "another process";
  try {
    if (take(file, path)) {
      auto lock = std::make_unique<HeldLock>(file);
      locked.add(file);
      return lock;
    }
    const std::int64_t holder = holder_of(file, kProcessByte).value_or(0);
    if (holder > 0) by = "process " + std::to_string(holder);
  } catch (...) {
    ::close(file);
    throw;
  }
  ::close(file);
  throw Error(Errc::locked, path.parent_path().string() + " is in use by " + by + "; close it there, or open it read_only");
}

std::optional<std::int64_t> file_lock_holder(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return std::nullopt;
  auto holder = holder_of(file, kProcessByte);
  if (!holder) holder = holder_of(file, kFileByte);
  ::close(file);
  return holder;
}

bool file_is_locked(const std::filesystem::path& path) {
  LockedFiles& locked = LockedFiles::get();
  const std::lock_guard no_lock_is_lost_by_closing(locked.mutex());
  if (locked.contains(path)) return true;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return errno != ENOENT;  // who can't look must reckon with it
  const bool found = holder_of(file, kProcessByte) || holder_of(file, kFileByte);
  ::close(file);
  return found;
}

}  // namespace cubby::detail
