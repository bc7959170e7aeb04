// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "server/http_history.hpp"
#include "server/http_message.hpp"
#include "server/http_sessions.hpp"

namespace cubby::server {

class Server;
class SignInGuard;
struct User;

/// What is answered by HTTP, whatever the connection: /healthz, /metrics, the dashboard's files and its JSON API.
///
/// Who may what: without signing in one is the user that a Redis client is before AUTH, and may only read; where clients have
/// to sign in, there is nothing but /healthz, the dashboard's files, its sign-in and, from this machine, /metrics. Users are
/// asked for their permissions as clients are. What changes something needs a session and its secret in the header
/// X-Cubby-CSRF.
///
/// Thread safety: one thread.
class HttpHandler {
 public:
  HttpHandler(Server& server, SignInGuard& sign_ins);

  /// Once it is known: tells the cookies of several servers on a machine from each other.
  void set_port(int port) { cookie_name_ = "cubby_session_" + std::to_string(port); }
  /// Takes a sample for the charts; to be called once a second.
  void sample() { history_.sample(); }
  HttpResponse handle(const HttpRequest& request);

 private:
  /// Who asks.
  struct Visitor {
    const User* user = nullptr;                      ///< null: has to sign in
    const HttpSessions::Session* session = nullptr;  ///< null: hasn't signed in
  };
  Visitor visitor(const HttpRequest& request);
  HttpResponse route(const HttpRequest& request);
  HttpResponse api(const HttpRequest& request, std::string_view what);
  HttpResponse metrics(const HttpRequest& request);
  HttpResponse session(const HttpRequest& request, const Visitor& visitor);
  HttpResponse sign_in(const HttpRequest& request);
  /// What is said instead of looking at a password, if the address has to wait before it may try another.
  std::optional<HttpResponse> too_many_sign_ins(const HttpRequest& request);
  HttpResponse failed_sign_in(const HttpRequest& request, HttpResponse response);
  std::string session_cookie(std::string_view token, std::chrono::seconds age) const;

  Server& server_;
  SignInGuard& sign_ins_;
  HttpSessions sessions_;
  HttpHistory history_;
  std::string cookie_name_ = "cubby_session";
};

}  // namespace cubby::server
