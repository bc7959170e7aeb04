// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A small file system in memory that a test can fill, in a mount namespace of the process.
///
/// Thread safety: one thread.

#include <cstdint>
#include <filesystem>
#include <string>

namespace cubby::disk_tests {

/// Gives the process mounts of its own. REQUIRES: no other threads. Why that can't be, empty if it can.
const std::string& enter_namespace();

class SmallDisk {
 public:
  /// Mounts it. Throws std::system_error.
  explicit SmallDisk(std::uint64_t bytes);
  /// Everything on it is gone.
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::uint64_t free_bytes() const;
  /// Takes all the room but so much.
  void fill_but(std::uint64_t bytes);
  /// Gives back what fill_but() took.
  void make_room();

 private:
  std::filesystem::path path_;
};

}  // namespace cubby::disk_tests
