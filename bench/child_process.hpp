// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace bench {

/// Whether the PATH has such a program.
bool is_installed(const std::string& program);
/// Runs a program, looked for in the PATH, and returns what it prints. Throws if it can't be started, or fails.
std::string output_of(const std::vector<std::string>& arguments);
/// Starts a program whose output nobody wants, and returns its pid; waiting for its end is the caller's.
pid_t start_program(const std::vector<std::string>& arguments);

/// Runs this program for one task of run_child(), and returns the number it prints.
double in_child(const std::string& task);

}  // namespace bench
