// SPDX-License-Identifier: Apache-2.0

// Section 7: atomic replacement, interval saves, and saves that fail.

#include <sys/stat.h>

#include "support.hpp"

namespace cubby::contract {
namespace {

/// Takes the store's folder away, so that every save fails, and puts it back.
class MovedFolder {
 public:
  explicit MovedFolder(const std::filesystem::path& folder) : folder_(folder), away_(folder.string() + "-away") {
    std::filesystem::rename(folder_, away_);
  }
  ~MovedFolder() { put_back(); }
  void put_back() {
    if (!std::exchange(moved_, false)) return;
    std::filesystem::rename(away_, folder_);
  }

 private:
  std::filesystem::path folder_, away_;
  bool moved_ = true;
};

class Saves : public PersistenceTest {
 protected:
  Datastore open_with_interval(std::chrono::milliseconds interval) const {
    Options with_interval = options();
    with_interval.persist_interval = interval;
    return open(file_store_name_, with_interval);
  }

  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename().string());
    return sorted(names);
  }
};

TEST_F(Saves, ReplaceTheFileAndLeaveNothingElseBehind) {
  Datastore store = open_file();
  for (int round = 0; round < 5; ++round) {
    store.set("round", round);
    store.save();
    EXPECT_EQ(files(), std::vector<std::string>{"store.json"});
    EXPECT_EQ(read_json(file())["round"], Value(round));
  }
  EXPECT_EQ(store.stats().saves, 5u);
  close(file_store_name_);
  EXPECT_EQ(files(), std::vector<std::string>{"store.json"});
}

TEST_F(Saves, GiveWhoReadsTheOldFileAllOfIt) {
  Datastore store = open_file();
  for (int key = 0; key < 1000; ++key) store.set(std::to_string(key), "old");
  store.save();
  const std::string old_text = read_text(file());
  std::ifstream reader(file(), std::ios::binary);
  ASSERT_EQ(reader.get(), '{');
  store.clear();
  store.set("key", "new");
  store.save();
  reader.seekg(0);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(reader), {}), old_text);
  EXPECT_EQ(read_json(file()), Value::object({{"key", "new"}}));
}

TEST_F(Saves, AtEveryMomentTheFileIsWhole) {
  Datastore store = open_file();
  for (int key = 0; key < 500; ++key) store.set(std::to_string(key), 0);
  store.save();
  Repeat saver([&, store]() mutable {
    store.increment("0");
    store.save();
  });
  for (int round = 0; round < 200; ++round) ASSERT_EQ(read_json(file()).size(), 500u);
}

TEST_F(Saves, FromManyThreadsAtOnceWork) {
  Datastore store = open_file();
  run_threads(4, [&](int thread) {
    Datastore mine = store;
    for (int round = 0; round < 10; ++round) {
      mine.set(std::to_string(thread), round);
      mine.save();
      EXPECT_GE(read_json(file())[std::to_string(thread)].as_int(), round) << "what returned before the save is in the file";
    }
  });
  EXPECT_EQ(files(), std::vector<std::string>{"store.json"});
}

TEST_F(Saves, IntoAMissingFolderAreIoErrorsAndMakeNone) {
  Options missing;
  missing.persist = folder_.path() / "missing" / "store.json";
  const std::string name = fresh_store_name();
  EXPECT_TRUE(throws(Errc::io, {"missing"}, [&] {
    Datastore store = open(name, missing);
    store.set("key", 1);
    store.save();
  }));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "missing"));
  if (contains(names(), name)) {  // opened, for want of a file to read; it can't be closed before its folder is there
    EXPECT_TRUE(throws(Errc::io, {name}, [&] { close(name); }));
    std::filesystem::create_directory(folder_.path() / "missing");
  }
}

TEST_F(Saves, ThatFailShowInTheStatsAndLeaveOldFileAndStore) {
  Datastore store = open_file();
  store.set("key", 1);
  store.save();
  const std::string before = read_text(file());
  EXPECT_EQ(store.stats().last_save_error, "");
  {
    MovedFolder moved(folder_.path());
    store.set("key", 2);
    EXPECT_TRUE(throws(Errc::io, {"save", file_store_name_, "store.json"}, [&] { store.save(); }));
    EXPECT_NE(store.stats().last_save_error, "");
    EXPECT_EQ(store.stats().saves, 1u);
    EXPECT_TRUE(throws(Errc::io, {file_store_name_}, [&] { close(file_store_name_); }));
    EXPECT_EQ(store.get("key"), Value(2));
    EXPECT_TRUE(contains(names(), file_store_name_));
  }
  EXPECT_EQ(read_text(file()), before);
  store.save();
  EXPECT_EQ(store.stats().last_save_error, "");
  EXPECT_EQ(read_json(file())["key"], Value(2));
}

TEST_F(Saves, HappenByThemselvesWhereAnIntervalIsSet) {
  Datastore store = open_with_interval(10ms);
  for (int round = 1; round <= 3; ++round) {
    store.set("key", round);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file()) && read_json(file())["key"] == Value(round); }));
  }
  EXPECT_TRUE(eventually([&] { return store.stats().saves >= 3; })) << "a save counts once the folder is synced too";
  EXPECT_EQ(store.stats().last_save_error, "");
}

TEST_F(Saves, OfAnIntervalThatFailAreTriedAgain) {
  Datastore store = open_with_interval(10ms);
  store.set("key", 1);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(file()) && read_json(file())["key"] == Value(1); }));
  MovedFolder moved(folder_.path());
  store.set("key", 2);
  ASSERT_TRUE(eventually([&] { return !store.stats().last_save_error.empty(); }));
  EXPECT_EQ(store.get("key"), Value(2));
  moved.put_back();
  ASSERT_TRUE(eventually([&] { return read_json(file())["key"] == Value(2); })) << "tried again without another write";
  EXPECT_TRUE(eventually([&] { return store.stats().last_save_error.empty(); }));
}

TEST_F(Saves, OfAnIntervalThatMeetWhatJsonCannotHoldAreTriedAgainToo) {
  Datastore store = open_with_interval(10ms);
  store.set("good", 1);
  store.set("\xff", 1);
  ASSERT_TRUE(eventually([&] { return !store.stats().last_save_error.empty(); }));
  store.erase("\xff");
  ASSERT_TRUE(eventually([&] { return store.stats().last_save_error.empty(); }));
  ASSERT_TRUE(eventually([&] { return read_json(file()) == Value::object({{"good", 1}}); }));
}

TEST_F(Saves, WithoutAnIntervalHappenOnlyOnSaveAndClose) {
  Datastore store = open_file();
  store.set("key", 1);
  EXPECT_FALSE(std::filesystem::exists(file()));
  EXPECT_EQ(store.stats().saves, 0u);
  close(file_store_name_);
  EXPECT_TRUE(std::filesystem::exists(file()));
}

TEST_F(Saves, ThroughASymbolicLinkReplaceWhatItPointsTo) {
  std::filesystem::create_directory(folder_.path() / "data");
  const std::filesystem::path target = folder_.path() / "data" / "target.json";
  write_text(target, R"({"key": 1})");
  std::filesystem::create_symlink(target, file());
  Datastore store = open_file();
  EXPECT_EQ(store.increment("key"), Value(2));
  store.save();
  EXPECT_TRUE(std::filesystem::is_symlink(file()));
  EXPECT_EQ(read_json(target), Value::object({{"key", 2}}));
  EXPECT_EQ(read_json(file()), Value::object({{"key", 2}}));
  EXPECT_EQ(files(), (std::vector<std::string>{"data", "store.json"}));
}

TEST_F(Saves, ThroughARelativeSymbolicLinkWorkToo) {
  write_text(folder_.path() / "target.json", R"({"key": 1})");
  std::filesystem::create_symlink("target.json", file());
  open_file().increment("key");
  close(file_store_name_);
  EXPECT_TRUE(std::filesystem::is_symlink(file()));
  EXPECT_EQ(read_json(folder_.path() / "target.json"), Value::object({{"key", 2}}));
}

TEST_F(Saves, OfARelativePathGoWhereItPointedAtOpen) {
  const std::filesystem::path here = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  Options relative;
  relative.persist = "relative.json";
  Datastore store = open_other(relative);
  std::filesystem::current_path(here);
  store.set("key", 1);
  store.save();
  EXPECT_EQ(read_json(folder_.path() / "relative.json"), Value::object({{"key", 1}}));
  EXPECT_FALSE(std::filesystem::exists(here / "relative.json"));
}

using Unsaveable = Saves;

TEST_F(Unsaveable, KeysThatAreNotUtf8AreRefusedAndTheOldFileStands) {
  Datastore store = open_file();
  store.set("good", 1);
  store.save();
  const std::string before = read_text(file());
  for (const std::string& key :
       {std::string("\xff"), std::string("a\x80"), std::string("\xed\xa0\x80"), std::string("\xc0\x80")}) {
    store.set(key, 1);
    EXPECT_EQ(store.get(key), Value(1)) << "in memory it's a key like any other";
    EXPECT_TRUE(throws(Errc::invalid_argument, {"save", file_store_name_}, [&] { store.save(); }));
    EXPECT_EQ(read_text(file()), before);
    EXPECT_EQ(files(), std::vector<std::string>{"store.json"});
    store.erase(key);
  }
  EXPECT_NO_THROW(store.save());
}

TEST_F(Unsaveable, StringsThatAreNotUtf8AreRefusedNamingTheKey) {
  Datastore store = open_file();
  store.set("good", 1);
  store.save();
  const std::string before = read_text(file());
  const Value bad[] = {"\xff", Value::array({1, "\xff"}), Value::object({{"a", Value::object({{"b", "\xff"}})}}),
                       Value::object({{"\xff", 1}}), std::string(1000, '\xff')};
  for (const Value& value : bad) {
    store.set("the bad key", value);
    EXPECT_TRUE(throws(Errc::invalid_argument, {"save", file_store_name_, "the bad key"}, [&] { store.save(); }));
    EXPECT_EQ(read_text(file()), before);
  }
  store.erase("the bad key");
  EXPECT_NO_THROW(store.save());
}

TEST_F(Unsaveable, AKeyNamedLikeTheReservedMemberIsRefused) {
  Datastore store = open_file();
  store.set("good", 1);
  store.save();
  store.set("$cubby", 1);
  EXPECT_EQ(store.get("$cubby"), Value(1));
  EXPECT_TRUE(throws(Errc::invalid_argument, {"save", file_store_name_, "$cubby"}, [&] { store.save(); }));
  EXPECT_EQ(read_json(file()), Value::object({{"good", 1}}));
  EXPECT_TRUE(throws(Errc::invalid_argument, {file_store_name_, "$cubby"}, [&] { close(file_store_name_); }));
  EXPECT_TRUE(store.erase("$cubby"));
  store.set("$cubby2", 1);
  store.set("nested", Value::object({{"$cubby", 1}}));
  EXPECT_EQ(reopen_file().get("nested"), Value::object({{"$cubby", 1}}));
}

}  // namespace
}  // namespace cubby::contract
