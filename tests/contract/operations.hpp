// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The operation table of the contract as data, for what holds for every operation alike: closed handles, keys that are too
/// long, stores that take no writes. Nothing here waits.

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include <cubby/cubby.hpp>

namespace cubby::contract {

struct Operation {
  const char* name;  ///< as what() calls it
  bool writes;
  void (*call)(Datastore& store, std::string_view key);
};

inline constexpr std::chrono::seconds kNoTime{0};
inline constexpr std::chrono::hours kHour{1};

inline TimePoint in_an_hour() { return std::chrono::system_clock::now() + kHour; }

inline std::vector<Operation> operations_on_a_key() {
  return {
      {"set", true, [](Datastore& store, std::string_view key) { store.set(key, 1); }},
      {"set", true, [](Datastore& store, std::string_view key) { store.set(key, 1, kHour); }},
      {"set", true, [](Datastore& store, std::string_view key) { store.set(key, 1, in_an_hour()); }},
      {"set", true, [](Datastore& store, std::string_view key) { store.set(key, 1, std::nullopt); }},
      {"set_once", true, [](Datastore& store, std::string_view key) { store.set_once(key, 1); }},
      {"set_once", true, [](Datastore& store, std::string_view key) { store.set_once(key, 1, in_an_hour()); }},
      {"set_once", true, [](Datastore& store, std::string_view key) { store.set_once(key, 1, kHour); }},
      {"get", false, [](Datastore& store, std::string_view key) { store.get(key); }},
      {"visit", false, [](Datastore& store, std::string_view key) { store.visit(key, [](const Value&) {}); }},
      {"visit_scalar", false, [](Datastore& store, std::string_view key) { store.visit_scalar(key, [](const Value&) {}); }},
      {"visit_many", false,
       [](Datastore& store, std::string_view key) {
         store.visit_many(std::vector<std::string_view>{key}, [](std::size_t, const Value&) {});
       }},
      {"swap", true, [](Datastore& store, std::string_view key) { store.swap(key, 1); }},
      {"increment", true, [](Datastore& store, std::string_view key) { store.increment(key); }},
      {"decrement", true, [](Datastore& store, std::string_view key) { store.decrement(key); }},
      {"push", true, [](Datastore& store, std::string_view key) { store.push(key, 1); }},
      {"unshift", true, [](Datastore& store, std::string_view key) { store.unshift(key, 1); }},
      {"shift", true, [](Datastore& store, std::string_view key) { store.shift(key); }},
      {"pop", true, [](Datastore& store, std::string_view key) { store.pop(key); }},
      {"shift_wait", true, [](Datastore& store, std::string_view key) { store.shift_wait(key, kNoTime); }},
      {"pop_wait", true, [](Datastore& store, std::string_view key) { store.pop_wait(key, kNoTime); }},
      {"wait", false, [](Datastore& store, std::string_view key) { store.wait(key, kNoTime); }},
      {"wait", false, [](Datastore& store, std::string_view key) { store.wait(key, 1, kNoTime); }},
      {"wait_for", false,
       [](Datastore& store, std::string_view key) {
         store.wait_for(
             key, [](const Value&) { return false; }, kNoTime);
       }},
      {"exists", false, [](Datastore& store, std::string_view key) { store.exists(key); }},
      {"type", false, [](Datastore& store, std::string_view key) { store.type(key); }},
      {"length", false, [](Datastore& store, std::string_view key) { store.length(key); }},
      {"slice", false, [](Datastore& store, std::string_view key) { store.slice(key, 0, 1); }},
      {"member", false, [](Datastore& store, std::string_view key) { store.member(key, "name"); }},
      {"visit_members", false,
       [](Datastore& store, std::string_view key) { store.visit_members(key, {"name"}, [](std::size_t, const Value&) {}); }},
      {"visit_members", false,
       [](Datastore& store, std::string_view key) { store.visit_members(key, 0, 1, [](std::string_view, const Value&) {}); }},
      {"rename", true, [](Datastore& store, std::string_view key) { store.rename(key, "renamed"); }},
      {"erase", true, [](Datastore& store, std::string_view key) { store.erase(key); }},
      {"take", true, [](Datastore& store, std::string_view key) { store.take(key); }},
      {"expire", true, [](Datastore& store, std::string_view key) { store.expire(key, kHour); }},
      {"expire", true, [](Datastore& store, std::string_view key) { store.expire(key); }},
      {"expire_at", true, [](Datastore& store, std::string_view key) { store.expire_at(key, in_an_hour()); }},
      {"ttl", false, [](Datastore& store, std::string_view key) { store.ttl(key); }},
      {"deadline", false, [](Datastore& store, std::string_view key) { store.deadline(key); }},
      {"shift_async", true,
       [](Datastore& store, std::string_view key) {
         static_cast<void>(store.shift_async({key}, End::first, kNoTime, [](const WaitResult&) {}));
       }},
      {"wait_async", false,
       [](Datastore& store, std::string_view key) {
         static_cast<void>(store.wait_async(key, kNoTime, [](const WaitResult&) {}));
       }},
      {"attempt_async", false,
       [](Datastore& store, std::string_view key) {
         static_cast<void>(store.attempt_async({key}, kNoTime, [](std::error_code) { return true; }));
       }},
      {"version", false, [](Datastore& store, std::string_view key) { store.version(key); }},
      {"unchanged", false, [](Datastore& store, std::string_view key) { store.unchanged(key, KeyVersion()); }},
      {"remove_expiry", true, [](Datastore& store, std::string_view key) { store.remove_expiry(key); }},
      {"update", true, [](Datastore& store, std::string_view key) { store.update(key, Value::object({})); }},
      {"change_members", true, [](Datastore& store, std::string_view key) { store.change_members(key, Value::object({})); }},
      {"modify_member", true,
       [](Datastore& store, std::string_view key) {
         store.modify_member(key, "name", [](std::optional<Value> value) { return value; });
       }},
      {"modify", true,
       [](Datastore& store, std::string_view key) { store.modify(key, [](std::optional<Value> value) { return value; }); }},
      {"transact", true,
       [](Datastore& store, std::string_view key) {
         store.transact({key}, [key](Transaction& transaction) { transaction.set(key, 1); });
       }},
  };
}

inline std::vector<Operation> operations_on_all_keys() {
  return {
      {"clear", true, [](Datastore& store, std::string_view) { store.clear(); }},
      {"keys", false, [](Datastore& store, std::string_view) { store.keys(); }},
      {"keys", false, [](Datastore& store, std::string_view key) { store.keys(key); }},
      {"size", false, [](Datastore& store, std::string_view) { store.size(); }},
      {"for_each", false, [](Datastore& store, std::string_view) { store.for_each([](std::string_view, const Value&) {}); }},
      {"for_each", false,
       [](Datastore& store, std::string_view key) { store.for_each(key, [](std::string_view, const Value&) {}); }},
      {"select", false,
       [](Datastore& store, std::string_view) {
         store.select([](std::string_view, const Value& value) { return std::optional(value); });
       }},
      {"count", false,
       [](Datastore& store, std::string_view) { store.count([](std::string_view, const Value&) { return true; }); }},
      {"scan", false, [](Datastore& store, std::string_view) { store.scan(0, 1, [](std::string_view) {}); }},
      {"random_key", false, [](Datastore& store, std::string_view) { store.random_key(); }},
      {"save", true, [](Datastore& store, std::string_view) { store.save(); }},
      {"load", false, [](Datastore& store, std::string_view) { store.load(); }},
      {"stats", false, [](Datastore& store, std::string_view) { store.stats(); }},
      {"on_expired", false, [](Datastore& store, std::string_view) { store.on_expired([](std::string_view) {}); }},
  };
}

}  // namespace cubby::contract
