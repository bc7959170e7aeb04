// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The folder of a durable store: lock, manifest, checkpoint and log, and the order in which they change.
///
/// Invariants
///  1. What the manifest names is on the disk, and so is the folder that has the name, before the manifest is replaced.
///  2. Files that the manifest doesn't lead to any more are removed after that only.
///  3. The log begins with the generation after the manifest's checkpoint; a store that was closed has none.
///
/// Thread safety: one thread at a time, but for log(), which is made for many, and what only tells how long the log is.

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include <cubby/error.hpp>

#include "storage/checkpoint.hpp"
#include "storage/log.hpp"
#include "storage/log_reader.hpp"

namespace cubby::detail {

class DurableFolder {
 public:
  struct Settings {
    FileSystem* files = nullptr;
    std::filesystem::path folder;
    std::optional<EncryptionKey> key;
    bool read_only = false;
    /// For read_only: others write on and off, so the folder is read as beside a writer, whether there is one or not.
    bool beside_a_writer = false;
    Sync sync = Sync::never();
    std::size_t checkpoint_after = std::size_t{64} << 20;
    std::function<void()> wait_for_publishers;
    std::function<void()> on_growth;
  };

  /// Unless read_only, makes the folder if need be and takes its lock (Errc::locked), and makes a first manifest. Reads the
  /// manifest: Errc::corrupt, Errc::wrong_key; Errc::io if it is read_only and there is nothing.
  explicit DurableFolder(Settings settings);
  DurableFolder(const DurableFolder&) = delete;
  DurableFolder& operator=(const DurableFolder&) = delete;

  /// Keys in the checkpoint, as far as its size makes that likely.
  std::uint64_t keys() const;
  /// Hands out what the store holds: first each key of the checkpoint, from several threads at once; then the log's operations
  /// in order, from this one. Errc::corrupt.
  void load(const std::function<void(const LoggedOperation&)>& key,
            const std::function<void(const LoggedOperation&)>& operation);
  /// For read_only: whether the manifest is another than when this was made, or a writer has come or gone, so that what load()
  /// met may be explained by it.
  bool has_changed() const { return manifest_has_changed() || writer_came_or_went(); }
  /// Whether load() has read beside a writer, which must be trusted to put right what it is in the middle of.
  bool beside_a_writer() const noexcept { return beside_a_writer_; }

  /// Begins to write, after load(): settles what was found, and begins a generation.
  void begin(std::uint32_t first_version);
  Log& log() noexcept { return *log_; }

  /// Whether so much was logged that a checkpoint is due.
  bool checkpoint_due() const;
  /// Bytes of log that the next open would read.
  std::uint64_t log_bytes() const { return old_log_bytes_ + log_->bytes(); }

  /// A checkpoint of the log up to its current generation, before the next one is prepared: so a full disk is met before
  /// anything has changed. Sets aside the space that the last one took, or that the last attempt had come to; if there isn't
  /// so much, asks how much the store takes now, as it may have shrunk.
  std::unique_ptr<CheckpointWriter> begin_checkpoint(const std::function<std::uint64_t()>& measure);
  /// It can't be finished: notes how large it had become.
  void note_failed(const CheckpointWriter& checkpoint) noexcept;
  /// Makes it the one that counts, and removes what it makes needless. `closed`: nothing was or will be logged after it. If it
  /// throws, the file is removed, unless it may be that the manifest names it.
  void commit(CheckpointWriter& checkpoint, bool closed);
  /// The log is empty and stays so: notes that the store was closed.
  void note_closed();
  /// After commit(closed) or note_closed() has failed: the manifest says that there is a log again, or nothing can be written.
  void note_open() noexcept;
  /// After commit(closed) or note_closed(): ends the log, and gives up the lock. log() stays, for those who still hold it.
  void finish() noexcept;
  /// Nothing was logged since the checkpoint.
  bool log_is_empty() const { return old_log_bytes_ == 0 && log_->bytes() == 0; }

 private:
  bool manifest_has_changed() const;
  bool writer_came_or_went() const;
  void remove_needless();
  /// A checkpoint that the manifest doesn't name.
  void remove_unnamed(std::uint32_t checkpoint) noexcept;

  Settings settings_;
  std::unique_ptr<FileSystem::Lock> lock_;
  Manifest manifest_;
  bool beside_a_writer_ = false;
  std::set<std::string> names_;  ///< for read_only without a writer: of all files
  FoundLog found_;
  std::atomic<std::uint64_t> old_log_bytes_{0};  ///< of what was found, until a checkpoint holds it
  std::atomic<std::uint64_t> checkpoint_bytes_{0};
  std::uint64_t lacking_bytes_ = 0;  ///< so many were needed at least when a checkpoint failed; 0 once one has not
  std::unique_ptr<Log> log_;
};

/// For who opens a folder read_only that others may be writing: whether to open it once more.
class OpeningAgain {
 public:
  /// After an error, with the folder that was made, if any. May wait for a moment.
  bool helps(const DurableFolder* folder, const Error& error);
  /// For DurableFolder::Settings.
  bool beside_a_writer() const noexcept { return disturbed_ >= 3; }

 private:
  int tries_ = 0;
  int disturbed_ = 0;  ///< by writers that came or went
  int same_ = 0;       ///< what a writer doesn't cause is there again, and again
  std::string before_;
};

}  // namespace cubby::detail
