// SPDX-License-Identifier: Apache-2.0
#include "store/entry.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace {

using cubby::Value;
using cubby::detail::Entry;
using cubby::detail::ValueAccess;

Value session(int number) {
  return Value::object({{"name", "Ada Lovelace, number " + std::to_string(number)},
                        {"token", std::string(64, 'x')},
                        {"room", "a room with a view " + std::to_string(number)},
                        {"unread", number}});
}

std::string read(const Entry* entry) {
  return std::string(entry->key()) + " " + entry->with_value([](const Value& value) { return value.to_json(); });
}

TEST(Entry, LiesInTheBlockOfAValueThatWasJustMade) {
  const Value value = session(1);
  Entry* entry = Entry::make({"user:1", &value, false});
  EXPECT_TRUE(entry->holds(value));
  EXPECT_EQ(static_cast<void*>(entry), ValueAccess::block(value));
  EXPECT_EQ(read(entry), "user:1 " + session(1).to_json());
  EXPECT_EQ(value, session(1));
  EXPECT_EQ(entry->value(), value);
  Entry::drop(entry);
  EXPECT_EQ(value, session(1));
}

TEST(Entry, HasADeadlineThereToo) {
  const Value value = session(1);
  Entry* entry = Entry::make({"user:1", &value, true});
  EXPECT_TRUE(entry->holds(value));
  EXPECT_EQ(entry->deadline(), cubby::detail::kNoDeadline);
  entry->deadline_word().store(42);
  EXPECT_EQ(entry->deadline(), 42);
  EXPECT_EQ(read(entry), "user:1 " + session(1).to_json());
  Entry::drop(entry);
}

TEST(Entry, CopiesAValueThatIsInAnotherEntry) {
  const Value value = session(1);
  Entry* first = Entry::make({"user:1", &value, false});
  Entry* second = Entry::make({"user:2", &value, false});
  const Value taken_out = first->value();
  Entry* third = Entry::make({"user:3", &taken_out, false});
  EXPECT_FALSE(second->holds(value));
  EXPECT_FALSE(third->holds(value));
  EXPECT_EQ(read(first), "user:1 " + session(1).to_json());
  EXPECT_EQ(read(second), "user:2 " + session(1).to_json());
  EXPECT_EQ(read(third), "user:3 " + session(1).to_json());
  for (Entry* each : {first, second, third}) Entry::drop(each);
}

TEST(Entry, TakesTheRoomAgainOnceNobodyCanSeeTheOldEntry) {
  const Value value = session(1);
  Entry* first = Entry::make({"user:1", &value, false});
  first->retain();  // as a scan does
  Entry::drop(first);
  Entry* second = Entry::make({"user:2", &value, false});
  EXPECT_FALSE(second->holds(value));
  EXPECT_EQ(read(first), "user:1 " + session(1).to_json());
  Entry::release(first);
  Entry* third = Entry::make({"user:3", &value, true});
  EXPECT_TRUE(third->holds(value));
  EXPECT_EQ(read(third), "user:3 " + session(1).to_json());
  Entry::drop(second);
  Entry::drop(third);
}

TEST(Entry, OutlivesTheValue) {
  auto value = std::make_unique<Value>(session(1));
  Entry* entry = Entry::make({"user:1", value.get(), false});
  value.reset();
  EXPECT_EQ(read(entry), "user:1 " + session(1).to_json());
  Entry::drop(entry);
}

TEST(Entry, CopiesWhatTheRoomDoesNotDoFor) {
  const Value value = session(1);
  for (const bool expires : {false, true}) {
    const std::string key(expires ? 17 : 37, 'k');
    Entry* entry = Entry::make({key, &value, expires});
    EXPECT_FALSE(entry->holds(value));
    EXPECT_EQ(read(entry), key + " " + session(1).to_json());
    Entry::drop(entry);
  }
  // Too small, too large, a child, and what lies in itself.
  for (const Value& other :
       {Value("fifteen letters"), Value(std::string(3000, 'x')), Value::array({session(1)})[0], Value(5)}) {
    Entry* entry = Entry::make({"key", &other, false});
    EXPECT_FALSE(entry->holds(other));
    EXPECT_EQ(read(entry), "key " + other.to_json());
    Entry::drop(entry);
  }
}

}  // namespace
