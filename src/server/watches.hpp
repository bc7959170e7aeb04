// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <cubby/datastore.hpp>

#include "server/charged_bytes.hpp"

namespace cubby::server {

class Server;

/// A key that WATCH has marked.
struct Watch {
  std::string store_name;
  Datastore store;
  std::string key;
  KeyVersion version;
};

/// What a client watches.
///
/// A mark keeps the value that its key had, which the store no longer counts once the key has another one. So the server lets
/// clients give touched watches up (give_up_touched), whose EXEC is in vain anyway.
///
/// Thread safety: belongs to the client's thread; held_bytes() from any.
class Watches {
 public:
  static constexpr std::size_t kMost = 10'000;

  explicit Watches(Server& server);

  /// Marks a key; the first time counts. Throws CommandError if there are too many.
  void add(const std::string& store_name, const Datastore& store, std::string_view key);
  void clear() noexcept;

  /// Whether nothing is watched.
  bool empty() const noexcept { return count_ == 0; }
  std::size_t size() const noexcept { return count_; }
  /// Whether nothing that is watched was touched.
  bool hold() const;
  /// If one was touched, all are given up, and hold() is false until clear().
  void give_up_touched() noexcept;

  /// Those that weren't given up.
  std::deque<Watch>::const_iterator begin() const noexcept { return all_.begin(); }
  std::deque<Watch>::const_iterator end() const noexcept { return all_.end(); }

  /// Of the values that the marks keep, whether the stores have them still or not.
  std::size_t held_bytes() const noexcept { return held_.get(); }

 private:
  void forget() noexcept;

  std::deque<Watch> all_;  // which leaves them where they are: the names below lie in them
  std::set<std::pair<std::string_view, std::string_view>> names_;  // of store and key
  std::size_t count_ = 0;
  bool touched_ = false;
  ChargedBytes own_;   // of keys and names, to the memory of clients
  ChargedBytes held_;  // to the server's sum
};

}  // namespace cubby::server
