// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory for the blocks a store replaces at every write: entries and value blocks.
//
// Promises
//  - allocate(n) returns a block of at least n bytes, aligned to 16, or throws std::bad_alloc. allocate(0) is a block too.
//  - deallocate(p, n) takes it back: from any thread, at any time, also while a thread or the process ends. n is what
//    allocate was called with.
//  - A pair costs some nanoseconds: it takes no lock and no read-modify-write as long as the thread's cache serves it.
//  - A small heap is small: memory is touched block by block. Huge pages are not asked for: on the virtual machines that were
//    measured they made random writes of a million entries 2.6 times slower, and reads 1.4 times.
//  - Memory that is free again goes back to the system: idle pages are at most 4 MiB more than those with blocks in use.
//  - A thread's cache holds at most kThreadCacheBytes, and is flushed when the thread ends.
//
// Thread safety: everything may be called from any thread. Nothing is ever destroyed at process exit. A forked child may not
// use it unless it execs.
//
// Why not a general-purpose allocator? glibc's malloc costs several times as much where blocks are freed in batches, as epochs
// do, and adds 8 to 16 bytes to each block.
// mimalloc and jemalloc are faster, but would be a run-time dependency of every user (and as a replacement of malloc a
// decision for the whole process that a library must not take).
//
// Under the sanitizers, or with CUBBY_PLAIN_MALLOC defined, every block comes from malloc, so that the tools see it.

#include <cstddef>

namespace cubby::detail {

inline constexpr std::size_t kThreadCacheBytes = 64 * 1024;

[[nodiscard]] void* allocate(std::size_t bytes);
void deallocate(void* block, std::size_t bytes) noexcept;

struct AllocatorStats {
  std::size_t in_use = 0;  // bytes of blocks handed out, rounded up to their classes; blocks in threads' caches count as in use
  std::size_t committed = 0;  // bytes that the system may have to back by memory: at least in_use
  std::size_t mapped = 0;     // bytes of address space held: at least committed
};

// A sum of counters that move meanwhile: exact when nobody else allocates.
AllocatorStats allocator_stats() noexcept;

// Gives the calling thread's cached blocks back to the common pool (which returns wholly free memory to the system). For
// threads that go to sleep for long, and for tests.
void flush_thread_cache() noexcept;

}  // namespace cubby::detail
