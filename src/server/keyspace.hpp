// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <cubby/datastore.hpp>

namespace cubby::server {

/// What commands work on: a store, each operation by itself; or the transaction that EXEC runs on one. The operations are those
/// of Datastore.
///
/// A command that changes several things does so in together(), so that they happen at one instant. Within EXEC there is no
/// going back: it has to look at everything that may fail before it changes anything.
///
/// Thread safety: as an int.
class Keyspace {
 private:
  template <class F>
  decltype(auto) on(F&& f) {
    return transaction_ != nullptr ? f(*transaction_) : f(*store_);
  }
  template <class F>
  decltype(auto) on(F&& f) const {
    return transaction_ != nullptr ? f(std::as_const(*transaction_)) : f(std::as_const(*store_));
  }

 public:
  /// Both have to outlive this object, which is made for each command: a handle's reference count would be shared by all.
  explicit Keyspace(Datastore& store) noexcept : store_(&store) {}
  Keyspace(Datastore& store, Transaction& transaction) noexcept : store_(&store), transaction_(&transaction) {}

  /// For what works on all keys, and for waiting. REQUIRES: not in a transaction.
  Datastore& store() noexcept { return *store_; }
  bool in_transaction() const noexcept { return transaction_ != nullptr; }

  /// Calls `f(Keyspace&)` with these keys at one instant; they may repeat. If it throws, nothing has happened, unless this is a
  /// transaction already: then `f` just runs in it.
  template <class F>
  decltype(auto) together(std::span<const std::string_view> keys, F&& f) {
    using Result = std::invoke_result_t<F&, Keyspace&>;
    if (transaction_ != nullptr) return static_cast<Result>(f(*this));
    return static_cast<Result>(store_->transact(keys, [&](Transaction& transaction) -> Result {
      Keyspace inner(*store_, transaction);
      return f(inner);
    }));
  }
  template <class F>
  decltype(auto) together(std::initializer_list<std::string_view> keys, F&& f) {
    return together(std::span(keys.begin(), keys.size()), std::forward<F>(f));
  }

  template <class F>
  bool visit(std::string_view key, F&& f) const {
    return on([&](const auto& target) { return target.visit(key, f); });
  }
  std::optional<Value> get(std::string_view key) const {
    return on([&](const auto& target) { return target.get(key); });
  }
  bool exists(std::string_view key) const {
    return on([&](const auto& target) { return target.exists(key); });
  }
  template <class F>
  std::optional<Type> visit_scalar(std::string_view key, F&& f) const {
    return on([&](const auto& target) { return target.visit_scalar(key, f); });
  }
  std::optional<Type> type(std::string_view key) const {
    return on([&](const auto& target) { return target.type(key); });
  }
  std::optional<std::size_t> length(std::string_view key) const {
    return on([&](const auto& target) { return target.length(key); });
  }
  Value slice(std::string_view key, std::size_t first, std::size_t count) const {
    return on([&](const auto& target) { return target.slice(key, first, count); });
  }
  /// `f(index, const Value&)` for the fields that are there; how many, or empty if the key is absent.
  template <class F>
  std::optional<std::size_t> visit_members(std::string_view key, std::span<const std::string_view> names, F&& f) const {
    return on([&](const auto& target) { return target.visit_members(key, names, f); });
  }
  /// `f(name, const Value&)` for the members [first, first + count); how many there are, or empty if the key is absent.
  template <class F>
  std::optional<std::size_t> visit_members(std::string_view key, std::size_t first, std::size_t count, F&& f) const {
    return on([&](const auto& target) { return target.visit_members(key, first, count, f); });
  }
  /// Members of an object; empty if the key is absent. Throws WRONGTYPE for something else, as all of these.
  std::optional<std::size_t> count_members(std::string_view key) const {
    return visit_members(key, 0, 0, [](std::string_view, const Value&) {});
  }

  void set(std::string_view key, const Value& value) {
    on([&](auto& target) { target.set(key, value); });
  }
  void set(std::string_view key, const Value& value, TimePoint deadline) {
    on([&](auto& target) { target.set(key, value, deadline); });
  }
  void set(std::string_view key, const Value& value, std::nullopt_t) {
    on([&](auto& target) { target.set(key, value, std::nullopt); });
  }
  bool set_once(std::string_view key, const Value& value) {
    return on([&](auto& target) { return target.set_once(key, value); });
  }
  bool set_once(std::string_view key, const Value& value, TimePoint deadline) {
    return on([&](auto& target) { return target.set_once(key, value, deadline); });
  }
  bool erase(std::string_view key) {
    return on([&](auto& target) { return target.erase(key); });
  }
  std::optional<Value> take(std::string_view key) {
    return on([&](auto& target) { return target.take(key); });
  }
  void rename(std::string_view from, std::string_view to) {
    on([&](auto& target) { target.rename(from, to); });
  }
  Value increment(std::string_view key, const Value& delta) {
    return on([&](auto& target) { return target.increment(key, delta); });
  }
  Value decrement(std::string_view key, const Value& delta) {
    return on([&](auto& target) { return target.decrement(key, delta); });
  }
  Value update(std::string_view key, const Value& patch) {
    return on([&](auto& target) { return target.update(key, patch); });
  }
  MembersChanged change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied = WhenEmptied::keep) {
    return on([&](auto& target) { return target.change_members(key, patch, when_emptied); });
  }
  /// As modify, of a member.
  template <class F>
  std::optional<Value> modify_member(std::string_view key, std::string_view name, F&& f) {
    return on([&](auto& target) { return target.modify_member(key, name, f); });
  }
  /// `f(optional<Value>) -> optional<Value>`, called once, under the key's lock: short, and without other calls that write.
  template <class F>
  std::optional<Value> modify(std::string_view key, F&& f) {
    return on([&](auto& target) { return target.modify(key, f); });
  }

  std::size_t push(std::string_view key, const Value& value) {
    return on([&](auto& target) { return target.push(key, value); });
  }
  std::size_t unshift(std::string_view key, const Value& value) {
    return on([&](auto& target) { return target.unshift(key, value); });
  }
  /// Takes an element; the key goes with the last one, as Redis has no empty lists.
  std::optional<Value> shift(std::string_view key, End end) {
    return on([&](auto& target) {
      return end == End::first ? target.shift(key, WhenEmptied::erase) : target.pop(key, WhenEmptied::erase);
    });
  }

  void expire_at(std::string_view key, TimePoint deadline) {
    on([&](auto& target) { target.expire_at(key, deadline); });
  }
  std::optional<TimePoint> deadline(std::string_view key) const {
    return on([&](const auto& target) { return target.deadline(key); });
  }
  bool remove_expiry(std::string_view key) {
    return on([&](auto& target) { return target.remove_expiry(key); });
  }

 private:
  Datastore* store_;
  Transaction* transaction_ = nullptr;
};

}  // namespace cubby::server
