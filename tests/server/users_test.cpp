// SPDX-License-Identifier: Apache-2.0
#include "server/users.hpp"

#include <gtest/gtest.h>

#include "server/command_table.hpp"
#include "server/temporary_folder.hpp"

namespace cubby::server {
namespace {

using testing::TemporaryFolder;

// Of "secret", by sha256sum.
constexpr std::string_view kHashOfSecret = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

bool may_run(const User& user, std::string_view command) { return user.may_run(*CommandTable::instance().find(command)); }

User made_of(std::initializer_list<std::string_view> rules) {
  User user("ann");
  for (const std::string_view rule : rules) user.apply(rule);
  return user;
}

Settings with_users(const TemporaryFolder& folder, std::string_view text) {
  Settings settings;
  settings.users = folder.file("users.acl", text);
  return settings;
}

std::string users_error(const Settings& settings) {
  try {
    const Users users(settings);
  } catch (const SettingError& error) {
    return error.what();
  }
  return {};
}

TEST(User, BeginsWithNothing) {
  const User user("ann");
  EXPECT_FALSE(user.enabled);
  EXPECT_FALSE(may_run(user, "get"));
  EXPECT_FALSE(user.may_use_key("a"));
  EXPECT_FALSE(user.may_use_channel("a"));
  EXPECT_EQ(user.rules(), "off resetchannels -@all");
}

TEST(User, CommandRulesCountInTheirOrder) {
  EXPECT_TRUE(may_run(made_of({"+@read"}), "get"));
  EXPECT_FALSE(may_run(made_of({"+@read"}), "set"));
  EXPECT_FALSE(may_run(made_of({"+@read", "-get"}), "get"));
  EXPECT_TRUE(may_run(made_of({"-get", "+@read"}), "get"));
  EXPECT_TRUE(may_run(made_of({"+@all", "-@dangerous", "+FLUSHALL"}), "flushall"));
  EXPECT_FALSE(may_run(made_of({"+@all", "-@dangerous", "+flushall"}), "flushdb"));
  EXPECT_FALSE(may_run(made_of({"+get", "nocommands"}), "get"));
  EXPECT_TRUE(may_run(made_of({"allcommands"}), "config"));
  EXPECT_TRUE(may_run(made_of({"+@fast"}), "ping"));
  EXPECT_FALSE(may_run(made_of({"+@sortedset"}), "get"));
  EXPECT_TRUE(made_of({"+@all"}).all_commands);
  EXPECT_FALSE(made_of({"+@all", "-get"}).all_commands);
  EXPECT_TRUE(made_of({"+@all", "-get", "+get"}).all_commands);
}

TEST(User, KeysArePatterns) {
  const User user = made_of({"~session:*", "%R~config:*", "%RW~both"});
  EXPECT_TRUE(user.may_use_key("session:1"));
  EXPECT_FALSE(user.may_use_key("other"));
  EXPECT_TRUE(user.may_use_key("config:a", false));
  EXPECT_FALSE(user.may_use_key("config:a", true));
  EXPECT_TRUE(user.may_use_key("both", true));
  EXPECT_TRUE(made_of({"allkeys"}).all_keys);
  EXPECT_TRUE(made_of({"~*"}).all_keys);
  EXPECT_FALSE(made_of({"~*", "resetkeys", "~a"}).may_use_key("b"));
  EXPECT_FALSE(made_of({"%R~*"}).may_use_key("a", true));
}

TEST(User, ChannelsArePatternsAndPatternsAreLiteral) {
  const User user = made_of({"&news:*"});
  EXPECT_TRUE(user.may_use_channel("news:a"));
  EXPECT_FALSE(user.may_use_channel("other"));
  EXPECT_TRUE(user.may_use_channel("news:*", true));
  EXPECT_FALSE(user.may_use_channel("news:a*", true));
  EXPECT_TRUE(made_of({"allchannels"}).may_use_channel("x*", true));
  EXPECT_FALSE(made_of({"&*", "resetchannels"}).may_use_channel("x"));
}

TEST(User, RulesAreShownAsTheyCanBeReadAgain) {
  const User user = made_of({"on", ">secret", "~a", "%R~b", "&c", "+@all", "-get", "+@read", "+get"});
  const std::string rules = user.rules();
  EXPECT_EQ(rules, "on #" + std::string(kHashOfSecret) + " ~a %R~b &c +@all +@read +get");
  EXPECT_EQ(made_of({"on", "nopass", "~*", "&*", "+@all", "sanitize-payload"}).rules(), "on nopass ~* &* +@all");
}

TEST(User, WrongRulesAreRefused) {
  for (const std::string_view rule :
       {"+nosuch", "-nosuch", "+@nosuch", "frob", "#abc", "<x", "%X~a", "%W~a", "%R", "+config|get", "(+get ~a)"}) {
    EXPECT_THROW(made_of({rule}), SettingError) << rule;
  }
  EXPECT_THROW(made_of({"~*", "~a"}), SettingError);
  EXPECT_THROW(made_of({"&*", "&a"}), SettingError);
}

TEST(Users, WithoutAPasswordEverybodyIsDefault) {
  const Users users{Settings()};
  EXPECT_FALSE(users.needs_password());
  ASSERT_NE(users.initial(), nullptr);
  EXPECT_EQ(users.initial()->name, "default");
  EXPECT_TRUE(users.initial()->all_commands && users.initial()->all_keys && users.initial()->all_channels);
  EXPECT_EQ(users.sign_in("default", "whatever"), users.initial());
}

TEST(Users, RequirepassIsThePasswordOfDefault) {
  Settings settings;
  settings.requirepass = "secret";
  Users users(settings);
  EXPECT_TRUE(users.needs_password());
  EXPECT_EQ(users.initial(), nullptr);
  EXPECT_EQ(users.sign_in("default", "Secret"), nullptr);
  EXPECT_EQ(users.sign_in("nobody", "secret"), nullptr);
  const User* const user = users.sign_in("default", "secret");
  ASSERT_NE(user, nullptr);
  users.set_default_password("other");
  EXPECT_EQ(users.sign_in("default", "secret"), nullptr);
  EXPECT_NE(users.sign_in("default", "other"), nullptr);
  EXPECT_EQ(user->name, "default");  // who has signed in stays so
  users.set_default_password("");
  EXPECT_FALSE(users.needs_password());
  EXPECT_NE(users.initial(), nullptr);
}

TEST(UsersFile, NamesWhoMaySignIn) {
  const TemporaryFolder folder;
  const Users users(
      with_users(folder, "# people\n\nuser ann on #" + std::string(kHashOfSecret) +
                             " ~session:* +@read\r\nuser bob off >x +@all\n\tuser  eve  on >p1  >p2 nopass resetpass >p3\n"));
  const User* const ann = users.sign_in("ann", "secret");
  ASSERT_NE(ann, nullptr);
  EXPECT_TRUE(may_run(*ann, "get") && ann->may_use_key("session:1", false));
  EXPECT_EQ(users.sign_in("ann", "secre"), nullptr);
  EXPECT_EQ(users.sign_in("bob", "x"), nullptr);  // off
  EXPECT_EQ(users.sign_in("eve", "p1"), nullptr);
  EXPECT_NE(users.sign_in("eve", "p3"), nullptr);
  EXPECT_EQ(users.find("nobody"), nullptr);
  EXPECT_EQ(users.all().size(), 4U);
}

TEST(UsersFile, LeavesDefaultOffUnlessItSaysOtherwise) {
  const TemporaryFolder folder;
  {
    const Users users(with_users(folder, "user ann on >x\n"));
    EXPECT_TRUE(users.needs_password());
    EXPECT_EQ(users.initial(), nullptr);
    EXPECT_EQ(users.sign_in("default", ""), nullptr);
  }
  {
    const Users users(with_users(folder, "user default on nopass ~* &* +@all -@dangerous\n"));
    EXPECT_FALSE(users.needs_password());
    ASSERT_NE(users.initial(), nullptr);
    EXPECT_FALSE(may_run(*users.initial(), "flushall"));
  }
  {
    Settings settings = with_users(folder, "user ann on >x\n");
    settings.requirepass = "secret";
    const Users users(settings);
    EXPECT_NE(users.sign_in("default", "secret"), nullptr);
  }
}

TEST(UsersFile, AChangedPasswordLeavesTheRulesOfDefault) {
  const TemporaryFolder folder;
  Users users(with_users(folder, "user default on nopass ~a +get\n"));
  users.set_default_password("new");
  const User* const user = users.sign_in("default", "new");
  ASSERT_NE(user, nullptr);
  EXPECT_FALSE(may_run(*user, "set"));
  EXPECT_EQ(users.initial(), nullptr);
}

TEST(UsersFile, ErrorsNameTheLineAndNoPassword) {
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "users.acl").string();
  EXPECT_EQ(users_error(with_users(folder, "user ann on +@read\nuser bob on +frob\n")),
            path + ":2: '+frob': there is no command frob");
  EXPECT_EQ(users_error(with_users(folder, "user ann <secret\n")), path + ":1: '<': the user has no such password");
  EXPECT_EQ(users_error(with_users(folder, "ann on\n")), path + ":1: a line is: user NAME RULE ...");
  EXPECT_EQ(users_error(with_users(folder, "user ann\nuser ann\n")), path + ":2: there is a user ann already");
  Settings both = with_users(folder, "user default on nopass\n");
  both.requirepass = "x";
  EXPECT_NE(users_error(both), "");
  Settings none;
  none.users = (folder.path() / "none").string();
  EXPECT_NE(users_error(none), "");
}

}  // namespace
}  // namespace cubby::server
