// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Memory that the log's current segments are written through, used again and again.
///
/// The first touch of each page of a mapped file costs a fault, and once the page has been synced, its next touch another: on
/// virtual machines dearer than the records in it. So records are put into a window, a mapped file of its own whose pages are
/// touched once and never synced, and written from there into the segment's file by large calls: before a sync, and when the
/// segment has ended. When the process dies, the window still has what the segment's file lacks; when the machine dies,
/// nothing that was acknowledged as synced stood in the window only.
///
/// The file: a page with a header and one word of state, then the image of a segment from its first byte on.
///
/// Invariants
///  1. A segment whose file lacks records has in_window_mark() in its file, and its header stands in the window's image. The
///     mark goes before the window is given to another segment; that waits until all writers that might still touch it have
///     ended.
///  2. While the state is clean, the image is zeros; while it is that of a segment, the image is what the segment's file will
///     be, but for what stands between header and frames.
///
/// Thread safety: a LogWindow belongs to one segment at a time, or to nobody; plain functions.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/durable_files.hpp"

namespace cubby::detail {

class LogWindow {
 public:
  /// Makes the file, with room for segments of `header.size` bytes. Throws Errc::io, and leaves nothing then.
  LogWindow(FileSystem& files, const std::filesystem::path& folder, FileHeader header);

  const std::filesystem::path& path() const noexcept { return path_; }
  std::span<std::byte> image() noexcept { return file_->bytes().subspan(kImageOffset); }
  /// A hint that these bytes of the image will be written soon.
  void prepare(std::size_t offset, std::size_t length) noexcept { file_->prepare(kImageOffset + offset, length); }
  /// Up to here that has been asked for.
  std::atomic<std::uint64_t>& prepared() noexcept { return prepared_; }

  /// From here on the image is that of the segment with this header.
  void take(const FileHeader& segment) noexcept;
  /// The segment's file has all of it: the image becomes zeros up to `used`, and free.
  void give_back(std::uint64_t used) noexcept;

  static constexpr std::size_t kImageOffset = 4096;  // so that image and file have their pages alike
  static constexpr std::size_t kStateOffset = FileHeader::kBytes;
  static constexpr std::uint64_t kClean = 0, kCleaning = 0x676e696e61656c63;  // "cleaning"
  /// The state in which the image is that of the segment with this header.
  static std::uint64_t state_of(std::span<const std::byte, FileHeader::kBytes> segment) noexcept;

 private:
  void set_state(std::uint64_t state) noexcept;

  std::filesystem::path path_;
  std::unique_ptr<FileSystem::MappedFile> file_;
  std::atomic<std::uint64_t> prepared_{0};
};

// --- reading, after whatever ended the log, or beside its writer

/// The bytes of a file, at a multiple of 16.
class FileImage {
 public:
  FileImage() = default;
  /// Room for so much of this file. Throws Errc::io if there isn't.
  FileImage(std::size_t size, const std::filesystem::path& path);
  /// The whole file. Throws Errc::io, also if it isn't there any more.
  FileImage(FileSystem& files, const std::filesystem::path& path);
  std::span<std::byte> bytes() noexcept { return {bytes_.get(), size_}; }
  std::span<const std::byte> bytes() const noexcept { return {bytes_.get(), size_}; }
  void shrink(std::size_t size) noexcept { size_ = size; }

 private:
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> bytes_;
};

/// Segments as they count: what stands in a window is put over what the file has.
class SegmentImages {
 public:
  struct Settings {
    FileSystem* files = nullptr;
    std::filesystem::path folder;
    StoreId store{};
    /// Another process may be writing.
    bool beside_a_writer = false;
  };
  explicit SegmentImages(Settings settings);

  struct Image {
    /// All of it; its first bytes only if it isn't as long as its header says, and so no segment.
    FileImage file;
    std::uint64_t file_size = 0;
    bool is_whole() const noexcept { return file.bytes().size() == file_size; }
    /// Empty, or the window that the image was completed from.
    std::filesystem::path window;
    /// Up to here the file itself has what the image has.
    std::uint64_t in_file = 0;
  };
  /// Errc::corrupt if the window is missing or damaged.
  Image read(const std::filesystem::path& segment) const;
  /// Reads bytes of the image again, as they are now. REQUIRES: beside_a_writer.
  void read_again(const std::filesystem::path& segment, const FileHeader& header, std::uint64_t offset,
                  std::span<std::byte> bytes) const;

  /// What the header of this segment is, if a window has it.
  std::optional<FileHeader> header_of(std::uint32_t generation, std::uint32_t number) const;

  const std::vector<std::filesystem::path>& windows() const noexcept { return windows_; }
  /// Verifies a window that no segment needs: Errc::corrupt if it isn't as a writer leaves it.
  void check_unused(const std::filesystem::path& window) const;

 private:
  struct Found;
  std::optional<Found> find(const FileHeader& header, std::span<const std::byte> header_bytes) const;
  void put_over(Image& image, FileImage& window, const std::filesystem::path& segment) const;
  static void put_behind(Image& image, FileImage& window, const FileHeader& header);
  void complete(Image& image, const std::filesystem::path& segment, const FileHeader& header) const;

  Settings settings_;
  std::string boot_;
  std::vector<std::filesystem::path> windows_;
};

}  // namespace cubby::detail
