// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace cubby::cli::shell {

/// What was going on has been cancelled by Ctrl-C.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

/// Ctrl-C, and the signals that end a program, as something to wait for. One object in a process.
///
/// Thread safety: none.
class Signals {
 public:
  /// Catches SIGINT, SIGTERM and SIGHUP, and ignores SIGPIPE, for as long as the process runs.
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// Readable once one has come.
  int descriptor() const noexcept;
  /// Whether Ctrl-C has come since it was asked for.
  bool take_interrupt() noexcept;
  /// Whether the program is to end.
  bool ending() const noexcept;
  /// Throws Interrupted if either is so.
  void check();
};

}  // namespace cubby::cli::shell
