// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A checkpoint: a store's whole contents as one file of `set` operations, in blocks. A block is a frame (frame.hpp) of some
/// hundred KiB; the last frame says how many keys and blocks there were. A key may come twice, with the same value: it was
/// changed while the checkpoint was written, and left to it (store/cut.hpp).
///
/// Thread safety: a writer belongs to one thread; load_checkpoint() makes threads of its own.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "storage/durable_files.hpp"
#include "storage/operations.hpp"

namespace cubby::detail {

class CheckpointWriter {
 public:
  /// Makes the file, and has space set aside for `expected` bytes. Throws Errc::io, and leaves nothing then.
  CheckpointWriter(FileSystem& files, const std::filesystem::path& folder, const StoreId& store, std::uint32_t generation,
                   const std::optional<EncryptionKey>& key, std::uint64_t expected = 0);
  /// Removes the file unless it was finished.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  void add(const LoggedOperation& set);
  /// Writes what is left, and the last frame, and syncs the file.
  void finish();

  std::uint32_t generation() const noexcept { return header_.generation; }
  std::uint64_t bytes() const noexcept { return offset_; }
  /// With what was added and is not written yet.
  std::uint64_t bytes_to_be() const noexcept { return offset_ + codec_.frame_size(body_); }
  std::uint64_t keys() const noexcept { return keys_; }

 private:
  void write(std::span<const std::byte> bytes);
  /// Writes the body that was collected as a frame.
  void flush(FrameKind kind);
  void reserve(std::uint64_t bytes);

  FileSystem& files_;
  FileHeader header_;
  FrameCodec codec_;
  std::filesystem::path path_;
  std::unique_ptr<FileSystem::NewFile> file_;
  std::unique_ptr<std::byte[]> frame_;  ///< head, body, tag, mark
  std::uint64_t capacity_ = 0;
  std::uint64_t body_ = 0;  ///< collected
  std::uint64_t offset_ = 0;
  std::uint64_t keys_ = 0;
  std::uint64_t blocks_ = 0;
  bool finished_ = false;
};

/// What a checkpoint holds, in numbers.
struct CheckpointFigures {
  std::uint64_t keys = 0;
  std::uint64_t blocks = 0;
  std::uint64_t bytes = 0;
};

/// Reads the checkpoint that the manifest names, on several threads: `sink` is called by all of them at once. Errc::corrupt if
/// it isn't as it was written. `progress` (if any) is called now and then with the bytes read, by one thread at a time.
CheckpointFigures load_checkpoint(FileSystem& files, const std::filesystem::path& folder, const Manifest& manifest,
                                  const std::optional<EncryptionKey>& key,
                                  const std::function<void(const LoggedOperation&)>& sink,
                                  const std::function<void(std::uint64_t)>& progress = {});

}  // namespace cubby::detail
