// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <string>

#include "stores/hash.hpp"

namespace bench {

/// The ceiling: boost::unordered_flat_map without any synchronisation, so it is only ever read once it is loaded.
template <class V>
class FlatMap {
 public:
  static constexpr const char* kName = "unsynchronised flat map";

  template <class F>
  bool read(const std::string& key, F&& f) const {
    const auto found = map_.find(key);
    if (found == map_.end()) return false;
    f(found->second);
    return true;
  }

  void assign(const std::string& key, const V& value) { map_.insert_or_assign(key, value); }

  void reserve(std::size_t keys) { map_.reserve(keys); }

 private:
  boost::unordered_flat_map<std::string, V, StringHash> map_;
};

}  // namespace bench
