// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The files of a durable store: their names, the manifest, and the header that log segments and checkpoints begin with.
/// docs/format.md has them byte by byte.
///
///   MANIFEST              which checkpoint counts, and where the log begins; replaced atomically
///   checkpoint.G          everything in the log's generations up to G (eight hex digits)
///   log.G.N               segment N of generation G
///   window.G.N            memory that segments are written through (log_window.hpp), of the log that began with generation G
///   LOCK                  held by the process that writes
///
/// A generation is the log between two checkpoints. Segments are read in the order of generations and numbers.
///
/// Thread safety: plain functions and values.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "storage/cipher.hpp"
#include "storage/file_system.hpp"
#include "storage/frame.hpp"

namespace cubby::detail {

using StoreId = std::array<std::byte, 16>;

inline constexpr std::string_view kManifestName = "MANIFEST";
inline constexpr std::string_view kLockName = "LOCK";
inline constexpr std::uint32_t kFormatVersion = 3;

std::string checkpoint_name(std::uint32_t generation);
std::string segment_name(std::uint32_t generation, std::uint32_t number);
std::string window_name(std::uint32_t generation, std::uint32_t number);

/// What a name in the folder is, if it is one of ours.
struct FileName {
  enum class Kind : std::uint8_t { checkpoint, segment, window, temporary } kind;
  std::uint32_t generation = 0;
  std::uint32_t number = 0;
};
std::optional<FileName> parse_name(std::string_view name);

struct Manifest {
  StoreId store{};
  bool encrypted = false;
  /// The store was closed: there is no log.
  bool closed = false;
  /// 0: there is no checkpoint. The log begins with the generation after it.
  std::uint32_t checkpoint = 0;
  std::uint64_t checkpoint_bytes = 0;
  std::uint64_t keys = 0;  ///< in the checkpoint
};

/// Replaces the manifest.
void write_manifest(FileSystem& files, const std::filesystem::path& folder, const Manifest& manifest,
                    const std::optional<EncryptionKey>& key);
/// Empty if there is none. Errc::corrupt if it is damaged, Errc::wrong_key if the key isn't the store's.
std::optional<Manifest> read_manifest(FileSystem& files, const std::filesystem::path& folder,
                                      const std::optional<EncryptionKey>& key);
/// The same without looking at the key: for commands that tell what a folder is.
std::optional<Manifest> read_manifest_unverified(FileSystem& files, const std::filesystem::path& folder);

/// How a segment, a window or a checkpoint begins.
struct FileHeader {
  enum class Kind : std::uint8_t { segment = 1, checkpoint = 2, window = 3 } kind = Kind::segment;
  std::uint32_t version = kFormatVersion;
  bool encrypted = false;
  StoreId store{};
  std::uint32_t generation = 0;
  std::uint32_t number = 0;  ///< segments
  std::uint64_t salt = 0;    ///< random
  std::uint64_t size = 0;    ///< of a segment's file, or of the largest segment that a window takes
  /// Which file this was when it was written: a copy has another inode, and another run of the machine another boot id.
  std::uint64_t inode = 0;
  std::array<char, 36> boot{};
  /// The same for copies that have its inode number on another device, or after it: 0 where it wasn't known, as in files of
  /// before these were noted.
  std::uint64_t volume = 0;
  std::uint64_t birth = 0;

  static constexpr std::size_t kBytes = 128;

  void write(std::span<std::byte, kBytes> to) const noexcept;
  /// Empty if the bytes are no such header.
  static std::optional<FileHeader> read(std::span<const std::byte> from) noexcept;
  /// The file with this status is the one that the header is for.
  void note_place(const std::optional<FileSystem::Status>& status) noexcept;
  /// Whether the file lies where it was made, and the machine has run ever since: it is then as its last process left it.
  bool is_untouched(const std::optional<FileSystem::Status>& status, std::string_view boot) const noexcept;
  /// For the frames of the file.
  FrameCodec codec(const std::optional<EncryptionKey>& key) const;
};

/// Frames of a segment begin here. Between this and the header are the word up to which the segment was synced, its check, and
/// a word that says whether what counts stands in a window.
inline constexpr std::size_t kSegmentStart = 192;
inline constexpr std::size_t kSyncedOffset = 128;
inline constexpr std::size_t kInWindowOffset = 144;
/// Frames of a checkpoint.
inline constexpr std::size_t kCheckpointStart = FileHeader::kBytes;

/// What stands at kInWindowOffset of a segment with this salt while it is written through a window; 0 otherwise.
std::uint64_t in_window_mark(std::uint64_t salt) noexcept;

/// A new salt.
std::uint64_t random_word();

/// Throws Errc::corrupt: path, offset, what, and what to do.
[[noreturn]] void fail_corrupt(const std::filesystem::path& path, std::uint64_t offset, std::string_view what);
/// The same of a file that should be there: path, what says so, and what to do.
[[noreturn]] void fail_missing(const std::filesystem::path& path, std::string_view why);
/// The path that such an error names.
std::filesystem::path damaged_file(std::string_view what);

}  // namespace cubby::detail
