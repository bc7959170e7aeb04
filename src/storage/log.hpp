// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The log of a durable store: every mutation is appended before its effect can be seen, and so survives the process. What is
/// appended lies in mapped memory: the kernel keeps it whatever becomes of the process, so appending is a reservation and a
/// memcpy, without a system call. One thread of the log's own brings it to the disk, at an interval; another makes segments
/// ahead, and empties the windows of those that have ended. With Sync::always a caller that waits for the disk syncs for all
/// who wait.
///
/// A record belongs to the generation of the version that its write is stamped with (store/cut.hpp). A checkpoint begins a new
/// generation together with the cut, so what the cut holds is exactly what the earlier generations say.
///
/// Invariants
///  1. A record is reserved and completed (or discarded) within one PublishingGuard. So once all publishers that were running
///     have ended, everything below a tail that was read before is complete.
///  2. A segment is ended only after its successor exists, and the successor of a generation exists before it is ended.
///  3. With a key, a body stands in no file and no mapped memory before it is encrypted.
///  4. What is acknowledged as synced: all before it, in the order of generations, segments and offsets, is complete and on the
///     disk. A generation that was not ended keeps later ones from being acknowledged.
///
/// Thread safety: reserve(), complete(), discard() within a PublishingGuard, by any threads; acknowledge() outside; the rest by
/// one thread at a time, as said.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <cubby/options.hpp>

#include "base/atomics.hpp"
#include "base/clock.hpp"
#include "base/parker.hpp"
#include "base/wake_flag.hpp"
#include "storage/log_segment.hpp"
#include "storage/log_window.hpp"

namespace cubby::detail {

/// A place in the log: the end of a record.
struct LogPlace {
  std::uint64_t segment = 0;  ///< generation << 32 | number
  std::uint64_t end = 0;
  friend auto operator<=>(const LogPlace&, const LogPlace&) = default;
};

class Log {
 public:
  struct Settings {
    FileSystem* files = nullptr;
    std::filesystem::path folder;
    StoreId store{};
    std::optional<EncryptionKey> key;
    Sync sync = Sync::never();
    std::size_t segment_bytes = 16 << 20;
    std::string boot;
    /// Returns when every publisher that was running has ended: wait_for_publishers().
    std::function<void()> wait_for_publishers;
    /// Called on one of the log's threads when a segment has been half used, and at each sync: time to think of a checkpoint.
    std::function<void()> on_growth;
  };

  struct Record {
    LogSegment* segment = nullptr;
    std::uint64_t offset = 0;
    std::uint64_t frame = 0;
    std::byte* text = nullptr;
    /// Where the body is to be written. Memory of the file's, or where that is encrypted, the thread's own.
    std::byte* body() const noexcept { return text; }
    LogPlace end() const noexcept { return {std::uint64_t{segment->generation()} << 32 | segment->number(), offset + frame}; }
  };

  /// Begins the log with a new generation, for writes of `first_version` on. Throws Errc::io.
  Log(Settings settings, std::uint32_t generation, std::uint32_t first_version);
  /// What isn't synced stays for the kernel to write. REQUIRES: no publishers.
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Room for a record with a body of `body` bytes (a multiple of 8). Throws Errc::io if the disk is full, Errc::read_only once
  /// a sync has failed, std::bad_alloc; nothing has changed then. REQUIRES: the thread has completed or discarded what it had
  /// reserved before, in any log, unless it never will.
  Record reserve(std::uint32_t version, std::uint64_t body);
  void complete(const Record& record) noexcept {
    record.segment->complete(record.offset, record.frame, record.text);
    // seq_cst: with the exchange in sync_pass(), which reads the tail after it, as this comes after the tail was moved
    if (syncs_by_itself_ && !dirty_.load(std::memory_order_seq_cst)) note_dirty();
  }
  void discard(const Record& record) noexcept {
    record.segment->discard(record.offset, record.frame);
    if (settings_.key) drop_clear_text();
  }
  /// Of a body of this size.
  std::uint64_t frame_size(std::uint64_t body) const noexcept {
    return body + FrameCodec::kHeadBytes + FrameCodec::kMarkBytes + (settings_.key ? Cipher::kTagBytes : 0);
  }

  /// Waits until the record that ends here is on the disk. Throws Errc::io if that failed.
  void acknowledge(const LogPlace& place);
  /// Whether a call has to be acknowledged: with Sync::always, and with an interval while the disk can't keep up with it, so
  /// that no more is lost with the power than was promised.
  bool waits_for_disk() const noexcept {
    return settings_.sync.is_always() || (watched_.load(std::memory_order_relaxed) && is_behind());
  }

  /// Why nothing can be written any more; empty if all is well.
  std::string failure() const;
  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

  // --- checkpoints; one at a time

  /// Prepares the next generation. Throws Errc::io. Then begin_generation() for writes of `first_version` on, which can't fail;
  /// then, when all publishers of earlier versions have ended, end_generation(), for the one before.
  void prepare_generation();
  void begin_generation(std::uint32_t first_version) noexcept;
  void end_generation();
  /// Drops prepared files that were not needed. For who gives up between prepare and begin.
  void abandon_prepared() noexcept;
  /// Forgets generations before the current one, and removes their files; errors are ignored, as the next open removes them
  /// too. REQUIRES: ended, and no publishers that entered before.
  void remove_before_current() noexcept;
  /// Nothing can be written any more, for this reason.
  void give_up(const std::string& why) noexcept { fail_all(why); }
  /// The end: everything is in a checkpoint, and nothing comes any more. Acknowledges whoever waits, and removes all files.
  void finish() noexcept;
  std::uint32_t generation() const noexcept { return current_.load(std::memory_order_acquire)->number; }

  /// Bytes in the log's generations that are still there.
  std::uint64_t bytes() const;

 private:
  struct Generation {
    std::uint32_t number = 0;
    std::uint32_t first_version = 0;
    std::atomic<LogSegment*> current{nullptr};
    Generation* previous = nullptr;  ///< for late publishers; REQUIRES: they end before it goes
    std::uint32_t next_segment = 0;  ///< under rolling_
  };
  struct Pending {
    LogPlace place;
    Parker* parker = nullptr;
    enum State : int { waiting, on_disk, gave_up, leads };
    std::atomic<int> state{waiting};  ///< gave_up: a sync has failed; leads: it is its turn to sync
  };

  /// REQUIRES: rolling_ held, for what has to do with windows.
  std::unique_ptr<LogSegment> make_segment(std::uint32_t generation, std::uint32_t number, std::uint64_t frame);
  /// Gives the generation another segment, with room for `frame`, unless somebody has. Throws.
  void roll(Generation& generation, LogSegment* full, std::uint64_t frame);
  void adopt(Generation& generation, std::unique_ptr<LogSegment> segment);
  void stop() noexcept;
  void make_windows(std::uint32_t generation);
  /// Its memory: a window, if there is one, it fits, and it shall have one; or its file. REQUIRES: rolling_ held. Throws.
  void give_memory(LogSegment& segment, bool in_window);
  std::unique_ptr<LogWindow> take_window() noexcept;
  void put_back(std::unique_ptr<LogWindow> window, std::uint64_t used) noexcept;
  void remove_quietly(const std::filesystem::path& path) noexcept;
  void note_dirty() noexcept;
  /// What was appended an interval ago isn't synced. For writers to find out, as each thread of the log's may be stuck in the
  /// disk.
  bool is_behind() const noexcept;
  void watch() noexcept;
  /// What was appended before `start` is synced.
  void note_synced_before(std::int64_t start) noexcept;
  void note_growth(LogSegment& segment) noexcept;
  void run_syncs();
  void run_segments();
  void prepare_next() noexcept;
  /// Takes the memory of segments that have ended.
  void release_memory();
  /// True if something was synced. Who waited for it is added to `settled`, to be woken.
  bool sync_pass(std::vector<Parker*>& settled) noexcept;
  bool sync_all(std::vector<Parker*>& settled);
  void lead(Pending& self) noexcept;
  void fail_all(const std::string& why) noexcept;
  void settle(const LogPlace& synced, std::vector<Parker*>& settled) noexcept;

  const Settings settings_;
  const bool syncs_by_itself_;  ///< at an interval
  std::atomic<Generation*> current_{nullptr};
  std::atomic<bool> failed_{false};
  std::atomic<bool> dirty_{false};                    ///< something was appended since the last sync began
  std::atomic<std::int64_t> unsynced_since_{kNever};  ///< when that was
  std::atomic<bool> watched_{false};                  ///< a sync is running, and writers look at the clock
  std::atomic<bool> grown_{false};                    ///< a segment is half used
  std::atomic<LogSegment*> half_noted_{nullptr};      ///< whose half was noted last

  mutable std::mutex segments_lock_;                  ///< the next three
  std::deque<std::unique_ptr<LogSegment>> segments_;  ///< in their order
  std::vector<std::unique_ptr<Generation>> generations_;
  std::string failure_;

  std::mutex rolling_;                                    ///< the next four, and Generation::next_segment
  std::vector<std::unique_ptr<LogWindow>> free_windows_;  ///< the one that was used last is the last
  std::unique_ptr<LogSegment> spare_;                     ///< made ahead
  std::unique_ptr<LogSegment> next_segment_;              ///< of the generation that is prepared
  std::unique_ptr<Generation> next_generation_;

  std::vector<std::filesystem::path> window_paths_;  ///< from the start on
  std::mutex releasing_;                             ///< segments are not removed while their memory is released
  std::mutex syncing_;                               ///< one sync at a time; the next one
  std::int64_t last_note_ = 0;
  std::mutex pending_lock_;  ///< the next three
  LogPlace synced_;
  std::vector<Pending*> pending_;
  bool led_ = false;  ///< some caller syncs for those who wait

  /// One of the log's threads, asleep until there is something to do.
  struct Worker {
    WakeFlag<StdAtomics> flag;
    std::atomic<Parker*> parker{nullptr};
    std::thread thread;

    void start(const char* name, std::function<void()> run);
    void wake() noexcept;
    /// It ends its turns; join() waits for that.
    void stop() noexcept;
    void join() noexcept;
    /// By the thread itself: until the deadline, or until it is woken.
    void sleep_until(std::int64_t deadline) noexcept;

   private:
    void unpark() noexcept;
  };
  Worker syncs_;
  Worker segments_worker_;
};

}  // namespace cubby::detail
