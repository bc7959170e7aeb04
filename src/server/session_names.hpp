// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "server/command.hpp"

/// What clients call themselves.

namespace cubby::server {

/// Names stand in the lines of CLIENT LIST, so they are printable and have no blanks.
inline bool is_session_name(std::string_view name) noexcept {
  return std::all_of(name.begin(), name.end(), [](char byte) { return byte >= '!' && byte <= '~'; });
}

/// Throws CommandError.
inline void check_client_name(std::string_view name) {
  if (!is_session_name(name)) throw CommandError("ERR Client names cannot contain spaces, newlines or special characters.");
}

}  // namespace cubby::server
