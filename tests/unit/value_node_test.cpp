// SPDX-License-Identifier: Apache-2.0

// What the library relies on in a value's bytes: nodes can be copied, children cut out, foreign bytes verified.

#include <gtest/gtest.h>

#include <map>

#include "value_test_support.hpp"

namespace cubby {
namespace {

using detail::ValueAccess;
using value_test::code_of;
using value_test::Generator;
using value_test::node_bytes;

bool verifies(const Value& value) {
  if (ValueAccess::is_counted(value)) return detail::verify_node(ValueAccess::tag(value), node_bytes(value));
  return detail::verify_words(ValueAccess::head(value), ValueAccess::body(value));
}

/// Each child, cut out of its parent's block, is a value of its own and equal to what it was.
void expect_self_contained(const Value& value) {
  ASSERT_TRUE(verifies(value)) << value;
  if (ValueAccess::is_counted(value)) {
    const Value cut_out = ValueAccess::compact(value);
    ASSERT_TRUE(ValueAccess::is_whole_block(cut_out));
    ASSERT_EQ(cut_out, value);
    ASSERT_EQ(node_bytes(cut_out), node_bytes(value));
  }
  if (value.is_array()) {
    for (const Value& element : value.elements()) expect_self_contained(element);
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.members()) {
      expect_self_contained(member);
      ASSERT_EQ(value[name], member);
    }
  }
}

TEST(NodeTest, RandomValuesVerifyAndSoDoTheirChildren) {
  Generator random(1);
  for (int i = 0; i < 800; ++i) {
    const Value value = random.value(4);
    ASSERT_EQ(ValueAccess::node_size(value) % 8, 0u);
    expect_self_contained(value);
  }
}

TEST(NodeTest, ParsedAndConstructedValuesHaveTheSameBytes) {
  Generator random(2);
  const auto rebuilt = [](const auto& self, const Value& value) -> Value {
    if (value.is_array()) {
      std::vector<Value> elements;
      for (const Value& element : value.elements()) elements.push_back(self(self, element));
      return Value::array(elements);
    }
    if (!value.is_object()) return value;
    std::vector<std::pair<std::string, Value>> members;
    for (const auto& [name, member] : value.members()) members.emplace(members.begin(), name, self(self, member));
    return Value::object(members);
  };
  for (int i = 0; i < 500; ++i) {
    const Value value = random.value(4);
    ASSERT_EQ(node_bytes(rebuilt(rebuilt, value)), node_bytes(value));
  }
}

TEST(NodeTest, VerifierRefusesOtherTagsAndSizes) {
  const Value object = Value::parse(R"({"a":[1,"some text that is long"],"b":{"c":0.1}})");
  std::vector<std::byte> bytes = node_bytes(object);
  EXPECT_TRUE(detail::verify_node(detail::node::kObject, bytes));
  for (std::uint64_t tag = 0; tag < 20; ++tag) {
    EXPECT_EQ(detail::verify_node(tag, bytes), tag == detail::node::kObject) << tag;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A buffer of its own size, so that a read beyond it is seen.
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(detail::verify_node(detail::node::kObject, cut)) << size;
  }
  bytes.resize(bytes.size() + 8);
  EXPECT_FALSE(detail::verify_node(detail::node::kObject, bytes));
}

TEST(NodeTest, WhatPassesTheVerifierIsWhatTheWriterMakes) {
  Generator random(3);
  int passed = 0;
  for (int i = 0; i < 5000; ++i) {
    const Value value = random.value(2);
    std::vector<std::byte> bytes = node_bytes(value);
    if (bytes.empty()) continue;
    bytes[random.below(bytes.size())] ^= static_cast<std::byte>(1 << random.below(8));
    if (!detail::verify_node(ValueAccess::tag(value), bytes)) continue;
    ++passed;
    // Made again from what can be read in it, it has the same bytes.
    const Value read = ValueAccess::from_node(ValueAccess::tag(value), bytes.data());
    expect_self_contained(read);
    std::vector<std::pair<std::string, Value>> members;
    Value again = read;
    if (read.is_array()) again = Value::array(read.elements());
    if (read.is_object()) again = Value::object(read.members());
    if (read.is_string()) again = Value(read.as_string());
    ASSERT_EQ(node_bytes(again), bytes);
  }
  EXPECT_GT(passed, 25);  // bits of text and numbers may be anything
}

TEST(NodeTest, VerifiesWords) {
  EXPECT_TRUE(detail::verify_words(detail::node::kNull, 0));
  EXPECT_FALSE(detail::verify_words(detail::node::kNull, 1));
  EXPECT_FALSE(detail::verify_words(detail::node::kTrue | 0x100, 0));
  EXPECT_FALSE(detail::verify_words(6, 0));
  EXPECT_FALSE(detail::verify_words(detail::node::kArray, 8));
  EXPECT_FALSE(detail::verify_words(detail::node::kShortString | 15 << 8, 0));
  EXPECT_FALSE(detail::verify_words(detail::node::kShortString | 1 << 8 | 0x414100ull << 8, 0));
}

TEST(NodeTest, RetainedAndBorrowedValues) {
  const Value whole = Value::parse(R"({"inner":{"text":"long enough for a node"},"n":5})");
  detail::Block* const block = ValueAccess::block(whole);
  const Value inner = whole["inner"];
  EXPECT_FALSE(ValueAccess::is_whole_block(inner));
  EXPECT_TRUE(ValueAccess::is_whole_block(whole));
  EXPECT_TRUE(ValueAccess::is_whole_block(5));
  EXPECT_EQ(block->references.load(), 2u);
  {
    const ValueAccess::Borrowed borrowed(block, ValueAccess::offset(inner), ValueAccess::tag(inner));
    EXPECT_EQ(block->references.load(), 2u);
    EXPECT_EQ(borrowed.get(), inner);
    EXPECT_EQ(borrowed.get()["text"].as_string(), "long enough for a node");
    const Value kept = borrowed;
    EXPECT_EQ(block->references.load(), 3u);
  }
  EXPECT_EQ(block->references.load(), 2u);
  const Value retained = ValueAccess::retained(block, ValueAccess::offset(inner), detail::node::kObject);
  EXPECT_EQ(retained, inner);
  EXPECT_EQ(block->references.load(), 3u);
  const ValueAccess::Borrowed word(ValueAccess::head(5), ValueAccess::body(5));
  EXPECT_EQ(word.get(), 5);
  EXPECT_EQ(ValueAccess::from_words(ValueAccess::head("abc"), ValueAccess::body("abc")), Value("abc"));
  EXPECT_EQ(ValueAccess::stored_size(5), 16u);
  EXPECT_EQ(ValueAccess::stored_size(whole), ValueAccess::node_size(whole));
}

TEST(NodeTest, ASessionIsCompact) {
  const std::string text =
      R"({"created":1767225600,"name":"Basel-Landschaft","role":"member","theme":"dark","unread":12,"user":"ch-bl-0042"})";
  EXPECT_LE(ValueAccess::node_size(Value::parse(text)), text.size() + 40);
}

TEST(NodeTest, ArraysOfManyRuns) {
  std::vector<std::vector<Value>> chunks(100);
  std::vector<Value> all;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      chunks[i].push_back(j % 3 == 0 ? Value("a string that is long " + std::to_string(i)) : Value(i * j));
      all.push_back(chunks[i].back());
    }
  }
  const std::vector<std::span<const Value>> runs(chunks.begin(), chunks.end());
  const Value array = detail::make_array(runs);
  EXPECT_EQ(array, Value::array(all));
  EXPECT_EQ(node_bytes(array), node_bytes(Value::array(all)));
  EXPECT_EQ(detail::make_array(std::span<const std::span<const Value>>{}), Value::array({}));
}

TEST(NodeTest, WideNames) {
  for (const std::size_t length : {100u, 250u, 255u, 256u, 65530u, 65535u, 65536u, 200000u}) {
    const Value object = Value::object({{std::string(length, 'n'), length}, {"a", "z"}, {std::string(length, 'm') + "m", 1}});
    EXPECT_EQ(object[std::string(length, 'n')], length);
    EXPECT_EQ(object["a"].as_string(), "z");
    EXPECT_TRUE(verifies(object));
  }
}

TEST(MergePatchTest, TheExamplesOfRfc7396) {
  const char* const cases[][3] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"a":"foo"})", R"(null)", R"(null)"},
      {R"({"a":"foo"})", R"("bar")", R"("bar")"},
      {R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      {R"({"b":1,"d":2,"f":3})", R"({"a":0,"c":0,"d":null,"e":0,"g":0})", R"({"a":0,"b":1,"c":0,"e":0,"f":3,"g":0})"},
  };
  for (const auto& [target, patch, result] : cases) {
    const Value merged = detail::merge_patch(Value::parse(target), Value::parse(patch));
    EXPECT_EQ(merged.to_json(), result) << target << " + " << patch;
    EXPECT_TRUE(verifies(merged));
    EXPECT_TRUE(ValueAccess::is_whole_block(merged));
  }
}

/// The RFC's own pseudocode.
Value plain_merge(const Value& target, const Value& patch) {
  if (!patch.is_object()) return patch;
  std::map<std::string, Value> result;
  if (target.is_object()) {
    for (const auto& [name, value] : target.members()) result[std::string(name)] = value;
  }
  for (const auto& [name, value] : patch.members()) {
    if (value.is_null()) {
      result.erase(std::string(name));
    } else {
      result[std::string(name)] = plain_merge(result[std::string(name)], value);
    }
  }
  return Value::object(result);
}

TEST(MergePatchTest, AgreesWithThePseudocode) {
  std::mt19937_64 random(4);
  const auto object = [&](const auto& self, int depth) -> Value {
    std::vector<std::pair<std::string, Value>> members;
    for (std::uint64_t i = random() % 5; i > 0; --i) {
      const std::string name(1, static_cast<char>('a' + random() % 6));
      if (depth > 0 && random() % 2 == 0) {
        members.emplace_back(name, self(self, depth - 1));
      } else {
        members.emplace_back(name, random() % 3 == 0 ? Value() : Value(random() % 100));
      }
    }
    return Value::object(members);
  };
  for (int i = 0; i < 3000; ++i) {
    const Value target = object(object, 4), patch = object(object, 4);
    ASSERT_EQ(detail::merge_patch(target, patch).to_json(), plain_merge(target, patch).to_json());
  }
}

TEST(MergePatchTest, WhatIsPutOverIsAsIfItWereMadeAnew) {
  std::mt19937_64 random(5);
  const auto scalar = [&]() -> Value {
    switch (random() % 8) {
      case 0:
        return random() % 2 == 0;
      case 1:
        return static_cast<std::int64_t>(random());
      case 2:
        return static_cast<std::int64_t>(random() % 1000);
      case 3:
        return 0.1 * static_cast<double>(random() % 100);
      case 4:
        return Value::binary(std::as_bytes(std::span("some bytes, some", 3 + random() % 14)));
      case 5:
        return Value::array({1});
      default:
        return std::string(random() % 30, static_cast<char>('a' + random() % 26));
    }
  };
  for (const std::size_t members : {1U, 5U, 30U, 40U, 100U}) {
    std::vector<std::pair<std::string, Value>> all;
    for (std::size_t index = 0; index < members; ++index) all.emplace_back("member " + std::to_string(index), scalar());
    Value target = Value::object(all);
    for (int round = 0; round < 400; ++round) {
      std::vector<std::pair<std::string, Value>> changes;
      for (std::uint64_t count = random() % 4; count > 0; --count)
        changes.emplace_back(all[random() % members].first, scalar());
      const Value patch = Value::object(changes);
      const Value merged = detail::merge_patch(target, patch), expected = plain_merge(target, patch);
      ASSERT_TRUE(verifies(merged));
      ASSERT_TRUE(ValueAccess::is_whole_block(merged));
      ASSERT_EQ(ValueAccess::node_size(merged), ValueAccess::node_size(expected));
      ASSERT_EQ(std::memcmp(ValueAccess::node(merged), ValueAccess::node(expected), ValueAccess::node_size(merged)), 0);
      target = merged;
    }
  }
}

TEST(MergePatchTest, DeepPatches) {
  std::string deep, ends;
  for (int i = 0; i < 512; ++i) deep += "{\"x\":", ends += '}';
  const Value target = Value::parse(deep + "1" + ends), patch = Value::parse(deep + "2" + ends);
  EXPECT_EQ(detail::merge_patch(target, patch), patch);
  EXPECT_EQ(detail::merge_patch({}, patch), patch);
}

}  // namespace
}  // namespace cubby
