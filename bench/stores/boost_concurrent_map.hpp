// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/version.hpp>

#if BOOST_VERSION >= 108300

#include <boost/unordered/concurrent_flat_map.hpp>
#include <string>

#include "stores/hash.hpp"

namespace bench {

/// boost::concurrent_flat_map: a flat map with a reader-writer spin lock a group of slots.
template <class V>
class BoostConcurrentMap {
 public:
  static constexpr const char* kName = "boost::concurrent_flat_map";

  template <class F>
  bool read(const std::string& key, F&& f) const {
    return map_.cvisit(key, [&f](const auto& entry) { f(entry.second); }) != 0;
  }

  void assign(const std::string& key, const V& value) { map_.insert_or_assign(key, value); }

  template <class F>
  bool change(const std::string& key, F&& f) {
    return map_.visit(key, [&f](auto& entry) { f(entry.second); }) != 0;
  }

  void reserve(std::size_t keys) { map_.reserve(keys); }

 private:
  boost::concurrent_flat_map<std::string, V, StringHash> map_;
};

}  // namespace bench

#endif
