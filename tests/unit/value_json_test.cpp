// SPDX-License-Identifier: Apache-2.0

// Section 2 of the contract: JSON text in and out, Extended JSON, and what a text reader may get wrong.

#include <gtest/gtest.h>

#include "value_test_support.hpp"

namespace cubby {
namespace {

using value_test::code_of;
using value_test::nested_arrays;
using namespace std::string_literals;

constexpr std::size_t kNone = ~std::size_t{0};

/// Where parsing fails, or kNone.
std::size_t fails_at(std::string_view json) {
  try {
    (void)Value::parse(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::parse) << json;
    EXPECT_NE(std::string_view(error.what()), "");
    return error.offset();
  }
  return kNone;
}

std::string round_trip(std::string_view json) { return Value::parse(json).to_json(); }

Value bytes(std::string_view text) { return Value::binary(std::as_bytes(std::span(text))); }

TEST(JsonTest, ReadsEveryType) {
  const Value value =
      Value::parse(" { \"n\" : null , \"b\":[true,false],\r\n\t\"i\":-12,\"r\":1.25e2,\"s\":\"x\",\"o\":{},\"a\":[]}\n ");
  EXPECT_EQ(value.to_json(), R"({"a":[],"b":[true,false],"i":-12,"n":null,"o":{},"r":125.0,"s":"x"})");
  EXPECT_TRUE(Value::parse("null").is_null());
  EXPECT_EQ(Value::parse("\"\"").as_string(), "");
}

TEST(JsonTest, LastOfRepeatedMembersWins) {
  EXPECT_EQ(round_trip(R"({"a":1,"b":2,"a":{"x":3}})"), R"({"a":{"x":3},"b":2})");
  EXPECT_EQ(round_trip(R"({"\u0061":1,"a":2})"), R"({"a":2})");
}

TEST(JsonTest, PrintsMembersSortedByBytes) {
  EXPECT_EQ(Value::object({{"b", 1}, {"a", 1}, {"", 1}, {"B", 1}, {"é", 1}, {"aa", 1}}).to_json(),
            R"({"":1,"B":1,"a":1,"aa":1,"b":1,"é":1})");
}

TEST(JsonTest, Indents) {
  const Value value = Value::parse(R"({"a":1,"b":[1,{"c":[]}],"d":{}})");
  EXPECT_EQ(value.to_json(2), "{\n  \"a\": 1,\n  \"b\": [\n    1,\n    {\n      \"c\": []\n    }\n  ],\n  \"d\": {}\n}");
  EXPECT_EQ(value.to_json(0), "{\n\"a\": 1,\n\"b\": [\n1,\n{\n\"c\": []\n}\n],\n\"d\": {}\n}");
  EXPECT_EQ(Value::object({{"a", 1}}).to_json(2), "{\n  \"a\": 1\n}");
  EXPECT_EQ(value.to_json(), R"({"a":1,"b":[1,{"c":[]}],"d":{}})");
  std::string text = "x";
  detail::append_json(text, Value::array({1}), 2, 3);
  EXPECT_EQ(text, "x[\n        1\n      ]");
}

TEST(JsonTest, IntegersReadExactly) {
  EXPECT_EQ(Value::parse("9223372036854775807").as_int(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Value::parse("-9223372036854775808").as_int(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(Value::parse("9007199254740993").as_int(), 9007199254740993);
  const Value minus_zero = Value::parse("-0");
  EXPECT_TRUE(minus_zero.is_int());
  EXPECT_EQ(minus_zero.as_int(), 0);
}

TEST(JsonTest, IntegersOutsideInt64ReadAsTheNearestReal) {
  EXPECT_TRUE(Value::parse("9223372036854775808").is_real());
  EXPECT_EQ(Value::parse("9223372036854775808").as_double(), 9223372036854775808.0);
  EXPECT_EQ(Value::parse("-9223372036854775809").as_double(), -9223372036854775808.0);
  EXPECT_EQ(Value::parse("18446744073709551616").as_double(), 18446744073709551616.0);
  EXPECT_EQ(Value::parse("100000000000000000000000").as_double(), 1e23);
  EXPECT_EQ(Value::parse("1" + std::string(308, '0')).as_double(), 1e308);
  EXPECT_EQ(fails_at("[1" + std::string(309, '0') + "]"), 1u);
}

TEST(JsonTest, RealsReadAsTheNearestDouble) {
  EXPECT_EQ(Value::parse("0.1").as_double(), 0.1);
  EXPECT_EQ(Value::parse("0.333333333333333314829616256247390992939472198486328125").as_double(), 1.0 / 3);
  EXPECT_EQ(Value::parse("2.2250738585072011e-308").as_double(), 2.2250738585072011e-308);
  EXPECT_EQ(Value::parse("1.7976931348623157e308").as_double(), 1.7976931348623157e308);
  EXPECT_EQ(Value::parse("179769313486231570" + std::string(291, '0')).as_double(), 1.7976931348623157e308);
  EXPECT_EQ(Value::parse("9007199254740993.0").as_double(), 9007199254740992.0);
  EXPECT_TRUE(Value::parse("1e2").is_real());
  EXPECT_TRUE(Value::parse("1.0").is_real());
  EXPECT_TRUE(std::signbit(Value::parse("-0.0").as_double()));
  EXPECT_TRUE(std::signbit(Value::parse("-0e0").as_double()));
}

TEST(JsonTest, SmallRealsRoundToTheNearest) {
  EXPECT_EQ(Value::parse("5e-324").as_double(), 5e-324);
  EXPECT_EQ(Value::parse("3e-324").as_double(), 5e-324);
  EXPECT_EQ(Value::parse("2e-324").as_double(), 0.0);
  EXPECT_EQ(Value::parse("1e-400").as_double(), 0.0);
  EXPECT_TRUE(std::signbit(Value::parse("-1e-400").as_double()));
  EXPECT_EQ(Value::parse("1e-99999999999999999999999").as_double(), 0.0);
  EXPECT_EQ(Value::parse("0." + std::string(5000, '0') + "1").as_double(), 0.0);
}

TEST(JsonTest, RealsTooLargeForADoubleAreRefused) {
  for (const char* number : {"1e309", "-1e309", "1.8e308", "1e99999999999999999999999", "0.1e310", "123456e305"}) {
    EXPECT_EQ(fails_at(number), 0u) << number;
    EXPECT_EQ(fails_at(std::string("[1, ") + number + "]"), 4u) << number;
  }
}

TEST(JsonTest, NumbersThatOnlyLookTooLargeAreRead) {
  EXPECT_EQ(Value::parse("0e999").as_double(), 0.0);
  EXPECT_TRUE(Value::parse("0e999").is_real());
  EXPECT_TRUE(std::signbit(Value::parse("-0e999").as_double()));
  EXPECT_EQ(Value::parse("0.0e99999999999999999999").as_double(), 0.0);
  EXPECT_EQ(Value::parse("0." + std::string(400, '0') + "1e400").as_double(), 0.1);
  EXPECT_EQ(Value::parse("1" + std::string(400, '0') + "e-400").as_double(), 1.0);
  EXPECT_EQ(Value::parse("1" + std::string(400, '0') + ".5e-400").as_double(), 1.0);
  const std::string text = R"({"a":[0e999,12345,"0e999 \" 0e999",-0.0e400],"b":true,"c":5e1,"d":2e-3})";
  EXPECT_EQ(round_trip(text), R"({"a":[0.0,12345,"0e999 \" 0e999",-0.0],"b":true,"c":50.0,"d":0.002})");
  EXPECT_EQ(fails_at("[0e999, 1e999]"), 8u);
  EXPECT_EQ(fails_at("[0e999, 1.]"), 10u);
  EXPECT_EQ(fails_at("[0e999 1]"), 7u);
}

TEST(JsonTest, MalformedNumbersAreRefused) {
  for (const char* number : {"01",  "-",    "+1",  "1.",       ".5",        "1e",  "1e+", "-01",   "0x10", "1_000",
                             "--1", "1.e1", "NaN", "Infinity", "-Infinity", "nan", "inf", "1e5.5", "00",   "-a"}) {
    EXPECT_NE(fails_at(number), kNone) << number;
    EXPECT_NE(fails_at(std::string("[") + number + "]"), kNone) << number;
  }
}

TEST(JsonTest, RealsPrintShortestAndReadBack) {
  const std::pair<double, const char*> cases[] = {{0.0, "0.0"},
                                                  {-0.0, "-0.0"},
                                                  {1.0, "1.0"},
                                                  {5.0, "5.0"},
                                                  {-2.5, "-2.5"},
                                                  {0.1, "0.1"},
                                                  {100000.0, "100000.0"},
                                                  {123456789.0, "123456789.0"},
                                                  {1e15, "1000000000000000.0"},
                                                  {1e300, "1e+300"},
                                                  {1e21, "1e+21"},
                                                  {1e-7, "1e-07"},
                                                  {5e-324, "5e-324"},
                                                  {1.0 / 3, "0.3333333333333333"},
                                                  {1.7976931348623157e308, "1.7976931348623157e+308"},
                                                  {9007199254740993.0, "9007199254740992.0"}};
  for (const auto& [real, text] : cases) {
    EXPECT_EQ(Value(real).to_json(), text);
    const Value back = Value::parse(text);
    ASSERT_TRUE(back.is_real()) << text;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(back.as_double()), std::bit_cast<std::uint64_t>(real)) << text;
  }
}

TEST(JsonTest, EscapesLittleAndReadsAllEscapes) {
  EXPECT_EQ(Value("\"\\/\b\f\n\r\t\x01\x1f\x7f é😀"s).to_json(), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f é😀\"");
  EXPECT_EQ(Value::parse(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\uDE00")").as_string(), "\"\\/\b\f\n\r\tAé€😀");
  EXPECT_EQ(Value::parse("\"\xf0\x9f\x98\x80\"").as_string(), "😀");
}

TEST(JsonTest, StringsAndNamesHoldNul) {
  const Value value = Value::object({{"a\0b"s, "c\0d"s}});
  EXPECT_EQ(value.to_json(), R"({"a\u0000b":"c\u0000d"})");
  EXPECT_EQ(Value::parse(value.to_json()), value);
  EXPECT_EQ(Value::parse(R"("\u0000")").size(), 1u);
}

TEST(JsonTest, LoneSurrogatesAreRefused) {
  EXPECT_EQ(fails_at(R"("\ud800")"), 1u);
  EXPECT_EQ(fails_at(R"("ab\udbffx")"), 3u);
  EXPECT_EQ(fails_at(R"("\ud800\ud800")"), 1u);
  EXPECT_EQ(fails_at(R"("\ud800\n")"), 1u);
  EXPECT_EQ(fails_at(R"("\udc00")"), 1u);
  EXPECT_EQ(fails_at(R"("\udc00\ud800")"), 7u);
  EXPECT_EQ(fails_at(R"(["x", "a\\\ud83d\ude00\uDFFF", 1])"), 22u);
  EXPECT_EQ(fails_at(R"({"\udfff":1})"), 2u);
  EXPECT_EQ(fails_at(R"("\"\\\"\udead")"), 7u);
  EXPECT_EQ(Value::parse(R"("\uD7FF\uE000")").as_string(), "\xed\x9f\xbf\xee\x80\x80");
}

TEST(JsonTest, InvalidUtf8IsRefused) {
  EXPECT_EQ(fails_at("\"ab\xff\""), 3u);
  for (const char* sequence :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xfe"}) {
    EXPECT_EQ(fails_at("\""s + sequence + "\""), 1u);
    EXPECT_EQ(fails_at("{\""s + sequence + "\":1}"), 2u);
    EXPECT_EQ(code_of([&] { (void)Value(sequence).to_json(); }), Errc::invalid_argument);
    EXPECT_EQ(code_of([&] { (void)Value(sequence + "x"s).to_json(); }), Errc::invalid_argument);
    EXPECT_EQ(code_of([&] { (void)Value::object({{sequence, 1}}).to_json(); }), Errc::invalid_argument);
    EXPECT_EQ(detail::find_invalid_utf8("é"s + sequence), 2u);
  }
  EXPECT_EQ(detail::find_invalid_utf8("aé€😀"), std::string_view::npos);
}

TEST(JsonTest, WritingNamesWhatIsNotUtf8) {
  const Value value = Value::object({{"users", Value::array({1, Value::object({{"name", "ab\xff"}})})}});
  std::string out = "before";
  try {
    detail::append_json(out, value, -1, 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "to_json: the string at /users/1/name is not UTF-8 at its byte 2; JSON can't hold it (binary can)");
  }
  EXPECT_EQ(out, "before");
}

TEST(JsonTest, ControlCharactersMustBeEscaped) {
  for (char c = 0; c < 0x20; ++c) EXPECT_EQ(fails_at("\"a"s + c + "\""), 2u) << int{c};
  EXPECT_EQ(Value::parse("\"\x7f\"").as_string(), "\x7f");
}

TEST(JsonTest, MalformedTextIsRefusedWithItsPlace) {
  EXPECT_EQ(fails_at(""), 0u);
  EXPECT_EQ(fails_at(std::string_view()), 0u);
  EXPECT_EQ(fails_at("   "), 3u);
  EXPECT_EQ(fails_at("\xef\xbb\xbf{}"), 0u);
  EXPECT_EQ(fails_at("1 2"), 2u);
  EXPECT_EQ(fails_at("{} x"), 3u);
  EXPECT_EQ(fails_at("1\0"s), 1u);
  EXPECT_EQ(fails_at("[1]\0\0"s), 3u);
  EXPECT_EQ(fails_at("1 \0 2"s), 2u);
  EXPECT_EQ(fails_at("[1,]"), 3u);
  EXPECT_EQ(fails_at("[1 2]"), 3u);
  EXPECT_EQ(fails_at("[1"), 2u);
  EXPECT_EQ(fails_at("[1}"), 2u);
  EXPECT_EQ(fails_at("{\"a\"}"), 4u);
  EXPECT_EQ(fails_at("{\"a\":}"), 5u);
  EXPECT_EQ(fails_at("{\"a\":1,}"), 7u);
  EXPECT_EQ(fails_at("{a:1}"), 1u);
  EXPECT_EQ(fails_at("{'a':1}"), 1u);
  EXPECT_NE(fails_at("\"abc"), kNone);
  EXPECT_EQ(fails_at("\"\\x\""), 1u);
  EXPECT_EQ(fails_at("\"\\u12g4\""), 1u);
  EXPECT_EQ(fails_at("[1] // comment"), 4u);
  EXPECT_NE(fails_at("nul"), kNone);
  EXPECT_NE(fails_at("True"), kNone);
  EXPECT_NE(fails_at("]"), kNone);
  EXPECT_NE(fails_at("\f1"), kNone);
}

TEST(JsonTest, NestsFiveHundredAndTwelveDeepAndNoDeeper) {
  EXPECT_EQ(round_trip(nested_arrays(512)), nested_arrays(512));
  EXPECT_EQ(fails_at(nested_arrays(513)), 512u);
  EXPECT_EQ(fails_at(std::string(10'000'000, '[')), 512u);
  std::string objects, ends;
  for (int i = 0; i < 513; ++i) objects += "{\"x\":", ends += '}';
  EXPECT_EQ(fails_at(objects + "1" + ends), 512 * 5u);
  EXPECT_NE(fails_at(objects), kNone);
  EXPECT_EQ(fails_at(objects.substr(5) + "1" + ends.substr(1)), kNone);
  EXPECT_EQ(detail::parse_json("[[]]", 2).size(), 1u);
  EXPECT_EQ(code_of([] { (void)detail::parse_json("[[[]]]", 2); }), Errc::parse);
}

TEST(JsonTest, ExtendedJsonFormsDoNotNest) {
  const std::string form = R"({"$binary":{"base64":"AAEC","subType":"00"}})";
  const auto wrapped = [](std::size_t depth, const std::string& inner) {
    return std::string(depth, '[') + inner + std::string(depth, ']');
  };
  for (const std::size_t depth : {510u, 511u, 512u}) {
    EXPECT_EQ(round_trip(wrapped(depth, form)), wrapped(depth, form));
    EXPECT_EQ(round_trip(wrapped(depth, R"({"$numberDouble":"NaN"})")), wrapped(depth, R"({"$numberDouble":"NaN"})"));
  }
  EXPECT_EQ(fails_at(wrapped(513, form)), 512u);
  EXPECT_EQ(fails_at(wrapped(512, "{}")), 512u);
  EXPECT_EQ(fails_at(wrapped(512, R"({"$numberDouble":"1"})")), 512u);
  EXPECT_EQ(fails_at(wrapped(512, R"({"$binary":{"base64":"AAE","subType":"00"}})")), 512u + 11);
  EXPECT_EQ(fails_at(wrapped(511, R"({"$binary":{"base64":"AAEC","subType":"00"},"x":1})")), 511u);
  EXPECT_EQ(fails_at(wrapped(511, R"({"x":{"base64":"AAEC","subType":"00"}})")), 511u + 5);
  EXPECT_EQ(fails_at(wrapped(511, R"({"$binary":1})")), kNone);
  EXPECT_EQ(fails_at(wrapped(512, R"({"$binary":{"base64":{"x":1}}})")), 512u + 21);
}

TEST(JsonTest, BinaryPrintsAsExtendedJson) {
  EXPECT_EQ(bytes("").to_json(), R"({"$binary":{"base64":"","subType":"00"}})");
  EXPECT_EQ(bytes("f").to_json(), R"({"$binary":{"base64":"Zg==","subType":"00"}})");
  EXPECT_EQ(bytes("fo").to_json(), R"({"$binary":{"base64":"Zm8=","subType":"00"}})");
  EXPECT_EQ(bytes("foo").to_json(), R"({"$binary":{"base64":"Zm9v","subType":"00"}})");
  EXPECT_EQ(bytes("\xfb\xff\xfe").to_json(), R"({"$binary":{"base64":"+//+","subType":"00"}})");
  EXPECT_EQ(bytes("f").to_json(2), "{\n  \"$binary\": {\n    \"base64\": \"Zg==\",\n    \"subType\": \"00\"\n  }\n}");
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(Value::parse(bytes(all).to_json()), bytes(all));
    EXPECT_EQ(Value::parse(Value::array({bytes(all)}).to_json(3))[0], bytes(all));
    all += static_cast<char>(i);
  }
  EXPECT_EQ(Value::parse(R"({ "$binary": {"subType":"00", "base64":"Zm8="} })"), bytes("fo"));
}

TEST(JsonTest, NonFiniteRealsPrintAsExtendedJson) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Value(std::nan("")).to_json(), R"({"$numberDouble":"NaN"})");
  EXPECT_EQ(Value(kInfinity).to_json(), R"({"$numberDouble":"Infinity"})");
  EXPECT_EQ(Value(-kInfinity).to_json(), R"({"$numberDouble":"-Infinity"})");
  EXPECT_EQ(Value(kInfinity).to_json(2), "{\n  \"$numberDouble\": \"Infinity\"\n}");
  for (const double real : {std::nan(""), kInfinity, -kInfinity}) {
    EXPECT_TRUE(Value::parse(Value(real).to_json()).is_real());
    EXPECT_EQ(Value::parse(Value(real).to_json()), Value(real));
  }
}

TEST(JsonTest, MalformedFormsArePlainObjects) {
  for (const char* text : {R"({"$binary":{"base64":"Zg==","subType":"01"}})",
                           R"({"$binary":{"base64":"Zg==","subType":0}})",
                           R"({"$binary":{"base64":"Zg=","subType":"00"}})",
                           R"({"$binary":{"base64":"Zg","subType":"00"}})",
                           R"({"$binary":{"base64":"Zh==","subType":"00"}})",
                           R"({"$binary":{"base64":"Zm9=","subType":"00"}})",
                           R"({"$binary":{"base64":"Z===","subType":"00"}})",
                           R"({"$binary":{"base64":"====","subType":"00"}})",
                           R"({"$binary":{"base64":"Zg==Zg==","subType":"00"}})",
                           R"({"$binary":{"base64":"Zg=v","subType":"00"}})",
                           R"({"$binary":{"base64":"Z g=","subType":"00"}})",
                           R"({"$binary":{"base64":"Zm9-","subType":"00"}})",
                           R"({"$binary":{"base64":"Zm9v"}})",
                           R"({"$binary":{"base64":"Zm9v","extra":1,"subType":"00"}})",
                           R"({"$binary":{"base64":7,"subType":"00"}})",
                           R"({"$binary":"Zm9v"})",
                           R"({"$binary":[]})",
                           R"({"$binary":{}})",
                           R"({"$binary":{"base64":"Zm9v","subType":"00"},"x":1})",
                           R"({"$numberDouble":"1.5"})",
                           R"({"$numberDouble":"nan"})",
                           R"({"$numberDouble":1.5})",
                           R"({"$numberDouble":"NaN","x":1})",
                           R"({"$numberDouble":"+Infinity"})",
                           R"({"$numberInt":"5"})",
                           R"({"base64":"Zm9v","subType":"00"})"}) {
    const Value value = Value::parse(text);
    EXPECT_TRUE(value.is_object()) << text;
    EXPECT_EQ(value.to_json(), text);
  }
}

TEST(JsonTest, ObjectThatSpellsAFormIsWhatItSpells) {
  const Value object = Value::object({{"$numberDouble", "NaN"}});
  EXPECT_TRUE(object.is_object());
  EXPECT_TRUE(Value::parse(object.to_json()).is_real());
  EXPECT_EQ(Value::parse(R"({"$numberDouble":1,"$numberDouble":"NaN"})"), Value(std::nan("")));
  EXPECT_EQ(Value::parse(R"({"$binary":1,"$binary":{"base64":"x","base64":"Zg==","subType":"00"}})"), bytes("f"));
}

TEST(JsonTest, ObjectsStreamMemberByMember) {
  std::string seen;
  const auto sink = [&](std::string_view name, const Value& value, std::size_t offset) {
    seen += std::string(name) + "=" + value.to_json() + "@" + std::to_string(offset) + " ";
    EXPECT_TRUE(detail::ValueAccess::is_whole_block(value));
  };
  detail::parse_json_object(R"({"b":[1,"a longer string"],"a":{"x":1},"a":2,"$n":{"$numberDouble":"NaN"}})", sink);
  EXPECT_EQ(seen, R"(b=[1,"a longer string"]@26 a={"x":1}@38 a=2@44 $n={"$numberDouble":"NaN"}@73 )");
  seen.clear();
  detail::parse_json_object(R"({"$numberDouble":"NaN"})", sink);
  EXPECT_EQ(seen, "$numberDouble=\"NaN\"@22 ");
  seen.clear();
  detail::parse_json_object(R"({"a":1,"b":0e999,"c":3})", sink);
  EXPECT_EQ(seen, "a=1@6 b=0.0@14 c=3@22 ");
  seen.clear();
  detail::parse_json_object("{\"a\":" + nested_arrays(512) + "}", [](std::string_view, const Value&, std::size_t) {});
  for (const std::string& text : {"[]"s, "1"s, ""s, "\"x\""s, "{} 1"s, "{\"a\":" + nested_arrays(513) + "}"}) {
    EXPECT_EQ(code_of([&] { detail::parse_json_object(text, [](std::string_view, const Value&, std::size_t) {}); }),
              Errc::parse)
        << text;
  }
  EXPECT_THROW(detail::parse_json_object(R"({"a":1})", [](std::string_view, const Value&, std::size_t) { throw 1; }), int);
}

TEST(JsonTest, LongTextIsReadInLinearTime) {
  // Deep around wide: what copied a level's bytes at each level, or compared a name with all others, would not come to an end.
  std::string wide = "[";
  for (int i = 0; i < 200'000; ++i) wide += "\"some text of a certain length\",";
  wide += "0]";
  const std::string text = std::string(511, '[') + wide + std::string(511, ']');
  EXPECT_EQ(round_trip(text), text);
  std::string members = "{";
  for (int i = 0; i < 200'000; ++i) members += "\"" + std::to_string(i * 7 % 200'000) + "\":" + std::to_string(i) + ",";
  members += "\"x\":0}";
  EXPECT_EQ(Value::parse(members).size(), 200'001u);
}

TEST(JsonTest, WhatIsPrintedReadsBack) {
  value_test::Generator random(7);
  for (int i = 0; i < 1000; ++i) {
    const Value value = random.value(4);
    const std::string text = value.to_json();
    const Value back = Value::parse(text);
    ASSERT_EQ(back, value) << text;
    ASSERT_EQ(back.to_json(), text);
    ASSERT_EQ(std::hash<Value>{}(back), std::hash<Value>{}(value));
    ASSERT_EQ(Value::parse(value.to_json(2)), value) << text;
  }
}

TEST(JsonTest, CutAndChangedTextNeverCrashes) {
  value_test::Generator random(8);
  for (int i = 0; i < 1000; ++i) {
    std::string text = random.value(3).to_json();
    if (random.below(2) == 0) text.resize(random.below(text.size() + 1));
    if (!text.empty()) text[random.below(text.size())] = static_cast<char>(random.bits());
    try {
      const Value value = Value::parse(text);
      ASSERT_EQ(Value::parse(value.to_json()), value);
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), Errc::parse);
      ASSERT_LE(error.offset(), text.size());
    }
  }
}

}  // namespace
}  // namespace cubby
