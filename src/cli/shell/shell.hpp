// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/shell/printing.hpp"
#include "cli/shell/session.hpp"

namespace cubby::cli::shell {

/// Reads commands, runs them and prints what they reply.
///
/// Thread safety: none.
class Shell {
 public:
  /// `raw`: replies for programs instead of people.
  Shell(Link& link, Login login, Signals& signals, bool raw);

  // Each returns an exit code.
  /// One command, and the messages that it subscribes to.
  int run_one(std::span<const std::string> command);
  /// The lines of standard input.
  int run_script();
  int run_terminal();

 private:
  enum class Done : std::uint8_t { well, failed, leave };
  Done run_line(std::string_view line);
  Done run_command(std::span<const std::string> command);
  int follow_messages(int code);
  void print(const RespValue& value, std::span<const std::string> command);
  void complain(const std::string& text);
  std::string text_of(const RespValue& value, std::span<const std::string> command) const;
  std::vector<std::string> find_keys(std::string_view prefix);

  Link& link_;
  Signals& signals_;
  Session session_;
  const bool raw_;
  bool terminal_ = false;
  std::optional<std::string> above_;  ///< messages that came while a line was edited
};

}  // namespace cubby::cli::shell
