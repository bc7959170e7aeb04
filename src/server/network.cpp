// SPDX-License-Identifier: Apache-2.0
#include "server/network.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>
#include <utility>

#include "server/connection.hpp"
#include "server/log_text.hpp"
#include "server/transport.hpp"

namespace cubby::server {

namespace asio = boost::asio;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;

/// One listening socket.
class Door {
 public:
  virtual ~Door() = default;
  virtual void open_for_clients() = 0;
  virtual void close() = 0;

 protected:
  static void enter(Network& network, int descriptor, bool tls, const std::string& address, const std::string& local,
                    bool is_tcp) {
    network.enter(descriptor, tls, address, local, is_tcp);
  }
};

namespace {

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

template <class Protocol>
class DoorOf final : public Door {
 public:
  DoorOf(Network& network, asio::io_context& context, bool tls)
      : network_(network), acceptor_(context), retry_(context), tls_(tls) {}

  typename Protocol::acceptor& acceptor() { return acceptor_; }

  void open_for_clients() override {
    acceptor_.async_accept([this](const boost::system::error_code& error, typename Protocol::socket socket) {
      if (error == asio::error::operation_aborted || !acceptor_.is_open()) return;
      if (error) {
        // Out of descriptors, say: waiting clients stay in the queue. Asking again at once would find the same.
        const auto now = std::chrono::steady_clock::now();
        if (now - failure_logged_ >= std::chrono::seconds(1)) {
          failure_logged_ = now;
          spdlog::warn("accepting a client failed reason=\"{}\"", error.message());
        }
        retry_.expires_after(std::chrono::milliseconds(100));
        retry_.async_wait([this](const boost::system::error_code& stopped) {
          if (!stopped) open_for_clients();
        });
        return;
      }
      let_in(std::move(socket));
      open_for_clients();
    });
  }
  void close() override {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
  }

 private:
  void let_in(typename Protocol::socket socket) {
    boost::system::error_code error;
    std::string address;
    std::string local;
    if constexpr (std::is_same_v<Protocol, tcp>) {
      const auto remote_end = socket.remote_endpoint(error);
      if (error) return;  // it has left already
      address = text_of(remote_end);
      local = text_of(socket.local_endpoint(error));
    } else {
      local = socket.local_endpoint(error).path();
      address = local + ":0";
      local = address;
    }
    const int descriptor = socket.release(error);
    if (!error) enter(network_, descriptor, tls_, address, local, std::is_same_v<Protocol, tcp>);
  }

  Network& network_;
  typename Protocol::acceptor acceptor_;
  asio::steady_timer retry_;
  std::chrono::steady_clock::time_point failure_logged_{};
  const bool tls_;
};

void set_option(int descriptor, int level, int option, int value) {
  ::setsockopt(descriptor, level, option, &value, sizeof value);  // a hint: without it the connection works as well
}

}  // namespace

Network::Network(Server& server) : server_(server), context_(std::make_unique<asio::io_context>(1)) {
  // The log is made before there are threads that share it: how its library guards that, ThreadSanitizer doesn't see.
  spdlog::default_logger_raw();
  // OpenSSL writes to sockets without saying that it minds no signal.
  std::signal(SIGPIPE, SIG_IGN);
  const Settings settings = server.settings();
  if (settings.tls_port != 0) tls_ = std::make_unique<TlsContext>(settings);
  if (settings.port != 0) open_tcp(settings.bind, settings.port, false);
  if (settings.tls_port != 0) open_tcp(settings.bind, settings.tls_port, true);
  if (!settings.unixsocket.empty()) open_unix(settings.unixsocket, settings.unixsocketperm);
  if (doors_.empty()) throw SettingError("there is nothing to listen on: set port, tls-port or unixsocket");
  const auto cores = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  // The kernel's part of a request takes as long as ours, and clients spread over more threads share fewer system calls.
  const int threads = settings.threads != 0 ? settings.threads : std::clamp(cores / 2, 1, 8);
  for (int index = 0; index < threads; ++index) threads_.push_back(std::make_unique<IoThread>(server, sign_ins_));
}

Network::~Network() {
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
}

void Network::open_tcp(const std::vector<std::string>& addresses, int port, bool tls) {
  const std::string setting = tls ? "tls-port" : "port";
  const std::size_t before = doors_.size();
  std::string missing;
  for (std::string name : addresses) {
    const bool optional = name.starts_with('-');
    if (optional) name.erase(0, 1);
    if (name == "*") name = "0.0.0.0";
    if (name == "::*") name = "::";
    boost::system::error_code error;
    const auto address = asio::ip::make_address(name, error);
    if (error) throw SettingError("bind: " + name + " is not an IP address");
    const tcp::endpoint endpoint(address, static_cast<asio::ip::port_type>(port));
    auto door = std::make_unique<DoorOf<tcp>>(*this, *context_, tls);
    auto& acceptor = door->acceptor();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && address.is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(server_.settings().tcp_backlog, error);
    if (error) {
      const bool absent = error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL;
      const std::string text = "can't listen on " + text_of(endpoint) + " (" + setting + "): " + error.message();
      if (!optional || !absent) throw SettingError(text);
      missing = text;
      continue;
    }
    const tcp::endpoint local = acceptor.local_endpoint();
    if (!tls && port_ == 0) port_ = local.port();
    addresses_.push_back(text_of(local) + (tls ? " (TLS)" : ""));
    doors_.push_back(std::move(door));
  }
  if (doors_.size() == before) throw SettingError(missing.empty() ? "bind: no address to listen on" : missing);
}

void Network::open_unix(const std::string& path, int permissions) {
  auto door = std::make_unique<DoorOf<Local>>(*this, *context_, false);
  boost::system::error_code error;
  // What a server that was killed has left. One that still listens answers, and keeps its socket.
  struct ::stat status {};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) throw SettingError("unixsocket: " + path + " is there and is no socket");
    Local::socket probe(*context_);
    probe.connect(Local::endpoint(path), error);
    if (!error) throw SettingError("unixsocket: another server listens on " + path);
    ::unlink(path.c_str());
  }
  auto& acceptor = door->acceptor();
  try {
    const Local::endpoint endpoint(path);
    acceptor.open(endpoint.protocol());
    acceptor.bind(endpoint, error);
    if (!error) {
      // The umask is the whole process's, and stores make files meanwhile. Nobody can connect before listen().
      if (::chmod(path.c_str(), static_cast<::mode_t>(permissions)) != 0) error.assign(errno, boost::system::system_category());
      if (!error) acceptor.listen(server_.settings().tcp_backlog, error);
      if (error) ::unlink(path.c_str());
    }
  } catch (const boost::system::system_error& failed) {
    error = failed.code();  // the path is too long
  }
  if (error) throw SettingError("unixsocket: can't listen on " + path + ": " + error.message());
  unix_path_ = path;
  addresses_.push_back(path);
  doors_.push_back(std::move(door));
}

void Network::enter(int descriptor, bool tls, const std::string& address, const std::string& local_address, bool is_tcp) {
  server_.figures.mine().add(Figures::connections);
  const Settings settings = server_.settings();
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  if (is_tcp) {
    set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
    if (settings.tcp_keepalive != 0) {
      set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
      set_option(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, settings.tcp_keepalive);
      set_option(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, std::max(settings.tcp_keepalive / 3, 1));
      set_option(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 3);
    }
  }
  if (server_.clients.size() >= settings.maxclients) {
    server_.figures.mine().add(Figures::rejected_connections);
    Transport refused(descriptor);
    if (!tls) refused.send("-ERR max number of clients reached\r\n");
    // Not a line for each of those who come in crowds.
    const auto now = std::chrono::steady_clock::now();
    if (now - refusal_logged_ >= std::chrono::seconds(1)) {
      refusal_logged_ = now;
      spdlog::warn("client refused address={} reason=\"maxclients {} reached\"", address, settings.maxclients);
    }
    return;
  }
  try {
    IoThread& thread = *threads_[next_thread_++ % threads_.size()];
    auto transport = tls ? Transport(descriptor, *tls_) : Transport(descriptor);
    auto connection = std::make_shared<Connection>(server_, thread, std::move(transport), address, local_address);
    // Counted before the next one comes.
    connection->publish_facts();
    server_.clients.add(connection);
    thread.add(std::move(connection));
    spdlog::debug("client connected address={} tls={}", address, tls);
  } catch (const std::exception& error) {
    spdlog::error("client refused address={} reason=\"{}\"", address, log_text(error.what()));
  }
}

void Network::run() {
  for (const auto& thread : threads_) thread->start();
  for (const auto& door : doors_) door->open_for_clients();
  asio::steady_timer timer(*context_);
  std::function<void()> refresh = [&] {
    server_.refresh_memory();
    timer.expires_after(std::chrono::milliseconds(100));
    timer.async_wait([&](const boost::system::error_code& error) {
      if (!error && !stopping_.load(std::memory_order_relaxed)) refresh();
    });
  };
  refresh();
  while (!stopping_.load(std::memory_order_relaxed) && context_->run_one() != 0) {
  }
  for (const auto& door : doors_) door->close();
  for (const auto& thread : threads_) thread->begin_to_stop();
  for (const auto& thread : threads_) thread->stop();
  timer.cancel();
}

void Network::stop() {
  stopping_.store(true, std::memory_order_relaxed);
  asio::post(*context_, [] {});  // so that run() looks
}

}  // namespace cubby::server
