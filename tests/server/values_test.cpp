// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

#include "server/values.hpp"

namespace cubby::server {

namespace {

TEST(ServerValues, CanonicalIntegersAreNumbers) {
  for (const char* text : {"0", "7", "-12", "9223372036854775807", "-9223372036854775808"}) {
    const Value value = to_value(text);
    ASSERT_TRUE(value.is_int()) << text;
    EXPECT_EQ(std::to_string(value.as_int()), text);
    EXPECT_EQ(ValueBytes(value).view(), text);
  }
}

TEST(ServerValues, OtherDigitsAreText) {
  for (const char* text : {"", "-", "+7", "07", "-0", "00", " 7", "7 ", "7.0", "1e3", "0x1", "9223372036854775808",
                           "-9223372036854775809", "99999999999999999999", "--1"}) {
    EXPECT_FALSE(canonical_integer(text)) << text;
    const Value value = to_value(text);
    EXPECT_TRUE(value.is_string()) << text;
    EXPECT_EQ(ValueBytes(value).view(), text);
  }
}

TEST(ServerValues, BytesThatAreNoTextAreBinary) {
  const std::string bytes("long enough to be no short one \xff\0x", 34);
  const Value value = to_value(bytes);
  EXPECT_TRUE(value.is_binary());
  EXPECT_EQ(ValueBytes(value).view(), bytes);
}

TEST(ServerValues, Utf8) {
  for (const char* text : {"", "plain", "eight by", "eight by\xc3\xa4", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(text)) << text;
  }
  EXPECT_TRUE(is_utf8(std::string_view("\0\0", 2)));
  for (const char* bytes :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3x", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "eight by\xff", "eight bytes and more\xe2\x82"}) {
    EXPECT_FALSE(is_utf8(bytes)) << ::testing::PrintToString(std::string(bytes));
  }
}

TEST(ServerValues, TypesAreRedisTypes) {
  for (const Value& value : {Value(), Value(true), Value(1), Value(1.5), Value("x")}) {
    EXPECT_EQ(type_name(value.type()), "string");
    EXPECT_TRUE(is_string(value.type()));
  }
  EXPECT_EQ(type_name(Type::binary), "string");
  EXPECT_EQ(type_name(Type::array), "list");
  EXPECT_EQ(type_name(Type::object), "hash");
  EXPECT_FALSE(is_string(Type::array));
  EXPECT_FALSE(is_string(Type::object));
}

TEST(ServerValues, WhatHasNoCounterpartIsJson) {
  EXPECT_EQ(ValueBytes(Value()).view(), "null");
  EXPECT_EQ(ValueBytes(Value(false)).view(), "false");
  EXPECT_EQ(ValueBytes(Value(0.5)).view(), "0.5");
  EXPECT_EQ(ValueBytes(Value::array({1, "a"})).view(), R"([1,"a"])");
  EXPECT_EQ(ValueBytes(Value::object({{"a", 1}})).view(), R"({"a":1})");
}

TEST(ServerValues, RealsAreRead) {
  EXPECT_EQ(read_real("1.5"), 1.5L);
  EXPECT_EQ(read_real("-2e3"), -2000.0L);
  EXPECT_EQ(read_real("7"), 7.0L);
  ASSERT_TRUE(read_real("inf"));
  EXPECT_TRUE(std::isinf(*read_real("inf")));
  for (const char* text : {"", " 1", "1 ", "x", "1x", "nan", "1e99999", "1.5.2", "--1"}) EXPECT_FALSE(read_real(text)) << text;
  EXPECT_FALSE(read_real(std::string_view("1\0", 2)));
  EXPECT_FALSE(read_real(std::string(6000, '1')));
}

TEST(ServerValues, RealsArePrintedWithoutExponent) {
  EXPECT_EQ(real_text(0), "0");
  EXPECT_EQ(real_text(-0.0L), "0");
  EXPECT_EQ(real_text(10), "10");
  EXPECT_EQ(real_text(0.1L), "0.1");
  EXPECT_EQ(real_text(-2.25L), "-2.25");
  EXPECT_EQ(real_text(1e21L), "1000000000000000000000");
  EXPECT_EQ(real_text(std::numeric_limits<long double>::infinity()), "inf");
  EXPECT_EQ(real_text(-std::numeric_limits<long double>::infinity()), "-inf");
  EXPECT_EQ(real_text(std::numeric_limits<long double>::max()).size(), 4933U);
}

}  // namespace

}  // namespace cubby::server
