// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <cubby/value.hpp>

#include "server/http_history.hpp"
#include "server/http_message.hpp"

/// The answers of the dashboard's JSON API (docs/dashboard.md). Each throws HttpError where there is nothing to answer with.
///
/// Thread safety: plain functions.

namespace cubby::server {

class Server;
struct User;

/// A response that isn't what was asked for.
class HttpError : public std::runtime_error {
 public:
  HttpError(unsigned its_status, const std::string& text) : std::runtime_error(text), status(its_status) {}
  unsigned status;
};

HttpResponse json_response(const Value& value, unsigned status = 200);
/// {"error": text}
HttpResponse error_response(unsigned status, std::string_view text);

/// GET /api/status?after=: figures, and the samples behind that one.
Value api_status(Server& server, const User& user, const HttpHistory& history, const HttpRequest& request);
/// GET /api/clients: some hundred of them.
Value api_clients(Server& server, const User& user);
/// GET /api/keys?store=&match=&cursor=
Value api_keys(Server& server, const User& user, const HttpRequest& request);
/// GET /api/value?store=&key=&path=&from=
Value api_value(Server& server, const User& user, const HttpRequest& request);
/// GET /api/json?store=&key=: the value as JSON text, to be edited.
Value api_json(Server& server, const User& user, const HttpRequest& request);

/// PUT and DELETE /api/value and /api/ttl?store=&key=, of somebody who has signed in.
Value api_change(Server& server, const User& user, const HttpRequest& request, std::string_view what);

}  // namespace cubby::server
