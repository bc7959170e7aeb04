// SPDX-License-Identifier: Apache-2.0
#include "paced_load.hpp"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <deque>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dataset.hpp"
#include "resp_connection.hpp"
#include "serve.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr std::chrono::seconds kLastAnswers(60);

struct Request {
  Clock::time_point time;
  bool counts;
};

/// One connection: what is to be sent, and what waits for its answer.
class Channel {
 public:
  explicit Channel(std::uint16_t port, std::size_t value_bytes)
      : connection_(port), head_("$" + std::to_string(value_bytes) + "\r\n"), reply_bytes_(head_.size() + value_bytes + 2) {
    if (!connection_.is_open()) throw std::runtime_error("the server takes no connection");
  }

  int socket() const noexcept { return connection_.socket(); }
  bool waits() const noexcept { return !requests_.empty(); }
  bool has_unsent() const noexcept { return !unsent_.empty(); }

  void add(const std::string& key, Request request) {
    RespConnection::append_command(unsent_, {"GET", key});
    requests_.push_back(request);
  }

  void send_some() {
    const ssize_t sent = ::send(socket(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) throw std::runtime_error("the server takes no commands");
    if (sent > 0) unsent_.erase(0, static_cast<std::size_t>(sent));
  }

  /// Calls `answered` with each request of which the last byte of the answer is there now.
  template <class Answered>
  void receive_some(Answered answered) {
    std::array<char, 65536> buffer;
    const ssize_t got = recv(socket(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) throw std::runtime_error("the server gives no answer");
    const auto size = static_cast<std::size_t>(got);
    for (std::size_t place = 0; place < size;) {
      // All answers have the same form, so it is enough to see that each begins as it has to.
      for (; in_reply_ < head_.size() && place < size; ++in_reply_, ++place) {
        if (buffer[place] != head_[in_reply_]) throw std::runtime_error("not the value that was asked for");
      }
      const std::size_t step = std::min(reply_bytes_ - in_reply_, size - place);
      place += step;
      in_reply_ += step;
      if (in_reply_ < reply_bytes_) break;
      in_reply_ = 0;
      answered(requests_.front());
      requests_.pop_front();
    }
  }

 private:
  RespConnection connection_;
  const std::string head_;
  const std::size_t reply_bytes_;
  std::string unsent_;
  std::deque<Request> requests_;
  std::size_t in_reply_ = 0;
};

/// Which channels have something to read.
class Readiness {
 public:
  Readiness() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw std::runtime_error("epoll_create1 failed");
  }
  ~Readiness() { close(epoll_); }
  Readiness(const Readiness&) = delete;
  Readiness& operator=(const Readiness&) = delete;

  void add(Channel& channel) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &channel;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, channel.socket(), &event) != 0) throw std::runtime_error("epoll_ctl failed");
  }

  template <class F>
  void wait(nanoseconds most, F&& f) {
    constexpr long kNanosecondsASecond = 1'000'000'000;
    const auto left = std::max<std::int64_t>(most.count(), 0);
    const timespec timeout{left / kNanosecondsASecond, left % kNanosecondsASecond};
    std::array<epoll_event, 64> events;
    const int count = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) throw std::runtime_error("epoll_pwait2 failed");
    for (int i = 0; i < count; ++i) f(*static_cast<Channel*>(events[static_cast<std::size_t>(i)].data.ptr));
  }

 private:
  const int epoll_;
};

}  // namespace

PacedLoad::PacedLoad(const Settings& settings)
    : settings_(settings), thread_([this] {
        try {
          run();
        } catch (...) {
          failure_ = std::current_exception();
        }
      }) {}

PacedLoad::~PacedLoad() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void PacedLoad::stop() {
  stop_ = true;
  thread_.join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void PacedLoad::run() {
  prctl(PR_SET_TIMERSLACK, 1);  // to be woken in time
  std::deque<Channel> channels;
  Readiness readiness;
  for (int i = 0; i < settings_.connections; ++i) readiness.add(channels.emplace_back(settings_.port, settings_.value_bytes));
  const auto answered = [this](const Request& request) {
    if (request.counts) latencies_.add(Clock::now() - request.time);
  };
  const auto receive = [&](Channel& channel) { channel.receive_some(answered); };

  Random random(1);
  std::vector<Channel*> touched;
  std::size_t turn = 0;
  std::uint64_t sent = 0;
  const auto start = Clock::now();
  const auto time_of_next = [&] {
    return start + nanoseconds(static_cast<std::int64_t>(static_cast<double>(sent) * 1e9 / settings_.a_second));
  };
  while (!stop_.load(std::memory_order_relaxed)) {
    const auto now = Clock::now();
    const bool counts = counts_.load(std::memory_order_relaxed);
    for (auto time = time_of_next(); time <= now; time = time_of_next()) {
      Channel& channel = channels[turn++ % channels.size()];
      if (!channel.has_unsent()) touched.push_back(&channel);
      channel.add(key_name(below(random(), settings_.keys)), {time, counts});
      if (counts) lateness_.add(now - time);
      ++sent;
    }
    for (Channel* channel : touched) channel->send_some();
    std::erase_if(touched, [](const Channel* channel) { return !channel->has_unsent(); });
    readiness.wait(touched.empty() ? time_of_next() - Clock::now() : nanoseconds(0), receive);
  }
  const auto end = Clock::now() + kLastAnswers;
  const auto waits = [](const Channel& channel) { return channel.waits(); };
  while (std::any_of(channels.begin(), channels.end(), waits)) {
    if (Clock::now() > end) throw std::runtime_error("the server does not answer all it was asked");
    for (Channel* channel : touched) channel->send_some();
    readiness.wait(std::chrono::milliseconds(1), receive);
  }
}

}  // namespace bench
