// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace cubby {

enum class Type { null, boolean, integer, real, string, binary, array, object };

class Value;

namespace detail {

/// Head of every counted block: what a Value that doesn't fit into itself points at. The bytes behind it never change once the
/// block is shared; docs/design.md draws them.
struct Block {
  std::atomic<std::uint32_t> references;
  std::atomic<std::uint32_t> shape;  ///< allocated size, in units of 16 bytes; the upper bits: see value/write.hpp
};

/// Frees a block whose last reference is gone.
void destroy(Block* block) noexcept;

[[noreturn]] void throw_unsigned_overflow(std::uint64_t number);

struct ValueAccess;  // the library's own way into a Value: src/value/access.hpp

/// Collects elements or members for Value::array and Value::object.
class Builder {
 public:
  Builder();
  ~Builder();
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  void add(const Value& element);
  void add(std::string_view name, const Value& member);
  Value array();
  Value object();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace detail

/// An immutable JSON-like value with the semantics of a number: 16 bytes, cheap to copy (at most one reference count), never
/// changed by anyone once made. Null, booleans, numbers and strings of up to 14 bytes lie in the Value itself; anything else is
/// one contiguous, counted block that parent and children share.
///
/// Thread safety: distinct Value objects may be used from any threads, though they share a block; one Value object follows the
/// rules of an int (any number of readers, or one writer).
class Value {
 public:
  class Elements;
  class Members;

  constexpr Value() noexcept = default;
  constexpr Value(std::nullptr_t) noexcept {}
  template <class T>
    requires std::same_as<T, bool>
  constexpr Value(T boolean) noexcept : head_(boolean ? kTrue : kFalse) {}
  /// Any integer type. Throws Errc::overflow for an unsigned number above int64.
  template <std::integral T>
    requires(!std::same_as<T, bool> && sizeof(T) <= sizeof(std::int64_t))
  constexpr Value(T integer) : head_(kInteger), body_(static_cast<std::uint64_t>(static_cast<std::int64_t>(integer))) {
    if constexpr (std::unsigned_integral<T> && sizeof(T) >= sizeof(std::int64_t)) {
      if (integer > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        detail::throw_unsigned_overflow(integer);
      }
    }
  }
  template <class T>
    requires(std::same_as<T, float> || std::same_as<T, double>)
  constexpr Value(T real) noexcept : head_(kReal), body_(std::bit_cast<std::uint64_t>(static_cast<double>(real))) {}
  Value(std::string_view string);
  Value(const std::string& string) : Value(std::string_view(string)) {}
  Value(const char* string) : Value(std::string_view(string)) {}

  Value(const Value& other) noexcept : head_(other.head_), body_(other.body_) { retain(); }
  Value(Value&& other) noexcept : head_(std::exchange(other.head_, kNull)), body_(std::exchange(other.body_, 0)) {}
  Value& operator=(const Value& other) noexcept {
    Value(other).swap(*this);
    return *this;
  }
  Value& operator=(Value&& other) noexcept {
    Value(std::move(other)).swap(*this);
    return *this;
  }
  ~Value() { release(); }
  void swap(Value& other) noexcept {
    std::swap(head_, other.head_);
    std::swap(body_, other.body_);
  }

  /// Bytes that are not text. Prints as Extended JSON, {"$binary": ...}.
  static Value binary(std::span<const std::byte> bytes);

  /// Throws Errc::invalid_argument when nested deeper than 512 levels, as does object().
  static Value array(std::initializer_list<Value> elements);
  template <std::ranges::input_range Range>
    requires std::convertible_to<std::ranges::range_reference_t<Range>, Value>
  static Value array(Range&& elements) {
    detail::Builder builder;
    for (auto&& element : elements) builder.add(static_cast<const Value&>(element));
    return builder.array();
  }

  /// Of a repeated name the last one wins.
  static Value object(std::initializer_list<std::pair<std::string_view, Value>> members);
  template <std::ranges::input_range Range>
    requires requires(std::ranges::range_reference_t<Range> member) {
      { member.first } -> std::convertible_to<std::string_view>;
      { member.second } -> std::convertible_to<Value>;
    }
  static Value object(Range&& members) {
    detail::Builder builder;
    for (auto&& member : members) builder.add(std::string_view(member.first), static_cast<const Value&>(member.second));
    return builder.object();
  }

  /// Reads JSON text (UTF-8), Extended JSON included. Throws Errc::parse with Error::offset(), the byte where reading failed.
  static Value parse(std::string_view json);
  /// Writes JSON text; `indent` spaces a level, or one line without any space for -1. Throws Errc::invalid_argument if a string
  /// or member name is not UTF-8.
  std::string to_json(int indent = -1) const;

  Type type() const noexcept { return kTypes[tag()]; }
  bool is_null() const noexcept { return tag() == kNull; }
  bool is_bool() const noexcept { return tag() == kFalse || tag() == kTrue; }
  bool is_int() const noexcept { return tag() == kInteger; }
  bool is_real() const noexcept { return tag() == kReal; }
  bool is_number() const noexcept { return tag() == kInteger || tag() == kReal; }
  bool is_string() const noexcept { return tag() == kShortString || tag() == kString; }
  bool is_binary() const noexcept { return tag() == kBinary; }
  bool is_array() const noexcept { return tag() == kArray; }
  bool is_object() const noexcept { return tag() == kObject; }

  /// These throw Errc::type_mismatch on another type; as_double takes an integer too. Views last as long as this object.
  bool as_bool() const {
    if (!is_bool()) throw_type_mismatch("as_bool");
    return tag() == kTrue;
  }
  std::int64_t as_int() const {
    if (!is_int()) throw_type_mismatch("as_int");
    return static_cast<std::int64_t>(body_);
  }
  double as_double() const {
    if (is_real()) return std::bit_cast<double>(body_);
    if (!is_int()) throw_type_mismatch("as_double");
    return static_cast<double>(static_cast<std::int64_t>(body_));
  }
  std::string_view as_string() const;
  std::span<const std::byte> as_binary() const;

  /// Elements, members, or bytes of a string or binary; 0 for the rest. O(1).
  std::size_t size() const noexcept;
  /// Not an array: Errc::type_mismatch. Out of range: Errc::invalid_argument. O(1).
  Value operator[](std::size_t index) const;
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, std::size_t>)
  Value operator[](T index) const {
    // A negative index is out of range like any other that is too large.
    return (*this)[static_cast<std::size_t>(index)];
  }
  /// A missing member, or no object: null.
  Value operator[](std::string_view name) const;
  Value operator[](const char* name) const { return (*this)[std::string_view(name)]; }
  Value operator[](const std::string& name) const { return (*this)[std::string_view(name)]; }
  std::optional<Value> find(std::string_view name) const;
  bool contains(std::string_view name) const noexcept;

  /// Ranges that own a reference, so they may outlive the Value, temporary or not. Else Errc::type_mismatch.
  Elements elements() const;
  Members members() const;

  /// 5 == 5.0, integer and real compare exactly, NaN equals NaN, objects compare by members in any order.
  friend bool operator==(const Value& left, const Value& right) noexcept {
    if (left.head_ == right.head_ && left.body_ == right.body_) return true;  // the same number, short string or node
    return equal(left, right);
  }
  friend std::ostream& operator<<(std::ostream& out, const Value& value);

 private:
  friend struct detail::ValueAccess;

  // First byte of head_. From kString on, body_ is a Block* and the upper half of head_ the node's byte offset from it.
  enum Tag : std::uint64_t { kNull, kFalse, kTrue, kInteger, kReal, kShortString, kString = 8, kBinary, kArray, kObject };
  static constexpr Type kTypes[] = {Type::null, Type::boolean, Type::boolean, Type::integer, Type::real,  Type::string,
                                    Type::null, Type::null,    Type::string,  Type::binary,  Type::array, Type::object};

  std::uint64_t tag() const noexcept { return head_ & 0xff; }
  bool counted() const noexcept { return tag() >= kString; }
  detail::Block* block() const noexcept { return reinterpret_cast<detail::Block*>(body_); }
  void retain() const noexcept {
    if (counted()) block()->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release() const noexcept {
    // acq_rel: whoever drops the last reference sees every use by those who dropped theirs.
    if (counted() && block()->references.fetch_sub(1, std::memory_order_acq_rel) == 1) detail::destroy(block());
  }
  [[noreturn]] void throw_type_mismatch(const char* operation) const;
  static bool equal(const Value& left, const Value& right) noexcept;

  // A short string: byte 0 tag, byte 1 length, bytes 2 to 15 text. Other scalars: body_.
  std::uint64_t head_ = kNull;
  std::uint64_t body_ = 0;
};

static_assert(sizeof(Value) == 16);

/// The elements of an array, in order.
class Value::Elements {
 public:
  class iterator {
   public:
    using value_type = Value;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    iterator() = default;
    Value operator*() const { return owner_[index_]; }
    iterator& operator++() {
      ++index_;
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(const iterator& left, const iterator& right) noexcept { return left.index_ == right.index_; }

   private:
    friend class Elements;
    iterator(Value owner, std::size_t index) : owner_(std::move(owner)), index_(index) {}
    Value owner_;
    std::size_t index_ = 0;
  };

  iterator begin() const { return {array_, 0}; }
  iterator end() const { return {array_, array_.size()}; }
  std::size_t size() const noexcept { return array_.size(); }
  bool empty() const noexcept { return size() == 0; }
  Value operator[](std::size_t index) const { return array_[index]; }

 private:
  friend class Value;
  explicit Elements(Value array) : array_(std::move(array)) {}
  Value array_;
};

/// The members of an object, sorted by the bytes of their names.
class Value::Members {
 public:
  class iterator {
   public:
    using value_type = std::pair<std::string_view, Value>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::forward_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    iterator() = default;
    /// The name is valid as long as any Value or range over the same object is.
    value_type operator*() const { return member(owner_, index_); }
    iterator& operator++() {
      ++index_;
      return *this;
    }
    iterator operator++(int) {
      iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(const iterator& left, const iterator& right) noexcept { return left.index_ == right.index_; }

   private:
    friend class Members;
    iterator(Value owner, std::size_t index) : owner_(std::move(owner)), index_(index) {}
    Value owner_;
    std::size_t index_ = 0;
  };

  iterator begin() const { return {object_, 0}; }
  iterator end() const { return {object_, object_.size()}; }
  std::size_t size() const noexcept { return object_.size(); }
  bool empty() const noexcept { return size() == 0; }

 private:
  friend class Value;
  explicit Members(Value object) : object_(std::move(object)) {}
  static std::pair<std::string_view, Value> member(const Value& object, std::size_t index);
  Value object_;
};

}  // namespace cubby

template <>
struct std::hash<cubby::Value> {
  /// Equal values have equal hashes: 5 and 5.0 do, and objects whatever the order of their members.
  std::size_t operator()(const cubby::Value& value) const noexcept;
};
