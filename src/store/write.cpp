// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "store/key_write.hpp"
#include "store/maintenance.hpp"
#include "store/plain_write.hpp"

namespace cubby::detail {

namespace {

constexpr std::int64_t kBacklog = 20'000'000;  // ns that maintenance may be late before writers help
constexpr std::size_t kKeysToReap = 64;

}  // namespace

void Store::reap_backlog() {
  const std::int64_t due = wheel_.next_due();
  if (due != kNever && due < coarse_now() - kBacklog) [[unlikely]]
    reap(kKeysToReap);
}

bool Store::set_plainly(Operation operation, std::string_view key, const Value& value, Deadline deadline) {
  ThreadRecord& record = thread_record();
  {
    PlainWrite write(*this, record, operation, key);
    if (!write.possible() || !write.commit(value, deadline)) return false;
  }
  tidy(record);
  return true;
}

void Store::set(std::string_view key, const Value& value, Deadline deadline, bool expired_already) {
  check_value_size(Operation::set, key, value);
  if (!expired_already && set_plainly(Operation::set, key, value, deadline)) return;
  SingleWrite write(*this, Operation::set, key);
  if (expired_already) {
    if (write.occupant == nullptr) return;
    write.plan_removal();
  } else {
    write.plan_value(value, deadline);
  }
  write.commit();
}

bool Store::set_once(std::string_view key, const Value& value, Deadline deadline, bool expired_already) {
  check_value_size(Operation::set_once, key, value);
  SingleWrite write(*this, Operation::set_once, key);
  if (write.entry != nullptr) return false;
  if (expired_already) return true;  // stored, and gone at once
  write.plan_value(value, deadline);
  write.commit();
  return true;
}

std::optional<Value> Store::swap(std::string_view key, const Value& value) {
  check_value_size(Operation::swap, key, value);
  SingleWrite write(*this, Operation::swap, key);
  std::optional<Value> old;
  if (write.entry != nullptr) old = write.entry->value();
  write.plan_value(value, Deadline::keep());
  write.commit();
  return old;
}

Value Store::sum(Operation operation, std::string_view key, const Value& left, const Value& right) const {
  if (!right.is_number()) fail(Errc::type_mismatch, name_of(operation), key, "the delta is not a number");
  if (!left.is_number()) fail(Errc::type_mismatch, name_of(operation), key, "the key holds something else than a number");
  const bool minus = operation == Operation::decrement;
  if (left.is_int() && right.is_int()) {
    std::int64_t result = 0;
    const bool overflow = minus ? __builtin_sub_overflow(left.as_int(), right.as_int(), &result)
                                : __builtin_add_overflow(left.as_int(), right.as_int(), &result);
    if (overflow) {
      fail(Errc::overflow, name_of(operation), key,
           std::to_string(left.as_int()) + (minus ? " - " : " + ") + std::to_string(right.as_int()) +
               " does not fit into 64 bits");
    }
    return result;
  }
  return minus ? left.as_double() - right.as_double() : left.as_double() + right.as_double();
}

Value Store::increment(Operation operation, std::string_view key, const Value& delta) {
  ThreadRecord& record = thread_record();
  bool done = false;
  Value sum_of_both;
  {
    PlainWrite plain(*this, record, operation, key);
    if (plain.possible()) {
      sum_of_both = plain.entry().with_value([&](const Value& old) { return sum(operation, key, old, delta); });
      done = plain.commit(sum_of_both, Deadline::keep());
    }
  }
  if (done) {
    tidy(record);
    return sum_of_both;
  }
  SingleWrite write(*this, operation, key);
  const Value old = write.entry != nullptr && !write.entry->in_parts() ? write.entry->value()
                    : write.entry != nullptr                           ? Value()
                                                                       : Value(0);
  const Value result = sum(operation, key, old, delta);
  write.plan_value(result, Deadline::keep());
  write.log_as(operation == Operation::decrement ? OperationCode::subtract : OperationCode::add, &delta);
  write.commit();
  return result;
}

std::optional<Value> Store::call_locked(ThreadRecord& record, FunctionRef<std::optional<Value>(std::optional<Value>)> f,
                                        std::optional<Value> old) {
  const LockedStore locked{this, record.locked};
  record.locked = &locked;
  struct Restore {
    ThreadRecord& record;
    const LockedStore* outer;
    ~Restore() { record.locked = outer; }
  } const restore{record, locked.outer};
  return f(std::move(old));
}

std::optional<Value> Store::modify(std::string_view key, FunctionRef<std::optional<Value>(std::optional<Value>)> f) {
  SingleWrite write(*this, Operation::modify, key);
  std::optional<Value> old;
  if (write.entry != nullptr) old = write.entry->value();
  std::optional<Value> result = call_locked(write.record, f, std::move(old));
  if (result) {
    check_value_size(Operation::modify, key, *result);
    write.plan_value(*result, Deadline::keep());
  } else {
    if (write.occupant == nullptr) return result;
    write.plan_removal();
  }
  write.commit();
  return result;
}

bool Store::erase(std::string_view key) {
  SingleWrite write(*this, Operation::erase, key);
  const bool found = write.entry != nullptr;
  if (write.occupant == nullptr) return found;
  write.plan_removal();
  write.commit();
  return found;
}

std::optional<Value> Store::take(std::string_view key) {
  SingleWrite write(*this, Operation::take, key);
  std::optional<Value> old;
  if (write.entry != nullptr) old = write.entry->value();
  if (write.occupant == nullptr) return old;
  write.plan_removal();
  write.commit();
  return old;
}

void Store::clear() {
  ThreadRecord& record = thread_record();
  check_writable(Operation::clear, {}, record);
  counters(record).count(Operation::clear);
  log_ != nullptr ? clear_logged() : drop_contents(true);
  tidy(record);
}

}  // namespace cubby::detail
