// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

/// Memory for arrays of buckets: zeroed, aligned to 64, a large one in pages of its own that need not be touched to be empty.
///
/// Thread safety: any thread.

namespace cubby::detail {

/// Throws std::bad_alloc.
void* allocate_lines(std::size_t bytes);
void free_lines(void* lines, std::size_t bytes) noexcept;

}  // namespace cubby::detail
