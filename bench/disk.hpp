// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace bench {

/// A folder that is made empty, and removed at the end with all that is in it.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const std::filesystem::path& parent);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

/// Waits until all that was written to the file system `path` is on has reached the disk; returns the seconds that took.
double sync_disk(const std::filesystem::path& path);

/// "ext4 on /dev/vda"
std::string file_system_of(const std::filesystem::path& path);

/// How a disk's sequential writing is measured: with fio where that is installed, else with write and fdatasync.
class SequentialWriter {
 public:
  /// Writes `bytes` in blocks of 1 MiB, but no more than a quarter of what is free.
  SequentialWriter(const std::filesystem::path& folder, std::size_t bytes);

  /// "fio", or what is done without it.
  const std::string& name() const noexcept { return name_; }
  /// For the report: the command, or what is done without one.
  std::string description() const;
  /// Bytes a second, the sync at the end included.
  double run() const;

 private:
  std::filesystem::path folder_;
  std::size_t bytes_;
  bool with_fio_;
  std::string name_;
};

}  // namespace bench
