// SPDX-License-Identifier: Apache-2.0
#include "storage/log_segment.hpp"

#include <array>
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
      codec_(0, std::nullopt, kFormatVersion),
      file_(files.create_reserved(path_, header.size)) {
  try {
    header_.note_place(files.status(path_));
    codec_ = header_.codec(key);
    note_synced();
    std::array<std::byte, FileHeader::kBytes> bytes{};
    header_.write(bytes);
    file_->write_at(0, bytes);
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

void LogSegment::give_memory(FileSystem& files, std::unique_ptr<LogWindow>& window) {
  if (window != nullptr && header_.size <= window->image().size()) {
    window->take(header_);
    try {
      write_word(kInWindowOffset, in_window_mark(header_.salt));  // invariant 1 of log_window.hpp
    } catch (...) {
      window->give_back(FileHeader::kBytes);
      throw;
    }
    window_ = std::move(window);
    bytes_ = window_->image().first(header_.size);
    prepared_.store(window_->prepared().load(std::memory_order_relaxed), std::memory_order_relaxed);
  } else {
    mapped_ = files.map(path_);
    bytes_ = mapped_->bytes();
  }
  has_memory_.store(true, std::memory_order_release);
}

std::optional<std::uint64_t> LogSegment::append_head(FrameHead head, std::uint64_t room) noexcept {
  const auto put = [&](std::uint64_t offset) {
    std::uint64_t found = 0;
    // (1) acq_rel: the next writer finds the length; acquire: an end that is found was put after what it ends
    word(offset).compare_exchange_strong(found, codec_.head(head, offset), std::memory_order_acq_rel,
                                         std::memory_order_acquire);
    return found;
  };
  const auto read = [&](std::uint64_t found, std::uint64_t offset) {
    const FrameHead other = *codec_.read_head(found, offset);  // invariant 1
    return ReservedHead{other.size, other.kind != FrameKind::data};
  };
  return tail_.append({head.size, head.kind != FrameKind::data}, room, bytes_.size(), put, read);
}

std::optional<std::uint64_t> LogSegment::reserve(std::uint64_t frame) noexcept {
  if (ended()) return std::nullopt;
  const auto offset = append_head({FrameKind::data, frame}, frame + codec_.end_size());  // invariant 3
  if (offset) prepare(*offset + frame);
  return offset;
}

void LogSegment::prepare(std::uint64_t end) noexcept {
  std::uint64_t prepared = prepared_.load(std::memory_order_relaxed);
  if (end + kPrepareStep / 4 <= prepared || prepared >= bytes_.size()) [[likely]]
    return;
  const std::uint64_t next = end / kPrepareStep * kPrepareStep + 2 * kPrepareStep;
  if (!prepared_.compare_exchange_strong(prepared, next, std::memory_order_relaxed)) return;  // somebody else does it
  if (mapped_ != nullptr) {
    mapped_->prepare(prepared, next - prepared);
  } else {
    window_->prepare(prepared, next - prepared);
  }
}

void LogSegment::complete(std::uint64_t offset, std::uint64_t frame, const std::byte* body) noexcept {
  const std::uint64_t mark = codec_.close({at(offset), frame}, codec_.head({FrameKind::data, frame}, offset), offset, body);
  // (2) release: who sees the mark (a reader in another process) sees the body
  word(offset + frame - FrameCodec::kMarkBytes).store(mark, std::memory_order_release);
}

void LogSegment::discard(std::uint64_t offset, std::uint64_t frame) noexcept {
  std::memset(at(offset) + FrameCodec::kHeadBytes, 0, frame - FrameCodec::kHeadBytes - FrameCodec::kMarkBytes);
  const std::uint64_t mark = codec_.void_mark(word(offset).load(std::memory_order_relaxed), offset);
  word(offset + frame - FrameCodec::kMarkBytes).store(mark, std::memory_order_release);
}

void LogSegment::end(FrameKind kind) noexcept {
  const FrameHead head{kind, codec_.end_size()};
  const std::lock_guard lock(flushing_);                       // an end that has no mark yet must not get into the file
  const std::uint64_t offset = *append_head(head, head.size);  // invariant 3
  const std::uint64_t mark = codec_.end_mark(codec_.head(head, offset), offset);
  word(offset + FrameCodec::kHeadBytes).store(mark, std::memory_order_release);
  tail_.set_ended();
}

void LogSegment::write_word(std::uint64_t offset, std::uint64_t word) {
  file_->write_at(offset, std::as_bytes(std::span(&word, 1)));
}

void LogSegment::flush_to(std::uint64_t offset) {
  if (offset <= flushed_) return;
  file_->write_at(flushed_, bytes_.subspan(flushed_, offset - flushed_));
  flushed_ = offset;
}

void LogSegment::sync_to(std::uint64_t offset) {
  const std::uint64_t noted = noted_;
  {
    const std::lock_guard lock(flushing_);
    if (window_ != nullptr) flush_to(offset);
  }
  file_->sync();
  synced_ = offset;
  note_synced_ = noted;
}

void LogSegment::note_synced() {
  const std::uint64_t note[2] = {synced_, codec_.note_check(synced_)};
  file_->write_at(kSyncedOffset, std::as_bytes(std::span(note)));
  noted_ = synced_;
}

std::unique_ptr<LogWindow> LogSegment::leave_memory() {
  const std::lock_guard lock(flushing_);
  if (window_ != nullptr) {
    flush_to(tail());
    write_word(kInWindowOffset, 0);
  }
  return drop_locked();
}

std::unique_ptr<LogWindow> LogSegment::drop_memory() noexcept {
  const std::lock_guard lock(flushing_);
  return drop_locked();
}

std::unique_ptr<LogWindow> LogSegment::drop_locked() noexcept {
  has_memory_.store(false, std::memory_order_release);
  bytes_ = {};
  mapped_.reset();
  if (window_ != nullptr) {
    window_->prepared().store(prepared_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  return std::move(window_);
}

}  // namespace cubby::detail
