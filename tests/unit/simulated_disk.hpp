// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A disk with a cache, for durable stores: what was written and not synced may be lost when the power is, sector by sector,
/// torn within one, in any order; and so may names. Any call can be made to fail.
///
/// Thread safety: all members, from any threads. What is mapped is written without a lock, so a loss of power should come when
/// nobody writes.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <cubby/error.hpp>

#include "storage/file_system.hpp"

namespace cubby::testing {

class SimulatedDisk final : public detail::FileSystem {
 public:
  SimulatedDisk() = default;

  /// The n-th call from now on (from 1) fails, and with `for_good` all after it.
  void fail_at(std::size_t call, int error = EIO, bool for_good = false) {
    const std::lock_guard lock(mutex_);
    calls_ = 0;
    fail_at_ = call;
    error_ = error;
    for_good_ = for_good;
    dies_ = false;
  }
  void no_faults() { fail_at(0); }
  /// From now on there is no room for anything new.
  void fill(bool full = true) {
    const std::lock_guard lock(mutex_);
    full_ = full;
  }
  /// The process dies in the n-th call from now on: nothing comes of it, or if it writes in place, half of its pages, and
  /// nothing of all calls after it.
  void die_at(std::size_t call) {
    fail_at(call, EIO, true);
    const std::lock_guard lock(mutex_);
    dies_ = true;
  }
  std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  /// What is found after the power was lost now and is back.
  std::unique_ptr<SimulatedDisk> after_power_loss(std::mt19937_64& random) const {
    const std::lock_guard lock(mutex_);
    auto disk = std::make_unique<SimulatedDisk>();
    disk->boot_ = boot_ + "+";
    disk->volume_ = volume_;
    disk->folders_ = folders_;
    std::map<std::string, std::shared_ptr<File>> names = synced_names_;
    for (const NameChange& change : unsynced_names_) {
      if (random() % 2 == 0) continue;
      if (change.file == nullptr) {
        names.erase(change.name);
      } else {
        if (!change.renamed_from.empty()) names.erase(change.renamed_from);
        names[change.name] = change.file;
      }
    }
    // How much of the cache has got to the disk by itself: nothing, all, or anything.
    const std::uint64_t mood = random() % 4;
    for (const auto& [name, file] : names) {
      auto copy = std::make_shared<File>();
      copy->inode = file->inode;
      copy->birth = file->birth;
      copy->bytes = file->synced;
      copy->bytes.resize(std::max(file->synced.size(), mood == 0 ? std::size_t{0} : file->bytes.size()));
      for (std::size_t sector = 0; sector < std::min(copy->bytes.size(), file->bytes.size()); sector += kSector) {
        if (mood == 0 || (mood != 1 && random() % 2 == 0)) continue;
        std::size_t length = std::min({kSector, copy->bytes.size() - sector, file->bytes.size() - sector});
        if (mood == 3 && random() % 4 == 0) length = random() % (length + 1);  // torn
        std::memcpy(copy->bytes.data() + sector, file->bytes.data() + sector, length);
      }
      copy->synced = copy->bytes;
      disk->names_[name] = disk->synced_names_[name] = copy;
    }
    return disk;
  }

  /// What another process finds after this one died now.
  std::unique_ptr<SimulatedDisk> after_process_death() const {
    const std::lock_guard lock(mutex_);
    auto disk = std::make_unique<SimulatedDisk>();
    disk->boot_ = boot_;
    disk->volume_ = volume_;
    disk->folders_ = folders_;
    for (const auto& [name, file] : names_) {
      auto copy = std::make_shared<File>(*file);
      disk->names_[name] = disk->synced_names_[name] = copy;
    }
    // A process dies at one instant, and somebody may be storing to mapped memory: until all of it stands still.
    for (bool still = false; !still;) {
      still = true;
      for (const auto& [name, file] : names_) {
        if (disk->names_[name]->bytes == file->bytes) continue;
        disk->names_[name]->bytes = file->bytes;
        still = false;
      }
    }
    return disk;
  }

  /// A copy of all files whose inodes have the same numbers by chance: on another volume, or of another birth.
  std::unique_ptr<SimulatedDisk> copy_with_its_inodes(bool on_another_volume) const {
    auto disk = after_process_death();
    if (on_another_volume) {
      ++disk->volume_;
    } else {
      for (const auto& [name, file] : disk->names_) file->birth = next_birth();
    }
    return disk;
  }

  std::map<std::string, std::string> contents() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::string> all;
    for (const auto& [name, file] : names_) all[name] = {file->bytes.begin(), file->bytes.end()};
    return all;
  }
  void put(const std::string& path, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    auto& file = names_[path];
    const std::uint64_t inode = file != nullptr ? file->inode : next_inode_++;
    const std::uint64_t birth = file != nullptr ? file->birth : next_birth();
    file = std::make_shared<File>();
    file->inode = inode;
    file->birth = birth;
    file->bytes.assign(bytes.begin(), bytes.end());
    file->synced = file->bytes;
    synced_names_[path] = file;
  }
  void erase(const std::string& path) {
    const std::lock_guard lock(mutex_);
    names_.erase(path);
    synced_names_.erase(path);
  }

  // --- FileSystem

  std::optional<Status> status(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    step("status", path);
    if (is_folder(path)) return Status{.kind = Kind::folder};
    const auto found = names_.find(path.string());
    if (found == names_.end()) return std::nullopt;
    const File& file = *found->second;
    return Status{.permissions = 0644, .inode = file.inode, .volume = volume_, .birth = file.birth};
  }
  std::filesystem::path resolve(const std::filesystem::path& path) override { return path.lexically_normal(); }
  std::optional<std::string> read(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    step("read", path);
    const auto found = names_.find(path.string());
    if (found == names_.end()) return std::nullopt;
    return std::string(found->second->bytes.begin(), found->second->bytes.end());
  }
  std::unique_ptr<NewFile> create(const std::filesystem::path& path, const Status*) override {
    const std::lock_guard lock(mutex_);
    step("create", path);
    if (names_.contains(path.string())) return nullptr;
    return std::make_unique<Writer>(*this, add(path, 0), path);
  }
  std::unique_ptr<ReadFile> open(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    step("open", path);
    const auto found = names_.find(path.string());
    return found == names_.end() ? nullptr : std::make_unique<Reader>(found->second);
  }
  std::unique_ptr<MappedFile> create_mapped(const std::filesystem::path& path, std::size_t size) override {
    const std::lock_guard lock(mutex_);
    step("create_mapped", path);
    need_room("creating", path);
    if (names_.contains(path.string())) detail::throw_io_error("creating", path, EEXIST);
    return std::make_unique<Mapped>(*this, add(path, size), path);
  }
  std::unique_ptr<ReservedFile> create_reserved(const std::filesystem::path& path, std::size_t size) override {
    const std::lock_guard lock(mutex_);
    step("create_reserved", path);
    need_room("creating", path);
    if (names_.contains(path.string())) detail::throw_io_error("creating", path, EEXIST);
    return std::make_unique<Reserved>(*this, add(path, size), path);
  }
  std::unique_ptr<ReservedFile> reopen(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    step("reopen", path);
    const auto found = names_.find(path.string());
    if (found == names_.end()) detail::throw_io_error("opening", path, ENOENT);
    return std::make_unique<Reserved>(*this, found->second, path);
  }
  std::unique_ptr<MappedFile> map(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    step("map", path);
    const auto found = names_.find(path.string());
    if (found == names_.end()) detail::throw_io_error("opening", path, ENOENT);
    return std::make_unique<Mapped>(*this, found->second, path);
  }
  std::vector<std::string> list(const std::filesystem::path& folder) override {
    const std::lock_guard lock(mutex_);
    step("list", folder);
    std::vector<std::string> found;
    for (const auto& [name, file] : names_) {
      if (std::filesystem::path(name).parent_path() == folder) found.push_back(std::filesystem::path(name).filename().string());
    }
    return found;
  }
  void make_folder(const std::filesystem::path& folder) override {
    const std::lock_guard lock(mutex_);
    step("make_folder", folder);
    if (!is_folder(folder)) folders_.push_back(folder.string());
  }
  std::unique_ptr<Lock> lock(const std::filesystem::path& path) override {
    const std::lock_guard guard(mutex_);
    step("lock", path);
    return std::make_unique<HeldLock>(locks_);
  }
  bool is_locked(const std::filesystem::path&) override { return locks_->load() > 0; }
  std::string boot_id() override { return boot_; }
  void rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    const std::lock_guard lock(mutex_);
    step("rename", to);
    auto node = names_.extract(from.string());
    if (node.empty()) detail::throw_io_error("renaming", from, ENOENT);
    names_[to.string()] = node.mapped();
    unsynced_names_.push_back({to.string(), node.mapped(), from.string()});
  }
  void remove(const std::filesystem::path& path) override {
    const std::lock_guard lock(mutex_);
    step("remove", path);
    if (names_.erase(path.string()) == 0) detail::throw_io_error("removing", path, ENOENT);
    unsynced_names_.push_back({path.string(), nullptr, {}});
  }
  void sync_folder(const std::filesystem::path& folder) override {
    const std::lock_guard lock(mutex_);
    step("sync_folder", folder);
    synced_names_ = names_;
    unsynced_names_.clear();
  }

 private:
  /// May outlive the disk, as a process does that the test has forgotten.
  class HeldLock final : public Lock {
   public:
    explicit HeldLock(std::shared_ptr<std::atomic<int>> locks) : locks_(std::move(locks)) { ++*locks_; }
    ~HeldLock() override { --*locks_; }

   private:
    std::shared_ptr<std::atomic<int>> locks_;
  };

  static constexpr std::size_t kSector = 512;
  static constexpr std::size_t kPage = 4096;

  struct File {
    std::uint64_t inode = 0;
    std::uint64_t birth = 0;
    std::vector<char> bytes;
    std::vector<char> synced;
  };
  struct NameChange {
    std::string name;
    std::shared_ptr<File> file;  ///< null: removed
    std::string renamed_from;
  };

  class Writer final : public NewFile {
   public:
    Writer(SimulatedDisk& disk, std::shared_ptr<File> file, std::filesystem::path path)
        : disk_(disk), file_(std::move(file)), path_(std::move(path)) {}
    void reserve(std::uint64_t) override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step("reserve", path_);
      disk_.need_room("reserving", path_);
    }
    std::size_t write_some(std::string_view bytes) override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step("write", path_);
      disk_.need_room("writing", path_);
      file_->bytes.insert(file_->bytes.end(), bytes.begin(), bytes.end());
      return bytes.size();
    }
    void sync() override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step("sync", path_);
      file_->synced = file_->bytes;
    }
    void close() override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step("close", path_);
    }

   private:
    SimulatedDisk& disk_;
    std::shared_ptr<File> file_;
    std::filesystem::path path_;
  };
  class Reader final : public ReadFile {
   public:
    explicit Reader(std::shared_ptr<File> file) : file_(std::move(file)) {}
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
  class Reserved final : public ReservedFile {
   public:
    Reserved(SimulatedDisk& disk, std::shared_ptr<File> file, std::filesystem::path path)
        : disk_(disk), file_(std::move(file)), path_(std::move(path)) {}
    void write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      const std::lock_guard lock(disk_.mutex_);
      try {
        disk_.step("write_at", path_);
      } catch (const Error&) {
        const std::uint64_t half = (offset + bytes.size() / 2) / kPage * kPage;
        if (disk_.dies_ && disk_.calls_ == disk_.fail_at_ && half > offset) {
          std::memcpy(file_->bytes.data() + offset, bytes.data(), half - offset);
        }
        throw;
      }
      if (offset + bytes.size() > file_->bytes.size()) detail::throw_io_error("writing", path_, ENOSPC);
      std::memcpy(file_->bytes.data() + offset, bytes.data(), bytes.size());
    }
    void sync() override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step("sync_reserved", path_);
      file_->synced = file_->bytes;
    }

   private:
    SimulatedDisk& disk_;
    std::shared_ptr<File> file_;
    std::filesystem::path path_;
  };
  class Mapped final : public MappedFile {
   public:
    Mapped(SimulatedDisk& disk, std::shared_ptr<File> file, std::filesystem::path path)
        : disk_(disk), file_(std::move(file)), path_(std::move(path)) {}
    std::span<std::byte> bytes() noexcept override {
      return {reinterpret_cast<std::byte*>(file_->bytes.data()), file_->bytes.size()};
    }
    void sync() override {
      const std::lock_guard lock(disk_.mutex_);
      disk_.step("sync_mapped", path_);
      file_->synced = file_->bytes;
    }
    void prepare(std::size_t, std::size_t) noexcept override {}

   private:
    SimulatedDisk& disk_;
    std::shared_ptr<File> file_;
    std::filesystem::path path_;
  };

  std::shared_ptr<File> add(const std::filesystem::path& path, std::size_t size) {
    auto file = std::make_shared<File>();
    file->inode = next_inode_++;
    file->birth = next_birth();
    file->bytes.resize(size);
    names_[path.string()] = file;
    unsynced_names_.push_back({path.string(), file, {}});
    return file;
  }
  /// No two files of all disks were made at the same time.
  static std::uint64_t next_birth() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
  }
  bool is_folder(const std::filesystem::path& path) const {
    return std::find(folders_.begin(), folders_.end(), path.string()) != folders_.end();
  }
  void need_room(const char* doing, const std::filesystem::path& path) const {
    if (full_) detail::throw_io_error(doing, path, ENOSPC);
  }
  void step(const char* call, const std::filesystem::path& path) {
    ++calls_;
    if (fail_at_ != 0 && (calls_ == fail_at_ || (for_good_ && calls_ > fail_at_))) detail::throw_io_error(call, path, error_);
  }

  mutable std::mutex mutex_;
  std::vector<std::string> folders_{"/", "/data"};
  std::map<std::string, std::shared_ptr<File>> names_;
  std::map<std::string, std::shared_ptr<File>> synced_names_;
  std::vector<NameChange> unsynced_names_;
  std::string boot_ = "boot";
  std::uint64_t next_inode_ = 1;
  std::uint64_t volume_ = 1;
  std::shared_ptr<std::atomic<int>> locks_ = std::make_shared<std::atomic<int>>(0);
  std::size_t calls_ = 0;
  std::size_t fail_at_ = 0;
  int error_ = EIO;
  bool for_good_ = false;
  bool dies_ = false;
  bool full_ = false;
};

}  // namespace cubby::testing
