// SPDX-License-Identifier: Apache-2.0
#include "cli/meter.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/text.hpp"

namespace cubby::cli {

Meter::Meter(std::string label) : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) != 0) {}

Meter::~Meter() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Meter::show(std::uint64_t done, std::uint64_t all, const char* unit) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(100);
  const auto amount = [&](std::uint64_t number) { return unit == nullptr ? brief_bytes(number) : grouped(number); };
  std::string text = all == 0 ? amount(done) : fmt::format("{} of {}", amount(done), amount(all));
  if (unit != nullptr) text += fmt::format(" {}", unit);
  winsize window{};
  const std::size_t columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
  std::string bar;
  const std::size_t taken = label_.size() + text.size() + 8;
  if (all != 0 && columns > taken + 10) {
    const std::size_t width = std::min<std::size_t>(columns - taken, 40);
    const std::size_t full = std::min<std::uint64_t>(width, width * done / all);
    bar = fmt::format("[{}{}]  ", std::string(full, '='), std::string(width - full, ' '));
  }
  tell(fmt::format("\r{}  {}{}\033[K", label_, bar, text));
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace cubby::cli
