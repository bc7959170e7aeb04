// SPDX-License-Identifier: Apache-2.0
#include "storage/json_file.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cubby/error.hpp>

#include "memory_file_system.hpp"

namespace cubby::detail {
namespace {

using testing::MemoryFileSystem;

constexpr const char* kJsonPath = "/data/store.json";

std::vector<SavedKey> sorted(std::vector<SavedKey> keys) {
  std::ranges::sort(keys, {}, &SavedKey::key);
  return keys;
}

std::string text_of(const std::vector<SavedKey>& keys) {
  MemoryFileSystem disk;
  write_json_file(disk, kJsonPath, keys);
  return disk.contents(kJsonPath).value();
}

LoadedFile loaded_from(std::string text) {
  MemoryFileSystem disk;
  disk.put(kJsonPath, std::move(text));
  return read_json_file(disk, kJsonPath).value();
}

/// What a test compares: a line a key.
std::vector<std::string> lines_of(const LoadedFile& file) {
  std::vector<std::string> lines;
  for (const LoadedKey& loaded : file.keys) {
    lines.push_back(loaded.key + " = " + loaded.value.to_json());
    if (loaded.expires_ms) lines.back() += " until " + std::to_string(*loaded.expires_ms);
  }
  return lines;
}

using Lines = std::vector<std::string>;

struct Refusal {
  Errc code{};
  std::string what;
  std::size_t offset = 0;
};

template <class F>
Refusal refusal(F f) {
  try {
    f();
  } catch (const Error& error) {
    return {static_cast<Errc>(error.code().value()), error.what(), error.offset()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

Value nested(int levels) {
  Value value = 1;
  for (int i = 0; i < levels; ++i) value = i % 2 == 0 ? Value::array({value}) : Value::object({{"m", value}});
  return value;
}

// --------------------------------------------------------------------------------------------------------------------- writing

TEST(JsonFile, IsWrittenLikeThis) {
  EXPECT_EQ(text_of({}), "{}\n");
  EXPECT_EQ(text_of(sorted({{"number", 1, {}}})), "{\n  \"number\": 1\n}\n");
  const auto keys = sorted({
      {"session:7", Value::object({{"user", 7}, {"roles", Value::array({"admin", "op"})}}), 1767225600000},
      {"", nullptr, -1},
      {"#", true, {}},
      {"Queue", Value::array({}), {}},
      {"a \"b\"\n", Value::object({}), 0},
      {"ratio", 2.0, {}},
      {"\xc3\xa9", "\xc3\xa9\n", {}},
  });
  EXPECT_EQ(text_of(keys), R"({
  "": null,
  "#": true,
  "$cubby": {
    "expires": {
      "": -1,
      "a \"b\"\n": 0,
      "session:7": 1767225600000
    },
    "version": 1
  },
  "Queue": [],
  "a \"b\"\n": {},
  "ratio": 2.0,
  "session:7": {
    "roles": [
      "admin",
      "op"
    ],
    "user": 7
  },
  ")"
                           "\xc3\xa9\": \"\xc3\xa9\\n\"\n}\n");
}

TEST(JsonFile, IsWhatAnObjectOfItsMembersPrints) {
  const auto keys =
      sorted({{"b", Value::object({{"x", nested(5)}}), 5}, {"a", nested(4), {}}, {"$b", 1.5, {}}, {"$d", "s", 7}});
  const std::string text = text_of(keys);
  EXPECT_EQ(text, Value::parse(text).to_json(2) + "\n");
}

TEST(JsonFile, TheReservedMemberStandsWhereItSorts) {
  EXPECT_EQ(text_of({{"a", 1, 2}}).find("\"$cubby\""), 4U);
  const std::string last = text_of({{"$a", 1, 2}, {"$cubb", 1, {}}});
  EXPECT_GT(last.find("\"$cubby\""), last.find("\"$cubb\""));
  const std::string first = text_of({{"$cubby ", 1, 2}, {"$cubbyy", 1, {}}});
  EXPECT_LT(first.find("\"$cubby\": {"), first.find("\"$cubby \": 1"));
  EXPECT_EQ(lines_of(loaded_from(first)), (Lines{"$cubby  = 1 until 2", "$cubbyy = 1"}));
}

TEST(JsonFile, WhatJsonCantHoldIsRefusedByKeyAndTheOldFileStands) {
  const std::string bad = "caf\xe9";
  const std::vector<std::pair<std::vector<SavedKey>, std::string>> cases = {
      {{{"a", 1, {}}, {bad, 1, {}}}, R"("caf\xe9")"},
      {{{"a", 1, {}}, {bad, 1, 5}}, R"("caf\xe9")"},
      {{{std::string_view("\0\xff\"", 3), 1, {}}}, R"("\x00\xff\"")"},
      {{{"\xed\xa0\x80", 1, {}}}, R"("\xed\xa0\x80")"},
      {{{"$cubby", 1, {}}}, "\"$cubby\""},
      {{{"$cubby", Value::object({{"version", 1}}), 5}}, "\"$cubby\""},
      {{{"text", Value(bad), {}}}, "\"text\""},
      {{{"deep", Value::array({1, Value::object({{"x", Value::array({bad})}})}), {}}}, "\"deep\""},
      {{{"member", Value::object({{bad, 1}}), {}}}, "\"member\""},
  };
  for (const auto& one : cases) {
    const std::vector<SavedKey>& keys = one.first;
    const std::string& name = one.second;
    MemoryFileSystem disk;
    disk.put(kJsonPath, "old");
    const Refusal refused = refusal([&] { write_json_file(disk, kJsonPath, keys); });
    EXPECT_EQ(refused.code, Errc::invalid_argument) << refused.what;
    EXPECT_NE(refused.what.find(name), std::string::npos) << refused.what << " doesn't name " << name;
    EXPECT_EQ(disk.contents(kJsonPath), "old");
    EXPECT_EQ(disk.files(), 1U);
  }
  const std::string long_key(60000, '\xff');
  EXPECT_LT(refusal([&] { text_of({{long_key, 1, {}}}); }).what.size(), 1000U);
}

TEST(JsonFile, IsWrittenInBlocks) {
  // Thousands of keys, deadlines that alone fill blocks, and a value larger than a block.
  std::vector<std::string> names;
  for (int i = 0; i < 20'000; ++i) names.push_back("key:" + std::to_string(100'000 + i));
  std::vector<SavedKey> keys;
  for (const std::string& name : names) keys.push_back({name, Value::array({name, 1.5}), keys.size()});
  keys[700].value = Value(std::string(1'000'000, 'x'));
  MemoryFileSystem disk;
  disk.fail_at(0, 0);
  write_json_file(disk, kJsonPath, keys);
  EXPECT_GE(std::ranges::count(disk.calls(), "write"), 7);
  const auto file = read_json_file(disk, kJsonPath);
  ASSERT_EQ(file->keys.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    ASSERT_EQ(file->keys[i].key, keys[i].key);
    ASSERT_EQ(file->keys[i].value, keys[i].value);
    ASSERT_EQ(file->keys[i].expires_ms, keys[i].expires_ms);
  }
}

// --------------------------------------------------------------------------------------------------------------------- reading

TEST(JsonFile, EveryKindOfValueAndKeyComesBack) {
  const std::string long_key(65535, 'k');
  const std::byte bytes[] = {std::byte{0}, std::byte{255}, std::byte{'x'}};
  const auto keys = sorted({
      {"", "empty key", 1},
      {std::string_view("\0\x01\x7f", 3), std::string_view("\0\x1f\"\\/", 5), 2},
      {"null", nullptr, {}},
      {"true", true, {}},
      {"min", std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::min()},
      {"max", std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max()},
      {"third", 1.0 / 3, {}},
      {"negative zero", -0.0, {}},
      {"nan", std::nan(""), {}},
      {"infinity", -std::numeric_limits<double>::infinity(), {}},
      {"binary", Value::binary(bytes), {}},
      {"$numberDouble", "NaN", {}},
      {"$binary", Value::object({{"base64", "AA=="}, {"subType", "00"}}), {}},
      {"unicode \xf0\x9f\x98\x80", "\xf0\x9f\x98\x80 \xe2\x82\xac", 3},
      {long_key, 1, 4},
      {"512 levels", nested(512), {}},
      {"session", Value::object({{"a", Value::array({1, 2.5, nullptr})}, {"b", Value::object({})}}), 1767225600000},
  });
  const LoadedFile file = loaded_from(text_of(keys));
  ASSERT_EQ(file.keys.size(), keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    EXPECT_EQ(file.keys[i].key, keys[i].key);
    EXPECT_EQ(file.keys[i].value, keys[i].value) << keys[i].key;
    EXPECT_EQ(file.keys[i].value.type(), keys[i].value.type()) << keys[i].key;
    EXPECT_EQ(file.keys[i].expires_ms, keys[i].expires_ms) << keys[i].key;
  }
}

TEST(JsonFile, AMissingFileIsNoFile) {
  MemoryFileSystem disk;
  EXPECT_FALSE(read_json_file(disk, kJsonPath));
  const Refusal refused = refusal([&] { (void)read_json_file(disk, "/nowhere/store.json"); });
  EXPECT_EQ(refused.code, Errc::io);
  EXPECT_NE(refused.what.find("/nowhere/store.json"), std::string::npos);
}

TEST(JsonFile, AFailingReadIsReported) {
  for (const char* path : {kJsonPath, "/data/missing.json"}) {
    std::size_t call = 1;
    for (;; ++call) {
      MemoryFileSystem disk;
      disk.put(kJsonPath, "{}");
      disk.fail_at(call, EIO);
      try {
        (void)read_json_file(disk, path);
        break;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Errc::io);
      }
    }
    EXPECT_GE(call, 2U);
  }
}

TEST(JsonFile, APlainFileLoadsAsItIs) {
  EXPECT_TRUE(loaded_from("{}").keys.empty());
  EXPECT_TRUE(loaded_from(" \t\r\n{ } \n").keys.empty());
  EXPECT_EQ(lines_of(loaded_from(R"({"b":[1,{"x":2}],"a":"text","c":null})")),
            (Lines{"a = \"text\"", "b = [1,{\"x\":2}]", "c = null"}));
  // The outer object is never the spelling of a number or binary.
  EXPECT_EQ(lines_of(loaded_from(R"({"$numberDouble":"NaN"})")), (Lines{R"($numberDouble = "NaN")"}));
  EXPECT_EQ(lines_of(loaded_from(R"({"$binary":{"base64":"AA==","subType":"00"}})")),
            (Lines{R"($binary = {"base64":"AA==","subType":"00"})"}));
  EXPECT_TRUE(loaded_from(R"({"a":{"$numberDouble":"NaN"}})").keys[0].value.is_real());
}

TEST(JsonFile, OfARepeatedKeyTheLastCounts) {
  EXPECT_EQ(lines_of(loaded_from(R"({"b":1,"a":1,"b":2,"\u0061":3,"c":4,"b":5})")), (Lines{"a = 3", "b = 5", "c = 4"}));
  EXPECT_EQ(
      lines_of(loaded_from(R"({"a":1,"$cubby":{"version":1,"expires":{"a":1}},"$cubby":{"version":1,"expires":{"a":2}}})")),
      (Lines{"a = 1 until 2"}));
  EXPECT_EQ(lines_of(loaded_from(R"({"a":1,"$cubby":{"version":1,"expires":{"a":1}},"$cubby":{"version":1}})")),
            (Lines{"a = 1"}));
}

TEST(JsonFile, DeadlinesFindTheirKeysInAnyOrder) {
  EXPECT_EQ(lines_of(loaded_from(R"({"c":3,"a":1,"$cubby":{"expires":{"c":30,"b":20,"a":-10,"d":0,"":1},"version":1},"b":2})")),
            (Lines{"a = 1 until -10", "b = 2 until 20", "c = 3 until 30"}));
  EXPECT_TRUE(loaded_from(R"({"$cubby":{"version":1,"expires":{"gone":5}}})").keys.empty());
  EXPECT_EQ(lines_of(loaded_from(R"({"\u0024cubby":{"version":1,"expires":{}},"a":1})")), (Lines{"a = 1"}));
}

TEST(JsonFile, ADamagedFileIsRefusedWithPathAndOffset) {
  const std::vector<std::pair<std::string, std::size_t>> cases = {
      {"", 0},
      {"  ", 2},
      {"null", 0},
      {"[1]", 0},
      {"\"text\"", 0},
      {"42", 0},
      {"{", 1},
      {"{\"a\"", 4},
      {"{\"a\":", 5},
      {"{\"a\":1", 6},
      {"{\"a\":1,", 7},
      {"{\"a\":1,}", 7},
      {"{\"a\":1 \"b\":2}", 7},
      {"{\"a\" 1}", 5},
      {"{a:1}", 1},
      {"{\"a\":1}}", 7},
      {"{\"a\":1} x", 8},
      {"{\"a\":1}{\"b\":2}", 7},
      {std::string("{}\0", 3), 2},
  };
  for (const auto& one : cases) {
    const std::string& text = one.first;
    const std::size_t offset = one.second;
    const Refusal refused = refusal([&] { (void)loaded_from(text); });
    EXPECT_EQ(refused.code, Errc::corrupt) << text << ": " << refused.what;
    EXPECT_EQ(refused.offset, offset) << text << ": " << refused.what;
    EXPECT_NE(refused.what.find(kJsonPath), std::string::npos) << refused.what;
    EXPECT_NE(refused.what.find(std::to_string(offset)), std::string::npos) << refused.what;
  }
  // Here it is the parser's to say which byte exactly.
  for (const std::string text :
       {"{\"a\":tru}", "{\"a\":[1,2}", "{\"a\":[1}}", "{\"a\":\"x}", "{\"a\":\"\xff\"}", "{\"\xff\":1}", "{\"a\":\"\\ud800\"}",
        "{\"a\":1e999}", "{\"a\":\"\n\"}", "{\"a\":01}", "{\"a\":'x'}", "{\"a\":NaN}", "{/**/}", "\xef\xbb\xbf{}"}) {
    const Refusal refused = refusal([&] { (void)loaded_from(text); });
    EXPECT_EQ(refused.code, Errc::corrupt) << text << ": " << refused.what;
    EXPECT_LE(refused.offset, text.size()) << text;
    EXPECT_GE(refused.offset + 6, std::min<std::size_t>(6, text.size())) << text;
  }
}

TEST(JsonFile, EveryTruncationIsRefused) {
  const std::string text = text_of({{"a", Value::array({1, "x\xc3\xa9"}), 5}, {"b", Value::object({{"c", 2.5}}), {}}});
  for (std::size_t length = 0; length + 1 < text.size(); ++length) {
    const Refusal refused = refusal([&] { (void)loaded_from(text.substr(0, length)); });
    EXPECT_EQ(refused.code, Errc::corrupt) << length;
    EXPECT_LE(refused.offset, length);
  }
  EXPECT_EQ(loaded_from(text.substr(0, text.size() - 1)).keys.size(), 2U);  // only the newline is missing
}

TEST(JsonFile, AReservedMemberThatIsNotUnderstoodIsRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"null", "not an object"},
      {"1", "not an object"},
      {"[]", "not an object"},
      {"{}", "no version"},
      {R"({"expires":{}})", "no version"},
      {R"({"version":2})", "version 2"},
      {R"({"version":2,"expires":7,"more":1})", "version 2"},
      {R"({"version":0})", "version 0"},
      {R"({"version":-1})", "version -1"},
      {R"({"version":9223372036854775808})", "integer"},
      {R"({"version":1.0})", "integer"},
      {R"({"version":"1"})", "integer"},
      {R"({"version":null})", "integer"},
      {R"({"version":1,"expires":[]})", "expires"},
      {R"({"version":1,"expires":null})", "expires"},
      {R"({"version":1,"expires":{"a":1.5}})", "\"a\""},
      {R"({"version":1,"expires":{"a":"1"}})", "\"a\""},
      {R"({"version":1,"expires":{"a":null}})", "\"a\""},
      {R"({"version":1,"expires":{"gone":true}})", "\"gone\""},
      {R"({"version":1,"expires":{"a":9223372036854775808}})", "\"a\""},
      {R"({"version":1,"expire":{"a":1}})", "\"expire\""},
  };
  for (const auto& [reserved, reason] : cases) {
    const std::string before = "{\"a\":1,\"$cubby\":" + reserved;
    const Refusal refused = refusal([&] { (void)loaded_from(before + ",\"b\":2}"); });
    EXPECT_EQ(refused.code, Errc::corrupt) << reserved << ": " << refused.what;
    EXPECT_LE(refused.offset, before.size()) << reserved << ": " << refused.what;
    EXPECT_GE(refused.offset, before.size() - 1) << reserved << ": " << refused.what;
    EXPECT_NE(refused.what.find(reason), std::string::npos) << refused.what;
    EXPECT_NE(refused.what.find(kJsonPath), std::string::npos) << refused.what;
  }
}

TEST(JsonFile, LimitsOfKeysAndNesting) {
  const auto file_of = [](const std::string& key, int levels) {
    std::string text = "{\"" + key + "\":";
    for (int i = 0; i < levels; ++i) text += '[';
    for (int i = 0; i < levels; ++i) text += ']';
    return text + "}";
  };
  EXPECT_EQ(loaded_from(file_of(std::string(65535, 'k'), 512)).keys.size(), 1U);
  EXPECT_EQ(refusal([&] { (void)loaded_from(file_of(std::string(65536, 'k'), 0)); }).code, Errc::corrupt);
  EXPECT_EQ(refusal([&] { (void)loaded_from(file_of("k", 513)); }).code, Errc::corrupt);
  EXPECT_EQ(refusal([&] { (void)loaded_from("{\"k\":" + std::string(1'000'000, '[')); }).code, Errc::corrupt);
  // Extended JSON doesn't count as a level.
  EXPECT_EQ(
      loaded_from("{\"k\":" + std::string(512, '[') + "{\"$numberDouble\":\"NaN\"}" + std::string(512, ']') + "}").keys.size(),
      1U);
}

// ------------------------------------------------------------------------------------------------------------------- atomicity

const std::vector<SavedKey>& new_contents() {
  static const std::string large(300'000, 'x');
  static const std::vector<SavedKey> keys = {{"a", Value(large), 5}, {"b", Value(large), {}}, {"c", 1, {}}};
  return keys;
}

TEST(JsonFile, AtEveryFailingCallTheOldFileOrTheNewOneStandsWhole) {
  const std::string fresh = text_of(new_contents());
  std::set<std::string> failed_calls;
  bool failed = true;
  for (std::size_t call = 1; failed; ++call) {
    MemoryFileSystem disk;
    disk.write_at_most(100'000);
    disk.put(kJsonPath, "old", 0600);
    disk.fail_at(call, ENOSPC);
    failed = false;
    try {
      write_json_file(disk, kJsonPath, new_contents());
    } catch (const Error& error) {
      failed = true;
      failed_calls.insert(disk.calls()[call - 1]);
      EXPECT_EQ(error.code(), Errc::io);
      EXPECT_NE(std::string(error.what()).find(kJsonPath), std::string::npos) << error.what();
    }
    const bool renamed = !failed || disk.calls()[call - 1] == "sync_folder";
    EXPECT_EQ(disk.contents(kJsonPath), renamed ? fresh : "old") << "call " << call;
    EXPECT_EQ(disk.files(), 1U) << "call " << call;
    disk.no_faults();
    EXPECT_EQ(disk.status(kJsonPath)->permissions, 0600U);
  }
  EXPECT_EQ(failed_calls,
            (std::set<std::string>{"resolve", "status", "create", "write", "sync", "close", "rename", "sync_folder"}));
}

TEST(JsonFile, PowerLossAtEveryCallLeavesTheOldFileOrTheNewOneWhole) {
  const std::string old = "{\n  \"a\": 1\n}\n";
  const std::string fresh = text_of(new_contents());
  for (const auto survival : MemoryFileSystem::kSurvivals) {
    bool returned = false;
    for (std::size_t call = 1; !returned; ++call) {
      MemoryFileSystem disk;
      disk.write_at_most(100'000);
      disk.put(kJsonPath, old);
      disk.lose_power_at(call);
      try {
        write_json_file(disk, kJsonPath, new_contents());
        returned = true;
      } catch (const Error&) {
      }
      disk.restart(survival);
      const auto found = disk.contents(kJsonPath);
      EXPECT_TRUE(found == fresh || (found == old && !returned)) << "call " << call;
      EXPECT_EQ(read_json_file(disk, kJsonPath)->keys.size(), found == fresh ? 3U : 1U);
    }
  }
}

TEST(JsonFile, OnARealDisk) {
  std::string name = (std::filesystem::temp_directory_path() / "cubby-json-file-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const std::filesystem::path folder(name);
  const std::filesystem::path path = folder / "store.json";
  FileSystem& disk = real_file_system();
  EXPECT_FALSE(read_json_file(disk, path));
  for (int round = 0; round < 2; ++round) {
    write_json_file(disk, path, new_contents());
    EXPECT_EQ(disk.read(path), text_of(new_contents()));
    EXPECT_EQ(read_json_file(disk, path)->keys.size(), 3U);
  }
  EXPECT_EQ(refusal([&] { write_json_file(disk, folder / "missing" / "s.json", new_contents()); }).code, Errc::io);
  EXPECT_EQ(refusal([&] { (void)read_json_file(disk, folder / "missing" / "s.json"); }).code, Errc::io);
  EXPECT_EQ(refusal([&] { write_json_file(disk, folder, new_contents()); }).code, Errc::io);
  EXPECT_EQ(refusal([&] { (void)read_json_file(disk, folder); }).code, Errc::io);
  EXPECT_EQ(refusal([&] {
              write_json_file(disk, path, std::vector<SavedKey>{{"$cubby", 1, {}}});
            }).code,
            Errc::invalid_argument);
  EXPECT_EQ(disk.read(path), text_of(new_contents()));
  std::filesystem::remove(path);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace cubby::detail
