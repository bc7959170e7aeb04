// SPDX-License-Identifier: Apache-2.0
#include "storage/file_system.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <utility>

#include <cubby/error.hpp>

#include "storage/file_lock.hpp"

namespace cubby::detail {
namespace {

namespace fs = std::filesystem;

constexpr int kMostLinks = 40;  // as Linux follows

/// Repeats a system call that a signal interrupted.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int number) noexcept : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

 private:
  int number_;
};

FileSystem::Status status_of(const struct stat& found) {
  FileSystem::Status status;
  status.kind = S_ISREG(found.st_mode)   ? FileSystem::Kind::regular
                : S_ISDIR(found.st_mode) ? FileSystem::Kind::folder
                                         : FileSystem::Kind::other;
  status.permissions = found.st_mode & 0777U;
  status.user = found.st_uid;
  status.group = found.st_gid;
  status.device = found.st_dev;
  status.inode = found.st_ino;
  if (major(found.st_dev) != 0) status.volume = found.st_dev;
  return status;
}

std::uint64_t birth_of(const fs::path& path) {
#ifdef STATX_BTIME
  struct statx found {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_BTIME, &found) == 0 && (found.stx_mask & STATX_BTIME) != 0) {
    return static_cast<std::uint64_t>(found.stx_btime.tv_sec) * 1'000'000'000 + found.stx_btime.tv_nsec;
  }
#else
  (void)path;
#endif
  return 0;
}

class RealNewFile final : public FileSystem::NewFile {
 public:
  RealNewFile(Descriptor descriptor, fs::path path) noexcept : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  void reserve(std::uint64_t bytes) override {
#if defined(FALLOC_FL_KEEP_SIZE)
    if (bytes == 0) return;
    const int failed =
        uninterrupted([&] { return ::fallocate(descriptor_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)); });
    if (failed < 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
      throw_io_error("reserving " + std::to_string(bytes) + " bytes for", path_, errno);
    }
    if (failed == 0) reserved_ = bytes;
#else
    (void)bytes;
#endif
  }

  std::size_t write_some(std::string_view bytes) override {
    const ssize_t written = uninterrupted([&] { return ::write(descriptor_.get(), bytes.data(), bytes.size()); });
    if (written < 0) throw_io_error("writing", path_, errno);
    written_ += static_cast<std::uint64_t>(written);
    return static_cast<std::size_t>(written);
  }

  void sync() override {
    if (reserved_ > written_) {
      // The length it has already: what was set aside behind it is let go.
      if (uninterrupted([&] { return ::ftruncate(descriptor_.get(), static_cast<off_t>(written_)); }) < 0)
        throw_io_error("shortening", path_, errno);
      reserved_ = 0;
    }
    if (uninterrupted([&] { return ::fsync(descriptor_.get()); }) < 0) throw_io_error("syncing", path_, errno);
  }

  void close() override {
    // An interrupted close has closed: repeating it could hit a descriptor that another thread has just been given.
    if (::close(descriptor_.release()) < 0 && errno != EINTR) throw_io_error("closing", path_, errno);
  }

 private:
  Descriptor descriptor_;
  fs::path path_;
  std::uint64_t reserved_ = 0;
  std::uint64_t written_ = 0;
};

class RealReadFile final : public FileSystem::ReadFile {
 public:
  RealReadFile(Descriptor descriptor, fs::path path) noexcept : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  std::uint64_t size() override {
    struct stat found {};
    if (::fstat(descriptor_.get(), &found) < 0) throw_io_error("looking at", path_, errno);
    return static_cast<std::uint64_t>(found.st_size);
  }

  std::size_t read_at(std::uint64_t offset, std::span<std::byte> bytes) override {
    std::size_t length = 0;
    while (length < bytes.size()) {
      const ssize_t part = uninterrupted([&] {
        return ::pread(descriptor_.get(), bytes.data() + length, bytes.size() - length, static_cast<off_t>(offset + length));
      });
      if (part < 0) throw_io_error("reading", path_, errno);
      if (part == 0) break;
      length += static_cast<std::size_t>(part);
    }
    return length;
  }

  std::uint64_t skip_hole(std::uint64_t offset) override {
#ifdef SEEK_DATA
    const off_t data = ::lseek(descriptor_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data >= 0) return static_cast<std::uint64_t>(data);
    if (errno == ENXIO) return std::max(offset, size());  // there is nothing more
#endif
    return offset;
  }

 private:
  Descriptor descriptor_;
  fs::path path_;
};

class RealReservedFile final : public FileSystem::ReservedFile {
 public:
  RealReservedFile(Descriptor descriptor, fs::path path) noexcept
      : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const ssize_t written =
          uninterrupted([&] { return ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (written < 0) throw_io_error("writing", path_, errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
  }

  void sync() override {
    if (uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) < 0) throw_io_error("syncing", path_, errno);
  }

 private:
  Descriptor descriptor_;
  fs::path path_;
};

class RealMappedFile final : public FileSystem::MappedFile {
 public:
  RealMappedFile(Descriptor descriptor, fs::path path, std::size_t size)
      : descriptor_(std::move(descriptor)), path_(std::move(path)), size_(size) {
    void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (address == MAP_FAILED) throw_io_error("mapping", path_, errno);
    address_ = static_cast<std::byte*>(address);
  }
  ~RealMappedFile() override { ::munmap(address_, size_); }

  std::span<std::byte> bytes() noexcept override { return {address_, size_}; }

  void sync() override {
    // On Linux it writes what was stored through mappings too.
    if (uninterrupted([&] { return ::fdatasync(descriptor_.get()); }) < 0) throw_io_error("syncing", path_, errno);
  }

  void prepare(std::size_t offset, std::size_t length) noexcept override {
#ifdef MADV_POPULATE_WRITE
    constexpr std::size_t kPage = 4096;
    const std::size_t first = offset / kPage * kPage;
    const std::size_t last = std::min(offset + length, size_);
    // One call instead of a fault for each page. Kernels before 5.14 refuse it, and take the faults.
    if (first < last) ::madvise(address_ + first, last - first, MADV_POPULATE_WRITE);
#else
    (void)offset, (void)length;
#endif
  }

 private:
  Descriptor descriptor_;
  fs::path path_;
  std::size_t size_;
  std::byte* address_ = nullptr;
};

class RealFileSystem final : public FileSystem {
 public:
  std::optional<Status> status(const fs::path& path) override {
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0) {
      Status status = status_of(found);
      status.birth = birth_of(path);
      return status;
    }
    if (errno == ENOENT) return std::nullopt;
    throw_io_error("looking at", path, errno);
  }

  fs::path resolve(const fs::path& path) override {
    std::error_code error;
    fs::path current = fs::absolute(path, error);
    if (error) throw_io_error("resolving", path, error.value());
    for (int links = 0; links <= kMostLinks; ++links) {
      const fs::path name = current.filename();
      if (name.empty() || name == "." || name == "..") throw_io_error("resolving", path, EISDIR);
      fs::path folder = fs::weakly_canonical(current.parent_path(), error);
      if (error) throw_io_error("resolving", path, error.value());
      current = folder / name;
      const bool is_link = fs::symlink_status(current, error).type() == fs::file_type::symlink;
      if (!is_link) return current;  // a file, nothing yet, or something that opening it will complain about
      const fs::path leads_to = fs::read_symlink(current, error);
      if (error) throw_io_error("resolving", path, error.value());
      current = folder / leads_to;  // which is leads_to, if that is absolute
    }
    throw_io_error("resolving", path, ELOOP);
  }

  std::optional<std::string> read(const fs::path& path) override {
    // O_NONBLOCK: a named pipe must be refused, not waited for.
    const Descriptor file(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (file.get() < 0) {
      if (errno == ENOENT) return std::nullopt;
      throw_io_error("opening", path, errno);
    }
    std::string text;
    std::size_t length = 0;
    // One byte more than it should have tells the end from growth without a second pass.
    text.resize(regular_size(file.get(), path) + 1);
    for (;;) {
      const ssize_t part = uninterrupted([&] { return ::read(file.get(), text.data() + length, text.size() - length); });
      if (part < 0) throw_io_error("reading", path, errno);
      if (part == 0) break;
      length += static_cast<std::size_t>(part);
      if (length == text.size()) text.resize(text.size() * 2 + 4096);
    }
    text.resize(length);
    return text;
  }

  std::unique_ptr<NewFile> create(const fs::path& path, const Status* like) override {
    // Narrow first, widened once it has its owner: nobody may open it who couldn't open the file it follows.
    const mode_t mode = like != nullptr ? 0600 : 0666;
    Descriptor file(
        uninterrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode); }));
    if (file.get() < 0) {
      if (errno == EEXIST) return nullptr;
      throw_io_error("creating", path, errno);
    }
    try {
      if (like != nullptr) take_after(file.get(), *like, path);
      return std::make_unique<RealNewFile>(std::move(file), path);
    } catch (...) {
      ::unlink(path.c_str());
      throw;
    }
  }

  std::unique_ptr<ReadFile> open(const fs::path& path) override {
    Descriptor file(uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (file.get() < 0) {
      if (errno == ENOENT) return nullptr;
      throw_io_error("opening", path, errno);
    }
    regular_size(file.get(), path);
    return std::make_unique<RealReadFile>(std::move(file), path);
  }

  std::unique_ptr<MappedFile> create_mapped(const fs::path& path, std::size_t size) override {
    return with_space<MappedFile>(
        path, size, [&](Descriptor file) { return std::make_unique<RealMappedFile>(std::move(file), path, size); });
  }

  std::unique_ptr<ReservedFile> create_reserved(const fs::path& path, std::size_t size) override {
    return with_space<ReservedFile>(path, size,
                                    [&](Descriptor file) { return std::make_unique<RealReservedFile>(std::move(file), path); });
  }

  std::unique_ptr<ReservedFile> reopen(const fs::path& path) override {
    Descriptor file(uninterrupted([&] { return ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (file.get() < 0) throw_io_error("opening", path, errno);
    regular_size(file.get(), path);
    return std::make_unique<RealReservedFile>(std::move(file), path);
  }

  std::unique_ptr<MappedFile> map(const fs::path& path) override {
    Descriptor file(uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK); }));
    if (file.get() < 0) throw_io_error("opening", path, errno);
    const std::size_t size = regular_size(file.get(), path);
    return std::make_unique<RealMappedFile>(std::move(file), path, size);
  }

  std::vector<std::string> list(const fs::path& folder) override {
    std::error_code error;
    std::vector<std::string> names;
    fs::directory_iterator each(folder, error);
    for (; !error && each != fs::directory_iterator(); each.increment(error)) names.push_back(each->path().filename().string());
    if (error) throw_io_error("listing", folder, error.value());
    return names;
  }

  void make_folder(const fs::path& folder) override {
    if (::mkdir(folder.c_str(), 0777) < 0 && errno != EEXIST) throw_io_error("making the folder", folder, errno);
    const auto made = status(folder);
    if (!made || made->kind != Kind::folder) throw_io_error("making the folder", folder, ENOTDIR);
  }

  bool is_locked(const fs::path& path) override { return file_is_locked(path); }
  std::unique_ptr<Lock> lock(const fs::path& path) override { return lock_file(path); }

  std::string boot_id() override {
    std::string id = read("/proc/sys/kernel/random/boot_id").value_or(std::string());
    while (!id.empty() && id.back() == '\n') id.pop_back();
    return id;
  }

  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) < 0) throw_io_error("renaming " + from.string() + " to", to, errno);
  }

  bool exchange(const fs::path& left, const fs::path& right) override {
#ifdef RENAME_EXCHANGE
    return ::renameat2(AT_FDCWD, left.c_str(), AT_FDCWD, right.c_str(), RENAME_EXCHANGE) == 0;
#else
    return (void)left, (void)right, false;
#endif
  }

  void remove(const fs::path& path) override {
    if (::unlink(path.c_str()) < 0) throw_io_error("removing", path, errno);
  }

  void sync_folder(const fs::path& folder) override {
    const Descriptor opened(uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (opened.get() < 0) throw_io_error("opening", folder, errno);
    // EINVAL: a file system whose folders can't be synced, as they need not be.
    if (uninterrupted([&] { return ::fsync(opened.get()); }) < 0 && errno != EINVAL) throw_io_error("syncing", folder, errno);
  }

 private:
  /// A new file whose space is set aside. Whatever goes wrong, nothing is left of it.
  template <class File, class Make>
  static std::unique_ptr<File> with_space(const fs::path& path, std::size_t size, Make make) {
    Descriptor file(
        uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666); }));
    if (file.get() < 0) throw_io_error("creating", path, errno);
    try {
      int error = EINTR;
      while (error == EINTR) error = ::posix_fallocate(file.get(), 0, static_cast<off_t>(size));
      if (error != 0) throw_io_error("reserving " + std::to_string(size) + " bytes for", path, error);
      return make(std::move(file));
    } catch (...) {
      ::unlink(path.c_str());
      throw;
    }
  }

  static std::size_t regular_size(int file, const fs::path& path) {
    struct stat found {};
    if (::fstat(file, &found) < 0) throw_io_error("looking at", path, errno);
    if (S_ISDIR(found.st_mode)) throw_io_error("reading", path, EISDIR);
    if (!S_ISREG(found.st_mode)) throw_io_error("reading something that is no regular file,", path, EINVAL);
    return static_cast<std::size_t>(found.st_size);
  }

  static void take_after(int file, const Status& like, const fs::path& path) {
    struct stat made {};
    if (::fstat(file, &made) < 0) throw_io_error("looking at", path, errno);
    if ((made.st_uid != like.user || made.st_gid != like.group) && ::fchown(file, like.user, like.group) < 0) {
      // Only root may give a file away. The group can be given by any member.
      if (::fchown(file, static_cast<uid_t>(-1), like.group) < 0 && errno != EPERM && errno != EINVAL) {
        throw_io_error("setting the group of", path, errno);
      }
    }
    if (::fchmod(file, like.permissions) < 0) throw_io_error("setting the permissions of", path, errno);
  }
};

}  // namespace

FileSystem& real_file_system() {
  static auto& file_system = *new RealFileSystem;  // saves may run until the process is gone
  return file_system;
}

void throw_io_error(std::string_view doing, const std::filesystem::path& path, int error_number) {
  std::string what(doing);
  what += ' ';
  what += path.string();
  what += ": ";
  what += std::generic_category().message(error_number);
  throw Error(Errc::io, what);
}

std::string file_identity(const std::filesystem::path& path) { return real_file_system().resolve(path).string(); }

std::string folder_identity(const std::filesystem::path& path) {
  std::error_code error;
  fs::path folder = fs::absolute(path, error);
  if (!error) folder = fs::weakly_canonical(folder, error);
  if (error) throw_io_error("resolving", path, error.value());
  return (folder.has_filename() ? folder : folder.parent_path()).string();  // without the slash at the end
}

bool same_file(const std::filesystem::path& left, const std::filesystem::path& right) {
  FileSystem& file_system = real_file_system();
  try {
    if (file_system.resolve(left) == file_system.resolve(right)) return true;
    const auto left_status = file_system.status(left);
    const auto right_status = file_system.status(right);
    return left_status && right_status && left_status->device == right_status->device &&
           left_status->inode == right_status->inode;
  } catch (const Error&) {
    return false;  // whoever opens the one that can't be looked at will hear of it
  }
}

}  // namespace cubby::detail
