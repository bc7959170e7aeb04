// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace cubby::cli {

/// Makes the first Ctrl-C (or SIGTERM) set the flag that is returned; the second one ends the process.
const std::atomic<bool>& watch_for_interrupt();

}  // namespace cubby::cli
