// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What is done with a durable store's folder besides opening it as a store: looking at it, verifying it, giving it another
/// key. folder_salvage.hpp saves what can be saved of a damaged one.
///
/// Thread safety: plain functions; progress is reported by one thread at a time.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/checkpoint.hpp"
#include "storage/log_reader.hpp"

namespace cubby::detail {

/// Called now and then with the bytes that were looked at, and how many there are.
using FolderProgress = std::function<void(std::uint64_t done, std::uint64_t all)>;

/// Whether the folder holds files of a durable store, be they sound or not.
bool holds_store(FileSystem& files, const std::filesystem::path& folder);

/// The process that has the folder open for writing: see file_lock_holder(). REQUIRES: this process doesn't hold the lock.
std::optional<std::int64_t> lock_holder(const std::filesystem::path& folder);

struct FolderFigures {
  Manifest manifest;
  std::uint32_t version = 0;
  std::optional<std::int64_t> used_by;
  bool checkpoint_found = false;
  std::int64_t checkpoint_age = 0;  ///< seconds since it was written
  std::uint64_t segments = 0;       ///< files of the log that count
  std::uint64_t segment_bytes = 0;  ///< of these files
  std::uint64_t records = 0;
  std::uint64_t record_bytes = 0;
  std::vector<std::string> leftovers;  ///< files that the manifest doesn't lead to
};

/// Needs no key, and reads no more than the heads of what is there. Errc::io if there is no store; Errc::corrupt if its
/// manifest is damaged.
FolderFigures look_at_folder(FileSystem& files, const std::filesystem::path& folder);

struct FolderCheck {
  std::optional<Manifest> manifest;
  std::optional<std::int64_t> used_by;
  CheckpointFigures checkpoint;
  std::uint64_t segments = 0;
  std::uint64_t records = 0;
  std::uint64_t record_bytes = 0;
  std::uint64_t incomplete = 0;  ///< records that were begun and never acknowledged
  /// The log ends before its files do, as the machine died, or this is a copy that was made while it was written: where and
  /// why.
  std::string cut;
  std::vector<std::string> notes;   ///< what is no damage
  std::vector<std::string> damage;  ///< each names file, offset and what to do; empty: sound
};

/// Verifies each byte of what the manifest leads to, without changing any, and whether or not a process is writing (then
/// without what it writes meanwhile). `locked`: this process holds the lock. Throws Errc::io if there is no store or it can't
/// be read, Errc::wrong_key; Errc::corrupt only if a newer version wrote it.
FolderCheck check_folder(FileSystem& files, const std::filesystem::path& folder, const std::optional<EncryptionKey>& key,
                         const FolderProgress& progress = {}, bool locked = false);

/// Has the folder's contents encrypted with `to`, or with nothing. The store must have been closed: Errc::config otherwise.
/// Takes the lock. A crash at any point leaves the store as it was, or with the new key: which of the two the manifest says,
/// and that is replaced in one step.
void rekey_folder(FileSystem& files, const std::filesystem::path& folder, const std::optional<EncryptionKey>& from,
                  const std::optional<EncryptionKey>& to, const FolderProgress& progress = {});

/// Puts `replacement`, a folder, in the place of `folder`, which becomes `kept`. All three lie side by side. Throws Errc::io:
/// then `folder` is what it was, and `replacement` is removed, or the error says what lies where. At no moment is the old one
/// called `replacement`. Where the file system can exchange names, a crash leaves `folder` the old one or the new one, with the
/// other under another name; elsewhere it may leave nothing there, the old one as `kept` and the new one as `replacement`.
void replace_folder(FileSystem& files, const std::filesystem::path& folder, const std::filesystem::path& replacement,
                    const std::filesystem::path& kept);

}  // namespace cubby::detail
