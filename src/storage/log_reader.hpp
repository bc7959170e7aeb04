// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Reading a log, after whatever ended it.
///
/// When a process dies, its memory-mapped segments stay as they were: records that were reserved and not completed were never
/// acknowledged, and are passed over; all others are there. When the machine dies (or the folder is a copy that was made while
/// it was written), any part of what was not synced may be missing: the log ends at the first record that isn't whole, as later
/// ones may depend on it. Which of the two it was, the segments' headers tell: they name the run of the machine and the inode.
///
/// Anything else that isn't as it was written is damage: Errc::corrupt with path and offset.
///
/// A process that only reads may look while another one writes: what is reserved is looked at first, and then what is complete
/// of it. A record that is there began after all that had returned before it, so these are there too. What isn't as a writer
/// puts it is looked at again, and then is damage there too.
///
/// Thread safety: plain functions.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "storage/durable_files.hpp"
#include "storage/log_window.hpp"

namespace cubby::detail {

/// A segment as it was found.
struct FoundSegment {
  std::filesystem::path path;
  FileHeader header;
  std::uint64_t synced = 0;               ///< the note in the file
  std::uint64_t end = kSegmentStart;      ///< what counts ends here
  std::optional<FrameKind> ended;         ///< by which end, if it has one
  std::vector<std::uint64_t> incomplete;  ///< frames that were reserved only
  std::uint64_t records = 0;
  std::optional<FileImage> from_window;  ///< all of it, where the file may lack something of it
  std::uint64_t in_file = 0;             ///< then: up to here it does not
};

struct FoundLog {
  std::vector<FoundSegment> segments;  ///< in order
  /// The last segment's end is a cut: what lies behind it, there and in `dropped`, doesn't count.
  bool cut = false;
  std::vector<std::filesystem::path> dropped;  ///< segments that don't count
  std::uint32_t last_generation = 0;           ///< of all names that were found
  std::uint64_t bytes = 0;                     ///< of records
  /// No segment is a copy, and the machine has run ever since.
  bool untouched = true;
};

struct LogReading {
  FileSystem* files = nullptr;
  std::filesystem::path folder;
  Manifest manifest;
  std::optional<EncryptionKey> key;
  /// Another process may be writing.
  bool beside_a_writer = false;
};

/// Called for each record in order: its body, and where its frame begins in which file.
using RecordSink = std::function<void(std::span<std::byte> body, const std::filesystem::path& path, std::uint64_t offset)>;

FoundLog read_log(const LogReading& reading, const RecordSink& sink);

// Whoever opens the folder to write makes what was found the truth for the next: take_in_windows(), then settle_log(). Its
// process or the machine may die at any point: who opens the folder then finds the same, and begins again.

/// Removes segments that don't count; puts what the windows have into the files of the others, syncs these, and removes all
/// windows: before anything is changed, as a segment must be what its window says. REQUIRES: the folder is locked.
void take_in_windows(FileSystem& files, const std::filesystem::path& folder, const FoundLog& log);

/// Incomplete records are marked void, what lies behind the end is cleared, ends are put, and all of it is synced. REQUIRES:
/// the next generation exists, and no window of these segments; the folder is locked.
void settle_log(FileSystem& files, const FoundLog& log, const std::optional<EncryptionKey>& key);

}  // namespace cubby::detail
