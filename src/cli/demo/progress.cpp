// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/progress.hpp"

#include "cli/text.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace cubby::cli {

Progress::Progress(std::string label, double seconds)
    : label_(std::move(label)), seconds_(seconds), terminal_(isatty(STDERR_FILENO) != 0) {
  if (!terminal_) tell(fmt::format("{}: {} s\n", label_, seconds_));
}

Progress::~Progress() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

double Progress::rate() const {
  const auto& [first_time, first] = recent_.front();
  const auto& [last_time, last] = recent_.back();
  return last_time > first_time ? static_cast<double>(last - first) / (last_time - first_time) / 1e6 : 0;
}

void Progress::show(double elapsed, std::uint64_t operations) {
  recent_.emplace_back(elapsed, operations);
  while (recent_.size() > 2 && recent_.front().first < elapsed - 1) recent_.pop_front();
  if (terminal_) {
    draw_bar(elapsed);
  } else if (elapsed >= next_line_) {
    tell(fmt::format("{}: {:.0f} of {} s, {:.2f} million operations a second\n", label_, elapsed, seconds_, rate()));
    next_line_ = std::floor(elapsed) + 1;
  }
}

void Progress::draw_bar(double elapsed) const {
  winsize window{};
  const std::size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
  const std::string text = fmt::format("{:4.1f} of {} s  {:6.2f} M ops/s", std::min(elapsed, seconds_), seconds_, rate());
  const std::size_t taken = text.size() + 15;
  std::string bar;
  if (columns > taken + 10) {
    const std::size_t width = std::min<std::size_t>(columns - taken, 40);
    const double part = seconds_ > 0 ? std::clamp(elapsed / seconds_, 0.0, 1.0) : 1;
    const auto full = static_cast<std::size_t>(part * static_cast<double>(width));
    bar = fmt::format("[{}{}]  ", std::string(full, '='), std::string(width - full, ' '));
  }
  tell(fmt::format("\r{:<8}  {}{}\033[K", label_, bar, text));
  std::fflush(stderr);
}

}  // namespace cubby::cli
