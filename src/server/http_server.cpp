// SPDX-License-Identifier: Apache-2.0
#include "server/http_server.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
#include <optional>
#include <unordered_set>
#include <utility>

#include "server/http_handler.hpp"
#include "server/http_slots.hpp"
#include "server/server.hpp"
#include "server/sign_in_guard.hpp"

namespace cubby::server {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using HttpTcp = asio::ip::tcp;

constexpr std::uint32_t kMostHeaderBytes = 16U << 10;
constexpr std::uint64_t kMostBodyBytes = std::uint64_t{512} << 10;
constexpr std::chrono::seconds kGoodbyeTime{2};
/// For the request of who is let in only to ask how the server is.
constexpr std::chrono::milliseconds kSpareTime{5000};
constexpr std::size_t kMostDrained = std::size_t{4} << 20;

std::string url_of(const HttpTcp::endpoint& endpoint) {
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  if (endpoint.address().is_unspecified()) host = "localhost";  // that is on all addresses, too
  return "http://" + host + ":" + std::to_string(endpoint.port()) + "/";
}

/// Who is connected.
class HttpPeer {
 public:
  virtual ~HttpPeer() = default;
  virtual void cut() = 0;
};
struct HttpPeers {
  explicit HttpPeers(const HttpLimits& limits) : slots(limits.connections, limits.connections_of_address) {}
  std::unordered_set<HttpPeer*> all;
  HttpSlots slots;
};

/// One connection, which lives as long as it waits for something.
class HttpConnection final : public HttpPeer, public std::enable_shared_from_this<HttpConnection> {
 public:
  HttpConnection(HttpTcp::socket socket, const HttpLimits& limits, std::shared_ptr<HttpHandler> handler,
                 std::shared_ptr<HttpPeers> peers, HttpSlots::Slot slot)
      : stream_(std::move(socket)),
        delay_(stream_.get_executor()),
        limits_(limits),
        handler_(std::move(handler)),
        peers_(std::move(peers)),
        slot_(std::move(slot)) {
    peers_->all.insert(this);
  }
  ~HttpConnection() override { peers_->all.erase(this); }
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  void start(const HttpTcp::endpoint& remote) {
    boost::system::error_code error;
    const auto local = stream_.socket().local_endpoint(error);
    if (error) return;  // it has left already
    request_.address = remote.address().to_string();
    request_.from_loopback = local.address().is_loopback();
    read();
  }
  /// There are too many: says so and ends.
  void refuse() {
    HttpResponse response;
    response.status = 503;
    response.body = "too many HTTP connections\n";
    keep_alive_ = false;
    send(std::move(response));
  }
  void cut() override {
    delay_.cancel();
    stream_.close();
  }

 private:
  bool only_health() const noexcept { return slot_.kind() == HttpSlots::Kind::health; }

  void read() {
    parser_.emplace();
    parser_->header_limit(kMostHeaderBytes);
    parser_->body_limit(kMostBodyBytes);
    stream_.expires_after(only_health() ? std::min(limits_.request_time, kSpareTime) : limits_.request_time);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t /*bytes*/) { self->have_read(error); });
  }

  void have_read(beast::error_code error) {
    if (error == http::error::end_of_stream) return finish();
    if (error) {
      const unsigned status =
          error == http::error::body_limit     ? 413U
          : error == http::error::header_limit ? 431U
          : error.category() == make_error_code(http::error::bad_method).category() && error != http::error::partial_message
              ? 400U
              : 0U;
      if (status == 0) return;  // it is gone, or was too slow
      refuse_request(status, error.message());
      return;
    }
    http::request<http::string_body>& message = parser_->get();
    keep_alive_ = message.keep_alive() && !only_health();
    head_only_ = message.method() == http::verb::head;
    version_ = message.version();
    const auto header = [&](auto name) { return std::string(message[name]); };
    request_.method = std::string(message.method_string());
    request_.host = header(http::field::host);
    request_.cookie = header(http::field::cookie);
    request_.authorization = header(http::field::authorization);
    request_.origin = header(http::field::origin);
    request_.fetch_site = header("Sec-Fetch-Site");
    request_.csrf = header("X-Cubby-CSRF");
    request_.if_match = header(http::field::if_match);
    request_.if_none_match = header(http::field::if_none_match);
    request_.body = std::move(message.body());
    const auto target = message.target();
    if (!request_.set_target(std::string_view(target.data(), target.size()))) return refuse_request(400, "bad target");
    if (only_health() && request_.path != "/healthz") return refuse();
    HttpResponse response = handler_->handle(request_);
    if (response.delay.count() == 0) return send(std::move(response));
    stream_.expires_never();
    delay_.expires_after(response.delay);
    delay_.async_wait([self = shared_from_this(), response = std::move(response)](const beast::error_code& stopped) mutable {
      if (!stopped) self->send(std::move(response));
    });
  }

  void refuse_request(unsigned status, const std::string& why) {
    HttpResponse response;
    response.status = status;
    response.body = why + "\n";
    keep_alive_ = false;
    send(std::move(response));
  }

  void send(HttpResponse response) {
    message_ = {};
    message_.version(version_);
    message_.result(response.status);
    message_.set(http::field::server, "cubby");
    message_.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) message_.insert(name, value);
    message_.keep_alive(keep_alive_);
    message_.body() = std::move(response.body);
    message_.prepare_payload();
    if (head_only_) message_.body().clear();  // the length stays
    stream_.expires_after(limits_.response_time);
    http::async_write(stream_, message_, [self = shared_from_this()](beast::error_code error, std::size_t /*bytes*/) {
      if (error) return;
      if (self->keep_alive_) return self->read();
      self->finish();
    });
  }

  /// Says that nothing comes any more. What the client is still sending is read for a while: it would be told of a broken
  /// connection otherwise, and not read the response.
  void finish() {
    beast::error_code ignored;
    stream_.socket().shutdown(HttpTcp::socket::shutdown_send, ignored);
    stream_.expires_after(kGoodbyeTime);
    drain(kMostDrained);
  }
  void drain(std::size_t most) {
    stream_.async_read_some(asio::buffer(drained_),
                            [self = shared_from_this(), most](beast::error_code error, std::size_t bytes) {
                              if (!error && bytes < most) self->drain(most - bytes);
                            });
  }

  beast::tcp_stream stream_;
  asio::steady_timer delay_;
  const HttpLimits limits_;
  std::shared_ptr<HttpHandler> handler_;
  std::shared_ptr<HttpPeers> peers_;
  HttpSlots::Slot slot_;  // of peers_
  beast::flat_buffer buffer_{kMostHeaderBytes + kMostBodyBytes};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> message_;
  HttpRequest request_;
  std::array<char, 4096> drained_;
  bool keep_alive_ = false;
  bool head_only_ = false;
  unsigned version_ = 11;
};

}  // namespace

class HttpServer::Doors : public std::enable_shared_from_this<Doors> {
 public:
  Doors(Server& server, asio::io_context& context, SignInGuard& sign_ins, const HttpLimits& limits)
      : server_(server),
        context_(context),
        second_(context),
        limits_(limits),
        handler_(std::make_shared<HttpHandler>(server, sign_ins)),
        peers_(std::make_shared<HttpPeers>(limits)) {}

  void open(int port) {
    const Settings settings = server_.settings();
    std::string missing;
    for (std::string name : settings.bind) {
      const bool optional = name.starts_with('-');
      if (optional) name.erase(0, 1);
      if (name == "*") name = "0.0.0.0";
      if (name == "::*") name = "::";
      boost::system::error_code error;
      const auto address = asio::ip::make_address(name, error);
      if (error) throw SettingError("bind: " + name + " is not an IP address");
      // All addresses have the port that the system has chosen for the first one.
      const HttpTcp::endpoint endpoint(address, static_cast<asio::ip::port_type>(port_ != 0 ? port_ : port));
      auto acceptor = std::make_unique<HttpTcp::acceptor>(context_);
      acceptor->open(endpoint.protocol(), error);
      if (!error) acceptor->set_option(HttpTcp::acceptor::reuse_address(true), error);
      if (!error && address.is_v6()) acceptor->set_option(asio::ip::v6_only(true), error);
      if (!error) acceptor->bind(endpoint, error);
      if (!error) acceptor->listen(settings.tcp_backlog, error);
      if (error) {
        const bool absent = error == asio::error::address_family_not_supported || error.value() == EADDRNOTAVAIL;
        missing = "can't listen on " + url_of(endpoint) + " (http-port): " + error.message();
        if (!optional || !absent) throw SettingError(missing);
        continue;
      }
      ::fcntl(acceptor->native_handle(), F_SETFD, FD_CLOEXEC);
      if (port_ == 0) port_ = acceptor->local_endpoint().port();
      urls_.push_back(url_of(acceptor->local_endpoint()));
      acceptors_.push_back(std::move(acceptor));
    }
    if (acceptors_.empty()) throw SettingError(missing.empty() ? "bind: no address to listen on" : missing);
    handler_->set_port(port_);
    for (const auto& acceptor : acceptors_) accept(*acceptor);
    tick();
  }

  void close() {
    closed_ = true;
    second_.cancel();
    for (const auto& acceptor : acceptors_) {
      boost::system::error_code ignored;
      acceptor->close(ignored);
    }
    for (HttpPeer* const peer : peers_->all) peer->cut();
  }

  int port() const noexcept { return port_; }
  const std::vector<std::string>& urls() const noexcept { return urls_; }

 private:
  void accept(HttpTcp::acceptor& acceptor) {
    acceptor.async_accept(
        [self = shared_from_this(), &acceptor](const boost::system::error_code& error, HttpTcp::socket socket) {
          if (self->closed_) return;
          if (error) {
            // Out of descriptors, say; asking again at once would find the same. The second's tick does.
            spdlog::warn("accepting an HTTP connection failed reason=\"{}\"", error.message());
            self->paused_.push_back(&acceptor);
            return;
          }
          self->let_in(std::move(socket));
          self->accept(acceptor);
        });
  }

  void let_in(HttpTcp::socket socket) {
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    boost::system::error_code error;
    socket.set_option(HttpTcp::no_delay(true), error);
    const HttpTcp::endpoint remote = socket.remote_endpoint(error);
    if (error) return;  // it has left already
    HttpSlots::Slot slot = peers_->slots.take(remote.address().is_loopback() ? "" : network_of(remote.address().to_string()));
    const HttpSlots::Kind kind = slot.kind();
    if (kind == HttpSlots::Kind::none) return;
    const auto connection = std::make_shared<HttpConnection>(std::move(socket), limits_, handler_, peers_, std::move(slot));
    if (kind == HttpSlots::Kind::refused) return connection->refuse();
    connection->start(remote);
  }

  void tick() {
    second_.expires_after(std::chrono::seconds(1));
    second_.async_wait([self = shared_from_this()](const boost::system::error_code& stopped) {
      if (stopped || self->closed_) return;
      self->handler_->sample();
      for (HttpTcp::acceptor* const acceptor : std::exchange(self->paused_, {})) self->accept(*acceptor);
      self->tick();
    });
  }

  Server& server_;
  asio::io_context& context_;
  asio::steady_timer second_;
  const HttpLimits limits_;
  std::shared_ptr<HttpHandler> handler_;
  std::shared_ptr<HttpPeers> peers_;
  std::vector<std::unique_ptr<HttpTcp::acceptor>> acceptors_;
  std::vector<HttpTcp::acceptor*> paused_;
  std::vector<std::string> urls_;
  int port_ = 0;
  bool closed_ = false;
};

HttpServer::HttpServer(Server& server, asio::io_context& context, SignInGuard& sign_ins, int port, const HttpLimits& limits)
    : doors_(std::make_shared<Doors>(server, context, sign_ins, limits)) {
  try {
    doors_->open(port);
  } catch (...) {
    doors_->close();
    throw;
  }
}

HttpServer::~HttpServer() { doors_->close(); }

int HttpServer::port() const noexcept { return doors_->port(); }
const std::vector<std::string>& HttpServer::urls() const noexcept { return doors_->urls(); }

}  // namespace cubby::server
