// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Another file system, for tests that change some of its calls.
///
/// Thread safety: as the other's.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/file_system.hpp"

namespace cubby::testing {

class ForwardingFileSystem : public detail::FileSystem {
 public:
  using Path = std::filesystem::path;

  explicit ForwardingFileSystem(detail::FileSystem& to) : to_(to) {}

  std::optional<Status> status(const Path& path) override { return to_.status(path); }
  Path resolve(const Path& path) override { return to_.resolve(path); }
  std::optional<std::string> read(const Path& path) override { return to_.read(path); }
  std::unique_ptr<NewFile> create(const Path& path, const Status* like) override { return to_.create(path, like); }
  std::unique_ptr<ReadFile> open(const Path& path) override { return to_.open(path); }
  std::unique_ptr<MappedFile> create_mapped(const Path& path, std::size_t size) override {
    return to_.create_mapped(path, size);
  }
  std::unique_ptr<ReservedFile> create_reserved(const Path& path, std::size_t size) override {
    return to_.create_reserved(path, size);
  }
  std::unique_ptr<ReservedFile> reopen(const Path& path) override { return to_.reopen(path); }
  std::unique_ptr<MappedFile> map(const Path& path) override { return to_.map(path); }
  std::vector<std::string> list(const Path& folder) override { return to_.list(folder); }
  void make_folder(const Path& folder) override { to_.make_folder(folder); }
  bool is_locked(const Path& path) override { return to_.is_locked(path); }
  std::unique_ptr<Lock> lock(const Path& path) override { return to_.lock(path); }
  std::string boot_id() override { return to_.boot_id(); }
  void rename(const Path& from, const Path& to) override { to_.rename(from, to); }
  bool exchange(const Path& left, const Path& right) override { return to_.exchange(left, right); }
  void remove(const Path& path) override { to_.remove(path); }
  void sync_folder(const Path& folder) override { to_.sync_folder(folder); }

 private:
  detail::FileSystem& to_;
};

}  // namespace cubby::testing
