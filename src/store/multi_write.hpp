// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "store/key_write.hpp"

/// A write of several keys that takes effect at one instant (marker.hpp).
///
/// Thread safety: belongs to the thread that writes.

namespace cubby::detail {

class MultiWrite {
 public:
  enum class For : std::uint8_t { writing, waiting };
  /// Checks, enters the epoch, locks all keys (each once) and looks them up. For waiting: of read_only stores too.
  MultiWrite(Store& store, Operation operation, std::span<const std::string_view> keys, For purpose = For::writing);
  ~MultiWrite();
  MultiWrite(const MultiWrite&) = delete;
  MultiWrite& operator=(const MultiWrite&) = delete;

  static constexpr std::size_t kNone = ~std::size_t{0};
  /// kNone if the key is not one of ours.
  std::size_t index_of(std::string_view key) const noexcept;
  /// Keys, each once.
  std::size_t size() const noexcept { return writes_.size(); }
  KeyWrite& at(std::size_t index) noexcept { return *writes_[index]; }

  /// Lets `to` have what `from` has; from is removed. REQUIRES: from is there.
  void plan_move(KeyWrite& from, KeyWrite& to);
  /// Carries out what was planned for the keys.
  void commit();

  ThreadRecord& record;

 private:
  struct Commit;

  /// False if that has to be begun again, with all unlocked.
  bool lock_all();
  void unlock_all() noexcept;
  void look_up_all();
  void leave() noexcept;
  static void retire_commit(Commit* commit) noexcept;
  void carry_out(std::span<KeyWrite* const> changed, bool logged);
  void serve(std::span<KeyWrite* const> changed);
  void place_markers(Commit& commit, std::span<KeyWrite* const> changed);
  void locate(KeyWrite& write) noexcept;
  void publish(KeyWrite& write) noexcept;

  Store& store_;
  const Operation operation_;
  std::vector<std::pair<std::uint64_t, std::string_view>> keys_;  ///< hash and key: in order, each once
  std::vector<Table::Held> buckets_;                              ///< by hash
  /// In the order of the keys. Made once all is locked: while a thread waits for that, as most do where many write, it takes
  /// little memory, and what those who write use stays in the processor's cache.
  std::vector<std::optional<KeyWrite>> writes_;
  Wakeups wakeups_;
};

}  // namespace cubby::detail
