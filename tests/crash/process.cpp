// SPDX-License-Identifier: Apache-2.0
#include "process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <optional>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "recovered.hpp"

namespace cubby_crash {

namespace {

using Clock = std::chrono::steady_clock;

/// Opening takes as long as it takes, but no healthy store comes near this.
constexpr auto kHang = std::chrono::seconds(60);

[[noreturn]] void throw_errno(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

/// A child that doesn't outlive this object.
class Child {
 public:
  Child(const std::vector<std::string>& arguments, int pipe) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe, kPipe);
    const int error = ::posix_spawn(&process_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::system_error(error, std::generic_category(), "posix_spawn");
  }
  ~Child() {
    if (!reaped_) {
      kill();
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() const { ::kill(process_, SIGKILL); }
  int wait() {
    int status = 0;
    while (::waitpid(process_, &status, 0) < 0) {
      if (errno != EINTR) throw_errno("waitpid");
    }
    reaped_ = true;
    return status;
  }

 private:
  pid_t process_ = -1;
  bool reaped_ = false;
};

/// Cuts what comes through the pipe into records.
class Reader {
 public:
  explicit Reader(int pipe) : pipe_(pipe) {}

  /// False at the end of the stream.
  bool read() {
    const ssize_t got = ::read(pipe_, buffer_.data() + left_, buffer_.size() - left_);
    if (got < 0 && errno == EINTR) return true;
    if (got < 0) throw_errno("read");
    const std::size_t size = left_ + static_cast<std::size_t>(got);
    const std::size_t whole = size / sizeof(Record);
    const std::size_t before = records_.size();
    records_.resize(before + whole);
    std::memcpy(records_.data() + before, buffer_.data(), whole * sizeof(Record));
    left_ = size - whole * sizeof(Record);
    std::memmove(buffer_.data(), buffer_.data() + whole * sizeof(Record), left_);
    acknowledged_ = acknowledged_ || std::any_of(records_.begin() + static_cast<std::ptrdiff_t>(before), records_.end(),
                                                 [](const Record& record) { return record.phase == Phase::done; });
    return got > 0;
  }
  bool acknowledged() const { return acknowledged_; }
  std::vector<Record> take() {
    if (left_ != 0) throw Failure("  half a record in the pipe");
    return std::move(records_);
  }

 private:
  const int pipe_;
  std::array<std::byte, 64 << 10> buffer_;
  std::size_t left_ = 0;
  std::vector<Record> records_;
  bool acknowledged_ = false;
};

}  // namespace

std::vector<Record> run_and_kill(const std::vector<std::string>& arguments, std::chrono::nanoseconds delay, bool early) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2");
  const Descriptor in(ends[0]);
  Descriptor out(ends[1]);
  ::fcntl(out.number(), F_SETPIPE_SZ, 1 << 20);  // may be refused, then the child waits more often
  const auto started = Clock::now();
  Child child(arguments, out.number());
  out.close();

  Reader reader(in.number());
  std::optional<Clock::time_point> end;
  if (early) end = started + delay;
  for (;;) {
    const auto now = Clock::now();
    if (!end && reader.acknowledged()) end = now + delay;
    if (now >= end.value_or(started + kHang)) break;
    const auto left = end.value_or(started + kHang) - now;
    const timespec wait{left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count()};
    pollfd waiting{in.number(), POLLIN, 0};
    if (::ppoll(&waiting, 1, &wait, nullptr) < 0 && errno != EINTR) throw_errno("poll");
    if ((waiting.revents & (POLLIN | POLLHUP)) == 0 || reader.read()) continue;
    const int status = child.wait();
    throw Failure("  the child ended by itself: " + (WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status))
                                                                       : "signal " + std::to_string(WTERMSIG(status))));
  }
  child.kill();
  while (reader.read()) {
  }
  const int status = child.wait();
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) throw Failure("  the child ended before it was killed");
  if (!end) throw Failure("  the child acknowledged nothing for " + std::to_string(kHang.count()) + " s");
  return reader.take();
}

}  // namespace cubby_crash
