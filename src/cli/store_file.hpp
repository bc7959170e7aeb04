// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cubby/cubby.hpp>
#include <filesystem>
#include <string>

/// The JSON file a shell command works on, opened for the time of one command.
///
/// A reading command opens it read-only and takes no lock: files are replaced whole, so it sees the one before or the one after
/// a concurrent write. A writing command holds flock(2) on the file's folder from before it reads until after it has saved, so
/// that two of them never lose each other's update. The folder, because the file itself is replaced by each save, and because
/// nothing is left lying beside it.
///
/// Nothing is written unless save() is called: a command that fails leaves the file as it was. The process must then end by
/// _Exit, since a normal exit saves all open stores.
namespace cubby::cli {

class StoreFile {
 public:
  enum class Access {
    read,    ///< the file must exist, and no byte of it changes
    change,  ///< the file must exist
    create,  ///< the file is made if it is missing
  };

  /// Throws StoreError or cubby::Error.
  StoreFile(const std::string& path, Access access);
  ~StoreFile();
  StoreFile(const StoreFile&) = delete;
  StoreFile& operator=(const StoreFile&) = delete;

  Datastore& store() { return *store_; }
  /// The path as the user gave it, for messages.
  const std::string& path() const { return given_; }
  /// Writes the file and lets others write. Nothing may be called afterwards.
  void save();

 private:
  std::string given_;
  std::filesystem::path file_;  // symbolic links resolved, so that the link survives a save and all names share one lock
  int folder_ = -1;             // open and locked while a writing command runs
  std::optional<Datastore> store_;
};

}  // namespace cubby::cli
