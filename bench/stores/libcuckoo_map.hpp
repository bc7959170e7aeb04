// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libcuckoo/cuckoohash_map.hh>
#include <string>

#include "stores/hash.hpp"

namespace bench {

/// libcuckoo: cuckoo hashing under striped spin locks.
template <class V>
class CuckooMap {
 public:
  static constexpr const char* kName = "libcuckoo";

  template <class F>
  bool read(const std::string& key, F&& f) const {
    return map_.find_fn(key, f);
  }

  void assign(const std::string& key, const V& value) { map_.insert_or_assign(key, value); }

  template <class F>
  bool change(const std::string& key, F&& f) {
    return map_.update_fn(key, f);
  }

  void reserve(std::size_t keys) { map_.reserve(keys); }

 private:
  libcuckoo::cuckoohash_map<std::string, V, StringHash> map_;
};

}  // namespace bench
