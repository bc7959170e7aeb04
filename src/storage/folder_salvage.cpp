// SPDX-License-Identifier: Apache-2.0
#include "storage/folder_salvage.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include <cubby/error.hpp>

#include "storage/mended_files.hpp"

namespace cubby::detail {

namespace fs = std::filesystem;

// --------------------------------------------------------------------------------------------------------------- contents

namespace {

/// As Store's increment and decrement; empty where they would have thrown.
std::optional<Value> sum(bool adds, const Value& left, const Value& right) {
  if (!left.is_number() || !right.is_number()) return std::nullopt;
  if (left.is_int() && right.is_int()) {
    std::int64_t result = 0;
    const bool too_far = adds ? __builtin_add_overflow(left.as_int(), right.as_int(), &result)
                              : __builtin_sub_overflow(left.as_int(), right.as_int(), &result);
    return too_far ? std::nullopt : std::optional<Value>(result);
  }
  return adds ? left.as_double() + right.as_double() : left.as_double() - right.as_double();
}

/// A value that keeps no bytes alive but its own: what a record lends is gone with it.
Value owned(const Value& value) {
  if (!ValueAccess::is_counted(value)) return value;
  return ValueAccess::from_node(ValueAccess::tag(value), ValueAccess::node(value));
}

}  // namespace

bool SalvagedContents::apply(const LoggedOperation& operation) {
  if (operation.code == OperationCode::clear) {
    keys_.clear();
    return true;
  }
  auto found = keys_.find(operation.key);
  if (operation.fresh && found != keys_.end()) {
    keys_.erase(found);
    found = keys_.end();
  }
  const bool there = found != keys_.end();
  if (!there && !operation.fresh && operation.code != OperationCode::set && operation.code != OperationCode::erase)
    return false;
  const auto make = [&]() -> Key& { return there ? found->second : keys_[std::string(operation.key)]; };
  const auto whole = [&]() -> Value {
    if (!there) return {};
    if (found->second.queue) return Value::array(*found->second.queue);
    return found->second.value;
  };
  const auto put = [&](Key& key, Value value) {
    key.value = std::move(value);
    key.queue.reset();
  };
  /// The key's items, if it is an array.
  const auto queue = [&]() -> std::deque<Value>* {
    Key& key = found->second;
    if (key.queue) return &*key.queue;
    if (!key.value.is_array()) return nullptr;
    key.queue.emplace();
    for (const Value& item : key.value.elements()) key.queue->push_back(item);
    key.value = Value();
    return &*key.queue;
  };
  const auto set_deadline = [&](Key& key) {
    if (operation.deadline == LoggedOperation::Deadline::none) key.deadline_ms.reset();
    if (operation.deadline == LoggedOperation::Deadline::at) key.deadline_ms = operation.deadline_ms;
  };

  switch (operation.code) {
    case OperationCode::set: {
      Key& key = make();
      put(key, owned(*operation.value));
      set_deadline(key);
      return true;
    }
    case OperationCode::erase:
      if (there) keys_.erase(found);
      return true;
    case OperationCode::push:
    case OperationCode::unshift: {
      if (!there) {
        found = keys_.emplace(std::string(operation.key), Key{}).first;
        found->second.queue.emplace();
      }
      std::deque<Value>* items = queue();
      if (items == nullptr) return false;
      operation.code == OperationCode::push ? items->push_back(owned(*operation.value))
                                            : items->push_front(owned(*operation.value));
      return true;
    }
    case OperationCode::shift:
    case OperationCode::pop: {
      std::deque<Value>* items = there ? queue() : nullptr;
      if (items == nullptr || items->empty()) return false;
      operation.code == OperationCode::shift ? items->pop_front() : items->pop_back();
      return true;
    }
    case OperationCode::add:
    case OperationCode::subtract: {
      auto result = sum(operation.code == OperationCode::add, there ? whole() : Value(0), *operation.value);
      if (!result) return false;
      put(make(), std::move(*result));
      return true;
    }
    case OperationCode::merge: {
      const Value target = there ? whole() : Value::object({});
      if (!target.is_object() || !operation.value->is_object()) return false;
      put(make(), owned(merge_patch(target, *operation.value)));
      return true;
    }
    case OperationCode::expire:
      if (!there) return false;
      set_deadline(found->second);
      return true;
    case OperationCode::rename: {
      if (!there) return false;
      Key moved = std::move(found->second);
      keys_.erase(found);
      keys_[std::string(operation.other_key)] = std::move(moved);
      return true;
    }
    default:
      return false;
  }
}

std::uint64_t SalvagedContents::write(CheckpointWriter& to) const {
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::uint64_t written = 0;
  for (const auto& [name, key] : keys_) {
    if (key.deadline_ms && *key.deadline_ms <= now) continue;
    const Value value = key.queue ? Value::array(*key.queue) : key.value;
    LoggedOperation operation;
    operation.code = OperationCode::set;
    operation.key = name;
    operation.value = &value;
    if (key.deadline_ms) {
      operation.deadline = LoggedOperation::Deadline::at;
      operation.deadline_ms = *key.deadline_ms;
    }
    to.add(operation);
    ++written;
  }
  return written;
}

// ---------------------------------------------------------------------------------------------------------------- reading

namespace {

struct Frame {
  FrameHead head;
  std::vector<std::byte> bytes;  ///< of the whole frame
  std::span<std::byte> body;     ///< decrypted
};

/// A segment as it counts, read as a file.
class ImageFile final : public FileSystem::ReadFile {
 public:
  explicit ImageFile(SegmentImages::Image image) : image_(std::move(image)) {}
  std::uint64_t size() override { return image_.file.bytes().size(); }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> to) override {
    const auto bytes = image_.file.bytes();
    if (offset >= bytes.size()) return 0;
    const std::size_t length = std::min<std::size_t>(to.size(), bytes.size() - offset);
    std::memcpy(to.data(), bytes.data() + offset, length);
    return length;
  }

 private:
  SegmentImages::Image image_;
};

/// A file of frames, some of which are damaged.
class FrameFile {
 public:
  FrameFile(FileSystem& files, const fs::path& path, std::uint64_t start) : FrameFile(files.open(path), start) {}
  FrameFile(std::unique_ptr<FileSystem::ReadFile> file, std::uint64_t start) : file_(std::move(file)), start_(start) {
    if (!file_) return;
    size_ = file_->size();
    std::array<std::byte, FileHeader::kBytes> bytes{};
    if (file_->read_at(0, bytes) != bytes.size()) return;
    header_ = FileHeader::read(bytes);
    std::memcpy(&salt_, bytes.data() + 40, sizeof salt_);
    std::memcpy(&version_, bytes.data() + 8, sizeof version_);
    if (header_) version_ = header_->version;
    if (version_ != 1) version_ = kFormatVersion;
  }

  bool exists() const noexcept { return file_ != nullptr; }
  std::uint64_t size() const noexcept { return size_; }
  const std::optional<FileHeader>& header() const noexcept { return header_; }

  /// Without its header a file's salt may still stand where it should; a key that depends on the header doesn't.
  void use(bool encrypted, const std::optional<EncryptionKey>& key) {
    plain_.emplace(header_ ? header_->salt : salt_, std::nullopt, version_);
    if (encrypted && header_ && key) codec_ = header_->codec(key);
    if (!encrypted) codec_ = *plain_;
  }

  /// The whole frame at `offset`. Errc::wrong_key if it is as it was written, and can't be decrypted.
  std::optional<Frame> frame(std::uint64_t offset) {
    if (!codec_ || size_ < FrameCodec::kHeadBytes || offset > size_ - FrameCodec::kHeadBytes) return std::nullopt;
    std::uint64_t word = 0;
    file_->read_at(offset, std::as_writable_bytes(std::span(&word, 1)));
    const auto head = codec_->read_head(word, offset);
    if (!head || head->size > size_ - offset) return std::nullopt;
    Frame frame;
    frame.head = *head;
    frame.bytes.resize(head->size);
    if (file_->read_at(offset, frame.bytes) != head->size) return std::nullopt;
    if (head->kind == FrameKind::segment_end || head->kind == FrameKind::generation_end) return frame;
    if (!plain_->open(frame.bytes, offset)) return std::nullopt;
    const auto body = codec_->open(frame.bytes, offset);
    if (!body) throw Error(Errc::wrong_key, "the key is another one than the store was encrypted with");
    frame.body = *body;
    return frame;
  }

  /// Where the next whole frame begins, from `offset` on; size() if there is none.
  std::uint64_t find(std::uint64_t offset) {
    offset = std::max(start_, offset + 7) / 8 * 8;
    if (frame(offset)) return offset;
    if (!plain_ || offset >= size_) return size_;
    std::vector<std::byte> window(std::min<std::uint64_t>(std::uint64_t{1} << 20, size_ - offset));
    while (offset < size_) {
      const std::size_t length = file_->read_at(offset, window);
      for (std::size_t place = 0; place + 8 <= length; place += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, window.data() + place, sizeof word);
        if (word != 0 && plain_->read_head(word, offset + place) && frame(offset + place)) return offset + place;
      }
      if (length < 8) break;
      offset += length / 8 * 8;
    }
    return size_;
  }

 private:
  std::unique_ptr<FileSystem::ReadFile> file_;
  std::uint64_t start_;
  std::uint64_t size_ = 0;
  std::uint64_t salt_ = 0;
  std::uint32_t version_ = kFormatVersion;
  std::optional<FileHeader> header_;
  std::optional<FrameCodec> plain_;
  std::optional<FrameCodec> codec_;
};

/// Without the advice that fail_corrupt() gives.
std::string brief(std::string text) {
  if (const auto advice = text.find(". Nothing was changed"); advice != std::string::npos) text.resize(advice);
  return text;
}

}  // namespace

FolderSalvage::FolderSalvage(FileSystem& files, fs::path folder, std::optional<EncryptionKey> key,
                             const FolderProgress& progress)
    : files_(files), folder_(std::move(folder)), key_(key), progress_(progress) {
  report_.damage = check_folder(files_, folder_, key_, progress_, true).damage;
  find_manifest();
  if (manifest_.checkpoint != 0) read_checkpoint();
  if (!manifest_.closed) read_log_up_to_damage();
  report_.keys = contents_.size();
}

void FolderSalvage::find_manifest() {
  try {
    if (const auto found = read_manifest(files_, folder_, key_)) {
      manifest_ = *found;
      return;
    }
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt) throw;
  }
  report_.manifest_lost = true;
  manifest_.closed = true;  // unless there is a log
  std::vector<std::uint32_t> checkpoints;
  std::vector<FileName> segments;
  for (const std::string& name : files_.list(folder_)) {
    const auto parsed = parse_name(name);
    if (!parsed) continue;
    if (parsed->kind == FileName::Kind::checkpoint) checkpoints.push_back(parsed->generation);
    if (parsed->kind == FileName::Kind::segment) segments.push_back(*parsed);
  }
  const auto take_header = [&](const std::optional<FileHeader>& header) {
    if (!header) return;
    manifest_.store = header->store;
    manifest_.encrypted = header->encrypted;
  };
  // The newest that was written to its end: whether the manifest named it or not, it says the same as what it replaces.
  std::sort(checkpoints.rbegin(), checkpoints.rend());
  for (const std::uint32_t generation : checkpoints) {
    FrameFile file(files_, folder_ / checkpoint_name(generation), kCheckpointStart);
    const bool only_one = checkpoints.size() == 1;
    file.use(file.header() && file.header()->encrypted, key_);
    const std::uint64_t end = 16 + FrameCodec::kHeadBytes + FrameCodec::kMarkBytes +
                              (file.header() && file.header()->encrypted ? Cipher::kTagBytes : 0);
    const auto last = file.size() >= end ? file.frame(file.size() - end) : std::nullopt;
    if (!only_one && (!last || last->head.kind != FrameKind::last)) continue;
    manifest_.checkpoint = generation;
    manifest_.checkpoint_bytes = file.size();
    take_header(file.header());
    break;
  }
  if (manifest_.checkpoint == 0 && !checkpoints.empty()) {
    manifest_.checkpoint = checkpoints.front();
    FrameFile file(files_, folder_ / checkpoint_name(manifest_.checkpoint), kCheckpointStart);
    manifest_.checkpoint_bytes = file.size();
    take_header(file.header());
  }
  std::optional<std::uint32_t> first;
  for (const FileName& segment : segments) {
    if (segment.generation <= manifest_.checkpoint) continue;
    manifest_.closed = false;
    first = std::min(first.value_or(segment.generation), segment.generation);
  }
  if (first && manifest_.checkpoint == 0) {
    if (*first > 1) lossy_ = true;  // the checkpoint it goes on from is gone
    manifest_.checkpoint = *first - 1;
  }
  if (first && manifest_.store == StoreId{}) {
    take_header(FrameFile(files_, folder_ / segment_name(*first, 0), kSegmentStart).header());
  }
  if (manifest_.encrypted && !key_) throw Error(Errc::wrong_key, folder_.string() + " is encrypted");
  if (!manifest_.encrypted && key_) throw Error(Errc::wrong_key, folder_.string() + " is not encrypted");
}

void FolderSalvage::read_checkpoint() {
  const fs::path path = folder_ / checkpoint_name(manifest_.checkpoint);
  FrameFile file(files_, path, kCheckpointStart);
  const auto lose = [&](std::uint64_t from, std::uint64_t to) {
    if (to <= from) return;
    report_.lost_ranges.push_back({path, from, to - from});
    lossy_ = true;
  };
  if (!file.exists()) {
    if (report_.manifest_lost) return;  // there may never have been one
    lossy_ = true;
    report_.lost_ranges.push_back({path, 0, manifest_.checkpoint_bytes});
    report_.keys_lost = manifest_.keys;
    return;
  }
  file.use(manifest_.encrypted, key_);
  std::uint64_t offset = kCheckpointStart;
  std::optional<std::uint64_t> stated;
  while (offset < file.size()) {
    const auto frame = file.frame(offset);
    if (!frame) {
      const std::uint64_t next = file.find(offset + 8);
      lose(offset, next);
      offset = next;
      continue;
    }
    if (frame->head.kind == FrameKind::last && frame->body.size() == 16) {
      std::uint64_t keys = 0;
      std::memcpy(&keys, frame->body.data(), sizeof keys);
      stated = keys;
    }
    for (std::size_t place = 0; frame->head.kind == FrameKind::data && place < frame->body.size();) {
      OperationReader reader(frame->body.subspan(place));
      LoggedOperation operation;
      if (reader.next(operation) != OperationReader::Result::operation || operation.code != OperationCode::set) {
        lose(offset + FrameCodec::kHeadBytes + place, offset + frame->head.size);
        break;
      }
      contents_.apply(operation);
      ++report_.checkpoint_keys;
      place += (reader.place() + 7) & ~std::size_t{7};
    }
    offset += frame->head.size;
    if (progress_) progress_(offset, file.size());
  }
  if (!report_.manifest_lost) {
    stated = manifest_.keys;
    if (file.size() < manifest_.checkpoint_bytes) lose(file.size(), manifest_.checkpoint_bytes);
  }
  if (stated && *stated >= report_.checkpoint_keys) report_.keys_lost = *stated - report_.checkpoint_keys;
  if (report_.keys_lost.value_or(0) != 0) lossy_ = true;
}

void FolderSalvage::read_log_up_to_damage() {
  MendedFiles mended(files_);
  for (const std::string& name : files_.list(folder_)) {
    const auto parsed = parse_name(name);
    if (!parsed || parsed->kind != FileName::Kind::segment || parsed->generation <= manifest_.checkpoint) continue;
    if (auto start = mended_start(files_, folder_ / name, manifest_, key_)) mended.mend(folder_ / name, std::move(*start));
  }
  LogReading reading;
  reading.files = &mended;
  reading.folder = folder_;
  reading.manifest = manifest_;
  reading.key = key_;
  try {
    read_log(reading, [&](std::span<std::byte> body, const fs::path& path, std::uint64_t offset) {
      OperationReader reader(body);
      LoggedOperation operation;
      for (;;) {
        const std::size_t place = reader.place();
        const auto result = reader.next(operation);
        if (result == OperationReader::Result::end) break;
        const std::uint64_t at = offset + FrameCodec::kHeadBytes + place;
        if (result == OperationReader::Result::damaged) fail_corrupt(path, at, "no operation is written so");
        if (contents_.apply(operation)) continue;
        if (!lossy_) fail_corrupt(path, at, "the operation doesn't fit what was there");
        ++report_.operations_left_out;
      }
      ++report_.records;
    });
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt) throw;
    const std::string what = error.what();
    report_.log_end = brief(what);
    const fs::path file = damaged_file(what);
    if (report_.damage.empty()) report_.damage.push_back(what);
    report_.records_lost = count_records_behind(file, error.offset());
  }
}

std::uint64_t FolderSalvage::count_records_behind(const fs::path& file, std::uint64_t offset) {
  const SegmentImages images({&files_, folder_, manifest_.store, false});
  std::uint64_t records = 0;
  std::vector<std::string> names = files_.list(folder_);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const auto parsed = parse_name(name);
    if (!parsed || parsed->kind != FileName::Kind::segment || parsed->generation <= manifest_.checkpoint ||
        name < file.filename().string()) {
      continue;
    }
    std::unique_ptr<FileSystem::ReadFile> bytes = files_.open(folder_ / name);
    try {
      auto image = images.read(folder_ / name);
      if (image.is_whole()) bytes = std::make_unique<ImageFile>(std::move(image));
    } catch (const Error&) {
      // what its own file has
    }
    FrameFile segment(std::move(bytes), kSegmentStart);
    if (!segment.exists()) continue;
    segment.use(manifest_.encrypted, key_);
    std::uint64_t at = name == file.filename().string() ? std::max<std::uint64_t>(offset, kSegmentStart) : kSegmentStart;
    // The record with the damage is one of them, if its head can be read.
    while ((at = segment.find(at)) < segment.size()) {
      const auto frame = segment.frame(at);
      if (frame->head.kind == FrameKind::data) ++records;
      at += frame->head.size;
    }
  }
  return records;
}

void FolderSalvage::write(const fs::path& target) {
  files_.make_folder(target);
  std::error_code error;
  fs::permissions(target, fs::status(folder_, error).permissions(), error);
  Manifest manifest;
  fill_randomly(manifest.store);  // another history: no file of the old folder must pass for one of this
  manifest.encrypted = key_.has_value();
  manifest.closed = true;
  manifest.checkpoint = 1;
  CheckpointWriter writer(files_, target, manifest.store, manifest.checkpoint, key_);
  contents_.write(writer);
  writer.finish();
  files_.sync_folder(target);
  manifest.checkpoint_bytes = writer.bytes();
  manifest.keys = writer.keys();
  write_manifest(files_, target, manifest, key_);
  files_.sync_folder(target.parent_path());
}

}  // namespace cubby::detail
