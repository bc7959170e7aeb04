// SPDX-License-Identifier: Apache-2.0
#include "base/allocator.hpp"

#include <cstdlib>
#include <new>

#if !defined(CUBBY_PLAIN_MALLOC)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CUBBY_PLAIN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CUBBY_PLAIN_MALLOC 1
#endif
#endif
#endif

static_assert(alignof(std::max_align_t) >= 16, "malloc must align to 16");

#if defined(CUBBY_PLAIN_MALLOC)

namespace cubby::detail {

void* allocate(std::size_t bytes) {
  if (void* const block = std::malloc(bytes != 0 ? bytes : 1)) return block;
  throw std::bad_alloc();
}

void deallocate(void* block, std::size_t) noexcept { std::free(block); }

AllocatorStats allocator_stats() noexcept { return {}; }

void flush_thread_cache() noexcept {}

}  // namespace cubby::detail

#else

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <mutex>

#include "base/mutex.hpp"

// From the top down:
//  - a thread's Cache: per size class a list of free blocks, up to a limit; limits grow with use, within a budget per thread;
//  - a Central per size class, under a mutex: the class's spans that have free blocks;
//  - the Heap, under a mutex: regions of 2 MiB, cut into spans of 64 KiB.
//
// Invariants
//  - A block belongs to the span its address lies in; a span in use has one class, and all its blocks have that class's size.
//  - Each block is in exactly one place: with a user, in one thread's cache, on its span's free list, or not carved yet.
//    Span::live counts the first two.
//  - A span in use is in its Central's list if and only if it has a free or uncarved block. At most one span per class has
//    live == 0.
//  - A cache's bin holds at most `limit` blocks, and sum(limit * size) + budget == kThreadCacheBytes.
//  - A region is in the Heap's list of regions with room if and only if one of its spans is free. A free span is committed
//    (may be backed by memory) or not.
//  - Lock order: Central, then Heap.
namespace cubby::detail {
namespace {

// Size classes: steps of 16 up to 1 KiB, then four per doubling up to 32 KiB. Larger blocks come from malloc.
constexpr std::size_t kSmallest = 16, kLinear = 1024, kLargest = 32 * 1024;
constexpr std::size_t kLinearClasses = kLinear / kSmallest;
constexpr std::size_t kClasses = kLinearClasses + 4 * static_cast<std::size_t>(std::countr_zero(kLargest / kLinear));

constexpr std::size_t class_of(std::size_t bytes) noexcept {
  if (bytes <= kLinear) return bytes == 0 ? 0 : (bytes - 1) / kSmallest;
  const auto doubling = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 11;  // 1025..2048: 0
  const std::size_t quarter = ((bytes - 1) >> (doubling + 8)) & 3;
  return kLinearClasses + doubling * 4 + quarter;
}

constexpr std::size_t size_of(std::size_t cls) noexcept {
  if (cls < kLinearClasses) return (cls + 1) * kSmallest;
  const std::size_t doubling = (cls - kLinearClasses) / 4, quarter = (cls - kLinearClasses) % 4;
  return (kLinear / 4 * (5 + quarter)) << doubling;
}

constexpr bool classes_fit() noexcept {
  for (std::size_t cls = 0; cls < kClasses; ++cls) {
    const std::size_t size = size_of(cls);
    if (class_of(size) != cls || class_of(size + 1) != cls + 1 || size % kSmallest != 0) return false;
  }
  return class_of(1) == 0 && size_of(kClasses - 1) == kLargest;
}
static_assert(classes_fit());

constexpr std::size_t kRegionBytes = 2 * 1024 * 1024, kSpanBytes = 64 * 1024, kSpans = kRegionBytes / kSpanBytes;
constexpr std::size_t kReserveSpans = 4 * 1024 * 1024 / kSpanBytes;  // free spans kept committed, for the next rise

struct FreeBlock {
  FreeBlock* next;
};

struct Span {
  FreeBlock* free;
  Span* next;  // in the Central's list
  Span* prev;
  char* begin;
  std::uint32_t carved;    // blocks from the begin on that have ever been given out
  std::uint32_t capacity;  // blocks that fit
  std::uint32_t live;
  bool committed;
  bool used;

  bool full() const noexcept { return free == nullptr && carved == capacity; }
  bool idle() const noexcept { return committed && !used; }
};

// The header of a region lies in its first span, which holds nothing else, at an offset that depends on the region's address:
// else the headers of all regions would compete for the same few sets of the processor's caches.
struct Region {
  Region* next;  // in the list of those with room
  Region* prev;
  Region* next_region;  // in the list of all
  Region* prev_region;
  std::uint32_t free_spans;
  std::array<Span, kSpans> spans;  // the first is the header
};

char* base_of(const void* address) noexcept {
  // Arithmetic on the integer would lose the pointer's provenance.
  return static_cast<char*>(const_cast<void*>(address)) - reinterpret_cast<std::uintptr_t>(address) % kRegionBytes;
}

Region* region_of(const void* address) noexcept {
  constexpr std::size_t kStride = (sizeof(Region) + 63) / 64 * 64, kColours = 16;
  static_assert(kStride * kColours <= kSpanBytes);
  char* const base = base_of(address);
  return reinterpret_cast<Region*>(base + reinterpret_cast<std::uintptr_t>(base) / kRegionBytes % kColours * kStride);
}

Span* span_of(const void* address) noexcept {
  return &region_of(address)->spans[reinterpret_cast<std::uintptr_t>(address) % kRegionBytes / kSpanBytes];
}

// A doubly linked list through two members.
template <class Node, Node* Node::*Next, Node* Node::*Prev>
struct List {
  Node* first = nullptr;

  void push(Node* node) noexcept {
    node->*Next = first;
    node->*Prev = nullptr;
    if (first != nullptr) first->*Prev = node;
    first = node;
  }
  void remove(Node* node) noexcept {
    (node->*Prev != nullptr ? node->*Prev->*Next : first) = node->*Next;
    if (node->*Next != nullptr) node->*Next->*Prev = node->*Prev;
  }
};

class Heap {
 public:
  // A span for blocks of this size; throws std::bad_alloc.
  Span* take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    if (with_room_.first == nullptr) add_region();
    Region* const region = with_room_.first;
    std::size_t index = 0;  // the first one that's committed, or else the first
    for (std::size_t i = kSpans - 1; i > 0; --i) {
      if (!region->spans[i].used && (index == 0 || region->spans[i].committed || !region->spans[index].committed)) index = i;
    }
    Span& span = region->spans[index];
    if (--region->free_spans == 0) with_room_.remove(region);
    if (span.committed) {
      --idle_spans_;
    } else {
      populate(base_of(region) + index * kSpanBytes);
    }
    ++used_spans_;
    span = {};
    const std::size_t begin = colour_of(index, size);
    span.begin = base_of(region) + index * kSpanBytes + begin;
    span.capacity = static_cast<std::uint32_t>((kSpanBytes - begin) / size);
    span.committed = span.used = true;
    return &span;
  }

  // Takes back a span none of whose blocks is live.
  void give_back(Span* span) noexcept {
    const std::lock_guard lock(mutex_);
    Region* const region = region_of(span);
    span->used = false;
    --used_spans_;
    ++idle_spans_;
    if (region->free_spans++ == 0) with_room_.push(region);
    if (idle_spans_ <= kReserveSpans) return;
    if (region->free_spans == kSpans - 1) return remove_region(region);
    // Each call is slow: so rarely, and many at once.
    if (idle_spans_ > kReserveSpans + used_spans_ && can_decommit_) decommit_all();
  }

  void add_to(AllocatorStats& stats) noexcept {
    const std::lock_guard lock(mutex_);
    stats.mapped += region_count_ * kRegionBytes;
    stats.committed += (used_spans_ + idle_spans_ + region_count_) * kSpanBytes;
  }

 private:
  /// Where the blocks of a span begin. Blocks of a multiple of 128 bytes would all begin in the same few sets of the
  /// processor's caches; so they are shifted, in each span otherwise.
  static std::size_t colour_of(std::size_t index, std::size_t size) noexcept {
    constexpr std::size_t kLine = 64, kWorthIt = 4096;  // bytes; larger blocks are few in a span
    const std::size_t step = size & (~size + 1);        // the largest power of two that divides it
    return step <= kLine || size > kWorthIt ? 0 : index * kLine % step;
  }

  void add_region() {
    Region* const region = region_of(map_region());
    for (Span& span : region->spans) span = {};
    region->free_spans = kSpans - 1;
    with_room_.push(region);
    all_.push(region);
    ++region_count_;
#if defined(MADV_NOHUGEPAGE)
    // A huge page is backed as a whole when it's first touched, and is split again when spans go back to the system. That a
    // piece of advice is refused changes nothing.
    ::madvise(base_of(region), kRegionBytes, MADV_NOHUGEPAGE);
#endif
  }

  /// In a heap that is large already, all pages of a span are asked for at once: a page fault for each costs several times as
  /// much, above all on virtual machines. A small heap is touched page by page.
  void populate([[maybe_unused]] char* span) noexcept {
#if defined(MADV_POPULATE_WRITE)
    constexpr std::size_t kLargeHeap = 8;                                               // regions
    if (region_count_ >= kLargeHeap) ::madvise(span, kSpanBytes, MADV_POPULATE_WRITE);  // kernels before 5.14 refuse
#endif
  }

  static void* map(std::size_t bytes) {
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return memory;
  }

  // 2 MiB, aligned to that: the kernel often places it so unasked; else cut it out of twice as much.
  static char* map_region() {
    auto* memory = static_cast<char*>(map(kRegionBytes));
    if (base_of(memory) == memory) return memory;
    ::munmap(memory, kRegionBytes);
    memory = static_cast<char*>(map(2 * kRegionBytes));
    char* const base = base_of(memory + kRegionBytes - 1);
    if (base != memory) ::munmap(memory, static_cast<std::size_t>(base - memory));
    ::munmap(base + kRegionBytes, static_cast<std::size_t>(memory + kRegionBytes - base));
    return base;
  }

  void remove_region(Region* region) noexcept {
    with_room_.remove(region);
    all_.remove(region);
    --region_count_;
    for (const Span& span : region->spans) idle_spans_ -= span.idle() ? 1 : 0;
    ::munmap(base_of(region), kRegionBytes);
  }

  void decommit_all() noexcept {
    for (Region *region = with_room_.first, *next = nullptr; region != nullptr; region = next) {
      next = region->next;
      if (region->free_spans == kSpans - 1) {
        remove_region(region);
        continue;
      }
      const auto idle = [region](std::size_t i) { return i < kSpans && region->spans[i].idle(); };
      for (std::size_t begin = 1, end = 1; begin < kSpans; begin = ++end) {
        while (idle(end)) ++end;
        if (begin == end) continue;
        // It fails if memory is locked: then don't try again and again.
        can_decommit_ = ::madvise(base_of(region) + begin * kSpanBytes, (end - begin) * kSpanBytes, MADV_DONTNEED) == 0;
        if (!can_decommit_) return;
        for (std::size_t i = begin; i < end; ++i) region->spans[i].committed = false;
        idle_spans_ -= end - begin;
      }
    }
  }

  BriefMutex mutex_;
  List<Region, &Region::next, &Region::prev> with_room_;
  List<Region, &Region::next_region, &Region::prev_region> all_;
  std::size_t region_count_ = 0;
  std::size_t used_spans_ = 0;
  std::size_t idle_spans_ = 0;  // free and committed
  bool can_decommit_ = true;
};

constinit Heap heap;

class alignas(64) Central {
 public:
  // A list of `wanted` blocks or fewer, at least one; sets how many. Throws std::bad_alloc.
  FreeBlock* fetch(std::size_t size, std::uint32_t wanted, std::uint32_t& count) {
    FreeBlock* list = nullptr;
    char* fresh = nullptr;  // blocks that were never used, side by side
    std::uint32_t fresh_count = 0;
    {
      const std::lock_guard lock(mutex_);
      if (spans_.first == nullptr) spans_.push(heap.take(size));
      for (count = 0; count < wanted && spans_.first != nullptr; ++count) {
        Span* const span = spans_.first;
        if (FreeBlock* block = span->free) {
          span->free = block->next;
          list = ::new (block) FreeBlock{list};
        } else {
          char* const next = span->begin + size * span->carved;
          if (fresh_count == 0) fresh = next;
          if (next != fresh + size * fresh_count) break;  // of another span
          ++span->carved;
          ++fresh_count;
        }
        ++span->live;
        if (span->full()) spans_.remove(span);
      }
      live_.store(live_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    // Their first touch faults, which takes its time: not under the lock.
    while (fresh_count > 0) list = ::new (fresh + size * --fresh_count) FreeBlock{list};
    return list;
  }

  void give_back(FreeBlock* list) noexcept {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (FreeBlock* next = nullptr; list != nullptr; list = next, ++count) {
      next = list->next;
      Span* const span = span_of(list);
      if (span->full()) spans_.push(span);
      list->next = span->free;
      span->free = list;
      if (--span->live == 0 && (span->prev != nullptr || span->next != nullptr)) {
        spans_.remove(span);
        heap.give_back(span);
      }
    }
    live_.store(live_.load(std::memory_order_relaxed) - count, std::memory_order_relaxed);
  }

  std::size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

 private:
  BriefMutex mutex_;
  List<Span, &Span::next, &Span::prev> spans_;
  std::atomic<std::size_t> live_{0};  // written under the mutex
};

constinit std::array<Central, kClasses> centrals;
constinit std::atomic<std::size_t> large_bytes{0};

class Cache {
 public:
  void* pop(std::size_t cls) noexcept {
    Bin& bin = bins_[cls];
    FreeBlock* const block = bin.first;
    if (block == nullptr) return nullptr;
    bin.first = block->next;
    --bin.count;
    return block;
  }

  bool push(std::size_t cls, void* block) noexcept {
    Bin& bin = bins_[cls];
    if (bin.count >= bin.limit) return false;
    bin.first = ::new (block) FreeBlock{bin.first};
    ++bin.count;
    return true;
  }

  // After a pop that found nothing.
  void* refill(std::size_t cls) {
    Bin& bin = bins_[cls];
    grow(cls);
    FreeBlock* const block = centrals[cls].fetch(size_of(cls), std::max(bin.limit / 2, 1U), bin.count);
    bin.first = block->next;
    --bin.count;
    return block;
  }

  // After a push that found no room.
  void spill(std::size_t cls, void* block) noexcept {
    grow(cls);
    Bin& bin = bins_[cls];
    if (bin.count >= bin.limit) trim(cls, bin.limit / 2);
    if (!push(cls, block)) centrals[cls].give_back(::new (block) FreeBlock{nullptr});
  }

  void flush() noexcept {
    for (std::size_t cls = 0; cls < kClasses; ++cls) trim(cls, 0);
  }

 private:
  struct Bin {
    FreeBlock* first = nullptr;
    std::uint32_t count = 0;
    std::uint32_t limit = 0;
  };

  static constexpr std::uint32_t cap(std::size_t cls) noexcept {
    return static_cast<std::uint32_t>(std::clamp<std::size_t>(kThreadCacheBytes / 4 / size_of(cls), 1, 128));
  }

  // Doubles the bin's limit, if need be at the expense of others in turn, so that unused bins lose what they once got.
  void grow(std::size_t cls) noexcept {
    Bin& bin = bins_[cls];
    const std::uint32_t wanted = std::min(std::max(bin.limit * 2, 4U), cap(cls));
    const std::size_t cost = (wanted - bin.limit) * size_of(cls);
    for (std::size_t i = 0; i < kClasses && cost > budget_; ++i) {
      hand_ = (hand_ + 1) % kClasses;
      Bin& other = bins_[hand_];
      if (hand_ == cls || other.limit == 0) continue;
      const std::uint32_t rest = other.limit / 2;
      budget_ += (other.limit - rest) * size_of(hand_);
      other.limit = rest;
      trim(hand_, rest);
    }
    if (cost > budget_) return;
    budget_ -= cost;
    bin.limit = wanted;
  }

  // Keeps the `keep` blocks that were freed last: they are in the processor's cache.
  void trim(std::size_t cls, std::uint32_t keep) noexcept {
    Bin& bin = bins_[cls];
    if (bin.count <= keep) return;
    bin.count = keep;
    FreeBlock** rest = &bin.first;
    for (; keep > 0; --keep) rest = &(*rest)->next;
    FreeBlock* const list = *rest;
    *rest = nullptr;
    centrals[cls].give_back(list);
  }

  std::array<Bin, kClasses> bins_{};
  std::size_t budget_ = kThreadCacheBytes;
  std::size_t hand_ = 0;
};

// Null before the thread's first call, and after its end.
constinit thread_local Cache* cache __attribute__((tls_model("initial-exec"))) = nullptr;
constinit thread_local bool ended __attribute__((tls_model("initial-exec"))) = false;

// Runs after the destructors of all thread_locals. What other keys' destructors do later goes to the Centrals directly.
void flush_ended_thread(void* old) noexcept {
  ended = true;
  cache = nullptr;
  static_cast<Cache*>(old)->flush();
  std::free(old);
}

// Null if there is no cache to be had.
Cache* find_cache() noexcept {
  if (cache != nullptr || ended) return cache;
  struct Key {
    pthread_key_t key{};
    bool made = pthread_key_create(&key, [](void* old) { flush_ended_thread(old); }) == 0;
  };
  static const Key key;
  void* const memory = key.made ? std::malloc(sizeof(Cache)) : nullptr;
  if (memory == nullptr) return nullptr;
  if (pthread_setspecific(key.key, memory) != 0) {
    std::free(memory);
    return nullptr;
  }
  return cache = ::new (memory) Cache;
}

[[gnu::noinline]] void* allocate_slow(std::size_t bytes) {
  if (bytes > kLargest) {
    void* const block = std::malloc(bytes);
    if (block == nullptr) throw std::bad_alloc();
    large_bytes.fetch_add(bytes, std::memory_order_relaxed);
    return block;
  }
  const std::size_t cls = class_of(bytes);
  if (Cache* const mine = find_cache()) return mine->refill(cls);
  std::uint32_t count = 0;
  return centrals[cls].fetch(size_of(cls), 1, count);
}

[[gnu::noinline]] void deallocate_slow(void* block, std::size_t bytes) noexcept {
  if (bytes > kLargest) {
    large_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    return std::free(block);
  }
  const std::size_t cls = class_of(bytes);
  if (Cache* const mine = find_cache()) return mine->spill(cls, block);
  centrals[cls].give_back(::new (block) FreeBlock{nullptr});
}

}  // namespace

void* allocate(std::size_t bytes) {
  if (bytes <= kLargest && cache != nullptr) [[likely]] {
    if (void* const block = cache->pop(class_of(bytes))) [[likely]]
      return block;
  }
  return allocate_slow(bytes);
}

void deallocate(void* block, std::size_t bytes) noexcept {
  if (bytes <= kLargest && cache != nullptr) [[likely]] {
    if (cache->push(class_of(bytes), block)) [[likely]]
      return;
  }
  deallocate_slow(block, bytes);
}

AllocatorStats allocator_stats() noexcept {
  AllocatorStats stats;
  stats.in_use = stats.committed = stats.mapped = large_bytes.load(std::memory_order_relaxed);
  for (std::size_t cls = 0; cls < kClasses; ++cls) stats.in_use += centrals[cls].live() * size_of(cls);
  heap.add_to(stats);
  return stats;
}

void flush_thread_cache() noexcept {
  if (cache != nullptr) cache->flush();
}

}  // namespace cubby::detail

#endif
