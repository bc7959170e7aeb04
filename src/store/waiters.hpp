// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/error.hpp>
#include <cubby/value.hpp>

#include "base/atomics.hpp"
#include "base/parker.hpp"
#include "storage/log.hpp"
#include "store/waiter_state.hpp"

/// Calls that wait for a key. They are kept by the key's NAME, so they outlive the key.
///
/// A writer completes waiters itself, at the instant of its write and under the key's lock. Exactly one of {writer, timeout,
/// cancellation, close} ends a waiter: whoever moves its state from pending.
///
///     pending --claim()--> claimed --deliver()--> done           (a writer, or close)
///     pending --give_up()--> ended                               (the waiting side: timeout, cancellation)
///
/// Invariants
///  1. A waiter is added under its key's bucket lock, after its condition was found not to hold, and the bucket's kWaiters flag
///  is
///     set before the lock is released. So every later write of the key looks here.
///  2. kWaiters is cleared under the bucket's lock when no waiter is left for any hash that the bucket covers.
///  3. Whoever claims a waiter takes it out of the list, under the shard's mutex, and delivers after the key's lock is
///  released; the
///     waiter lives until then. A waiter that gave up takes itself out.
///  4. A writer that works on a table which clear() has replaced leaves waiters alone that came after the clear (generation).
///
/// Thread safety: as said with each member.

namespace cubby::detail {

class Waiter {
 public:
  enum class Kind : std::uint8_t {
    first,      ///< takes the first element
    last,       ///< takes the last element
    change,     ///< until the value is unequal to the one at the call
    equal,      ///< until the value equals `expected`
    predicate,  ///< is told of each write, and looks for itself
  };

  Waiter(Kind what, std::optional<Value> compare_with) : kind(what), compared(std::move(compare_with)) {}
  virtual ~Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Hands the result over; called once by whoever claimed, under no lock. The waiter may be gone when this returns.
  virtual void deliver() noexcept = 0;
  /// A write has happened (predicate only). Called under the shard's mutex.
  virtual void notify() noexcept {}

  bool takes() const noexcept { return kind == Kind::first || kind == Kind::last; }
  bool claim() noexcept { return state_.claim(); }
  /// True if nobody will complete it any more.
  bool give_up() noexcept { return state_.give_up(); }

  const Kind kind;
  const std::optional<Value> compared;  ///< change: the value at the call, if any; equal: the one expected
  std::uint64_t generation = 0;         ///< of the table it was added to
  // Set by whoever claimed, before deliver().
  std::optional<Value> result;
  std::optional<Errc> error;
  LogPlace logged;  ///< a durable store: what has to be on the disk before the result is acknowledged

 protected:
  WaiterState<StdAtomics> state_;
};

/// A thread that sleeps until it is completed.
class ThreadWaiter final : public Waiter {
 public:
  ThreadWaiter(Kind what, std::optional<Value> compare_with)
      : Waiter(what, std::move(compare_with)), parker_(this_thread_parker()) {}

  void deliver() noexcept override {
    Parker& parker = parker_;  // lives for ever, unlike this
    state_.finish();           // the waiter's thread may go on from here
    parker.unpark();
  }
  void notify() noexcept override {
    if (!notified_.exchange(true, std::memory_order_acq_rel)) parker_.unpark();
  }
  /// A write has happened since the last time this was asked.
  bool take_notice() noexcept { return notified_.exchange(false, std::memory_order_acq_rel); }
  /// Back to pending, after it has given up and is in no list.
  void revive() noexcept { state_.revive(); }
  bool done() const noexcept { return state_.done(); }
  void wake() noexcept { parker_.unpark(); }
  Parker& parker() noexcept { return parker_; }

 private:
  Parker& parker_;
  std::atomic<bool> notified_{false};
};

/// Waiters that a write has claimed, to be delivered once its locks are released.
class Wakeups {
 public:
  Wakeups() = default;
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;
  void add(Waiter& waiter) { claimed_.push_back(&waiter); }
  void deliver() noexcept {
    for (Waiter* waiter : claimed_) waiter->deliver();
    claimed_.clear();
  }
  ~Wakeups() { deliver(); }

 private:
  std::vector<Waiter*> claimed_;
};

class WaiterLists {
 public:
  /// Waiters of one key in order of arrival.
  using List = std::list<Waiter*>;

  /// REQUIRES: the key's bucket lock held.
  void add(std::uint64_t hash, std::string_view key, Waiter& waiter);
  /// Takes out a waiter that gave up.
  void remove(std::uint64_t hash, std::string_view key, Waiter& waiter) noexcept;

  /// Calls `f(List&)` under the shard's mutex if anybody waits for the key.
  template <class F>
  void visit(std::uint64_t hash, std::string_view key, F&& f) {
    Shard& shard = shard_of(hash);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.lists.find(KeyView{hash, key});
    if (found == shard.lists.end()) return;
    f(found->second);
    if (found->second.empty()) shard.lists.erase(found);
  }

  /// Whether anybody waits for a key whose hash lies between the two, which a bucket covers.
  bool any(std::uint64_t first, std::uint64_t last);

  /// Claims all waiters with this error.
  void end_all(Errc error, Wakeups& wakeups);

 private:
  struct Key {
    std::uint64_t hash;
    std::string name;
  };
  struct KeyView {
    std::uint64_t hash;
    std::string_view name;
    KeyView(std::uint64_t key_hash, std::string_view key_name) : hash(key_hash), name(key_name) {}
    KeyView(const Key& key) : hash(key.hash), name(key.name) {}
  };
  struct Less {
    using is_transparent = void;
    bool operator()(const KeyView& left, const KeyView& right) const noexcept {
      return left.hash != right.hash ? left.hash < right.hash : left.name < right.name;
    }
  };
  struct alignas(64) Shard {
    std::mutex mutex;
    std::map<Key, List, Less> lists;
  };
  // By the upper bits of the hash, as buckets are: the smallest table has this many, so a bucket's hashes lie in one shard.
  static constexpr unsigned kShardBits = 4;
  Shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> (64 - kShardBits)]; }

  std::array<Shard, std::size_t{1} << kShardBits> shards_;
};

}  // namespace cubby::detail
