// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

namespace cubby::detail {

/// Runs `work` on a thread with this name (of at most 15 characters) and all signals blocked: the process's signals are for its
/// own threads. Throws std::system_error if there is none to be had.
std::thread start_thread(const char* name, std::function<void()> work);

}  // namespace cubby::detail
