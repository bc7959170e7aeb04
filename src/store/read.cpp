// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

/// Reads: within an epoch, with plain loads, writing nothing but the thread's own record. The store's state is looked at within
/// the epoch too: close() leaves the contents to those who found it open.

namespace cubby::detail {

/// What `f(const Entry&, ThreadRecord&)` returns for a key that is there; what that type is by default for one that isn't.
template <class F>
std::invoke_result_t<F&, const Entry&, ThreadRecord&> Store::look_at(Operation operation, std::string_view key, F&& f) {
  check_key(operation, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable(operation, key);
  Counters& figures = counters(record);
  figures.count(operation);
  const Entry* entry = find(hash, key);
  if (entry == nullptr) return {};
  figures.add(Figure::hits, 1);
  return f(*entry, record);
}

std::optional<Value> Store::get(std::string_view key) {
  return look_at(Operation::get, key, [](const Entry& entry, ThreadRecord&) -> std::optional<Value> { return entry.value(); });
}

bool Store::visit(std::string_view key, FunctionRef<void(const Value&)> f) {
  return look_at(Operation::visit, key, [&](const Entry& entry, ThreadRecord& record) {
    const InCallback in_callback(record);
    entry.with_value(f);
    return true;
  });
}

std::optional<Type> Store::visit_scalar(std::string_view key, FunctionRef<void(const Value&)> f) {
  return look_at(Operation::visit_scalar, key, [&](const Entry& entry, ThreadRecord& record) -> std::optional<Type> {
    const Type type = entry.type();
    if (is_scalar(type)) {
      const InCallback in_callback(record);
      entry.with_value(f);
    }
    return type;
  });
}

bool Store::exists(std::string_view key) {
  return look_at(Operation::exists, key, [](const Entry&, ThreadRecord&) { return true; });
}

std::optional<Type> Store::type(std::string_view key) {
  return look_at(Operation::type, key, [](const Entry& entry, ThreadRecord&) -> std::optional<Type> { return entry.type(); });
}

std::optional<std::size_t> Store::length(std::string_view key) {
  return look_at(Operation::length, key, [&](const Entry& entry, ThreadRecord&) {
    const std::optional<std::size_t> length = entry.length();
    if (!length) fail_length("length", key);
    return length;
  });
}

Value Store::slice(std::string_view key, std::size_t first, std::size_t count) {
  std::optional<Value> slice = look_at(Operation::slice, key, [&](const Entry& entry, ThreadRecord&) -> std::optional<Value> {
    if (!entry.is_array()) fail(Errc::type_mismatch, "slice", key, "the key holds something else than an array");
    return entry.slice(first, count);
  });
  return slice ? *std::move(slice) : Value::array({});
}

std::optional<Value> Store::member(std::string_view key, std::string_view name) {
  return look_at(Operation::member, key, [&](const Entry& entry, ThreadRecord&) {
    check_object(Operation::member, key, &entry);
    std::optional<Value> member;
    entry.with_member(name, [&](const Value& value) { member = value; });
    return member;
  });
}

std::optional<std::size_t> Store::visit_members(std::string_view key, std::span<const std::string_view> names,
                                                FunctionRef<void(std::size_t, const Value&)> f) {
  return look_at(Operation::visit_members, key, [&](const Entry& entry, ThreadRecord& record) -> std::optional<std::size_t> {
    check_object(Operation::visit_members, key, &entry);
    std::size_t found = 0;
    const InCallback in_callback(record);
    for (std::size_t index = 0; index < names.size(); ++index) {
      if (entry.with_member(names[index], [&](const Value& value) { f(index, value); })) ++found;
    }
    return found;
  });
}

std::optional<std::size_t> Store::visit_members(std::string_view key, std::size_t first, std::size_t count,
                                                FunctionRef<void(std::string_view, const Value&)> f) {
  return look_at(Operation::visit_members, key, [&](const Entry& entry, ThreadRecord& record) {
    check_object(Operation::visit_members, key, &entry);
    const InCallback in_callback(record);
    entry.with_members(first, count, f);
    return entry.length();
  });
}

std::int64_t Store::deadline(Operation operation, std::string_view key) {
  const auto deadline = look_at(
      operation, key, [](const Entry& entry, ThreadRecord&) -> std::optional<std::int64_t> { return entry.deadline(); });
  return deadline.value_or(kNoDeadline);
}

std::size_t Store::size() {
  check_open("size");
  if (state_.load(std::memory_order_relaxed) & kSys) refresh_sys();
  const EpochGuard guard(thread_record());
  return table_.size();
}

std::uint64_t Store::figure(Figure which) const {
  const std::size_t index = kOperations + static_cast<std::size_t>(which);
  std::uint64_t sum = 0 - baseline_[index];
  const EpochGuard guard(thread_record());
  for (const ThreadRecord* each = first_record(); each != nullptr; each = next_record(each)) {
    if (const Counters* counters = each->find_counters(number_)) sum += counters->values[index].load(std::memory_order_relaxed);
  }
  return sum;
}

std::uint64_t Store::operations(Operation which) const {
  const auto index = static_cast<std::size_t>(which);
  std::uint64_t sum = 0 - baseline_[index];
  const EpochGuard guard(thread_record());
  for (const ThreadRecord* each = first_record(); each != nullptr; each = next_record(each)) {
    if (const Counters* counters = each->find_counters(number_)) sum += counters->values[index].load(std::memory_order_relaxed);
  }
  return sum;
}

Stats Store::stats() {
  check_open("stats");
  Stats stats;
  stats.keys = size();
  for (const Operation each :
       {Operation::get, Operation::visit, Operation::visit_scalar, Operation::exists, Operation::ttl, Operation::deadline,
        Operation::type, Operation::length, Operation::slice, Operation::member, Operation::visit_members})
    stats.reads += operations(each);
  stats.hits = figure(Figure::hits);
  stats.writes = figure(Figure::writes);
  stats.expired = figure(Figure::expired);
  {
    const EpochGuard guard(thread_record());
    stats.bytes = figure(Figure::bytes) + table_.bucket_bytes();
  }
  stats.waiters = waiting_.load(std::memory_order_relaxed);
  if (log_ != nullptr) {
    stats.log_bytes = durable_->log_bytes();
    stats.write_error = log_->failure();
  }
  const std::lock_guard lock(save_state_);
  stats.saves = saves_;
  stats.last_save_error = last_save_error_;
  return stats;
}

}  // namespace cubby::detail
