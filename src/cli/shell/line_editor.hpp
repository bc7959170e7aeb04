// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/shell/completion.hpp"
#include "cli/shell/signals.hpp"

namespace cubby::cli::shell {

/// Reads lines from a terminal: with editing, history and completion (libedit).
///
/// Thread safety: none; one object in a process.
class LineEditor {
 public:
  struct Hooks {
    std::function<Completion(std::string_view line)> complete;
    std::function<int()> descriptor;    ///< readable when there is something to print meanwhile; -1: nothing
    std::function<std::string()> idle;  ///< what is to be printed above the line; may be empty
  };

  LineEditor(Signals& signals, Hooks hooks);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  enum class Outcome : std::uint8_t { line, cancelled, ended };
  /// Cancelled by Ctrl-C; ended by Ctrl-D, or by what ends the program.
  Outcome read(const std::string& prompt, std::string& line);
  void remember(const std::string& line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cubby::cli::shell
