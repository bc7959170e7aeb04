// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/client.hpp"
#include "server/io_thread.hpp"
#include "server/request_parser.hpp"
#include "server/transport.hpp"
#include "server/unsent.hpp"

namespace cubby::server {

/// A client on a socket.
///
/// Thread safety: belongs to its IoThread; what Client says may be called by any thread.
class Connection final : public Client {
 public:
  Connection(Server& server, IoThread& thread, Transport transport, std::string address, std::string local_address);
  ~Connection() override;

  // --- for its thread. Whatever goes wrong costs this connection only.
  void begin();
  /// `events` of epoll.
  void ready(std::uint32_t events);
  /// Once a second. True if it has been idle for too long.
  bool tick();
  /// Looks at what has been received for the last time, and closes when everything is sent.
  void finish();
  void close(std::string_view why);

  // --- from any thread
  void deliver(std::shared_ptr<const std::string> message) override;
  void kill() override;
  void post(std::function<void()> f) override;

 private:
  using Clock = IoThread::Clock;

  void awake(ByteBuffer reply) override;
  void complete(ClientFacts& facts) const override;

  /// Nothing more is executed for now.
  bool paused() const noexcept { return blocked() || delayed_ || closing; }
  template <class F>
  void guarded(F&& f);
  void handle(std::uint32_t events);
  std::shared_ptr<Connection> self() { return std::static_pointer_cast<Connection>(shared_from_this()); }
  /// How many bytes came.
  std::size_t read();
  void execute_from(ByteBuffer& in);
  /// Parses and runs what `in` has from `place` on, up to a batch. False: there is no whole request, or it mustn't run.
  bool execute_batch(std::string_view in, std::size_t& place, ByteBuffer& out);
  /// What waits in in_ after a pause.
  void go_on();
  /// After a wrong password.
  void slow_down();
  /// Whether the request, which is the next one, does.
  bool tries_password(Arguments request) const;
  /// How many of the thread's first `count` requests are run before it is asked again: one that tries a password is the only
  /// one. 0: it has to wait for its turn.
  std::size_t count_before_sign_in(std::size_t count);
  void delay(std::chrono::milliseconds time);
  /// Sends the thread's output, or keeps what can't be sent now.
  void send_out();
  void flush();
  void take_messages();
  void watch_for(bool in, bool out);
  void check_output();
  /// Gives up waiting. True if what it was waiting for has been taken: it is sent, and then the connection is closed.
  bool last_reply_comes();
  /// Everything is sent: closes once the other side has it.
  void hang_up();
  void linger();

  IoThread& thread_;
  Transport transport_;
  RequestParser parser_;
  ByteBuffer in_;                ///< a request that hasn't come in full, and what came while it was paused
  Unsent out_;                   ///< what the socket didn't take
  std::size_t new_replies_ = 0;  ///< in the thread's output
  std::uint32_t watched_ = 0;
  bool delayed_ = false;  ///< after wrong passwords: output too waits
  bool ended_ = false;    ///< the other side will send no more
  bool hung_up_ = false;
  bool closed_ = false;
  Clock::time_point closing_since_{};
  std::uint64_t published_commands_ = 0;
  const std::string address_, local_address_;

  std::mutex messages_mutex_;
  std::vector<std::shared_ptr<const std::string>> messages_;
  std::size_t message_bytes_ = 0;
  bool messages_announced_ = false;
  std::atomic<bool> too_slow_{false};
};

}  // namespace cubby::server
