// SPDX-License-Identifier: Apache-2.0
#include "server/http_message.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cctype>

namespace cubby::server {

namespace {

int percent_digit(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

int base64_digit(char digit) noexcept {
  if (digit >= 'A' && digit <= 'Z') return digit - 'A';
  if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
  if (digit >= '0' && digit <= '9') return digit - '0' + 52;
  if (digit == '+') return 62;
  if (digit == '/') return 63;
  return -1;
}

}  // namespace

bool HttpRequest::set_target(std::string_view target) {
  const std::size_t end = std::min(target.find('?'), target.size());
  if (end == 0 || target.front() != '/') return false;
  path = target.substr(0, end);
  query.clear();
  if (end + 1 >= target.size()) return true;
  auto fields = form_fields(target.substr(end + 1));
  if (!fields) return false;
  query = std::move(*fields);
  return true;
}

std::optional<std::string_view> HttpRequest::parameter(std::string_view name) const {
  const auto found = std::ranges::find(query, name, [](const auto& field) { return std::string_view(field.first); });
  if (found == query.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> percent_decoded(std::string_view text, bool form) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      if (text.size() - at < 3) return std::nullopt;
      const int high = percent_digit(text[at + 1]);
      const int low = percent_digit(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      bytes += static_cast<char>(high << 4 | low);
      at += 2;
    } else {
      bytes += form && text[at] == '+' ? ' ' : text[at];
    }
  }
  return bytes;
}

std::string percent_encoded(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (const char byte : bytes) {
    const auto code = static_cast<unsigned char>(byte);
    if ((code < 0x80 && std::isalnum(code) != 0) || byte == '-' || byte == '.' || byte == '_' || byte == '~') {
      text += byte;
    } else {
      text += '%';
      text += kDigits[code >> 4];
      text += kDigits[code & 15];
    }
  }
  return text;
}

std::optional<std::vector<std::pair<std::string, std::string>>> form_fields(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> fields;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (field.empty()) continue;
    const std::size_t name_end = std::min(field.find('='), field.size());
    auto name = percent_decoded(field.substr(0, name_end), true);
    auto value = percent_decoded(field.substr(std::min(name_end + 1, field.size())), true);
    if (!name || !value) return std::nullopt;
    fields.emplace_back(std::move(*name), std::move(*value));
  }
  return fields;
}

std::string_view cookie_value(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const std::size_t end = std::min(header.find(';'), header.size());
    std::string_view cookie = header.substr(0, end);
    header.remove_prefix(std::min(end + 1, header.size()));
    cookie.remove_prefix(std::min(cookie.find_first_not_of(' '), cookie.size()));
    if (cookie.size() > name.size() && cookie.starts_with(name) && cookie[name.size()] == '=') {
      return cookie.substr(name.size() + 1);
    }
  }
  return {};
}

std::optional<std::string> base64_decoded(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (const char digit : text) {
    const int value = base64_digit(digit);
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  return bytes;
}

bool is_address_or_localhost(std::string_view host) {
  boost::system::error_code error;
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    boost::asio::ip::make_address_v6(std::string(host.substr(1, end - 1)), error);
    return !error;
  }
  std::string name(host.substr(0, host.find(':')));
  std::ranges::transform(name, name.begin(),
                         [](char byte) { return static_cast<char>(std::tolower(static_cast<unsigned char>(byte))); });
  if (name == "localhost" || name.ends_with(".localhost")) return true;
  boost::asio::ip::make_address_v4(name, error);
  return !error;
}

}  // namespace cubby::server
