// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "cli/demo/session_cache.hpp"

namespace cubby::cli {

inline constexpr const char* kDefaultRecords = "/usr/share/iso-codes/json/iso_3166-2.json";

/// Makes one session of each record in a JSON file: an array of objects, or an object with one such array among its members.
/// Throws StoreError or UsageError that says what to do.
std::vector<Session> sessions_from(const std::string& path);

}  // namespace cubby::cli
