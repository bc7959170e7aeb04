// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "server/command_table.hpp"
#include "server/resp_text.hpp"
#include "server/server_info.hpp"
#include "server/temporary_folder.hpp"
#include "server/test_client.hpp"

namespace cubby::server {
namespace {

using testing::TemporaryFolder;
using testing::TestClient;
using testing::TestServer;

class ServerCommands : public ::testing::Test {
 protected:
  std::string run(std::string_view line) { return client_->line(line); }
  std::string info(std::string_view section) { return server_info(server_.server(), std::array{section}); }

  TestServer server_;
  std::shared_ptr<TestClient> client_ = server_.connect();
};

/// The value of a field of INFO; "missing" if it isn't there.
std::string field_of(const std::string& text, const std::string& name) {
  const std::size_t begin = text.find("\r\n" + name + ":");
  if (begin == std::string::npos) return "missing";
  const std::size_t value = begin + name.size() + 3;
  return text.substr(value, text.find("\r\n", value) - value);
}

std::string config_pair(std::string_view name, std::string_view value) { return bulks_text({name, value}); }

TEST_F(ServerCommands, InfoHasTheSectionsThatAreAskedFor) {
  const std::string all = run("INFO everything");
  for (const char* section : {"# Server\r\n", "# Clients\r\n", "# Memory\r\n", "# Persistence\r\n", "# Stats\r\n",
                              "# Replication\r\n", "# CPU\r\n", "# Commandstats\r\n", "# Cluster\r\n", "# Keyspace\r\n"}) {
    EXPECT_NE(all.find(section), std::string::npos) << section;
  }
  EXPECT_EQ(run("INFO").find("# Commandstats"), std::string::npos);
  EXPECT_NE(run("INFO default commandstats").find("# Commandstats"), std::string::npos);
  const std::string two = run("INFO cpu REPLICATION");
  EXPECT_NE(two.find("# Replication\r\nrole:master\r\n"), std::string::npos);
  EXPECT_NE(two.find("\r\n\r\n# CPU\r\n"), std::string::npos);
  EXPECT_EQ(two.find("# Server"), std::string::npos);
  EXPECT_EQ(run("INFO nosuch"), bulk_text(""));
}

TEST_F(ServerCommands, InfoCountsWhatWasDone) {
  run("SET a 1");
  run("GET a");
  run("GET none");
  run("SET b x");
  run("LPUSH a 1");
  const std::string stats = info("stats");
  EXPECT_EQ(field_of(stats, "keyspace_hits"), "1");
  EXPECT_EQ(field_of(stats, "keyspace_misses"), "1");
  EXPECT_EQ(field_of(stats, "total_error_replies"), "1");
  EXPECT_EQ(field_of(info("commandstats"), "cmdstat_get").substr(0, 8), "calls=2,");
  EXPECT_NE(field_of(info("commandstats"), "cmdstat_lpush").find("failed_calls=1"), std::string::npos);
  EXPECT_EQ(run("CONFIG RESETSTAT"), kOkText);
  EXPECT_EQ(field_of(info("stats"), "keyspace_hits"), "0");
  EXPECT_EQ(field_of(info("commandstats"), "cmdstat_get"), "missing");
}

TEST_F(ServerCommands, InfoKnowsServerClientsMemoryAndKeys) {
  Server& server = server_.server();
  EXPECT_EQ(field_of(info("server"), "run_id"), server.run_id);
  EXPECT_EQ(field_of(info("server"), "tcp_port"), std::to_string(server.settings().port));
  const auto other = server_.connect();
  other->send({"BLPOP", "q", "0"});
  EXPECT_EQ(field_of(info("clients"), "connected_clients"), "2");
  EXPECT_EQ(field_of(info("clients"), "blocked_clients"), "1");
  EXPECT_EQ(field_of(info("keyspace"), "db0"), "missing");
  run("SET a 1");
  run("SELECT 10");
  run("SET a 1");
  run("SELECT 9");
  run("SET a 1");
  run("SET b 1");
  const std::string keyspace = info("keyspace");
  EXPECT_EQ(field_of(keyspace, "db0").substr(0, 6), "keys=1");
  EXPECT_EQ(field_of(keyspace, "db9").substr(0, 6), "keys=2");
  EXPECT_LT(keyspace.find("db9:"), keyspace.find("db10:"));
  EXPECT_EQ(field_of(info("memory"), "maxmemory"), "0");
  EXPECT_EQ(field_of(info("memory"), "maxmemory_human"), "0B");
  EXPECT_GT(std::stoull(field_of(info("memory"), "used_memory")), 0U);
  EXPECT_GT(std::stoull(field_of(info("memory"), "used_memory_rss")), 1'000'000U);
  EXPECT_EQ(field_of(info("persistence"), "aof_enabled"), "0");
  EXPECT_EQ(field_of(info("persistence"), "rdb_last_bgsave_status"), "ok");
}

TEST_F(ServerCommands, ConfigGetTakesPatterns) {
  EXPECT_EQ(run("CONFIG GET timeout"), config_pair("timeout", "0"));
  EXPECT_EQ(run("CONFIG GET TimeOut timeout"), config_pair("timeout", "0"));
  EXPECT_EQ(run("CONFIG GET max-clients"), config_pair("maxclients", "10000"));
  EXPECT_EQ(run("config get nosuch"), "*0\r\n");
  EXPECT_EQ(run("CONFIG GET slowlog-*"), bulks_text({"slowlog-log-slower-than", "10000", "slowlog-max-len", "128"}));
  EXPECT_EQ(run("CONFIG GET save appendonly"), bulks_text({"appendonly", "no", "save", ""}));
  EXPECT_EQ(run("CONFIG GET maxmemory-policy"), config_pair("maxmemory-policy", "noeviction"));
  run("HELLO 3");
  EXPECT_EQ(run("CONFIG GET timeout"), "%1\r\n" + bulk_text("timeout") + bulk_text("0"));
}

TEST_F(ServerCommands, ConfigSetIsAllOrNothing) {
  EXPECT_EQ(run("CONFIG SET timeout 5 maxmemory 1mb"), kOkText);
  EXPECT_EQ(run("CONFIG GET timeout"), config_pair("timeout", "5"));
  EXPECT_EQ(server_.server().maxmemory(), std::size_t{1} << 20);
  EXPECT_EQ(run("CONFIG SET timeout 6 maxmemory x"),
            "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value\r\n");
  EXPECT_EQ(run("CONFIG GET timeout"), config_pair("timeout", "5"));
  EXPECT_EQ(
      run("CONFIG SET Timeout x"),
      "-ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer\r\n");
  EXPECT_EQ(run("CONFIG SET timeout 1 tImeout 2"),
            "-ERR CONFIG SET failed (possibly related to argument 'tImeout') - duplicate parameter\r\n");
  EXPECT_EQ(run("CONFIG SET DATABASES 1"),
            "-ERR CONFIG SET failed (possibly related to argument 'DATABASES') - can't set immutable config\r\n");
  EXPECT_EQ(run("CONFIG SET appendonly yes"),
            "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable config\r\n");
  EXPECT_EQ(run("CONFIG SET foo 1 databases 3"), "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'\r\n");
  EXPECT_EQ(run("CONFIG SET timeout 1 foo"), kSyntaxText);
  EXPECT_EQ(run("CONFIG SET timeout"), "-ERR wrong number of arguments for 'config|set' command\r\n");
}

TEST_F(ServerCommands, ConfigSetRequirepassHoldsAtOnce) {
  EXPECT_EQ(run("CONFIG SET requirepass secret"), kOkText);
  EXPECT_EQ(run("PING"), "+PONG\r\n");
  EXPECT_EQ(server_.connect()->line("GET a"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(run("CONFIG SET requirepass"), "-ERR wrong number of arguments for 'config|set' command\r\n");
  EXPECT_EQ(client_->command({"CONFIG", "SET", "requirepass", ""}), kOkText);
  EXPECT_EQ(server_.connect()->line("GET a"), kNullText);
}

TEST_F(ServerCommands, ConfigSetChecksThatAllGoesTogether) {
  Settings settings;
  settings.bind = {"0.0.0.0"};
  settings.requirepass = "secret";
  TestServer outside(settings);
  const auto client = outside.connect();
  EXPECT_EQ(client->line("AUTH secret"), kOkText);
  const std::string reply = client->command({"CONFIG", "SET", "requirepass", ""});
  EXPECT_TRUE(reply.starts_with("-ERR CONFIG SET failed (possibly related to argument 'requirepass') - ")) << reply;
  EXPECT_EQ(client->command({"CONFIG", "SET", "requirepass", "", "protected-mode", "no"}), kOkText);
}

TEST_F(ServerCommands, ContainersSayWhatTheyDontKnow) {
  EXPECT_EQ(run("CONFIG"), "-ERR wrong number of arguments for 'config' command\r\n");
  EXPECT_EQ(run("CONFIG blah"), "-ERR unknown subcommand 'blah'. Try CONFIG HELP.\r\n");
  EXPECT_EQ(run("CONFIG GET"), "-ERR wrong number of arguments for 'config|get' command\r\n");
  EXPECT_EQ(run("CONFIG RESETSTAT x"), "-ERR wrong number of arguments for 'config|resetstat' command\r\n");
  EXPECT_TRUE(run("CONFIG REWRITE").starts_with("-ERR "));
  EXPECT_EQ(run("SLOWLOG foo"), "-ERR unknown subcommand 'foo'. Try SLOWLOG HELP.\r\n");
  EXPECT_EQ(run("SLOWLOG LEN 1"), "-ERR wrong number of arguments for 'slowlog|len' command\r\n");
  EXPECT_EQ(run("SLOWLOG get 1 2"), "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n");
  EXPECT_EQ(run("MEMORY"), "-ERR wrong number of arguments for 'memory' command\r\n");
  EXPECT_EQ(run("MEMORY USAGE"), "-ERR wrong number of arguments for 'memory|usage' command\r\n");
  EXPECT_EQ(run("MEMORY foo"), "-ERR unknown subcommand 'foo'. Try MEMORY HELP.\r\n");
  EXPECT_EQ(run("ACL foo"), "-ERR unknown subcommand 'foo'. Try ACL HELP.\r\n");
  EXPECT_EQ(run("DEBUG foo"), "-ERR unknown subcommand or wrong number of arguments for 'foo'. Try DEBUG HELP.\r\n");
  for (const char* help : {"CONFIG HELP", "SLOWLOG HELP", "MEMORY HELP", "ACL HELP"}) {
    EXPECT_TRUE(run(help).ends_with("+HELP\r\n+    Prints this help.\r\n")) << help;
  }
  run("MULTI");
  EXPECT_EQ(run("CONFIG blah"), "-ERR unknown subcommand 'blah'. Try CONFIG HELP.\r\n");
  EXPECT_TRUE(run("EXEC").starts_with("-EXECABORT"));
}

TEST_F(ServerCommands, SavingNeedsAFolder) {
  EXPECT_EQ(run("SAVE"), "-ERR there is nowhere to save to: the server was started without dir\r\n");
  EXPECT_EQ(run("BGSAVE"), "-ERR there is nowhere to save to: the server was started without dir\r\n");
  EXPECT_EQ(run("BGSAVE foo"), kSyntaxText);
  EXPECT_GT(std::stoll(run("LASTSAVE").substr(1)), 1'600'000'000);
}

TEST_F(ServerCommands, SaveAndBgsaveMakeCheckpoints) {
  const TemporaryFolder folder;
  Settings settings;
  settings.dir = folder.path().string();
  TestServer server(settings);
  const auto client = server.connect();
  client->line("SET a 1");
  EXPECT_EQ(client->line("SAVE"), kOkText);
  EXPECT_EQ(client->store.stats().log_bytes, 0U);
  client->line("SET a 2");
  EXPECT_EQ(client->line("BGSAVE"), "+Background saving started\r\n");
  while (server.server().databases.saves().running) std::this_thread::yield();
  EXPECT_EQ(client->store.stats().log_bytes, 0U);
  const std::string text = server_info(server.server(), std::array<std::string_view, 1>{"persistence"});
  EXPECT_EQ(field_of(text, "rdb_bgsave_in_progress"), "0");
  EXPECT_EQ(field_of(text, "rdb_last_bgsave_status"), "ok");
  EXPECT_EQ(field_of(text, "aof_enabled"), "1");
  EXPECT_NE(field_of(text, "rdb_last_bgsave_time_sec"), "-1");
  EXPECT_EQ(client->line("CONFIG GET appendonly"), config_pair("appendonly", "yes"));
  client->line("MULTI");
  EXPECT_EQ(client->line("SAVE"), "-ERR Command not allowed inside a transaction\r\n");
}

TEST_F(ServerCommands, SlowlogShowsWhatTookLong) {
  EXPECT_EQ(run("CONFIG SET slowlog-log-slower-than 0"), kOkText);
  run("SLOWLOG RESET");
  run("SET a 1");
  EXPECT_EQ(run("CONFIG SET slowlog-log-slower-than -1"), kOkText);
  run("GET a");
  const std::string len = run("SLOWLOG LEN");
  EXPECT_GE(std::stoi(len.substr(1)), 1);
  EXPECT_NE(run("SLOWLOG GET -1").find(bulks_text({"SET", "a", "1"})), std::string::npos);
  EXPECT_EQ(run("SLOWLOG GET").find(bulks_text({"GET", "a"})), std::string::npos);
  EXPECT_EQ(run("SLOWLOG GET 0"), "*0\r\n");
  EXPECT_TRUE(run("SLOWLOG GET 1").starts_with("*1\r\n*6\r\n:"));
  EXPECT_EQ(run("SLOWLOG GET -2"), "-ERR count should be greater than or equal to -1\r\n");
  EXPECT_EQ(run("SLOWLOG GET x"), "-ERR count should be greater than or equal to -1\r\n");
  EXPECT_EQ(run("SLOWLOG RESET"), kOkText);
  EXPECT_EQ(run("SLOWLOG LEN"), ":0\r\n");
}

TEST_F(ServerCommands, MemoryUsageGrowsWithTheValue) {
  EXPECT_EQ(run("MEMORY USAGE none"), kNullText);
  const auto usage = [&](std::string_view key) {
    return std::stoll(client_->command({"MEMORY", "USAGE", key, "SAMPLES", "0"}).substr(1));
  };
  run("SET short 1");
  EXPECT_GT(usage("short"), 0);
  EXPECT_LT(usage("short"), 100);
  client_->command({"SET", "long", std::string(10'000, 'x')});
  EXPECT_GE(usage("long"), 10'000);
  EXPECT_LT(usage("long"), 12'000);
  for (int count = 0; count < 100; ++count) client_->command({"RPUSH", "list", std::string(100, 'x')});
  EXPECT_GE(usage("list"), 10'000);
  EXPECT_EQ(run("MEMORY USAGE list"), integer_text(usage("list")));  // all elements are alike
  run("HSET hash field value");
  EXPECT_GT(usage("hash"), 0);
  EXPECT_EQ(run("MEMORY USAGE a b"), kSyntaxText);
  EXPECT_EQ(run("MEMORY USAGE a SAMPLES"), kSyntaxText);
  EXPECT_EQ(run("MEMORY USAGE a SAMPLES -1"), kSyntaxText);
  EXPECT_EQ(run("MEMORY USAGE a SAMPLES x"), kNotIntegerText);
  run("MULTI");
  run("SET short 2");
  run("MEMORY USAGE short");
  EXPECT_TRUE(run("EXEC").starts_with("*2\r\n+OK\r\n:"));
}

TEST_F(ServerCommands, DebugSleepStopsItsClientOnly) {
  client_->send({"DEBUG", "SLEEP", "0.001"});
  EXPECT_TRUE(client_->blocked());
  EXPECT_EQ(server_.connect()->line("PING"), "+PONG\r\n");
  EXPECT_EQ(client_->take_output(), kOkText);
  EXPECT_FALSE(client_->blocked());
  EXPECT_EQ(run("DEBUG SLEEP 0"), kOkText);
  EXPECT_EQ(run("DEBUG SLEEP x"), kOkText);  // as strtod has it
  EXPECT_EQ(run("DEBUG SLEEP"), "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.\r\n");
  run("MULTI");
  EXPECT_EQ(run("DEBUG SLEEP 0"), "-ERR Command not allowed inside a transaction\r\n");
}

TEST_F(ServerCommands, TimeIsNow) {
  const auto before = std::chrono::system_clock::now();
  const std::string reply = run("TIME");
  ASSERT_TRUE(reply.starts_with("*2\r\n$10\r\n")) << reply;
  const std::chrono::seconds seconds(std::stoll(reply.substr(9)));
  EXPECT_GE(seconds, std::chrono::duration_cast<std::chrono::seconds>(before.time_since_epoch()));
  EXPECT_LE(seconds, std::chrono::system_clock::now().time_since_epoch());
}

TEST_F(ServerCommands, ShutdownAsksTheProgramToEnd) {
  std::vector<bool> asked;
  server_.server().on_shutdown = [&](bool save) { asked.push_back(save); };
  EXPECT_EQ(run("SHUTDOWN foo"), kSyntaxText);
  EXPECT_EQ(run("SHUTDOWN SAVE NOSAVE"), kSyntaxText);
  EXPECT_EQ(run("SHUTDOWN ABORT NOW"), kSyntaxText);
  EXPECT_EQ(run("SHUTDOWN ABORT"), "-ERR No shutdown in progress.\r\n");
  EXPECT_TRUE(asked.empty());
  EXPECT_FALSE(client_->closing);
  EXPECT_EQ(run("SHUTDOWN"), "");
  EXPECT_TRUE(client_->closing);
  EXPECT_EQ(server_.connect()->line("SHUTDOWN nosave NOW FORCE"), "");
  EXPECT_EQ(asked, (std::vector<bool>{true, false}));
}

TEST_F(ServerCommands, AclShowsUsers) {
  EXPECT_EQ(run("ACL WHOAMI"), bulk_text("default"));
  EXPECT_EQ(run("ACL USERS"), bulks_text({"default"}));
  EXPECT_EQ(run("ACL LIST"), bulks_text({"user default on nopass ~* &* +@all"}));
  EXPECT_EQ(run("ACL GETUSER nosuch"), kNullText);
  EXPECT_EQ(run("ACL GETUSER default"),
            array_text({bulk_text("flags"), bulks_text({"on", "nopass"}), bulk_text("passwords"), "*0\r\n",
                        bulk_text("commands"), bulk_text("+@all"), bulk_text("keys"), bulk_text("~*"), bulk_text("channels"),
                        bulk_text("&*"), bulk_text("selectors"), "*0\r\n"}));
  EXPECT_NE(run("ACL CAT").find(bulk_text("keyspace")), std::string::npos);
  EXPECT_NE(run("ACL CAT READ").find(bulk_text("get")), std::string::npos);
  EXPECT_EQ(run("ACL CAT read").find(bulk_text("set")), std::string::npos);
  EXPECT_EQ(run("ACL CAT foo"), "-ERR Unknown category 'foo'\r\n");
}

TEST_F(ServerCommands, AclShowsOthersToAdministratorsOnly) {
  const TemporaryFolder folder;
  Settings settings;
  settings.users = folder.file("users.acl", "user ann on >secret ~* +@all -@admin\n");
  TestServer server(settings);
  const auto client = server.connect();
  EXPECT_EQ(client->line("ACL WHOAMI"), "-NOAUTH Authentication required.\r\n");
  EXPECT_EQ(client->line("AUTH ann secret"), kOkText);
  EXPECT_EQ(client->line("ACL WHOAMI"), bulk_text("ann"));
  for (const char* line : {"ACL LIST", "ACL USERS", "ACL GETUSER ann"}) {
    EXPECT_TRUE(client->line(line).starts_with("-NOPERM")) << line;
  }
  EXPECT_TRUE(client->line("CONFIG GET requirepass").starts_with("-NOPERM"));
  EXPECT_NE(client->line("INFO server").find("# Server"), std::string::npos);
}

TEST(ServerCommandTable, IsWhole) {
  for (const char* name :
       {"info", "config", "save", "bgsave", "lastsave", "debug", "slowlog", "memory", "time", "shutdown", "acl"}) {
    const CommandSpec* const spec = CommandTable::instance().find(name);
    ASSERT_NE(spec, nullptr) << name;
    EXPECT_FALSE(spec->summary.empty() || spec->summary.ends_with('.')) << name;
  }
  EXPECT_LE(CommandTable::instance().all().size(), Figures::kMostCommands);
}

}  // namespace
}  // namespace cubby::server
