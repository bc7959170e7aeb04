// SPDX-License-Identifier: Apache-2.0
#include "storage/durable_folder.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include <cubby/error.hpp>

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

// A checkpoint comes after some segments; each is set aside on the disk as a whole. The windows that they are written through
// have the same size: their memory is touched again and again, so the less the better.
std::size_t segment_bytes_for(std::size_t checkpoint_after) {
  constexpr std::size_t kLeast = 64 << 10, kMost = 4 << 20;
  return std::clamp(checkpoint_after / 4 / 4096 * 4096, kLeast, kMost);
}

}  // namespace

DurableFolder::DurableFolder(Settings settings) : settings_(std::move(settings)) {
  FileSystem& files = *settings_.files;
  const fs::path& folder = settings_.folder;
  if (!settings_.read_only) {
    files.make_folder(folder);
    lock_ = files.lock(folder / kLockName);
  } else {
    beside_a_writer_ = settings_.beside_a_writer || files.is_locked(folder / kLockName);
    const auto names = files.list(folder);
    names_.insert(names.begin(), names.end());
  }
  if (auto found = read_manifest(files, folder, settings_.key)) {
    manifest_ = *found;
    checkpoint_bytes_ = manifest_.checkpoint_bytes;
    return;
  }
  for (const std::string& name : files.list(folder)) {
    const auto parsed = parse_name(name);
    if (parsed && parsed->kind != FileName::Kind::temporary) {
      fail_missing(folder / kManifestName, "though there is " + name);
    }
  }
  if (settings_.read_only) {
    throw Error(Errc::io, "there is no store in " + folder.string() + ", and a read_only store doesn't make one");
  }
  files.sync_folder(folder.parent_path());  // the folder's own name
  fill_randomly(manifest_.store);
  manifest_.encrypted = settings_.key.has_value();
  manifest_.closed = true;
  write_manifest(files, folder, manifest_, settings_.key);
}

bool DurableFolder::writer_came_or_went() const {
  if (!settings_.read_only || settings_.beside_a_writer) return false;
  if (settings_.files->is_locked(settings_.folder / kLockName) != beside_a_writer_) return true;
  if (beside_a_writer_) return false;
  const auto names = settings_.files->list(settings_.folder);
  return std::set<std::string>(names.begin(), names.end()) != names_;
}

bool DurableFolder::manifest_has_changed() const {
  const auto now = read_manifest(*settings_.files, settings_.folder, settings_.key);
  return !now || now->checkpoint != manifest_.checkpoint || now->closed != manifest_.closed;
}

std::uint64_t DurableFolder::keys() const {
  if (manifest_.checkpoint == 0) return 0;
  const auto file = settings_.files->open(settings_.folder / checkpoint_name(manifest_.checkpoint));
  constexpr std::uint64_t kLeastBytes = 8;  // each begins at a multiple of it
  return file ? std::min(manifest_.keys, file->size() / kLeastBytes) : 0;
}

void DurableFolder::load(const std::function<void(const LoggedOperation&)>& key,
                         const std::function<void(const LoggedOperation&)>& operation) {
  if (manifest_.checkpoint != 0) load_checkpoint(*settings_.files, settings_.folder, manifest_, settings_.key, key);
  if (manifest_.closed) return;  // then that was all, whoever writes by now
  LogReading reading;
  reading.files = settings_.files;
  reading.folder = settings_.folder;
  reading.manifest = manifest_;
  reading.key = settings_.key;
  reading.beside_a_writer = beside_a_writer_;
  found_ = read_log(reading, [&](std::span<std::byte> body, const fs::path& path, std::uint64_t offset) {
    OperationReader reader(body);
    LoggedOperation each;
    for (;;) {
      const std::size_t place = reader.place();
      const auto result = reader.next(each);
      if (result == OperationReader::Result::end) return;
      const std::uint64_t at = offset + FrameCodec::kHeadBytes + place;
      if (result == OperationReader::Result::damaged) fail_corrupt(path, at, "no operation is written so");
      try {
        operation(each);
      } catch (const Error& error) {
        fail_corrupt(path, at, std::string("the operation doesn't fit what was there: ") + error.what());
      }
    }
  });
  // Without a writer everything must be as it should, and beside one only what it isn't writing: which of them held?
  if (writer_came_or_went()) throw Error(Errc::io, settings_.folder.string() + " was opened or closed while it was read");
  old_log_bytes_ = found_.bytes;
}

void DurableFolder::begin(std::uint32_t first_version) {
  FileSystem& files = *settings_.files;
  const fs::path& folder = settings_.folder;
  // Files of generations that a checkpoint holds, of attempts that failed, of a log that ended with close.
  std::uint32_t last = manifest_.checkpoint;
  for (const std::string& name : files.list(folder)) {
    const auto parsed = parse_name(name);
    if (!parsed || (parsed->kind == FileName::Kind::window && !manifest_.closed)) continue;  // segments may need it yet
    const bool needless =
        parsed->kind == FileName::Kind::window || parsed->kind == FileName::Kind::temporary ||
        (parsed->kind == FileName::Kind::checkpoint && parsed->generation != manifest_.checkpoint) ||
        (parsed->kind == FileName::Kind::segment && (manifest_.closed || parsed->generation <= manifest_.checkpoint));
    if (needless) {
      files.remove(folder / name);
    } else {
      last = std::max(last, parsed->generation);
    }
  }
  if (!manifest_.closed) {
    take_in_windows(files, folder, found_);
    // Those that don't count must not make the next generation come after one that is missing.
    last = found_.segments.empty() ? manifest_.checkpoint : found_.segments.back().header.generation;
  }
  Log::Settings log;
  log.files = &files;
  log.folder = folder;
  log.store = manifest_.store;
  log.key = settings_.key;
  log.sync = settings_.sync;
  log.segment_bytes = segment_bytes_for(settings_.checkpoint_after);
  log.boot = files.boot_id();
  log.wait_for_publishers = settings_.wait_for_publishers;
  log.on_growth = settings_.on_growth;
  log_ = std::make_unique<Log>(std::move(log), last + 1, first_version);
  if (!manifest_.closed) {
    settle_log(files, found_, settings_.key);
  } else {
    Manifest open = manifest_;
    open.closed = false;
    write_manifest(files, folder, open, settings_.key);
    manifest_ = open;
  }
  found_ = {};
}

bool OpeningAgain::helps(const DurableFolder* folder, const Error& error) {
  constexpr int kMostTries = 100, kMostWithoutCause = 10, kSameTimes = 2;
  same_ = error.what() == before_ ? same_ + 1 : 0;
  before_ = error.what();
  if (folder == nullptr || ++tries_ >= kMostTries) return false;
  if (folder->has_changed()) {
    ++disturbed_;
    return true;
  }
  // A writer may have removed the files that were being read.
  if (error.code() == Errc::io) return tries_ < kMostWithoutCause;
  if (error.code() != Errc::corrupt || !folder->beside_a_writer() || same_ == kSameTimes) return false;
  ::usleep(20'000);
  return true;
}

bool DurableFolder::checkpoint_due() const {
  return log_bytes() > std::max<std::uint64_t>(settings_.checkpoint_after, checkpoint_bytes_);
}

std::unique_ptr<CheckpointWriter> DurableFolder::begin_checkpoint(const std::function<std::uint64_t()>& measure) {
  constexpr std::uint64_t kManifestRoom = 64 << 10;  // its space comes free when the checkpoint is synced
  const auto with_room_for = [&](std::uint64_t bytes) {
    return std::make_unique<CheckpointWriter>(*settings_.files, settings_.folder, manifest_.store, log_->generation(),
                                              settings_.key, bytes + kManifestRoom);
  };
  const std::uint64_t expected = std::max(manifest_.checkpoint_bytes, lacking_bytes_);
  try {
    return with_room_for(expected);
  } catch (const Error&) {
    const std::uint64_t bytes = measure();
    if (bytes >= expected) throw;
    return with_room_for(bytes);
  }
}

void DurableFolder::note_failed(const CheckpointWriter& checkpoint) noexcept {
  lacking_bytes_ = std::max(lacking_bytes_, checkpoint.bytes_to_be());
}

void DurableFolder::commit(CheckpointWriter& checkpoint, bool closed) {
  checkpoint.finish();
  Manifest next = manifest_;
  next.checkpoint = checkpoint.generation();
  next.checkpoint_bytes = checkpoint.bytes();
  next.keys = checkpoint.keys();
  next.closed = closed;
  try {
    settings_.files->sync_folder(settings_.folder);
    write_manifest(*settings_.files, settings_.folder, next, settings_.key);
  } catch (...) {
    remove_unnamed(checkpoint.generation());
    throw;
  }
  manifest_ = next;
  lacking_bytes_ = 0;
  old_log_bytes_ = 0;
  checkpoint_bytes_ = next.checkpoint_bytes;
  log_->remove_before_current();
  remove_needless();
}

void DurableFolder::note_closed() {
  Manifest next = manifest_;
  next.closed = true;
  write_manifest(*settings_.files, settings_.folder, next, settings_.key);
  manifest_ = next;
}

void DurableFolder::note_open() noexcept {
  try {
    Manifest next = manifest_;
    next.closed = false;
    write_manifest(*settings_.files, settings_.folder, next, settings_.key);
    manifest_ = next;
  } catch (const std::exception& error) {
    log_->give_up(std::string("it is not known whether the folder counts as closed: ") + error.what());
  }
}

void DurableFolder::finish() noexcept {
  log_->finish();
  lock_.reset();
}

void DurableFolder::remove_unnamed(std::uint32_t checkpoint) noexcept {
  try {
    // It may have been replaced all the same.
    const auto now = read_manifest(*settings_.files, settings_.folder, settings_.key);
    if (now && now->checkpoint != checkpoint) settings_.files->remove(settings_.folder / checkpoint_name(checkpoint));
  } catch (const std::exception&) {
    // The next checkpoint, or the next open, removes it if it may.
  }
}

void DurableFolder::remove_needless() {
  try {
    for (const std::string& name : settings_.files->list(settings_.folder)) {
      const auto parsed = parse_name(name);
      if (!parsed || parsed->kind == FileName::Kind::temporary || parsed->kind == FileName::Kind::window) continue;
      const bool is_checkpoint = parsed->kind == FileName::Kind::checkpoint;
      if (is_checkpoint ? parsed->generation != manifest_.checkpoint : parsed->generation <= manifest_.checkpoint) {
        settings_.files->remove(settings_.folder / name);
      }
    }
  } catch (const Error&) {
    // The next checkpoint, or the next open, tries again.
  }
}

}  // namespace cubby::detail
