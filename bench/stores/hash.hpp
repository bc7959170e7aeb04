// SPDX-License-Identifier: Apache-2.0
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstddef>
#include <string_view>

namespace bench {

/// The one string hash of all peers, so that none loses by the hash it happens to default to. (cubby brings its own, keyed
/// one.)
struct StringHash {
  using is_avalanching = void;  // what Boost's flat maps ask for; else they mix a second time
  std::size_t operator()(std::string_view key) const noexcept { return XXH3_64bits(key.data(), key.size()); }
};

}  // namespace bench
