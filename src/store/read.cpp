// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

/// Reads: within an epoch, with plain loads, writing nothing but the thread's own record. The store's state is looked at within
/// the epoch too: close() leaves the contents to those who found it open.

namespace cubby::detail {

/// Calls `f(const Entry&)` for a key that is there; whether it is.
template <class F>
bool Store::look_at(Operation operation, std::string_view key, F&& f) {
  check_key(operation, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable(name_of(operation), key);
  Counters& figures = counters(record);
  figures.count(operation);
  const Entry* entry = find(hash, key);
  if (entry == nullptr) return false;
  figures.add(Figure::hits, 1);
  f(*entry);
  return true;
}

std::optional<Value> Store::get(std::string_view key) {
  check_key(Operation::get, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable("get", key);
  Counters& figures = counters(record);
  figures.count(Operation::get);
  const Entry* entry = find(hash, key);
  if (entry == nullptr) return std::nullopt;
  figures.add(Figure::hits, 1);
  return entry->value();
}

bool Store::visit(std::string_view key, FunctionRef<void(const Value&)> f) {
  check_key(Operation::visit, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable("visit", key);
  Counters& figures = counters(record);
  figures.count(Operation::visit);
  const Entry* entry = find(hash, key);
  if (entry == nullptr) return false;
  figures.add(Figure::hits, 1);
  const InCallback in_callback(record);
  entry->with_value(f);
  return true;
}

std::optional<Type> Store::visit_scalar(std::string_view key, FunctionRef<void(const Value&)> f) {
  check_key(Operation::visit_scalar, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable("visit_scalar", key);
  Counters& figures = counters(record);
  figures.count(Operation::visit_scalar);
  const Entry* entry = find(hash, key);
  if (entry == nullptr) return std::nullopt;
  figures.add(Figure::hits, 1);
  const Type type = entry->type();
  if (!is_scalar(type)) return type;
  const InCallback in_callback(record);
  entry->with_value(f);
  return type;
}

bool Store::exists(std::string_view key) {
  check_key(Operation::exists, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable("exists", key);
  Counters& figures = counters(record);
  figures.count(Operation::exists);
  if (find(hash, key) == nullptr) return false;
  figures.add(Figure::hits, 1);
  return true;
}

std::optional<Type> Store::type(std::string_view key) {
  std::optional<Type> type;
  look_at(Operation::type, key, [&](const Entry& entry) { type = entry.type(); });
  return type;
}

std::optional<std::size_t> Store::length(std::string_view key) {
  std::optional<std::size_t> length;
  if (look_at(Operation::length, key, [&](const Entry& entry) { length = entry.length(); }) && !length)
    fail_length("length", key);
  return length;
}

Value Store::slice(std::string_view key, std::size_t first, std::size_t count) {
  std::optional<Value> slice;
  const bool found = look_at(Operation::slice, key, [&](const Entry& entry) {
    if (entry.is_array()) slice = entry.slice(first, count);
  });
  if (!found) return Value::array({});
  if (!slice) fail(Errc::type_mismatch, "slice", key, "the key holds something else than an array");
  return *std::move(slice);
}

std::optional<Value> Store::member(std::string_view key, std::string_view name) {
  std::optional<Value> member;
  look_at(Operation::member, key, [&](const Entry& entry) {
    check_object(Operation::member, key, &entry);
    entry.with_member(name, [&](const Value& value) { member = value; });
  });
  return member;
}

std::optional<std::size_t> Store::visit_members(std::string_view key, std::span<const std::string_view> names,
                                                FunctionRef<void(std::size_t, const Value&)> f) {
  std::optional<std::size_t> found;
  look_at(Operation::visit_members, key, [&](const Entry& entry) {
    check_object(Operation::visit_members, key, &entry);
    found = 0;
    const InCallback in_callback(thread_record());
    for (std::size_t index = 0; index < names.size(); ++index) {
      if (entry.with_member(names[index], [&](const Value& value) { f(index, value); })) ++*found;
    }
  });
  return found;
}

std::optional<std::size_t> Store::visit_members(std::string_view key, std::size_t first, std::size_t count,
                                                FunctionRef<void(std::string_view, const Value&)> f) {
  std::optional<std::size_t> size;
  look_at(Operation::visit_members, key, [&](const Entry& entry) {
    check_object(Operation::visit_members, key, &entry);
    size = entry.length();
    const InCallback in_callback(thread_record());
    entry.with_members(first, count, f);
  });
  return size;
}

std::int64_t Store::deadline(Operation operation, std::string_view key) {
  std::int64_t deadline = kNoDeadline;
  look_at(operation, key, [&](const Entry& entry) { deadline = entry.deadline(); });
  return deadline;
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
       {Operation::get, Operation::visit, Operation::exists, Operation::ttl, Operation::deadline, Operation::type,
        Operation::length, Operation::slice, Operation::member, Operation::visit_members})
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
