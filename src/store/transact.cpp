// SPDX-License-Identifier: Apache-2.0
#include "store/deadlines.hpp"
#include "store/transaction_state.hpp"

/// transact and rename, and the public face of a transaction.

namespace cubby::detail {

void Store::transact(std::span<const std::string_view> keys, FunctionRef<void(Transaction&)> f) {
  MultiWrite write(*this, Operation::transact, keys);
  TransactionState state(*this, write);
  {
    const LockedStore locked{this, write.record.locked};
    write.record.locked = &locked;
    struct Restore {
      ThreadRecord& record;
      const LockedStore* outer;
      ~Restore() { record.locked = outer; }
    } const restore{write.record, locked.outer};
    Transaction transaction(state);
    f(transaction);
  }
  state.plan();
  write.commit();
}

void Store::rename(std::string_view from, std::string_view to) {
  const std::string_view keys[] = {from, to};
  MultiWrite write(*this, Operation::rename, keys);
  KeyWrite& source = write.at(write.index_of(from));
  KeyWrite& target = write.at(write.index_of(to));
  if (source.entry == nullptr) fail(Errc::key_not_found, "rename", from, "there is no such key");
  if (target.entry != nullptr) fail(Errc::key_exists, "rename", to, "the key is there already");
  write.plan_move(source, target);
  write.commit();
}

}  // namespace cubby::detail

namespace cubby {

using detail::Deadline;
using detail::Operation;

std::optional<Value> Transaction::get(std::string_view key) const { return state_.get(key); }
bool Transaction::visit_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const {
  return state_.visit(key, f);
}
std::optional<Type> Transaction::visit_scalar_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const {
  const std::optional<Type> type = state_.type(key);
  if (type && detail::is_scalar(*type)) state_.visit(key, f);
  return type;
}
bool Transaction::exists(std::string_view key) const { return state_.exists(key); }
std::optional<Type> Transaction::type(std::string_view key) const { return state_.type(key); }
std::optional<std::size_t> Transaction::length(std::string_view key) const { return state_.length(key); }
Value Transaction::slice(std::string_view key, std::size_t first, std::size_t count) const {
  return state_.slice(key, first, count);
}

void Transaction::set(std::string_view key, const Value& value) { state_.set(key, value, Deadline::keep(), false); }
void Transaction::set(std::string_view key, const Value& value, Duration ttl) {
  const auto deadline = detail::deadline_in(ttl);
  state_.set(key, value, Deadline::at(deadline.value_or(0)), !deadline);
}
void Transaction::set(std::string_view key, const Value& value, TimePoint at) {
  const auto deadline = detail::deadline_at(at);
  state_.set(key, value, Deadline::at(deadline.value_or(0)), !deadline);
}
void Transaction::set(std::string_view key, const Value& value, std::nullopt_t) {
  state_.set(key, value, Deadline::none(), false);
}
bool Transaction::set_once(std::string_view key, const Value& value) {
  return state_.set_once(key, value, Deadline::keep(), false);
}
bool Transaction::set_once(std::string_view key, const Value& value, Duration ttl) {
  const auto deadline = detail::deadline_in(ttl);
  return state_.set_once(key, value, Deadline::at(deadline.value_or(0)), !deadline);
}
bool Transaction::set_once(std::string_view key, const Value& value, TimePoint at) {
  const auto deadline = detail::deadline_at(at);
  return state_.set_once(key, value, Deadline::at(deadline.value_or(0)), !deadline);
}
std::optional<Value> Transaction::swap(std::string_view key, const Value& value) { return state_.swap(key, value); }
bool Transaction::erase(std::string_view key) { return state_.erase(key); }
std::optional<Value> Transaction::take(std::string_view key) { return state_.take(key); }
void Transaction::rename(std::string_view from, std::string_view to) { state_.rename(from, to); }

Value Transaction::increment(std::string_view key, const Value& delta) {
  return state_.increment(Operation::increment, key, delta);
}
Value Transaction::decrement(std::string_view key, const Value& delta) {
  return state_.increment(Operation::decrement, key, delta);
}
std::optional<Value> Transaction::member(std::string_view key, std::string_view name) const { return state_.member(key, name); }
std::optional<std::size_t> Transaction::visit_members_impl(std::string_view key, std::span<const std::string_view> names,
                                                           detail::FunctionRef<void(std::size_t, const Value&)> f) const {
  return state_.visit_members(key, names, f);
}
std::optional<std::size_t> Transaction::visit_members_impl(std::string_view key, std::size_t first, std::size_t count,
                                                           detail::FunctionRef<void(std::string_view, const Value&)> f) const {
  return state_.visit_members(key, first, count, f);
}
MembersChanged Transaction::change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied) {
  return state_.change_members(key, patch, when_emptied);
}
std::optional<Value> Transaction::modify_member_impl(std::string_view key, std::string_view name,
                                                     detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  return state_.modify_member(key, name, f);
}
Value Transaction::update(std::string_view key, const Value& patch) { return state_.update(key, patch); }
std::optional<Value> Transaction::modify_impl(std::string_view key,
                                              detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  return state_.modify(key, f);
}

std::size_t Transaction::push(std::string_view key, const Value& value) { return state_.push(key, value, false); }
std::size_t Transaction::unshift(std::string_view key, const Value& value) { return state_.push(key, value, true); }
std::optional<Value> Transaction::shift(std::string_view key, WhenEmptied when_emptied) {
  return state_.shift(key, false, when_emptied);
}
std::optional<Value> Transaction::pop(std::string_view key, WhenEmptied when_emptied) {
  return state_.shift(key, true, when_emptied);
}

void Transaction::expire(std::string_view key, Duration ttl) { state_.expire(key, detail::deadline_in(ttl)); }
void Transaction::expire(std::string_view key) { state_.expire(key, detail::deadline_in(state_.default_ttl())); }
void Transaction::expire_at(std::string_view key, TimePoint at) { state_.expire(key, detail::deadline_at(at)); }
std::optional<std::chrono::nanoseconds> Transaction::ttl(std::string_view key) const {
  return detail::time_until(state_.deadline(key, "ttl"));
}
std::optional<TimePoint> Transaction::deadline(std::string_view key) const {
  return detail::wall_time_of(state_.deadline(key, "deadline"));
}
bool Transaction::remove_expiry(std::string_view key) { return state_.remove_expiry(key); }

bool Transaction::unchanged(std::string_view key, const KeyVersion& version) const { return state_.unchanged(key, version); }

}  // namespace cubby
