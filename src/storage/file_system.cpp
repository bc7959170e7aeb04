// SPDX-License-Identifier: Apache-2.0
#include "storage/file_system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

#include <cubby/error.hpp>

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
  return status;
}

class RealNewFile final : public FileSystem::NewFile {
 public:
  RealNewFile(Descriptor descriptor, fs::path path) noexcept : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  std::size_t write_some(std::string_view bytes) override {
    const ssize_t written = uninterrupted([&] { return ::write(descriptor_.get(), bytes.data(), bytes.size()); });
    if (written < 0) throw_io_error("writing", path_, errno);
    return static_cast<std::size_t>(written);
  }

  void sync() override {
    if (uninterrupted([&] { return ::fsync(descriptor_.get()); }) < 0) throw_io_error("syncing", path_, errno);
  }

  void close() override {
    // An interrupted close has closed: repeating it could hit a descriptor that another thread has just been given.
    if (::close(descriptor_.release()) < 0 && errno != EINTR) throw_io_error("closing", path_, errno);
  }

 private:
  Descriptor descriptor_;
  fs::path path_;
};

class RealFileSystem final : public FileSystem {
 public:
  std::optional<Status> status(const fs::path& path) override {
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0) return status_of(found);
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
    struct stat found {};
    if (::fstat(file.get(), &found) < 0) throw_io_error("looking at", path, errno);
    if (S_ISDIR(found.st_mode)) throw_io_error("reading", path, EISDIR);
    if (!S_ISREG(found.st_mode)) throw_io_error("reading something that is no regular file,", path, EINVAL);

    std::string text;
    std::size_t length = 0;
    // One byte more than it should have tells the end from growth without a second pass.
    text.resize(static_cast<std::size_t>(found.st_size) + 1);
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

  void rename(const fs::path& from, const fs::path& to) override {
    if (::rename(from.c_str(), to.c_str()) < 0) throw_io_error("renaming " + from.string() + " to", to, errno);
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

/// Sixteen hex digits that no other save beside this one uses; if one does, the caller tries again.
std::string unique_digits() {
  static std::atomic<std::uint64_t> saves{0};
  std::uint64_t mixed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  mixed ^= static_cast<std::uint64_t>(::getpid()) << 40U;
  mixed += saves.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15U;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;  // splitmix64
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 31U;
  std::string digits(16, '0');
  for (char& digit : digits) {
    digit = "0123456789abcdef"[mixed & 15U];
    mixed >>= 4U;
  }
  return digits;
}

/// A name beside `target`, which stays within the 255 bytes that a name may have.
fs::path temporary_name(const fs::path& target) {
  constexpr std::size_t kMostBytes = 255 - 21;
  std::string name = target.filename().string();
  if (name.size() > kMostBytes) {
    std::size_t length = kMostBytes;
    while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xc0U) == 0x80U) --length;  // not inside a UTF-8 sequence
    name.resize(length);
  }
  return target.parent_path() / (name + "." + unique_digits() + ".tmp");
}

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

template <class Step>
void FileReplacement::attempt(Step step) {
  try {
    step();
  } catch (const Error& error) {
    throw Error(Errc::io, "cannot write " + path_.string() + ": " + error.what());
  }
}

FileReplacement::FileReplacement(FileSystem& file_system, std::filesystem::path path)
    : file_system_(file_system), path_(std::move(path)) {
  attempt([&] {
    target_ = file_system_.resolve(path_);
    const auto old = file_system_.status(target_);
    // A rename would turn a device or a pipe into a regular file without a word.
    if (old && old->kind == FileSystem::Kind::folder) throw_io_error("replacing", target_, EISDIR);
    if (old && old->kind == FileSystem::Kind::other) throw Error(Errc::io, target_.string() + " is no regular file");
    for (int attempts = 1; !file_; ++attempts) {
      fs::path candidate = temporary_name(target_);
      file_ = file_system_.create(candidate, old ? &*old : nullptr);
      if (!file_ && attempts == 100) throw_io_error("creating", candidate, EEXIST);
      if (file_) temporary_ = std::move(candidate);
    }
  });
}

FileReplacement::~FileReplacement() {
  file_.reset();
  if (temporary_.empty()) return;
  try {
    file_system_.remove(temporary_);
  } catch (...) {
    // What kept the file from being written may keep it from being removed, and is what the caller hears of.
  }
}

void FileReplacement::write(std::string_view bytes) {
  attempt([&] {
    while (!bytes.empty()) {
      const std::size_t written = file_->write_some(bytes);
      if (written == 0 || written > bytes.size()) throw_io_error("writing", temporary_, EIO);
      bytes.remove_prefix(written);
    }
  });
}

void FileReplacement::commit() {
  attempt([&] {
    file_->sync();
    file_->close();
    file_.reset();
    file_system_.rename(temporary_, target_);
    temporary_.clear();
    file_system_.sync_folder(target_.parent_path());
  });
}

}  // namespace cubby::detail
