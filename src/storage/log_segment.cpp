// SPDX-License-Identifier: Apache-2.0
#include "storage/log_segment.hpp"

#include <cstring>
#include <exception>
#include <utility>

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

// Memory is asked for in steps of this: one system call instead of a page fault for each 4 KiB.
constexpr std::uint64_t kPrepareStep = 512 << 10;

}  // namespace

LogSegment::LogSegment(FileSystem& files, const fs::path& folder, FileHeader header, const std::optional<EncryptionKey>& key)
    : header_(header),
      path_(folder / segment_name(header.generation, header.number)),
      codec_(0, std::nullopt),
      file_(files.create_mapped(path_, header.size)),
      bytes_(file_->bytes()) {
  try {
    const auto status = files.status(path_);
    header_.inode = status ? status->inode : 0;
    codec_ = header_.codec(key);
    note_synced();
    header_.write(bytes_.first<FileHeader::kBytes>());
  } catch (...) {
    file_.reset();
    try {
      files.remove(path_);
    } catch (const std::exception&) {
      // the next attempt or open removes it
    }
    throw;
  }
}

std::optional<std::uint64_t> LogSegment::append_head(FrameHead head, std::uint64_t room) noexcept {
  std::uint64_t offset = tail_.load(std::memory_order_acquire);
  for (;;) {
    if (offset + room > bytes_.size()) return std::nullopt;
    std::uint64_t found = 0;
    // (1) acq_rel: the next writer finds the length; acquire: an end that is found was put after what it ends
    if (word(offset).compare_exchange_strong(found, codec_.head(head, offset), std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
      std::uint64_t seen = offset;
      tail_.compare_exchange_strong(seen, offset + head.size, std::memory_order_seq_cst, std::memory_order_relaxed);
      return offset;
    }
    const FrameHead other = *codec_.read_head(found, offset);  // invariant 1
    // Help its writer, who may have been descheduled. If that fails somebody has done so.
    std::uint64_t seen = offset;
    tail_.compare_exchange_strong(seen, offset + other.size, std::memory_order_seq_cst, std::memory_order_acquire);
    if (other.kind != FrameKind::data) return std::nullopt;
    offset += other.size;
  }
}

std::optional<std::uint64_t> LogSegment::reserve(std::uint64_t frame) noexcept {
  if (ended()) return std::nullopt;
  const auto offset = append_head({FrameKind::data, frame}, frame + FrameCodec::kHeadBytes);  // invariant 3
  if (offset) prepare(*offset + frame);
  return offset;
}

void LogSegment::prepare(std::uint64_t end) noexcept {
  std::uint64_t prepared = prepared_.load(std::memory_order_relaxed);
  if (end + kPrepareStep / 4 <= prepared || prepared >= bytes_.size()) [[likely]]
    return;
  const std::uint64_t next = end / kPrepareStep * kPrepareStep + 2 * kPrepareStep;
  if (!prepared_.compare_exchange_strong(prepared, next, std::memory_order_relaxed)) return;  // somebody else does it
  file_->prepare(prepared, next - prepared);
}

void LogSegment::complete(std::uint64_t offset, std::uint64_t frame) noexcept {
  const std::uint64_t mark = codec_.close({at(offset), frame}, codec_.head({FrameKind::data, frame}, offset), offset);
  // (2) release: who sees the mark (a reader in another process) sees the body
  word(offset + frame - FrameCodec::kMarkBytes).store(mark, std::memory_order_release);
}

void LogSegment::discard(std::uint64_t offset, std::uint64_t frame) noexcept {
  std::memset(at(offset) + FrameCodec::kHeadBytes, 0, frame - FrameCodec::kHeadBytes - FrameCodec::kMarkBytes);
  const std::uint64_t mark = codec_.void_mark(word(offset).load(std::memory_order_relaxed), offset);
  word(offset + frame - FrameCodec::kMarkBytes).store(mark, std::memory_order_release);
}

void LogSegment::end(FrameKind kind) noexcept {
  append_head({kind, FrameCodec::kHeadBytes}, FrameCodec::kHeadBytes);
  ended_.store(true, std::memory_order_release);
}

void LogSegment::sync_to(std::uint64_t offset) {
  const std::uint64_t noted = noted_;
  file_->sync();
  synced_ = offset;
  note_synced_ = noted;
}

void LogSegment::note_synced() noexcept {
  noted_ = synced_;
  word(kSyncedOffset).store(noted_, std::memory_order_relaxed);
  word(kSyncedOffset + 8).store(synced_check(noted_, header_.salt), std::memory_order_relaxed);
}

}  // namespace cubby::detail
