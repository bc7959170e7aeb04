// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cubby::server {

/// A request as handlers see it. The headers that none of them asks for are not kept; the others are empty where absent.
struct HttpRequest {
  std::string method;                                      ///< "GET"
  std::string path;                                        ///< "/api/keys", as it came
  std::vector<std::pair<std::string, std::string>> query;  ///< decoded: any bytes
  std::string host, cookie, authorization, origin, fetch_site, csrf, if_match, if_none_match;
  std::string body;
  std::string address;         ///< the client's, without its port
  bool from_loopback = false;  ///< it came to one of the machine's loopback addresses

  /// Takes path and query from a request's target; false if that can't be one.
  bool set_target(std::string_view target);
  /// The first one of that name.
  std::optional<std::string_view> parameter(std::string_view name) const;
};

struct HttpResponse {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  /// How long it has to wait before it is sent.
  std::chrono::milliseconds delay{0};
};

/// The bytes that a percent-encoded text stands for; with `form`, as forms have it, "+" is a blank. Empty if it is none.
std::optional<std::string> percent_decoded(std::string_view text, bool form);
/// All but letters, digits and -._~ as %XX.
std::string percent_encoded(std::string_view bytes);
/// Names and values of "a=1&b=2"; empty if it is no such text.
std::optional<std::vector<std::pair<std::string, std::string>>> form_fields(std::string_view text);
/// The value of a cookie in a Cookie header; empty if there is none of that name.
std::string_view cookie_value(std::string_view header, std::string_view name);
/// The bytes of a base64 text; empty if it is none.
std::optional<std::string> base64_decoded(std::string_view text);
/// Whether a Host header names this machine whoever is asked: an IP address or localhost, with or without a port.
bool is_address_or_localhost(std::string_view host);

}  // namespace cubby::server
