// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include "server/arguments.hpp"

namespace cubby::server {

namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

template <class F>
std::string error_of_arguments(F&& f) {
  try {
    f();
  } catch (const CommandError& error) {
    return error.what();
  }
  return "none";
}

TEST(Arguments, WordsIgnoreCase) {
  EXPECT_TRUE(is_word("keepttl", "KEEPTTL"));
  EXPECT_TRUE(is_word("KeepTtl", "KEEPTTL"));
  EXPECT_FALSE(is_word("keep", "KEEPTTL"));
  EXPECT_FALSE(is_word("", "NX"));
  EXPECT_FALSE(is_word("NY", "NX"));
}

TEST(Arguments, Integers) {
  EXPECT_EQ(to_integer("-7"), -7);
  for (const char* text : {"", "x", "1.0", "+1", "01", " 1", "9223372036854775808"}) {
    EXPECT_EQ(error_of_arguments([&] { to_integer(text); }), "ERR value is not an integer or out of range") << text;
  }
  EXPECT_EQ(to_integer_between("5", 0, 5, "ERR no"), 5);
  EXPECT_EQ(error_of_arguments([] { to_integer_between("6", 0, 5, "ERR no"); }), "ERR no");
  EXPECT_EQ(error_of_arguments([] { to_integer_between("-1", 0, 5, "ERR no"); }), "ERR no");
  EXPECT_EQ(error_of_arguments([] { to_integer_between("x", 0, 5, "ERR no"); }), "ERR no");
}

TEST(Arguments, Timeouts) {
  EXPECT_EQ(to_timeout("0").nanoseconds(), std::nullopt);
  EXPECT_EQ(to_timeout("1.5").nanoseconds(), std::chrono::milliseconds(1500));
  // Shorter than a millisecond is one: it isn't for ever.
  EXPECT_EQ(to_timeout("0.0001").nanoseconds(), std::chrono::milliseconds(1));
  EXPECT_EQ(error_of_arguments([] { to_timeout("x"); }), "ERR timeout is not a float or out of range");
  EXPECT_EQ(error_of_arguments([] { to_timeout("-1"); }), "ERR timeout is negative");
  EXPECT_EQ(error_of_arguments([] { to_timeout("1e20"); }), "ERR timeout is out of range");
  EXPECT_EQ(error_of_arguments([] { to_timeout("inf"); }), "ERR timeout is out of range");
}

TEST(Arguments, Deadlines) {
  const auto deadline = [](std::string_view text, TimeUnit unit, TimeBase base, bool positive) {
    return to_deadline_ms(text, unit, base, positive, "set");
  };
  EXPECT_EQ(deadline("12", TimeUnit::seconds, TimeBase::since_epoch, true), 12000);
  EXPECT_EQ(deadline("12", TimeUnit::milliseconds, TimeBase::since_epoch, true), 12);
  EXPECT_EQ(deadline("-12", TimeUnit::seconds, TimeBase::since_epoch, false), -12000);
  EXPECT_EQ(deadline(std::to_string(kSmallest), TimeUnit::milliseconds, TimeBase::since_epoch, false), kSmallest);
  EXPECT_EQ(deadline("9223372036854775", TimeUnit::seconds, TimeBase::since_epoch, true), 9223372036854775000);
  const std::int64_t before = now_ms();
  const std::int64_t relative = deadline("10", TimeUnit::seconds, TimeBase::from_now, true);
  EXPECT_GE(relative, before + 10'000);
  EXPECT_LE(relative, now_ms() + 10'000);
  const std::string invalid = "ERR invalid expire time in 'set' command";
  EXPECT_EQ(error_of_arguments([&] { deadline("0", TimeUnit::seconds, TimeBase::from_now, true); }), invalid);
  EXPECT_EQ(error_of_arguments([&] { deadline("9223372036854776", TimeUnit::seconds, TimeBase::since_epoch, true); }), invalid);
  EXPECT_EQ(error_of_arguments([&] { deadline("-9223372036854776", TimeUnit::seconds, TimeBase::since_epoch, false); }),
            invalid);
  EXPECT_EQ(error_of_arguments([&] { deadline(std::to_string(kLargest), TimeUnit::milliseconds, TimeBase::from_now, true); }),
            invalid);
}

TEST(Arguments, TimesOutOfTheLibrarysRangeBecomeItsEnds) {
  EXPECT_EQ(to_ms(time_point(1234)), 1234);
  EXPECT_EQ(to_ms(time_point(-1)), -1);
  EXPECT_GT(to_ms(time_point(kLargest)), 9'000'000'000'000);
  EXPECT_LT(to_ms(time_point(kLargest)), 9'300'000'000'000);
  EXPECT_GT(to_ms(time_point(kSmallest)), -9'300'000'000'000);
  EXPECT_EQ(time_point(kLargest), time_point(kLargest - 1));
}

TEST(Arguments, RangesAsLrangeCountsThem) {
  const auto range = [](std::int64_t first, std::int64_t last, std::size_t length) {
    const auto found = to_range(first, last, length);
    return found ? std::to_string(found->first) + "+" + std::to_string(found->count) : std::string("none");
  };
  EXPECT_EQ(range(0, -1, 5), "0+5");
  EXPECT_EQ(range(1, 2, 5), "1+2");
  EXPECT_EQ(range(-2, -1, 5), "3+2");
  EXPECT_EQ(range(-100, 100, 5), "0+5");
  EXPECT_EQ(range(kSmallest, kLargest, 5), "0+5");
  EXPECT_EQ(range(3, 2, 5), "none");
  EXPECT_EQ(range(5, 9, 5), "none");
  EXPECT_EQ(range(0, -6, 5), "none");
  EXPECT_EQ(range(0, -1, 0), "none");
}

}  // namespace

}  // namespace cubby::server
