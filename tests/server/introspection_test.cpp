// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/command_table.hpp"
#include "server/resp_text.hpp"
#include "server/test_client.hpp"

namespace cubby::server {

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class Introspection : public ::testing::Test {
 protected:
  const std::size_t count = CommandTable::instance().all().size();
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
};

TEST_F(Introspection, CountsAndLists) {
  EXPECT_EQ(client->line("COMMAND COUNT"), integer_text(static_cast<long long>(count)));
  const std::string head = "*" + std::to_string(count) + "\r\n";
  EXPECT_THAT(client->line("COMMAND"), StartsWith(head));
  EXPECT_THAT(client->line("COMMAND INFO"), StartsWith(head));
  EXPECT_THAT(client->line("COMMAND LIST"), StartsWith(head));
  EXPECT_THAT(client->line("COMMAND DOCS"), StartsWith("*" + std::to_string(count * 2) + "\r\n"));
}

TEST_F(Introspection, InfoSaysWhatClientLibrariesWant) {
  const std::string places = "*1\r\n*6\r\n" + bulk_text("flags") + "*1\r\n+RW\r\n" + bulk_text("begin_search") + "*4\r\n" +
                             bulk_text("type") + bulk_text("index") + bulk_text("spec") + "*2\r\n" + bulk_text("index") +
                             ":1\r\n" + bulk_text("find_keys") + "*4\r\n" + bulk_text("type") + bulk_text("range") +
                             bulk_text("spec") + "*6\r\n" + bulk_text("lastkey") + ":-1\r\n" + bulk_text("keystep") + ":2\r\n" +
                             bulk_text("limit") + ":0\r\n";
  EXPECT_EQ(client->line("COMMAND INFO MSET nope"), "*2\r\n*10\r\n" + bulk_text("mset") +
                                                        ":-3\r\n*2\r\n+write\r\n+denyoom\r\n:1\r\n:-1\r\n:2\r\n"
                                                        "*3\r\n+@write\r\n+@string\r\n+@slow\r\n*0\r\n" +
                                                        places + "*0\r\n" + kNullText);
  client->line("HELLO 3");
  EXPECT_EQ(client->line("COMMAND INFO auth"), "*1\r\n*10\r\n" + bulk_text("auth") +
                                                   ":-2\r\n~2\r\n+fast\r\n+no_auth\r\n:0\r\n:0\r\n:0\r\n"
                                                   "~2\r\n+@fast\r\n+@connection\r\n~0\r\n~0\r\n~0\r\n");
}

TEST_F(Introspection, DocsHaveSummaries) {
  client->line("HELLO 3");
  EXPECT_EQ(client->line("COMMAND DOCS Echo nope"), "%1\r\n" + bulk_text("echo") + "%2\r\n" + bulk_text("summary") +
                                                        bulk_text("Echo the given string") + bulk_text("group") +
                                                        bulk_text("connection"));
  for (const CommandSpec* spec : CommandTable::instance().all()) {
    EXPECT_FALSE(spec->summary.empty()) << spec->name;
    EXPECT_FALSE(spec->group.empty()) << spec->name;
  }
}

TEST_F(Introspection, ListFilters) {
  EXPECT_EQ(client->line("COMMAND LIST FILTERBY PATTERN hincr*"), bulks_text({"hincrby", "hincrbyfloat"}));
  EXPECT_EQ(client->line("command list filterby pattern HSETN?"), bulks_text({"hsetnx"}));
  EXPECT_EQ(client->line("COMMAND LIST FILTERBY MODULE x"), "*0\r\n");
  EXPECT_EQ(client->line("COMMAND LIST FILTERBY ACLCAT nope"), "*0\r\n");
  EXPECT_EQ(client->line("COMMAND LIST FILTERBY ACLCAT Transaction"),
            bulks_text({"discard", "exec", "multi", "unwatch", "watch"}));
  EXPECT_THAT(client->line("COMMAND LIST FILTERBY ACLCAT fast"), HasSubstr(bulk_text("ping")));
  for (const char* wrong :
       {"COMMAND LIST x", "COMMAND LIST FILTERBY", "COMMAND LIST FILTERBY foo bar", "COMMAND LIST FILTERBY PATTERN x y"}) {
    EXPECT_EQ(client->line(wrong), kSyntaxText) << wrong;
  }
}

TEST_F(Introspection, FindsKeys) {
  EXPECT_EQ(client->line("COMMAND GETKEYS get a"), bulks_text({"a"}));
  EXPECT_EQ(client->line("COMMAND GETKEYS MSET a 1 b 2"), bulks_text({"a", "b"}));
  EXPECT_EQ(client->line("COMMAND GETKEYS BLPOP a b 0"), bulks_text({"a", "b"}));
  EXPECT_EQ(client->line("COMMAND GETKEYS LMPOP 2 a b LEFT"), bulks_text({"a", "b"}));
  EXPECT_EQ(client->line("COMMAND GETKEYS OBJECT ENCODING a"), bulks_text({"a"}));
  EXPECT_EQ(client->line("COMMAND GETKEYS LMPOP x a b LEFT"), "-ERR Invalid arguments specified for command\r\n");
  EXPECT_EQ(client->line("COMMAND GETKEYS GET a b"), "-ERR Invalid number of arguments specified for command\r\n");
  EXPECT_EQ(client->line("COMMAND GETKEYS nope a"), "-ERR Invalid command specified\r\n");
  EXPECT_EQ(client->line("COMMAND GETKEYS PING a"), "-ERR The command has no key arguments\r\n");
  EXPECT_EQ(client->line("COMMAND GETKEYS GET"), "-ERR wrong number of arguments for 'command|getkeys' command\r\n");
}

TEST_F(Introspection, UnknownSubcommands) {
  EXPECT_EQ(client->line("COMMAND FOO"), "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n");
  EXPECT_EQ(client->line("COMMAND COUNT x"), "-ERR wrong number of arguments for 'command|count' command\r\n");
  EXPECT_THAT(client->line("COMMAND HELP"), HasSubstr("+GETKEYS <full-command>\r\n"));
}

}  // namespace

}  // namespace cubby::server
