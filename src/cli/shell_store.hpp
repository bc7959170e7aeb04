// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cubby/cubby.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "cli/invocation.hpp"

/// The store a shell command works on, opened for the time of one command: a JSON file, or a durable folder.
///
/// A command that reads a file opens it read-only and takes no lock: files are replaced whole, so it sees the one before or the
/// one after a concurrent write. One that writes holds flock(2) on the file's folder from before it reads until after it has
/// saved, so that two of them never lose each other's update. The folder, because the file itself is replaced by each save, and
/// because nothing is left lying beside it. Nothing is written unless save() is called: a command that fails leaves the file as
/// it was. The process must then end by _Exit, since a normal exit saves all open stores.
///
/// Commands on a durable folder hold flock(2) on the folder itself, so that they wait for each other; a program that has the
/// store open they don't wait for, but end with StoreError. A command that reads works beside it. What a call did is in the log
/// when it returns; the folder is closed with a checkpoint, be it by save() or by the destructor.
namespace cubby::cli {

class ShellStore {
 public:
  enum class Access {
    read,    ///< the store must exist, and no byte of it changes
    change,  ///< the store must exist
    create,  ///< the store is made if it is missing
  };

  /// Throws StoreError, UsageError or cubby::Error, for in_words(). `many`: a lot is going to be written.
  ShellStore(const Invocation& in, Access access, bool many = false);
  ~ShellStore();
  ShellStore(const ShellStore&) = delete;
  ShellStore& operator=(const ShellStore&) = delete;

  Datastore& store() { return *store_; }
  /// Writes the store and lets others write. Nothing may be called afterwards.
  void save();
  /// Bytes of the file, or of all files of the folder.
  std::uintmax_t bytes_on_disk() const;

 private:
  void open_file(Access access);
  void open_folder(const std::string& key_file, Access access, bool many);

  std::string given_;
  bool durable_;
  std::filesystem::path path_;  // symbolic links resolved, so that the link survives a save and all names share one lock
  int lock_ = -1;               // open and locked while a writing command runs
  bool writes_ = false;
  std::optional<Datastore> store_;
};

/// What the user gave as --file or --dir, as an argument that stands for either (a folder, or a name that doesn't end in .json,
/// is a durable store), or else in the environment; exactly one of file and dir is set after this. Throws UsageError.
void choose_store(Invocation& in);
/// For a command on a folder: its argument or --dir, or CUBBY_DIR unless it must be `named`, and the key file.
void choose_folder(Invocation& in, bool named);

/// The key in this file: 32 bytes, or 64 hex digits and perhaps a line break. Throws UsageError.
std::array<std::byte, 32> read_key_file(const std::string& path);
/// That of the store; empty if none was named.
std::optional<std::array<std::byte, 32>> key_of(const Invocation& in);

/// Throws UsageError if the store can't hold this key, or the shell not name it.
void check_key(const Invocation& in, std::string_view key);

/// The name under which a command opens the one store that it works on.
inline constexpr const char* kOpenedAs = "store";

/// What an error of the library tells the user of the command, who knows files and keys and not the library.
std::string in_words(const Error& error, const Invocation& in);

}  // namespace cubby::cli
