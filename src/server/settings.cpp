// SPDX-License-Identifier: Apache-2.0
#include "server/settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>
#include <string>
#include <type_traits>

namespace cubby::server {

namespace {

constexpr long long kMostInt = std::numeric_limits<int>::max();
constexpr long long kMostLong = std::numeric_limits<long long>::max();
constexpr long long kMebibyte = 1 << 20;

template <auto Member>
using MemberType = std::remove_cvref_t<decltype(std::declval<Settings&>().*Member)>;

std::string setting_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& byte : lower) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return lower;
}

const std::string& only_word(std::span<const std::string> words) {
  if (words.size() != 1) throw SettingError("wrong number of arguments");
  return words.front();
}

long long between(long long number, long long least, long long most) {
  if (number >= least && number <= most) return number;
  throw SettingError("argument must be between " + std::to_string(least) + " and " + std::to_string(most) + " inclusive");
}

template <class Number>
bool read_whole(std::string_view text, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// Bytes, with Redis's units: k is 1000 and kb 1024, and so on.
bool read_size(std::string_view text, long long& size) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  unsigned long long number = 0;
  if (!read_whole(text.substr(0, digits), number)) return false;
  static constexpr std::array<std::pair<std::string_view, unsigned long long>, 8> kUnits{{{"", 1},
                                                                                          {"b", 1},
                                                                                          {"k", 1000},
                                                                                          {"kb", 1ULL << 10},
                                                                                          {"m", 1'000'000},
                                                                                          {"mb", 1ULL << 20},
                                                                                          {"g", 1'000'000'000},
                                                                                          {"gb", 1ULL << 30}}};
  const std::string unit = setting_lower_case(text.substr(digits));
  const auto* found = std::ranges::find(kUnits, std::string_view(unit), &decltype(kUnits)::value_type::first);
  if (found == kUnits.end() || number > static_cast<unsigned long long>(kMostLong) / found->second) return false;
  size = static_cast<long long>(number * found->second);
  return true;
}

template <auto Member>
std::string get_number(const Settings& settings) {
  return std::to_string(settings.*Member);
}

template <auto Member, long long Least, long long Most>
void set_number(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  long long number = 0;
  if (!read_whole(only_word(words), number)) throw SettingError("argument couldn't be parsed into an integer");
  settings.*Member = static_cast<MemberType<Member>>(between(number, Least, Most));
}

template <auto Member, long long Least>
void set_size(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  long long number = 0;
  if (!read_size(only_word(words), number)) throw SettingError("argument must be a memory value");
  settings.*Member = static_cast<std::size_t>(between(number, Least, kMostLong));
}

template <auto Member>
std::string get_text(const Settings& settings) {
  return settings.*Member;
}

template <auto Member>
void set_text(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  settings.*Member = only_word(words);
}

template <auto Member, const auto& Choices>
void set_choice(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  const std::string word = setting_lower_case(only_word(words));
  if (std::ranges::find(Choices, std::string_view(word)) == std::ranges::end(Choices)) {
    std::string text = "argument(s) must be one of the following: ";
    for (const std::string_view choice : Choices) {
      if (choice != Choices.front()) text += ", ";
      text += choice;
    }
    throw SettingError(text);
  }
  settings.*Member = word;
}
constexpr std::array<std::string_view, 4> kLogLevels{"debug", "verbose", "notice", "warning"};
constexpr std::array<std::string_view, 3> kTlsAuthClients{"no", "yes", "optional"};

std::string get_protected_mode(const Settings& settings) { return settings.protected_mode ? "yes" : "no"; }

void set_protected_mode(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  const std::string word = setting_lower_case(only_word(words));
  if (word != "yes" && word != "no") throw SettingError("argument must be 'yes' or 'no'");
  settings.protected_mode = word == "yes";
}

/// Words that may come as one, too, as CONFIG SET and flags give them.
std::vector<std::string> flattened(std::span<const std::string> words) {
  std::vector<std::string> flat;
  for (const std::string& word : words) {
    std::size_t begin = 0;
    while ((begin = word.find_first_not_of(" \t", begin)) != std::string::npos) {
      const std::size_t end = std::min(word.find_first_of(" \t", begin), word.size());
      flat.push_back(word.substr(begin, end - begin));
      begin = end;
    }
  }
  return flat;
}

std::string get_bind(const Settings& settings) {
  std::string text;
  for (const std::string& address : settings.bind) {
    if (!text.empty()) text += ' ';
    text += address;
  }
  return text;
}

void set_bind(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  std::vector<std::string> addresses = flattened(words);
  if (addresses.size() > 16) throw SettingError("Too many bind addresses specified.");
  settings.bind = std::move(addresses);
}

std::string get_unixsocketperm(const Settings& settings) {
  std::array<char, 16> text;
  char* const end = std::to_chars(text.data(), text.data() + text.size(), settings.unixsocketperm, 8).ptr;
  return {text.data(), end};
}

void set_unixsocketperm(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  int number = 0;
  if (!read_whole(only_word(words), number, 8)) throw SettingError("argument couldn't be parsed into an integer");
  if (number < 0 || number > 0777) throw SettingError("argument must be between 0 and 777 inclusive");
  settings.unixsocketperm = number;
}

constexpr std::array<std::pair<std::string_view, std::int64_t>, 4> kSyncUnits{
    {{"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1000}, {"ns", 1}}};

std::string get_sync(const Settings& settings) {
  if (settings.sync.is_always()) return "always";
  if (settings.sync.is_never()) return "never";
  const std::int64_t length = settings.sync.length().count();
  for (const auto& [unit, nanoseconds] : kSyncUnits) {
    if (length % nanoseconds == 0) return std::to_string(length / nanoseconds).append(unit);
  }
  return {};
}

void set_sync(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  const std::string word = setting_lower_case(only_word(words));
  if (word == "always") {
    settings.sync = Sync::always();
  } else if (word == "never" || word == "no") {
    settings.sync = Sync::never();
  } else if (word == "everysec") {
    settings.sync = Sync::interval(std::chrono::seconds(1));
  } else {
    const std::size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
    const auto* unit =
        std::ranges::find(kSyncUnits, std::string_view(word).substr(digits), &decltype(kSyncUnits)::value_type::first);
    std::int64_t number = 0;
    if (unit == kSyncUnits.end() || !read_whole(std::string_view(word).substr(0, digits), number) || number == 0 ||
        number > std::numeric_limits<std::int64_t>::max() / unit->second) {
      throw SettingError("argument must be always, never, or a time such as 100ms or 1s");
    }
    settings.sync = Sync::interval(std::chrono::nanoseconds(number * unit->second));
  }
}

std::string get_output_limits(const Settings& settings) {
  return "normal " + std::to_string(settings.output_limit) + " 0 0 slave 0 0 0 pubsub " +
         std::to_string(settings.pubsub_output_limit) + " 0 0";
}

/// Redis's quadruples of class, hard limit, soft limit and seconds; only the hard ones are kept.
void set_output_limits(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  const std::vector<std::string> flat = flattened(words);
  if (flat.empty() || flat.size() % 4 != 0) {
    throw SettingError("Wrong number of arguments in buffer limit configuration.");
  }
  std::size_t normal = settings.output_limit;
  std::size_t pubsub = settings.pubsub_output_limit;
  for (std::size_t at = 0; at < flat.size(); at += 4) {
    const std::string kind = setting_lower_case(flat[at]);
    if (kind != "normal" && kind != "pubsub" && kind != "slave" && kind != "replica") {
      throw SettingError("Invalid client class specified in buffer limit configuration.");
    }
    long long hard = 0;
    long long soft = 0;
    int seconds = 0;
    if (!read_size(flat[at + 1], hard) || !read_size(flat[at + 2], soft) || !read_whole(flat[at + 3], seconds) || seconds < 0) {
      throw SettingError("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    }
    if (kind == "normal") normal = static_cast<std::size_t>(hard);
    if (kind == "pubsub") pubsub = static_cast<std::size_t>(hard);
  }
  settings.output_limit = normal;
  settings.pubsub_output_limit = pubsub;
}

void set_notifications(Settings& settings, std::string_view /*name*/, std::span<const std::string> words) {
  constexpr std::string_view kInAll = "g$lshzxetd";
  std::string given = only_word(words);
  if (given.find_first_not_of("Ag$lshzxeKEtmdn") != std::string::npos) {
    throw SettingError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
  }
  if (given.find('A') != std::string::npos) given += kInAll;
  const auto has = [&given](char letter) { return given.find(letter) != std::string::npos; };
  // The order in which Redis shows them.
  std::string shown;
  if (std::ranges::all_of(kInAll, has)) {
    shown = "A";
  } else {
    for (const char letter : std::string_view("g$lshzxetdn")) {
      if (has(letter)) shown += letter;
    }
  }
  for (const char letter : std::string_view("KEm")) {
    if (has(letter)) shown += letter;
  }
  settings.notify_keyspace_events = shown;
}

constexpr std::string_view kNetworkGroup = "Network";
constexpr std::string_view kStorageGroup = "Storage";
constexpr std::string_view kAccessGroup = "Who may";
constexpr std::string_view kTlsGroup = "TLS";
constexpr std::string_view kLimitsGroup = "Limits";
constexpr std::string_view kReportsGroup = "Events and logs";

template <auto Member, long long Least, long long Most>
constexpr Setting number_setting(std::string_view name, std::string_view value, std::string_view help, bool running,
                                 std::string_view group) {
  return {name, value, help, running, get_number<Member>, set_number<Member, Least, Most>, group};
}
template <auto Member, long long Least>
constexpr Setting size_setting(std::string_view name, std::string_view help, bool running, std::string_view group) {
  return {name, "SIZE", help, running, get_number<Member>, set_size<Member, Least>, group};
}
template <auto Member>
constexpr Setting text_setting(std::string_view name, std::string_view value, std::string_view help, bool running,
                               std::string_view group) {
  return {name, value, help, running, get_text<Member>, set_text<Member>, group};
}

const std::array kSettings{
    Setting{"bind", "ADDRESSES", "Addresses to listen on; - before one: it may be missing; *: all", false, get_bind, set_bind,
            kNetworkGroup},
    number_setting<&Settings::port, 0, 65535>("port", "PORT", "For Redis clients; 0: none", false, kNetworkGroup),
    number_setting<&Settings::http_port, 0, 65535>("http-port", "PORT", "Dashboard, /metrics and /healthz; 0: none", false,
                                                   kNetworkGroup),
    text_setting<&Settings::unixsocket>("unixsocket", "PATH", "Unix socket to listen on", false, kNetworkGroup),
    Setting{"unixsocketperm", "MODE", "Its mode, octal", false, get_unixsocketperm, set_unixsocketperm, kNetworkGroup},
    number_setting<&Settings::tcp_backlog, 0, kMostInt>("tcp-backlog", "COUNT", "Connections that wait to be accepted", false,
                                                        kNetworkGroup),
    number_setting<&Settings::tcp_keepalive, 0, kMostInt>("tcp-keepalive", "SECONDS",
                                                          "Silence before the peer is probed; 0: never", true, kNetworkGroup),
    number_setting<&Settings::threads, 0, 256>(
        "threads", "COUNT", "Threads that serve clients; 0: one for two cores, at most 8", false, kNetworkGroup),

    text_setting<&Settings::dir>("dir", "FOLDER", "Folder of the stores; none: in memory", false, kStorageGroup),
    Setting{"sync", "WHEN", "When writes go to the disk: always, never, or a time such as 100ms", false, get_sync, set_sync,
            kStorageGroup},
    size_setting<&Settings::checkpoint_after, 1>("checkpoint-after", "Log after which a checkpoint is made", false,
                                                 kStorageGroup),
    text_setting<&Settings::encryption_key_file>("encryption-key-file", "FILE", "Key of 32 bytes or 64 hex digits", false,
                                                 kStorageGroup),
    number_setting<&Settings::databases, 1, kMostInt>("databases", "COUNT", "Numbers that SELECT takes", false, kStorageGroup),
    number_setting<&Settings::max_stores, 0, kMostInt>("max-stores", "COUNT", "Stores that CUBBY.USE may make besides them",
                                                       true, kStorageGroup),

    text_setting<&Settings::requirepass>("requirepass", "PASSWORD", "Password of the user default", true, kAccessGroup),
    text_setting<&Settings::users>("users", "FILE", "Users, a line of Redis's ACL rules each", false, kAccessGroup),
    Setting{"protected-mode", "yes|no", "Refuse to listen beyond this machine without a password", true, get_protected_mode,
            set_protected_mode, kAccessGroup},

    number_setting<&Settings::tls_port, 0, 65535>("tls-port", "PORT", "For Redis clients with TLS; 0: none", false, kTlsGroup),
    text_setting<&Settings::tls_cert_file>("tls-cert-file", "FILE", "Certificate chain, PEM", false, kTlsGroup),
    text_setting<&Settings::tls_key_file>("tls-key-file", "FILE", "Its private key, PEM", false, kTlsGroup),
    text_setting<&Settings::tls_ca_cert_file>("tls-ca-cert-file", "FILE", "Who signs clients' certificates, PEM", false,
                                              kTlsGroup),
    Setting{"tls-auth-clients", "no|yes|optional", "Whether clients need a certificate", false,
            get_text<&Settings::tls_auth_clients>, set_choice<&Settings::tls_auth_clients, kTlsAuthClients>, kTlsGroup},

    size_setting<&Settings::maxmemory, 0>("maxmemory", "Memory above which writes are refused; 0: any", true, kLimitsGroup),
    number_setting<&Settings::maxclients, 1, 4294967295>("maxclients", "COUNT", "Clients at once", true, kLimitsGroup),
    number_setting<&Settings::timeout, 0, kMostInt>("timeout", "SECONDS", "Silence after which a client is cut off; 0: any",
                                                    true, kLimitsGroup),
    size_setting<&Settings::client_query_buffer_limit, kMebibyte>("client-query-buffer-limit", "Bytes of one request", true,
                                                                  kLimitsGroup),
    size_setting<&Settings::proto_max_bulk_len, kMebibyte>("proto-max-bulk-len", "Bytes of one argument", true, kLimitsGroup),
    Setting{"client-output-buffer-limit", "CLASS HARD 0 0 ...",
            "Unsent bytes after which a client is cut off, of normal and pubsub ones; 0: any", true, get_output_limits,
            set_output_limits, kLimitsGroup},
    number_setting<&Settings::pipeline_depth, 1, kMostInt>("pipeline-depth", "COUNT",
                                                           "Requests answered before replies have to go", true, kLimitsGroup),

    Setting{"notify-keyspace-events", "CLASSES", "Which changes are published, in Redis's letters", true,
            get_text<&Settings::notify_keyspace_events>, set_notifications, kReportsGroup},
    number_setting<&Settings::slowlog_log_slower_than, -1, kMostLong>("slowlog-log-slower-than", "MICROSECONDS",
                                                                      "What SLOWLOG keeps; -1: nothing", true, kReportsGroup),
    number_setting<&Settings::slowlog_max_len, 0, kMostLong>("slowlog-max-len", "COUNT", "How many of them", true,
                                                             kReportsGroup),
    Setting{"loglevel", "LEVEL", "debug, verbose, notice or warning", true, get_text<&Settings::loglevel>,
            set_choice<&Settings::loglevel, kLogLevels>, kReportsGroup},
    text_setting<&Settings::logfile>("logfile", "FILE", "Where the log goes; none: standard error", false, kReportsGroup),
};

/// Whether both are the same but for dashes, underscores and case.
bool same_name(std::string_view left, std::string_view right) noexcept {
  const auto next = [](std::string_view& text) {
    while (!text.empty() && (text.front() == '-' || text.front() == '_')) text.remove_prefix(1);
    if (text.empty()) return 0;
    const int byte = std::tolower(static_cast<unsigned char>(text.front()));
    text.remove_prefix(1);
    return byte;
  };
  for (;;) {
    const int byte = next(left);
    if (byte != next(right)) return false;
    if (byte == 0) return true;
  }
}

}  // namespace

std::span<const Setting> all_settings() { return kSettings; }

const Setting* find_setting(std::string_view name) {
  const auto* const found =
      std::ranges::find_if(kSettings, [name](const Setting& setting) { return same_name(setting.name, name); });
  return found == kSettings.end() ? nullptr : found;
}

void Settings::set(std::string_view name, std::span<const std::string> words) {
  const Setting* const setting = find_setting(name);
  if (setting == nullptr) throw SettingError("'" + std::string(name) + "' is no setting");
  try {
    setting->set(*this, setting->name, words);
  } catch (const SettingError& error) {
    throw SettingError(std::string(setting->name) + ": " + error.what());
  }
}

}  // namespace cubby::server
