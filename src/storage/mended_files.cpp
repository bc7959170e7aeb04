// SPDX-License-Identifier: Apache-2.0
#include "storage/mended_files.hpp"

#include <cstring>

namespace cubby::detail {

std::optional<std::vector<std::byte>> mended_start(FileSystem& files, const std::filesystem::path& path,
                                                   const Manifest& manifest) {
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
  if (!header) {
    const bool was_written = word(FileHeader::kBytes - sizeof(std::uint64_t)) != 0;
    if (manifest.encrypted || !was_written) return std::nullopt;
    header.emplace();
    header->kind = FileHeader::Kind::segment;
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
    if (!FrameCodec(header->salt, std::nullopt).read_head(word(kSegmentStart), kSegmentStart)) return std::nullopt;
    header->write(std::span(start).first<FileHeader::kBytes>());
  }
  if (word(kSyncedOffset + 8) != synced_check(word(kSyncedOffset), header->salt)) {
    const std::uint64_t note[2] = {kSegmentStart, synced_check(kSegmentStart, header->salt)};
    std::memcpy(start.data() + kSyncedOffset, note, sizeof note);
  }
  std::fill(start.begin() + kSyncedOffset + 16, start.begin() + kSegmentStart, std::byte{0});
  start.resize(kSegmentStart);
  if (std::equal(start.begin(), start.end(), before.begin())) return std::nullopt;
  return start;
}

}  // namespace cubby::detail
