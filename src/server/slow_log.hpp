// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "server/command.hpp"

namespace cubby::server {

/// The commands that took long, the latest first, as SLOWLOG shows them.
///
/// Thread safety: all members, from any thread.
class SlowLog {
 public:
  struct Entry {
    std::uint64_t id = 0;
    std::int64_t at = 0;  ///< seconds since the epoch
    std::int64_t microseconds = 0;
    std::vector<std::string> arguments;  ///< cut as Redis cuts them: 32, of 128 bytes
    std::string client;
    std::string client_name;
  };

  void add(Arguments arguments, std::int64_t microseconds, const Client& client);
  std::vector<Entry> latest(std::size_t most) const;
  std::size_t size() const;
  void reset();
  void limit(std::size_t most);

 private:
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  std::size_t most_ = 128;
  std::uint64_t next_id_ = 0;
};

}  // namespace cubby::server
