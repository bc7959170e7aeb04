// SPDX-License-Identifier: Apache-2.0
#include "table/memory.hpp"

#include "table/bucket.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace cubby::detail {

namespace {

#ifdef CUBBY_PLAIN_SLOTS
constexpr std::size_t kPaged = ~std::size_t{0};  // LeakSanitizer looks for pointers in the heap, not in pages of our own
#else
constexpr std::size_t kPaged = std::size_t{256} << 10;
#endif

}  // namespace

void* allocate_lines(std::size_t bytes) {
  if (bytes < kPaged) {
    void* lines = std::aligned_alloc(64, bytes);
    if (lines == nullptr) throw std::bad_alloc();
    return std::memset(lines, 0, bytes);
  }
  void* lines = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (lines == MAP_FAILED) throw std::bad_alloc();
  return lines;
}

void free_lines(void* lines, std::size_t bytes) noexcept {
  if (bytes < kPaged) {
    std::free(lines);
  } else {
    munmap(lines, bytes);
  }
}

}  // namespace cubby::detail
