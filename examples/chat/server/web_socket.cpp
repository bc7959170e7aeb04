// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "server/network.hpp"

namespace chat {
namespace {

namespace websocket = beast::websocket;

constexpr std::size_t kMaxFrame = 16 * 1024;   // bytes of a request
constexpr std::size_t kMaxWaiting = 4u << 20;  // bytes that wait for a client to take them

/// A client's connection. Its coroutines run on the strand of the socket; send() is called from anywhere.
class WebSocket final : public Peer, public std::enable_shared_from_this<WebSocket> {
 public:
  explicit WebSocket(beast::tcp_stream stream) : stream_(std::move(stream)) {}

  void send(const Text& text) override {
    {
      const std::lock_guard lock(mutex_);
      if (broken_) return;
      waiting_bytes_ += text->size();
      if (waiting_bytes_ > kMaxWaiting) return break_off();  // takes nothing; it finds all of it when it is back
      waiting_.push_back(text);
      if (std::exchange(writing_, true)) return;
    }
    net::co_spawn(stream_.get_executor(), write(shared_from_this()), net::detached);
  }

  /// Hands every message of the client to the handler, one after the other, until the connection ends.
  net::awaitable<void> read(Request request, Handler& handler) {
    const std::string agent(request[http::field::user_agent]);
    // Also where the server ends and this coroutine is not gone on with.
    const auto close = [&handler](WebSocket* socket) { handler.closed(*socket); };
    const std::unique_ptr<WebSocket, decltype(close)> open(this, close);
    try {
      stream_.next_layer().expires_never();  // the WebSocket has timeouts of its own, and pings
      stream_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
      stream_.read_message_max(kMaxFrame);
      co_await stream_.async_accept(request, net::use_awaitable);
      stream_.text(true);
      beast::flat_buffer buffer;
      for (;;) {
        co_await stream_.async_read(buffer, net::use_awaitable);
        const auto data = buffer.cdata();
        handler.handle(*this, {static_cast<const char*>(data.data()), data.size()}, agent);
        buffer.consume(buffer.size());
      }
    } catch (const boost::system::system_error&) {
      // Closed by the client, broken, or timed out: in any case it is over.
    }
  }

 private:
  /// Writes until nothing waits. One write at a time: that is what `writing_` is for.
  static net::awaitable<void> write(std::shared_ptr<WebSocket> self) {
    try {
      for (;;) {
        Text text;
        {
          const std::lock_guard lock(self->mutex_);
          if (self->waiting_.empty() || self->broken_) {
            self->writing_ = false;
            co_return;
          }
          text = std::move(self->waiting_.front());
          self->waiting_.pop_front();
          self->waiting_bytes_ -= text->size();
        }
        co_await self->stream_.async_write(net::buffer(*text), net::use_awaitable);
      }
    } catch (const boost::system::system_error&) {
      const std::lock_guard lock(self->mutex_);
      self->broken_ = true;  // the reader finds out by itself
    }
  }

  void break_off() {
    broken_ = true;
    waiting_.clear();
    net::post(stream_.get_executor(), [self = shared_from_this()] { self->stream_.next_layer().close(); });
  }

  websocket::stream<beast::tcp_stream> stream_;
  std::mutex mutex_;  // of all below
  std::deque<Text> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool writing_ = false;
  bool broken_ = false;
};

}  // namespace

net::awaitable<void> serve_web_socket(beast::tcp_stream stream, Request request, Handler& handler) {
  const auto socket = std::make_shared<WebSocket>(std::move(stream));
  co_await socket->read(std::move(request), handler);
}

}  // namespace chat
