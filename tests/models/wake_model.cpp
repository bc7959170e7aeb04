// SPDX-License-Identifier: Apache-2.0
// A thread that works in turns, two that leave it something to do, and who stops it: all that was left is done, and the thread
// ends. One that sleeps for ever is a deadlock, which Relacy reports.

#include "base/wake_flag.hpp"
#include "models/model.hpp"

namespace cubby::models {
namespace {

/// As Parker promises: one permit, and an unpark before the park is not lost. What it orders besides is not relied on.
class ModelParker {
 public:
  void park() {
    mutex_.lock($);
    while (!permit_) given_.wait(mutex_, $);
    permit_ = false;
    mutex_.unlock($);
  }
  void unpark() {
    mutex_.lock($);
    permit_ = true;
    given_.notify_all($);
    mutex_.unlock($);
  }

 private:
  rl::mutex mutex_;
  rl::condition_variable given_;
  bool permit_ = false;  // under mutex_
};

/// Looks whether it shall stop, and lowers the flag then.
template <class Policy>
class LooksFirst {
 public:
  bool raise() { return !raised_.exchange(true, std::memory_order_acq_rel); }
  bool stop() {
    stopping_.store(true, std::memory_order_release);
    return raise();
  }
  bool begin_turn() {
    const bool goes_on = !stopping_.load(std::memory_order_acquire);
    raised_.exchange(false, std::memory_order_acq_rel);
    return goes_on;
  }
  bool is_raised() const { return raised_.load(std::memory_order_relaxed); }

 private:
  typename Policy::template Atomic<bool> raised_{false};
  typename Policy::template Atomic<bool> stopping_{false};
};

template <class Policy, template <class> class Flag = detail::WakeFlag>
struct WakeSuite : rl::test_suite<WakeSuite<Policy, Flag>, 3> {
  void thread(unsigned index) {
    if (index == 0) {
      while (flag.begin_turn()) {
        done += left.exchange(0, std::memory_order_relaxed);
        if (!flag.is_raised()) parker.park();
      }
      done += left.exchange(0, std::memory_order_relaxed);
      return;
    }
    for (int task = 0; task < 2; ++task) {
      left.fetch_add(1, std::memory_order_relaxed);
      if (flag.raise()) parker.unpark();
    }
    // The last of both stops it, having seen that the other is through.
    if (through.fetch_add(1, std::memory_order_acq_rel) == 1 && flag.stop()) parker.unpark();
  }

  void after() { require(done == 4, "something was left and not done"); }

  Flag<Policy> flag;
  ModelParker parker;
  typename Policy::template Atomic<int> left{0};
  typename Policy::template Atomic<int> through{0};
  int done = 0;  // of the thread that works
};

CUBBY_RELAXED(begin_turn);
CUBBY_RELAXED(raise);

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<WakeSuite<RelacyAtomics<>>>("two who wake and one who stops", 200000);
  runner.holds_in_all<WakeSuite<RelacyAtomics<>>>("two who wake and one who stops, all with three preemptions", 3);

  runner.is_found<WakeSuite<RelacyAtomics<>, LooksFirst>>("looks before the flag is lowered", 200000);
  runner.is_found<WakeSuite<RelacyAtomics<Relaxed_begin_turn>>>("begin_turn relaxed", 200000);
  runner.is_found<WakeSuite<RelacyAtomics<Relaxed_raise>>>("raise relaxed", 200000);
  return runner.exit_code();
}
