// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "value/node.hpp"

namespace cubby::detail {

/// The number that a JSON number token means: an integer if it is spelled as one ("-0" is 0) and lies in int64, else the
/// nearest real ("-0.0" is minus zero; what is too small for a double reads as a zero of its sign). Nothing if it is too large
/// for a double. REQUIRES a well-formed token.
std::optional<node::View> read_number(std::string_view token) noexcept;

/// RapidJSON refuses some numbers for their spelling alone, such as 0e999 or 1000...000e-300. This spells every such number in
/// `json` that a double can hold in a way it takes, without moving any other byte. Leaves alone what isn't JSON.
void respell_numbers(std::string& json);

}  // namespace cubby::detail
