// SPDX-License-Identifier: Apache-2.0
#include <cubby/error.hpp>
#include <cubby/value.hpp>
#include <ostream>
#include <vector>

#include "value/access.hpp"

namespace cubby {

namespace {

using detail::Composer;
using detail::ValueAccess;
using detail::node::View;

const char* name_of(Type type) noexcept {
  switch (type) {
    case Type::null:
      return "null";
    case Type::boolean:
      return "a boolean";
    case Type::integer:
      return "an integer";
    case Type::real:
      return "a real";
    case Type::string:
      return "a string";
    case Type::binary:
      return "binary";
    case Type::array:
      return "an array";
    case Type::object:
      return "an object";
  }
  return "?";
}

Value finish_object(Composer& composer) {
  const Composer::Item object = composer.close_object(0);
  if (composer.depth(object) > detail::node::kMaxDepth) {
    throw Error(Errc::invalid_argument, "an object can't be nested deeper than 512 levels");
  }
  return composer.finish(object);
}

}  // namespace

namespace detail {

void throw_unsigned_overflow(std::uint64_t number) {
  throw Error(Errc::overflow, "the integer " + std::to_string(number) + " is above the range of a 64-bit signed integer");
}

// Names lie one behind the other; views of them are made at the end, when the string no longer moves.
struct Builder::State {
  std::vector<Value> values;
  std::vector<std::size_t> name_ends;
  std::string names;
};

Builder::Builder() : state_(std::make_unique<State>()) {}
Builder::~Builder() = default;

void Builder::add(const Value& element) { state_->values.push_back(element); }

void Builder::add(std::string_view name, const Value& member) {
  state_->names.append(name);
  state_->name_ends.push_back(state_->names.size());
  state_->values.push_back(member);
}

Value Builder::array() { return make_array(state_->values); }

Value Builder::object() {
  Composer composer;
  composer.open().reserve(state_->values.size());
  std::size_t begin = 0;
  for (std::size_t i = 0; i < state_->values.size(); ++i) {
    const std::size_t end = state_->name_ends[i];
    const std::string_view name = std::string_view(state_->names).substr(begin, end - begin);
    composer.open().push_back(Composer::existing(ValueAccess::view(state_->values[i]), name));
    begin = end;
  }
  return finish_object(composer);
}

}  // namespace detail

static_assert(detail::node::kMaxShortString == sizeof(Value) - 2);

Value::Value(std::string_view string) {
  static_assert(std::uint64_t{kShortString} == detail::node::kShortString && std::uint64_t{kString} == detail::node::kString &&
                std::uint64_t{kBinary} == detail::node::kBinary && std::uint64_t{kArray} == detail::node::kArray &&
                std::uint64_t{kObject} == detail::node::kObject && std::uint64_t{kInteger} == detail::node::kInteger &&
                std::uint64_t{kReal} == detail::node::kReal);
  if (string.size() <= detail::node::kMaxShortString) {
    const View words = detail::short_string(string);
    head_ = words.head;
    body_ = words.body;
  } else {
    Composer composer;
    composer.finish(Composer::text(detail::node::kString, string)).swap(*this);
  }
}

Value Value::binary(std::span<const std::byte> bytes) {
  Composer composer;
  return composer.finish(Composer::text(detail::node::kBinary, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

Value Value::array(std::initializer_list<Value> elements) {
  return detail::make_array(std::span<const Value>(elements.begin(), elements.size()));
}

Value Value::object(std::initializer_list<std::pair<std::string_view, Value>> members) {
  Composer composer;
  composer.open().reserve(members.size());
  for (const auto& [name, value] : members) composer.open().push_back(Composer::existing(ValueAccess::view(value), name));
  return finish_object(composer);
}

Value Value::parse(std::string_view json) { return detail::parse_json(json); }

std::string Value::to_json(int indent) const {
  std::string text;
  detail::append_json(text, *this, indent, 0);
  return text;
}

std::string_view Value::as_string() const {
  if (tag() == kShortString) {
    return {reinterpret_cast<const char*>(&head_) + 2, static_cast<std::size_t>(head_ >> 8 & 0xff)};
  }
  if (tag() != kString) throw_type_mismatch("as_string");
  return ValueAccess::view(*this).string();
}

std::span<const std::byte> Value::as_binary() const {
  if (tag() != kBinary) throw_type_mismatch("as_binary");
  const std::byte* const node = ValueAccess::node(*this);
  return {detail::node::text_bytes(node), detail::node::text_length(node)};
}

std::size_t Value::size() const noexcept {
  switch (tag()) {
    case kShortString:
      return head_ >> 8 & 0xff;
    case kString:
    case kBinary:
      return detail::node::text_length(ValueAccess::node(*this));
    case kArray:
    case kObject:
      return detail::node::count(ValueAccess::node(*this));
    default:
      return 0;
  }
}

Value Value::operator[](std::size_t index) const {
  if (tag() != kArray) throw_type_mismatch("operator[]");
  const std::byte* const node = ValueAccess::node(*this);
  if (index >= detail::node::count(node)) {
    throw Error(Errc::invalid_argument, "operator[]: index " + std::to_string(static_cast<std::ptrdiff_t>(index)) +
                                            " is outside an array of " + std::to_string(size()));
  }
  return ValueAccess::from_view(block(), detail::node::decode(node, detail::node::array_slot(node, index)));
}

Value Value::operator[](std::string_view name) const {
  if (tag() != kObject) return {};
  const std::byte* const node = ValueAccess::node(*this);
  const detail::node::Object object(node);
  const std::int64_t index = object.find(name);
  if (index < 0) return {};
  return ValueAccess::from_view(block(), detail::node::decode(node, object.slot(static_cast<std::size_t>(index))));
}

std::optional<Value> Value::find(std::string_view name) const {
  if (tag() != kObject) return std::nullopt;
  const std::byte* const node = ValueAccess::node(*this);
  const detail::node::Object object(node);
  const std::int64_t index = object.find(name);
  if (index < 0) return std::nullopt;
  return ValueAccess::from_view(block(), detail::node::decode(node, object.slot(static_cast<std::size_t>(index))));
}

bool Value::contains(std::string_view name) const noexcept {
  return tag() == kObject && detail::node::Object(ValueAccess::node(*this)).find(name) >= 0;
}

Value::Elements Value::elements() const {
  if (tag() != kArray) throw_type_mismatch("elements");
  return Elements(*this);
}

Value::Members Value::members() const {
  if (tag() != kObject) throw_type_mismatch("members");
  return Members(*this);
}

std::pair<std::string_view, Value> Value::Members::member(const Value& value, std::size_t index) {
  const std::byte* const node = ValueAccess::node(value);
  const detail::node::Object object(node);
  return {object.name(index), ValueAccess::from_view(value.block(), detail::node::decode(node, object.slot(index)))};
}

std::ostream& operator<<(std::ostream& out, const Value& value) { return out << value.to_json(); }

void Value::throw_type_mismatch(const char* operation) const {
  throw Error(Errc::type_mismatch, std::string(operation) + ": the value is " + name_of(type()));
}

}  // namespace cubby
