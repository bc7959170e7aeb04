// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <cubby/function_ref.hpp>
#include <cubby/key_version.hpp>
#include <cubby/options.hpp>
#include <cubby/value.hpp>

namespace cubby {

namespace detail {

class Store;
class TransactionState;

}  // namespace detail

/// What becomes of a key whose array has given its last element.
enum class WhenEmptied { keep, erase };

/// What the function given to Datastore::transact works with: the operations of Datastore on the transaction's own keys, which
/// return and throw what they do there; another key is Errc::invalid_argument. It sees its own changes; nobody else does before
/// all of them take effect. An operation that throws has changed nothing, and the function may go on.
///
/// Thread safety: belongs to the thread that runs the function, and ends with it.
class Transaction {
 public:
  std::optional<Value> get(std::string_view key) const;
  template <class F>
    requires std::invocable<F&, const Value&>
  bool visit(std::string_view key, F&& f) const {
    return visit_impl(key, [&f](const Value& value) { std::invoke(f, value); });
  }
  bool exists(std::string_view key) const;
  std::optional<Type> type(std::string_view key) const;
  std::optional<std::size_t> length(std::string_view key) const;
  Value slice(std::string_view key, std::size_t first, std::size_t count) const;

  void set(std::string_view key, const Value& value);
  void set(std::string_view key, const Value& value, Duration ttl);
  void set(std::string_view key, const Value& value, TimePoint deadline);
  void set(std::string_view key, const Value& value, std::nullopt_t);
  bool set_once(std::string_view key, const Value& value);
  bool set_once(std::string_view key, const Value& value, Duration ttl);
  bool set_once(std::string_view key, const Value& value, TimePoint deadline);
  std::optional<Value> swap(std::string_view key, const Value& value);
  bool erase(std::string_view key);
  std::optional<Value> take(std::string_view key);
  /// Copies the value if this transaction changes one of the two keys besides.
  void rename(std::string_view from, std::string_view to);

  Value increment(std::string_view key, const Value& delta = 1);
  Value decrement(std::string_view key, const Value& delta = 1);
  Value update(std::string_view key, const Value& patch);
  /// `f(optional<Value>) -> optional<Value>`, called exactly once; empty removes the key. It may use the transaction.
  template <class F>
    requires std::is_invocable_r_v<std::optional<Value>, F&, std::optional<Value>>
  std::optional<Value> modify(std::string_view key, F&& f) {
    return modify_impl(key, [&f](std::optional<Value> old) -> std::optional<Value> { return std::invoke(f, std::move(old)); });
  }

  std::size_t push(std::string_view key, const Value& value);
  std::size_t unshift(std::string_view key, const Value& value);
  std::optional<Value> shift(std::string_view key, WhenEmptied when_emptied = WhenEmptied::keep);
  std::optional<Value> pop(std::string_view key, WhenEmptied when_emptied = WhenEmptied::keep);

  void expire(std::string_view key, Duration ttl);
  void expire(std::string_view key);
  void expire_at(std::string_view key, TimePoint deadline);
  std::optional<std::chrono::nanoseconds> ttl(std::string_view key) const;
  std::optional<TimePoint> deadline(std::string_view key) const;
  bool remove_expiry(std::string_view key);

  /// Whether the key is as it was at Datastore::version(), leaving aside what this transaction has changed: if so, it stays so
  /// until the transaction takes effect.
  bool unchanged(std::string_view key, const KeyVersion& version) const;

  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

 private:
  friend class detail::Store;
  friend class detail::TransactionState;
  explicit Transaction(detail::TransactionState& state) noexcept : state_(state) {}

  bool visit_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const;
  std::optional<Value> modify_impl(std::string_view key, detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f);

  detail::TransactionState& state_;
};

}  // namespace cubby
