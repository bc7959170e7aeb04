// SPDX-License-Identifier: Apache-2.0

// Where settings come from (file, environment), and whether they go together.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "server/settings.hpp"

namespace cubby::server {

namespace {

bool is_setting_blank(char byte) noexcept { return std::isspace(static_cast<unsigned char>(byte)) != 0; }

int digit_of_escape(char byte) noexcept {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const int lower = std::tolower(static_cast<unsigned char>(byte));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// The byte that the escape at `at`, behind its backslash, stands for; `at` goes behind it.
char unescape(std::string_view line, std::size_t& at) {
  if (line[at] == 'x' && at + 2 < line.size()) {
    const int high = digit_of_escape(line[at + 1]);
    const int low = digit_of_escape(line[at + 2]);
    if (high >= 0 && low >= 0) {
      at += 3;
      return static_cast<char>(high * 16 + low);
    }
  }
  const char byte = line[at++];
  switch (byte) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return byte;
  }
}

/// Appends what is between the quote at `at` and its end; `at` goes behind that.
void read_quoted(std::string_view line, std::size_t& at, std::string& word) {
  const char quote = line[at++];
  while (at < line.size() && line[at] != quote) {
    const bool escape = line[at] == '\\' && at + 1 < line.size();
    if (escape && quote == '"') {
      word += unescape(line, ++at);
    } else if (escape && line[at + 1] == quote) {
      word += quote;
      at += 2;
    } else {
      word += line[at++];
    }
  }
  if (at == line.size()) throw SettingError("unbalanced quotes");
  ++at;
  if (at < line.size() && !is_setting_blank(line[at])) throw SettingError("a quote has to end its word");
}

/// Whether CUBBY_<name> is a variable of cubby's other commands, of its tests, or one that Kubernetes and Docker links set for
/// a service called cubby.
bool is_somebody_elses(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 4> kOfCommands{"CONFIG", "FILE", "KEY_FILE", "PASSWORD"};
  constexpr std::array<std::string_view, 3> kBegins{"TEST_", "SERVICE_", "ENV_"};
  if (std::ranges::find(kOfCommands, name) != kOfCommands.end() || name == "NAME") return true;
  if (name.starts_with("PORT_") && name.size() > 5 && name[5] >= '0' && name[5] <= '9') return true;
  return std::ranges::any_of(kBegins, [name](std::string_view begin) { return name.starts_with(begin); });
}

/// An address of `bind` without its sign.
std::string_view without_sign(std::string_view address) noexcept {
  if (address.starts_with('-')) address.remove_prefix(1);
  return address;
}

bool can_be_bound(std::string_view address) noexcept {
  if (address == "*" || address == "::*") return true;
  const bool v6 = address.find(':') != std::string_view::npos;
  std::array<unsigned char, sizeof(::in6_addr)> bytes;
  // Behind a percent sign is an interface.
  const std::string text(v6 ? address.substr(0, address.find('%')) : address);
  return ::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) == 1;
}

bool is_loopback(std::string_view address) noexcept {
  address = without_sign(address);
  return address == "::1" || address.starts_with("127.");
}

}  // namespace

std::vector<std::string> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::size_t at = 0;
  for (;;) {
    while (at < line.size() && is_setting_blank(line[at])) ++at;
    if (at == line.size()) return words;
    std::string& word = words.emplace_back();
    while (at < line.size() && !is_setting_blank(line[at])) {
      if (line[at] == '"' || line[at] == '\'') {
        read_quoted(line, at, word);
      } else {
        word += line[at++];
      }
    }
  }
}

void Settings::read(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file)) {
    throw SettingError(file.string() + ": can't be read: " + std::strerror(in ? EISDIR : errno));
  }
  Settings settings = *this;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    try {
      const std::vector<std::string> words = line.starts_with('#') ? std::vector<std::string>() : split_words(line);
      if (words.empty() || words.front().starts_with('#')) continue;
      settings.set(words.front(), std::span(words).subspan(1));
    } catch (const SettingError& error) {
      throw SettingError(file.string() + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  *this = std::move(settings);
}

std::vector<std::string> Settings::read_environment() {
  constexpr std::string_view kPrefix = "CUBBY_";
  std::vector<std::string> unknown;
  Settings settings = *this;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(kPrefix.size(), equals - kPrefix.size());
    if (find_setting(name) == nullptr) {
      if (!is_somebody_elses(name)) unknown.emplace_back(text.substr(0, equals));
      continue;
    }
    const std::string value(text.substr(equals + 1));
    // Kubernetes and Docker links set such a CUBBY_PORT for a service of that name.
    if (value.starts_with("tcp://")) continue;
    try {
      settings.set(name, std::span(&value, 1));
    } catch (const SettingError& error) {
      throw SettingError("in the environment: " + std::string(error.what()));
    }
  }
  *this = std::move(settings);
  return unknown;
}

void Settings::check() const {
  if (port == 0 && tls_port == 0 && unixsocket.empty()) {
    throw SettingError("nothing to listen on: set port, tls-port or unixsocket");
  }
  if ((port != 0 && (port == tls_port || port == http_port)) || (tls_port != 0 && tls_port == http_port)) {
    throw SettingError("port, tls-port and http-port have to differ");
  }
  if (tls_port != 0 && (tls_cert_file.empty() || tls_key_file.empty())) {
    throw SettingError("tls-port needs tls-cert-file and tls-key-file");
  }
  for (const auto& [name, file] : {std::pair("tls-cert-file", &tls_cert_file), std::pair("tls-key-file", &tls_key_file),
                                   std::pair("tls-ca-cert-file", &tls_ca_cert_file)}) {
    if (tls_port == 0 && !file->empty())
      throw SettingError(std::string(name) + " needs tls-port: without it nothing speaks TLS");
  }
  if (tls_port == 0 && tls_auth_clients != "no") {
    throw SettingError("tls-auth-clients " + tls_auth_clients +
                       " needs tls-port: without it nobody is asked for a certificate");
  }
  if (tls_port != 0 && tls_auth_clients != "no" && tls_ca_cert_file.empty()) {
    throw SettingError("tls-auth-clients " + tls_auth_clients + " needs tls-ca-cert-file");
  }
  if (!encryption_key_file.empty() && dir.empty())
    throw SettingError("encryption-key-file needs dir: nothing else is encrypted");
  for (const std::string& address : bind) {
    const std::string_view name = without_sign(address);
    if (!can_be_bound(name)) throw SettingError("bind: " + std::string(name) + " is not an IP address");
  }
  const auto outside = std::ranges::find_if_not(bind, is_loopback);
  const bool by_tcp = port != 0 || tls_port != 0 || http_port != 0;
  if (by_tcp && outside != bind.end() && protected_mode && requirepass.empty() && users.empty()) {
    throw SettingError("bind " + *outside +
                       " lets other machines in: set requirepass or users, or protected-mode no if nobody else can reach it");
  }
}

}  // namespace cubby::server
