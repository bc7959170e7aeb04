// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <algorithm>

/// Walks over all keys: bucket by bucket, each within an epoch of its own, so that the user's function keeps nothing from being
/// freed but what it is shown.

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

constexpr unsigned kCursorShift = 16;
constexpr std::size_t kBucketsForKey = 10, kMostBuckets = std::size_t{1} << 40;

}  // namespace

/// What a scan takes out of one bucket before it leaves the epoch: a reference to each entry. What is in parts belongs to the
/// newest version, so that is copied.
class ScanBatch {
 public:
  struct Item {
    Entry* entry;
    std::optional<Value> whole;  ///< of what is in parts
  };
  /// `with_values` false: only keys and types are wanted, and nothing is copied.
  explicit ScanBatch(bool with_values = true) : with_values_(with_values) {}
  ScanBatch(const ScanBatch&) = delete;
  ScanBatch& operator=(const ScanBatch&) = delete;
  ~ScanBatch() { clear(); }

  void add(const Entry* entry) {
    std::optional<Value> whole;
    if (with_values_ && entry->in_parts()) whole = entry->value();
    items_.push_back({const_cast<Entry*>(entry), std::move(whole)});
    entry->retain();
  }
  /// A key that was removed and added again while its bucket was looked at may be met twice.
  bool has(std::string_view key) const noexcept {
    return std::any_of(items_.begin(), items_.end(), [key](const Item& item) { return item.entry->key() == key; });
  }
  std::vector<Item>& items() noexcept { return items_; }
  void drop(Item& item) noexcept {
    Entry::release(std::exchange(item.entry, nullptr));
    item.whole.reset();
  }
  void clear() noexcept {
    for (Item& item : items_) {
      if (item.entry != nullptr) drop(item);
    }
    items_.clear();
  }

 private:
  const bool with_values_;
  std::vector<Item> items_;
};

void Store::scan(const char* operation, std::string_view prefix, FunctionRef<bool(std::string_view, const Value&)> f) {
  check_readable(operation, prefix);
  ThreadRecord& record = thread_record();
  check_not_locked(operation, prefix, record);
  counters(record).count(Operation::for_each);
  ScanBatch batch;
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
    for (ScanBatch::Item& item : batch.items()) {
      const bool more = item.whole ? f(item.entry->key(), *item.whole)
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

/// A cursor is the upper bits of the hash from which to go on: buckets are intervals of hashes, whatever the table's size, so
/// that it says all there is to know. Shorter than 53 bits, as there are programs that keep it in a double.
std::uint64_t Store::scan_on(std::uint64_t cursor, std::size_t count, bool with_values,
                             FunctionRef<void(std::string_view, Type, const Value&)> f) {
  check_readable("scan", {});
  ThreadRecord& record = thread_record();
  check_not_locked("scan", {}, record);
  counters(record).count(Operation::scan);
  if (count == 0) count = 1;
  ScanBatch batch(with_values);
  std::uint64_t position = cursor << kCursorShift;
  // Where buckets are empty it stops too, as Redis does.
  const std::size_t most_buckets = count > kMostBuckets / kBucketsForKey ? kMostBuckets : count * kBucketsForKey;
  std::size_t found = 0;
  for (std::size_t buckets = 0; found < count && buckets < most_buckets; ++buckets) {
    position = take_bucket(position, batch);
    found += batch.items().size();
    const InCallback in_callback(record);
    for (ScanBatch::Item& item : batch.items()) {
      const std::string_view key = item.entry->key();
      if (item.whole) {
        f(key, item.whole->type(), *item.whole);
      } else if (item.entry->in_parts()) {
        f(key, item.entry->type(), Value());
      } else {
        item.entry->with_value([&](const Value& value) { f(key, value.type(), value); });
      }
      batch.drop(item);
    }
    batch.clear();
    if (++position == 0) return 0;
  }
  return position >> kCursorShift;
}

/// Adds what lives in the bucket of `position`, from that hash on; the last hash of the bucket.
std::uint64_t Store::take_bucket(std::uint64_t position, ScanBatch& batch) {
  const EpochGuard guard(thread_record());
  if (state_.load(std::memory_order_acquire) & kClosed) fail(Errc::closed, "scan", {}, "the store was closed");
  return table_.scan(nullptr, position, [&](Word word, std::uint64_t) {
    const Entry* entry = entry_of(word);
    if (entry != nullptr && !entry->expired() && !batch.has(entry->key())) batch.add(entry);
  });
}

std::optional<std::string> Store::random_key() {
  check_readable("random_key", {});
  ThreadRecord& record = thread_record();
  check_not_locked("random_key", {}, record);
  counters(record).count(Operation::random_key);
  static std::atomic<std::uint64_t> drawn{0};
  const auto draw = [] {
    const std::uint64_t number = drawn.fetch_add(1, std::memory_order_relaxed);
    return hash_key({reinterpret_cast<const char*>(&number), sizeof number});  // keyed with what only this process knows
  };
  ScanBatch batch(false);
  const auto bucket_of = [&](std::uint64_t position) {
    batch.clear();
    const EpochGuard guard(record);
    position = table_.first_of_bucket(position);
    return take_bucket(position, batch);
  };
  // A place in a bucket, and again if it is empty: so a key alone in its bucket isn't more likely than others.
  constexpr std::uint64_t kPlaces = 16;
  constexpr int kTries = 64;
  for (int tries = 0; tries < kTries; ++tries) {
    bucket_of(draw());
    const std::uint64_t place = draw() % kPlaces;
    if (place < batch.items().size()) return std::string(batch.items()[place].entry->key());
  }
  // There are few: the next one from somewhere on, and around.
  const std::uint64_t begin = draw();
  bool around = false;
  for (std::uint64_t position = begin;;) {
    const std::uint64_t last = bucket_of(position);
    if (!batch.items().empty()) return std::string(batch.items()[draw() % batch.items().size()].entry->key());
    if (around && last >= begin) return std::nullopt;
    if (last == ~std::uint64_t{0}) around = true;
    position = last + 1;
    if (around && position > begin) return std::nullopt;
  }
}

}  // namespace cubby::detail
