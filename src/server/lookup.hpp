// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What commands that read a key have in common.

#include <cstddef>
#include <string_view>

#include "server/command.hpp"
#include "server/figures.hpp"
#include "server/server.hpp"
#include "server/values.hpp"

namespace cubby::server {

/// Counts for `keyspace_hits` and `keyspace_misses` of INFO.
inline void count_lookup(Call& call, bool found) { call.server.figures.mine().add(found ? Figures::hits : Figures::misses); }

/// Throws CommandError WRONGTYPE for a list or a hash.
inline void check_string(const Value& value) {
  if (!is_string(value.type())) fail_wrong_type();
}

/// Throws CommandError WRONGTYPE for a list, and doesn't look at it: whoever reads a list as one value has it copied, and the
/// copy stays beside it.
inline void check_no_list(const Keyspace& keys, std::string_view key) {
  if (const auto type = keys.type(key); type && is_list(*type)) [[unlikely]]
    fail_wrong_type();
}

/// Throws CommandError if a string of `size` bytes mustn't be made.
inline void check_string_size(Call& call, std::size_t size) {
  // The limit can't be set lower than that, and the settings are a copy.
  constexpr std::size_t kAlwaysAllowed = std::size_t{1} << 20;
  if (size > kAlwaysAllowed && size > call.server.settings().proto_max_bulk_len) {
    throw CommandError("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  }
}

}  // namespace cubby::server
