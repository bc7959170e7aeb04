// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "store/store.hpp"

/// What KeyVersion holds. Of a key that was there: its entry, with a reference, so that no other can come to lie at that
/// address; each write makes a new entry, but one that only puts the deadline off, so the deadline is noted too. Of a key that
/// was absent: a waiter, which the write that makes the key strikes.
///
/// Thread safety: belongs to one thread at a time; notify() as the waiters' lists say.

namespace cubby::detail {

class KeyMark final : public Waiter {
 public:
  /// Of a key that is absent, until note() says otherwise.
  KeyMark(std::shared_ptr<Store> store, std::string_view key, std::uint64_t hash);
  ~KeyMark() override;

  /// REQUIRES: within an epoch in which the entry was found.
  void note(const Entry& entry) noexcept;

  bool is_of(const Store& store, std::string_view key) const noexcept { return store_.get() == &store && key_ == key; }
  /// Null: the key was absent.
  const Entry* entry() const noexcept { return entry_; }
  std::int64_t deadline() const noexcept { return deadline_; }
  /// It was absent, and has not come to be.
  bool still_absent() const noexcept { return entry_ == nullptr && !struck_.load(std::memory_order_acquire); }

  void deliver() noexcept override {}
  void notify() noexcept override { struck_.store(true, std::memory_order_release); }  // synchronises with still_absent()

  WaitLink link{*this};

 private:
  const std::shared_ptr<Store> store_;
  const std::string key_;
  Entry* entry_ = nullptr;
  std::int64_t deadline_ = kNoDeadline;
  std::atomic<bool> struck_{false};
};

}  // namespace cubby::detail
