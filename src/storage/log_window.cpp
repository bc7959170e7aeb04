// SPDX-License-Identifier: Apache-2.0
#include "storage/log_window.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <new>

#include <cubby/error.hpp>

#include "base/hash.hpp"

namespace cubby::detail {

namespace fs = std::filesystem;

namespace {

/// The first byte that isn't zero; the number of bytes if there is none.
std::size_t first_not_zero(std::span<const std::byte> bytes) noexcept {
  if (bytes.empty() || (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0))
    return bytes.size();
  return static_cast<std::size_t>(
      std::find_if(bytes.begin(), bytes.end(), [](std::byte byte) { return byte != std::byte{0}; }) - bytes.begin());
}

/// A file that was in the folder's list.
std::unique_ptr<FileSystem::ReadFile> open_listed(FileSystem& files, const fs::path& path) {
  auto file = files.open(path);
  if (!file) throw Error(Errc::io, path.string() + " was there, and is gone");
  return file;
}

struct WholeFrames {
  std::uint64_t end = kSegmentStart;  ///< where the first frame begins that isn't there as a whole
  bool ended = false;                 ///< the last of them is an end
};

/// The frames that are whole, as far as can be told without the key.
WholeFrames whole_frames(std::span<std::byte> bytes, const FileHeader& header) {
  const FrameCodec codec = [&] {
    // A tag is part of what the mark sums up: without the key a frame's size is all that has to be known.
    return FrameCodec(header.salt, std::nullopt, header.version);
  }();
  WholeFrames whole;
  std::uint64_t& offset = whole.end;
  while (!whole.ended && offset + FrameCodec::kHeadBytes <= bytes.size()) {
    const auto head = codec.read_head(word_at(bytes, offset), offset);
    if (!head || head->size > bytes.size() - offset) break;
    const auto frame = bytes.subspan(offset, head->size);
    if (head->kind == FrameKind::data) {
      const std::uint64_t mark = word_at(frame, frame.size() - FrameCodec::kMarkBytes);
      const auto body = frame.subspan(FrameCodec::kHeadBytes, frame.size() - FrameCodec::kHeadBytes - FrameCodec::kMarkBytes);
      const bool given_up = mark != 0 && first_not_zero(body) == body.size();
      if (!given_up && !codec.open(frame, offset)) break;
    } else if (frame.size() > FrameCodec::kHeadBytes && word_at(frame, FrameCodec::kHeadBytes) == 0) {
      break;
    }
    offset += head->size;
    whole.ended = head->kind != FrameKind::data;
  }
  return whole;
}

}  // namespace

// --------------------------------------------------------------------------------------------------------------- writing

LogWindow::LogWindow(FileSystem& files, const fs::path& folder, FileHeader header)
    : path_(folder / window_name(header.generation, header.number)),
      file_(files.create_mapped(path_, kImageOffset + header.size)) {
  try {
    header.kind = FileHeader::Kind::window;
    header.note_place(files.status(path_));
    header.write(file_->bytes().first<FileHeader::kBytes>());
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

std::uint64_t LogWindow::state_of(std::span<const std::byte, FileHeader::kBytes> segment) noexcept {
  return XXH3_64bits_withSeed(segment.data(), segment.size(), kStateOffset) | 2;
}

void LogWindow::set_state(std::uint64_t state) noexcept {
  // seq_cst: what was stored before it is there for whoever finds it, and what is stored after it isn't there before
  std::atomic_ref(*reinterpret_cast<std::uint64_t*>(file_->bytes().data() + kStateOffset))
      .store(state, std::memory_order_seq_cst);
}

void LogWindow::take(const FileHeader& segment) noexcept {
  const auto header = image().first<FileHeader::kBytes>();
  set_state(kCleaning);
  segment.write(header);
  set_state(state_of(header));
}

void LogWindow::give_back(std::uint64_t used) noexcept {
  set_state(kCleaning);
  std::memset(image().data(), 0, std::min<std::uint64_t>(used, image().size()));
  set_state(kClean);
}

// --------------------------------------------------------------------------------------------------------------- reading

FileImage::FileImage(std::size_t size, const fs::path& path) : size_(size) {
  try {
    bytes_ = std::make_unique_for_overwrite<std::byte[]>(size);
  } catch (const std::bad_alloc&) {
    throw Error(Errc::io, "there is no memory for the " + std::to_string(size) + " bytes of " + path.string());
  }
}

FileImage::FileImage(FileSystem& files, const fs::path& path) {
  const auto file = open_listed(files, path);
  *this = FileImage(file->size(), path);
  size_ = file->read_at(0, bytes());
}

struct SegmentImages::Found {
  fs::path path;
  std::unique_ptr<FileSystem::ReadFile> file;
  FileHeader header;
};

SegmentImages::SegmentImages(Settings settings) : settings_(std::move(settings)), boot_(settings_.files->boot_id()) {
  for (const std::string& name : settings_.files->list(settings_.folder)) {
    const auto parsed = parse_name(name);
    if (parsed && parsed->kind == FileName::Kind::window) windows_.push_back(settings_.folder / name);
  }
  std::sort(windows_.begin(), windows_.end());
}

/// The window whose image is that of the segment with this header.
std::optional<SegmentImages::Found> SegmentImages::find(const FileHeader& header,
                                                        std::span<const std::byte> header_bytes) const {
  for (const fs::path& path : windows_) {
    auto file = settings_.files->open(path);
    if (!file) continue;  // its writer has removed it
    std::array<std::byte, FileHeader::kBytes + sizeof(std::uint64_t)> start{};
    std::array<std::byte, FileHeader::kBytes> image{};
    if (file->read_at(0, start) != start.size() || file->read_at(LogWindow::kImageOffset, image) != image.size()) continue;
    const auto window = FileHeader::read(start);
    if (!window || window->kind != FileHeader::Kind::window || window->store != settings_.store || window->size < header.size ||
        !std::equal(image.begin(), image.end(), header_bytes.begin())) {
      continue;
    }
    if (word_at(start, LogWindow::kStateOffset) != LogWindow::state_of(image)) continue;
    return Found{path, std::move(file), *window};
  }
  return std::nullopt;
}

SegmentImages::Image SegmentImages::read(const fs::path& segment) const {
  Image image;
  const auto file = open_listed(*settings_.files, segment);
  image.file_size = file->size();
  // What has no header, or not its own length, is for the reader of the log to judge. How long it is may be anything.
  image.file = FileImage(std::min<std::uint64_t>(image.file_size, kSegmentStart + FrameCodec::kHeadBytes), segment);
  image.file.shrink(file->read_at(0, image.file.bytes()));
  const auto header = FileHeader::read(image.file.bytes());
  if (!header || header->kind != FileHeader::Kind::segment || header->size != image.file_size) return image;
  image.file = FileImage(image.file_size, segment);
  image.file.shrink(file->read_at(0, image.file.bytes()));
  const auto now = FileHeader::read(image.file.bytes());
  if (now && now->version > 1 && now->size == image.file.bytes().size() && now->size > kSegmentStart) {
    complete(image, segment, *now);
  }
  return image;
}

/// Nothing has happened to either since their process died.
void SegmentImages::put_over(Image& image, FileImage& window, const fs::path& segment) const {
  const auto to = image.file.bytes();
  const auto from = window.bytes();
  image.in_file = kSegmentStart;
  if (!settings_.beside_a_writer) {
    // The file has a first part of it, and zeros from there on.
    const auto difference = std::mismatch(to.begin() + kSegmentStart, to.end(), from.begin() + kSegmentStart);
    image.in_file = static_cast<std::uint64_t>(difference.first - to.begin());
    const auto rest = to.subspan(image.in_file);
    const std::size_t strange = first_not_zero(rest);
    if (strange != rest.size()) fail_corrupt(segment, image.in_file + strange, "its window has something else there");
    const auto between = from.subspan(FileHeader::kBytes, kSegmentStart - FileHeader::kBytes);
    if (first_not_zero(between) != between.size()) {
      fail_corrupt(image.window, LogWindow::kImageOffset + FileHeader::kBytes, "there should be zeros");
    }
  }
  std::memcpy(to.data() + image.in_file, from.data() + image.in_file, to.size() - image.in_file);
}

/// The machine has died since, or they are copies: any part of them may be from another moment.
void SegmentImages::put_behind(Image& image, FileImage& window, const FileHeader& header) {
  const auto to = image.file.bytes();
  const auto from = window.bytes();
  const WholeFrames own = whole_frames(to, header);
  image.in_file = own.end;
  if (own.ended) return;
  std::memcpy(from.data(), to.data(), own.end);
  const WholeFrames both = whole_frames(from, header);
  // Behind an end, a window may still have what it was used for before. The file has zeros there.
  const std::uint64_t end = both.ended ? both.end : to.size();
  std::memcpy(to.data() + own.end, from.data() + own.end, end - own.end);
}

void SegmentImages::complete(Image& image, const fs::path& segment, const FileHeader& header) const {
  const auto header_bytes = [&] { return image.file.bytes().first<FileHeader::kBytes>(); };
  const auto is_in_window = [&] { return word_at(image.file.bytes(), kInWindowOffset) == in_window_mark(header.salt); };
  const bool untouched = header.is_untouched(settings_.files->status(segment), boot_);
  if (auto found = find(header, header_bytes())) {
    FileImage window(header.size, found->path);
    const std::size_t length = found->file->read_at(LogWindow::kImageOffset, window.bytes());
    // A writer may have brought it all into the segment meanwhile, and used the window for another.
    const bool still = !settings_.beside_a_writer || find(header, header_bytes()).has_value();
    const bool exact = untouched && found->header.is_untouched(settings_.files->status(found->path), boot_);
    if (length != header.size) {
      if (exact && !settings_.beside_a_writer) fail_corrupt(found->path, LogWindow::kImageOffset + length, "it is too short");
    } else if (still) {
      image.window = found->path;
      exact ? put_over(image, window, segment) : put_behind(image, window, header);
      return;
    } else {
      image.file = FileImage(*settings_.files, segment);
      return;
    }
  }
  if (!is_in_window() || !untouched) return;
  if (settings_.beside_a_writer) {
    // It may have been given back after the file was read.
    image.file = FileImage(*settings_.files, segment);
    return;
  }
  fail_corrupt(segment, kInWindowOffset, "the window.* file that holds its records is missing, or damaged");
}

std::optional<FileHeader> SegmentImages::header_of(std::uint32_t generation, std::uint32_t number) const {
  for (const fs::path& path : windows_) {
    const auto file = settings_.files->open(path);
    std::array<std::byte, FileHeader::kBytes> image{};
    if (!file || file->read_at(LogWindow::kImageOffset, image) != image.size()) continue;
    const auto header = FileHeader::read(image);
    if (header && header->kind == FileHeader::Kind::segment && header->store == settings_.store &&
        header->generation == generation && header->number == number && find(*header, image)) {
      return header;
    }
  }
  return std::nullopt;
}

void SegmentImages::read_again(const fs::path& segment, const FileHeader& header, std::uint64_t offset,
                               std::span<std::byte> bytes) const {
  std::array<std::byte, FileHeader::kBytes> header_bytes{};
  header.write(header_bytes);
  if (const auto found = find(header, header_bytes)) {
    found->file->read_at(LogWindow::kImageOffset + offset, bytes);
    if (find(header, header_bytes)) return;
  }
  const auto file = settings_.files->open(segment);
  if (!file) throw Error(Errc::io, segment.string() + " was there, and is gone");
  file->read_at(offset, bytes);
}

void SegmentImages::check_unused(const fs::path& path) const {
  const auto file = open_listed(*settings_.files, path);
  std::array<std::byte, FileHeader::kBytes> start{};
  const bool is_long_enough = file->read_at(0, start) == start.size();
  const auto header = FileHeader::read(start);
  if (!header) {
    // Its checksum is what is written last.
    const bool begun = is_long_enough && word_at(start, FileHeader::kBytes - 8) != 0;
    if (begun) fail_corrupt(path, 0, "it doesn't begin as a window of the log does");
    return;
  }
  const auto named = parse_name(path.filename().string());
  if (header->kind != FileHeader::Kind::window || header->store != settings_.store || header->generation != named->generation ||
      header->number != named->number || file->size() != LogWindow::kImageOffset + header->size) {
    fail_corrupt(path, 0, "it is another store's, or another file under this name");
  }
  const FileImage window(*settings_.files, path);
  const auto bytes = window.bytes();
  const std::uint64_t state = word_at(bytes, LogWindow::kStateOffset);
  const auto image = bytes.subspan(LogWindow::kImageOffset);
  const auto zeros = [&](std::size_t from, std::size_t to) {
    const std::size_t place = first_not_zero(bytes.subspan(from, to - from));
    if (place != to - from) fail_corrupt(path, from + place, "there should be zeros");
  };
  zeros(LogWindow::kStateOffset + 8, LogWindow::kImageOffset);
  if (state == LogWindow::kClean) {
    zeros(LogWindow::kImageOffset, bytes.size());
  } else if (state != LogWindow::kCleaning && state != LogWindow::state_of(image.first<FileHeader::kBytes>())) {
    fail_corrupt(path, LogWindow::kStateOffset, "no segment is in it that its state could mean");
  }
}

}  // namespace cubby::detail
