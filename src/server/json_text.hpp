// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/value.hpp>

#include "server/json_path.hpp"

namespace cubby::server {

/// How JSON.GET is told to lay out its text: what stands before each member and element for each level, what ends lines, and
/// what stands behind the colon of a member.
struct JsonLayout {
  std::string_view indent, newline, space;
  bool is_plain() const noexcept { return indent.empty() && newline.empty() && space.empty(); }
};

/// What JSON.GET replies: of one legacy path the value, of one `$` path the array of all matches, of several an object with a
/// member for each path. Throws CommandError if a legacy path, of legacy paths only, leads nowhere, and if the text gets larger
/// than `most_bytes`; cubby::Error for a string that isn't UTF-8.
std::string json_text(const Value& document, const std::vector<JsonPath>& paths, const JsonLayout& layout,
                      std::size_t most_bytes);

/// Throws CommandError: the path leads nowhere.
[[noreturn]] void fail_no_path(const std::string& path);

}  // namespace cubby::server
