// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace cubby::cli::shell {

/// The lines that were typed, one a line of a file that only its owner reads. Several shells may add to it at once. Nothing
/// fails because it can't be read or written.
class HistoryFile {
 public:
  static constexpr std::size_t kMost = 2000;

  /// In $XDG_STATE_HOME, or ~/.local/state: cubby/history.
  HistoryFile();

  /// The last kMost of them, oldest first.
  std::vector<std::string> read();
  void add(std::string_view line);

 private:
  std::filesystem::path path_;  ///< empty: nowhere
};

/// Whether a line holds a password, which no file is to keep.
bool holds_password(std::string_view line);

}  // namespace cubby::cli::shell
