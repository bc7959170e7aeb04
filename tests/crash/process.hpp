// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "operation.hpp"

namespace cubby_crash {

/// Runs this program anew with `arguments`, its end of a pipe being descriptor kPipe, and kills it with SIGKILL: `delay` after
/// its first acknowledgement, or, if `early`, after its start. Returns all it told until then. Throws Failure if it ends by
/// itself or never acknowledges anything.
std::vector<Record> run_and_kill(const std::vector<std::string>& arguments, std::chrono::nanoseconds delay, bool early);

inline constexpr int kPipe = 3;

}  // namespace cubby_crash
