// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "storage/file_system.hpp"

namespace cubby::detail {

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
