// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "cli/demo/session_cache.hpp"

/// The design that cubby replaces, built as well as that design allows: one std::shared_mutex around one std::unordered_map of
/// trees. A value that goes in or out is copied whole under the lock. It is what the demo measures cubby against.
namespace cubby::cli {

/// A mutable JSON-like value: copying it copies everything below it.
struct Tree {
  using Array = std::vector<Tree>;
  using Object = std::map<std::string, Tree>;
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> node;
};

/// Thread safety: all members may be called from any thread; each takes the one lock. Reads take it shared or exclusive, as the
/// constructor is told, everything else exclusive. All waiters of a queue are woken by each push, and only one finds the
/// element.
class ReplacedStore {
 public:
  explicit ReplacedStore(ReplacedLock reads) : reads_(reads) {}

  void set(const std::string& key, Tree value, std::chrono::nanoseconds ttl);
  std::optional<Tree> get(const std::string& key) const;
  bool expire(const std::string& key, std::chrono::nanoseconds ttl);
  /// Merges the members of `patch` into the object.
  bool update(const std::string& key, const Tree::Object& patch);
  std::int64_t increment(const std::string& key, std::int64_t delta);
  void push(const std::string& key, const Tree& item);
  std::optional<Tree> shift_wait(const std::string& key, std::chrono::nanoseconds timeout, std::stop_token stop);
  /// A copy of the elements of a queue.
  std::vector<Tree> elements(const std::string& key) const;

 private:
  using Clock = std::chrono::steady_clock;

  struct Entry {
    Tree value;
    std::deque<Tree> queue;  // an array that is used as a queue: taking its first element must not move the others
    std::optional<Clock::time_point> deadline;

    bool expired() const { return deadline && *deadline <= Clock::now(); }
  };

  template <class F>
  auto with_read_lock(F&& f) const {
    if (reads_ == ReplacedLock::exclusive) {
      const std::unique_lock lock(mutex_);
      return f();
    }
    const std::shared_lock lock(mutex_);
    return f();
  }
  const Entry* find(const std::string& key) const;
  Entry* find(const std::string& key);

  const ReplacedLock reads_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::unordered_map<std::string, std::condition_variable_any> waiters_;  // never erased: a waiter may stand in each
};

}  // namespace cubby::cli
