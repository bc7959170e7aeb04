// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Extended JSON forms that stand for values JSON has no words for:
//   {"$binary":{"base64":"...","subType":"00"}}   {"$numberDouble":"NaN"}, "Infinity", "-Infinity"
// Nothing but exactly these is a form. Base64 is that of RFC 4648, section 4, with padding, and in its only canonical spelling.

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace cubby::detail {

inline constexpr std::string_view kBinaryForm = "$binary";
inline constexpr std::string_view kBinaryBytes = "base64";
inline constexpr std::string_view kBinaryKind = "subType";
inline constexpr std::string_view kGenericKind = "00";
inline constexpr std::string_view kRealForm = "$numberDouble";

/// How a NaN or infinity is spelled. REQUIRES one of them.
std::string_view spell_real(double real) noexcept;
std::optional<double> read_spelled_real(std::string_view text) noexcept;

void append_base64(std::string& out, std::span<const std::byte> bytes);
/// Empty if it isn't base64.
std::optional<std::string> read_base64(std::string_view text);

}  // namespace cubby::detail
