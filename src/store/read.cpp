// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <algorithm>

/// Reads: within an epoch, with plain loads, writing nothing but the thread's own record. The store's state is looked at within
/// the epoch too: close() leaves the contents to those who found it open.

namespace cubby::detail {

namespace {

/// Keeps a scan from chasing keys that come while it runs: it raises the store's version, and leaves out keys that were created
/// later. Not more often than every few milliseconds, and not for ever, so that the version's 32 bits last (a hundred days of
/// scans without a pause; from then on scans see what they meet). Keys of those first milliseconds may be seen.
class ScanHorizon {
 public:
  /// `raising` is held while the version is raised; a cut counts on it.
  ScanHorizon(std::atomic<std::uint32_t>& version, std::atomic<std::int64_t>& last, std::mutex& raising)
      : store_version_(version), last_(last), raising_(raising) {}

  void look() noexcept {
    constexpr std::int64_t kInterval = 5'000'000;
    constexpr std::uint32_t kEnough = std::uint32_t{1} << 31;
    if (fixed_) return;
    const std::int64_t time = now();
    if (time - last_.load(std::memory_order_relaxed) < kInterval) return;
    const std::unique_lock lock(raising_, std::try_to_lock);
    if (!lock.owns_lock()) return;
    last_.store(time, std::memory_order_relaxed);
    if (store_version_.load(std::memory_order_relaxed) >= kEnough) return;
    version_ = store_version_.fetch_add(1, std::memory_order_acq_rel);
    fixed_ = true;
  }
  std::uint32_t version() const noexcept { return version_; }

 private:
  std::atomic<std::uint32_t>& store_version_;
  std::atomic<std::int64_t>& last_;
  std::mutex& raising_;
  std::uint32_t version_ = ~std::uint32_t{0};
  bool fixed_ = false;
};

/// What a scan takes out of one bucket before it leaves the epoch: a reference to each entry. The elements of a queue belong to
/// its newest version, so those are copied.
class Batch {
 public:
  struct Item {
    Entry* entry;
    std::optional<Value> array;
  };
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() { clear(); }

  void add(const Entry* entry) {
    std::optional<Value> array;
    if (entry->is_queue()) array = entry->value();
    items_.push_back({const_cast<Entry*>(entry), std::move(array)});
    entry->retain();
  }
  /// A key that was removed and added again while its bucket was looked at may be met twice.
  bool has(std::string_view key) const noexcept {
    return std::any_of(items_.begin(), items_.end(), [key](const Item& item) { return item.entry->key() == key; });
  }
  std::vector<Item>& items() noexcept { return items_; }
  void drop(Item& item) noexcept {
    Entry::release(std::exchange(item.entry, nullptr));
    item.array.reset();
  }
  void clear() noexcept {
    for (Item& item : items_) {
      if (item.entry != nullptr) drop(item);
    }
    items_.clear();
  }

 private:
  std::vector<Item> items_;
};

}  // namespace

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

std::int64_t Store::deadline(Operation operation, std::string_view key) {
  check_key(operation, key);
  const std::uint64_t hash = hash_key(key);
  ThreadRecord& record = thread_record();
  const EpochGuard guard(record, place_of(hash));
  check_readable(name_of(operation), key);
  Counters& figures = counters(record);
  figures.count(operation);
  const Entry* entry = find(hash, key);
  if (entry == nullptr) return kNoDeadline;
  figures.add(Figure::hits, 1);
  return entry->deadline();
}

void Store::scan(const char* operation, std::string_view prefix, FunctionRef<bool(std::string_view, const Value&)> f) {
  check_readable(operation, prefix);
  ThreadRecord& record = thread_record();
  check_not_locked(operation, prefix, record);
  counters(record).count(Operation::for_each);
  Batch batch;
  ScanHorizon horizon(version_, last_horizon_, structure_);
  for (std::uint64_t position = 0;;) {
    {
      const EpochGuard guard(record);
      horizon.look();
      if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, operation, prefix, "the store was closed");
      position = table_.scan(nullptr, position, [&](Word word, std::uint64_t) {
        const Entry* entry = entry_of(word);
        if (entry != nullptr && entry->created() <= horizon.version() && !entry->expired() &&
            entry->key().starts_with(prefix) && !batch.has(entry->key())) {
          batch.add(entry);
        }
      });
    }
    const InCallback in_callback(record);
    for (Batch::Item& item : batch.items()) {
      const bool more = item.array ? f(item.entry->key(), *item.array)
                                   : item.entry->with_value([&](const Value& value) { return f(item.entry->key(), value); });
      batch.drop(item);
      if (!more) return;
    }
    batch.clear();
    if (++position == 0) return;
  }
}

std::vector<std::string> Store::keys(std::string_view prefix) {
  check_readable("keys", prefix);
  ThreadRecord& record = thread_record();
  check_not_locked("keys", prefix, record);
  counters(record).count(Operation::keys);
  std::vector<std::string> found;
  for (std::uint64_t position = 0;;) {
    const EpochGuard guard(record);
    if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, "keys", prefix, "the store was closed");
    const auto before = static_cast<std::ptrdiff_t>(found.size());
    position = table_.scan(nullptr, position, [&](Word word, std::uint64_t) {
      const Entry* entry = entry_of(word);
      if (entry == nullptr || entry->expired() || !entry->key().starts_with(prefix)) return;
      // One that was removed and added again while its bucket was looked at may be met twice.
      if (std::find(found.begin() + before, found.end(), entry->key()) == found.end()) found.emplace_back(entry->key());
    });
    if (++position == 0) return found;
  }
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
  for (const Operation each : {Operation::get, Operation::visit, Operation::exists, Operation::ttl, Operation::deadline})
    stats.reads += operations(each);
  stats.hits = figure(Figure::hits);
  stats.writes = figure(Figure::writes);
  stats.expired = figure(Figure::expired);
  {
    const EpochGuard guard(thread_record());
    stats.bytes = figure(Figure::bytes) + table_.bucket_bytes();
  }
  stats.waiters = waiting_.load(std::memory_order_relaxed);
  if (log_ != nullptr) stats.log_bytes = durable_->log_bytes();
  const std::lock_guard lock(save_state_);
  stats.saves = saves_;
  stats.last_save_error = last_save_error_;
  return stats;
}

}  // namespace cubby::detail
