// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One file of the log, as its writers see it: memory that fills from the front, and space for it on the disk.
///
/// The memory is a window's (log_window.hpp), from which it is written into the file later; or the file itself, mapped, where
/// no window is free, or a record is larger than one.
///
/// A record is reserved by putting its head at the tail (log_tail.hpp), so whatever was reserved has its length in the memory,
/// be it ever completed or not. It is complete once its mark is stored.
///
/// Invariants
///  1. Below the tail there are frames without a gap, each with a valid head. From the tail on all is zero, but for a head
///  whose
///     writer has not moved the tail yet.
///  2. A frame's bytes are written by who reserved it only, and once.
///  3. Nothing is reserved behind an end (segment_end, generation_end), as the tail stays where the end begins; and there is
///     always room for one.
///  4. What is written from the window into the file is complete, and the window goes only when nobody touches it any more.
///
/// Thread safety: reserve(), complete(), discard() and end() by any threads, tail() too; leave_memory() beside who syncs; the
/// rest by the owner.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "base/atomics.hpp"
#include "storage/durable_files.hpp"
#include "storage/log_tail.hpp"
#include "storage/log_window.hpp"

namespace cubby::detail {

class LogSegment {
 public:
  /// Makes the file; throws Errc::io if there is no room, and leaves nothing then. Before anything is reserved it has to be
  /// given its memory.
  LogSegment(FileSystem& files, const std::filesystem::path& folder, FileHeader header,
             const std::optional<EncryptionKey>& key);

  /// Gives it its memory: the window, which is taken, or without one the file itself. Throws Errc::io, with the window left
  /// where it was.
  void give_memory(FileSystem& files, std::unique_ptr<LogWindow>& window);

  std::uint32_t generation() const noexcept { return header_.generation; }
  std::uint32_t number() const noexcept { return header_.number; }
  std::uint64_t size() const noexcept { return header_.size; }
  const std::filesystem::path& path() const noexcept { return path_; }
  const FrameCodec& codec() const noexcept { return codec_; }

  /// Whether a frame of this size fits into an empty segment.
  bool can_hold(std::uint64_t frame) const noexcept { return frame + kSegmentStart + codec_.end_size() <= header_.size; }
  /// The offset of a new frame of this size; empty if the segment has ended, or has no room for it.
  std::optional<std::uint64_t> reserve(std::uint64_t frame) noexcept;
  std::byte* at(std::uint64_t offset) noexcept { return bytes_.data() + offset; }
  /// The body of the frame at `offset` is written, to where FrameCodec::close() wants it: from here on it counts.
  void complete(std::uint64_t offset, std::uint64_t frame, const std::byte* body) noexcept;
  /// It never will be.
  void discard(std::uint64_t offset, std::uint64_t frame) noexcept;
  /// Ends the segment. Once.
  void end(FrameKind kind) noexcept;

  /// First byte behind what has been reserved, an end included.
  std::uint64_t tail() const noexcept { return tail_.behind(codec_.end_size()); }
  bool ended() const noexcept { return tail_.ended(); }
  /// Half of it is used: time to prepare the next.
  bool half_used() const noexcept { return tail() > header_.size / 2; }

  // --- for who syncs; one at a time

  /// Brings to the disk what is below `offset`, and complete. Throws Errc::io.
  void sync_to(std::uint64_t offset);
  /// Up to where that has been done.
  std::uint64_t synced() const noexcept { return synced_; }
  /// Notes that in the file. It gets to the disk with the next sync. Throws Errc::io.
  void note_synced();
  /// Whether that has been noted, and is on the disk.
  bool note_is_synced() const noexcept { return note_synced_ == synced_; }
  /// Whether the file's name is on the disk, so that what is synced isn't lost with it.
  bool name_is_synced() const noexcept { return name_synced_; }
  void set_name_synced() noexcept { name_synced_ = true; }

  /// Closes the file: many of them may wait for a checkpoint. REQUIRES: it has no memory any more, and won't be synced again.
  void close() noexcept { file_.reset(); }

  // --- memory

  bool has_memory() const noexcept { return has_memory_.load(std::memory_order_acquire); }
  /// Makes sure that the file has all of it, and lets go of the memory: the window, if it was one. Throws Errc::io, and keeps
  /// the memory then. REQUIRES: it has ended, and all who reserved in it, or may try to, are done.
  std::unique_ptr<LogWindow> leave_memory();
  /// The same for a file that is to be removed.
  std::unique_ptr<LogWindow> drop_memory() noexcept;

 private:
  std::atomic_ref<std::uint64_t> word(std::uint64_t offset) noexcept {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(bytes_.data() + offset));
  }
  /// Puts a head at the tail; its offset. Empty if there is an end, or no room for `room` bytes.
  std::optional<std::uint64_t> append_head(FrameHead head, std::uint64_t room) noexcept;
  void prepare(std::uint64_t end) noexcept;
  /// Writes what is below `offset` from the window into the file. REQUIRES: flushing_ held.
  void flush_to(std::uint64_t offset);
  void write_word(std::uint64_t offset, std::uint64_t word);
  std::unique_ptr<LogWindow> drop_locked() noexcept;

  FileHeader header_;
  std::filesystem::path path_;
  FrameCodec codec_;
  std::unique_ptr<FileSystem::ReservedFile> file_;
  std::unique_ptr<FileSystem::MappedFile> mapped_;  ///< instead of a window
  std::unique_ptr<LogWindow> window_;               ///< under flushing_, but for those who write records
  std::span<std::byte> bytes_;
  alignas(64) LogTail<StdAtomics> tail_{kSegmentStart};
  std::atomic<std::uint64_t> prepared_{0};  ///< up to here the memory has been asked for
  std::atomic<bool> has_memory_{false};
  std::mutex flushing_;                    ///< the next one
  std::uint64_t flushed_ = kSegmentStart;  ///< up to here the file has what the window has
  std::uint64_t synced_ = kSegmentStart;
  bool name_synced_ = false;
  std::uint64_t noted_ = 0;        ///< in the file
  std::uint64_t note_synced_ = 0;  ///< the note that is on the disk
};

}  // namespace cubby::detail
