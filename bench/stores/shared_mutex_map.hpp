// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "stores/hash.hpp"

namespace bench {

/// Every peer map has these four operations and nothing else:
///   read(key, f)    calls f(const V&) in place, under whatever keeps the value alive there; false if the key is absent
///   assign(key, v)  stores
///   change(key, f)  calls f(V&) with exclusive access; false if the key is absent
///   reserve(n)      room for n keys
template <class V>
class SharedMutexMap {
 public:
  static constexpr const char* kName = "shared_mutex + unordered_map";

  template <class F>
  bool read(const std::string& key, F&& f) const {
    const std::shared_lock lock(mutex_);
    const auto found = map_.find(key);
    if (found == map_.end()) return false;
    f(found->second);
    return true;
  }

  void assign(const std::string& key, const V& value) {
    V old = value;  // outlives the lock, so that what was stored before is freed after it
    const std::unique_lock lock(mutex_);
    const auto [place, inserted] = map_.try_emplace(key, old);
    if (!inserted) std::swap(place->second, old);
  }

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
  std::unordered_map<std::string, V, StringHash> map_;
};

}  // namespace bench
