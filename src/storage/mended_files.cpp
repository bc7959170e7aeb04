// SPDX-License-Identifier: Apache-2.0
#include "storage/mended_files.hpp"

#include <cstring>

#include <cubby/error.hpp>

#include "storage/log_window.hpp"

namespace cubby::detail {

std::optional<std::vector<std::byte>> mended_start(FileSystem& files, const std::filesystem::path& path,
                                                   const Manifest& manifest, const std::optional<EncryptionKey>& key) {
  std::vector<std::byte> start(kSegmentStart + FrameCodec::kHeadBytes);
  const auto named = parse_name(path.filename().string());
  const auto file = files.open(path);
  if (!file || !named || file->read_at(0, start) != start.size()) return std::nullopt;
  const auto word = [&](std::size_t offset) {
    std::uint64_t value = 0;
    std::memcpy(&value, start.data() + offset, sizeof value);
    return value;
  };
  auto header = FileHeader::read(start);
  const std::vector<std::byte> before = start;
  const SegmentImages images({&files, path.parent_path(), manifest.store, false});
  if (!header && (header = images.header_of(named->generation, named->number))) {
    header->write(std::span(start).first<FileHeader::kBytes>());
  }
  if (!header) {
    const bool was_written = word(FileHeader::kBytes - sizeof(std::uint64_t)) != 0;
    if (manifest.encrypted || !was_written) return std::nullopt;
    header.emplace();
    header->kind = FileHeader::Kind::segment;
    if (static_cast<std::uint32_t>(word(8)) == 1) header->version = 1;
    header->store = manifest.store;
    header->generation = named->generation;
    header->number = named->number;
    header->salt = word(40);
    header->size = file->size();
    // As if it lay where it was written: what isn't as it should be is damage then.
    const auto status = files.status(path);
    header->inode = status ? status->inode : 0;
    const std::string boot = files.boot_id();
    std::copy_n(boot.begin(), std::min(boot.size(), header->boot.size()), header->boot.begin());
    if (!FrameCodec(header->salt, std::nullopt, header->version).read_head(word(kSegmentStart), kSegmentStart))
      return std::nullopt;
    header->write(std::span(start).first<FileHeader::kBytes>());
  }
  if (header->encrypted && !key) return std::nullopt;
  const FrameCodec codec = header->codec(key);
  if (word(kSyncedOffset + 8) != codec.note_check(word(kSyncedOffset))) {
    const std::uint64_t note[2] = {kSegmentStart, codec.note_check(kSegmentStart)};
    std::memcpy(start.data() + kSyncedOffset, note, sizeof note);
  }
  // Without its window the segment has what was written into its own file.
  std::size_t zeros = kInWindowOffset;
  if (word(kInWindowOffset) == in_window_mark(header->salt)) {
    try {
      images.read(path);
      zeros += sizeof(std::uint64_t);
    } catch (const Error& error) {
      if (error.code() != Errc::corrupt) throw;
    }
  }
  std::fill(start.begin() + static_cast<std::ptrdiff_t>(zeros), start.begin() + kSegmentStart, std::byte{0});
  start.resize(kSegmentStart);
  if (std::equal(start.begin(), start.end(), before.begin())) return std::nullopt;
  return start;
}

}  // namespace cubby::detail
