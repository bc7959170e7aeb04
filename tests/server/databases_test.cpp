// SPDX-License-Identifier: Apache-2.0
#include "server/databases.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "server/temporary_folder.hpp"

namespace cubby::server {
namespace {

using testing::TemporaryFolder;

Settings in_folder(const TemporaryFolder& folder) {
  Settings settings;
  settings.dir = (folder.path() / "data").string();
  return settings;
}

std::vector<std::string> names_of(const Databases& databases) {
  std::vector<std::string> names;
  for (const auto& [name, store] : databases.all()) names.push_back(name);
  return names;
}

TEST(Databases, NumbersAreThoseOfTheirNames) {
  EXPECT_EQ(Databases::number_of("db0"), 0);
  EXPECT_EQ(Databases::number_of("db15"), 15);
  EXPECT_EQ(Databases::name_of(15), "db15");
  for (const char* other : {"db", "db01", "db-1", "db+1", "DB1", "db1x", "db99999999999", "sessions", ""}) {
    EXPECT_EQ(Databases::number_of(other), std::nullopt) << other;
  }
}

TEST(Databases, InMemoryEachServerHasItsOwn) {
  Databases one{Settings()};
  Databases other{Settings()};
  one.open("db0").set("a", 1);
  EXPECT_FALSE(other.open("db0").exists("a"));
  EXPECT_EQ(one.open("db0").get("a"), Value(1));
  one.open("sessions");
  EXPECT_EQ(names_of(one), (std::vector<std::string>{"db0", "sessions"}));
  EXPECT_EQ(names_of(other), std::vector<std::string>{"db0"});
  EXPECT_FALSE(one.durable());
}

TEST(Databases, ThoseGivenAreServedAndStayOpen) {
  Datastore store = cubby::open("given");
  {
    Databases databases(std::map<std::string, Datastore>{{"db0", store}});
    databases.open("db0").set("a", 1);
    try {
      databases.open("db1");
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::invalid_argument);
    }
    EXPECT_TRUE(databases.durable());
    databases.close();
    EXPECT_TRUE(names_of(databases).empty());
  }
  EXPECT_EQ(store.get("a"), Value(1));
  cubby::close("given");
}

TEST(Databases, RefuseNamesThatAreNoFolders) {
  Databases databases{Settings()};
  // Blanks, what shows nothing or something else, and what looks like a database's number in other output.
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "a\nb", "0", "12", "a b", "a=b", "0__:x", "\xff", "caf\xc2\x9b",
                           "a\xc2\xa0", "a\xe2\x80\x8b", "a\xe2\x80\xae", "a\xe3\x80\x80"}) {
    try {
      databases.open(name);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Errc::invalid_argument);
    }
  }
  EXPECT_THROW(databases.open(std::string("a\0b", 3)), Error);
  EXPECT_THROW(databases.open(std::string(256, 'a')), Error);
  for (const char* name : {"caf\xc3\xa9", "tenant:7", "7a", "a__b", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x93\xa6"}) {
    EXPECT_NO_THROW(databases.open(name)) << name;
  }
}

TEST(Databases, AFolderThatIsThereIsServedWhateverItsName) {
  const TemporaryFolder folder;
  const Settings settings = in_folder(folder);
  Options options;
  options.directory = std::filesystem::path(settings.dir) / "a b=1";
  std::filesystem::create_directories(settings.dir);
  cubby::open("to be served", options).set("k", 1);
  cubby::close("to be served");
  Databases databases(settings);
  EXPECT_TRUE(databases.knows("a b=1"));
  EXPECT_FALSE(databases.knows("a b=2"));
  EXPECT_EQ(databases.open("a b=1").get("k"), Value(1));
}

std::string refusal_of(const Settings& settings) {
  try {
    const Databases databases(settings);
  } catch (const SettingError& error) {
    return error.what();
  }
  return {};
}

TEST(Databases, AStoreIsNoFolderOfStores) {
  const TemporaryFolder folder;
  Settings settings = in_folder(folder);
  Databases(settings).open("orders").set("k", 1);
  settings.dir += "/orders";
  EXPECT_EQ(refusal_of(settings), "dir: " + settings.dir + " is a durable store itself: name the folder above it");
  EXPECT_FALSE(std::filesystem::exists(settings.dir + "/db0"));
  std::filesystem::copy(settings.dir, settings.dir + "/db0");
  EXPECT_NE(refusal_of(settings).find("move its own files"), std::string::npos);
  std::vector<std::filesystem::path> own_files;
  for (const auto& entry : std::filesystem::directory_iterator(settings.dir)) {
    if (!entry.is_directory()) own_files.push_back(entry.path().filename());
  }
  const std::filesystem::path dir(settings.dir);
  std::filesystem::create_directory(dir / "NAME");
  for (const auto& file : own_files) std::filesystem::rename(dir / file, dir / "NAME" / file);
  Databases databases(settings);
  EXPECT_EQ(names_of(databases), (std::vector<std::string>{"NAME", "db0"}));
  EXPECT_EQ(databases.open("NAME").get("k"), Value(1));
}

TEST(Databases, WhatRepairLeavesIsNoStore) {
  const TemporaryFolder folder;
  const Settings settings = in_folder(folder);
  const std::filesystem::path data(settings.dir);
  {
    Databases databases(settings);
    databases.open("orders").set("k", 1);
    databases.open("damaged-goods.damaged-1");
    for (const char* name : {"orders.damaged-20260102-030405", "orders.repaired-20260102-030405"}) {
      EXPECT_THROW(databases.open(name), Error) << name;
    }
  }
  for (const char* name : {"orders.damaged-20260102-030405", "orders.repaired-20260102-030405"}) {
    std::filesystem::copy(data / "orders", data / name);
  }
  // As it is damaged, it can't even be opened.
  std::ofstream(data / "orders.damaged-20260102-030405" / "MANIFEST") << "no manifest";
  Databases databases(settings);
  EXPECT_EQ(names_of(databases), (std::vector<std::string>{"damaged-goods.damaged-1", "db0", "orders"}));
  std::vector<std::string> left_out = databases.left_out();
  std::sort(left_out.begin(), left_out.end());
  EXPECT_EQ(left_out, (std::vector<std::string>{"orders.damaged-20260102-030405", "orders.repaired-20260102-030405"}));
  EXPECT_EQ(databases.open("orders").get("k"), Value(1));
}

TEST(Databases, AnInterruptedRepairIsNotTakenForAnEmptyStore) {
  const TemporaryFolder folder;
  const Settings settings = in_folder(folder);
  const std::filesystem::path data(settings.dir), repaired = data / "db0.repaired-20260102-030405";
  Databases(settings).open("db0").set("k", 1);
  std::filesystem::rename(data / "db0", repaired);
  try {
    const Databases databases(settings);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("(mv " + repaired.string() + " " + (data / "db0").string() + ")"),
              std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(data / "db0"));
  std::filesystem::rename(repaired, data / "db0");
  EXPECT_EQ(Databases(settings).open("db0").get("k"), Value(1));
}

TEST(Databases, CloseFreesWhatWasInMemory) {
  Databases databases{Settings()};
  Datastore store = databases.open("db0");
  databases.close();
  try {
    store.get("a");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::closed);
  }
  try {
    databases.open("db0");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::closed);
  }
}

TEST(Databases, NothingIsSavedAfterClose) {
  const TemporaryFolder folder;
  Databases databases(in_folder(folder));
  EXPECT_TRUE(databases.start_save());
  databases.close();
  EXPECT_THROW(databases.start_save(), Error);
  EXPECT_THROW(databases.save(), Error);
  EXPECT_FALSE(databases.saves().running);
}

TEST(Databases, AFolderIsOpenedWithAllThatLiesInIt) {
  const TemporaryFolder folder;
  {
    Databases databases(in_folder(folder));
    databases.open("db0").set("a", 1);
    databases.open("db3").set("b", 2);
    databases.open("sessions").set("c", 3);
    databases.close();
  }
  std::filesystem::create_directory(folder.path() / "data" / "lost+found");
  std::filesystem::create_directory(folder.path() / "data" / ".git");
  Databases databases(in_folder(folder));
  EXPECT_TRUE(databases.durable());
  EXPECT_EQ(names_of(databases), (std::vector<std::string>{"db0", "db3", "sessions"}));
  EXPECT_EQ(databases.open("db0").get("a"), Value(1));
  EXPECT_EQ(databases.open("db3").get("b"), Value(2));
  EXPECT_EQ(databases.open("sessions").get("c"), Value(3));
  EXPECT_EQ(std::filesystem::is_empty(folder.path() / "data" / "lost+found"), true);
}

TEST(Databases, TheDestructorClosesToo) {
  const TemporaryFolder folder;
  {
    Databases databases(in_folder(folder));
    databases.open("db0").set("a", 1);
  }
  Databases databases(in_folder(folder));
  EXPECT_EQ(databases.open("db0").get("a"), Value(1));
}

TEST(Databases, WhatCantBeReadIsAnError) {
  const TemporaryFolder folder;
  {
    Databases databases(in_folder(folder));
    databases.open("db1");
  }
  const std::filesystem::path manifest = folder.path() / "data" / "db1" / "MANIFEST";
  ASSERT_TRUE(std::filesystem::exists(manifest));
  std::filesystem::rename(manifest, folder.path() / "kept");
  std::ofstream(manifest) << "no manifest";
  EXPECT_THROW(Databases(in_folder(folder)), Error);
  // It left nothing open.
  std::filesystem::rename(folder.path() / "kept", manifest);
  EXPECT_NO_THROW(Databases(in_folder(folder)));

  Settings settings;
  settings.dir = folder.file("file", "");
  EXPECT_THROW(Databases{settings}, Error);
}

TEST(Databases, EncryptWithTheKeyOfAFile) {
  const TemporaryFolder folder;
  Settings settings = in_folder(folder);
  settings.encryption_key_file = folder.file("hex", std::string(62, 'a') + "0F\n");
  {
    Databases databases(settings);
    databases.open("db0").set("a", "b");
  }
  std::string bytes(31, '\xaa');
  settings.encryption_key_file = folder.file("bytes", bytes + '\x0f');
  {
    Databases databases(settings);
    EXPECT_EQ(databases.open("db0").get("a"), Value("b"));
  }
  settings.encryption_key_file = folder.file("other", bytes + '\x0e');
  try {
    const Databases databases(settings);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::wrong_key);
  }
  for (const std::string& text : {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'g'), bytes}) {
    settings.encryption_key_file = folder.file("wrong", text);
    EXPECT_THROW(Databases{settings}, SettingError) << text;
  }
  settings.encryption_key_file = (folder.path() / "none").string();
  EXPECT_THROW(Databases{settings}, SettingError);
}

std::string folder_error_of(const Settings& settings) {
  try {
    const Databases databases(settings);
  } catch (const FolderError& error) {
    EXPECT_EQ(error.folder(), std::filesystem::path(settings.dir) / "db0");
    EXPECT_NE(std::string(error.cause().what()).find("open of store"), std::string::npos);
    return error.what();
  }
  return {};
}

TEST(Databases, ErrorsNameTheFolderAndWhatToDo) {
  const TemporaryFolder folder;
  Settings settings = in_folder(folder);
  const std::string store = settings.dir + "/db0";
  const std::string key = folder.file("key", std::string(64, 'a')), other = folder.file("other", std::string(64, 'b'));
  Databases(settings).close();
  settings.encryption_key_file = key;
  EXPECT_EQ(folder_error_of(settings), store +
                                           " is not encrypted: leave encryption-key-file out, or encrypt it with cubby rekey " +
                                           store + " --new-key-file " + key);
  std::filesystem::remove_all(store);
  Databases(settings).close();
  settings.encryption_key_file = other;
  EXPECT_EQ(folder_error_of(settings), store + " is encrypted with another key than the one in encryption-key-file " + other);
  settings.encryption_key_file.clear();
  EXPECT_EQ(folder_error_of(settings), store + " is encrypted: set encryption-key-file");
  std::ofstream(store + "/MANIFEST") << "no manifest";
  const std::string damaged = folder_error_of(settings);
  EXPECT_NE(damaged.find(store + "/MANIFEST is damaged"), std::string::npos) << damaged;
  EXPECT_EQ(damaged.find("of store"), std::string::npos) << damaged;
}

TEST(Databases, SaveMakesCheckpoints) {
  const TemporaryFolder folder;
  Databases databases(in_folder(folder));
  Datastore store = databases.open("db0");
  store.set("a", 1);
  const std::uint64_t before = store.stats().saves;
  const auto last = databases.saves().last;
  EXPECT_TRUE(databases.save());
  EXPECT_EQ(store.stats().saves, before + 1);
  EXPECT_GE(databases.saves().last, last);
  EXPECT_FALSE(databases.saves().running);
  EXPECT_EQ(databases.saves().last_background, std::nullopt);
}

TEST(Databases, SaveInTheBackgroundEndsBeforeClose) {
  const TemporaryFolder folder;
  {
    Databases databases(in_folder(folder));
    Datastore store = databases.open("db0");
    store.set("a", 1);
    const std::uint64_t before = store.stats().saves;
    EXPECT_TRUE(databases.start_save());
    while (databases.saves().running) std::this_thread::yield();
    EXPECT_EQ(store.stats().saves, before + 1);
    EXPECT_NE(databases.saves().last_background, std::nullopt);
    EXPECT_EQ(databases.saves().current, std::nullopt);
    EXPECT_EQ(databases.saves().last_error, "");
    EXPECT_TRUE(databases.start_save());  // whose end close() waits for
    databases.close();
  }
  Databases databases(in_folder(folder));
  EXPECT_EQ(databases.open("db0").get("a"), Value(1));
}

TEST(Databases, OnlyOneSaveAtATime) {
  const TemporaryFolder folder;
  Databases databases(in_folder(folder));
  Datastore store = databases.open("db0");
  // More threads than one ask at once, again and again: whoever is refused was so while another save was running.
  std::atomic<int> saved{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) saved += databases.save() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(saved, 1);
  EXPECT_FALSE(databases.saves().running);
  EXPECT_EQ(store.stats().saves, static_cast<std::uint64_t>(saved));
}

TEST(Databases, OnOpenSeesEachStore) {
  Databases databases{Settings()};
  databases.open("one");
  std::vector<std::string> seen;
  databases.on_open([&](const std::string& name, Datastore& store) {
    EXPECT_EQ(store.size(), 0U);
    seen.push_back(name);
  });
  EXPECT_EQ(seen, (std::vector<std::string>{"db0", "one"}));
  databases.open("one");
  databases.open("two");
  EXPECT_EQ(seen, (std::vector<std::string>{"db0", "one", "two"}));
}

}  // namespace
}  // namespace cubby::server
