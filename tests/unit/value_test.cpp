// SPDX-License-Identifier: Apache-2.0

// Section 2 of the contract, clause by clause: making values, reading them, comparing them. JSON has a file of its own.

#include <gtest/gtest.h>

#include <cmath>
#include <list>
#include <map>
#include <sstream>
#include <unordered_set>

#include "value_test_support.hpp"

namespace cubby {
namespace {

using value_test::code_of;
using value_test::node_bytes;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

TEST(ValueTest, HasTheTypeItWasMadeOf) {
  EXPECT_EQ(Value().type(), Type::null);
  EXPECT_EQ(Value(nullptr).type(), Type::null);
  EXPECT_EQ(Value(true).type(), Type::boolean);
  EXPECT_EQ(Value(5).type(), Type::integer);
  EXPECT_EQ(Value('a').type(), Type::integer);
  EXPECT_EQ(Value(5u).type(), Type::integer);
  EXPECT_EQ(Value(1.5f).type(), Type::real);
  EXPECT_EQ(Value(1.5).type(), Type::real);
  EXPECT_EQ(Value("text").type(), Type::string);
  EXPECT_EQ(Value(std::string(100, 'x')).type(), Type::string);
  EXPECT_EQ(Value(std::string_view("text")).type(), Type::string);
  EXPECT_EQ(Value::binary({}).type(), Type::binary);
  EXPECT_EQ(Value::array({}).type(), Type::array);
  EXPECT_EQ(Value::object({}).type(), Type::object);
}

TEST(ValueTest, PredicatesAgreeWithTheType) {
  const std::vector<Value> values = {
      {}, false, 7, 0.5, "s", std::string(50, 's'), Value::binary({}), Value::array({}), Value::object({})};
  for (const Value& value : values) {
    const Type type = value.type();
    EXPECT_EQ(value.is_null(), type == Type::null);
    EXPECT_EQ(value.is_bool(), type == Type::boolean);
    EXPECT_EQ(value.is_int(), type == Type::integer);
    EXPECT_EQ(value.is_real(), type == Type::real);
    EXPECT_EQ(value.is_number(), type == Type::integer || type == Type::real);
    EXPECT_EQ(value.is_string(), type == Type::string);
    EXPECT_EQ(value.is_binary(), type == Type::binary);
    EXPECT_EQ(value.is_array(), type == Type::array);
    EXPECT_EQ(value.is_object(), type == Type::object);
  }
}

TEST(ValueTest, BoolTakesBoolOnly) {
  static_assert(!std::is_constructible_v<Value, int*>);
  static_assert(!std::is_constructible_v<Value, const void*>);
  static_assert(!std::is_constructible_v<Value, const unsigned char*>);
  static_assert(std::is_convertible_v<bool, Value> && std::is_convertible_v<const char*, Value>);
  static_assert(std::is_convertible_v<std::uint8_t, Value> && std::is_convertible_v<float, Value>);
  static_assert(std::is_convertible_v<std::nullptr_t, Value> && std::is_convertible_v<std::string, Value>);
  EXPECT_TRUE(Value("pointer to text").is_string());
}

TEST(ValueTest, IntegersAreExact) {
  for (const std::int64_t integer : {kMin, kMin + 1, -(std::int64_t{1} << 55) - 1, -(std::int64_t{1} << 55), std::int64_t{-1},
                                     std::int64_t{0}, (std::int64_t{1} << 55) - 1, std::int64_t{1} << 55, kMax}) {
    EXPECT_EQ(Value(integer).as_int(), integer);
    EXPECT_EQ(Value::array({integer})[0].as_int(), integer);
    EXPECT_EQ(Value::parse(Value(integer).to_json()).as_int(), integer);
  }
  EXPECT_EQ(Value(static_cast<std::uint64_t>(kMax)).as_int(), kMax);
  EXPECT_EQ(code_of([] { Value(static_cast<std::uint64_t>(kMax) + 1); }), Errc::overflow);
  EXPECT_EQ(code_of([] { Value(~0ULL); }), Errc::overflow);
}

TEST(ValueTest, RealsKeepTheirBits) {
  for (const double real : {0.0, -0.0, 0.1, 1.5, 1e300, 5e-324, kInfinity, -kInfinity, kNan}) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(Value(real).as_double()), std::bit_cast<std::uint64_t>(real));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(Value::array({real})[0].as_double()), std::bit_cast<std::uint64_t>(real));
  }
  EXPECT_EQ(Value(7).as_double(), 7.0);
}

TEST(ValueTest, AccessorsRefuseOtherTypes) {
  const std::vector<Value> values = {
      {}, false, 7, 0.5, "s", std::string(50, 's'), Value::binary({}), Value::array({}), Value::object({})};
  for (const Value& value : values) {
    const auto expect = [&](bool allowed, auto&& call) {
      EXPECT_EQ(code_of(call), allowed ? Errc{} : Errc::type_mismatch) << value;
    };
    expect(value.is_bool(), [&] { (void)value.as_bool(); });
    expect(value.is_int(), [&] { (void)value.as_int(); });
    expect(value.is_number(), [&] { (void)value.as_double(); });
    expect(value.is_string(), [&] { (void)value.as_string(); });
    expect(value.is_binary(), [&] { (void)value.as_binary(); });
    expect(value.is_array(), [&] { (void)value.elements(); });
    expect(value.is_object(), [&] { (void)value.members(); });
    if (!value.is_array()) expect(false, [&] { (void)value[0]; });
    if (!value.is_object()) {
      EXPECT_TRUE(value["name"].is_null());
      EXPECT_FALSE(value.find("name").has_value());
      EXPECT_FALSE(value.contains("name"));
    }
  }
  try {
    (void)Value("text").as_int();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::type_mismatch);
    EXPECT_STREQ(error.what(), "as_int: the value is a string");
  }
}

TEST(ValueTest, StringsOfAnyLengthAndBytes) {
  for (std::size_t length = 0; length < 70; ++length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>(i * 37);  // begins with NUL
    const Value value(text);
    EXPECT_EQ(value.as_string(), text);
    EXPECT_EQ(value.size(), length);
    EXPECT_EQ(value, Value(text));
    const Value array = Value::array({1, text, 2});
    EXPECT_EQ(array[1].as_string(), text);
    EXPECT_EQ(array[1], value);
    EXPECT_EQ(Value::object({{text, text}})[text], value);
  }
}

TEST(ValueTest, ShortStringsPointIntoTheValue) {
  const Value value("fourteen bytes");
  const auto* const begin = reinterpret_cast<const char*>(&value);
  EXPECT_EQ(value.as_string().data(), begin + 2);
  EXPECT_EQ(detail::ValueAccess::node_size(value), 0u);
}

TEST(ValueTest, BinariesAreNotStrings) {
  const std::string text = "bytes";
  const Value value = Value::binary(std::as_bytes(std::span(text)));
  EXPECT_EQ(value.size(), 5u);
  EXPECT_EQ(std::memcmp(value.as_binary().data(), text.data(), 5), 0);
  EXPECT_NE(value, Value(text));
  EXPECT_EQ(Value::binary({}).size(), 0u);
  EXPECT_EQ(Value::array({value})[0], value);
}

TEST(ValueTest, ArraysFromListsAndRanges) {
  const Value list = Value::array({1, "two", nullptr, 4.0, Value::array({true})});
  EXPECT_EQ(list.size(), 5u);
  EXPECT_EQ(list[0], 1);
  EXPECT_EQ(list[1].as_string(), "two");
  EXPECT_TRUE(list[2].is_null());
  EXPECT_EQ(list[4][0], true);
  EXPECT_EQ(Value::array(std::vector<int>{1, 2, 3}), Value::array({1, 2, 3}));
  EXPECT_EQ(Value::array(std::vector<std::string>{"a", "b"}), Value::array({"a", "b"}));
  EXPECT_EQ(Value::array(std::list<double>{0.5, 1.5}), Value::array({0.5, 1.5}));
  EXPECT_EQ(Value::array(list.elements()), list);
  EXPECT_EQ(Value::array({}).size(), 0u);
}

TEST(ValueTest, ArrayIndexIsChecked) {
  const Value array = Value::array({1, 2});
  EXPECT_EQ(code_of([&] { (void)array[2]; }), Errc::invalid_argument);
  EXPECT_EQ(code_of([&] { (void)array[-1]; }), Errc::invalid_argument);
  EXPECT_EQ(code_of([&] { (void)array[~std::size_t{0}]; }), Errc::invalid_argument);
  EXPECT_EQ(code_of([] { (void)Value::array({})[0]; }), Errc::invalid_argument);
}

TEST(ValueTest, ObjectsFromListsAndRanges) {
  const Value list = Value::object({{"b", 2}, {"a", 1}});
  EXPECT_EQ(list.size(), 2u);
  EXPECT_EQ(list["a"], 1);
  EXPECT_EQ(list["b"], 2);
  EXPECT_TRUE(list["c"].is_null());
  EXPECT_EQ(Value::object(std::map<std::string, int>{{"a", 1}, {"b", 2}}), list);
  EXPECT_EQ(Value::object(std::vector<std::pair<const char*, Value>>{{"b", 2}, {"a", 1}}), list);
  EXPECT_EQ(Value::object(list.members()), list);
  EXPECT_EQ(Value::object({}).size(), 0u);
}

TEST(ValueTest, LastOfRepeatedNamesWins) {
  EXPECT_EQ(Value::object({{"a", 1}, {"b", 2}, {"a", 3}, {"a", 4}}), Value::object({{"a", 4}, {"b", 2}}));
  std::vector<std::pair<std::string, int>> many;
  for (int i = 0; i < 300; ++i) many.emplace_back("name" + std::to_string(i % 100), i);
  const Value value = Value::object(many);
  EXPECT_EQ(value.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(value["name" + std::to_string(i)], 200 + i);
}

TEST(ValueTest, FindsEveryMemberInObjectsOfAnySize) {
  for (const std::size_t size : {1u, 2u, 7u, 8u, 9u, 16u, 17u, 31u, 32u, 33u, 100u, 1000u}) {
    std::vector<std::pair<std::string, Value>> members;
    for (std::size_t i = 0; i < size; ++i) {
      // Names of many lengths, those that share length, first and last byte among them.
      members.emplace_back("x" + std::to_string(i * 7919 % 1009) + std::string(i % 20, 'y') + "z", i);
    }
    const Value object = Value::object(members);
    ASSERT_EQ(object.size(), size);
    for (const auto& [name, value] : members) {
      EXPECT_EQ(object[name], value);
      EXPECT_EQ(object.find(name), value);
      EXPECT_TRUE(object.contains(name));
      EXPECT_FALSE(object.contains(name + "z"));
      EXPECT_FALSE(object.contains(name.substr(1)));
    }
    EXPECT_FALSE(object.contains(""));
    EXPECT_FALSE(object.contains("zzz"));
  }
}

TEST(ValueTest, NamesHoldAnyBytes) {
  using namespace std::string_view_literals;
  const Value object = Value::object({{""sv, 0}, {"\0"sv, 1}, {"a\0b"sv, 2}, {"a\0c"sv, 3}, {"\xff\xfe"sv, 4}, {"a"sv, 5}});
  EXPECT_EQ(object.size(), 6u);
  EXPECT_EQ(object[""], 0);
  EXPECT_EQ(object["\0"sv], 1);
  EXPECT_EQ(object["a\0b"sv], 2);
  EXPECT_EQ(object["a\0c"sv], 3);
  EXPECT_EQ(object["\xff\xfe"sv], 4);
  EXPECT_EQ(object["a"], 5);
  std::vector<std::string> names;
  for (const auto& [name, value] : object.members()) names.emplace_back(name);
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(names.back(), "\xff\xfe");
}

TEST(ValueTest, NullMemberIsNotAMissingOne) {
  const Value object = Value::object({{"a", nullptr}});
  EXPECT_TRUE(object.contains("a"));
  EXPECT_TRUE(object.find("a").has_value());
  EXPECT_FALSE(object.find("b").has_value());
}

TEST(ValueTest, RangesOutliveTheirValue) {
  std::string all;
  for (const Value& element : Value::array({"one", "a string that is long", 3}).elements()) all += element.to_json();
  EXPECT_EQ(all, "\"one\"\"a string that is long\"3");
  all.clear();
  for (const auto& [name, value] : Value::parse(R"({"k":["a string that is long"],"j":1})").members()) {
    all += std::string(name) + "=" + value.to_json() + ";";
  }
  EXPECT_EQ(all, R"(j=1;k=["a string that is long"];)");
  std::string_view name;
  Value child;
  {
    const Value object = Value::object({{"a name that is long enough", Value::array({"and a long element"})}});
    std::tie(name, child) = *object.members().begin();
  }
  EXPECT_EQ(name, "a name that is long enough");  // child shares the block
  EXPECT_EQ(child[0].as_string(), "and a long element");
}

TEST(ValueTest, RangesAreForwardRanges) {
  static_assert(std::ranges::forward_range<Value::Elements> && std::ranges::forward_range<Value::Members>);
  const Value array = Value::array({1, 2, 3});
  EXPECT_EQ(std::ranges::distance(array.elements()), 3);
  EXPECT_EQ(array.elements().size(), 3u);
  EXPECT_TRUE(Value::array({}).elements().empty());
  EXPECT_EQ(array.elements()[1], 2);
}

TEST(ValueTest, ValuesAreCheapToCopyAndMove) {
  Value value = Value::array({"some text that is long", 1});
  const auto* const block = detail::ValueAccess::block(value);
  const Value copy = value;
  EXPECT_EQ(detail::ValueAccess::block(copy), block);
  const Value child = copy[0];
  EXPECT_EQ(detail::ValueAccess::block(child), block);
  const Value moved = std::move(value);
  EXPECT_TRUE(value.is_null());
  EXPECT_EQ(moved, copy);
  Value self = copy;
  self = *&self;
  EXPECT_EQ(self, copy);
  self = std::move(*&self);
  EXPECT_EQ(self, copy);
  EXPECT_EQ(block->references.load(), 4u);
}

TEST(ValueTest, NumbersCompareExactly) {
  EXPECT_EQ(Value(5), Value(5.0));
  EXPECT_NE(Value(5), Value(5.5));
  EXPECT_EQ(Value(0.0), Value(-0.0));
  EXPECT_EQ(Value(0), Value(-0.0));
  EXPECT_EQ(Value(kNan), Value(-kNan));
  EXPECT_EQ(Value(kNan), Value(std::numeric_limits<double>::signaling_NaN()));
  EXPECT_NE(Value(kNan), Value(0));
  EXPECT_NE(Value((std::int64_t{1} << 53) + 1), Value(9007199254740992.0));
  EXPECT_EQ(Value(std::int64_t{1} << 53), Value(9007199254740992.0));
  EXPECT_NE(Value(kMax), Value(9.223372036854775807e18));
  EXPECT_EQ(Value(kMin), Value(-9.223372036854775808e18));
  EXPECT_NE(Value(kMax), Value(kInfinity));
  EXPECT_NE(Value(1), Value(true));
  EXPECT_NE(Value(0), Value());
  EXPECT_NE(Value("1"), Value(1));
}

TEST(ValueTest, ContainersCompareByContents) {
  EXPECT_EQ(Value::array({1, 2}), Value::array({1.0, 2}));
  EXPECT_NE(Value::array({1, 2}), Value::array({2, 1}));
  EXPECT_NE(Value::array({1, 2}), Value::array({1}));
  EXPECT_NE(Value::array({}), Value::object({}));
  EXPECT_EQ(Value::object({{"a", 1}, {"b", Value::array({kNan})}}), Value::object({{"b", Value::array({kNan})}, {"a", 1.0}}));
  EXPECT_NE(Value::object({{"a", 1}}), Value::object({{"b", 1}}));
  EXPECT_NE(Value::object({{"a", 1}}), Value::object({{"a", 1}, {"b", nullptr}}));
  EXPECT_EQ(Value::array({-0.0}), Value::array({0}));
}

TEST(ValueTest, EqualValuesHaveEqualHashes) {
  const std::hash<Value> hash;
  EXPECT_EQ(hash(5), hash(5.0));
  EXPECT_EQ(hash(0), hash(-0.0));
  EXPECT_EQ(hash(kMin), hash(-9.223372036854775808e18));
  EXPECT_EQ(hash(kNan), hash(-kNan));
  EXPECT_EQ(hash(Value::object({{"a", 1}, {"b", 2}})), hash(Value::object({{"b", 2.0}, {"a", 1}})));
  EXPECT_NE(hash(kMax), hash(kMax - 1));
  EXPECT_NE(hash(Value::array({})), hash(Value::object({})));
  std::unordered_set<Value> set = {1, 1.0, "one", Value::array({1})};
  EXPECT_EQ(set.size(), 3u);
  EXPECT_TRUE(set.contains(Value::array({1.0})));
}

Value nested(int depth) {
  Value value = Value::array({});
  for (int i = 1; i < depth; ++i) value = i % 2 == 0 ? Value::array({value}) : Value::object({{"x", value}});
  return value;
}

TEST(ValueTest, NestsFiveHundredAndTwelveDeep) {
  const Value deepest = nested(512);
  EXPECT_EQ(code_of([&] { (void)Value::array({deepest}); }), Errc::invalid_argument);
  EXPECT_EQ(code_of([&] { (void)Value::object({{"x", deepest}}); }), Errc::invalid_argument);
  EXPECT_EQ(code_of([&] { (void)Value::array(std::vector<Value>{1, deepest}); }), Errc::invalid_argument);
  EXPECT_EQ(code_of([&] { (void)Value::object(std::map<std::string, Value>{{"x", deepest}}); }), Errc::invalid_argument);
  EXPECT_EQ(Value::parse(deepest.to_json()), deepest);
  EXPECT_EQ(Value::parse(deepest.to_json(2)), deepest);
  EXPECT_EQ(std::hash<Value>{}(deepest), std::hash<Value>{}(nested(512)));
  EXPECT_NE(deepest, nested(510));
}

TEST(ValueTest, EqualConstructionGivesEqualBytes) {
  const Value parsed = Value::parse(R"({"z":[1,"text of some length"],"a":{"n":null,"t":"medium str"},"b":0.1})");
  const Value made = Value::object({{"a", Value::object({{"t", "medium str"}, {"n", nullptr}})},
                                    {"b", 0.1},
                                    {"z", Value::array(std::vector<Value>{1, "text of some length"})}});
  EXPECT_EQ(node_bytes(parsed), node_bytes(made));
}

TEST(ValueTest, StreamsAsJson) {
  std::ostringstream out;
  out << Value::array({1, "a"}) << Value();
  EXPECT_EQ(out.str(), "[1,\"a\"]null");
}

TEST(ErrorTest, SaysWhatTheThrowerSaid) {
  const Error error(Errc::timeout, "wait on 'key': 5 ms are over", 17);
  EXPECT_STREQ(error.what(), "wait on 'key': 5 ms are over");
  EXPECT_EQ(error.offset(), 17u);
  EXPECT_EQ(error.code(), Errc::timeout);
  EXPECT_NE(error.code(), Errc::closed);
  EXPECT_STREQ(error.code().category().name(), "cubby");
  const std::error_code code = Errc::wrong_key;
  EXPECT_FALSE(code.message().empty());
  const Error copy = error;
  EXPECT_STREQ(copy.what(), error.what());
  std::unordered_set<std::string> messages;
  for (int i = 1; i <= static_cast<int>(Errc::wrong_key); ++i) messages.insert(error_category().message(i));
  EXPECT_EQ(messages.size(), static_cast<std::size_t>(Errc::wrong_key));
  EXPECT_EQ(error_category().message(4711), "unknown error 4711");
  EXPECT_THROW(throw error, std::system_error);
}

}  // namespace
}  // namespace cubby
