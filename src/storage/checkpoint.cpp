// SPDX-License-Identifier: Apache-2.0
#include "storage/checkpoint.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include <cubby/error.hpp>

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

// Large enough that a frame costs little, small enough that all threads have work, and that a writer needs little memory.
constexpr std::uint64_t kBlockBytes = 256 << 10;
constexpr std::size_t kMostThreads = 8;

}  // namespace

CheckpointWriter::CheckpointWriter(FileSystem& files, const fs::path& folder, const StoreId& store, std::uint32_t generation,
                                   const std::optional<EncryptionKey>& key, std::uint64_t expected)
    : files_(files), codec_(0, std::nullopt, kFormatVersion), path_(folder / checkpoint_name(generation)) {
  header_.kind = FileHeader::Kind::checkpoint;
  header_.encrypted = key.has_value();
  header_.store = store;
  header_.generation = generation;
  header_.salt = random_word();
  codec_ = header_.codec(key);
  reserve(2 * kBlockBytes);
  if (files_.status(path_)) files_.remove(path_);  // of an attempt that failed
  file_ = files_.create(path_, nullptr);
  if (!file_) throw Error(Errc::io, "creating " + path_.string() + ": somebody else does so too");
  try {
    file_->reserve(expected);
    std::array<std::byte, FileHeader::kBytes> bytes{};
    header_.write(bytes);
    write(bytes);
  } catch (...) {
    file_.reset();
    try {
      files_.remove(path_);
    } catch (const std::exception&) {
      // the next attempt or open removes it
    }
    throw;
  }
}

CheckpointWriter::~CheckpointWriter() {
  file_.reset();
  if (finished_) return;
  try {
    files_.remove(path_);
  } catch (const std::exception&) {
    // The manifest doesn't name it; the next open removes it.
  }
}

void CheckpointWriter::write(std::span<const std::byte> bytes) {
  std::string_view left(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!left.empty()) {
    const std::size_t written = file_->write_some(left);
    if (written == 0 || written > left.size()) throw_io_error("writing", path_, EIO);
    left.remove_prefix(written);
    offset_ += written;
  }
}

void CheckpointWriter::reserve(std::uint64_t bytes) {
  if (bytes <= capacity_) return;
  auto larger = std::make_unique_for_overwrite<std::byte[]>(bytes);
  if (body_ != 0) std::memcpy(larger.get(), frame_.get(), FrameCodec::kHeadBytes + body_);
  frame_ = std::move(larger);
  capacity_ = bytes;
}

void CheckpointWriter::add(const LoggedOperation& set) {
  OperationWriter measure;
  measure.write(set);
  const std::uint64_t size = measure.body_size();
  if (body_ != 0 && body_ + size > kBlockBytes) flush(FrameKind::data);
  reserve(codec_.frame_size(body_ + size));
  // Each begins at a multiple of 8, so its node lies where its own writer puts it.
  OperationWriter writer(frame_.get() + FrameCodec::kHeadBytes + body_);
  writer.write(set);
  writer.pad(size);
  body_ += size;
  ++keys_;
}

void CheckpointWriter::flush(FrameKind kind) {
  const std::uint64_t frame = codec_.frame_size(body_);
  const std::uint64_t head = codec_.head({kind, frame}, offset_);
  std::memcpy(frame_.get(), &head, sizeof head);
  const std::uint64_t mark = codec_.close({frame_.get(), frame}, head, offset_);
  std::memcpy(frame_.get() + frame - FrameCodec::kMarkBytes, &mark, sizeof mark);
  write({frame_.get(), frame});
  body_ = 0;
  ++blocks_;
}

void CheckpointWriter::finish() {
  if (body_ != 0) flush(FrameKind::data);
  const std::uint64_t figures[2] = {keys_, blocks_};
  std::memcpy(frame_.get() + FrameCodec::kHeadBytes, figures, sizeof figures);
  body_ = sizeof figures;
  flush(FrameKind::last);
  file_->sync();
  file_->close();
  file_.reset();
  finished_ = true;
}

namespace {

/// Hands out one frame after the other, each to the thread that asks.
class FrameSource {
 public:
  FrameSource(FileSystem& files, const fs::path& folder, const Manifest& manifest, const std::optional<EncryptionKey>& key,
              const std::function<void(std::uint64_t)>& progress)
      : path_(folder / checkpoint_name(manifest.checkpoint)),
        progress_(progress),
        codec_(0, std::nullopt, kFormatVersion),
        file_(files.open(path_)) {
    if (!file_) fail_missing(path_, "and the manifest names it");
    size_ = file_->size();
    std::array<std::byte, FileHeader::kBytes> bytes{};
    if (size_ != manifest.checkpoint_bytes) {
      fail_corrupt(
          path_, std::min(size_, manifest.checkpoint_bytes),
          "it has " + std::to_string(size_) + " bytes, and the manifest says " + std::to_string(manifest.checkpoint_bytes));
    }
    file_->read_at(0, bytes);
    const auto header = FileHeader::read(bytes);
    if (!header || header->kind != FileHeader::Kind::checkpoint)
      fail_corrupt(path_, 0, "it doesn't begin as a checkpoint does");
    if (header->store != manifest.store || header->generation != manifest.checkpoint ||
        header->encrypted != manifest.encrypted) {
      fail_corrupt(path_, 0, "it is another store's, or another file under this name");
    }
    codec_ = header->codec(key);
  }

  struct Frame {
    std::unique_ptr<std::byte[]> bytes;
    std::uint64_t capacity = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    FrameKind kind = FrameKind::data;
    std::span<std::byte> span() const noexcept { return {bytes.get(), size}; }
  };

  /// False at the end.
  bool next(Frame& frame) {
    const std::lock_guard lock(mutex_);
    if (finished_) return false;
    std::uint64_t word = 0;
    if (size_ - offset_ < sizeof word) fail_corrupt(path_, offset_, "its last block is missing");
    file_->read_at(offset_, std::as_writable_bytes(std::span(&word, 1)));
    const auto head = codec_.read_head(word, offset_);
    const bool known = head && (head->kind == FrameKind::data || head->kind == FrameKind::last);
    if (!known || head->size > size_ - offset_) fail_corrupt(path_, offset_, "no block begins as these bytes do");
    if (frame.capacity < head->size) {
      frame.bytes = std::make_unique_for_overwrite<std::byte[]>(head->size);
      frame.capacity = head->size;
    }
    frame.offset = offset_;
    frame.size = head->size;
    frame.kind = head->kind;
    if (file_->read_at(offset_, frame.span()) != head->size) fail_corrupt(path_, offset_, "the block is cut short");
    offset_ += head->size;
    finished_ = head->kind == FrameKind::last;
    if (finished_ && offset_ != size_) fail_corrupt(path_, offset_, "there is something behind its last block");
    if (progress_) progress_(offset_);
    return true;
  }
  /// Nobody gets anything any more.
  void stop() {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }

  const fs::path& path() const noexcept { return path_; }
  const FrameCodec& codec() const noexcept { return codec_; }
  std::uint64_t size() const noexcept { return size_; }

 private:
  const fs::path path_;
  const std::function<void(std::uint64_t)>& progress_;
  FrameCodec codec_;
  std::mutex mutex_;
  std::unique_ptr<FileSystem::ReadFile> file_;
  std::uint64_t size_ = 0;
  std::uint64_t offset_ = kCheckpointStart;
  bool finished_ = false;
};

struct Counts {
  std::atomic<std::uint64_t> keys{0};
  std::atomic<std::uint64_t> blocks{0};
  std::atomic<std::uint64_t> stated_keys{0};
  std::atomic<std::uint64_t> stated_blocks{0};
};

void read_blocks(FrameSource& source, const std::function<void(const LoggedOperation&)>& sink, Counts& counts) {
  FrameSource::Frame frame;
  while (source.next(frame)) {
    const auto body = source.codec().open(frame.span(), frame.offset);
    if (!body) fail_corrupt(source.path(), frame.offset, "the block's checksum is wrong");
    if (frame.kind == FrameKind::last) {
      std::uint64_t figures[2] = {};
      if (body->size() != sizeof figures) fail_corrupt(source.path(), frame.offset, "the last block is none");
      std::memcpy(figures, body->data(), sizeof figures);
      counts.stated_keys = figures[0];
      counts.stated_blocks = figures[1];
      return;
    }
    std::uint64_t keys = 0;
    for (std::size_t place = 0; place < body->size();) {
      OperationReader reader(body->subspan(place));
      LoggedOperation operation;
      if (reader.next(operation) != OperationReader::Result::operation || operation.code != OperationCode::set) {
        fail_corrupt(source.path(), frame.offset + FrameCodec::kHeadBytes + place, "it is no key with a value");
      }
      const std::size_t end = (reader.place() + 7) & ~std::size_t{7};
      for (std::size_t pad = reader.place(); pad < end; ++pad) {
        if ((*body)[place + pad] != std::byte{0})
          fail_corrupt(source.path(), frame.offset + FrameCodec::kHeadBytes + place + pad, "there should be zeros");
      }
      sink(operation);
      place += end;
      ++keys;
    }
    counts.keys += keys;
    ++counts.blocks;
  }
}

}  // namespace

CheckpointFigures load_checkpoint(FileSystem& files, const fs::path& folder, const Manifest& manifest,
                                  const std::optional<EncryptionKey>& key,
                                  const std::function<void(const LoggedOperation&)>& sink,
                                  const std::function<void(std::uint64_t)>& progress) {
  FrameSource source(files, folder, manifest, key, progress);
  Counts counts;
  std::mutex failing;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      read_blocks(source, sink, counts);
    } catch (...) {
      source.stop();
      const std::lock_guard lock(failing);
      if (!failure) failure = std::current_exception();
    }
  };
  {
    const std::uint64_t useful = source.size() / kBlockBytes;
    const std::size_t threads = std::min({static_cast<std::size_t>(std::max(1U, std::thread::hardware_concurrency())),
                                          kMostThreads, static_cast<std::size_t>(useful + 1)});
    std::vector<std::jthread> others;
    try {
      while (others.size() + 1 < threads) others.emplace_back(work);
    } catch (const std::system_error&) {
      // fewer threads, then
    }
    work();
  }
  if (failure) std::rethrow_exception(failure);
  if (counts.keys != counts.stated_keys || counts.blocks != counts.stated_blocks) {
    fail_corrupt(source.path(), source.size(), "blocks are missing");
  }
  return {counts.keys, counts.blocks, source.size()};
}

}  // namespace cubby::detail
