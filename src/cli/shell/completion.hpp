// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cubby::cli::shell {

/// What TAB could put in place of the word before the cursor.
struct Completion {
  std::size_t begin = 0;           ///< of that word
  std::vector<std::string> words;  ///< as they are typed, sorted
  std::string hint;                ///< the command's syntax, where nothing has been typed that could be completed
};

/// Keys that begin so, as a user may see them; not necessarily all.
using FindKeys = std::function<std::vector<std::string>(std::string_view prefix)>;

/// `line` is what stands before the cursor.
Completion complete(std::string_view line, const FindKeys& find_keys);

/// What all of them begin with.
std::string common_prefix(const std::vector<std::string>& words);

/// A pattern of Redis's that matches what begins so.
std::string pattern_of_prefix(std::string_view prefix);

}  // namespace cubby::cli::shell
