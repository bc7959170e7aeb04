// SPDX-License-Identifier: Apache-2.0
#include "store/key_mark.hpp"

#include "store/key_write.hpp"

namespace cubby::detail {

KeyMark::KeyMark(std::shared_ptr<Store> store, std::string_view key, std::uint64_t hash)
    : Waiter(Kind::absence, std::nullopt), store_(std::move(store)), key_(key) {
  link.hash = hash;
}

KeyMark::~KeyMark() {
  store_->waiters_.remove(link);
  if (entry_ != nullptr) Entry::release(entry_);
}

void KeyMark::note(const Entry& entry) noexcept {
  entry.retain();
  entry_ = const_cast<Entry*>(&entry);
  deadline_ = entry.deadline();
}

KeyVersion Store::version(std::string_view key) {
  check_key(Operation::version, key);
  ThreadRecord& record = thread_record();
  check_not_locked("version", key, record);
  const std::uint64_t hash = hash_key(key);
  auto mark = std::make_unique<KeyMark>(shared_from_this(), key, hash);
  counters(record).count(Operation::version);
  for (;;) {
    const EpochGuard guard(record);
    check_readable("version", key);
    const Entry* entry = find(hash, key);
    if (entry == nullptr) {
      const KeyLook look(*this, hash, key);
      entry = look.entry();
      if (entry == nullptr && !link_waiter(look.bucket(), key, mark->link)) {
        waiters_.remove(mark->link);
        continue;
      }
    }
    if (entry != nullptr) mark->note(*entry);
    return KeyVersion(std::move(mark));
  }
}

bool Store::unchanged(std::string_view key, const KeyVersion& version) {
  check_key(Operation::unchanged, key);
  ThreadRecord& record = thread_record();
  check_not_locked("unchanged", key, record);
  const EpochGuard guard(record);
  check_readable("unchanged", key);
  counters(record).count(Operation::unchanged);
  const KeyMark* mark = version.mark_.get();
  if (mark == nullptr || !mark->is_of(*this, key)) return false;
  const Entry* entry = find(hash_key(key), key);
  if (entry == nullptr) return mark->still_absent();
  return entry == mark->entry() && entry->deadline() == mark->deadline();
}

const KeyMark* Store::mark_of(const KeyVersion& version) noexcept { return version.mark_.get(); }

}  // namespace cubby::detail

namespace cubby {

KeyVersion::KeyVersion() noexcept = default;
KeyVersion::KeyVersion(std::unique_ptr<detail::KeyMark> mark) noexcept : mark_(std::move(mark)) {}
KeyVersion::KeyVersion(KeyVersion&&) noexcept = default;
KeyVersion& KeyVersion::operator=(KeyVersion&&) noexcept = default;
KeyVersion::~KeyVersion() = default;

}  // namespace cubby
