// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <cubby/function_ref.hpp>
#include <cubby/key_version.hpp>
#include <cubby/options.hpp>
#include <cubby/value.hpp>

namespace cubby {

namespace detail {

class Store;
class TransactionState;

template <class Keys>
concept KeyRange =
    std::ranges::input_range<Keys> && std::convertible_to<std::ranges::range_reference_t<Keys>, std::string_view>;

/// Calls `f` with the keys as views, which are kept where the range makes them as it is walked.
template <class Keys, class F>
decltype(auto) with_keys(Keys& keys, F&& f) {
  using Key = std::ranges::range_reference_t<Keys>;
  std::vector<std::string_view> views;
  if constexpr (std::convertible_to<Keys&, std::span<const std::string_view>>) {
    return f(std::span<const std::string_view>(keys));
  } else if constexpr (std::is_lvalue_reference_v<Key> || std::same_as<std::remove_cvref_t<Key>, std::string_view> ||
                       std::is_pointer_v<std::remove_cvref_t<Key>>) {
    for (auto&& key : keys) views.emplace_back(key);
    return f(std::span<const std::string_view>(views));
  } else {
    std::vector<std::string> owned;
    for (auto&& key : keys) owned.emplace_back(std::string_view(key));
    views.assign(owned.begin(), owned.end());
    return f(std::span<const std::string_view>(views));
  }
}

}  // namespace detail

/// What becomes of a key whose array has given its last element, or whose object has lost its last member.
enum class WhenEmptied { keep, erase };

/// What change_members has done: how many members came and went, and how many there are now.
struct MembersChanged {
  std::size_t added = 0;
  std::size_t removed = 0;
  std::size_t size = 0;
};

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
  template <class F>
    requires std::invocable<F&, const Value&>
  std::optional<Type> visit_scalar(std::string_view key, F&& f) const {
    return visit_scalar_impl(key, [&f](const Value& value) { std::invoke(f, value); });
  }
  bool exists(std::string_view key) const;
  std::optional<Type> type(std::string_view key) const;
  std::optional<std::size_t> length(std::string_view key) const;
  Value slice(std::string_view key, std::size_t first, std::size_t count) const;
  std::optional<Value> member(std::string_view key, std::string_view name) const;
  template <class Names, class F>
    requires detail::KeyRange<Names> && std::invocable<F&, std::size_t, const Value&>
  std::optional<std::size_t> visit_members(std::string_view key, Names&& names, F&& f) const {
    return detail::with_keys(names, [&](std::span<const std::string_view> views) {
      return visit_members_impl(key, views, [&f](std::size_t index, const Value& value) { std::invoke(f, index, value); });
    });
  }
  template <class F>
    requires std::invocable<F&, std::size_t, const Value&>
  std::optional<std::size_t> visit_members(std::string_view key, std::initializer_list<std::string_view> names, F&& f) const {
    return visit_members(key, std::span<const std::string_view>(names.begin(), names.size()), f);
  }
  template <class F>
    requires std::invocable<F&, std::string_view, const Value&>
  std::optional<std::size_t> visit_members(std::string_view key, std::size_t first, std::size_t count, F&& f) const {
    return visit_members_impl(key, first, count,
                              [&f](std::string_view name, const Value& value) { std::invoke(f, name, value); });
  }

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
  MembersChanged change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied = WhenEmptied::keep);
  /// As modify, of a member.
  template <class F>
    requires std::is_invocable_r_v<std::optional<Value>, F&, std::optional<Value>>
  std::optional<Value> modify_member(std::string_view key, std::string_view name, F&& f) {
    return modify_member_impl(
        key, name, [&f](std::optional<Value> old) -> std::optional<Value> { return std::invoke(f, std::move(old)); });
  }
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
  std::optional<Type> visit_scalar_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const;
  std::optional<std::size_t> visit_members_impl(std::string_view key, std::span<const std::string_view> names,
                                                detail::FunctionRef<void(std::size_t, const Value&)> f) const;
  std::optional<std::size_t> visit_members_impl(std::string_view key, std::size_t first, std::size_t count,
                                                detail::FunctionRef<void(std::string_view, const Value&)> f) const;
  std::optional<Value> modify_impl(std::string_view key, detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f);
  std::optional<Value> modify_member_impl(std::string_view key, std::string_view name,
                                          detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f);

  detail::TransactionState& state_;
};

}  // namespace cubby
