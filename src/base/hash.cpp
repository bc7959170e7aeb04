// SPDX-License-Identifier: Apache-2.0
#include "base/hash.hpp"

#include <unistd.h>

#include <cstdlib>

namespace cubby::detail {

alignas(64) unsigned char hash_secret[kHashSecretBytes];

namespace {

struct DrawSecret {
  DrawSecret() {
    if (getentropy(hash_secret, sizeof hash_secret) != 0) std::abort();  // the kernel has no randomness: nothing is safe then
  }
};
static_assert(kHashSecretBytes <= 256, "getentropy's limit");

// First of all statics, as those of other files may open stores.
[[maybe_unused]] const DrawSecret draw_secret __attribute__((init_priority(101)));

}  // namespace

}  // namespace cubby::detail
