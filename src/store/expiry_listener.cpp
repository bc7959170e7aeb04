// SPDX-License-Identifier: Apache-2.0
#include "store/expiry_listener.hpp"

#include <vector>

#include "store/callback_waiter.hpp"
#include "store/store.hpp"

namespace cubby::detail {

bool ExpiryListener::call(std::string_view key) noexcept {
  // acquire: (1) synchronises with end(): who finds it ended finds the one that has replaced it.
  const bool ended = (calls_.fetch_add(kCall, std::memory_order_acquire) & kEnded) != 0;
  if (!ended) function_(key);
  // release: (2) synchronises with await_calls()
  if (calls_.fetch_sub(kCall, std::memory_order_release) == (kCall | kEnded)) calls_.notify_all();
  return !ended;
}

void ExpiryListener::end() noexcept {
  calls_.fetch_or(kEnded, std::memory_order_release);  // (1)
}

void ExpiryListener::await_calls() const noexcept {
  // acquire: (2)
  for (std::uint32_t calls = calls_.load(std::memory_order_acquire); calls != kEnded;
       calls = calls_.load(std::memory_order_acquire)) {
    calls_.wait(calls, std::memory_order_relaxed);
  }
}

ExpiryNotice::ExpiryNotice(std::shared_ptr<Store> store, const Entry& entry) noexcept
    : store_(std::move(store)), entry_(&entry) {
  entry.retain();
}

void ExpiryNotice::tell() noexcept { store_->tell_expired(entry_->key()); }

void ExpiryNotice::Release::operator()(const Entry* entry) const noexcept { Entry::release(const_cast<Entry*>(entry)); }

void Store::on_expired(std::function<void(std::string_view)> f) {
  check_open("on_expired");
  std::shared_ptr<ExpiryListener> listener;
  if (f) listener = std::make_shared<ExpiryListener>(std::move(f));
  replace_listener(std::move(listener), "on_expired");
}

void Store::replace_listener(std::shared_ptr<ExpiryListener> listener, const char* operation) {
  // A call may be waiting for what this thread holds, or be this thread's own.
  const ThreadRecord& record = thread_record();
  const bool waits = record.callbacks == 0 && record.locked == nullptr;
  std::vector<std::shared_ptr<ExpiryListener>> ended, quiet;
  {
    const std::lock_guard lock(listening_);
    // Under the lock: what close() has taken away doesn't come back.
    if (listener != nullptr && (state_.load(std::memory_order_acquire) & kClosed) != 0)
      fail(Errc::closed, operation, {}, "the store was closed");
    ended_listeners_.reserve(ended_listeners_.size() + 1);
    listener_.swap(listener);
    tells_expired_.store(listener_ != nullptr, std::memory_order_relaxed);
    if (listener != nullptr) {
      listener->end();
      ended_listeners_.push_back(std::move(listener));
    }
    ended = ended_listeners_;
  }
  // Those too that were replaced in a callback, or by a thread that is waiting here.
  if (waits) {
    for (const auto& each : ended) each->await_calls();
  }
  {
    const std::lock_guard lock(listening_);
    std::erase_if(ended_listeners_, [&quiet](std::shared_ptr<ExpiryListener>& each) {
      if (!each->quiet()) return false;
      quiet.push_back(std::move(each));
      return true;
    });
  }
  // What the functions own goes now, and under no lock.
  for (const auto& each : quiet) each->clear();
}

void Store::end_listener() noexcept { replace_listener(nullptr, "close"); }

void Store::note_expired(ThreadRecord& record, const Entry& entry) noexcept {
  // relaxed: who tells looks again, under a lock
  if (tells_expired_.load(std::memory_order_relaxed)) due_list(record).add(ExpiryNotice(shared_from_this(), entry));
}

void Store::tell_expired(std::string_view key) noexcept {
  for (;;) {
    std::shared_ptr<ExpiryListener> listener;
    {
      const std::lock_guard lock(listening_);
      listener = listener_;
    }
    if (listener == nullptr || (state_.load(std::memory_order_acquire) & kClosed) != 0 || listener->call(key)) return;
  }
}

}  // namespace cubby::detail
