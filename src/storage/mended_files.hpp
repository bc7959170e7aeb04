// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "storage/durable_files.hpp"
#include "storage/file_system.hpp"

namespace cubby::detail {

/// The file system with bytes of some files put right, for who only reads.
class MendedFiles final : public FileSystem {
 public:
  explicit MendedFiles(FileSystem& files) : files_(files) {}

  /// The file begins with `bytes` from now on.
  void mend(const std::filesystem::path& path, std::vector<std::byte> bytes) { starts_[path.string()] = std::move(bytes); }

  std::optional<Status> status(const std::filesystem::path& path) override { return files_.status(path); }
  std::filesystem::path resolve(const std::filesystem::path& path) override { return files_.resolve(path); }
  std::optional<std::string> read(const std::filesystem::path& path) override { return files_.read(path); }
  std::vector<std::string> list(const std::filesystem::path& folder) override { return files_.list(folder); }
  bool is_locked(const std::filesystem::path& path) override { return files_.is_locked(path); }
  std::string boot_id() override { return files_.boot_id(); }
  std::unique_ptr<ReadFile> open(const std::filesystem::path& path) override {
    auto file = files_.open(path);
    const auto start = starts_.find(path.string());
    if (!file || start == starts_.end()) return file;
    return std::make_unique<MendedFile>(std::move(file), start->second);
  }

  std::unique_ptr<NewFile> create(const std::filesystem::path& path, const Status*) override { refuse(path); }
  std::unique_ptr<MappedFile> create_mapped(const std::filesystem::path& path, std::size_t) override { refuse(path); }
  std::unique_ptr<ReservedFile> create_reserved(const std::filesystem::path& path, std::size_t) override { refuse(path); }
  std::unique_ptr<ReservedFile> reopen(const std::filesystem::path& path) override { refuse(path); }
  std::unique_ptr<MappedFile> map(const std::filesystem::path& path) override { refuse(path); }
  void make_folder(const std::filesystem::path& folder) override { refuse(folder); }
  std::unique_ptr<Lock> lock(const std::filesystem::path& path) override { refuse(path); }
  void rename(const std::filesystem::path& from, const std::filesystem::path&) override { refuse(from); }
  void remove(const std::filesystem::path& path) override { refuse(path); }
  void sync_folder(const std::filesystem::path& folder) override { refuse(folder); }

 private:
  class MendedFile final : public ReadFile {
   public:
    MendedFile(std::unique_ptr<ReadFile> file, std::span<const std::byte> start) : file_(std::move(file)), start_(start) {}
    std::uint64_t size() override { return file_->size(); }
    std::size_t read_at(std::uint64_t offset, std::span<std::byte> bytes) override {
      const std::size_t read = file_->read_at(offset, bytes);
      for (std::size_t i = 0; i < read && offset + i < start_.size(); ++i) bytes[i] = start_[offset + i];
      return read;
    }

   private:
    std::unique_ptr<ReadFile> file_;
    std::span<const std::byte> start_;
  };

  [[noreturn]] static void refuse(const std::filesystem::path& path) { throw_io_error("changing", path, EROFS); }

  FileSystem& files_;
  std::map<std::string, std::vector<std::byte>> starts_;
};

/// What a segment should begin with, where that isn't what it begins with, and can be told: all of it follows from the rest of
/// the folder but the salt, and whether that is right the first record's head shows. (What is encrypted depends on all of it.)
std::optional<std::vector<std::byte>> mended_start(FileSystem& files, const std::filesystem::path& path,
                                                   const Manifest& manifest, const std::optional<EncryptionKey>& key);

}  // namespace cubby::detail
