// SPDX-License-Identifier: Apache-2.0
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <string>

#include "server/network.hpp"

namespace chat {
namespace {

using namespace std::chrono_literals;
using Response = http::response<http::string_body>;

Response respond(const Request& request, http::status status, std::string type, std::string body) {
  Response response(status, request.version());
  response.set(http::field::content_type, type);
  response.set(http::field::cache_control, "no-cache");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("Referrer-Policy", "no-referrer");
  // Nothing but what this server sends runs in the page, and nobody puts it into a frame.
  response.set("Content-Security-Policy",
               "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
  response.keep_alive(request.keep_alive());
  response.body() = std::move(body);
  response.prepare_payload();
  if (request.method() == http::verb::head) response.body().clear();  // the length stays
  return response;
}

Response respond(const Request& request, const StaticFiles& files) {
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return respond(request, http::status::method_not_allowed, "text/plain", "GET, please.\n");
  }
  const std::string target(request.target());
  if (const StaticFiles::File* file = files.find(target)) return respond(request, http::status::ok, file->type, file->body);
  return respond(request, http::status::not_found, "text/plain", "There is nothing here.\n");
}

/// Browsers tell whose page opens a WebSocket. Other sites' pages have no business here.
bool from_here(const Request& request) {
  const auto origin = request.find(http::field::origin);
  if (origin == request.end()) return true;  // no browser
  const std::string from(origin->value());
  const std::string host(request[http::field::host]);
  return from == "http://" + host || from == "https://" + host;
}

}  // namespace

net::awaitable<void> serve_http(beast::tcp_stream stream, Handler& handler, const StaticFiles& files) {
  beast::flat_buffer buffer;
  try {
    for (;;) {
      http::request_parser<http::string_body> parser;
      parser.header_limit(16 * 1024);
      parser.body_limit(16 * 1024);
      stream.expires_after(30s);
      co_await http::async_read(stream, buffer, parser, net::use_awaitable);
      Request request = parser.release();
      if (beast::websocket::is_upgrade(request) && request.target() == "/chat") {
        if (!from_here(request)) {
          const Response refusal = respond(request, http::status::forbidden, "text/plain", "Not from there.\n");
          co_await http::async_write(stream, refusal, net::use_awaitable);
          co_return;
        }
        co_return co_await serve_web_socket(std::move(stream), std::move(request), handler);
      }
      const Response response = respond(request, files);
      co_await http::async_write(stream, response, net::use_awaitable);
      if (!response.keep_alive()) break;
    }
    stream.socket().shutdown(tcp::socket::shutdown_send);
  } catch (const boost::system::system_error&) {
    // The client went, was too slow, or speaks something else. The connection goes with the stream.
  }
}

net::awaitable<void> listen(tcp::acceptor acceptor, Handler& handler, const StaticFiles& files) {
  for (;;) {
    boost::system::error_code error;
    tcp::socket socket = co_await acceptor.async_accept(net::make_strand(acceptor.get_executor()),
                                                        net::redirect_error(net::use_awaitable, error));
    if (error == net::error::operation_aborted) co_return;
    if (error) {  // out of file descriptors, say: others must go before somebody new can come
      net::steady_timer pause(acceptor.get_executor(), 100ms);
      co_await pause.async_wait(net::use_awaitable);
      continue;
    }
    socket.set_option(tcp::no_delay(true), error);
    auto executor = socket.get_executor();
    net::co_spawn(executor, serve_http(beast::tcp_stream(std::move(socket)), handler, files), net::detached);
  }
}

}  // namespace chat
