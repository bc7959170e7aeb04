// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/signals.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "cli/exit_codes.hpp"

namespace cubby::cli::shell {

namespace {

std::array<int, 2> signal_pipe{-1, -1};
std::atomic<bool> interrupt_came{false};
std::atomic<bool> end_came{false};

void note_signal(int number) {
  const int error = errno;
  (number == SIGINT ? interrupt_came : end_came).store(true);
  const char byte = 0;
  static_cast<void>(!::write(signal_pipe[1], &byte, 1));  // full: it is readable already
  errno = error;
}

}  // namespace

Signals::Signals() {
  if (::pipe2(signal_pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw StoreError("no pipe can be had");
  struct sigaction action {};
  action.sa_handler = note_signal;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);
}

Signals::~Signals() {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(number, &action, nullptr);
  ::close(signal_pipe[0]);
  ::close(signal_pipe[1]);
}

int Signals::descriptor() const noexcept { return signal_pipe[0]; }

bool Signals::take_interrupt() noexcept {
  std::array<char, 64> bytes;
  // What ends the program stays readable.
  while (!end_came && ::read(signal_pipe[0], bytes.data(), bytes.size()) > 0) {
  }
  return interrupt_came.exchange(false);
}

bool Signals::ending() const noexcept { return end_came; }

void Signals::check() {
  if (take_interrupt() || ending()) throw Interrupted();
}

}  // namespace cubby::cli::shell
