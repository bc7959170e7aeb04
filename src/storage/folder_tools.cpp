// SPDX-License-Identifier: Apache-2.0
#include "storage/folder_tools.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include <cubby/error.hpp>

#include "storage/file_lock.hpp"

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

/// Where the first byte from `offset` on is that isn't zero; the file's end if there is none.
std::uint64_t first_not_zero(FileSystem::ReadFile& file, std::uint64_t offset) {
  std::vector<std::byte> step(std::size_t{1} << 20);
  const std::uint64_t size = file.size();
  while ((offset = file.skip_hole(offset)) < size) {
    const std::size_t length = file.read_at(offset, step);
    const auto end = step.begin() + static_cast<std::ptrdiff_t>(length);
    const auto place = std::find_if(step.begin(), end, [](std::byte byte) { return byte != std::byte{0}; });
    offset += static_cast<std::uint64_t>(place - step.begin());
    if (place != end || length == 0) break;
  }
  return std::min(offset, size);
}

bool counts(const FileName& name, const Manifest& manifest) {
  switch (name.kind) {
    case FileName::Kind::checkpoint:
      return name.generation == manifest.checkpoint;
    case FileName::Kind::segment:
      return !manifest.closed && name.generation > manifest.checkpoint;
    case FileName::Kind::window:
      return !manifest.closed;
    case FileName::Kind::temporary:
      break;
  }
  return false;
}

/// Names in order, each with what it is.
std::map<std::string, std::optional<FileName>> names_in(FileSystem& files, const fs::path& folder) {
  std::map<std::string, std::optional<FileName>> names;
  for (const std::string& name : files.list(folder)) {
    if (name != kManifestName && name != kLockName) names.emplace(name, parse_name(name));
  }
  return names;
}

/// REQUIRES: holds_store().
[[noreturn]] void manifest_missing(FileSystem& files, const fs::path& folder) {
  std::string found;
  for (const auto& [name, parsed] : names_in(files, folder)) {
    if (parsed && parsed->kind != FileName::Kind::temporary) found = name;
  }
  fail_missing(folder / kManifestName, "though there is " + found);
}

[[noreturn]] void no_store(const fs::path& folder) { throw Error(Errc::io, "there is no store in " + folder.string()); }

}  // namespace

bool holds_store(FileSystem& files, const fs::path& folder) {
  const auto status = files.status(folder);
  if (!status || status->kind != FileSystem::Kind::folder) return false;
  if (files.status(folder / kManifestName)) return true;
  const auto names = names_in(files, folder);
  return std::any_of(names.begin(), names.end(),
                     [](const auto& each) { return each.second && each.second->kind != FileName::Kind::temporary; });
}

std::optional<std::int64_t> lock_holder(const fs::path& folder) { return file_lock_holder(folder / kLockName); }

FolderFigures look_at_folder(FileSystem& files, const fs::path& folder) {
  FolderFigures figures;
  figures.used_by = lock_holder(folder);
  const auto manifest = read_manifest_unverified(files, folder);
  if (!manifest) {
    if (holds_store(files, folder)) manifest_missing(files, folder);
    no_store(folder);
  }
  figures.manifest = *manifest;
  const std::string text = files.read(folder / kManifestName).value_or(std::string());
  if (text.size() >= 12) std::memcpy(&figures.version, text.data() + 8, sizeof figures.version);
  const SegmentImages images({&files, folder, manifest->store, true});
  for (const auto& [name, parsed] : names_in(files, folder)) {
    if (!parsed || !counts(*parsed, *manifest)) {
      figures.leftovers.push_back(name);
      continue;
    }
    if (parsed->kind == FileName::Kind::window) continue;
    if (parsed->kind == FileName::Kind::checkpoint) {
      std::error_code error;
      const auto written = fs::last_write_time(folder / name, error);
      figures.checkpoint_found = !error;
      if (!error) {
        figures.checkpoint_age =
            std::chrono::duration_cast<std::chrono::seconds>(fs::file_time_type::clock::now() - written).count();
      }
      continue;
    }
    const auto file = files.open(folder / name);
    if (!file) continue;  // a writer has removed it
    ++figures.segments;
    const std::uint64_t size = file->size();
    figures.segment_bytes += size;
    std::array<std::byte, FileHeader::kBytes> bytes{};
    if (file->read_at(0, bytes) != bytes.size()) continue;
    const auto header = FileHeader::read(bytes);
    if (!header) continue;
    const FrameCodec codec(header->salt, std::nullopt, header->version);  // heads are not encrypted
    const auto head_at = [&](std::uint64_t offset) {
      std::uint64_t word = 0;
      return file->read_at(offset, std::as_writable_bytes(std::span(&word, 1))) == sizeof word ? word : 0;
    };
    std::optional<SegmentImages::Image> image;
    if (head_at(kInWindowOffset) == in_window_mark(header->salt)) image = images.read(folder / name);
    if (image && !image->is_whole()) image.reset();
    std::uint64_t offset = kSegmentStart;
    while (offset + FrameCodec::kHeadBytes <= size) {
      const std::uint64_t word = image ? word_at(image->file.bytes(), offset) : head_at(offset);
      if (word == 0) break;
      const auto head = codec.read_head(word, offset);
      if (!head || head->size > size - offset) break;
      offset += head->size;
      if (head->kind != FrameKind::data) break;
      ++figures.records;
    }
    figures.record_bytes += offset - kSegmentStart;
  }
  return figures;
}

// ------------------------------------------------------------------------------------------------------------------- check

namespace {

class Checker {
 public:
  Checker(FileSystem& files, const fs::path& folder, const std::optional<EncryptionKey>& key, const FolderProgress& progress)
      : files_(files), folder_(folder), key_(key), progress_(progress) {}

  FolderCheck check(bool in_use) {
    try {
      check_.manifest = read_manifest(files_, folder_, key_);
    } catch (const Error& error) {
      // Offset 8 is the version: the file is whole, and of a newer cubby.
      if (error.code() != Errc::corrupt || error.offset() == 8) throw;
      check_.damage.emplace_back(error.what());
      return std::move(check_);
    }
    if (!check_.manifest) {
      if (!holds_store(files_, folder_)) no_store(folder_);
      note_damage([&] { manifest_missing(files_, folder_); });
      return std::move(check_);
    }
    const Manifest& manifest = *check_.manifest;
    const auto names = names_in(files_, folder_);
    all_ = manifest.checkpoint_bytes;
    for (const auto& [name, parsed] : names) {
      if (!parsed || parsed->kind != FileName::Kind::segment || !counts(*parsed, manifest)) continue;
      starts_[(folder_ / name).string()] = all_;
      if (const auto file = files_.open(folder_ / name)) all_ += file->size();
    }
    if (manifest.checkpoint != 0) note_damage([&] { check_checkpoint(); });
    if (!manifest.closed) note_damage([&] { check_log(in_use); });
    for (const auto& [name, parsed] : names) {
      if (in_use || (parsed && counts(*parsed, manifest))) continue;
      check_.notes.push_back(
          name + (parsed ? " is left over, and goes when the store is opened to be written" : " is no file of a store"));
    }
    if (progress_) progress_(all_, all_);
    return std::move(check_);
  }

 private:
  template <class Step>
  void note_damage(Step step) {
    try {
      step();
    } catch (const Error& error) {
      if (error.code() != Errc::corrupt) throw;
      check_.damage.emplace_back(error.what());
    }
  }

  void check_checkpoint() {
    const auto ignore = [](const LoggedOperation&) {};
    const auto report = [this](std::uint64_t done) {
      if (progress_) progress_(done, all_);
    };
    check_.checkpoint = load_checkpoint(files_, folder_, *check_.manifest, key_, ignore, report);
    if (check_.checkpoint.keys != check_.manifest->keys) {
      fail_corrupt(folder_ / checkpoint_name(check_.manifest->checkpoint), 0,
                   "it has " + std::to_string(check_.checkpoint.keys) + " keys, and the manifest says " +
                       std::to_string(check_.manifest->keys));
    }
  }

  void check_log(bool in_use) {
    LogReading reading;
    reading.files = &files_;
    reading.folder = folder_;
    reading.manifest = *check_.manifest;
    reading.key = key_;
    reading.beside_a_writer = in_use;
    std::uint64_t reported = 0;
    const FoundLog log = read_log(reading, [&](std::span<std::byte> body, const fs::path& path, std::uint64_t offset) {
      OperationReader reader(body);
      LoggedOperation operation;
      OperationReader::Result result{};
      std::size_t place = 0;
      do {
        place = reader.place();
        result = reader.next(operation);
      } while (result == OperationReader::Result::operation);
      if (result == OperationReader::Result::damaged) {
        fail_corrupt(path, offset + FrameCodec::kHeadBytes + place, "no operation is written so");
      }
      constexpr std::uint64_t kStep = 1 << 20;
      if (!progress_) return;
      const std::uint64_t done = starts_[path.string()] + offset;
      if (done < reported + kStep) return;
      progress_(done, all_);
      reported = done;
    });
    check_.segments = log.segments.size();
    for (const FoundSegment& segment : log.segments) {
      check_.records += segment.records;
      check_.incomplete += segment.incomplete.size();
    }
    check_.record_bytes = log.bytes;
    if (in_use) return;
    if (log.untouched) {
      const SegmentImages images({&files_, folder_, check_.manifest->store, false});
      for (const fs::path& window : images.windows()) note_damage([&] { images.check_unused(window); });
    }
    if (log.cut) check_.cut = why_cut(log);
    for (const fs::path& path : log.dropped) check_dropped(path, log.cut);
  }

  std::string why_cut(const FoundLog& log) {
    if (log.segments.empty()) return "before it began: its first file was never written";
    const FoundSegment& last = log.segments.back();
    const FileImage file(files_, last.path);  // as long as its header says
    const auto bytes = last.from_window ? std::as_const(*last.from_window).bytes() : file.bytes();
    const std::string place = last.path.filename().string() + ", byte " + std::to_string(last.end) + ": ";
    if (last.ended) return place + "the file that follows is not there, or was never written";
    if (last.end + FrameCodec::kHeadBytes > bytes.size() || word_at(bytes, last.end) == 0) {
      return place + "nothing is written behind it";
    }
    const FrameCodec codec(last.header.salt, std::nullopt, last.header.version);
    const auto head = codec.read_head(word_at(bytes, last.end), last.end);
    if (!head || head->size > bytes.size() - last.end) return place + "no record begins as these bytes do";
    if (word_at(bytes, last.end + head->size - FrameCodec::kMarkBytes) == 0) {
      return place + "the record there was not written to its end";
    }
    return place + "the record there was written in part";
  }

  /// A segment without records that was made ahead, or one that a cut has left behind. What may stand in it is what its writer
  /// had come to, and a header's checksum is written last.
  void check_dropped(const fs::path& path, bool cut) {
    const auto file = files_.open(path);
    if (!file) throw Error(Errc::io, path.string() + " was there, and is gone");
    std::array<std::byte, kSegmentStart> start{};
    const std::span<const std::byte> bytes(start.data(), file->read_at(0, start));
    const auto header = FileHeader::read(bytes);
    const bool begun = bytes.size() >= FileHeader::kBytes && word_at(bytes, FileHeader::kBytes - 8) != 0;
    note_damage([&] {
      if (!header && begun) fail_corrupt(path, 0, "it doesn't begin as a segment of the log does");
      if (cut) return;
      if (header) {
        const Manifest& manifest = *check_.manifest;
        const auto named = parse_name(path.filename().string());
        if (header->kind != FileHeader::Kind::segment || header->store != manifest.store ||
            header->generation != named->generation || header->number != named->number ||
            header->encrypted != manifest.encrypted || header->size != file->size()) {
          fail_corrupt(path, 0, "it is another store's, or another file under this name");
        }
        if (bytes.size() < kSegmentStart ||
            word_at(bytes, kSyncedOffset + 8) != header->codec(key_).note_check(word_at(bytes, kSyncedOffset))) {
          fail_corrupt(path, kSyncedOffset, "the note of what was synced is wrong");
        }
      }
      // One that was prepared for the next generation may have been given a window.
      const bool in_window =
          header && bytes.size() >= kSegmentStart && word_at(bytes, kInWindowOffset) == in_window_mark(header->salt);
      const std::uint64_t place = first_not_zero(*file, in_window ? kInWindowOffset + 8 : kSyncedOffset + 16);
      if (place < file->size()) fail_corrupt(path, place, "there should be zeros");
    });
  }

  FileSystem& files_;
  const fs::path& folder_;
  const std::optional<EncryptionKey>& key_;
  const FolderProgress& progress_;
  FolderCheck check_;
  std::uint64_t all_ = 0;
  std::map<std::string, std::uint64_t> starts_;  ///< of each segment, in the bytes of all
};

}  // namespace

FolderCheck check_folder(FileSystem& files, const fs::path& folder, const std::optional<EncryptionKey>& key,
                         const FolderProgress& progress, bool locked) {
  const auto holder = [&] { return locked ? std::nullopt : lock_holder(folder); };
  constexpr int kMostTries = 100;
  std::string before;
  int same = 0;
  for (int tries = 1;; ++tries) {
    const auto used_by = holder();
    std::string failure;
    std::exception_ptr thrown;
    FolderCheck check;
    try {
      check = Checker(files, folder, key, progress).check(used_by.has_value());
      for (const std::string& each : check.damage) failure += each + "\n";
    } catch (const Error& error) {
      if (error.code() != Errc::io && error.code() != Errc::corrupt && error.code() != Errc::wrong_key) throw;
      thrown = std::current_exception();
      failure = error.what();
    }
    check.used_by = used_by;
    // A writer may have replaced what was being read. What it didn't cause is there again, and again.
    const bool is_used = holder().has_value();
    const bool writing = used_by || is_used;
    constexpr int kMostLeft = 10;
    if (used_by && !is_used && tries < kMostLeft) continue;  // without a writer there is nothing to overlook
    same = failure == before ? same + 1 : 0;
    before = failure;
    constexpr int kSameTimes = 2;
    if (failure.empty() || !writing || same == kSameTimes || tries == kMostTries) {
      if (thrown) std::rethrow_exception(thrown);
      return check;
    }
    ::usleep(20'000);
  }
}

// ------------------------------------------------------------------------------------------------------------------- rekey

void rekey_folder(FileSystem& files, const fs::path& folder, const std::optional<EncryptionKey>& from,
                  const std::optional<EncryptionKey>& to, const FolderProgress& progress) {
  const auto lock = files.lock(folder / kLockName);
  const auto manifest = read_manifest(files, folder, from);
  if (!manifest) no_store(folder);
  if (!manifest->closed) throw Error(Errc::config, "the store in " + folder.string() + " was not closed");
  Manifest next = *manifest;
  next.encrypted = to.has_value();
  // The new checkpoint lies beside the old one until the manifest, in one step, says that it counts, and with which key. Before
  // that the folder is what it was, and whoever opens it removes what was begun; after it the old checkpoint is needless, and
  // goes here or with the next open.
  if (manifest->checkpoint != 0) {
    CheckpointWriter writer(files, folder, manifest->store, manifest->checkpoint + 1, to);
    std::mutex writing;
    const auto report = [&](std::uint64_t done) {
      if (progress) progress(done, 2 * manifest->checkpoint_bytes);
    };
    load_checkpoint(
        files, folder, *manifest, from,
        [&](const LoggedOperation& set) {
          const std::lock_guard guard(writing);
          writer.add(set);
        },
        report);
    writer.finish();
    files.sync_folder(folder);
    next.checkpoint = writer.generation();
    next.checkpoint_bytes = writer.bytes();
    next.keys = writer.keys();
    // The old one goes: what takes its place is read once before.
    load_checkpoint(
        files, folder, next, to, [](const LoggedOperation&) {},
        [&](std::uint64_t done) {
          if (progress)
            progress(manifest->checkpoint_bytes + std::min(done, manifest->checkpoint_bytes), 2 * manifest->checkpoint_bytes);
        });
  }
  write_manifest(files, folder, next, to);
  for (const auto& [name, parsed] : names_in(files, folder)) {
    if (parsed && !counts(*parsed, next)) files.remove(folder / name);
  }
  files.sync_folder(folder);
}

void replace_folder(FileSystem& files, const fs::path& folder, const fs::path& replacement, const fs::path& kept) {
  const auto fail = [](const std::exception& why, const std::string& state) {
    throw Error(Errc::io, std::string(why.what()) + "; " + state);
  };
  // The new one takes the old one's future name first: then one exchange is all, and no moment has the old one elsewhere.
  const auto drop_new = [&](const std::exception& why, const fs::path& lies) {
    std::error_code error;
    fs::remove_all(lies, error);
    fail(why, folder.string() + " is what it was" + (error ? ", and " + lies.string() + " can go" : std::string()));
  };
  try {
    files.rename(replacement, kept);
  } catch (const std::exception& why) {
    drop_new(why, replacement);
  }
  if (!files.exchange(kept, folder)) {
    try {
      files.rename(kept, replacement);
    } catch (const std::exception& why) {
      drop_new(why, kept);
    }
    try {
      files.rename(folder, kept);
    } catch (const std::exception& why) {
      drop_new(why, replacement);
    }
    try {
      files.rename(replacement, folder);
    } catch (const std::exception& why) {
      try {
        files.rename(kept, folder);
      } catch (const std::exception&) {
        fail(why,
             kept.string() + " is what was " + folder.string() + ", and " + replacement.string() + " what was to replace it");
      }
      drop_new(why, replacement);
    }
  }
  try {
    files.sync_folder(folder.parent_path());
  } catch (const std::exception& why) {
    fail(why, folder.string() + " is the new one, and " + kept.string() + " the old one; a loss of power may still undo that");
  }
}

}  // namespace cubby::detail
