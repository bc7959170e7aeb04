// SPDX-License-Identifier: Apache-2.0
#include <cubby/datastore.hpp>

#include "store/callback_waiter.hpp"
#include "store/deadlines.hpp"
#include "store/registry.hpp"
#include "store/store.hpp"

/// The public face: what is said in cubby/datastore.hpp, done by detail::Store.

namespace cubby {

using detail::Operation;

namespace {

/// What a call that writes does last: a durable store has it on the disk first, if it was opened so.
/// And very last it calls back those whom it has brought what they waited for.
template <class F>
auto acknowledged(detail::Store& store, F&& f) {
  struct CallBack {
    ~CallBack() { detail::call_back(detail::thread_record()); }
  } const call_back;
  if constexpr (std::is_void_v<decltype(f(store))>) {
    f(store);
    store.acknowledge();
  } else {
    auto result = f(store);
    store.acknowledge();
    return result;
  }
}

using Time = std::optional<std::int64_t>;  // empty: past

void set_until(detail::Store& store, std::string_view key, const Value& value, Time deadline) {
  acknowledged(store, [&](detail::Store& to) { to.set(key, value, detail::Deadline::at(deadline.value_or(0)), !deadline); });
}
bool set_once_until(detail::Store& store, std::string_view key, const Value& value, Time deadline) {
  return acknowledged(
      store, [&](detail::Store& to) { return to.set_once(key, value, detail::Deadline::at(deadline.value_or(0)), !deadline); });
}

}  // namespace

std::string_view Datastore::name() const noexcept { return store_->name(); }

void Datastore::set(std::string_view key, const Value& value) {
  acknowledged(*store_, [&](detail::Store& store) { return store.set(key, value, detail::Deadline::keep()); });
}
void Datastore::set(std::string_view key, const Value& value, Duration ttl) {
  set_until(*store_, key, value, detail::deadline_in(ttl));
}
void Datastore::set(std::string_view key, const Value& value, TimePoint deadline) {
  set_until(*store_, key, value, detail::deadline_at(deadline));
}
void Datastore::set(std::string_view key, const Value& value, std::nullopt_t) {
  acknowledged(*store_, [&](detail::Store& store) { return store.set(key, value, detail::Deadline::none()); });
}
bool Datastore::set_once(std::string_view key, const Value& value) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.set_once(key, value, detail::Deadline::keep()); });
}
bool Datastore::set_once(std::string_view key, const Value& value, Duration ttl) {
  return set_once_until(*store_, key, value, detail::deadline_in(ttl));
}
bool Datastore::set_once(std::string_view key, const Value& value, TimePoint deadline) {
  return set_once_until(*store_, key, value, detail::deadline_at(deadline));
}
std::optional<Value> Datastore::get(std::string_view key) const { return store_->get(key); }
bool Datastore::visit_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const {
  return store_->visit(key, f);
}
std::optional<Type> Datastore::visit_scalar_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const {
  return store_->visit_scalar(key, f);
}
std::size_t Datastore::visit_many_impl(std::span<const std::string_view> keys,
                                       detail::FunctionRef<void(std::size_t, const Value&)> f) const {
  return store_->visit_many(keys, f);
}
void Datastore::prefetch_impl(std::span<const std::string_view> keys) const { store_->prefetch(keys); }
std::optional<Value> Datastore::swap(std::string_view key, const Value& value) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.swap(key, value); });
}
Value Datastore::increment(std::string_view key, const Value& delta) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.increment(detail::Operation::increment, key, delta); });
}
Value Datastore::decrement(std::string_view key, const Value& delta) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.increment(detail::Operation::decrement, key, delta); });
}
std::size_t Datastore::push(std::string_view key, const Value& value) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.push(key, value, false); });
}
std::size_t Datastore::unshift(std::string_view key, const Value& value) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.push(key, value, true); });
}
std::optional<Value> Datastore::shift(std::string_view key, WhenEmptied when_emptied) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.shift(key, false, when_emptied); });
}
std::optional<Value> Datastore::pop(std::string_view key, WhenEmptied when_emptied) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.shift(key, true, when_emptied); });
}
std::optional<Value> Datastore::shift_wait(std::string_view key, Timeout timeout, std::stop_token stop) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.shift_wait(key, false, timeout, stop); });
}
std::optional<Value> Datastore::pop_wait(std::string_view key, Timeout timeout, std::stop_token stop) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.shift_wait(key, true, timeout, stop); });
}
Value Datastore::wait(std::string_view key, Timeout timeout, std::stop_token stop) const {
  return store_->wait(key, nullptr, timeout, stop);
}
Value Datastore::wait(std::string_view key, const Value& expected, Timeout timeout, std::stop_token stop) const {
  return store_->wait(key, &expected, timeout, stop);
}
Value Datastore::wait_for_impl(std::string_view key, detail::FunctionRef<bool(const Value&)> predicate, Timeout timeout,
                               std::stop_token stop) const {
  return store_->wait_for(key, predicate, timeout, stop);
}
bool Datastore::exists(std::string_view key) const { return store_->exists(key); }
std::optional<Type> Datastore::type(std::string_view key) const { return store_->type(key); }
std::optional<std::size_t> Datastore::length(std::string_view key) const { return store_->length(key); }
Value Datastore::slice(std::string_view key, std::size_t first, std::size_t count) const {
  return store_->slice(key, first, count);
}
void Datastore::rename(std::string_view from, std::string_view to) {
  acknowledged(*store_, [&](detail::Store& store) { return store.rename(from, to); });
}
bool Datastore::erase(std::string_view key) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.erase(key); });
}
std::optional<Value> Datastore::take(std::string_view key) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.take(key); });
}
void Datastore::clear() {
  acknowledged(*store_, [&](detail::Store& store) { return store.clear(); });
}
void Datastore::expire(std::string_view key, Duration ttl) {
  acknowledged(*store_, [&](detail::Store& store) { store.expire(Operation::expire, key, detail::deadline_in(ttl)); });
}
void Datastore::expire(std::string_view key) { expire(key, store_->options().default_ttl); }
void Datastore::expire_at(std::string_view key, TimePoint deadline) {
  acknowledged(*store_, [&](detail::Store& store) { store.expire(Operation::expire_at, key, detail::deadline_at(deadline)); });
}
std::optional<std::chrono::nanoseconds> Datastore::ttl(std::string_view key) const {
  return detail::time_until(store_->deadline(Operation::ttl, key));
}
std::optional<TimePoint> Datastore::deadline(std::string_view key) const {
  return detail::wall_time_of(store_->deadline(Operation::deadline, key));
}
KeyVersion Datastore::version(std::string_view key) const { return store_->version(key); }
bool Datastore::unchanged(std::string_view key, const KeyVersion& version) const { return store_->unchanged(key, version); }
bool Datastore::remove_expiry(std::string_view key) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.remove_expiry(key); });
}
std::optional<Value> Datastore::member(std::string_view key, std::string_view name) const { return store_->member(key, name); }
std::optional<std::size_t> Datastore::visit_members_impl(std::string_view key, std::span<const std::string_view> names,
                                                         detail::FunctionRef<void(std::size_t, const Value&)> f) const {
  return store_->visit_members(key, names, f);
}
std::optional<std::size_t> Datastore::visit_members_impl(std::string_view key, std::size_t first, std::size_t count,
                                                         detail::FunctionRef<void(std::string_view, const Value&)> f) const {
  return store_->visit_members(key, first, count, f);
}
MembersChanged Datastore::change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.change_members(key, patch, when_emptied); });
}
std::optional<Value> Datastore::modify_member_impl(std::string_view key, std::string_view name,
                                                   detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.modify_member(key, name, f); });
}
Value Datastore::update(std::string_view key, const Value& patch) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.update(key, patch); });
}
std::optional<Value> Datastore::modify_impl(std::string_view key,
                                            detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  return acknowledged(*store_, [&](detail::Store& store) { return store.modify(key, f); });
}
void Datastore::transact_impl(std::span<const std::string_view> keys, detail::FunctionRef<void(Transaction&)> f) {
  acknowledged(*store_, [&](detail::Store& store) { return store.transact(keys, f); });
}
void Datastore::on_expired(std::function<void(std::string_view key)> f) { store_->on_expired(std::move(f)); }
std::vector<std::string> Datastore::keys(std::string_view prefix) const { return store_->keys(prefix); }
std::size_t Datastore::size() const { return store_->size(); }
void Datastore::scan_impl(const char* operation, std::string_view prefix,
                          detail::FunctionRef<bool(std::string_view, const Value&)> f) const {
  store_->scan(operation, prefix, f);
}
std::uint64_t Datastore::scan_on(std::uint64_t cursor, std::size_t count, bool with_values,
                                 detail::FunctionRef<void(std::string_view, Type, const Value&)> f) const {
  return store_->scan_on(cursor, count, with_values, f);
}
std::optional<std::string> Datastore::random_key() const { return store_->random_key(); }
void Datastore::check_open(const char* operation) const { store_->check_open(operation); }
void Datastore::save() { store_->save(); }
void Datastore::load() {
  acknowledged(*store_, [&](detail::Store& store) { store.load(); });
}
Waiting Datastore::shift_async_impl(std::span<const std::string_view> keys, End end, Timeout timeout,
                                    detail::WaitFunction&& function) {
  const auto kind = end == End::first ? detail::Waiter::Kind::first : detail::Waiter::Kind::last;
  return acknowledged(*store_, [&](detail::Store& store) {
    return store.wait_with_callback(Operation::shift_async, kind, keys, nullptr, timeout, std::move(function));
  });
}
Waiting Datastore::wait_async_impl(std::string_view key, const Value* expected, Timeout timeout,
                                   detail::WaitFunction&& function) const {
  const auto kind = expected != nullptr ? detail::Waiter::Kind::equal : detail::Waiter::Kind::change;
  return acknowledged(*store_, [&](detail::Store& store) {
    return store.wait_with_callback(Operation::wait_async, kind, {&key, 1}, expected, timeout, std::move(function));
  });
}
Waiting Datastore::attempt_async_impl(std::span<const std::string_view> keys, Timeout timeout,
                                      detail::WaitFunction&& function) const {
  return acknowledged(*store_, [&](detail::Store& store) {
    return store.wait_with_callback(Operation::attempt_async, detail::Waiter::Kind::attempt, keys, nullptr, timeout,
                                    std::move(function));
  });
}
Stats Datastore::stats() const { return store_->stats(); }

Datastore open(std::string_view name, const Options& options) { return Datastore(detail::registry().open(name, options)); }
void close(std::string_view name) { detail::registry().close(name); }
void shutdown() { detail::registry().shutdown(); }
std::vector<std::string> names() { return detail::registry().names(); }
std::size_t count() { return detail::registry().names().size(); }

}  // namespace cubby
