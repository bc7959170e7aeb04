// SPDX-License-Identifier: Apache-2.0
#include "storage/log.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <cubby/error.hpp>

#include "base/clock.hpp"
#include "base/thread.hpp"

namespace cubby::detail {

namespace {

constexpr std::uint64_t kPage = 4096;
// One that is written to, one that is being emptied, one for the generation that is prepared.
constexpr std::uint32_t kWindows = 3;

}  // namespace

Log::Log(Settings settings, std::uint32_t generation, std::uint32_t first_version)
    : settings_(std::move(settings)), syncs_by_itself_(!settings_.sync.is_always() && !settings_.sync.is_never()) {
  const std::lock_guard rolling(rolling_);
  auto first = std::make_unique<Generation>();
  first->number = generation;
  first->first_version = first_version;
  first->next_segment = 1;
  make_windows(generation);
  auto segment = make_segment(generation, 0, 0);
  give_memory(*segment, true);
  first->current.store(segment.get(), std::memory_order_release);
  current_.store(first.get(), std::memory_order_release);
  synced_ = {std::uint64_t{generation} << 32, 0};
  segments_.push_back(std::move(segment));
  generations_.push_back(std::move(first));
  syncs_.start("cubby-log", [this] { run_syncs(); });
  try {
    segments_worker_.start("cubby-segment", [this] { run_segments(); });
  } catch (...) {
    stop();
    throw;
  }
}

Log::~Log() { stop(); }

void Log::stop() noexcept {
  syncs_.stop();
  segments_worker_.stop();
  syncs_.join();
  segments_worker_.join();
}

void Log::Worker::start(const char* name, std::function<void()> run) {
  thread = start_thread(name, [this, run = std::move(run)] {
    parker.store(&this_thread_parker(), std::memory_order_release);
    run();
  });
}

void Log::Worker::wake() noexcept {
  if (flag.raise()) unpark();
}

void Log::Worker::stop() noexcept {
  if (flag.stop()) unpark();
}

void Log::Worker::unpark() noexcept {
  // Null: the thread has not begun its first turn, and will find what it was woken for.
  if (Parker* sleeper = parker.load(std::memory_order_acquire)) sleeper->unpark();
}

void Log::Worker::sleep_until(std::int64_t deadline) noexcept {
  // What the turn waited for on the way may have taken the permit.
  if (!flag.is_raised()) this_thread_parker().park_until(deadline);
}

void Log::Worker::join() noexcept {
  if (thread.joinable()) thread.join();
}

void Log::finish() noexcept {
  stop();
  std::vector<Parker*> settled;
  settle({~std::uint64_t{0}, 0}, settled);
  for (Parker* parker : settled) parker->unpark();
  abandon_prepared();
  const std::lock_guard rolling(rolling_);
  const std::lock_guard lock(segments_lock_);
  for (const auto& segment : segments_) remove_quietly(segment->path());
  if (spare_ != nullptr) remove_quietly(spare_->path());
  for (const std::filesystem::path& window : window_paths_) remove_quietly(window);
}

void Log::make_windows(std::uint32_t generation) {
  FileHeader header;
  header.encrypted = settings_.key.has_value();
  header.store = settings_.store;
  header.generation = generation;
  header.size = settings_.segment_bytes;
  std::copy_n(settings_.boot.begin(), std::min(settings_.boot.size(), header.boot.size()), header.boot.begin());
  for (header.number = 0; header.number < kWindows; ++header.number) {
    header.salt = random_word();
    const std::filesystem::path path = settings_.folder / window_name(generation, header.number);
    if (settings_.files->status(path)) settings_.files->remove(path);  // of an attempt that failed
    free_windows_.push_back(std::make_unique<LogWindow>(*settings_.files, settings_.folder, header));
    window_paths_.push_back(path);
  }
}

std::unique_ptr<LogWindow> Log::take_window() noexcept {
  if (free_windows_.empty()) return nullptr;
  auto window = std::move(free_windows_.back());
  free_windows_.pop_back();
  return window;
}

void Log::put_back(std::unique_ptr<LogWindow> window, std::uint64_t used) noexcept {
  if (window == nullptr) return;
  window->give_back(used);
  free_windows_.push_back(std::move(window));  // there is room: it was there before
}

std::unique_ptr<LogSegment> Log::make_segment(std::uint32_t generation, std::uint32_t number, std::uint64_t frame) {
  FileHeader header;
  header.kind = FileHeader::Kind::segment;
  header.encrypted = settings_.key.has_value();
  header.store = settings_.store;
  header.generation = generation;
  header.number = number;
  header.salt = random_word();
  const std::uint64_t least = (frame + kSegmentStart + kPage) / kPage * kPage + kPage;
  header.size = std::max<std::uint64_t>(settings_.segment_bytes, least);
  std::copy_n(settings_.boot.begin(), std::min(settings_.boot.size(), header.boot.size()), header.boot.begin());
  const std::filesystem::path path = settings_.folder / segment_name(generation, number);
  if (settings_.files->status(path)) settings_.files->remove(path);  // of an attempt that failed, and couldn't be removed then
  auto segment = std::make_unique<LogSegment>(*settings_.files, settings_.folder, header, settings_.key);
  if (number != 0) return segment;
  try {
    // The first of a generation is what the manifest leads to. The names of others get to the disk with what is synced in them.
    segment->sync_to(kSegmentStart);
    settings_.files->sync_folder(settings_.folder);
    segment->set_name_synced();
  } catch (...) {
    segment.reset();
    try {
      settings_.files->remove(path);
    } catch (const Error&) {
      // it is empty, and the next attempt or open removes it
    }
    throw;
  }
  return segment;
}

void Log::adopt(Generation& generation, std::unique_ptr<LogSegment> segment) {
  LogSegment* raw = segment.get();
  {
    const std::lock_guard lock(segments_lock_);
    const auto later = std::find_if(segments_.begin(), segments_.end(), [raw](const std::unique_ptr<LogSegment>& each) {
      return std::pair(each->generation(), each->number()) > std::pair(raw->generation(), raw->number());
    });
    segments_.insert(later, std::move(segment));
  }
  generation.current.store(raw, std::memory_order_release);
}

void Log::roll(Generation& generation, LogSegment* full, std::uint64_t frame) {
  const std::lock_guard lock(rolling_);
  if (generation.current.load(std::memory_order_acquire) != full) return;  // somebody has
  if (spare_ != nullptr && spare_->generation() == generation.number) {
    LogSegment* spare = spare_.get();
    const bool fits = spare->can_hold(frame);
    give_memory(*spare, fits);
    // First the end: once others can append to the successor, recovery must find the way to it.
    full->end(FrameKind::segment_end);
    adopt(generation, std::move(spare_));
    segments_worker_.wake();
    if (fits) return;
    full = spare;  // made for smaller records: it stays empty
  }
  auto next = make_segment(generation.number, generation.next_segment, frame);
  try {
    give_memory(*next, true);
  } catch (...) {
    const std::filesystem::path path = next->path();
    next.reset();
    remove_quietly(path);
    throw;
  }
  ++generation.next_segment;
  full->end(FrameKind::segment_end);
  adopt(generation, std::move(next));
  segments_worker_.wake();
}

void Log::give_memory(LogSegment& segment, bool in_window) {
  auto window = in_window ? take_window() : nullptr;
  try {
    segment.give_memory(*settings_.files, window);
  } catch (...) {
    if (window != nullptr) free_windows_.push_back(std::move(window));
    throw;
  }
  if (window != nullptr) free_windows_.push_back(std::move(window));  // too small for it
}

void Log::remove_quietly(const std::filesystem::path& path) noexcept {
  try {
    settings_.files->remove(path);
  } catch (const std::exception&) {
    // the next attempt or open removes it
  }
}

Log::Record Log::reserve(std::uint32_t version, std::uint64_t body) {
  const std::uint64_t frame = frame_size(body);
  std::byte* const elsewhere = settings_.key ? clear_text(body) : nullptr;  // invariant 3
  for (;;) {
    if (failed()) {
      throw Error(Errc::read_only,
                  "nothing can be written since a sync failed (" + failure() + "); close the store and open it again");
    }
    Generation* generation = current_.load(std::memory_order_acquire);
    while (version < generation->first_version) generation = generation->previous;
    LogSegment* segment = generation->current.load(std::memory_order_acquire);
    if (const auto offset = segment->reserve(frame)) {
      if (segment->half_used() && half_noted_.load(std::memory_order_relaxed) != segment) note_growth(*segment);
      return {segment, *offset, frame, elsewhere != nullptr ? elsewhere : segment->at(*offset) + FrameCodec::kHeadBytes};
    }
    roll(*generation, segment, frame);
  }
}

void Log::note_growth(LogSegment& segment) noexcept {
  if (half_noted_.exchange(&segment, std::memory_order_relaxed) == &segment) return;
  grown_.store(true, std::memory_order_release);
  segments_worker_.wake();
}

void Log::prepare_next() noexcept {
  try {
    const std::lock_guard lock(rolling_);
    Generation& generation = *current_.load(std::memory_order_acquire);
    if (spare_ != nullptr) return;
    spare_ = make_segment(generation.number, generation.next_segment, 0);
    ++generation.next_segment;
  } catch (const std::exception&) {
    // A writer tries again when the segment is full, and reports it.
  }
}

void Log::release_memory() {
  const std::lock_guard releasing(releasing_);
  std::vector<LogSegment*> full;
  {
    const std::lock_guard lock(segments_lock_);
    for (const auto& segment : segments_) {
      if (segment->has_memory() && segment->ended()) full.push_back(segment.get());
    }
  }
  if (full.empty()) return;
  settings_.wait_for_publishers();  // who has found the segment before it ended may still touch its memory
  for (LogSegment* segment : full) {
    auto window = segment->leave_memory();
    if (settings_.sync.is_never()) segment->close();
    if (window == nullptr) continue;
    window->give_back(segment->tail());
    const std::lock_guard lock(rolling_);
    free_windows_.push_back(std::move(window));
  }
}

void Log::run_segments() {
  while (segments_worker_.flag.begin_turn()) {
    const bool grown = grown_.exchange(false, std::memory_order_acquire);
    if (grown) prepare_next();
    if (!failed()) {
      try {
        release_memory();
      } catch (const std::exception& error) {
        fail_all(error.what());
      }
    }
    if (grown) settings_.on_growth();
    segments_worker_.sleep_until(kNever);
  }
}

void Log::prepare_generation() {
  const std::lock_guard lock(rolling_);
  const Generation& before = *current_.load(std::memory_order_acquire);
  auto generation = std::make_unique<Generation>();
  generation->number = before.number + 1;
  generation->next_segment = 1;
  auto segment = make_segment(generation->number, 0, 0);
  try {
    give_memory(*segment, true);
  } catch (...) {
    const std::filesystem::path path = segment->path();
    segment.reset();
    remove_quietly(path);
    throw;
  }
  next_segment_ = std::move(segment);
  next_generation_ = std::move(generation);
}

void Log::begin_generation(std::uint32_t first_version) noexcept {
  const std::lock_guard lock(rolling_);
  Generation& generation = *next_generation_;
  generation.first_version = first_version;
  generation.previous = current_.load(std::memory_order_acquire);
  adopt(generation, std::move(next_segment_));
  {
    const std::lock_guard segments(segments_lock_);
    generations_.push_back(std::move(next_generation_));
  }
  // release: who reads the version that is raised after this finds the generation
  current_.store(&generation, std::memory_order_release);
}

void Log::end_generation() {
  const std::lock_guard lock(rolling_);
  Generation& current = *current_.load(std::memory_order_acquire);
  Generation& old = *std::exchange(current.previous, nullptr);
  old.current.load(std::memory_order_acquire)->end(FrameKind::generation_end);
  if (spare_ != nullptr && spare_->generation() == old.number) {
    const std::filesystem::path path = spare_->path();
    spare_.reset();
    remove_quietly(path);  // it is empty, and goes with its generation
  }
  note_dirty();
  segments_worker_.wake();
}

void Log::abandon_prepared() noexcept {
  const std::lock_guard lock(rolling_);
  if (next_segment_ == nullptr) return;
  const std::filesystem::path path = next_segment_->path();
  put_back(next_segment_->drop_memory(), FileHeader::kBytes);
  next_segment_.reset();
  next_generation_.reset();
  remove_quietly(path);
}

void Log::remove_before_current() noexcept {
  const std::lock_guard releasing(releasing_);
  const std::lock_guard syncing(syncing_);
  std::vector<std::unique_ptr<LogSegment>> old;
  std::vector<std::unique_ptr<Generation>> old_generations;
  {
    const std::lock_guard segments(segments_lock_);
    const std::uint32_t current = generation();
    half_noted_.store(nullptr, std::memory_order_relaxed);  // an address may be used again
    while (!segments_.empty() && segments_.front()->generation() < current) {
      old.push_back(std::move(segments_.front()));
      segments_.pop_front();
    }
    std::erase_if(generations_, [&](std::unique_ptr<Generation>& each) {
      if (each->number >= current) return false;
      old_generations.push_back(std::move(each));
      return true;
    });
  }
  for (auto& segment : old) {
    const std::filesystem::path path = segment->path();
    const std::uint64_t used = segment->tail();
    if (auto window = segment->drop_memory()) {
      window->give_back(used);
      const std::lock_guard rolling(rolling_);
      free_windows_.push_back(std::move(window));
    }
    segment.reset();
    remove_quietly(path);
  }
}

std::uint64_t Log::bytes() const {
  const std::lock_guard lock(segments_lock_);
  std::uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->tail() - kSegmentStart;
  return bytes;
}

}  // namespace cubby::detail
