// SPDX-License-Identifier: Apache-2.0
#include "storage/file_replacement.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include <cubby/error.hpp>

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

/// Sixteen hex digits that no other save beside this one uses; if one does, the caller tries again.
std::string unique_digits() {
  static std::atomic<std::uint64_t> saves{0};
  std::uint64_t mixed = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  mixed ^= static_cast<std::uint64_t>(::getpid()) << 40U;
  mixed += saves.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15U;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9U;  // splitmix64
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebU;
  mixed ^= mixed >> 31U;
  std::string digits(16, '0');
  for (char& digit : digits) {
    digit = "0123456789abcdef"[mixed & 15U];
    mixed >>= 4U;
  }
  return digits;
}

/// A name beside `target`, which stays within the 255 bytes that a name may have.
fs::path temporary_name(const fs::path& target) {
  constexpr std::size_t kMostBytes = 255 - 21;
  std::string name = target.filename().string();
  if (name.size() > kMostBytes) {
    std::size_t length = kMostBytes;
    while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xc0U) == 0x80U) --length;  // not inside a UTF-8 sequence
    name.resize(length);
  }
  return target.parent_path() / (name + "." + unique_digits() + ".tmp");
}

}  // namespace

template <class Step>
void FileReplacement::attempt(Step step) {
  try {
    step();
  } catch (const Error& error) {
    throw Error(Errc::io, "cannot write " + path_.string() + ": " + error.what());
  }
}

FileReplacement::FileReplacement(FileSystem& file_system, std::filesystem::path path)
    : file_system_(file_system), path_(std::move(path)) {
  attempt([&] {
    target_ = file_system_.resolve(path_);
    const auto old = file_system_.status(target_);
    // A rename would turn a device or a pipe into a regular file without a word.
    if (old && old->kind == FileSystem::Kind::folder) throw_io_error("replacing", target_, EISDIR);
    if (old && old->kind == FileSystem::Kind::other) throw Error(Errc::io, target_.string() + " is no regular file");
    for (int attempts = 1; !file_; ++attempts) {
      fs::path candidate = temporary_name(target_);
      file_ = file_system_.create(candidate, old ? &*old : nullptr);
      if (!file_ && attempts == 100) throw_io_error("creating", candidate, EEXIST);
      if (file_) temporary_ = std::move(candidate);
    }
  });
}

FileReplacement::~FileReplacement() {
  file_.reset();
  if (temporary_.empty()) return;
  try {
    file_system_.remove(temporary_);
  } catch (...) {
    // What kept the file from being written may keep it from being removed, and is what the caller hears of.
  }
}

void FileReplacement::write(std::string_view bytes) {
  attempt([&] {
    while (!bytes.empty()) {
      const std::size_t written = file_->write_some(bytes);
      if (written == 0 || written > bytes.size()) throw_io_error("writing", temporary_, EIO);
      bytes.remove_prefix(written);
    }
  });
}

void FileReplacement::commit() {
  attempt([&] {
    file_->sync();
    file_->close();
    file_.reset();
    file_system_.rename(temporary_, target_);
    temporary_.clear();
    file_system_.sync_folder(target_.parent_path());
  });
}

}  // namespace cubby::detail
