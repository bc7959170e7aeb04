// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/clock.hpp"
#include "base/parker.hpp"

/// The one thread that does for all stores what nobody is there to do: removes expired keys, moves tables that nobody writes
/// to, saves at intervals, frees what waited for readers to leave. It starts with the first thing to do, and sleeps without a
/// single wake-up while there is nothing.
///
/// Thread safety: all members, from any thread. Never destroyed: it may be at work when the process exits.

namespace cubby::detail {

class Store;

class Maintenance {
 public:
  void add(std::shared_ptr<Store> store);
  void remove(const Store* store);

  /// There is something to do now.
  void wake() noexcept { wake_at(0); }
  /// There is something to do at this time.
  void wake_at(std::int64_t time) noexcept;
  /// Retired memory waits for readers to leave.
  void garbage_waits() noexcept;
  /// Runs `free(object)` on the thread: for what takes long.
  void free_on_thread(void* object, void (*free)(void*));

 private:
  struct Errand {
    void* object;
    void (*free)(void*);
    Errand* next;
  };

  void run();
  void start();
  /// Does what is due; the time to look again.
  std::int64_t work();

  std::atomic<std::int64_t> wanted_{kNever};   ///< the earliest time that somebody asked for since it began to work
  std::atomic<std::int64_t> sleeps_until_{0};  ///< while it sleeps; 0 while it is awake
  std::atomic<bool> started_{false};
  std::atomic<bool> garbage_{false};
  std::int64_t garbage_look_ = 0;   ///< when to look at it again; the thread's own, as the next one
  std::uint64_t garbage_seen_ = 0;  ///< hand-overs at the last look
  std::atomic<Errand*> errands_{nullptr};
  std::atomic<Parker*> parker_{nullptr};
  std::mutex starting_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Store>> stores_;  ///< under mutex_
};

Maintenance& maintenance();

}  // namespace cubby::detail
