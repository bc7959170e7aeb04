// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A file system in memory that can fail at the n-th call, write short, and lose power. It keeps what has been written apart
/// from what has been synced, for contents and for names, as a disk with a cache does.
///
/// Thread safety: none.

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/file_system.hpp"

namespace cubby::testing {

class MemoryFileSystem final : public detail::FileSystem {
 public:
  /// What of the unsynced is found after the power is back. A real disk may do any of these.
  enum class Survival { nothing, names, contents, all };
  static constexpr Survival kSurvivals[] = {Survival::nothing, Survival::names, Survival::contents, Survival::all};

  MemoryFileSystem() { folders_ = {"/", "/data"}; }

  /// The n-th call from now on (from 1) fails with this error; if `for_good`, so do all after it.
  void fail_at(std::size_t call, int error, bool for_good = false) {
    calls_.clear();
    fail_at_ = call;
    error_ = error;
    for_good_ = for_good;
  }
  /// The n-th call from now on finds the power lost, and so do all after it. If it is a write, half of its bytes come through.
  void lose_power_at(std::size_t call) {
    calls_.clear();
    lose_power_at_ = call;
  }
  /// No write takes more than this many bytes.
  void write_at_most(std::size_t bytes) { write_at_most_ = bytes; }
  /// Lets sync() return without doing anything: what a forgotten fsync looks like.
  void lie_about_sync() { lies_ = true; }

  /// Power is back, and no faults are left.
  void restart(Survival survival) {
    if (survival == Survival::nothing || survival == Survival::contents) names_ = synced_names_;
    for (auto& [name, file] : names_) {
      if (survival == Survival::nothing || survival == Survival::names) file->bytes = file->synced;
      file->synced = file->bytes;
    }
    synced_names_ = names_;
    boot_ += "+";
    no_faults();
  }
  void no_faults() {
    fail_at_ = lose_power_at_ = 0;
    for_good_ = power_lost_ = false;
  }

  /// A file that has been on the disk for long.
  void put(const std::string& path, std::string bytes, std::uint32_t permissions = 0644) {
    auto file = std::make_shared<File>();
    file->bytes = file->synced = std::move(bytes);
    file->permissions = permissions;
    names_[path] = synced_names_[path] = file;
  }
  std::optional<std::string> contents(const std::string& path) const {
    const auto found = names_.find(path);
    return found == names_.end() ? std::nullopt : std::optional(found->second->bytes);
  }
  std::size_t files() const { return names_.size(); }
  /// The calls since the faults were set, by name.
  const std::vector<std::string>& calls() const { return calls_; }

  std::optional<Status> status(const std::filesystem::path& path) override {
    step("status", path);
    if (is_folder(path)) return Status{.kind = Kind::folder};
    const auto found = names_.find(path.string());
    if (found == names_.end()) return std::nullopt;
    return Status{.permissions = found->second->permissions};
  }
  std::filesystem::path resolve(const std::filesystem::path& path) override {
    step("resolve", path);
    return path.lexically_normal();
  }
  std::optional<std::string> read(const std::filesystem::path& path) override {
    step("read", path);
    return contents(path.string());
  }
  std::unique_ptr<NewFile> create(const std::filesystem::path& path, const Status* like) override {
    step("create", path);
    if (!is_folder(path.parent_path())) detail::throw_io_error("creating", path, ENOENT);
    if (names_.contains(path.string())) return nullptr;
    auto file = std::make_shared<File>();
    file->permissions = like != nullptr ? like->permissions : 0644;
    names_[path.string()] = file;
    return std::make_unique<MemoryNewFile>(*this, file, path);
  }
  std::unique_ptr<ReadFile> open(const std::filesystem::path& path) override {
    step("open", path);
    const auto found = names_.find(path.string());
    return found == names_.end() ? nullptr : std::make_unique<MemoryReadFile>(found->second);
  }
  std::unique_ptr<MappedFile> create_mapped(const std::filesystem::path& path, std::size_t size) override {
    step("create_mapped", path);
    if (!is_folder(path.parent_path())) detail::throw_io_error("creating", path, ENOENT);
    if (names_.contains(path.string())) detail::throw_io_error("creating", path, EEXIST);
    auto file = std::make_shared<File>();
    file->bytes.resize(size);
    names_[path.string()] = file;
    return std::make_unique<MemoryMappedFile>(*this, file, path);
  }
  std::unique_ptr<ReservedFile> create_reserved(const std::filesystem::path& path, std::size_t) override {
    detail::throw_io_error("creating", path, ENOTSUP);  // of no use to what is tested with this
  }
  std::unique_ptr<ReservedFile> reopen(const std::filesystem::path& path) override {
    detail::throw_io_error("opening", path, ENOTSUP);
  }
  std::unique_ptr<MappedFile> map(const std::filesystem::path& path) override {
    step("map", path);
    const auto found = names_.find(path.string());
    if (found == names_.end()) detail::throw_io_error("opening", path, ENOENT);
    return std::make_unique<MemoryMappedFile>(*this, found->second, path);
  }
  std::vector<std::string> list(const std::filesystem::path& folder) override {
    step("list", folder);
    std::vector<std::string> found;
    for (const auto& [name, file] : names_) {
      if (std::filesystem::path(name).parent_path() == folder) found.push_back(std::filesystem::path(name).filename().string());
    }
    return found;
  }
  void make_folder(const std::filesystem::path& folder) override {
    step("make_folder", folder);
    if (!is_folder(folder.parent_path())) detail::throw_io_error("making the folder", folder, ENOENT);
    if (!is_folder(folder)) folders_.push_back(folder.string());
  }
  std::unique_ptr<Lock> lock(const std::filesystem::path& path) override {
    step("lock", path);
    return std::make_unique<Lock>();
  }
  bool is_locked(const std::filesystem::path&) override { return false; }
  std::string boot_id() override { return boot_; }

  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    step("rename", to);
    auto node = names_.extract(from.string());
    if (node.empty()) detail::throw_io_error("renaming", from, ENOENT);
    names_[to.string()] = node.mapped();
  }
  void remove(const std::filesystem::path& path) override {
    step("remove", path);
    if (names_.erase(path.string()) == 0) detail::throw_io_error("removing", path, ENOENT);
  }
  void sync_folder(const std::filesystem::path& folder) override {
    step("sync_folder", folder);
    if (!lies_) synced_names_ = names_;
  }

 private:
  struct File {
    std::string bytes;
    std::string synced;
    std::uint32_t permissions = 0;
  };

  class MemoryNewFile final : public NewFile {
   public:
    MemoryNewFile(MemoryFileSystem& owner, std::shared_ptr<File> file, std::filesystem::path path)
        : owner_(owner), file_(std::move(file)), path_(std::move(path)) {}

    void reserve(std::uint64_t) override { owner_.step("reserve", path_); }
    std::size_t write_some(std::string_view bytes) override {
      try {
        owner_.step("write", path_);
      } catch (...) {
        if (owner_.power_lost_) file_->bytes += bytes.substr(0, bytes.size() / 2);
        throw;
      }
      bytes = bytes.substr(0, owner_.write_at_most_);
      file_->bytes += bytes;
      return bytes.size();
    }
    void sync() override {
      owner_.step("sync", path_);
      if (!owner_.lies_) file_->synced = file_->bytes;
    }
    void close() override { owner_.step("close", path_); }

   private:
    MemoryFileSystem& owner_;
    std::shared_ptr<File> file_;
    std::filesystem::path path_;
  };

  class MemoryReadFile final : public ReadFile {
   public:
    explicit MemoryReadFile(std::shared_ptr<File> file) : file_(std::move(file)) {}
    std::uint64_t size() override { return file_->bytes.size(); }
    std::size_t read_at(std::uint64_t offset, std::span<std::byte> bytes) override {
      if (offset >= file_->bytes.size()) return 0;
      const std::size_t length = std::min<std::size_t>(bytes.size(), file_->bytes.size() - offset);
      std::memcpy(bytes.data(), file_->bytes.data() + offset, length);
      return length;
    }

   private:
    std::shared_ptr<File> file_;
  };

  class MemoryMappedFile final : public MappedFile {
   public:
    MemoryMappedFile(MemoryFileSystem& owner, std::shared_ptr<File> file, std::filesystem::path path)
        : owner_(owner), file_(std::move(file)), path_(std::move(path)) {}
    std::span<std::byte> bytes() noexcept override {
      return {reinterpret_cast<std::byte*>(file_->bytes.data()), file_->bytes.size()};
    }
    void sync() override {
      owner_.step("sync_mapped", path_);
      if (!owner_.lies_) file_->synced = file_->bytes;
    }
    void prepare(std::size_t, std::size_t) noexcept override {}

   private:
    MemoryFileSystem& owner_;
    std::shared_ptr<File> file_;
    std::filesystem::path path_;
  };

  bool is_folder(const std::filesystem::path& path) const {
    return std::find(folders_.begin(), folders_.end(), path.string()) != folders_.end();
  }

  void step(const char* call, const std::filesystem::path& path) {
    calls_.emplace_back(call);
    if (calls_.size() == lose_power_at_) power_lost_ = true;
    if (power_lost_) detail::throw_io_error(call, path, EIO);
    if (calls_.size() == fail_at_ || (for_good_ && fail_at_ != 0 && calls_.size() > fail_at_)) {
      detail::throw_io_error(call, path, error_);
    }
  }

  std::vector<std::string> folders_;
  std::map<std::string, std::shared_ptr<File>> names_;
  std::map<std::string, std::shared_ptr<File>> synced_names_;
  std::vector<std::string> calls_;
  std::size_t fail_at_ = 0;
  std::size_t lose_power_at_ = 0;
  std::size_t write_at_most_ = static_cast<std::size_t>(-1);
  std::string boot_ = "boot";
  int error_ = EIO;
  bool for_good_ = false;
  bool power_lost_ = false;
  bool lies_ = false;
};

}  // namespace cubby::testing
