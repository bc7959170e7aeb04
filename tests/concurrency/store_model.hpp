// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a store is, sequentially: a few keys, each absent, an integer, or a queue of integers, with or without a deadline.
// Operations carry their result as text, so that a history reads like a transcript; `execute` does an operation to a real
// store, and the model says what it should have given. The two share nothing but the notation of results:
//
//   5   [1,2]   absent   ok   true   false   !type_mismatch (an error)   5|[] (two results)

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "support.hpp"

namespace cubby_test {

enum class Kind {
  get,
  visit,
  exists,
  set,
  set_with_ttl,
  set_expired,
  set_once,
  swap,
  take,
  erase,
  increment,
  decrement,
  modify_add,
  modify_remove,
  push,
  unshift,
  shift,
  pop,
  shift_erase,
  pop_erase,
  shift_wait,
  pop_wait,
  wait_change,
  wait_equal,
  wait_for,
  expire_later,
  expire_now,
  has_ttl,
  remove_expiry,
  rename,
  clear,
  transact_read,
  transact_transfer,
  transact_move,
  transact_shift_push,
  transact_set,
  transact_abort
};

inline const char* to_text(Kind kind) {
  static constexpr const char* kNames[] = {"get",
                                           "visit",
                                           "exists",
                                           "set",
                                           "set_with_ttl",
                                           "set_expired",
                                           "set_once",
                                           "swap",
                                           "take",
                                           "erase",
                                           "increment",
                                           "decrement",
                                           "modify_add",
                                           "modify_remove",
                                           "push",
                                           "unshift",
                                           "shift",
                                           "pop",
                                           "shift_erase",
                                           "pop_erase",
                                           "shift_wait",
                                           "pop_wait",
                                           "wait_change",
                                           "wait_equal",
                                           "wait_for",
                                           "expire_later",
                                           "expire_now",
                                           "has_ttl",
                                           "remove_expiry",
                                           "rename",
                                           "clear",
                                           "transact_read",
                                           "transact_transfer",
                                           "transact_move",
                                           "transact_shift_push",
                                           "transact_set",
                                           "transact_abort"};
  return kNames[static_cast<std::size_t>(kind)];
}

inline constexpr std::size_t kModelKeys = 3;

struct StoreOperation {
  Kind kind = Kind::get;
  std::size_t key = 0;
  std::size_t other = 0;      // of rename and transact
  std::int64_t argument = 0;  // a value, or an amount
  int microseconds = 0;       // of waiting calls
  std::string result = {};

  bool has_two_keys() const { return kind == Kind::rename || kind >= Kind::transact_read; }
  std::vector<std::size_t> keys() const {
    if (kind == Kind::clear) return {0, 1, 2};
    return has_two_keys() ? std::vector{key, other} : std::vector{key};
  }
  friend std::ostream& operator<<(std::ostream& out, const StoreOperation& operation) {
    out << to_text(operation.kind) << "(k" << operation.key;
    if (operation.has_two_keys()) out << ", k" << operation.other;
    return out << ", " << operation.argument << ") -> " << operation.result;
  }
};

struct StoreModel {
  using Operation = StoreOperation;

  struct Cell {
    enum class Holds { nothing, number, queue } holds = Holds::nothing;
    bool deadline = false;
    std::int64_t number = 0;
    std::vector<std::int64_t> queue = {};
    friend bool operator==(const Cell&, const Cell&) = default;

    bool absent() const { return holds == Holds::nothing; }
    void put(std::int64_t value) {  // keeps the deadline
      holds = Holds::number;
      number = value;
      queue.clear();
    }
    std::string show() const {
      if (absent()) return "absent";
      if (holds == Holds::number) return std::to_string(number);
      std::string text = "[";
      for (const std::int64_t element : queue) text += (text.size() > 1 ? "," : "") + std::to_string(element);
      return text + "]";
    }
    /// Prepares a push: false if the key holds a number.
    bool make_queue() {
      if (absent()) holds = Holds::queue;
      return holds == Holds::queue;
    }
    std::string take_element(bool first, const char* when_empty, const char* when_absent) {
      if (absent()) return when_absent;
      if (holds != Holds::queue) return "!type_mismatch";
      if (queue.empty()) return when_empty;
      const std::int64_t element = first ? queue.front() : queue.back();
      queue.erase(first ? queue.begin() : queue.end() - 1);
      return std::to_string(element);
    }
  };
  using State = std::array<Cell, kModelKeys>;

  static std::size_t hash(const State& state) {
    std::size_t hash = 1;
    const auto mix = [&hash](std::int64_t with) {
      hash = (hash ^ static_cast<std::size_t>(with)) * 0x9e3779b97f4a7c15u + (hash >> 31);
    };
    for (const Cell& cell : state) {
      mix(static_cast<int>(cell.holds) * 2 + (cell.deadline ? 1 : 0));
      mix(cell.number);
      for (const std::int64_t element : cell.queue) mix(element);
    }
    return hash;
  }

  static bool apply(State& state, const Operation& operation) {
    // A wait for a change may time out whatever the key holds: whether it changed is in the eye of the call.
    if (operation.kind == Kind::wait_change && operation.result == "!timeout") return true;
    return expected(state, operation) == operation.result;
  }

  /// Does the operation, and tells its result.
  static std::string expected(State& state, const Operation& operation) {
    Cell& cell = state[operation.key];
    Cell& other = state[operation.other];
    const auto yes_no = [](bool answer) { return std::string(answer ? "true" : "false"); };
    switch (operation.kind) {
      case Kind::get:
      case Kind::visit:
        return cell.show();
      case Kind::exists:
        return yes_no(!cell.absent());
      case Kind::set:
        cell.put(operation.argument);
        return "ok";
      case Kind::set_with_ttl:
        cell.put(operation.argument);
        cell.deadline = true;
        return "ok";
      case Kind::set_expired:
        cell = {};
        return "ok";
      case Kind::set_once: {
        const bool stored = cell.absent();
        if (stored) cell.put(operation.argument);
        return yes_no(stored);
      }
      case Kind::swap: {
        std::string old = cell.show();
        cell.put(operation.argument);
        return old;
      }
      case Kind::take:
        return std::exchange(cell, {}).show();
      case Kind::erase:
        return yes_no(!std::exchange(cell, {}).absent());
      case Kind::increment:
        return add(cell, operation.argument);
      case Kind::decrement:
        return add(cell, -operation.argument);
      case Kind::modify_add:
        if (cell.holds == Cell::Holds::queue) {
          cell.queue.push_back(operation.argument);
        } else {
          cell.put(cell.absent() ? operation.argument : cell.number + operation.argument);
        }
        return cell.show();
      case Kind::modify_remove:
        return std::exchange(cell, {}).show();
      case Kind::push:
      case Kind::unshift:
        if (!cell.make_queue()) return "!type_mismatch";
        cell.queue.insert(operation.kind == Kind::push ? cell.queue.end() : cell.queue.begin(), operation.argument);
        return std::to_string(cell.queue.size());
      case Kind::shift:
        return cell.take_element(true, "absent", "!key_not_found");
      case Kind::pop:
        return cell.take_element(false, "absent", "!key_not_found");
      case Kind::shift_erase:
      case Kind::pop_erase: {
        std::string element = cell.take_element(operation.kind == Kind::shift_erase, "absent", "!key_not_found");
        if (cell.holds == Cell::Holds::queue && cell.queue.empty()) cell = {};
        return element;
      }
      // Empty-handed only if there was an instant without an element.
      case Kind::shift_wait:
        return cell.take_element(true, "absent", "absent");
      case Kind::pop_wait:
        return cell.take_element(false, "absent", "absent");
      case Kind::wait_change:
        return cell.show();
      case Kind::wait_equal:
        return cell.holds == Cell::Holds::number && cell.number == operation.argument ? cell.show() : "!timeout";
      case Kind::wait_for: {
        const std::int64_t seen = cell.holds == Cell::Holds::queue ? static_cast<std::int64_t>(cell.queue.size()) : cell.number;
        if (cell.absent() || seen <= operation.argument) return "!timeout";
        return cell.show();
      }
      case Kind::expire_later:
        if (cell.absent()) return "!key_not_found";
        cell.deadline = true;
        return "ok";
      case Kind::expire_now:
        return std::exchange(cell, {}).absent() ? "!key_not_found" : "ok";
      case Kind::has_ttl:
        return yes_no(cell.deadline);
      case Kind::remove_expiry:
        return yes_no(std::exchange(cell.deadline, false));
      case Kind::rename:
        if (cell.absent()) return "!key_not_found";
        if (!other.absent()) return "!key_exists";
        other = std::exchange(cell, {});
        return "ok";
      case Kind::clear:
        state = {};
        return "ok";
      case Kind::transact_read:
        return cell.show() + "|" + other.show();
      case Kind::transact_transfer: {
        if (cell.holds == Cell::Holds::queue || other.holds == Cell::Holds::queue) return "!type_mismatch";
        std::string taken = add(cell, -operation.argument);
        return taken + "|" + add(other, operation.argument);
      }
      case Kind::transact_move:
        if (cell.holds != Cell::Holds::number || !other.absent()) return "false";
        other.put(cell.number);
        cell = {};
        return "true";
      case Kind::transact_shift_push: {
        if (other.holds == Cell::Holds::number && cell.holds == Cell::Holds::queue && !cell.queue.empty())
          return "!type_mismatch";
        std::string element = cell.take_element(true, "absent", "!key_not_found");
        if (element == "absent" || element[0] == '!') return element;
        other.make_queue();
        other.queue.push_back(std::stoll(element));
        return element + "|" + std::to_string(other.queue.size());
      }
      case Kind::transact_set:
        cell.put(operation.argument);
        other.put(-operation.argument);
        return "ok";
      case Kind::transact_abort:
        return "aborted";
    }
    return "?";
  }

 private:
  static std::string add(Cell& cell, std::int64_t amount) {
    if (cell.holds == Cell::Holds::queue) return "!type_mismatch";
    cell.put(cell.absent() ? amount : cell.number + amount);
    return cell.show();
  }
};

inline std::string show(const std::optional<Value>& value) { return value ? value->to_json() : "absent"; }

inline std::string show(Errc code) {
  switch (code) {
    case Errc::key_not_found:
      return "!key_not_found";
    case Errc::key_exists:
      return "!key_exists";
    case Errc::type_mismatch:
      return "!type_mismatch";
    case Errc::timeout:
      return "!timeout";
    default:
      return "!error " + cubby::make_error_code(code).message();
  }
}

/// Does `operation` to the store and returns the result.
inline std::string execute(Datastore& store, const StoreOperation& operation) {
  static const std::string kKeys[kModelKeys] = {"k0", "k1", "k2"};
  const std::string& key = kKeys[operation.key];
  const std::string& other = kKeys[operation.other];
  const Value value(operation.argument);
  const auto patience = std::chrono::microseconds(operation.microseconds);
  const auto yes_no = [](bool answer) { return std::string(answer ? "true" : "false"); };
  struct Abort : std::exception {};
  const auto act = [&]() -> std::string {
    switch (operation.kind) {
      case Kind::get:
        return show(store.get(key));
      case Kind::visit: {
        std::string seen = "absent";
        store.visit(key, [&seen](const Value& in_place) { seen = in_place.to_json(); });
        return seen;
      }
      case Kind::exists:
        return yes_no(store.exists(key));
      case Kind::set:
        store.set(key, value);
        return "ok";
      case Kind::set_with_ttl:
        store.set(key, value, 1h);
        return "ok";
      case Kind::set_expired:
        store.set(key, value, 0s);
        return "ok";
      case Kind::set_once:
        return yes_no(store.set_once(key, value));
      case Kind::swap:
        return show(store.swap(key, value));
      case Kind::take:
        return show(store.take(key));
      case Kind::erase:
        return yes_no(store.erase(key));
      case Kind::increment:
        return show(store.increment(key, value));
      case Kind::decrement:
        return show(store.decrement(key, value));
      case Kind::modify_add:
        return show(store.modify(key, [&](std::optional<Value> old) -> std::optional<Value> {
          if (!old) return value;
          if (old->is_int()) return Value(old->as_int() + operation.argument);
          std::vector<Value> elements;
          for (const Value& element : old->elements()) elements.push_back(element);
          elements.push_back(value);
          return Value::array(elements);
        }));
      case Kind::modify_remove: {
        std::string seen;
        store.modify(key, [&seen](std::optional<Value> old) -> std::optional<Value> {
          seen = show(old);
          return std::nullopt;
        });
        return seen;
      }
      case Kind::push:
        return std::to_string(store.push(key, value));
      case Kind::unshift:
        return std::to_string(store.unshift(key, value));
      case Kind::shift:
        return show(store.shift(key));
      case Kind::pop:
        return show(store.pop(key));
      case Kind::shift_erase:
        return show(store.shift(key, cubby::WhenEmptied::erase));
      case Kind::pop_erase:
        return show(store.pop(key, cubby::WhenEmptied::erase));
      case Kind::shift_wait:
        return show(store.shift_wait(key, patience));
      case Kind::pop_wait:
        return show(store.pop_wait(key, patience));
      case Kind::wait_change:
        return show(store.wait(key, patience));
      case Kind::wait_equal:
        return show(store.wait(key, value, patience));
      case Kind::wait_for: {
        const auto predicate = [&](const Value& seen) { return seen.as_int() > operation.argument; };
        return show(store.wait_for(key, predicate, patience));
      }
      case Kind::expire_later:
        store.expire(key, 1h);
        return "ok";
      case Kind::expire_now:
        store.expire(key, 0s);
        return "ok";
      case Kind::has_ttl:
        return yes_no(store.ttl(key).has_value());
      case Kind::remove_expiry:
        return yes_no(store.remove_expiry(key));
      case Kind::rename:
        store.rename(key, other);
        return "ok";
      case Kind::clear:
        store.clear();
        return "ok";
      case Kind::transact_read:
        return store.transact({key, other},
                              [&](cubby::Transaction& all) { return show(all.get(key)) + "|" + show(all.get(other)); });
      case Kind::transact_transfer:
        return store.transact({key, other}, [&](cubby::Transaction& all) {
          std::string taken = show(all.increment(key, Value(-operation.argument)));
          return taken + "|" + show(all.increment(other, value));
        });
      case Kind::transact_move:
        return store.transact({key, other}, [&](cubby::Transaction& all) {
          const std::optional<Value> moved = all.get(key);
          if (!moved || !moved->is_int() || all.exists(other)) return yes_no(false);
          all.set(other, *moved);
          all.erase(key);
          return yes_no(true);
        });
      case Kind::transact_shift_push:
        return store.transact({key, other}, [&](cubby::Transaction& all) {
          const std::optional<Value> element = all.shift(key);
          return element ? show(element) + "|" + std::to_string(all.push(other, *element)) : show(element);
        });
      case Kind::transact_set:
        store.transact({key, other}, [&](cubby::Transaction& all) {
          all.set(key, value);
          all.set(other, Value(-operation.argument));
        });
        return "ok";
      case Kind::transact_abort:
        try {
          store.transact({key, other}, [&](cubby::Transaction& all) {
            all.set(key, value);
            all.erase(other);
            throw Abort();
          });
        } catch (const Abort&) {
          return "aborted";
        }
        return "committed";
    }
    return "?";
  };
  try {
    return act();
  } catch (const cubby::Error& error) {
    return show(static_cast<Errc>(error.code().value()));
  }
}

}  // namespace cubby_test
