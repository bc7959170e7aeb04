// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The files that this process holds record locks on. Such a lock is lost when its process closes any descriptor of the file,
/// so who only wants to know whether a file is locked must not open one of these.
///
/// Thread safety: all members, as said.

#include <sys/stat.h>
#include <sys/types.h>

#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

namespace cubby::detail {

class HeldLocks {
 public:
  /// Held by who opens such a file, until what it opened is closed again, or is an Entry.
  static std::mutex& mutex() noexcept {
    static auto& one = *new std::mutex;  // stores may be closed until the process is gone
    return one;
  }
  /// REQUIRES: mutex() held.
  static bool contains(const std::filesystem::path& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0 && files().count({found.st_dev, found.st_ino}) != 0;
  }

  /// A lock that is held. Made under mutex(), and gone before its descriptor is closed.
  class Entry {
   public:
    explicit Entry(int descriptor) {
      struct stat found {};
      if (::fstat(descriptor, &found) == 0) place_ = files().insert({found.st_dev, found.st_ino}).first;
    }
    ~Entry() {
      const std::lock_guard lock(mutex());
      if (place_ != files().end()) files().erase(place_);
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    std::set<std::pair<dev_t, ino_t>>::iterator place_ = files().end();
  };

 private:
  static std::set<std::pair<dev_t, ino_t>>& files() {
    static auto& all = *new std::set<std::pair<dev_t, ino_t>>;
    return all;
  }
};

}  // namespace cubby::detail
