// SPDX-License-Identifier: Apache-2.0

// Section 7: the file's text, what survives, load, damaged files. Saves while others write are in consistent_cut_test.cpp,
// saves that fail in failing_saves_test.cpp.

#include <cmath>
#include <limits>

#include "support.hpp"

namespace cubby::contract {
namespace {

using SystemClock = std::chrono::system_clock;

std::int64_t epoch_milliseconds(SystemClock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// How far the wall clock may be set while a test runs.
constexpr std::int64_t kClockSlack = 60'000;

class JsonFile : public PersistenceTest {
 protected:
  std::string trimmed_text() const {
    std::string text = read_text(file());
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
};

TEST_F(JsonFile, IsOneObjectIndentedByTwoSpacesWithSortedKeys) {
  Datastore store = open_file();
  store.set("b", "text");
  store.set("c", nullptr);
  store.set("a", 1);
  store.set("B", 2.0);
  store.set("", false);
  store.save();
  EXPECT_EQ(trimmed_text(), "{\n  \"\": false,\n  \"B\": 2.0,\n  \"a\": 1,\n  \"b\": \"text\",\n  \"c\": null\n}");
  store.erase("b");
  store.set("d", Value::object({{"y", 1}, {"x", Value::array({1, 2})}}));
  store.save();
  const std::string text = read_text(file());
  EXPECT_NE(text.find("\n  \"d\": {\n    \"x\": ["), std::string::npos) << text;
  EXPECT_NE(text.find("\n    \"y\": 1\n  }"), std::string::npos) << text;
}

TEST_F(JsonFile, LeavesOutTheReservedMemberWhereThereIsNothingToSay) {
  Datastore store = open_file();
  store.set("key", 1);
  store.save();
  EXPECT_EQ(read_text(file()).find("$cubby"), std::string::npos);
  store.expire("key", 1h);
  store.save();
  EXPECT_NE(read_text(file()).find("$cubby"), std::string::npos);
  store.remove_expiry("key");
  store.save();
  EXPECT_EQ(read_text(file()).find("$cubby"), std::string::npos);
  store.clear();
  store.save();
  EXPECT_EQ(read_json(file()), Value::object({}));
}

TEST_F(JsonFile, HoldsDeadlinesBesideTheData) {
  Datastore store = open_file();
  const std::int64_t before = epoch_milliseconds(SystemClock::now());
  store.set("with", 1, 10h);
  store.set("without", 2);
  store.save();
  const std::int64_t after = epoch_milliseconds(SystemClock::now());
  const Value saved = read_json(file());
  EXPECT_EQ(saved.size(), 3u);
  EXPECT_EQ(saved["with"], Value(1));
  EXPECT_EQ(saved["without"], Value(2));
  EXPECT_EQ(saved["$cubby"]["version"], Value(1));
  const Value expires = saved["$cubby"]["expires"];
  EXPECT_EQ(expires.size(), 1u);
  ASSERT_TRUE(expires["with"].is_int());
  EXPECT_GE(expires["with"].as_int(), before + 36'000'000 - kClockSlack);
  EXPECT_LE(expires["with"].as_int(), after + 36'000'000 + kClockSlack);
}

TEST_F(JsonFile, IsWrittenByCloseAndReadByOpen) {
  open_file().set("key", "value");
  close(file_store_name_);
  EXPECT_EQ(read_json(file()), Value::object({{"key", "value"}}));
  Datastore store = open_file();
  EXPECT_EQ(store.get("key"), Value("value"));
  EXPECT_EQ(store.size(), 1u);
}

TEST_F(JsonFile, IsNotNeededAtOpen) {
  Datastore store = open_file();
  EXPECT_EQ(store.size(), 0u);
  store.save();
  EXPECT_EQ(read_json(file()), Value::object({}));
}

TEST_F(JsonFile, BringsBackEveryValueAndKey) {
  Datastore store = open_file();
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}};
  const std::pair<std::string, Value> contents[] = {
      {"null", nullptr},
      {"", "empty key"},
      {std::string("nul\0key", 7), std::string("nul\0value", 9)},
      {"quote\"back\\slash\n", "\t\x01\x7f"},
      {"\u00fcml\u00e4ut \U0001F600", "\u00df"},
      {"max", std::numeric_limits<std::int64_t>::max()},
      {"min", std::numeric_limits<std::int64_t>::min()},
      {"third", 1.0 / 3.0},
      {"tiny", std::numeric_limits<double>::denorm_min()},
      {"integral", 1e15},
      {"nan", std::nan("")},
      {"infinity", -std::numeric_limits<double>::infinity()},
      {"binary", Value::binary(bytes)},
      {"nested", Value::array({1, Value::object({{"a", Value::array({})}}), "x"})},
      {std::string(65535, 'k'), 1},
  };
  for (const auto& [key, value] : contents) store.set(key, value);
  for (int number = 1; number <= 1000; ++number) store.push("queue", number);
  store.shift("queue");
  Datastore again = reopen_file();
  EXPECT_EQ(again.size(), std::size(contents) + 1);
  for (const auto& [key, value] : contents) {
    EXPECT_EQ(again.get(key), value) << key.substr(0, 50);
    EXPECT_EQ(again.get(key)->type(), value.type()) << key.substr(0, 50);
  }
  EXPECT_EQ(again.get("queue"), integers(2, 1000));
}

TEST_F(JsonFile, BringsBackValuesOfTheDeepestNesting) {
  Value deep = Value::array({});
  for (int depth = 1; depth < 512; ++depth) deep = Value::array({deep});
  open_file().set("deep", deep);
  EXPECT_EQ(reopen_file().get("deep"), deep);
}

TEST_F(JsonFile, BringsBackDeadlines) {
  Datastore store = open_file();
  store.set("with", 1, 10h);
  store.set("without", 2);
  store.set("huge", 3, std::chrono::hours::max());
  Datastore again = reopen_file();
  ASSERT_TRUE(again.ttl("with").has_value());
  EXPECT_LE(*again.ttl("with"), 10h + std::chrono::milliseconds(kClockSlack));
  EXPECT_GT(*again.ttl("with"), 9h);
  EXPECT_EQ(again.ttl("without"), std::nullopt);
  EXPECT_EQ(again.get("huge"), Value(3));
  EXPECT_GT(again.ttl("huge").value(), 24h * 365);
}

TEST_F(JsonFile, PlainOrWithDeadlinesFromElsewhereLoadsAsItIs) {
  write_text(file(), R"({"plain":[1,{"a":null}],"z":1,"z":2})");
  EXPECT_EQ(open_file().get("plain"), Value::parse(R"([1, {"a": null}])"));
  EXPECT_EQ(open_file().get("z"), Value(2)) << "of a repeated member the last one wins";
  EXPECT_EQ(open_file().size(), 2u);
  close(file_store_name_);
  const std::int64_t now = epoch_milliseconds(SystemClock::now());
  write_text(
      file(),
      Value::object(
          {{"gone", 1},
           {"lives", 2},
           {"$cubby", Value::object({{"version", 1},
                                     {"expires", Value::object({{"gone", now - 3'600'000}, {"lives", now + 36'000'000}})}})}})
          .to_json());
  Datastore store = open_file();
  EXPECT_FALSE(store.exists("gone")) << "a key that has passed its deadline is not loaded";
  EXPECT_EQ(store.size(), 1u);
  EXPECT_EQ(store.keys(), std::vector<std::string>{"lives"});
  EXPECT_GT(store.ttl("lives").value(), 9h);
}

TEST_F(JsonFile, KeysThatExpireBeforeTheSaveAreNotInIt) {
  Datastore store = open_file();
  store.set("gone", 1, 1ms);
  store.set("lives", 1);
  outlive(1ms);
  store.save();
  EXPECT_EQ(read_json(file()), Value::object({{"lives", 1}}));
}

TEST_F(JsonFile, OfANewerVersionIsRefused) {
  const std::string text = R"({"key": 1, "$cubby": {"version": 2}})";
  write_text(file(), text);
  EXPECT_THROW(open_file(), Error);
  EXPECT_FALSE(contains(names(), file_store_name_));
  EXPECT_EQ(read_text(file()), text);
}

TEST_F(JsonFile, ThatIsDamagedIsRefusedWithPathAndOffsetAndNeverOverwritten) {
  const std::string damaged[] = {"",
                                 "{",
                                 "[1, 2]",
                                 "5",
                                 "null",
                                 "{\"key\": 1",
                                 "{\"key\": 1} trailing",
                                 "{\"key\": nope}",
                                 "{\"key\" 1}",
                                 "{\"key\": \"\xff\"}",
                                 std::string("{\"key\": 1}\0\0\0", 13),
                                 R"({"key": 1, "$cubby": 5})",
                                 R"({"key": 1, "$cubby": {"version": "one"}})",
                                 R"({"key": 1, "$cubby": {"version": 1, "expires": [1]}})",
                                 R"({"key": 1, "$cubby": {"version": 1, "expires": {"key": "soon"}}})"};
  for (const std::string& text : damaged) {
    write_text(file(), text);
    EXPECT_TRUE(throws(Errc::corrupt, {"store.json", file_store_name_}, [&] { return open_file(); })) << text;
    EXPECT_FALSE(contains(names(), file_store_name_)) << text;
    EXPECT_NO_THROW(close(file_store_name_));
    EXPECT_NO_THROW(shutdown());
    EXPECT_EQ(read_text(file()), text);
  }
  write_text(file(), "{\"key\": 1,\n \"other\": nope}");
  try {
    open_file();
    FAIL() << "opened";
  } catch (const Error& error) {
    EXPECT_GE(error.offset(), 21u);
    EXPECT_LE(error.offset(), 25u);
    EXPECT_NE(std::string_view(error.what()).find(std::to_string(error.offset())), std::string_view::npos) << error.what();
  }
}

TEST_F(JsonFile, ThatIsAFolderIsAnIoError) {
  std::filesystem::create_directory(file());
  EXPECT_TRUE(throws(Errc::io, {"store.json"}, [&] { return open_file(); }));
  EXPECT_TRUE(std::filesystem::is_directory(file()));
}

TEST_F(JsonFile, TooLargeValuesLoadBecauseTheCapIsForWrites) {
  write_text(file(), Value::object({{"large", std::string(5000, 'x')}}).to_json());
  Options capped = options();
  capped.max_value_bytes = 1000;
  Datastore store = open_other(capped);
  EXPECT_EQ(store.get("large")->size(), 5000u);
  store.load();
  EXPECT_EQ(store.get("large")->size(), 5000u);
  EXPECT_TRUE(throws(Errc::value_too_large, {}, [&] { store.set("large", std::string(5000, 'x')); }));
}

using Load = JsonFile;

TEST_F(Load, SetsEachKeyOfTheFileAndLeavesTheOthers) {
  Datastore store = open_file();
  store.set("both", "old", 1h);
  store.set("mine", 1, 1h);
  const std::int64_t later = epoch_milliseconds(SystemClock::now()) + 36'000'000;
  write_text(file(),
             Value::object({{"both", "new"},
                            {"dated", 1},
                            {"theirs", 2},
                            {"$cubby", Value::object({{"version", 1}, {"expires", Value::object({{"dated", later}})}})}})
                 .to_json());
  store.set("dated", 0);
  store.load();
  EXPECT_EQ(store.get("both"), Value("new"));
  EXPECT_EQ(store.ttl("both"), std::nullopt) << "the file says it has no deadline";
  EXPECT_EQ(store.get("mine"), Value(1));
  EXPECT_TRUE(store.ttl("mine").has_value());
  EXPECT_EQ(store.get("theirs"), Value(2));
  EXPECT_EQ(store.get("dated"), Value(1));
  EXPECT_GT(store.ttl("dated").value(), 9h);
  EXPECT_FALSE(store.exists("$cubby"));
  EXPECT_EQ(store.size(), 4u);
}

TEST_F(Load, EndsWaitsAsSetDoes) {
  Datastore store = open_file();
  write_text(file(), R"({"key": 5, "queue": [1, 2]})");
  auto value = start([&] { return store.wait("key", kLong); });
  auto element = start([&] { return store.shift_wait("queue", kLong); });
  ASSERT_TRUE(waiting(store, 2));
  store.load();
  EXPECT_EQ(value.value(), Value(5));
  EXPECT_EQ(element.value(), Value(1));
  EXPECT_EQ(store.get("queue"), integers(2, 2));
}

TEST_F(Load, OfADamagedFileChangesNothingAndALaterSaveWritesTheStore) {
  Datastore store = open_file();
  store.set("a", 1);
  store.set("b", 2, 1h);
  for (const char* text : {"", "[]", "{\"a\": 9, \"c\": 9, ", "{\"a\": 9, \"b\": x}", "{\"a\": 9, \"$cubby\": 1}"}) {
    write_text(file(), text);
    EXPECT_TRUE(throws(Errc::corrupt, {"load", file_store_name_, "store.json"}, [&] { store.load(); })) << text;
    EXPECT_EQ(read_text(file()), text);
    EXPECT_EQ(store.get("a"), Value(1));
    EXPECT_EQ(store.get("b"), Value(2));
    EXPECT_TRUE(store.ttl("b").has_value());
    EXPECT_EQ(store.size(), 2u);
  }
  store.save();
  EXPECT_EQ(read_json(file())["a"], Value(1));
  EXPECT_EQ(read_json(file())["b"], Value(2));
}

TEST_F(Load, OfAMissingFileIsAnIoErrorAndChangesNothing) {
  Datastore store = open_file();
  store.set("key", 1);
  EXPECT_TRUE(throws(Errc::io, {"load", file_store_name_, "store.json"}, [&] { store.load(); }));
  EXPECT_EQ(store.get("key"), Value(1));
}

TEST_F(Load, GivesBackWhatWasSaved) {
  Datastore store = open_file();
  for (int key = 0; key < 1000; ++key) store.set(std::to_string(key), key);
  store.save();
  for (int key = 0; key < 1000; ++key) store.set(std::to_string(key), "changed");
  store.set("0", 0, 1h);
  store.erase("999");
  store.load();
  for (int key = 0; key < 1000; ++key) EXPECT_EQ(store.get(std::to_string(key)), Value(key));
  EXPECT_EQ(store.ttl("0"), std::nullopt);
}

TEST_F(JsonFile, OpenedReadOnlyIsReadAndNotWritten) {
  const std::string text = R"({"key":   1})";
  write_text(file(), text);
  Options read_only = options();
  read_only.read_only = true;
  Datastore store = open_other(read_only);
  const std::string name(store.name());
  EXPECT_EQ(store.get("key"), Value(1));
  EXPECT_TRUE(throws(Errc::read_only, {"save", name}, [&] { store.save(); }));
  close(name);
  EXPECT_EQ(read_text(file()), text);
}

}  // namespace
}  // namespace cubby::contract
