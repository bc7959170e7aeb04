// SPDX-License-Identifier: Apache-2.0
#include "storage/log_reader.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include <cubby/error.hpp>

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

using Number = std::pair<std::uint32_t, std::uint32_t>;  // generation, segment

constexpr int kMostLooks = 8;  // at what a writer may have been in the middle of writing

bool unwritten(std::span<const std::byte> bytes) noexcept {
  return bytes.empty() || (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

class Reader {
 public:
  Reader(const LogReading& reading, const RecordSink& sink)
      : reading_(reading),
        sink_(sink),
        files_(*reading.files),
        boot_(files_.boot_id()),
        images_({&files_, reading.folder, reading.manifest.store, reading.beside_a_writer}) {}

  FoundLog read() {
    for (const std::string& name : files_.list(reading_.folder)) {
      const auto parsed = parse_name(name);
      if (!parsed || parsed->kind != FileName::Kind::segment) continue;
      log_.last_generation = std::max(log_.last_generation, parsed->generation);
      if (parsed->generation > reading_.manifest.checkpoint)
        paths_.emplace(Number{parsed->generation, parsed->number}, reading_.folder / name);
    }
    if (reading_.beside_a_writer) note_tails();
    Number next{reading_.manifest.checkpoint + 1, 0};
    if (!paths_.contains(next)) missing(next, "the manifest");
    for (;;) {
      const auto found = paths_.find(next);
      if (found == paths_.end()) break;
      read_segment(next, found->second);
      paths_.erase(found);
      if (log_.cut) break;
      const FoundSegment& segment = log_.segments.back();
      if (segment.ended == FrameKind::segment_end) {
        ++next.second;
      } else {
        if (!segment.ended) check_empty_until_next_generation(next);
        next = {next.first + 1, 0};
      }
      if (segment.ended && !paths_.contains(next)) {
        if (reading_.beside_a_writer && exists(next)) break;  // it came after the folder was listed
        if (!may_be_lost(next)) missing(next, segment.path.string());
        log_.cut = true;
        break;
      }
    }
    for (const auto& [number, path] : paths_) {
      if (log_.cut) {
        check_cut_before(number, path);
      } else if (has_records(number, path)) {
        fail_corrupt(path, 0, "it is a segment of the log that nothing leads to");
      }
      log_.dropped.push_back(path);
    }
    return std::move(log_);
  }

 private:
  [[noreturn]] void missing(Number number, const std::string& named_by) const {
    fail_missing(reading_.folder / segment_name(number.first, number.second), "and " + named_by + " leads to it");
  }
  bool exists(Number number) const {
    return files_.status(reading_.folder / segment_name(number.first, number.second)).has_value();
  }

  /// What can be told of a segment before its records are read.
  struct Look {
    std::optional<FileHeader> header;
    bool untouched = false;
    std::uint64_t tail = kSegmentStart;    ///< behind the records that are reserved
    std::uint64_t synced = kSegmentStart;  ///< as noted
    bool is_sound = false;                 ///< nothing else is there than what a writer puts
  };
  Look look_at(const fs::path& path) const {
    Look look;
    auto image = images_.read(path);
    const auto bytes = image.file.bytes();
    look.header = FileHeader::read(bytes);
    look.is_sound = look.header ? image.is_whole() : never_written(bytes);
    if (!look.header || !image.is_whole() || bytes.size() <= kSegmentStart || !is_ours(*look.header)) return look;
    look.untouched = look.header->is_untouched(files_.status(path), boot_);
    const FrameCodec codec = look.header->codec(reading_.key);
    const std::uint64_t note = word_at(bytes, kSyncedOffset);
    look.is_sound = word_at(bytes, kSyncedOffset + 8) == codec.note_check(note);
    if (look.is_sound) look.synced = note;
    std::uint64_t end = 0;
    while (look.tail + FrameCodec::kHeadBytes <= bytes.size()) {
      const std::uint64_t word = word_at(bytes, look.tail);
      if (word == 0) break;
      const auto head = codec.read_head(word, look.tail);
      if (!head || head->size > bytes.size() - look.tail) {
        look.is_sound = false;
        break;
      }
      if (head->kind != FrameKind::data) {
        end = head->size;
        break;
      }
      look.tail += head->size;
    }
    look.is_sound = look.is_sound && look.tail + end >= look.synced;
    return look;
  }
  bool is_ours(const FileHeader& header) const {
    return header.kind == FileHeader::Kind::segment && header.store == reading_.manifest.store &&
           header.encrypted == reading_.manifest.encrypted;
  }
  /// The header's checksum is its last word.
  static bool never_written(std::span<const std::byte> bytes) noexcept {
    return bytes.size() < FileHeader::kBytes || word_at(bytes, FileHeader::kBytes - 8) == 0;
  }

  /// Beside a writer what it had when it was looked at counts: nothing else is read.
  bool has_records(Number number, const fs::path& path) const {
    if (reading_.beside_a_writer) return looks_.at(number).tail > kSegmentStart;
    auto image = images_.read(path);
    const auto bytes = image.file.bytes();
    return bytes.size() >= kSegmentStart + FrameCodec::kHeadBytes && word_at(bytes, kSegmentStart) != 0;
  }

  /// Whether the machine may have died before the segment behind the last one was synced. The first of a generation is on the
  /// disk before the generation before it is ended.
  bool may_be_lost(Number number) const noexcept { return suspicious_ && !log_.segments.empty() && number.second != 0; }

  /// Segments behind a cut go. None of them may show that what was cut off was on the disk: by a note of what was synced of its
  /// own, as segments are synced in order; or by records of a later process, which had settled what was found, and missed
  /// nothing.
  void check_cut_before(Number number, const fs::path& path) const {
    if (log_.segments.empty()) return;
    const Look look = reading_.beside_a_writer ? looks_.at(number) : look_at(path);
    if (!look.header || !is_ours(*look.header)) return;
    const FoundSegment& last = log_.segments.back();
    const bool by_a_later_process = look.untouched || look.header->boot != last.header.boot;
    if (look.synced > kSegmentStart || (by_a_later_process && look.tail > kSegmentStart)) {
      fail_corrupt(last.path, last.end, "the log can't end there, as " + path.filename().string() + " was written after it");
    }
  }

  /// Segments of the same generation behind one that was not ended were made ahead, and hold nothing.
  void check_empty_until_next_generation(Number& last) {
    for (Number next{last.first, last.second + 1};; ++next.second) {
      const auto found = paths_.find(next);
      if (found == paths_.end()) return;
      if (has_records(next, found->second)) {
        fail_corrupt(found->second, kSegmentStart, "it has records, and the segment before it has no end");
      }
      log_.dropped.push_back(found->second);
      paths_.erase(found);
    }
  }

  /// How far each segment is reserved, before anything is looked at.
  void note_tails() {
    // The last first: what is noted of an earlier one is then at least all that came before.
    for (auto each = paths_.rbegin(); each != paths_.rend(); ++each) {
      Look look = look_at(each->second);
      // What was being written while it was read is whole when it is read again. What is not is judged later.
      for (int tries = 1; !look.is_sound && tries < kMostLooks; ++tries) look = look_at(each->second);
      looks_[each->first] = std::move(look);
    }
  }

  void read_segment(Number number, const fs::path& path) {
    auto image = images_.read(path);
    for (int tries = 1; reading_.beside_a_writer && tries < kMostLooks && !begins_well(image); ++tries)
      image = images_.read(path);
    const auto bytes = image.file.bytes();
    FoundSegment found;
    found.path = path;
    const auto header = FileHeader::read(bytes);
    if (!header || bytes.size() <= kSegmentStart) {
      // It may never have been written, if the process died while making it, or the machine before its first sync.
      const bool follows_an_open_end = !log_.segments.empty() && !log_.segments.back().ended;
      const bool was_being_made = follows_an_open_end && !has_begun(number, bytes);
      if (!(was_being_made || may_be_lost(number)) || !never_written(bytes)) {
        fail_corrupt(path, 0, "it doesn't begin as a segment of the log does");
      }
      log_.cut = true;
      log_.dropped.push_back(path);
      return;
    }
    found.header = *header;
    const Manifest& manifest = reading_.manifest;
    if (header->kind != FileHeader::Kind::segment || header->store != manifest.store || header->generation != number.first ||
        header->number != number.second || header->encrypted != manifest.encrypted || !image.is_whole() ||
        header->size != bytes.size()) {
      fail_corrupt(path, 0, "it is another store's, or another file under this name");
    }
    const FrameCodec codec = header->codec(reading_.key);
    suspicious_ = !header->is_untouched(files_.status(path), boot_);
    log_.untouched = log_.untouched && !suspicious_;
    found.synced = word_at(bytes, kSyncedOffset);
    if (word_at(bytes, kSyncedOffset + 8) != codec.note_check(found.synced)) {
      if (!suspicious_) fail_corrupt(path, kSyncedOffset, "the note of what was synced is wrong");
      found.synced = kSegmentStart;
    }
    const std::uint64_t in_window = word_at(bytes, kInWindowOffset);
    const bool known = in_window == 0 || in_window == in_window_mark(header->salt);
    // When the machine dies, the word may be torn; it says nothing then.
    if ((!known && !suspicious_) || !unwritten(bytes.subspan(kInWindowOffset + 8, kSegmentStart - kInWindowOffset - 8))) {
      fail_corrupt(path, kInWindowOffset, "there should be zeros");
    }
    log_.segments.push_back(std::move(found));
    std::optional<FileImage> as_it_stands;  // reading decrypts it
    if (!image.window.empty() && !reading_.beside_a_writer) {
      as_it_stands.emplace(bytes.size(), path);
      std::memcpy(as_it_stands->bytes().data(), bytes.data(), bytes.size());
    }
    read_frames(log_.segments.back(), bytes, codec, number);
    if (as_it_stands) {
      log_.segments.back().from_window = std::move(as_it_stands);
      log_.segments.back().in_file = image.in_file;
    }
    log_.bytes += log_.segments.back().end - kSegmentStart;
  }

  /// Whether something is there that its process put after the header.
  bool has_begun(Number number, std::span<const std::byte> bytes) const {
    if (bytes.size() >= kSegmentStart + FrameCodec::kHeadBytes && word_at(bytes, kSegmentStart) != 0) return true;
    return images_.header_of(number.first, number.second).has_value();
  }

  /// Header and note are as they were put.
  bool begins_well(SegmentImages::Image& image) const {
    const auto bytes = image.file.bytes();
    const auto header = FileHeader::read(bytes);
    if (!header || bytes.size() < kSegmentStart || !is_ours(*header)) return false;
    return word_at(bytes, kSyncedOffset + 8) == header->codec(reading_.key).note_check(word_at(bytes, kSyncedOffset));
  }

  void read_frames(FoundSegment& segment, std::span<std::byte> bytes, const FrameCodec& codec, Number number) {
    std::uint64_t offset = kSegmentStart;
    // Beside a writer: the records that were reserved, and an end if that is what follows them.
    const std::uint64_t noted = reading_.beside_a_writer ? looks_.at(number).tail : bytes.size();
    std::uint64_t unfinished_end = 0;
    // What is wrong in the part that was not synced when the machine died is where the log ends.
    const auto wrong = [&](const char* what) {
      if (!suspicious_ || offset < segment.synced) fail_corrupt(segment.path, offset, what);
      log_.cut = true;
    };
    while (offset + FrameCodec::kHeadBytes <= bytes.size()) {
      std::uint64_t word = word_at(bytes, offset);
      auto head = codec.read_head(word, offset);
      // It may have been put while it was read.
      for (int tries = 1; reading_.beside_a_writer && word != 0 && !head && tries < kMostLooks; ++tries) {
        const auto again = bytes.subspan(offset, FrameCodec::kHeadBytes);
        images_.read_again(segment.path, segment.header, offset, again);
        head = codec.read_head(word = word_at(bytes, offset), offset);
      }
      if (word == 0 && offset < noted && reading_.beside_a_writer) {
        wrong("there was a record, and isn't any more");
        break;
      }
      if (word == 0 || (head && head->kind == FrameKind::data && offset >= noted)) break;
      if (!head || head->size > bytes.size() - offset || head->kind == FrameKind::last) {
        wrong("no record begins as these bytes do");
        break;
      }
      const auto frame = bytes.subspan(offset, head->size);
      if (head->kind != FrameKind::data) {
        if (reading_.beside_a_writer) images_.read_again(segment.path, segment.header, offset, frame);
        const std::uint64_t end_mark = frame.size() > FrameCodec::kHeadBytes ? word_at(frame, FrameCodec::kHeadBytes) : 1;
        if (frame.size() == FrameCodec::kHeadBytes || end_mark == codec.end_mark(word, offset)) {
          segment.ended = head->kind;
          offset += head->size;
        } else if (reading_.beside_a_writer && !suspicious_ && end_mark == 0) {
          break;  // it is being put
        } else if (end_mark != 0 || suspicious_ || offset < segment.synced) {
          wrong("the end of the segment is not as it was put");
        } else {
          unfinished_end = head->size;  // the process died while it put the end: nothing follows
        }
        break;
      }
      const std::uint64_t mark = word_at(frame, head->size - FrameCodec::kMarkBytes);
      // It may have been completed while it was read; with its mark set it is as it stays. Nobody writes a copy.
      if (reading_.beside_a_writer && mark != 0 && !suspicious_)
        images_.read_again(segment.path, segment.header, offset, frame);
      if (mark == 0) {
        if (suspicious_ || offset < segment.synced) {
          wrong("the record was complete, and isn't any more");
          break;
        }
        segment.incomplete.push_back(offset);
      } else if (unwritten(
                     frame.subspan(FrameCodec::kHeadBytes, frame.size() - FrameCodec::kHeadBytes - FrameCodec::kMarkBytes)) &&
                 mark == codec.void_mark(word, offset)) {
        // It was given up. (Operations are never all zeros.)
      } else if (const auto body = codec.open(frame, offset)) {
        sink_(*body, segment.path, offset);
        ++segment.records;
      } else {
        wrong("the record's checksum is wrong");
        break;
      }
      offset += head->size;
    }
    segment.end = offset;
    if (log_.cut) return;
    if (!segment.ended && offset + FrameCodec::kHeadBytes > bytes.size()) fail_corrupt(segment.path, offset, "it has no end");
    // A writer may have synced more since its tail was noted.
    if (offset < (reading_.beside_a_writer ? looks_.at(number).synced : segment.synced))
      fail_corrupt(segment.path, offset, "records that were on the disk are missing");
    if (!segment.ended && suspicious_) {
      log_.cut = true;
    } else if (const auto rest = bytes.subspan(offset + unfinished_end); !reading_.beside_a_writer && !unwritten(rest)) {
      const auto place = std::find_if(rest.begin(), rest.end(), [](std::byte byte) { return byte != std::byte{0}; });
      fail_corrupt(segment.path, offset + unfinished_end + static_cast<std::uint64_t>(place - rest.begin()),
                   "there should be zeros behind the last record");
    }
  }

  const LogReading& reading_;
  const RecordSink& sink_;
  FileSystem& files_;
  const std::string boot_;
  const SegmentImages images_;
  bool suspicious_ = false;  ///< of the segment that was read last: the machine has died since, or this is a copy
  std::map<Number, fs::path> paths_;
  std::map<Number, Look> looks_;  ///< beside a writer: from before anything was read
  FoundLog log_;
};

}  // namespace

FoundLog read_log(const LogReading& reading, const RecordSink& sink) { return Reader(reading, sink).read(); }

void take_in_windows(FileSystem& files, const fs::path& folder, const FoundLog& log) {
  // The last of it before the others: an opener that comes in between finds the same cut.
  for (auto each = log.dropped.rbegin(); each != log.dropped.rend(); ++each) files.remove(*each);
  files.sync_folder(folder);
  for (const FoundSegment& segment : log.segments) {
    const auto file = files.reopen(segment.path);
    if (segment.from_window) {
      // In one call, which a process that dies leaves with a first part done, as those of a writer.
      const auto image = std::as_bytes(segment.from_window->bytes());
      if (segment.in_file < segment.end) file->write_at(segment.in_file, image.first(segment.end).subspan(segment.in_file));
      file->sync();
    }
    // While there is its window, it counts as if the word were set.
    const std::uint64_t not_in_window = 0;
    file->write_at(kInWindowOffset, std::as_bytes(std::span(&not_in_window, 1)));
  }
  for (const std::string& name : files.list(folder)) {
    const auto parsed = parse_name(name);
    if (parsed && parsed->kind == FileName::Kind::window) files.remove(folder / name);
  }
}

namespace {

/// Writes what a segment's file shall have, each call leaving it so that it is read as before.
class Settling {
 public:
  Settling(FileSystem& files, const FoundSegment& segment, const std::optional<EncryptionKey>& key)
      : segment_(segment), codec_(segment.header.codec(key)), file_(files.reopen(segment.path)), image_(files, segment.path) {}

  void settle(bool leads_nowhere) {
    for (const std::uint64_t offset : segment_.incomplete) put_void(offset);
    std::uint64_t end = segment_.end;
    if (leads_nowhere) {
      end -= codec_.end_size();
      note(end);  // before the end that it has goes: what is noted must be there
      file_->sync();
      put_end(end);
    } else if (!segment_.ended) {
      clear(end);
      file_->sync();  // behind an end there must be nothing but zeros
      put_end(end);
    }
    if (!segment_.ended || leads_nowhere) end += codec_.end_size();
    file_->sync();
    note(end);
    file_->sync();
  }

 private:
  void put_void(std::uint64_t offset) {
    const std::uint64_t word = word_at(image_.bytes(), offset);
    std::vector<std::byte> rest(codec_.read_head(word, offset)->size - FrameCodec::kHeadBytes);
    const std::uint64_t mark = codec_.void_mark(word, offset);
    std::memcpy(rest.data() + rest.size() - FrameCodec::kMarkBytes, &mark, sizeof mark);
    file_->write_at(offset + FrameCodec::kHeadBytes, rest);
  }
  /// Only where there is something, so that space that was set aside stays so.
  void clear(std::uint64_t from) {
    constexpr std::uint64_t kStep = 64 << 10;
    const std::vector<std::byte> zeros(kStep);
    const auto bytes = image_.bytes();
    for (std::uint64_t place = from; place < bytes.size();) {
      const std::uint64_t length = std::min(kStep, bytes.size() - place);
      if (!unwritten(bytes.subspan(place, length))) file_->write_at(place, std::span(zeros).first(length));
      place += length;
    }
  }
  void put_end(std::uint64_t offset) {
    const std::uint64_t word = codec_.head({FrameKind::generation_end, codec_.end_size()}, offset);
    const std::uint64_t frame[2] = {word, codec_.end_mark(word, offset)};
    file_->write_at(offset, std::as_bytes(std::span(frame)).first(codec_.end_size()));  // in version 1 it has no mark
  }
  void note(std::uint64_t synced) {
    const std::uint64_t words[2] = {synced, codec_.note_check(synced)};
    file_->write_at(kSyncedOffset, std::as_bytes(std::span(words)));
  }

  const FoundSegment& segment_;
  const FrameCodec codec_;
  const std::unique_ptr<FileSystem::ReservedFile> file_;
  FileImage image_;
};

}  // namespace

void settle_log(FileSystem& files, const FoundLog& log, const std::optional<EncryptionKey>& key) {
  for (const FoundSegment& segment : log.segments) {
    // Where the log was cut because the successor is missing, the end must not lead there any more.
    const bool leads_nowhere = log.cut && &segment == &log.segments.back() && segment.ended == FrameKind::segment_end;
    Settling(files, segment, key).settle(leads_nowhere);
  }
}

}  // namespace cubby::detail
