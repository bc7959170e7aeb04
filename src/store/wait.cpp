// SPDX-License-Identifier: Apache-2.0
#include "store/key_write.hpp"
#include "store/maintenance.hpp"

/// Calls that wait. Each looks at the key under its bucket's lock, adds itself to the key's list if there is nothing for it,
/// leaves the epoch, and sleeps.

namespace cubby::detail {

namespace {

std::int64_t deadline_of(const Timeout& timeout) noexcept {
  const auto length = timeout.nanoseconds();
  return length ? deadline_after(*length) : kNever;
}

bool does_not_wait(const Timeout& timeout) noexcept {
  const auto length = timeout.nanoseconds();
  return length && length->count() <= 0;
}

}  // namespace

bool Store::link_waiter(const Table::Held& bucket, std::string_view key, WaitLink& link) {
  link.generation = bucket.table->chain->number;
  waiters_.add(key, link);
  table_.set_waiters(bucket, true);
  // After a clear() a writer finds this waiter through the new table's flags, unless it has looked before the waiter was added.
  // It has held the shard's mutex then, so its table is seen here. The same goes for close() and its flag.
  return table_.chain() == bucket.table->chain && !(state_.load(std::memory_order_acquire) & kClosed);
}

bool Store::add_waiter(const Table::Held& bucket, std::uint64_t hash, std::string_view key, ThreadWaiter& waiter) {
  waiting_.fetch_add(1, std::memory_order_relaxed);
  waiter.link.hash = hash;
  bool current = false;
  try {
    current = link_waiter(bucket, key, waiter.link);
  } catch (...) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
  if (shows_live_figures()) maintenance().wake();
  if (current || !waiter.give_up()) return true;
  waiters_.remove(waiter.link);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

/// Sleeps until the waiter is completed: its result. Empty on timeout. REQUIRES: outside of any epoch.
std::optional<Value> Store::await(Operation operation, std::string_view key, ThreadWaiter& waiter, std::int64_t deadline,
                                  const std::stop_token& stop) {
  const auto wake = [&waiter] { waiter.wake(); };
  std::optional<std::stop_callback<decltype(wake)>> on_stop;
  if (stop.stop_possible()) on_stop.emplace(stop, wake);

  bool in_time = true;
  while (!waiter.done()) {
    if ((!in_time || stop.stop_requested()) && waiter.give_up()) {
      waiters_.remove(waiter.link);
      waiting_.fetch_sub(1, std::memory_order_release);
      if (stop.stop_requested()) fail(Errc::cancelled, name_of(operation), key, "the wait was stopped");
      return std::nullopt;
    }
    // Once somebody has claimed the waiter, completion is on its way.
    in_time = waiter.parker().park_until(in_time ? deadline : kNever) || now() < deadline;
  }
  waiting_.fetch_sub(1, std::memory_order_release);
  ThreadRecord& record = thread_record();
  record.appended_segment = waiter.logged.segment;
  record.appended_end = waiter.logged.end;
  if (waiter.error == Errc::closed) fail(Errc::closed, name_of(operation), key, "the store was closed");
  if (waiter.error == Errc::type_mismatch)
    fail(Errc::type_mismatch, name_of(operation), key, "the key has come to hold something else than an array");
  if (waiter.error) fail(*waiter.error, name_of(operation), key, "the array has grown larger than one value can be");
  return std::move(waiter.value);
}

std::optional<Value> Store::shift_wait(std::string_view key, bool last, Timeout timeout, const std::stop_token& stop) {
  const Operation operation = last ? Operation::pop_wait : Operation::shift_wait;
  const std::int64_t deadline = deadline_of(timeout);
  check_may_wait(operation, key, thread_record());
  for (;;) {
    if (stop.stop_requested()) fail(Errc::cancelled, name_of(operation), key, "the wait was stopped");
    ThreadWaiter waiter(last ? Waiter::Kind::last : Waiter::Kind::first, std::nullopt);
    std::uint64_t hash = 0;
    {
      SingleWrite write(*this, operation, key);
      hash = write.hash;
      if (write.entry != nullptr) {
        if (!write.entry->is_array())
          fail(Errc::type_mismatch, name_of(operation), key, "the key holds something else than an array");
        if (write.entry->array_size() != 0) return shift_now(write, last);
      }
      if (does_not_wait(timeout)) return std::nullopt;
      if (!add_waiter(*write.held, hash, key, waiter)) continue;
    }
    return await(operation, key, waiter, deadline, stop);
  }
}

Value Store::wait(std::string_view key, const Value* expected, Timeout timeout, const std::stop_token& stop) {
  const std::int64_t deadline = deadline_of(timeout);
  ThreadRecord& record = thread_record();
  check_key(Operation::wait, key);
  check_may_wait(Operation::wait, key, record);
  const std::uint64_t hash = hash_key(key);
  counters(record).count(Operation::wait);
  for (;;) {
    check_readable("wait", key);
    if (stop.stop_requested()) fail(Errc::cancelled, "wait", key, "the wait was stopped");
    std::optional<ThreadWaiter> waiter;
    {
      const EpochGuard guard(record);
      const KeyLook look(*this, hash, key);
      std::optional<Value> value;
      if (look.entry() != nullptr) value = look.entry()->value();
      if (expected != nullptr && value && *value == *expected) return *std::move(value);
      if (!does_not_wait(timeout)) {
        if (expected != nullptr) {
          waiter.emplace(Waiter::Kind::equal, *expected);
        } else {
          waiter.emplace(Waiter::Kind::change, std::move(value));
        }
        if (!add_waiter(look.bucket(), hash, key, *waiter)) continue;
      }
    }
    std::optional<Value> result;
    if (waiter) result = await(Operation::wait, key, *waiter, deadline, stop);
    if (result) return *std::move(result);
    fail(Errc::timeout, "wait", key, "the time is over");
  }
}

Value Store::wait_for(std::string_view key, FunctionRef<bool(const Value&)> predicate, Timeout timeout,
                      const std::stop_token& stop) {
  const std::int64_t deadline = deadline_of(timeout);
  ThreadRecord& record = thread_record();
  check_key(Operation::wait_for, key);
  check_may_wait(Operation::wait_for, key, record);
  const std::uint64_t hash = hash_key(key);
  counters(record).count(Operation::wait_for);

  // The value, if the predicate likes it.
  const auto try_now = [&]() -> std::optional<Value> {
    check_readable("wait_for", key);
    const EpochGuard guard(record);  // for the elements of a queue, which are copied only if the predicate is true
    const Entry* entry = find(hash, key);
    if (entry == nullptr) return std::nullopt;
    const Value shown = entry->value_or_length();
    const InCallback in_callback(record);
    return predicate(shown) ? std::optional(entry->value()) : std::nullopt;
  };

  if (stop.stop_requested()) fail(Errc::cancelled, "wait_for", key, "the wait was stopped");
  if (std::optional<Value> value = try_now()) return *std::move(value);
  if (does_not_wait(timeout)) fail(Errc::timeout, "wait_for", key, "the time is over");

  ThreadWaiter waiter(Waiter::Kind::predicate, std::nullopt);
  for (;;) {
    const EpochGuard guard(record);
    const KeyLook look(*this, hash, key);
    if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, "wait_for", key, "the store was closed");
    if (add_waiter(look.bucket(), hash, key, waiter)) break;
    waiter.revive();
  }
  struct TakeOut {
    Store& store;
    ThreadWaiter& waiter;
    ~TakeOut() {
      if (waiter.give_up()) {
        store.waiters_.remove(waiter.link);
      } else {
        while (!waiter.done()) waiter.parker().park();  // close() is about to deliver
      }
      store.waiting_.fetch_sub(1, std::memory_order_release);
    }
  };
  const TakeOut take_out{*this, waiter};
  const auto wake = [&waiter] { waiter.wake(); };
  std::optional<std::stop_callback<decltype(wake)>> on_stop;
  if (stop.stop_possible()) on_stop.emplace(stop, wake);

  // What was written between the first try and now did not notify.
  if (std::optional<Value> value = try_now()) return *std::move(value);
  for (;;) {
    if (waiter.take_notice()) {
      if (std::optional<Value> value = try_now()) return *std::move(value);
    }
    if (waiter.done()) fail(Errc::closed, "wait_for", key, "the store was closed");
    if (stop.stop_requested()) fail(Errc::cancelled, "wait_for", key, "the wait was stopped");
    if (now() < deadline) waiter.parker().park_until(deadline);
    if (now() >= deadline) {
      if (std::optional<Value> value = try_now()) return *std::move(value);
      fail(Errc::timeout, "wait_for", key, "the time is over");
    }
  }
}

}  // namespace cubby::detail
