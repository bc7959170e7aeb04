// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "stores/hash.hpp"

namespace bench {

/// The JSON tree of a service that keeps one: each node owns its children, and a copy copies all of them.
struct Tree {
  using Array = std::vector<Tree>;
  using Object = std::map<std::string, Tree, std::less<>>;
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> node;
};

/// The design that cubby replaces: one lock over one map, and every read deep-copies under that lock.
class ReplacedDesign {
 public:
  template <class Lock>
  std::optional<Tree> get(const std::string& key) const {
    const Lock lock(mutex_);
    const auto found = map_.find(key);
    if (found == map_.end()) return std::nullopt;
    return found->second;
  }

  void set(const std::string& key, const Tree& value) {
    const std::unique_lock lock(mutex_);
    map_.insert_or_assign(key, value);
  }

  /// Calls f(Tree&) under the exclusive lock.
  template <class F>
  bool change(const std::string& key, F&& f) {
    const std::unique_lock lock(mutex_);
    const auto found = map_.find(key);
    if (found == map_.end()) return false;
    f(found->second);
    return true;
  }

  void reserve(std::size_t keys) { map_.reserve(keys); }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::string, Tree, StringHash> map_;
};

}  // namespace bench
