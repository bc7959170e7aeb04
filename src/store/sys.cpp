// SPDX-License-Identifier: Apache-2.0
#include <cubby/version.hpp>

#include "store/callback_waiter.hpp"
#include "store/key_write.hpp"
#include "store/registry.hpp"

/// The figures of the store "sys". docs/guide.md lists them.

namespace cubby::detail {

namespace {

const std::int64_t started = now();

}  // namespace

void Store::refresh_sys() {
  const std::lock_guard lock(refreshing_);
  const auto put = [this](std::string_view key, const Value& value) {
    SingleWrite write(*this, key);
    if (write.entry != nullptr && write.entry->value() == value) return;
    write.plan_value(value, Deadline::none());
    write.commit();
  };

  std::size_t keys = 0, bytes = 0, waiters = 0;
  std::uint64_t expired = 0, hits = 0, writes = 0;
  std::array<std::uint64_t, kOperations> operations_of_all{};
  const std::vector<std::shared_ptr<Store>> stores = registry().stores();
  for (const std::shared_ptr<Store>& store : stores) {
    const EpochGuard guard(thread_record());
    keys += store->table_.size();
    bytes += store->figure(Figure::bytes) + store->table_.bucket_bytes();
    waiters += store->waiting_.load(std::memory_order_relaxed);
    expired += store->figure(Figure::expired);
    hits += store->figure(Figure::hits);
    writes += store->figure(Figure::writes);
    for (std::size_t each = 0; each < kOperations; ++each)
      operations_of_all[each] += store->operations(static_cast<Operation>(each));
  }
  put("uptime_seconds", (now() - started) / 1'000'000'000);
  put("version", CUBBY_VERSION);
  put("datastores", stores.size());
  put("keys", keys);
  put("memory_bytes", bytes);
  put("waiters", waiters);
  put("expired", expired);
  put("hits", hits);
  put("writes", writes);
  for (std::size_t each = 0; each < kOperations; ++each) {
    put(std::string("operations.") + name_of(static_cast<Operation>(each)), operations_of_all[each]);
  }
  call_back_elsewhere(thread_record());
}

}  // namespace cubby::detail
