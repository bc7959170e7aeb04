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
constexpr std::int64_t kNoteInterval = 100'000'000;  // ns between notes of what is synced: each costs a page

}  // namespace

Log::Log(Settings settings, std::uint32_t generation, std::uint32_t first_version)
    : settings_(std::move(settings)), syncs_by_itself_(!settings_.sync.is_always() && !settings_.sync.is_never()) {
  auto first = std::make_unique<Generation>();
  first->number = generation;
  first->first_version = first_version;
  first->next_segment = 1;
  auto segment = make_segment(generation, 0, 0);
  first->current.store(segment.get(), std::memory_order_release);
  current_.store(first.get(), std::memory_order_release);
  synced_ = {std::uint64_t{generation} << 32, 0};
  segments_.push_back(std::move(segment));
  generations_.push_back(std::move(first));
  thread_ = start_thread("cubby-log", [this] { run(); });
}

Log::~Log() { stop(); }

void Log::stop() noexcept {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  wake();
  thread_.join();
}

void Log::finish() noexcept {
  stop();
  settle({~std::uint64_t{0}, 0});
  abandon_prepared();
  const std::lock_guard rolling(rolling_);
  const std::lock_guard lock(segments_lock_);
  const auto remove = [this](const LogSegment& segment) {
    try {
      settings_.files->remove(segment.path());
    } catch (const std::exception&) {
      // the next open removes it
    }
  };
  for (const auto& segment : segments_) remove(*segment);
  if (spare_ != nullptr) remove(*spare_);
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
  // The first of a generation is what the manifest leads to.
  if (settings_.sync.is_never() && number != 0) return segment;
  try {
    // What is synced later must not be lost with the name, or the length, of its file.
    segment->sync_to(kSegmentStart);
    settings_.files->sync_folder(settings_.folder);
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
    // First the end: once others can append to the successor, recovery must find the way to it.
    full->end(FrameKind::segment_end);
    adopt(generation, std::move(spare_));
    if (spare->can_hold(frame)) return;
    full = spare;  // made for smaller records: it stays empty
  }
  auto next = make_segment(generation.number, generation.next_segment, frame);
  ++generation.next_segment;
  full->end(FrameKind::segment_end);
  adopt(generation, std::move(next));
}

Log::Record Log::reserve(std::uint32_t version, std::uint64_t body) {
  const std::uint64_t frame = frame_size(body);
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
      return {segment, *offset, frame};
    }
    roll(*generation, segment, frame);
  }
}

void Log::wake() noexcept {
  if (woken_.exchange(true, std::memory_order_acq_rel)) return;
  if (Parker* parker = parker_.load(std::memory_order_acquire)) parker->unpark();
}

void Log::note_dirty() noexcept {
  if (!dirty_.exchange(true, std::memory_order_seq_cst)) wake();
}

void Log::note_growth(LogSegment& segment) noexcept {
  if (half_noted_.exchange(&segment, std::memory_order_relaxed) == &segment) return;
  grown_.store(true, std::memory_order_release);
  wake();
}

void Log::acknowledge(const LogPlace& place) {
  Pending self;
  self.place = place;
  self.parker = &this_thread_parker();
  {
    const std::lock_guard lock(pending_lock_);
    if (synced_ >= place) return;
    if (failed())
      self.state.store(2, std::memory_order_relaxed);
    else
      pending_.push_back(&self);
  }
  int state = self.state.load(std::memory_order_relaxed);
  if (state == 0) wake();
  while ((state = self.state.load(std::memory_order_acquire)) == 0) self.parker->park();
  if (state == 2)
    throw Error(Errc::io, "the log can't be synced (" + failure() + "): what was written may be lost with the power");
}

std::string Log::failure() const {
  const std::lock_guard lock(segments_lock_);
  return failure_;
}

void Log::settle(const LogPlace& synced) noexcept {
  std::vector<Parker*> woken;
  {
    const std::lock_guard lock(pending_lock_);
    if (synced_ < synced) synced_ = synced;
    std::erase_if(pending_, [&](Pending* each) {
      if (synced_ < each->place) return false;
      woken.push_back(each->parker);  // which lives for ever, unlike `each` once it knows
      each->state.store(1, std::memory_order_release);
      return true;
    });
  }
  for (Parker* parker : woken) parker->unpark();
}

void Log::fail_all(const std::string& why) noexcept {
  {
    const std::lock_guard lock(segments_lock_);
    if (failure_.empty()) failure_ = why;
  }
  std::vector<Parker*> woken;
  {
    const std::lock_guard lock(pending_lock_);
    failed_.store(true, std::memory_order_release);
    for (Pending* each : pending_) {
      woken.push_back(each->parker);
      each->state.store(2, std::memory_order_release);
    }
    pending_.clear();
  }
  for (Parker* parker : woken) parker->unpark();
}

bool Log::sync_pass() {
  const std::lock_guard lock(syncing_);
  struct Goal {
    LogSegment* segment;
    bool ended;
    std::uint64_t tail;
  };
  dirty_.exchange(false, std::memory_order_seq_cst);  // before the tails are read
  std::vector<Goal> goals;
  {
    const std::lock_guard segments(segments_lock_);
    for (const auto& segment : segments_) {
      const bool ended = segment->ended();  // before the tail
      goals.push_back({segment.get(), ended, segment->tail()});
    }
  }
  settings_.wait_for_publishers();  // invariant 1
  bool synced = false;
  for (const Goal& goal : goals) {
    LogSegment& segment = *goal.segment;
    if (goal.tail > segment.synced() || !segment.note_is_synced()) {
      segment.sync_to(goal.tail);
      synced = true;
      const std::int64_t time = now();
      if (goal.ended || time - last_note_ >= kNoteInterval) {
        segment.note_synced();
        last_note_ = time;
      }
    }
    settle({std::uint64_t{segment.generation()} << 32 | segment.number(), goal.tail});
    if (!goal.ended) break;  // invariant 3
  }
  return synced;
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

void Log::run() {
  Parker& parker = this_thread_parker();
  parker_.store(&parker, std::memory_order_release);
  std::int64_t next_sync = kNever;
  while (!stopping_.load(std::memory_order_acquire)) {
    woken_.store(false, std::memory_order_seq_cst);  // what comes from now on wakes again
    if (grown_.exchange(false, std::memory_order_acquire)) {
      prepare_next();
      settings_.on_growth();
    }
    bool urgent = false;
    {
      const std::lock_guard lock(pending_lock_);
      urgent = !pending_.empty();
    }
    if (next_sync == kNever && syncs_by_itself_ && dirty_.load(std::memory_order_seq_cst)) {
      next_sync = deadline_after(settings_.sync.length());
    }
    if (!failed() && (urgent || now() >= next_sync)) {
      next_sync = kNever;
      try {
        // Once more when nothing follows: for the note of what was synced.
        if (sync_pass() && syncs_by_itself_) next_sync = deadline_after(settings_.sync.length());
      } catch (const std::exception& error) {
        fail_all(error.what());
      }
      settings_.on_growth();
      continue;
    }
    parker.park_until(failed() ? kNever : next_sync);
  }
}

void Log::prepare_generation() {
  const std::lock_guard lock(rolling_);
  const Generation& before = *current_.load(std::memory_order_acquire);
  auto generation = std::make_unique<Generation>();
  generation->number = before.number + 1;
  generation->next_segment = 1;
  next_segment_ = make_segment(generation->number, 0, 0);
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
    try {
      settings_.files->remove(path);
    } catch (const Error&) {
      // it is empty, and goes with its generation
    }
  }
  note_dirty();
}

void Log::abandon_prepared() noexcept {
  const std::lock_guard lock(rolling_);
  if (next_segment_ == nullptr) return;
  const std::filesystem::path path = next_segment_->path();
  next_segment_.reset();
  next_generation_.reset();
  try {
    settings_.files->remove(path);
  } catch (const std::exception&) {
    // it is empty, and the next open removes it
  }
}

void Log::remove_before_current() noexcept {
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
    segment.reset();
    try {
      settings_.files->remove(path);
    } catch (const std::exception&) {
      // the next open removes it
    }
  }
}

std::uint64_t Log::bytes() const {
  const std::lock_guard lock(segments_lock_);
  std::uint64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->tail() - kSegmentStart;
  return bytes;
}

}  // namespace cubby::detail
