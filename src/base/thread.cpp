// SPDX-License-Identifier: Apache-2.0
#include "base/thread.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace cubby::detail {

std::thread start_thread(const char* name, std::function<void()> work) {
  struct Blocked {
    sigset_t before{};
    Blocked() {
      sigset_t all{};
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
    }
    ~Blocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  } const blocked;
  return std::thread([name, run = std::move(work)] {
    pthread_setname_np(pthread_self(), name);
    run();
  });
}

}  // namespace cubby::detail
