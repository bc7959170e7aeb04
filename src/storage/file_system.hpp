// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What saving, logging and loading need of the operating system, and no more, so that tests can put another one in its place:
/// one that fails at the n-th call, writes short, or loses power.
///
/// Promises: every failure is cubby::Error(Errc::io) that names the path, what was being done and the system's reason. Calls
/// that a signal interrupts are repeated. Descriptors are closed on exec.
///
/// Thread safety: a FileSystem, a ReadFile and a ReservedFile may be used from any threads; a NewFile belongs to one at a time.
/// The bytes of a MappedFile are memory like any other; its sync() may run while others write them.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
    /// The number of the block device that it lies on; 0 where there is none (such numbers change with each mount).
    std::uint64_t volume = 0;
    std::uint64_t birth = 0;  ///< nanoseconds since the epoch when the inode was made; 0 where that isn't known
  };

  /// A file being written. The destructor closes it if close() didn't, and says nothing about errors.
  class NewFile {
   public:
    NewFile() = default;
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;
    virtual ~NewFile() = default;

    /// Has the disk set space aside for so many bytes, of which the file is not longer; what isn't written by sync() is given
    /// back then. Throws if there is no room. Where the disk doesn't know how, nothing happens.
    virtual void reserve(std::uint64_t bytes) = 0;
    /// Writes a first part of `bytes`, at least one byte, and returns its length. REQUIRES: `bytes` is not empty.
    virtual std::size_t write_some(std::string_view bytes) = 0;
    /// Returns once everything written is on the disk.
    virtual void sync() = 0;
    virtual void close() = 0;
  };

  /// A file that is read piece by piece.
  class ReadFile {
   public:
    ReadFile() = default;
    ReadFile(const ReadFile&) = delete;
    ReadFile& operator=(const ReadFile&) = delete;
    virtual ~ReadFile() = default;

    /// How long it is now.
    virtual std::uint64_t size() = 0;
    /// Reads the bytes from `offset` on; fewer than asked for only where the file ends.
    virtual std::size_t read_at(std::uint64_t offset, std::span<std::byte> bytes) = 0;
    /// From `offset` up to here there are zeros: where the file has no holes, or they can't be told, that is `offset`.
    virtual std::uint64_t skip_hole(std::uint64_t offset) { return offset; }
  };

  /// A file whose space is set aside, written in place.
  class ReservedFile {
   public:
    ReservedFile() = default;
    ReservedFile(const ReservedFile&) = delete;
    ReservedFile& operator=(const ReservedFile&) = delete;
    virtual ~ReservedFile() = default;

    /// Writes all the bytes, which lie within the file. They survive the process from here on; if it dies meanwhile, a first
    /// part of them does: whole pages of the file, but for its ends.
    virtual void write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
    /// Returns once everything written is on the disk.
    virtual void sync() = 0;
  };

  /// A file as memory: what is stored there survives the death of the process, and once synced, that of the machine.
  class MappedFile {
   public:
    MappedFile() = default;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    virtual ~MappedFile() = default;

    virtual std::span<std::byte> bytes() noexcept = 0;
    /// Returns once all bytes that were stored before the call are on the disk.
    virtual void sync() = 0;
    /// A hint that these bytes will be written soon.
    virtual void prepare(std::size_t offset, std::size_t length) noexcept = 0;
  };

  /// Held for as long as it lives, and no longer than its process.
  class Lock {
   public:
    Lock() = default;
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    virtual ~Lock() = default;
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

  /// A regular file, to be read; null if nothing is there.
  virtual std::unique_ptr<ReadFile> open(const std::filesystem::path& path) = 0;

  /// Makes a file of `size` zeros that wasn't there, and has the disk set the space aside: storing to it later can't fail for
  /// want of room. Whatever goes wrong, nothing is left of it.
  virtual std::unique_ptr<MappedFile> create_mapped(const std::filesystem::path& path, std::size_t size) = 0;
  /// The same, to be written by calls.
  virtual std::unique_ptr<ReservedFile> create_reserved(const std::filesystem::path& path, std::size_t size) = 0;
  /// A file that is there, to be written in place by calls.
  virtual std::unique_ptr<ReservedFile> reopen(const std::filesystem::path& path) = 0;
  /// A file that is there, to be read and written in place.
  virtual std::unique_ptr<MappedFile> map(const std::filesystem::path& path) = 0;

  /// The names in a folder, in no order.
  virtual std::vector<std::string> list(const std::filesystem::path& folder) = 0;
  /// Makes a folder, unless it is there. The one it lies in must be.
  virtual void make_folder(const std::filesystem::path& folder) = 0;

  /// Makes the process the only one that holds a lock on this file, which is made if need be. Throws Errc::locked with the
  /// other's process id. Forked children don't hold it. A process that opens and closes the file otherwise meanwhile keeps it,
  /// but others aren't told its id any more.
  virtual std::unique_ptr<Lock> lock(const std::filesystem::path& path) = 0;

  /// Whether somebody holds a lock on this file, this process or another. Changes nothing, and no lock is lost by it.
  virtual bool is_locked(const std::filesystem::path& path) = 0;

  /// Which run of the machine this is: another text after each start, of 36 characters at most.
  virtual std::string boot_id() = 0;

  /// Renames, replacing `to` in one step if it's there.
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  /// Gives each the other's name, in one step; false, with nothing changed, where that can't be done.
  virtual bool exchange(const std::filesystem::path&, const std::filesystem::path&) { return false; }
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

/// The same for a folder, which need not exist either.
std::string folder_identity(const std::filesystem::path& path);

/// Whether both name the same file at this moment: one identity, or, if both exist, one inode (hard links, bind mounts, folders
/// that ignore case). Hard links are one file only until either is saved: that puts a file of its own under its name.
bool same_file(const std::filesystem::path& left, const std::filesystem::path& right);

}  // namespace cubby::detail
