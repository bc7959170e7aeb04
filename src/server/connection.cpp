// SPDX-License-Identifier: Apache-2.0
#include "server/connection.hpp"

#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "server/arguments.hpp"
#include "server/dispatch.hpp"
#include "server/log_text.hpp"
#include "server/server.hpp"
#include "server/sign_in_guard.hpp"

namespace cubby::server {

namespace {

/// Of one recv: some 300 SETs of 200 bytes.
constexpr std::size_t kReadSize = std::size_t{64} << 10;
/// A large request is received in pieces that grow with it.
constexpr std::size_t kLargestRead = std::size_t{4} << 20;
/// Output goes when it is so large, before everything received is executed.
constexpr std::size_t kSendAt = std::size_t{256} << 10;
constexpr std::size_t kKeptBuffer = std::size_t{1} << 20;
constexpr std::size_t kKeptArguments = 1024;
/// For whoever doesn't take the last replies.
constexpr std::chrono::seconds kLastWords{10};
/// Between two looks at whether the other side has everything.
constexpr std::chrono::milliseconds kLook{10};

/// The address without the port.
std::string host_of(const std::string& address) { return address.substr(0, address.rfind(':')); }

}  // namespace

Connection::Connection(Server& server, IoThread& thread, Transport transport, std::string address, std::string local_address)
    : Client(server, server.clients.next_id()),
      thread_(thread),
      transport_(std::move(transport)),
      address_(std::move(address)),
      local_address_(std::move(local_address)) {}

Connection::~Connection() {
  if (!closed_) leave();
}

template <class F>
void Connection::guarded(F&& f) {
  try {
    f();
  } catch (const std::exception& error) {  // out of memory, say
    thread_.in.reset();
    thread_.out.reset();
    if (!closed_)
      spdlog::error("serving a client failed client={} address={} reason=\"{}\"", id(), address_, log_text(error.what()));
    close(error.what());
  }
}

void Connection::begin() {
  guarded([&] {
    watched_ = EPOLLIN | EPOLLRDHUP;
    thread_.watch(*this, transport_.descriptor(), watched_);
  });
  if (thread_.stopping()) finish();
}

void Connection::watch_for(bool in, bool out) {
  const std::uint32_t wanted =
      (in ? std::uint32_t{EPOLLIN} : 0) | (out ? std::uint32_t{EPOLLOUT} : 0) | (ended_ ? 0 : std::uint32_t{EPOLLRDHUP});
  if (wanted == watched_ || closed_) return;
  watched_ = wanted;
  thread_.change_watch(*this, transport_.descriptor(), wanted);
}

void Connection::ready(std::uint32_t events) {
  if (!closed_) guarded([&] { handle(events); });
}

void Connection::handle(std::uint32_t events) {
  // Behind the end of a Unix socket (EPOLLHUP) there may be requests still.
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && paused())) {
    close("the connection was cut");
    return;
  }
  if ((events & EPOLLOUT) != 0) flush();
  if (closed_) return;
  if (paused()) {
    if ((events & EPOLLRDHUP) != 0) {
      ended_ = true;
      // Nobody waits for the answer any more.
      if (!closing) return close("the client has left");
    }
    // What comes now is looked at later, and what is delayed goes later.
    watch_for((watched_ & EPOLLIN) != 0 && (events & (EPOLLIN | EPOLLRDHUP)) == 0, (watched_ & EPOLLOUT) != 0 && !delayed_);
    return;
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0 || transport_.wants_to_write()) read();
}

std::size_t Connection::read() {
  std::size_t bytes = 0;
  do {
    ByteBuffer& in = in_.empty() ? thread_.in : in_;
    const std::size_t wanted = parser_.wanted() > in.size() ? parser_.wanted() - in.size() : 0;
    // No more than has come doubles at once: a length that somebody claims costs nothing yet.
    const std::size_t size = std::clamp(std::min(wanted, in.size()), kReadSize, kLargestRead);
    const Transport::Result result = transport_.receive(in.room(size), size);
    switch (result.status) {
      case Transport::Status::later:
        watch_for(true, !out_.empty() || transport_.wants_to_write());
        return bytes;
      case Transport::Status::failed:
        close(transport_.error());
        return bytes;
      case Transport::Status::ended:
        ended_ = true;
        if (out_.empty()) {
          close("the client has left");
        } else {
          closing = true;
          watch_for(false, true);
        }
        return bytes;
      case Transport::Status::done:
        break;
    }
    in.add(result.bytes);
    bytes += result.bytes;
    last_active = thread_.now();
    server().figures.mine().add(Figures::bytes_in, result.bytes);
    execute_from(in);
  } while (!closed_ && !paused() && transport_.has_more());
  return bytes;
}

void Connection::execute_from(ByteBuffer& in) {
  const bool is_shared = &in == &thread_.in;
  std::size_t place = 0;
  while (!paused() && execute_batch(in.view(), place, thread_.out)) {
    if (thread_.out.size() >= kSendAt) {
      send_out();
      if (closed_) break;
    }
  }
  if (!closed_) {
    // Own bytes: `in` is kept whole. The thread's: what is left of them is.
    if (is_shared) {
      in_.append(in.view().substr(place));
    } else {
      in_.drop_front(place);
      if (in_.empty()) in_.reset();
    }
  }
  if (is_shared) {
    in.clear();
    if (in.capacity() > kKeptBuffer) in.reset();
  }
  if (closed_) return;
  send_out();
  if (!closed_ && in_.size() > thread_.limits().request + kReadSize) {
    server().figures.mine().add(Figures::query_limit_disconnections);
    close("client-query-buffer-limit");
  }
}

bool Connection::execute_batch(std::string_view in, std::size_t& place, ByteBuffer& out) {
  RequestParser::Limits limits = RequestParser::unauthenticated();
  if (user != nullptr) {
    limits = {};
    limits.bulk = thread_.limits().bulk;
    limits.request = thread_.limits().request;
  }
  // Before signing in, what comes behind AUTH is under other limits than what comes before.
  const bool on_alert = thread_.sign_ins().on_alert(thread_.now());
  const std::size_t most = user == nullptr ? 1 : IoThread::kBatch;
  std::array<std::size_t, IoThread::kBatch> begins;
  std::size_t count = 0;
  auto result = RequestParser::Result::incomplete;
  while (count < most) {
    // A line's words lie in the parser, until it reads the next.
    const bool is_line = place < in.size() && in[place] != '*';
    if (is_line && count != 0) break;
    std::size_t used = 0;
    result = parser_.next(in.substr(place), limits, used, thread_.arguments[count]);
    if (result != RequestParser::Result::request) break;
    begins[count] = place;
    place += used;
    if (thread_.arguments[count].empty()) continue;
    thread_.requests[count] = thread_.arguments[count];
    ++count;
    if (is_line) break;
  }
  if (count != 0) {
    std::size_t due = count;
    if (on_alert) [[unlikely]] {
      due = count_before_sign_in(count);
      if (due == 0) {
        place = begins[0];
        parser_.reset();
        return false;
      }
    }
    const std::size_t done = execute_all(*this, std::span(thread_.requests).first(due), out);
    // Before the replies go: who has read them asks others of this.
    if (facts_are_old()) [[unlikely]]
      publish_facts();
    for (auto& arguments : std::span(thread_.arguments).first(count)) {
      if (arguments.capacity() > kKeptArguments) std::vector<std::string_view>().swap(arguments);
    }
    new_replies_ += done;
    if (done != count) {
      // Those behind one that blocks are read again when it is done, and those behind much output once that is sent.
      place = begins[done];
      parser_.reset();
    }
    if (sign_in_failed()) slow_down();
    if (queued_bytes > thread_.limits().request) {
      Reply(out, protocol).error("ERR the transaction is larger than client-query-buffer-limit");
      closing = true;
    }
    return !paused();
  }
  if (result == RequestParser::Result::error) {
    Reply(out, protocol).error("ERR " + parser_.error());
    server().figures.mine().add(Figures::errors);
    closing = true;
    place = in.size();
  }
  return false;
}

void Connection::slow_down() {
  const auto wait = thread_.sign_ins().failed(host_of(address_), thread_.now());
  spdlog::warn("sign-in failed client={} address={} answered_after_ms={}", id(), address_, wait.count());
  delay(wait);
}

bool Connection::tries_password(Arguments request) const {
  if (!in_multi) return is_word(request[0], "AUTH") || is_word(request[0], "HELLO");
  return is_word(request[0], "EXEC") && std::ranges::any_of(queued, [](const QueuedCommand& command) {
           return command.spec().name == "auth" || command.spec().name == "hello";
         });
}

std::size_t Connection::count_before_sign_in(std::size_t count) {
  const auto requests = std::span(thread_.requests).first(count);
  if (tries_password(requests[0])) {
    const auto wait = thread_.sign_ins().wait_before(host_of(address_), thread_.now());
    if (wait.count() <= 0) return 1;
    send_out();  // the answers to what came before don't wait
    if (!closed_) delay(wait);
    return 0;
  }
  // What those behind the first one do depends on it.
  const auto next = std::ranges::find_if(requests.subspan(1), [](Arguments request) {
    return is_word(request[0], "AUTH") || is_word(request[0], "HELLO") || is_word(request[0], "EXEC");
  });
  return static_cast<std::size_t>(next - requests.begin());
}

void Connection::delay(std::chrono::milliseconds time) {
  delayed_ = true;
  thread_.call_at(thread_.now() + time, [weak = weak_from_this()] {
    if (const auto client = weak.lock()) {
      auto& connection = static_cast<Connection&>(*client);
      connection.delayed_ = false;
      connection.go_on();
    }
  });
}

void Connection::go_on() {
  if (closed_) return;
  guarded([&] {
    flush();
    if (closed_ || paused()) return;
    if (!in_.empty()) {
      execute_from(in_);
      if (closed_ || paused()) return;
    }
    if (transport_.has_more()) read();
    if (!closed_ && !paused()) watch_for(true, !out_.empty() || transport_.wants_to_write());
  });
}

void Connection::awake(ByteBuffer reply) {
  if (closed_) return;
  last_active = thread_.now();
  guarded([&] {
    if (reply_mode == ReplyMode::on) out_.append(reply.view(), 1);
  });
  go_on();
}

// --- output
// -------------------------------------------------------------------------------------------------------------------

void Connection::send_out() {
  ByteBuffer& out = thread_.out;
  std::string_view rest = out.view();
  if (out_.empty() && !delayed_) {
    while (!rest.empty()) {
      const Transport::Result result = transport_.send(rest);
      if (result.status == Transport::Status::failed) {
        out.clear();
        close(transport_.error());
        return;
      }
      if (result.status != Transport::Status::done) break;
      server().figures.mine().add(Figures::bytes_out, result.bytes);
      rest.remove_prefix(result.bytes);
    }
  }
  const std::size_t replies = std::exchange(new_replies_, 0);
  if (!rest.empty() || !out_.empty()) {
    if (!rest.empty()) out_.append(rest, replies * rest.size() / out.size());
    if (!delayed_) watch_for((watched_ & EPOLLIN) != 0, true);
  }
  out.clear();
  if (out.capacity() > kKeptBuffer) out.reset();
  if (out_.empty()) {
    if (closing && !delayed_) hang_up();
  } else {
    check_output();
  }
}

void Connection::flush() {
  if (delayed_) return;
  while (!out_.empty()) {
    const Transport::Result result = transport_.send(out_.view());
    if (result.status == Transport::Status::failed) {
      close(transport_.error());
      return;
    }
    if (result.status != Transport::Status::done) {
      watch_for((watched_ & EPOLLIN) != 0, true);
      return;
    }
    server().figures.mine().add(Figures::bytes_out, result.bytes);
    out_.drop(result.bytes);
  }
  if (closing) return hang_up();
  watch_for((watched_ & EPOLLIN) != 0, false);
}

void Connection::check_output() {
  const IoThread::Limits& limits = thread_.limits();
  if (out_.size() > (subscribed() ? limits.messages : limits.output)) {
    server().figures.mine().add(Figures::output_limit_disconnections);
    close("client-output-buffer-limit");
  } else if (out_.replies() > limits.pipeline && !closing) {
    server().figures.mine().add(Figures::output_limit_disconnections);
    spdlog::warn("client sends requests without reading the replies client={} address={} replies={} pipeline_depth={}", id(),
                 address_, out_.replies(), limits.pipeline);
    ByteBuffer text;
    Reply(text, protocol)
        .error("ERR more requests than pipeline-depth (" + std::to_string(limits.pipeline) + ") without reading the replies");
    out_.append(text.view(), 1);
    closing = true;
  }
}

void Connection::deliver(std::shared_ptr<const std::string> message) {
  bool announce = false;
  {
    const std::lock_guard lock(messages_mutex_);
    message_bytes_ += message->size();
    if (message_bytes_ > thread_.message_limit()) {
      too_slow_.store(true, std::memory_order_relaxed);
    } else {
      messages_.push_back(std::move(message));
    }
    announce = !std::exchange(messages_announced_, true);
  }
  if (announce) thread_.post([connection = self()] { connection->take_messages(); });
}

void Connection::take_messages() {
  std::vector<std::shared_ptr<const std::string>> messages;
  {
    const std::lock_guard lock(messages_mutex_);
    messages.swap(messages_);
    message_bytes_ = 0;
    messages_announced_ = false;
  }
  if (closed_ || closing) return;
  if (too_slow_.load(std::memory_order_relaxed)) {
    server().figures.mine().add(Figures::output_limit_disconnections);
    close("client-output-buffer-limit: messages come faster than they are read");
    return;
  }
  // A RESP2 client that has left its last channel would take it for a reply.
  if (protocol == 2 && !subscribed()) return;
  guarded([&] {
    for (const auto& message : messages) thread_.out.append(*message);
    send_out();
  });
}

// --- the end
// ------------------------------------------------------------------------------------------------------------------

void Connection::kill() {
  thread_.post([connection = self()] {
    if (!connection->closed_ && !connection->last_reply_comes()) connection->close("killed");
  });
}

bool Connection::last_reply_comes() {
  if (!blocked() || !stop_waiting()) return false;
  closing = true;
  return true;
}

void Connection::post(std::function<void()> f) {
  thread_.post([weak = weak_from_this(), f = std::move(f)] {
    if (const auto client = weak.lock()) f();
  });
}

bool Connection::tick() {
  if (commands != published_commands_) {
    published_commands_ = commands;
    publish_facts();
  }
  const auto now = thread_.now();
  if (closing) {
    if (closing_since_ == Clock::time_point{}) closing_since_ = now;
    return now - closing_since_ > kLastWords;
  }
  const auto most = thread_.limits().idle;
  return most.count() != 0 && !blocked() && !subscribed() && now - last_active > most;
}

void Connection::finish() {
  if (closed_) return;
  guarded([&] {
    // What has come by now. There may be no end to what is still to come.
    for (std::size_t left = transport_.received(); !closed_ && !paused();) {
      const std::size_t bytes = read();
      if (bytes == 0 || bytes >= left) break;
      left -= bytes;
    }
    if (closed_) return;
    if (last_reply_comes()) return;
    closing = true;
    if (blocked() || delayed_) return close("the server stops");
    if (out_.empty()) hang_up();
  });
}

void Connection::hang_up() {
  if (std::exchange(hung_up_, true)) return;
  transport_.end_output();
  linger();
}

/// The system throws away what it hasn't sent yet if more comes in for a socket that is closed.
void Connection::linger() {
  if (closed_) return;
  if (transport_.discard_input() == Transport::Status::failed || transport_.all_sent()) return close("done");
  // Nothing tells of it, so one looks; tick() ends it.
  thread_.call_at(thread_.now() + kLook, [weak = weak_from_this()] {
    if (const auto client = weak.lock()) static_cast<Connection&>(*client).linger();
  });
}

void Connection::close(std::string_view why) {
  if (std::exchange(closed_, true)) return;
  spdlog::debug("client closed client={} address={} why=\"{}\"", id(), address_, why);
  const auto keep = shared_from_this();
  leave();
  thread_.remove(*this, transport_.descriptor());
  transport_.close();
}

void Connection::complete(ClientFacts& facts) const {
  facts.address = address_;
  facts.local_address = local_address_;
  facts.descriptor = transport_.descriptor();
  facts.input_bytes = in_.size();
  facts.output_bytes = out_.size();
}

}  // namespace cubby::server
