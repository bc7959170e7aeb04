// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

/// The design that cubby replaces, built as well as that design allows: one reader-writer lock around one map of trees. What is
/// read is copied whole under the lock, and so is what is put in.
namespace chat {

/// A mutable JSON-like value: copying it copies everything below it.
struct Tree {
  using Object = std::map<std::string, Tree>;
  std::variant<std::monostate, bool, std::int64_t, std::string, Object> node;

  std::int64_t integer() const { return std::get<std::int64_t>(node); }
  const std::string& string() const { return std::get<std::string>(node); }
  const Object& object() const { return std::get<Object>(node); }
  Object& object() { return std::get<Object>(node); }
};

class ReplacedMap {
 public:
  using Clock = std::chrono::steady_clock;

  struct Entry {
    Tree value;
    std::deque<Tree> queue;  // an array: taking its first element must not move the others
    std::optional<Clock::time_point> deadline;

    bool expired() const { return deadline && *deadline <= Clock::now(); }
  };

  /// What the functions given to read() and write() look at; valid while they run.
  class Entries {
   public:
    const Entry* find(const std::string& key) const {
      const auto found = entries_.find(key);
      return found == entries_.end() || found->second.expired() ? nullptr : &found->second;
    }
    Entry* find(const std::string& key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }
    /// The entry, which is made if it isn't there or has expired.
    Entry& at(const std::string& key) {
      Entry& entry = entries_[key];
      if (entry.expired()) entry = {};
      return entry;
    }
    void erase(const std::string& key) { entries_.erase(key); }
    /// Removes what has expired and returns its keys.
    std::vector<std::string> sweep() {
      std::vector<std::string> gone;
      std::erase_if(entries_, [&](const auto& entry) {
        if (entry.second.expired()) gone.push_back(entry.first);
        return entry.second.expired();
      });
      return gone;
    }

   private:
    std::unordered_map<std::string, Entry> entries_;
  };

  template <class F>
  auto read(F&& f) const {
    const std::shared_lock lock(mutex_);
    return f(entries_);
  }
  template <class F>
  auto write(F&& f) {
    const std::unique_lock lock(mutex_);
    return f(entries_);
  }

  /// A deep copy.
  std::optional<Tree> get(const std::string& key) const {
    return read([&](const Entries& entries) -> std::optional<Tree> {
      const Entry* entry = entries.find(key);
      if (entry == nullptr) return std::nullopt;
      return entry->value;
    });
  }
  /// A deep copy of each element.
  std::vector<Tree> elements(const std::string& key) const {
    return read([&](const Entries& entries) -> std::vector<Tree> {
      const Entry* entry = entries.find(key);
      if (entry == nullptr) return {};
      return {entry->queue.begin(), entry->queue.end()};
    });
  }
  bool expire(const std::string& key, Clock::duration ttl) {
    return write([&](Entries& entries) {
      Entry* entry = entries.find(key);
      if (entry != nullptr) entry->deadline = Clock::now() + ttl;
      return entry != nullptr;
    });
  }

 private:
  mutable std::shared_mutex mutex_;
  Entries entries_;
};

}  // namespace chat
