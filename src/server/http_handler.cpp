// SPDX-License-Identifier: Apache-2.0
#include "server/http_handler.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "server/command_table.hpp"
#include "server/dashboard_files.hpp"
#include "server/http_api.hpp"
#include "server/http_metrics.hpp"
#include "server/http_value_tree.hpp"
#include "server/server.hpp"
#include "server/server_health.hpp"
#include "server/sign_in_guard.hpp"

namespace cubby::server {

namespace {

constexpr std::size_t kLongestSignIn = 4096;

bool reads_only(const HttpRequest& request) { return request.method == "GET" || request.method == "HEAD"; }

HttpResponse not_allowed(std::string_view methods) {
  HttpResponse response = error_response(405, "only " + std::string(methods) + " is possible here");
  response.headers.emplace_back("Allow", methods);
  return response;
}

HttpResponse health_response(const Server& server) {
  HttpResponse response;
  response.body = server_health(server);
  if (!response.body.empty()) response.status = 503;
  response.body += response.body.empty() ? "ok\n" : "\n";
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

/// Nothing of it comes from elsewhere, and nobody else's page may show it or read from it.
void secure_page(HttpResponse& response) {
  static constexpr std::array<std::pair<const char*, const char*>, 6> kHeaders{
      {{"Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"},
       {"X-Frame-Options", "DENY"},
       {"Referrer-Policy", "no-referrer"},
       {"Cross-Origin-Opener-Policy", "same-origin"},
       {"Cross-Origin-Resource-Policy", "same-origin"},
       {"Permissions-Policy", "camera=(), geolocation=(), microphone=()"}}};
  for (const auto& [name, value] : kHeaders) response.headers.emplace_back(name, value);
}

std::optional<HttpResponse> dashboard_file(const HttpRequest& request) {
  std::string_view name = std::string_view(request.path).substr(1);
  if (name.empty()) name = "index.html";
  const auto files = dashboard_files();
  const auto file = std::ranges::find(files, name, &DashboardFile::name);
  if (file == files.end()) return std::nullopt;
  if (!reads_only(request)) return not_allowed("GET");
  HttpResponse response;
  response.content_type = file->content_type;
  const std::string tag = "\"" + std::to_string(std::hash<std::string_view>()(file->text)) + "\"";
  response.headers.emplace_back("ETag", tag);
  response.headers.emplace_back("Cache-Control", "no-cache");
  secure_page(response);
  if (request.if_none_match == tag) {
    response.status = 304;
  } else {
    response.body = file->text;
  }
  return response;
}

/// Whether a page of another origin has sent it. Programs other than browsers send neither header.
bool is_from_elsewhere(const HttpRequest& request) {
  if (!request.fetch_site.empty() && request.fetch_site != "same-origin" && request.fetch_site != "none") return true;
  if (request.origin.empty()) return false;
  const std::size_t scheme = request.origin.find("://");
  return scheme == std::string::npos || request.origin.substr(scheme + 3) != request.host;
}

bool may_see_metrics(const User& user) {
  const CommandSpec* const info = CommandTable::instance().find("info");
  return info != nullptr && user.may_run(*info);
}

}  // namespace

HttpHandler::HttpHandler(Server& server, SignInGuard& sign_ins) : server_(server), sign_ins_(sign_ins), history_(server) {}

HttpHandler::Visitor HttpHandler::visitor(const HttpRequest& request) {
  const std::string_view token = cookie_value(request.cookie, cookie_name_);
  const HttpSessions::Session* const session = token.empty() ? nullptr : sessions_.find(token, HttpSessions::Clock::now());
  return {session != nullptr ? session->user : server_.users.initial(), session};
}

HttpResponse HttpHandler::handle(const HttpRequest& request) {
  HttpResponse response;
  try {
    response = route(request);
  } catch (const HttpError& error) {
    response = error_response(error.status, error.what());
  } catch (const Error& error) {
    response = error_response(error.code() == Errc::closed ? 503 : 400, error.what());
  } catch (const std::exception& error) {
    spdlog::error(R"(an HTTP request failed path="{}" reason="{}")", request.path, error.what());
    response = error_response(500, "an internal error");
  }
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return response;
}

HttpResponse HttpHandler::route(const HttpRequest& request) {
  if (request.path == "/healthz") return reads_only(request) ? health_response(server_) : not_allowed("GET");
  // A page elsewhere may have its name lead here, and would then be of the same origin (DNS rebinding). Where clients have to
  // sign in it gains nothing by that.
  if (request.from_loopback && !server_.needs_password() && !is_address_or_localhost(request.host)) {
    return error_response(421, "ask for localhost or the address: other names are taken only where a password is needed");
  }
  if (request.path == "/metrics") return reads_only(request) ? metrics(request) : not_allowed("GET");
  constexpr std::string_view kApi = "/api/";
  if (request.path.starts_with(kApi)) {
    HttpResponse response = api(request, std::string_view(request.path).substr(kApi.size()));
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
    return response;
  }
  if (auto file = dashboard_file(request)) return std::move(*file);
  return error_response(404, "there is nothing here");
}

HttpResponse HttpHandler::metrics(const HttpRequest& request) {
  const auto answer = [&] {
    HttpResponse response;
    response.content_type = kMetricsType;
    response.body = metrics_text(server_);
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
  };
  if (request.from_loopback) return answer();
  const User* user = visitor(request).user;
  HttpResponse refused = error_response(401, "metrics need a name and a password, or to be asked for from this machine");
  refused.headers.emplace_back("WWW-Authenticate", R"(Basic realm="cubby", charset="UTF-8")");
  constexpr std::string_view kBasic = "Basic ";
  if (request.authorization.starts_with(kBasic)) {
    const auto pair = base64_decoded(std::string_view(request.authorization).substr(kBasic.size()));
    if (auto refused_too = too_many_sign_ins(request)) return std::move(*refused_too);
    const std::size_t colon = pair ? pair->find(':') : std::string::npos;
    user = colon == std::string::npos ? nullptr : server_.users.sign_in(pair->substr(0, colon), pair->substr(colon + 1));
    if (user == nullptr) return failed_sign_in(request, std::move(refused));
  }
  if (user == nullptr) return refused;
  if (!may_see_metrics(*user)) throw HttpError(403, "the user " + shown_text(user->name) + " may not run info");
  return answer();
}

HttpResponse HttpHandler::api(const HttpRequest& request, std::string_view what) {
  const Visitor who = visitor(request);
  if (what == "session") return session(request, who);
  if (who.user == nullptr) return error_response(401, "sign in first");
  if (reads_only(request)) {
    if (what == "status") return json_response(api_status(server_, *who.user, history_, request));
    if (what == "clients") return json_response(api_clients(server_, *who.user));
    if (what == "keys") return json_response(api_keys(server_, *who.user, request));
    if (what == "value") return json_response(api_value(server_, *who.user, request));
    if (what == "json") return json_response(api_json(server_, *who.user, request));
    return error_response(404, "there is nothing here");
  }
  if (what != "value" && what != "ttl") return not_allowed("GET");
  if (request.method != "PUT" && request.method != "DELETE") return not_allowed("PUT, DELETE");
  if (who.session == nullptr) return error_response(403, "only who has signed in may change something");
  if (is_from_elsewhere(request) || request.csrf != who.session->csrf) {
    return error_response(403, "the header X-Cubby-CSRF is missing or wrong");
  }
  return json_response(api_change(server_, *who.user, request, what));
}

HttpResponse HttpHandler::session(const HttpRequest& request, const Visitor& visitor) {
  if (reads_only(request)) {
    // Whether there is anybody to sign in as.
    const auto users = server_.users.all();
    const bool possible =
        std::ranges::any_of(users, [](const User* user) { return user->enabled && !user->needs_no_password; });
    return json_response(Value::object({{"user", visitor.user == nullptr ? Value() : Value(shown_text(visitor.user->name))},
                                        {"signed_in", visitor.session != nullptr},
                                        {"can_sign_in", possible},
                                        {"csrf", visitor.session == nullptr ? Value() : Value(visitor.session->csrf)}}));
  }
  if (is_from_elsewhere(request)) return error_response(403, "this comes from another page");
  if (request.method == "POST") return sign_in(request);
  if (request.method != "DELETE") return not_allowed("GET, POST, DELETE");
  if (visitor.session == nullptr) return json_response(Value::object({}));
  if (request.csrf != visitor.session->csrf) return error_response(403, "the header X-Cubby-CSRF is missing or wrong");
  sessions_.end(std::string(visitor.session->token));
  HttpResponse response = json_response(Value::object({}));
  response.headers.emplace_back("Set-Cookie", session_cookie("", std::chrono::seconds(0)));
  return response;
}

HttpResponse HttpHandler::sign_in(const HttpRequest& request) {
  const auto fields = request.body.size() <= kLongestSignIn ? form_fields(request.body) : std::nullopt;
  if (!fields) return error_response(400, "this is no form with user and password");
  std::string name = "default";
  std::string password;
  for (const auto& [field, value] : *fields) {
    if (field == "user" && !value.empty()) name = value;
    if (field == "password") password = value;
  }
  if (auto refused = too_many_sign_ins(request)) return std::move(*refused);
  const User* const user = server_.users.sign_in(name, password);
  // Whom no password is needed for is nobody to sign in as: anybody could, and change what is there to be read only.
  if (user == nullptr || user->needs_no_password) {
    return failed_sign_in(request, error_response(401, "the name or the password is wrong"));
  }
  const HttpSessions::Session& session = sessions_.begin(*user, HttpSessions::Clock::now());
  spdlog::info("signed in to the dashboard user={} address={}", shown_text(user->name), request.address);
  HttpResponse response = json_response(Value::object({{"user", shown_text(user->name)}, {"csrf", session.csrf}}));
  response.headers.emplace_back("Set-Cookie", session_cookie(session.token, HttpSessions::kLongest));
  return response;
}

std::optional<HttpResponse> HttpHandler::too_many_sign_ins(const HttpRequest& request) {
  const auto wait = sign_ins_.wait_before(request.address, SignInGuard::Clock::now());
  if (wait.count() <= 0) return std::nullopt;
  HttpResponse response = error_response(429, "too many wrong passwords from this address: try again in a few seconds");
  response.headers.emplace_back("Retry-After", std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
  return response;
}

HttpResponse HttpHandler::failed_sign_in(const HttpRequest& request, HttpResponse response) {
  response.delay = sign_ins_.failed(request.address, SignInGuard::Clock::now());
  server_.figures.mine().add(Figures::auth_failures);
  spdlog::warn("sign-in failed by=http address={} answered_after_ms={}", request.address, response.delay.count());
  return response;
}

std::string HttpHandler::session_cookie(std::string_view token, std::chrono::seconds age) const {
  return cookie_name_ + "=" + std::string(token) +
         "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(age.count());
}

}  // namespace cubby::server
