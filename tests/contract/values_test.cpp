// SPDX-License-Identifier: Apache-2.0

// Section 2 in brief: what must compile, what must not, and one test a clause. tests/unit has the values in depth.

#include <cmath>
#include <limits>
#include <map>
#include <sstream>
#include <unordered_set>

#include "support.hpp"

namespace cubby::contract {
namespace {

// All constructors are implicit.
static_assert(std::is_convertible_v<std::nullptr_t, Value>);
static_assert(std::is_convertible_v<bool, Value>);
static_assert(std::is_convertible_v<char, Value>);
static_assert(std::is_convertible_v<short, Value>);
static_assert(std::is_convertible_v<int, Value>);
static_assert(std::is_convertible_v<unsigned, Value>);
static_assert(std::is_convertible_v<long long, Value>);
static_assert(std::is_convertible_v<unsigned long long, Value>);
static_assert(std::is_convertible_v<std::size_t, Value>);
static_assert(std::is_convertible_v<float, Value>);
static_assert(std::is_convertible_v<double, Value>);
static_assert(std::is_convertible_v<const char*, Value>);
static_assert(std::is_convertible_v<char*, Value>);
static_assert(std::is_convertible_v<std::string, Value>);
static_assert(std::is_convertible_v<std::string_view, Value>);

// bool takes bool only: other pointers don't compile.
enum class Scoped { one };
static_assert(!std::is_constructible_v<Value, void*>);
static_assert(!std::is_constructible_v<Value, const int*>);
static_assert(!std::is_constructible_v<Value, Value*>);
static_assert(!std::is_constructible_v<Value, void (*)()>);
static_assert(!std::is_constructible_v<Value, Scoped>);
static_assert(!std::is_constructible_v<Value, std::optional<int>>);

static_assert(std::is_nothrow_copy_constructible_v<Value>);
static_assert(std::is_nothrow_move_constructible_v<Value>);
static_assert(std::is_copy_constructible_v<Datastore>);
static_assert(!std::is_copy_constructible_v<Transaction>);
static_assert(std::is_base_of_v<std::system_error, Error>);
static_assert(std::is_error_code_enum_v<Errc>);

TEST(Values, HaveTheTypeTheyWereMadeFrom) {
  EXPECT_EQ(Value().type(), Type::null);
  EXPECT_EQ(Value(nullptr).type(), Type::null);
  EXPECT_EQ(Value(true).type(), Type::boolean);
  EXPECT_EQ(Value(7).type(), Type::integer);
  EXPECT_EQ(Value('a').type(), Type::integer);
  EXPECT_EQ(Value(1.5f).type(), Type::real);
  EXPECT_EQ(Value("text").type(), Type::string);
  EXPECT_EQ(Value(std::string("text")).type(), Type::string);
  EXPECT_EQ(Value::binary({}).type(), Type::binary);
  EXPECT_EQ(Value::array({1, "two", nullptr}).type(), Type::array);
  EXPECT_EQ(Value::object({{"a", 1}, {"b", "two"}}).type(), Type::object);
  EXPECT_EQ(Value::array(std::vector<int>{1, 2}), Value::array({1, 2}));
  EXPECT_EQ(Value::object(std::map<std::string, int>{{"a", 1}}), Value::object({{"a", 1}}));
}

TEST(Values, AccessorsOfAnotherTypeThrowTypeMismatch) {
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value(1).as_bool(); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value(1.0).as_int(); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value(1).as_string().size(); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value(1).as_binary().size(); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value("1").as_double(); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value(1)[0]; }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value(1).elements(); }));
  EXPECT_TRUE(throws(Errc::type_mismatch, {}, [] { return Value::array({}).members(); }));
  EXPECT_TRUE(throws(Errc::invalid_argument, {}, [] { return Value::array({1})[1]; }));
  EXPECT_EQ(Value(3).as_double(), 3.0);
  EXPECT_EQ(Value(1)["name"], Value());
  EXPECT_EQ(Value::object({{"a", 1}})["b"], Value());
  EXPECT_EQ(Value(1).find("name"), std::nullopt);
  EXPECT_FALSE(Value(1).contains("name"));
}

TEST(Values, IntegersAreExactAndCompareExactlyWithReals) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(Value(5), Value(5.0));
  EXPECT_NE(Value(kMax), Value(static_cast<double>(kMax)));  // the double is 2^63
  EXPECT_NE(Value((std::int64_t{1} << 53) + 1), Value(std::ldexp(1.0, 53)));
  EXPECT_EQ(Value(std::nan("")), Value(std::nan("")));
  EXPECT_EQ(std::hash<Value>()(Value(5)), std::hash<Value>()(Value(5.0)));
  EXPECT_TRUE(throws(Errc::overflow, {}, [] { return Value(std::numeric_limits<std::uint64_t>::max()); }));
}

TEST(Values, PrintAsJsonWithSortedMembersAndShortestReals) {
  const Value value = Value::parse(R"({"b": [1, 2.0, 0.1], "a": null, "a": true})");
  EXPECT_EQ(value.to_json(), R"({"a":true,"b":[1,2.0,0.1]})");
  EXPECT_EQ(Value::parse(value.to_json(2)), value);
  std::ostringstream out;
  out << value;
  EXPECT_EQ(out.str(), value.to_json());
  EXPECT_EQ(Value::parse("9223372036854775808"), Value(9223372036854775808.0));
}

TEST(Values, ObjectsCompareByMembersInAnyOrder) {
  EXPECT_EQ(Value::object({{"a", 1}, {"b", 2}}), Value::object({{"b", 2.0}, {"a", 1}}));
  EXPECT_NE(Value::object({{"a", 1}}), Value::object({{"a", 1}, {"b", 2}}));
}

TEST(Values, TextThatIsNotJsonThrowsParseWithTheOffset) {
  try {
    Value::parse(R"({"a": 1, "b": nope})");
    FAIL() << "parsed";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::parse);
    EXPECT_GE(error.offset(), 14u);
    EXPECT_LE(error.offset(), 18u);
  }
  for (const char* text : {"", "[1,", "1e999", R"("\ud800")", "[1] 2"}) {
    EXPECT_TRUE(throws(Errc::parse, {}, [&] { return Value::parse(text); })) << text;
  }
}

TEST(Values, ExtendedJsonReadsBackToTheSameValue) {
  const std::vector<std::byte> bytes{std::byte{0}, std::byte{255}, std::byte{7}};
  const Value value = Value::array({Value::binary(bytes), std::nan(""), std::numeric_limits<double>::infinity()});
  EXPECT_EQ(Value::parse(value.to_json()), value);
  EXPECT_EQ(Value::binary(bytes).to_json(), R"({"$binary":{"base64":"AP8H","subType":"00"}})");
  EXPECT_EQ(Value(std::nan("")).to_json(), R"({"$numberDouble":"NaN"})");
}

TEST(Values, StringsHoldAnyBytesButOnlyUtf8Prints) {
  const Value nul(std::string_view("a\0b", 3));
  EXPECT_EQ(nul.size(), 3u);
  EXPECT_EQ(Value::parse(nul.to_json()), nul);
  EXPECT_TRUE(throws(Errc::invalid_argument, {}, [] { return Value("\xff").to_json(); }));
}

TEST(Values, NestingIsLimitedTo512) {
  Value value = Value::array({});
  for (int depth = 1; depth < 512; ++depth) value = Value::array({value});
  EXPECT_EQ(Value::parse(value.to_json()), value);
  EXPECT_TRUE(throws(Errc::invalid_argument, {}, [&] { return Value::array({value}); }));
  EXPECT_TRUE(throws(Errc::parse, {}, [&] { return Value::parse("[" + value.to_json() + "]"); }));
}

TEST(Values, RangesOverATemporaryAreSafe) {
  std::int64_t sum = 0;
  for (const Value& element : Value::array({1, 2, 3}).elements()) sum += element.as_int();
  for (const auto& [name, member] : Value::object({{"first", 4}, {"second", 5}}).members()) {
    EXPECT_FALSE(name.empty());
    sum += member.as_int();
  }
  EXPECT_EQ(sum, 15);
}

TEST(Errors, CompareWithErrcAndCarryWhat) {
  const Error error(Errc::timeout, "waited in vain");
  EXPECT_EQ(error.code(), Errc::timeout);
  EXPECT_NE(error.code(), Errc::closed);
  EXPECT_NE(std::string_view(error.what()).find("waited in vain"), std::string_view::npos);
  EXPECT_NE(error.code().message(), "");
}

}  // namespace
}  // namespace cubby::contract
