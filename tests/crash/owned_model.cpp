// SPDX-License-Identifier: Apache-2.0
#include "owned_model.hpp"

#include <chrono>
#include <vector>

#include "plan.hpp"

namespace cubby_crash {

using cubby::Errc;
using cubby::Value;

namespace {

constexpr std::int64_t kDefaultTtl = std::int64_t{60} * 60 * 1'000'000'000;  // of Options::default_ttl

int code(Errc error) { return static_cast<int>(error); }
std::int64_t nanoseconds_of(std::chrono::nanoseconds length) { return length.count(); }

/// RFC 7396.
Value merged(const Value& target, const Value& patch) {
  if (!patch.is_object()) return patch;
  std::map<std::string, Value> members;
  if (target.is_object()) {
    for (const auto& [name, member] : target.members()) members.emplace(name, member);
  }
  for (const auto& [name, member] : patch.members()) {
    Value& merging = members[std::string(name)];
    if (member.is_null()) {
      members.erase(std::string(name));
    } else {
      merging = merged(merging, member);
    }
  }
  return Value::object(members);
}

}  // namespace

void OwnedModel::Entry::assign(const Value& now) {
  items.reset();
  value = Value();
  if (!now.is_array()) {
    value = now;
    return;
  }
  items.emplace();
  for (const Value& item : now.elements()) items->push_back(item);
}

std::optional<Value> OwnedModel::current(int key) const {
  const auto place = entries_.find(key);
  if (place == entries_.end()) return std::nullopt;
  return place->second.current();
}

void OwnedModel::store(int key, const Value& value) { entries_[key].assign(value); }

OwnedModel::Outcome OwnedModel::add(int key, const Value& delta, bool subtract) {
  const Value old = current(key).value_or(0);
  if (!old.is_number() || !delta.is_number()) return {code(Errc::type_mismatch)};
  Value sum;
  if (old.is_int() && delta.is_int()) {
    std::int64_t exact = 0;
    const bool overflow = subtract ? __builtin_sub_overflow(old.as_int(), delta.as_int(), &exact)
                                   : __builtin_add_overflow(old.as_int(), delta.as_int(), &exact);
    if (overflow) return {code(Errc::overflow)};
    sum = exact;
  } else {
    sum = subtract ? old.as_double() - delta.as_double() : old.as_double() + delta.as_double();
  }
  store(key, sum);
  return {0, digest(sum)};
}

OwnedModel::Outcome OwnedModel::take_item(int key, bool first, bool absent_is_empty) {
  const auto place = entries_.find(key);
  if (place == entries_.end()) return absent_is_empty ? Outcome{0, digest(std::nullopt)} : Outcome{code(Errc::key_not_found)};
  auto& items = place->second.items;
  if (!items) return {code(Errc::type_mismatch)};
  if (items->empty()) return {0, digest(std::nullopt)};
  const Value taken = first ? items->front() : items->back();
  first ? items->pop_front() : items->pop_back();
  return {0, digest(taken)};
}

OwnedModel::Outcome OwnedModel::transact(const Operation& operation, std::int64_t from, std::int64_t to) {
  const auto before = entries_;
  const Steps steps = steps_of(operation);
  std::int64_t result = 0;
  for (const Operation& step : steps.steps) {
    const Outcome outcome = apply_basic(step, from, to);
    if (outcome.error != 0 && !steps.tolerant) {
      entries_ = before;
      return {outcome.error};
    }
    result = mix(result, outcome.error != 0 ? outcome.error : outcome.result);
  }
  if (operation.kind == Kind::transact_abort) entries_ = before;
  return {0, result};
}

OwnedModel::Outcome OwnedModel::apply(const Operation& operation, std::int64_t from, std::int64_t to) {
  if (operation.kind == Kind::transact || operation.kind == Kind::transact_abort) return transact(operation, from, to);
  return apply_basic(operation, from, to);
}

OwnedModel::Outcome OwnedModel::apply_basic(const Operation& operation, std::int64_t from, std::int64_t to) {
  const int key = operation.a;
  const bool there = entries_.contains(key);
  const std::int64_t ttl = nanoseconds_of(ttl_of(operation.argument));
  const auto value = [&] { return value_of(operation.argument, class_of(key)); };
  const auto arm = [&](std::int64_t length) { entries_.at(key).deadline = Deadline{from + length, to + length}; };
  switch (operation.kind) {
    case Kind::set:
      store(key, value());
      return {};
    case Kind::set_ttl:
      store(key, value());
      arm(ttl);
      return {};
    case Kind::set_expired:
      entries_.erase(key);
      return {};
    case Kind::set_once:
    case Kind::set_once_ttl:
      if (!there) store(key, value());
      if (!there && operation.kind == Kind::set_once_ttl) arm(ttl);
      return {0, digest(Value(!there))};
    case Kind::swap: {
      const auto old = current(key);
      store(key, value());
      return {0, digest(old)};
    }
    case Kind::increment:
    case Kind::decrement:
      return add(key, delta_of(operation.argument), operation.kind == Kind::decrement);
    case Kind::push:
    case Kind::unshift: {
      if (!there) store(key, Value::array({}));
      auto& items = entries_.at(key).items;
      if (!items) return {code(Errc::type_mismatch)};
      const Value item = value_of(operation.argument, Class::any);
      operation.kind == Kind::push ? items->push_back(item) : items->push_front(item);
      return {0, digest(Value(items->size()))};
    }
    case Kind::shift:
    case Kind::pop:
      return take_item(key, operation.kind == Kind::shift, false);
    case Kind::shift_wait:
    case Kind::pop_wait:
      return take_item(key, operation.kind == Kind::shift_wait, true);
    case Kind::erase:
      entries_.erase(key);
      return {0, digest(Value(there))};
    case Kind::take: {
      const auto old = current(key);
      entries_.erase(key);
      return {0, digest(old)};
    }
    case Kind::rename: {
      if (!there) return {code(Errc::key_not_found)};
      if (entries_.contains(operation.b)) return {code(Errc::key_exists)};
      auto node = entries_.extract(key);
      node.key() = operation.b;
      entries_.insert(std::move(node));
      return {};
    }
    case Kind::expire:
    case Kind::expire_default:
    case Kind::expire_now:
      if (!there) return {code(Errc::key_not_found)};
      if (operation.kind == Kind::expire_now) {
        entries_.erase(key);
      } else {
        arm(operation.kind == Kind::expire ? ttl : kDefaultTtl);
      }
      return {};
    case Kind::remove_expiry: {
      const bool had = there && entries_.at(key).deadline.has_value();
      if (had) entries_.at(key).deadline.reset();
      return {0, digest(Value(had))};
    }
    case Kind::update: {
      const Value old = current(key).value_or(Value::object({}));
      if (!old.is_object()) return {code(Errc::type_mismatch)};
      const Value now = merged(old, patch_of(operation.argument));
      store(key, now);
      return {0, digest(now)};
    }
    case Kind::modify: {
      const auto now = modified(operation.argument, current(key));
      store(key, *now);
      return {0, digest(now)};
    }
    case Kind::modify_remove:
      entries_.erase(key);
      return {0, digest(std::nullopt)};
    default:
      throw Failure(std::string("no operation on owned keys: ") + to_text(operation.kind));
  }
}

std::string OwnedModel::difference(const Recovered& recovered, int thread) const {
  for (int key = 0; key < kOwnedKeys; ++key) {
    const std::string name = owned_key(thread, key);
    const auto place = recovered.find(name);
    const auto expected = entries_.find(key);
    if (expected == entries_.end() && place == recovered.end()) continue;
    if (expected == entries_.end()) return name + " absent, but found " + to_text(place->second.value);
    const Value value = expected->second.current();
    if (place == recovered.end()) return name + " = " + to_text(value) + ", but found it absent";
    const Found& found = place->second;
    if (!same(value, found.value)) return name + " = " + to_text(value) + ", but found " + to_text(found.value);
    const auto& deadline = expected->second.deadline;
    if (deadline.has_value() != found.deadline.has_value()) {
      return name + (deadline ? " with a deadline, but found none" : " without a deadline, but found one");
    }
    if (deadline && (*found.deadline < deadline->from - kDeadlineSlack || *found.deadline > deadline->to + kDeadlineSlack)) {
      return name + " with the deadline " + std::to_string(deadline->from) + " to " + std::to_string(deadline->to) +
             ", but found " + std::to_string(*found.deadline);
    }
  }
  return {};
}

// --- the real thing
// --------------------------------------------------------------------------------------------------------------

namespace {

struct Abort {};

std::int64_t execute_step(cubby::Transaction& all, int thread, const Operation& step) {
  const std::string key = owned_key(thread, step.a);
  switch (step.kind) {
    case Kind::set:
      all.set(key, value_of(step.argument, class_of(step.a)));
      return 0;
    case Kind::set_ttl:
      all.set(key, value_of(step.argument, class_of(step.a)), ttl_of(step.argument));
      return 0;
    case Kind::erase:
      return digest(Value(all.erase(key)));
    case Kind::increment:
      return digest(all.increment(key, delta_of(step.argument)));
    case Kind::push:
      return digest(Value(all.push(key, value_of(step.argument, Class::any))));
    case Kind::shift:
      return digest(all.shift(key));
    case Kind::pop:
      return digest(all.pop(key));
    case Kind::expire:
      all.expire(key, ttl_of(step.argument));
      return 0;
    case Kind::expire_default:
      all.expire(key);
      return 0;
    default:
      throw std::logic_error(to_text(step.kind));
  }
}

std::int64_t execute_transaction(cubby::Datastore& store, int thread, const Operation& operation) {
  const Steps steps = steps_of(operation);
  std::vector<std::string> keys;
  for (const int key : steps.keys) keys.push_back(owned_key(thread, key));
  std::int64_t result = 0;
  try {
    store.transact(keys, [&](cubby::Transaction& all) {
      result = 0;
      for (const Operation& step : steps.steps) {
        try {
          result = mix(result, execute_step(all, thread, step));
        } catch (const cubby::Error& error) {
          if (!steps.tolerant) throw;
          result = mix(result, error.code().value());
        }
      }
      if (operation.kind == Kind::transact_abort) throw Abort();
    });
  } catch (const Abort&) {  // as it should be
  }
  return result;
}

}  // namespace

std::int64_t execute(cubby::Datastore& store, int thread, const Operation& operation) {
  const std::string key = owned_key(thread, operation.a);
  const auto ttl = ttl_of(operation.argument);
  const auto value = [&] { return value_of(operation.argument, class_of(operation.a)); };
  const auto item = [&] { return value_of(operation.argument, Class::any); };
  using std::chrono::seconds;
  switch (operation.kind) {
    case Kind::set:
      return store.set(key, value()), 0;
    case Kind::set_ttl:
      return store.set(key, value(), ttl), 0;
    case Kind::set_expired:
      return store.set(key, value(), seconds(0)), 0;
    case Kind::set_once:
      return digest(Value(store.set_once(key, value())));
    case Kind::set_once_ttl:
      return digest(Value(store.set_once(key, value(), ttl)));
    case Kind::swap:
      return digest(store.swap(key, value()));
    case Kind::increment:
      return digest(store.increment(key, delta_of(operation.argument)));
    case Kind::decrement:
      return digest(store.decrement(key, delta_of(operation.argument)));
    case Kind::push:
      return digest(Value(store.push(key, item())));
    case Kind::unshift:
      return digest(Value(store.unshift(key, item())));
    case Kind::shift:
      return digest(store.shift(key));
    case Kind::pop:
      return digest(store.pop(key));
    case Kind::shift_wait:
      return digest(store.shift_wait(key, seconds(0)));
    case Kind::pop_wait:
      return digest(store.pop_wait(key, seconds(0)));
    case Kind::erase:
      return digest(Value(store.erase(key)));
    case Kind::take:
      return digest(store.take(key));
    case Kind::rename:
      return store.rename(key, owned_key(thread, operation.b)), 0;
    case Kind::expire:
      return store.expire(key, ttl), 0;
    case Kind::expire_default:
      return store.expire(key), 0;
    case Kind::expire_now:
      return store.expire(key, seconds(0)), 0;
    case Kind::remove_expiry:
      return digest(Value(store.remove_expiry(key)));
    case Kind::update:
      return digest(store.update(key, patch_of(operation.argument)));
    case Kind::modify:
      return digest(store.modify(key, [&](std::optional<Value> old) { return modified(operation.argument, old); }));
    case Kind::modify_remove:
      return digest(store.modify(key, [](const std::optional<Value>&) { return std::optional<Value>(); }));
    case Kind::transact:
    case Kind::transact_abort:
      return execute_transaction(store, thread, operation);
    default:
      throw std::logic_error(to_text(operation.kind));
  }
}

}  // namespace cubby_crash
