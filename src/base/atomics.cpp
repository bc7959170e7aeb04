// SPDX-License-Identifier: Apache-2.0
#include "base/atomics.hpp"

#include <thread>

#if defined(__linux__)
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace cubby::detail {

namespace {

bool register_membarrier() noexcept {
#if defined(__linux__) && !defined(CUBBY_FENCED_EPOCHS)
  return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
#else
  return false;  // the sanitizers can't see a barrier that the kernel runs
#endif
}

}  // namespace

bool asymmetric_fences = false;
int spins_before_sleep = 0;

namespace {

struct AskKernel {
  AskKernel() {
    asymmetric_fences = register_membarrier();
    spins_before_sleep = std::thread::hardware_concurrency() > 1 ? 64 : 0;
  }
};

// First of all statics, as those of other files may open stores.
[[maybe_unused]] const AskKernel ask_kernel __attribute__((init_priority(101)));

}  // namespace

void heavy_fence() noexcept {
#if defined(__linux__) && !defined(CUBBY_FENCED_EPOCHS)
  if (asymmetric_fences) {
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    return;
  }
#endif
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

}  // namespace cubby::detail
