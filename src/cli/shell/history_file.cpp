// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/history_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <system_error>

#include "cli/shell/session.hpp"
#include "server/settings.hpp"

namespace cubby::cli::shell {

namespace fs = std::filesystem;

HistoryFile::HistoryFile() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  if (state != nullptr && state[0] == '/') {
    path_ = state;
  } else if (home != nullptr && home[0] == '/') {
    path_ = fs::path(home) / ".local" / "state";
  } else {
    return;
  }
  std::error_code error;
  fs::create_directories(path_, error);
  path_ /= "cubby";
  ::mkdir(path_.c_str(), 0700);
  path_ /= "history";
}

std::vector<std::string> HistoryFile::read() {
  std::vector<std::string> lines;
  if (path_.empty()) return lines;
  {
    std::ifstream in(path_);
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) lines.push_back(std::move(line));
    }
  }
  if (lines.size() <= kMost) return lines;
  const bool far_too_many = lines.size() > 2 * kMost;
  lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(kMost));
  if (!far_too_many) return lines;
  // Replaced as a whole; what another shell adds meanwhile may be lost, the rest isn't.
  const std::string next = path_.string() + "." + std::to_string(::getpid());
  const int file = ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return lines;
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  if (!written || ::rename(next.c_str(), path_.c_str()) != 0) ::unlink(next.c_str());
  return lines;
}

void HistoryFile::add(std::string_view line) {
  if (path_.empty()) return;
  const int file = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  const std::string text = std::string(line) + "\n";
  static_cast<void>(!::write(file, text.data(), text.size()));
  ::close(file);
}

bool holds_password(std::string_view line) {
  const std::string text = lower_case(line);
  const std::size_t begin = std::min(text.find_first_not_of(" \t\"'"), text.size());
  const std::string_view words = std::string_view(text).substr(begin);
  static constexpr std::array<std::string_view, 2> kAlways{"auth", "acl"};
  if (std::ranges::any_of(kAlways, [&](std::string_view name) { return words.starts_with(name); })) return true;
  if (words.starts_with("hello") || words.starts_with("migrate")) return words.find("auth") != std::string_view::npos;
  return words.starts_with("config") && words.find("pass") != std::string_view::npos;
}

}  // namespace cubby::cli::shell
