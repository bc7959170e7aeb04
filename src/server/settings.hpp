// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cubby/options.hpp>

namespace cubby::server {

/// What a setting can't be: names it and says what it can be.
class SettingError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How a server runs. The same names serve as flags (--max-clients), environment (CUBBY_MAX_CLIENTS), lines of the
/// configuration file (maxclients 100) and for CONFIG: Redis's names where it has one, dashes or none.
struct Settings {
  /// Addresses to listen on; "*" and "::*" are all of IPv4 and of IPv6. One with a "-" before it may be missing on this
  /// machine.
  std::vector<std::string> bind{"127.0.0.1", "-::1"};
  int port = 7379;  ///< 0: none
  std::string unixsocket;
  int unixsocketperm = 0700;
  int tcp_backlog = 511;
  int tcp_keepalive = 300;  ///< seconds
  int http_port = 7380;     ///< 0: none
  int threads = 0;          ///< 0: one for two cores, at most 8
  bool protected_mode = true;

  std::string dir;  ///< empty: in memory
  Sync sync = Sync::interval(std::chrono::milliseconds(100));
  std::size_t checkpoint_after = std::size_t{64} << 20;
  std::string encryption_key_file;
  int databases = 16;
  std::size_t max_stores = 64;  ///< besides the databases

  std::string requirepass;
  std::string users;  ///< a file

  int tls_port = 0;
  std::string tls_cert_file, tls_key_file, tls_ca_cert_file;
  std::string tls_auth_clients = "no";

  std::size_t maxmemory = 0;
  std::size_t maxclients = 10000;
  int timeout = 0;  ///< seconds a client may be idle; 0: for ever
  std::size_t client_query_buffer_limit = std::size_t{1024} << 20;
  std::size_t proto_max_bulk_len = std::size_t{512} << 20;
  std::size_t output_limit = std::size_t{256} << 20;        ///< bytes that wait to be sent to a client; 0: any number
  std::size_t pubsub_output_limit = std::size_t{32} << 20;  ///< the same of a subscriber
  std::size_t pipeline_depth = 100'000;                     ///< requests that are answered before the replies have to go

  std::string notify_keyspace_events;
  std::int64_t slowlog_log_slower_than = 10'000;  ///< microseconds; negative: none
  std::size_t slowlog_max_len = 128;
  std::string loglevel = "notice";
  std::string logfile;  ///< empty: standard error

  /// Sets one by its name, from the words of a configuration line. Throws SettingError; nothing was changed then.
  void set(std::string_view name, std::span<const std::string> words);
  /// Reads a configuration file. Throws SettingError with file and line.
  void read(const std::filesystem::path& file);
  /// Takes CUBBY_<NAME> from the environment. Returns the names of variables that look so and are no settings, nor anything
  /// else that is known: misspelt ones.
  std::vector<std::string> read_environment();
  /// Throws SettingError for what contradicts itself or isn't safe.
  void check() const;
};

/// One setting by its name.
struct Setting {
  std::string_view name;
  std::string_view value_name;  ///< of --help: "PORT"
  std::string_view help;
  bool while_running;  ///< CONFIG SET may change it
  std::string (*get)(const Settings&);
  /// Throws SettingError with what it can be, without the name; nothing was changed then.
  void (*set)(Settings&, std::string_view name, std::span<const std::string> words);
  std::string_view group;  ///< of --help
};

/// All of them, in the order of --help.
std::span<const Setting> all_settings();
/// Null if there is none. Dashes, underscores and case don't matter.
const Setting* find_setting(std::string_view name);

/// The words of a configuration line, which may be quoted as in redis-cli: "a b\x00" and 'a b'. Throws SettingError for quotes
/// that don't close.
std::vector<std::string> split_words(std::string_view line);

}  // namespace cubby::server
