// SPDX-License-Identifier: Apache-2.0
#include "server/settings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/temporary_folder.hpp"

namespace cubby::server {
namespace {

using testing::TemporaryFolder;

void set_one(Settings& settings, std::string_view name, const std::string& value) { settings.set(name, std::array{value}); }

std::string shown(const Settings& settings, std::string_view name) { return find_setting(name)->get(settings); }

/// What it says; empty: it is accepted.
template <class F>
std::string setting_error(F&& f) {
  try {
    f();
  } catch (const SettingError& error) {
    return error.what();
  }
  return {};
}

std::string refusal(std::string_view name, const std::string& value) {
  return setting_error([&] {
    Settings settings;
    set_one(settings, name, value);
  });
}

/// A variable of the environment while it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

TEST(Settings, AreFoundByAnySpelling) {
  ASSERT_NE(find_setting("maxmemory"), nullptr);
  EXPECT_EQ(find_setting("max-memory"), find_setting("maxmemory"));
  EXPECT_EQ(find_setting("MAX_CLIENTS"), find_setting("maxclients"));
  EXPECT_EQ(find_setting("maxmemor"), nullptr);
  EXPECT_EQ(find_setting("maxmemory2"), nullptr);
  EXPECT_EQ(find_setting(""), nullptr);
  EXPECT_EQ(find_setting("-"), nullptr);
}

TEST(Settings, EachHasANameOfItsOwnAndTakesWhatItShows) {
  std::set<std::string_view> names;
  for (const Setting& setting : all_settings()) {
    EXPECT_TRUE(names.insert(setting.name).second) << setting.name;
    EXPECT_EQ(find_setting(setting.name), &setting);
    EXPECT_FALSE(setting.help.empty());
    EXPECT_FALSE(setting.help.ends_with('.')) << setting.name;
    Settings settings;
    const std::string before = setting.get(settings);
    settings.set(setting.name, std::array{before});
    EXPECT_EQ(setting.get(settings), before) << setting.name;
  }
}

TEST(Settings, TakeNumbersWithinBounds) {
  Settings settings;
  set_one(settings, "port", "0");
  EXPECT_EQ(settings.port, 0);
  set_one(settings, "port", "65535");
  EXPECT_EQ(settings.port, 65535);
  EXPECT_EQ(refusal("port", "65536"), "port: argument must be between 0 and 65535 inclusive");
  EXPECT_EQ(refusal("port", ""), "port: argument couldn't be parsed into an integer");
  EXPECT_EQ(refusal("port", "12a"), "port: argument couldn't be parsed into an integer");
  EXPECT_EQ(refusal("max-clients", "0"), "maxclients: argument must be between 1 and 4294967295 inclusive");
  EXPECT_EQ(refusal("frob", "1"), "'frob' is no setting");
  EXPECT_EQ(setting_error([&] {
              settings.set("port", std::array<std::string, 2>{"1", "2"});
            }),
            "port: wrong number of arguments");
  set_one(settings, "slowlog-log-slower-than", "-1");
  EXPECT_EQ(settings.slowlog_log_slower_than, -1);
}

TEST(Settings, TakeSizesWithRedissUnits) {
  Settings settings;
  const auto size = [&](const std::string& text) {
    set_one(settings, "maxmemory", text);
    return settings.maxmemory;
  };
  EXPECT_EQ(size("17"), 17U);
  EXPECT_EQ(size("17b"), 17U);
  EXPECT_EQ(size("2k"), 2000U);
  EXPECT_EQ(size("2KB"), 2048U);
  EXPECT_EQ(size("3m"), 3'000'000U);
  EXPECT_EQ(size("3Mb"), std::size_t{3} << 20);
  EXPECT_EQ(size("4g"), 4'000'000'000U);
  EXPECT_EQ(size("4gb"), std::size_t{4} << 30);
  EXPECT_EQ(shown(settings, "maxmemory"), "4294967296");
  for (const char* wrong : {"", "kb", "-1", "1tb", "1 kb", "1.5gb", "99999999999999999999", "9223372036854775807gb"}) {
    EXPECT_EQ(refusal("maxmemory", wrong), "maxmemory: argument must be a memory value") << wrong;
  }
  EXPECT_EQ(refusal("proto-max-bulk-len", "1kb"),
            "proto-max-bulk-len: argument must be between 1048576 and 9223372036854775807 inclusive");
}

TEST(Settings, SyncIsAWordOrATime) {
  Settings settings;
  EXPECT_EQ(shown(settings, "sync"), "100ms");
  const std::pair<const char*, Sync> cases[] = {
      {"always", Sync::always()},
      {"NEVER", Sync::never()},
      {"no", Sync::never()},
      {"everysec", Sync::interval(std::chrono::seconds(1))},
      {"250ms", Sync::interval(std::chrono::milliseconds(250))},
      {"2s", Sync::interval(std::chrono::seconds(2))},
  };
  for (const auto& [text, sync] : cases) {
    set_one(settings, "sync", text);
    EXPECT_EQ(settings.sync, sync) << text;
  }
  EXPECT_EQ(shown(settings, "sync"), "2s");
  for (const char* wrong : {"", "often", "10", "0s", "-1s", "1h", "99999999999999999s"}) {
    EXPECT_NE(refusal("sync", wrong), "") << wrong;
  }
}

TEST(Settings, SomeTakeSeveralWordsInOneOrMore) {
  Settings settings;
  settings.set("bind", std::array<std::string, 2>{"10.0.0.1", "-::1"});
  EXPECT_EQ(settings.bind, (std::vector<std::string>{"10.0.0.1", "-::1"}));
  set_one(settings, "bind", "*  ::1 ");
  EXPECT_EQ(settings.bind, (std::vector<std::string>{"*", "::1"}));
  EXPECT_EQ(shown(settings, "bind"), "* ::1");

  settings.set("client-output-buffer-limit", std::array<std::string, 4>{"pubsub", "2mb", "1mb", "60"});
  EXPECT_EQ(settings.pubsub_output_limit, std::size_t{2} << 20);
  EXPECT_EQ(settings.output_limit, std::size_t{256} << 20);
  set_one(settings, "client-output-buffer-limit", "normal 5 0 0 replica 1 1 1");
  EXPECT_EQ(shown(settings, "client-output-buffer-limit"), "normal 5 0 0 slave 0 0 0 pubsub 2097152 0 0");
  EXPECT_EQ(refusal("client-output-buffer-limit", "normal 1 2"),
            "client-output-buffer-limit: Wrong number of arguments in buffer limit configuration.");
  EXPECT_EQ(refusal("client-output-buffer-limit", "norm 1 2 3"),
            "client-output-buffer-limit: Invalid client class specified in buffer limit configuration.");
  EXPECT_EQ(refusal("client-output-buffer-limit", "normal 1x 2 3"),
            "client-output-buffer-limit: Error in hard, soft or soft_seconds setting in buffer limit configuration.");
}

TEST(Settings, NotificationsAreShownAsRedisShowsThem) {
  Settings settings;
  const std::pair<const char*, const char*> cases[] = {{"KEA", "AKE"},        {"Kgn", "gnK"}, {"KEAmn", "AKEm"},
                                                       {"g$lshzxetdK", "AK"}, {"lhE", "lhE"}, {"", ""}};
  for (const auto& [given, expected] : cases) {
    set_one(settings, "notify-keyspace-events", given);
    EXPECT_EQ(settings.notify_keyspace_events, expected) << given;
  }
  EXPECT_EQ(refusal("notify-keyspace-events", "KQ"),
            "notify-keyspace-events: Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
}

TEST(Settings, ChoicesAreNamedWhereOneIsWrong) {
  EXPECT_EQ(refusal("loglevel", "loud"), "loglevel: argument(s) must be one of the following: debug, verbose, notice, warning");
  EXPECT_EQ(refusal("protected-mode", "maybe"), "protected-mode: argument must be 'yes' or 'no'");
  EXPECT_EQ(refusal("unixsocketperm", "999"), "unixsocketperm: argument couldn't be parsed into an integer");
  Settings settings;
  set_one(settings, "unixsocketperm", "660");
  EXPECT_EQ(settings.unixsocketperm, 0660);
  EXPECT_EQ(shown(settings, "unixsocketperm"), "660");
  set_one(settings, "loglevel", "DEBUG");
  EXPECT_EQ(settings.loglevel, "debug");
}

TEST(SettingsWords, AreQuotedAsInRedisCli) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(split_words("  a\tb  "), (Words{"a", "b"}));
  EXPECT_EQ(split_words("a \"b c\\x41\\n\\\"\" 'd \\'e'"), (Words{"a", "b cA\n\"", "d 'e"}));
  EXPECT_EQ(split_words("requirepass a#b\\c"), (Words{"requirepass", "a#b\\c"}));
  EXPECT_EQ(split_words("''"), (Words{""}));
  EXPECT_EQ(split_words(""), Words{});
  EXPECT_THROW(split_words("\"a"), SettingError);
  EXPECT_THROW(split_words("'a"), SettingError);
  EXPECT_THROW(split_words("\"a\"b"), SettingError);
}

TEST(SettingsFile, IsReadLineByLine) {
  const TemporaryFolder folder;
  Settings settings;
  settings.read(
      folder.file("cubby.conf", "# all of it\n\nport 7000\r\n  bind 127.0.0.1 -::1\n requirepass \"a b\"\nmax-memory 1gb"));
  EXPECT_EQ(settings.port, 7000);
  EXPECT_EQ(settings.requirepass, "a b");
  EXPECT_EQ(settings.maxmemory, std::size_t{1} << 30);
}

TEST(SettingsFile, ErrorsNameTheLineAndChangeNothing) {
  const TemporaryFolder folder;
  Settings settings;
  const std::string path = folder.file("cubby.conf", "port 7000\n\nthreads many\n");
  EXPECT_EQ(setting_error([&] { settings.read(path); }), path + ":3: threads: argument couldn't be parsed into an integer");
  EXPECT_EQ(settings.port, Settings().port);
  const std::string other = folder.file("other.conf", "colour blue\n");
  EXPECT_EQ(setting_error([&] { settings.read(other); }), other + ":1: 'colour' is no setting");
  EXPECT_NE(setting_error([&] { settings.read(folder.path() / "none.conf"); }), "");
  EXPECT_NE(setting_error([&] { settings.read(folder.path()); }), "");
}

TEST(SettingsEnvironment, NamesAreThoseOfTheSettings) {
  const Variable clients("CUBBY_MAX_CLIENTS", "12");
  const Variable memory("CUBBY_MAXMEMORY", "1mb");
  Settings settings;
  settings.read_environment();
  EXPECT_EQ(settings.maxclients, 12U);
  EXPECT_EQ(settings.maxmemory, std::size_t{1} << 20);
}

TEST(SettingsEnvironment, WhatAKubernetesServiceSetsIsNoPort) {
  const Variable port("CUBBY_PORT", "tcp://10.0.0.1:7379");
  Settings settings;
  settings.read_environment();
  EXPECT_EQ(settings.port, Settings().port);
}

TEST(SettingsEnvironment, MisspeltOnesAreTold) {
  const Variable misspelt("CUBBY_REQUIREPAS", "x");
  // Of other commands, of Kubernetes, and a setting by another spelling.
  const Variable password("CUBBY_PASSWORD", "x"), key("CUBBY_KEY_FILE", "x"), config("CUBBY_CONFIG", "x");
  const Variable service("CUBBY_SERVICE_HOST", "x"), link("CUBBY_PORT_7379_TCP_ADDR", "x"), port("CUBBY_PORT", "tcp://x");
  const Variable memory("CUBBY_MAX_MEMORY", "1mb");
  Settings settings;
  const std::vector<std::string> unknown = settings.read_environment();
  EXPECT_NE(std::ranges::find(unknown, "CUBBY_REQUIREPAS"), unknown.end());
  for (const char* known : {"CUBBY_PASSWORD", "CUBBY_KEY_FILE", "CUBBY_CONFIG", "CUBBY_SERVICE_HOST",
                            "CUBBY_PORT_7379_TCP_ADDR", "CUBBY_PORT", "CUBBY_MAX_MEMORY"}) {
    EXPECT_EQ(std::ranges::find(unknown, known), unknown.end()) << known;
  }
}

TEST(SettingsEnvironment, ErrorsNameTheSetting) {
  const Variable port("CUBBY_PORT", "x");
  Settings settings;
  EXPECT_EQ(setting_error([&] { settings.read_environment(); }),
            "in the environment: port: argument couldn't be parsed into an integer");
}

std::string check_error(const std::function<void(Settings&)>& change) {
  Settings settings;
  change(settings);
  return setting_error([&] { settings.check(); });
}

TEST(SettingsCheck, DefaultsAreSafe) {
  EXPECT_EQ(check_error([](Settings&) {}), "");
}

TEST(SettingsCheck, BeyondThisMachineNeedsAPassword) {
  for (const char* address : {"0.0.0.0", "*", "::", "192.168.1.2", "-10.0.0.1", "2001:db8::1", "::*"}) {
    const auto outside = [&](Settings& settings) { settings.bind = {"127.0.0.1", address}; };
    EXPECT_NE(check_error(outside), "") << address;
    EXPECT_EQ(check_error([&](Settings& settings) { outside(settings), settings.requirepass = "x"; }), "");
    EXPECT_EQ(check_error([&](Settings& settings) { outside(settings), settings.users = "users.acl"; }), "");
    EXPECT_EQ(check_error([&](Settings& settings) { outside(settings), settings.protected_mode = false; }), "");
  }
  // A TLS port alone keeps nobody out, and the dashboard is a door, too.
  EXPECT_NE(check_error([](Settings& settings) {
              settings.bind = {"*"};
              settings.port = settings.http_port = 0;
              settings.tls_port = 1;
              settings.tls_cert_file = settings.tls_key_file = "x";
            }),
            "");
  EXPECT_NE(check_error([](Settings& settings) {
              settings.bind = {"*"};
              settings.port = 0;
              settings.unixsocket = "s";
            }),
            "");
  EXPECT_EQ(check_error([](Settings& settings) {
              settings.bind = {"*"};
              settings.port = settings.http_port = 0;
              settings.unixsocket = "s";
            }),
            "");
  EXPECT_EQ(check_error([](Settings& settings) { settings.bind = {"127.8.9.1", "-::1", "127.0.0.1"}; }), "");
}

TEST(SettingsCheck, AddressesAreNoNames) {
  for (const char* name : {"foo", "localhost", "example.org", "127.0.0.1:7379", "1.2.3", ":::", "-"}) {
    const std::string text = check_error([&](Settings& settings) { settings.bind = {"127.0.0.1", name}; });
    EXPECT_EQ(text, "bind: " + std::string(name == std::string("-") ? "" : name) + " is not an IP address");
  }
  EXPECT_EQ(check_error([](Settings& settings) {
              settings.bind = {"fe80::1%lo", "*", "-::*"};
              settings.requirepass = "x";
            }),
            "");
}

TEST(SettingsCheck, ContradictionsAreNamed) {
  EXPECT_NE(check_error([](Settings& settings) { settings.port = 0; }), "");
  EXPECT_NE(check_error([](Settings& settings) { settings.http_port = settings.port; }), "");
  EXPECT_NE(check_error([](Settings& settings) { settings.tls_port = 7000; }), "");
  EXPECT_NE(check_error([](Settings& settings) { settings.encryption_key_file = "key"; }), "");
  const auto with_tls = [](Settings& settings) {
    settings.tls_port = 7000;
    settings.tls_cert_file = settings.tls_key_file = "x";
  };
  EXPECT_EQ(check_error(with_tls), "");
  EXPECT_NE(check_error([&](Settings& settings) { with_tls(settings), settings.tls_auth_clients = "yes"; }), "");
  // Who gives a certificate means to be encrypted.
  EXPECT_EQ(check_error([&](Settings& settings) { with_tls(settings), settings.tls_port = 0; }),
            "tls-cert-file needs tls-port: without it nothing speaks TLS");
  EXPECT_NE(check_error([](Settings& settings) { settings.tls_key_file = "x"; }), "");
  EXPECT_NE(check_error([](Settings& settings) { settings.tls_ca_cert_file = "x"; }), "");
  EXPECT_NE(check_error([](Settings& settings) { settings.tls_auth_clients = "optional"; }), "");
  EXPECT_EQ(check_error([](Settings& settings) { settings.port = 0, settings.unixsocket = "s"; }), "");
}

}  // namespace
}  // namespace cubby::server
