// SPDX-License-Identifier: Apache-2.0

// Values that were made once and are set again and again, by many threads and under many keys: their blocks become entries,
// cease to be, and become others, while readers, scans and cuts look at them.

#include "support.hpp"

namespace cubby_test {
namespace {

class SharedValues : public StoreTest {};

Value value_of(int number) {
  return Value::object({{"number", number},
                        {"text", "the text of number " + std::to_string(number)},
                        {"filler", std::string(100, static_cast<char>('a' + number % 26))}});
}
void expect_whole(const Value& value) { EXPECT_EQ(value, value_of(static_cast<int>(value["number"].as_int()))); }

TEST_F(SharedValues, AreAlwaysWhole) {
  constexpr int kValues = 8, kKeys = 16;
  const int rounds = scaled(20'000, 500);
  std::vector<Value> values;
  for (int number = 0; number < kValues; ++number) values.push_back(value_of(number));
  for (int key = 0; key < kKeys; ++key) store().set(name_of("key/", key), value_of(key % kValues));
  Threads threads;
  threads.start(3, [&](int thread) {
    for (int round = 0; round < rounds; ++round) {
      const int draw = round * 7 + thread * 3;
      const std::string key = name_of("key/", draw % kKeys);
      switch (round % 16) {
        case 3:
          store().set(key, values[static_cast<std::size_t>(draw / 5 % kValues)], std::chrono::hours(1));
          break;
        case 5:
          if (const std::optional<Value> old = store().swap(key, value_of(draw % kValues))) expect_whole(*old);
          break;
        case 7:
          store().erase(key);
          break;
        case 9:
          store().modify(key, [](std::optional<Value> old) { return old; });
          break;
        case 11:
          store().transact({key, "key/0"}, [&](cubby::Transaction& both) {
            both.set(key, values[0]);
            both.set("key/0", values[0]);
          });
          break;
        default:
          store().set(key, values[static_cast<std::size_t>(draw / 3 % kValues)]);
      }
    }
  });
  threads.start(2, [&](int thread) {
    std::optional<Value> kept;
    for (int round = 0; round < rounds; ++round) {
      const std::string key = name_of("key/", (round + thread) % kKeys);
      store().visit(key, [&](const Value& value) {
        expect_whole(value);
        store().visit("key/1", expect_whole);
      });
      if (round % 8 == 0) kept = store().get(key);
      if (kept) expect_whole(*kept);
      if (round % 64 != 0) continue;
      store().for_each([](std::string_view name, const Value& value) {
        EXPECT_TRUE(name.starts_with("key/")) << name;
        expect_whole(value);
      });
    }
  });
  threads.join();
  for (int number = 0; number < kValues; ++number) EXPECT_EQ(values[static_cast<std::size_t>(number)], value_of(number));
}

}  // namespace
}  // namespace cubby_test
