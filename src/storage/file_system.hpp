// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What saving and loading need of the operating system, and no more, so that tests can put another one in its place: one that
/// fails at the n-th call, writes short, or loses power.
///
/// Promises: every failure is cubby::Error(Errc::io) that names the path, what was being done and the system's reason. Calls
/// that a signal interrupts are repeated. Descriptors are closed on exec.
///
/// Thread safety: a FileSystem may be used from any threads; a NewFile belongs to one at a time.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace cubby::detail {

class FileSystem {
 public:
  enum class Kind { regular, folder, other };

  struct Status {
    Kind kind = Kind::regular;
    std::uint32_t permissions = 0;  ///< the nine bits rwxrwxrwx
    std::uint32_t user = 0;
    std::uint32_t group = 0;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
  };

  /// A file being written. The destructor closes it if close() didn't, and says nothing about errors.
  class NewFile {
   public:
    NewFile() = default;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    virtual ~NewFile() = default;

    /// Writes a first part of `bytes`, at least one byte, and returns its length. REQUIRES: `bytes` is not empty.
    virtual std::size_t write_some(std::string_view bytes) = 0;
    /// Returns once everything written is on the disk.
    virtual void sync() = 0;
    virtual void close() = 0;
  };

  FileSystem() = default;
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  virtual ~FileSystem() = default;

  /// What the path leads to, symbolic links followed; empty if nothing is there.
  virtual std::optional<Status> status(const std::filesystem::path& path) = 0;

  /// The absolute path, without symbolic links, dots or doubled slashes, of the file that `path` names or would create. The
  /// file, and the folders before it, need not exist; a link that leads nowhere yet is followed too.
  virtual std::filesystem::path resolve(const std::filesystem::path& path) = 0;

  /// All bytes of a regular file; empty if nothing is there.
  virtual std::optional<std::string> read(const std::filesystem::path& path) = 0;

  /// Makes a file that wasn't there; null if the name is taken. It gets the permissions of `like` (and its owner and group,
  /// where the process may give them), or without it what the umask leaves of rw-rw-rw-.
  virtual std::unique_ptr<NewFile> create(const std::filesystem::path& path, const Status* like) = 0;

  /// Renames, replacing `to` in one step if it's there.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual void remove(const std::filesystem::path& path) = 0;
  /// Returns once the names in the folder are on the disk.
  virtual void sync_folder(const std::filesystem::path& folder) = 0;
};

/// The operating system's. Never destroyed.
FileSystem& real_file_system();

/// Throws Errc::io: "<doing> <path>: <reason of error_number>".
[[noreturn]] void throw_io_error(std::string_view doing, const std::filesystem::path& path, int error_number);

/// One name for one file, whether it exists or not: FileSystem::resolve as text. A store takes it once, when it is opened, and
/// from then on reads and saves there: a later chdir or a redirected link doesn't move the store to another file.
///
/// It is made of names only. Saving puts a new inode under the name, so an inode number would stand for the file only until the
/// next save, and might by then belong to a stranger.
std::string file_identity(const std::filesystem::path& path);

/// Whether both name the same file at this moment: one identity, or, if both exist, one inode (hard links, bind mounts, folders
/// that ignore case). Hard links are one file only until either is saved: that puts a file of its own under its name.
bool same_file(const std::filesystem::path& left, const std::filesystem::path& right);

/// Writes a file that takes the place of `path` all at once: a new file beside it is filled, synced and renamed onto it, and
/// the folder synced. Whatever goes wrong, at any call or by power loss, the old file or the new one stands, whole.
///
/// Symbolic links are followed: what is replaced is the file they lead to. Permissions (and owner, where possible) stay.
/// Anything but a regular file is refused. Until commit() has returned, or if it isn't called, the destructor removes the new
/// file; only a process that is killed leaves one behind, "<name>.<16 hex digits>.tmp".
///
/// Errors are Errc::io and name `path`. If commit() throws after the rename, the new contents stand, but may not survive power
/// loss.
class FileReplacement {
 public:
  FileReplacement(FileSystem& file_system, std::filesystem::path path);
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement();

  void write(std::string_view bytes);
  void commit();

 private:
  template <class Step>
  void attempt(Step step);

  FileSystem& file_system_;
  const std::filesystem::path path_;  // as the user gave it, for messages
  std::filesystem::path target_;
  std::filesystem::path temporary_;  // empty: nothing to remove
  std::unique_ptr<FileSystem::NewFile> file_;
};

}  // namespace cubby::detail
