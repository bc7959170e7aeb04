// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <cubby/value.hpp>
#include <functional>
#include <string_view>

namespace cubby::cli {

/// Reads one JSON object from a stream and hands over each member as it comes, holding no more text than the longest of them.
/// As when a store's file is read, the object itself counts for no nesting. Throws UsageError, naming the byte, for anything
/// else than one object, when members before that byte were handed over already; and what `member` throws.
void read_json_members(std::FILE* stream, const std::function<void(std::string_view name, Value value)>& member,
                       const std::function<void(std::uint64_t bytes)>& progress);

}  // namespace cubby::cli
