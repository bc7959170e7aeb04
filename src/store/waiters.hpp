// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
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
/// cancellation, close} ends a waiter: waiter_state.hpp.
///
/// Invariants
///  1. A waiter is added under its key's bucket lock, after its condition was found not to hold, and the bucket's kWaiters flag
///  is
///     set before the lock is released. So every later write of the key looks here.
///  2. kWaiters is cleared under the bucket's lock when no waiter is left for any hash that the bucket covers.
///  3. Who holds a shard's mutex may look at every waiter in its lines. Whoever claims a waiter takes the link by which it was
///  met
///     out of its line, under the shard's mutex, and delivers after the key's lock is released; the waiter lives until then. A
///     waiter that gave up, or has other links, takes these out before it goes.
///  4. A writer that works on a table which clear() has replaced leaves links alone that came after the clear (generation).
///  5. An attempt that isn't over stays at its place in line, and those behind it get no elements until it has had its turn.
///
/// Thread safety: as said with each member.

namespace cubby::detail {

struct KeyWaiters;
struct WaitLink;

class Waiter {
 public:
  enum class Kind : std::uint8_t {
    first,      ///< takes the first element
    last,       ///< takes the last element
    attempt,    ///< is told that there is an element, and tries to have it
    change,     ///< until the value is unequal to the one at the call
    equal,      ///< until the value equals `expected`
    predicate,  ///< is told of each write, and looks for itself
    absence,    ///< is told that the key has come to be, once
  };
  using State = WaiterState<StdAtomics>;

  Waiter(Kind what, std::optional<Value> compare_with, State::Beginning beginning = State::Beginning::pending)
      : value(std::move(compare_with)), state_(beginning), kind(what) {}
  virtual ~Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// Hands the result over; called once by whoever claimed (of an attempt: told it first), under no lock. The waiter may be
  /// gone when this returns.
  virtual void deliver() noexcept = 0;
  /// A write has happened (predicate, absence). Called under the shard's mutex.
  virtual void notify() noexcept {}
  /// An element may be there (attempt). Called under the shard's mutex.
  virtual State::Notice notify_attempt() noexcept { return State::Notice::nobody; }
  /// The element that it was given is in the log up to here.
  virtual void note_logged(const LogPlace&) noexcept {}

  /// Waits for elements, one after the other.
  bool is_in_line() const noexcept { return kind <= Kind::attempt; }
  bool claim() noexcept { return state_.claim(); }
  /// For close: true if the caller has to complete it.
  bool interrupt(State::Interruption why) noexcept { return state_.interrupt(why); }
  /// True if nobody will complete it any more.
  bool give_up() noexcept { return state_.give_up(); }

  /// What to compare with: change: the value at the call, if any; equal: the one expected. Then the result, set by whoever
  /// claimed, before deliver().
  std::optional<Value> value;
  std::optional<Errc> error;            ///< set likewise
  const WaitLink* served_by = nullptr;  ///< set likewise: where it was met

 protected:
  State state_;

 public:
  const Kind kind;
};

/// A waiter's place in a line.
struct WaitLink {
  explicit WaitLink(Waiter& whose) noexcept : waiter(whose) {}
  WaitLink(const WaitLink&) = delete;
  WaitLink& operator=(const WaitLink&) = delete;

  Waiter& waiter;
  std::uint64_t hash = 0;        ///< of the key; set before it is added
  std::uint64_t generation = 0;  ///< of the table it was added to; likewise
  // Under the shard's mutex.
  KeyWaiters* key = nullptr;  ///< null: in no line
  WaitLink* previous = nullptr;
  WaitLink* next = nullptr;
};

/// In order of arrival. Under the shard's mutex.
class WaitLine {
 public:
  WaitLink* first() const noexcept { return first_; }
  std::size_t size() const noexcept { return size_; }
  void push_back(WaitLink& link) noexcept;
  /// Returns the one behind it.
  WaitLink* erase(WaitLink& link) noexcept;

 private:
  WaitLink* first_ = nullptr;
  WaitLink* last_ = nullptr;
  std::size_t size_ = 0;
};

/// All that wait for one key.
struct KeyWaiters {
  WaitLine takers;  ///< who is_in_line()
  WaitLine others;
  std::uint64_t hash = 0;
  std::string_view name;

  WaitLine& line_of(const Waiter& waiter) noexcept { return waiter.is_in_line() ? takers : others; }
  bool empty() const noexcept { return takers.size() == 0 && others.size() == 0; }
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
  void note_logged(const LogPlace& place) noexcept override { logged = place; }
  /// A write has happened since the last time this was asked.
  bool take_notice() noexcept { return notified_.exchange(false, std::memory_order_acq_rel); }
  /// Back to pending, after it has given up and is in no line.
  void revive() noexcept { state_.revive(); }
  bool done() const noexcept { return state_.done(); }
  void wake() noexcept { parker_.unpark(); }
  Parker& parker() noexcept { return parker_; }

  WaitLink link{*this};
  LogPlace logged;  ///< a durable store: what has to be on the disk before the result is acknowledged

 private:
  Parker& parker_;
  std::atomic<bool> notified_{false};
};

/// Waiters that a write has claimed or told, to be delivered once its locks are released.
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
  /// REQUIRES: the key's bucket lock held; link.hash and link.generation set.
  void add(std::string_view key, WaitLink& link);
  /// Takes it out, if it is still in its line. Of an attempt: the key, if others stand behind it.
  std::optional<std::string> remove(WaitLink& link);

  /// Calls `f(KeyWaiters&)` under the shard's mutex if anybody waits for the key.
  template <class F>
  void visit(std::uint64_t hash, std::string_view key, F&& f) {
    Shard& shard = shard_of(hash);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.keys.find(KeyView{hash, key});
    if (found == shard.keys.end()) return;
    f(found->second);
    if (found->second.empty()) shard.keys.erase(found);
  }

  /// Whether anybody waits for a key whose hash lies between the two, which a bucket covers.
  bool any(std::uint64_t first, std::uint64_t last);

  /// The store is closed: ends all waiters.
  void end_all(Wakeups& wakeups);

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
    std::map<Key, KeyWaiters, Less> keys;
  };
  // By the upper bits of the hash, as buckets are: the smallest table has this many, so a bucket's hashes lie in one shard.
  static constexpr unsigned kShardBits = 4;
  Shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> (64 - kShardBits)]; }

  std::array<Shard, std::size_t{1} << kShardBits> shards_;
};

}  // namespace cubby::detail
