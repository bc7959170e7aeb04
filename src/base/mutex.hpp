// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>

namespace cubby::detail {

/// How often a lock that is held is tried again before its thread sleeps: not at all where there is one core. Set once, before
/// any other static is made.
extern int spins_before_sleep;
/// Tells the core that its thread is only waiting for another.
inline void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A mutex for what takes a microsecond: who finds it held looks again some times before sleeping, as falling asleep and being
/// woken costs a hundred times what the holder needs.
class BriefMutex {
 public:
  constexpr BriefMutex() noexcept = default;
  BriefMutex(const BriefMutex&) = delete;
  BriefMutex& operator=(const BriefMutex&) = delete;

  void lock() {
    if (mutex_.try_lock()) [[likely]]
      return;
    for (int spins = spins_before_sleep; spins > 0; --spins) {
      pause_briefly();
      if (mutex_.try_lock()) return;
    }
    mutex_.lock();
  }
  bool try_lock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

}  // namespace cubby::detail
