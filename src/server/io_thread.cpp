// SPDX-License-Identifier: Apache-2.0
#include "server/io_thread.hpp"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "server/connection.hpp"
#include "server/server.hpp"

namespace cubby::server {

namespace {

constexpr std::chrono::seconds kTick{1};
/// For what a client hasn't taken yet when the server stops.
constexpr std::chrono::seconds kTimeToFinish{5};

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

/// Whose thread this is.
thread_local const IoThread* current_thread = nullptr;

}  // namespace

IoThread::IoThread(Server& server, SignInGuard& sign_ins) : server_(server), sign_ins_(sign_ins) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) fail("epoll_create1");
  wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) {
    ::close(epoll_);
    fail("eventfd");
  }
  ::epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  now_ = Clock::now();
  next_tick_ = now_;
  tick();
}

IoThread::~IoThread() {
  stop();
  ::close(wake_);
  ::close(epoll_);
}

void IoThread::start() {
  thread_ = std::thread([this] { run(); });
}

void IoThread::begin_to_stop() {
  if (!thread_.joinable() || std::exchange(told_to_stop_, true)) return;
  post([this] {
    stopping_ = true;
    stop_by_ = now_ + kTimeToFinish;
    std::vector<std::shared_ptr<Connection>> all;
    for (const auto& [key, connection] : connections_) all.push_back(connection);
    for (const auto& connection : all) connection->finish();
  });
}

void IoThread::stop() {
  begin_to_stop();
  if (thread_.joinable()) thread_.join();
}

void IoThread::post(std::function<void()> f) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(f));
    wake = !std::exchange(woken_, true);
  }
  // The thread itself looks before it sleeps.
  if (wake && current_thread != this) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  }
}

void IoThread::add(std::shared_ptr<Connection> connection) {
  post([this, connection = std::move(connection)] {
    connections_.emplace(connection.get(), connection);
    connection->begin();
  });
}

void IoThread::watch(Connection& connection, int descriptor, std::uint32_t events) {
  ::epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
}

void IoThread::change_watch(Connection& connection, int descriptor, std::uint32_t events) {
  ::epoll_event event{};
  event.events = events;
  event.data.ptr = &connection;
  if (::epoll_ctl(epoll_, EPOLL_CTL_MOD, descriptor, &event) != 0) fail("epoll_ctl");
}

void IoThread::remove(Connection& connection, int descriptor) {
  ::epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  const auto place = connections_.find(&connection);
  if (place == connections_.end()) return;
  // There may be an event of it in hand.
  gone_.push_back(std::move(place->second));
  connections_.erase(place);
}

int IoThread::wait_ms() const {
  Clock::time_point next = next_tick_;
  if (!timed_.empty()) next = std::min(next, timed_.begin()->first);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
}

void IoThread::run() {
  current_thread = this;
  constexpr int kEvents = 256;
  std::array<::epoll_event, kEvents> events;
  while (!stopping_ || !connections_.empty()) {
    bool posted = false;
    {
      const std::lock_guard lock(mutex_);
      posted = !posted_.empty();
    }
    const int count = ::epoll_wait(epoll_, events.data(), kEvents, posted ? 0 : wait_ms());
    now_ = Clock::now();
    for (int index = 0; index < count; ++index) {
      const ::epoll_event& event = events[static_cast<std::size_t>(index)];
      if (event.data.ptr == nullptr) {
        std::uint64_t number = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_, &number, sizeof number);
        continue;
      }
      static_cast<Connection*>(event.data.ptr)->ready(event.events);
    }
    run_posted();
    run_timed();
    if (now_ >= next_tick_) tick();
    gone_.clear();
    if (stopping_ && now_ >= stop_by_) break;
  }
  for (const auto& [key, connection] : std::exchange(connections_, {})) connection->close("the server stops");
  run_posted();
  gone_.clear();
}

void IoThread::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
    woken_ = false;
  }
  for (const auto& f : posted) f();
}

void IoThread::run_timed() {
  while (!timed_.empty() && timed_.begin()->first <= now_) {
    const auto f = std::move(timed_.begin()->second);
    timed_.erase(timed_.begin());
    f();
  }
}

void IoThread::tick() {
  next_tick_ = now_ + kTick;
  const Settings settings = server_.settings();
  const auto or_any = [](std::size_t limit) { return limit == 0 ? static_cast<std::size_t>(-1) : limit; };
  limits_ = {settings.proto_max_bulk_len,          settings.client_query_buffer_limit, or_any(settings.output_limit),
             or_any(settings.pubsub_output_limit), or_any(settings.pipeline_depth),    std::chrono::seconds(settings.timeout)};
  // One reply may be as large as all that may wait to be sent.
  out.limit(std::max(limits_.output, limits_.messages));
  message_limit_.store(limits_.messages, std::memory_order_relaxed);
  std::vector<std::shared_ptr<Connection>> ended;
  for (const auto& [key, connection] : connections_) {
    if (connection->tick()) ended.push_back(connection);
  }
  for (const auto& connection : ended) connection->close("idle");
}

}  // namespace cubby::server
