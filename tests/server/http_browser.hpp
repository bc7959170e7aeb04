// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "server/http_message.hpp"
#include "server/http_server.hpp"
#include "server/sign_in_guard.hpp"
#include "server/test_client.hpp"

/// A server's HTTP port in the process, and who asks it.
namespace cubby::server::testing {

/// A server's HTTP port, and a thread behind it.
class HttpPort {
 public:
  explicit HttpPort(Settings settings = {}, const HttpLimits& limits = {})
      : server(std::move(settings)), http_(server.server(), context_, sign_ins_, 0, limits) {
    thread_ = std::thread([this] { context_.run(); });
  }
  ~HttpPort() {
    context_.stop();
    thread_.join();
  }
  HttpPort(const HttpPort&) = delete;
  HttpPort& operator=(const HttpPort&) = delete;

  int port() const { return http_.port(); }
  std::string host() const { return "127.0.0.1:" + std::to_string(port()); }
  Datastore store(const std::string& name = "db0") { return server.server().databases.open(name); }

  TestServer server;

 private:
  boost::asio::io_context context_;
  SignInGuard sign_ins_;
  HttpServer http_;
  std::thread thread_;
};

struct Answer {
  unsigned status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  ///< names in lower case
  Value json() const { return Value::parse(body); }
};

/// A browser: one connection, and a cookie.
class Browser {
 public:
  explicit Browser(const HttpPort& port, const std::string& address = "127.0.0.1") : host_(port.host()), socket_(context_) {
    socket_.connect(
        boost::asio::ip::tcp::endpoint(boost::asio::ip::make_address(address), static_cast<unsigned short>(port.port())));
  }

  Answer get(const std::string& target, std::map<std::string, std::string> headers = {}) {
    return send("GET", target, "", std::move(headers));
  }
  Answer send(const std::string& method, const std::string& target, const std::string& body = "",
              std::map<std::string, std::string> headers = {}) {
    boost::beast::http::request<boost::beast::http::string_body> request;
    request.version(11);
    request.method_string(method);
    request.target(target);
    request.set(boost::beast::http::field::host, host_);
    if (!cookie_.empty()) request.set(boost::beast::http::field::cookie, cookie_);
    if (!csrf_.empty()) request.set("X-Cubby-CSRF", csrf_);
    for (const auto& [name, value] : headers) request.set(name, value);
    request.body() = body;
    request.prepare_payload();
    boost::beast::http::write(socket_, request);
    return read(method == "HEAD");
  }
  Answer read(bool head_only = false) {
    boost::beast::http::response_parser<boost::beast::http::string_body> parser;
    parser.skip(head_only);
    boost::beast::http::read(socket_, buffer_, parser);
    Answer answer;
    answer.status = parser.get().result_int();
    answer.body = parser.get().body();
    for (const auto& field : parser.get()) {
      std::string name(field.name_string());
      for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      answer.headers[name] = std::string(field.value());
    }
    return answer;
  }
  Answer sign_in(const std::string& user, const std::string& password) {
    Answer answer = send("POST", "/api/session", "user=" + percent_encoded(user) + "&password=" + percent_encoded(password));
    if (answer.status == 200) {
      const std::string& cookie = answer.headers["set-cookie"];
      cookie_ = cookie.substr(0, cookie.find(';'));
      csrf_ = answer.json()["csrf"].as_string();
    }
    return answer;
  }
  void forget_csrf() { csrf_.clear(); }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  boost::asio::io_context context_;
  std::string host_;
  boost::asio::ip::tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
  std::string cookie_, csrf_;
};

inline Settings with_password(const std::string& password) {
  Settings settings;
  settings.requirepass = password;
  return settings;
}

}  // namespace cubby::server::testing
