// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tbb/concurrent_hash_map.h>

#include <string>

#include "stores/hash.hpp"

namespace bench {

/// oneTBB's map: a reader-writer spin lock an element, held by an accessor.
template <class V>
class TbbMap {
 public:
  static constexpr const char* kName = "oneTBB concurrent_hash_map";

  template <class F>
  bool read(const std::string& key, F&& f) const {
    typename Map::const_accessor place;
    if (!map_.find(place, key)) return false;
    f(place->second);
    return true;
  }

  void assign(const std::string& key, const V& value) {
    typename Map::accessor place;
    map_.insert(place, key);
    place->second = value;
  }

  template <class F>
  bool change(const std::string& key, F&& f) {
    typename Map::accessor place;
    if (!map_.find(place, key)) return false;
    f(place->second);
    return true;
  }

  void reserve(std::size_t keys) { map_.rehash(keys); }

 private:
  struct Compare {
    std::size_t hash(const std::string& key) const noexcept { return StringHash()(key); }
    bool equal(const std::string& left, const std::string& right) const noexcept { return left == right; }
  };
  using Map = tbb::concurrent_hash_map<std::string, V, Compare>;
  Map map_;
};

}  // namespace bench
