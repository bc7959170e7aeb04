// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace cubby::detail {

inline constexpr std::size_t kHashSecretBytes = XXH3_SECRET_DEFAULT_SIZE;

/// Random bytes, drawn once per process, before any other static is made: keys that were chosen to collide in one process do
/// not in the next.
extern unsigned char hash_secret[kHashSecretBytes];

/// Keyed 64-bit hash of a key (XXH3 with a secret of its own; xxhash.com).
inline std::uint64_t hash_key(std::string_view key) noexcept {
  return XXH3_64bits_withSecret(key.data(), key.size(), hash_secret, kHashSecretBytes);
}

}  // namespace cubby::detail
