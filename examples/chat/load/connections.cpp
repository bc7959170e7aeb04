// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "load/load.hpp"

namespace chat::load {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using Clock = std::chrono::steady_clock;

/// What all clients share. One thread runs them all, so nothing is locked.
struct Run {
  double rate = 0;  // requests a second of all clients together
  int clients = 0;
  std::uint64_t requests = 0, messages = 0, session_operations = 0;
  Latencies latencies;
  std::size_t ready = 0;
  bool failed = false;
  Clock::time_point start;  // requests that were due before don't count
};

class Client {
 public:
  Client(net::io_context& context, Run& run, Mix mix, int index)
      : run_(run), script_(mix, index), index_(index), stream_(context) {}

  net::awaitable<void> connect(unsigned short port) {
    try {
      const net::ip::tcp::endpoint server(net::ip::make_address("127.0.0.1"), port);
      auto& socket = stream_.next_layer();
      co_await socket.async_connect(server, net::use_awaitable);
      socket.socket().set_option(net::ip::tcp::no_delay(true));
      co_await stream_.async_handshake("127.0.0.1:" + std::to_string(port), "/chat", net::use_awaitable);
      stream_.text(true);
      for (const std::string& request : {script_.hello(), script_.leave_lobby(), script_.enter()}) {
        co_await stream_.async_write(net::buffer(request), net::use_awaitable);
      }
      ++run_.ready;
      beast::flat_buffer buffer;
      for (;;) {
        co_await stream_.async_read(buffer, net::use_awaitable);
        hear({static_cast<const char*>(buffer.cdata().data()), buffer.size()});
        buffer.consume(buffer.size());
      }
    } catch (const boost::system::system_error&) {
      run_.failed = true;
    }
  }

  /// Makes requests when they are due, whether those before were answered or not: a server that is late isn't spared.
  net::awaitable<void> ask() {
    try {
      net::steady_timer timer(stream_.get_executor());
      auto due = Clock::now() + interval() * index_ / run_.clients;
      for (;;) {
        if (due > Clock::now()) {
          timer.expires_at(due);
          co_await timer.async_wait(net::use_awaitable);
        }
        const std::string request = script_.next(seen_);
        if (script_.kind() == Script::Kind::say) waiting_.push_back(due);
        co_await stream_.async_write(net::buffer(request), net::use_awaitable);
        ++run_.requests;
        run_.session_operations += script_.session_operations();
        due += interval();
      }
    } catch (const boost::system::system_error&) {
      run_.failed = true;
    }
  }

 private:
  Clock::duration interval() const {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(run_.clients / run_.rate));
  }

  void hear(std::string_view event) {
    if (event.ends_with(R"("type":"ack"})")) {
      if (waiting_.empty()) return;
      const auto due = waiting_.front();
      waiting_.pop_front();
      ++run_.messages;
      if (due >= run_.start) run_.latencies.add(Clock::now() - due);
    } else if (const std::int64_t number = number_in(event)) {
      seen_ = number;
    } else if (event.ends_with(R"("type":"error"})")) {
      run_.failed = true;
    }
  }

  Run& run_;
  Script script_;
  const int index_;
  websocket::stream<beast::tcp_stream> stream_;
  std::deque<Clock::time_point> waiting_;  // when the messages were due that have no answer yet
  std::int64_t seen_ = 0;
};

/// Processor time that a process has had.
double processor_seconds(int process) {
  std::ifstream stream("/proc/" + std::to_string(process) + "/stat");
  std::string text(std::istreambuf_iterator<char>(stream), {});
  text.erase(0, text.rfind(')') + 2);
  std::istringstream fields(text);
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

Rates run_connections(unsigned short port, int server, Mix mix, int connections, std::chrono::milliseconds step,
                      const std::string& title) {
  net::io_context context(1);
  Run run;
  run.clients = connections;
  std::vector<std::unique_ptr<Client>> clients;
  const auto check = [&] {
    if (run.failed) throw std::runtime_error("a connection was lost, or a request refused");
  };
  for (int i = 0; i < connections; ++i) {
    clients.push_back(std::make_unique<Client>(context, run, mix, i));
    net::co_spawn(context, clients.back()->connect(port), net::detached);
    while (run.ready + 32 < clients.size()) context.run_one(), check();  // a few at a time
  }
  while (run.ready < clients.size()) context.run_one(), check();

  // Twenty steps lead from 1,000 requests a second to more than a machine does.
  run.rate = 1000;
  for (const auto& client : clients) net::co_spawn(context, client->ask(), net::detached);
  Rates best;
  int late = 0;
  for (int i = 0; i < 20; ++i) {
    context.run_for(step / 3);  // the rate has just changed
    check();
    const Run before = run;
    run.start = Clock::now();
    run.latencies = {};
    const double processor = processor_seconds(server);
    context.run_for(step);
    check();
    const double seconds = std::chrono::duration<double>(Clock::now() - run.start).count();
    const auto per_second = [&](std::uint64_t now, std::uint64_t then) { return static_cast<double>(now - then) / seconds; };
    Rates rates;
    rates.requests = per_second(run.requests, before.requests);
    rates.messages = per_second(run.messages, before.messages);
    rates.session_operations = per_second(run.session_operations, before.session_operations);
    rates.latencies = run.latencies;
    rates.offered = run.rate;
    rates.server_microseconds = (processor_seconds(server) - processor) * 1e6 / (rates.requests * seconds);
    show(title, rates, false);
    const bool kept_up = rates.requests > 0.95 * run.rate && rates.messages > 0.95 * run.rate * messages_of(mix) &&
                         rates.latencies.microseconds(0.99) < 500'000;
    if (kept_up || i == 0) best = rates;
    late = kept_up ? 0 : late + 1;
    if (late == 2) break;  // once may have been something else's fault
    run.rate *= kept_up ? 1.25 : 1;
  }
  show(title, best, true);
  return best;
}

}  // namespace chat::load
