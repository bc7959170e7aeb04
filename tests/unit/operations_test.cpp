// SPDX-License-Identifier: Apache-2.0
#include "storage/operations.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace {

using cubby::Value;
using cubby::detail::LoggedOperation;
using cubby::detail::OperationCode;
using cubby::detail::OperationReader;
using cubby::detail::OperationWriter;

struct Said {
  OperationCode code;
  std::string key;
  std::optional<Value> value;
  bool operator==(const Said&) const = default;
};

LoggedOperation logged(const Said& said) {
  LoggedOperation operation;
  operation.code = said.code;
  operation.key = said.key;
  if (said.value) operation.value = &*said.value;
  return operation;
}

/// At a multiple of 8, as bodies are.
class Body {
 public:
  explicit Body(const std::vector<Said>& all) {
    OperationWriter measure;
    for (const Said& said : all) measure.write(logged(said));
    words_.resize(measure.body_size() / 8);
    OperationWriter writer(reinterpret_cast<std::byte*>(words_.data()));
    for (const Said& said : all) writer.write(logged(said));
    writer.pad(measure.body_size());
  }
  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words_)); }

 private:
  std::vector<std::uint64_t> words_;
};

std::optional<std::vector<Said>> read(Body& body) {
  OperationReader reader(body.bytes());
  std::vector<Said> all;
  for (;;) {
    LoggedOperation operation;
    switch (reader.next(operation)) {
      case OperationReader::Result::end:
        return all;
      case OperationReader::Result::damaged:
        return std::nullopt;
      case OperationReader::Result::operation:
        break;
    }
    Said& said = all.emplace_back(Said{operation.code, std::string(operation.key), std::nullopt});
    // Of a set it may lie in the body, and is copied.
    if (operation.value != nullptr) said.value = Value::parse(operation.value->to_json());
  }
}

const Value kItem = Value::object({{"text", "what goes to the inboxes of two hundred people"}, {"number", 5}});
const Value kOther = Value::array({"something else, that is long enough", 1});

TEST(Operations, AValueThatGoesToManyKeysIsWrittenOnce) {
  std::vector<Said> all;
  for (int index = 0; index < 100; ++index) all.push_back({OperationCode::push, "inbox " + std::to_string(index), kItem});
  Body body(all);
  EXPECT_LT(body.bytes().size(), 100 * 16 + 200);
  EXPECT_EQ(read(body), all);
}

TEST(Operations, OnlyTheLastValueIsReferredTo) {
  const std::vector<Said> all{
      {OperationCode::set, "a", kItem},     {OperationCode::push, "b", kItem},  {OperationCode::set, "c", kItem},
      {OperationCode::unshift, "d", kItem}, {OperationCode::push, "e", kOther}, {OperationCode::push, "f", kItem},
      {OperationCode::erase, "g", {}},      {OperationCode::push, "h", kItem},  {OperationCode::add, "i", Value(7)},
      {OperationCode::merge, "j", kItem},   {OperationCode::push, "k", 7},      {OperationCode::push, "l", 7},
      {OperationCode::shift, "m", {}},      {OperationCode::set, "n", kOther},
  };
  Body body(all);
  EXPECT_EQ(read(body), all);
}

TEST(Operations, AnEqualValueInAnotherPlaceIsWritten) {
  const std::vector<Said> all{{OperationCode::push, "a", kItem}, {OperationCode::push, "b", Value::parse(kItem.to_json())}};
  Body body(all);
  EXPECT_EQ(read(body), all);
}

TEST(Operations, AReferenceToNoValueIsDamage) {
  constexpr std::size_t kFlags = 1;
  constexpr std::byte kSameValue{16};
  for (const Said& first : {Said{OperationCode::push, "a", kItem}, Said{OperationCode::push, "a", 7},
                            Said{OperationCode::erase, "a", {}}, Said{OperationCode::set, "a", kItem}}) {
    Body body({first});
    body.bytes()[kFlags] |= kSameValue;
    EXPECT_EQ(read(body), std::nullopt);
  }
  // After a value that lies in itself.
  Body body({{OperationCode::push, "a", 7}, {OperationCode::push, "b", kItem}});
  constexpr std::size_t kSecond = 2 + 2 + 1 + 2;  // code and flags, size of the key, key, integer
  ASSERT_EQ(body.bytes()[kSecond], std::byte{3});
  body.bytes()[kSecond + kFlags] |= kSameValue;
  EXPECT_EQ(read(body), std::nullopt);
}

}  // namespace
