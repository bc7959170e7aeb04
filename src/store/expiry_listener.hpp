// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

/// Who is told of expired keys (Datastore::on_expired), and what is still to be told.
///
/// An expired key leaves the table exactly once, under its bucket's lock, whoever does it: the reaper, a write that finds the
/// key expired, or who frees what clear() has dropped. That thread notes it in its own list (DueList), and tells when it has
/// let go of its locks. Whom, is asked then: so what was noted for a listener that has been replaced goes to the new one.
///
/// Thread safety: a listener is called and ended by any threads; a notice belongs to the thread that has noted it.

namespace cubby::detail {

class Entry;
class Store;

class ExpiryListener {
 public:
  explicit ExpiryListener(std::function<void(std::string_view)> function) noexcept : function_(std::move(function)) {}
  ExpiryListener(const ExpiryListener&) = delete;
  ExpiryListener& operator=(const ExpiryListener&) = delete;

  /// False if it was ended before. `noexcept`: what the function throws ends the process.
  bool call(std::string_view key) noexcept;
  /// From now on it isn't called.
  void end() noexcept;
  /// Whether no call is running, nor ever will. REQUIRES: ended.
  bool quiet() const noexcept { return calls_.load(std::memory_order_acquire) == kEnded; }  // (2)
  /// Returns when it is quiet. REQUIRES: ended.
  void await_calls() const noexcept;
  /// Destroys the function. REQUIRES: quiet; one caller.
  void clear() noexcept { function_ = nullptr; }

 private:
  static constexpr std::uint32_t kEnded = 1, kCall = 2;

  std::function<void(std::string_view)> function_;
  std::atomic<std::uint32_t> calls_{0};  ///< kCall for each that is running, and kEnded
};

/// An expiry that is to be told.
class ExpiryNotice {
 public:
  /// Takes a reference to the entry, for its key.
  ExpiryNotice(std::shared_ptr<Store> store, const Entry& entry) noexcept;
  void tell() noexcept;

 private:
  struct Release {
    void operator()(const Entry* entry) const noexcept;
  };
  std::shared_ptr<Store> store_;
  std::unique_ptr<const Entry, Release> entry_;
};

}  // namespace cubby::detail
