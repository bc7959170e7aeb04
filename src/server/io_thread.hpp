// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "server/byte_buffer.hpp"
#include "server/command.hpp"
#include "server/settings.hpp"

/// The threads that serve clients. Each has an epoll set of its own, in which a connection stays from beginning to end: what is
/// received in one piece is executed in one go, and answered with one send. So a request costs a recv and a send, and a share
/// of an epoll_wait. (Asio, which does everything else here, asks epoll_ctl, or a recv that finds nothing, to begin each wait
/// for a socket: so its source says; it wasn't measured.)

namespace cubby::server {

class Connection;
class Server;
class SignInGuard;

/// Thread safety: post() and add() from any thread, starting and stopping from one; all else belongs to the thread itself.
class IoThread {
 public:
  using Clock = std::chrono::steady_clock;

  /// What connections look at, of the settings. At most a second old.
  struct Limits {
    std::size_t bulk, request, output, messages, pipeline;
    std::chrono::seconds idle;
  };

  IoThread(Server& server, SignInGuard& sign_ins);
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;
  ~IoThread();

  void start();
  /// Lets each connection finish what it has received and send what it has to say, for some seconds at most, and ends the
  /// thread: begin_to_stop() tells it so, and stop() waits for it too.
  void begin_to_stop();
  void stop();
  /// Calls `f` on the thread.
  void post(std::function<void()> f);
  void add(std::shared_ptr<Connection> connection);
  std::size_t message_limit() const noexcept { return message_limit_.load(std::memory_order_relaxed); }

  // --- for its connections
  static constexpr std::size_t kBatch = 32;
  /// What all connections use in turn, as only one is looked at at a time: a connection with nothing to do has no buffers.
  ByteBuffer in, out;
  std::array<std::vector<std::string_view>, kBatch> arguments;
  std::array<Arguments, kBatch> requests;

  const Limits& limits() const noexcept { return limits_; }
  SignInGuard& sign_ins() noexcept { return sign_ins_; }
  /// When the thread last woke up.
  Clock::time_point now() const noexcept { return now_; }
  bool stopping() const noexcept { return stopping_; }
  void watch(Connection& connection, int descriptor, std::uint32_t events);
  void change_watch(Connection& connection, int descriptor, std::uint32_t events);
  /// Forgets it; it lives until its turn has ended.
  void remove(Connection& connection, int descriptor);
  void call_at(Clock::time_point time, std::function<void()> f) { timed_.emplace(time, std::move(f)); }

 private:
  void run();
  void run_posted();
  void run_timed();
  void tick();
  int wait_ms() const;

  Server& server_;
  SignInGuard& sign_ins_;
  int epoll_ = -1;
  int wake_ = -1;
  std::thread thread_;
  bool told_to_stop_ = false;  ///< of the thread that stops it
  Limits limits_{};
  std::atomic<std::size_t> message_limit_{0};
  Clock::time_point now_, next_tick_, stop_by_;
  bool stopping_ = false;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> gone_;
  std::multimap<Clock::time_point, std::function<void()>> timed_;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool woken_ = false;  ///< the thread has been told of what is posted
};

}  // namespace cubby::server
