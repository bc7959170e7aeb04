// SPDX-License-Identifier: Apache-2.0
#include "base/allocator.hpp"

#include <gtest/gtest.h>

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace cubby::detail {
namespace {

constexpr std::size_t kMiB = 1024 * 1024;

struct Piece {
  unsigned char* data;
  std::size_t bytes;
  unsigned char pattern;
};

Piece make(std::size_t bytes, std::uint64_t seed) {
  const Piece piece{static_cast<unsigned char*>(allocate(bytes)), bytes, static_cast<unsigned char>(seed)};
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece.data) % 16, 0U);
  std::memset(piece.data, piece.pattern, bytes);
  return piece;
}

// True if nobody else wrote into it.
bool unmake(const Piece& piece) {
  bool intact = true;
  for (std::size_t i = 0; i < piece.bytes; ++i) intact = intact && piece.data[i] == piece.pattern;
  deallocate(piece.data, piece.bytes);
  return intact;
}

// Whether blocks come from the pools, and not from malloc as in sanitizer builds.
bool pooled() {
  void* const block = allocate(64);
  const bool counted = allocator_stats().in_use > 0;
  deallocate(block, 64);
  return counted;
}

// Everything that this test's threads hold back goes to the pools.
AllocatorStats settled() {
  flush_thread_cache();
  return allocator_stats();
}

TEST(Allocator, EverySizeIsAlignedAndWhole) {
  std::vector<Piece> pieces;
  for (std::size_t bytes = 0; bytes <= 2100; ++bytes) pieces.push_back(make(bytes, bytes));
  for (std::size_t bytes = 2100; bytes <= 300'000; bytes += bytes / 7) {
    for (const std::size_t near : {bytes - 1, bytes, bytes + 1}) pieces.push_back(make(near, near));
  }
  for (std::size_t shift = 11; shift < 22; ++shift) {
    const std::size_t bytes = std::size_t{1} << shift;
    for (const std::size_t near : {bytes - 1, bytes, bytes + 1, bytes + bytes / 4, bytes + bytes / 4 + 1})
      pieces.push_back(make(near, near));
  }
  for (const Piece& piece : pieces) ASSERT_TRUE(unmake(piece)) << piece.bytes;
}

TEST(Allocator, FreedMemoryIsUsedAgain) {
  if (!pooled()) GTEST_SKIP() << "blocks come from malloc";
  const std::size_t before = allocator_stats().mapped;
  for (int i = 0; i < 1'000'000; ++i) deallocate(allocate(224), 224);
  EXPECT_LE(allocator_stats().mapped, before + 2 * kMiB);
}

TEST(Allocator, CountsWhatIsInUse) {
  if (!pooled()) GTEST_SKIP() << "blocks come from malloc";
  const AllocatorStats before = settled();
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < 1000; ++i) pieces.push_back(make(160, i));
  pieces.push_back(make(100'000, 1));
  AllocatorStats during = settled();
  EXPECT_EQ(during.in_use, before.in_use + 160'000 + 100'000);
  EXPECT_LE(during.in_use, during.committed);
  EXPECT_LE(during.committed, during.mapped);
  for (const Piece& piece : pieces) unmake(piece);
  EXPECT_EQ(settled().in_use, before.in_use);
}

#if defined(__linux__)
std::size_t resident() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, pages = 0;
  file >> total >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}
#endif

TEST(Allocator, AClearedHeapGivesItsMemoryBack) {
  if (!pooled()) GTEST_SKIP() << "blocks come from malloc";
  const AllocatorStats before = settled();
  for (const std::uint64_t seed : {1U, 2U}) {
    std::mt19937_64 random(seed);
    std::vector<Piece> pieces;
    pieces.reserve(300'000);
    for (int i = 0; i < 300'000; ++i) pieces.push_back(make(32 + random() % 480, random()));
    const AllocatorStats full = allocator_stats();
    EXPECT_GE(full.committed, before.committed + 70 * kMiB);
#if defined(__linux__)
    const std::size_t resident_full = resident();
#endif
    std::shuffle(pieces.begin(), pieces.end(), random);
    for (const Piece& piece : pieces) ASSERT_TRUE(unmake(piece));
    EXPECT_LE(allocator_stats().in_use, before.in_use + kThreadCacheBytes);
    const AllocatorStats after = settled();
    EXPECT_EQ(after.in_use, before.in_use);
    EXPECT_LE(after.committed, before.committed + 12 * kMiB);
    EXPECT_LE(after.mapped, full.mapped);
#if defined(__linux__)
    EXPECT_LE(resident() + 50 * kMiB, resident_full);
#endif
  }
}

TEST(Allocator, ThreadsComeAndGoWithoutALeak) {
  const AllocatorStats before = settled();
  for (int round = 0; round < 300; ++round) {
    std::thread([] {
      std::mt19937_64 random(1);
      std::vector<Piece> pieces;
      for (int i = 0; i < 200; ++i) pieces.push_back(make(random() % 2000, random()));
      for (const Piece& piece : pieces) EXPECT_TRUE(unmake(piece));
    }).join();
  }
  EXPECT_EQ(settled().in_use, before.in_use);
}

TEST(Allocator, WorksAfterTheThreadsCacheIsGone) {
  const AllocatorStats before = settled();
  // Destructors of pthread keys run after those of thread_locals, in no order; setting the key again asks for one more round,
  // by which the cache is gone for sure.
  struct Late {
    static void run(void* argument) {
      const auto left = reinterpret_cast<std::uintptr_t>(argument);
      std::vector<Piece> pieces;
      for (std::size_t i = 0; i < 200; ++i) pieces.push_back(make(i * 7, i));
      for (const Piece& piece : pieces) EXPECT_TRUE(unmake(piece));
      if (left > 1) pthread_setspecific(key(), reinterpret_cast<void*>(left - 1));
    }
    static pthread_key_t key() {
      static const pthread_key_t made = [] {
        pthread_key_t created{};
        EXPECT_EQ(pthread_key_create(&created, &run), 0);
        return created;
      }();
      return made;
    }
  };
  for (int i = 0; i < 20; ++i) {
    std::thread([] {
      pthread_setspecific(Late::key(), reinterpret_cast<void*>(std::uintptr_t{3}));
      EXPECT_TRUE(unmake(make(100, 1)));
    }).join();
  }
  EXPECT_EQ(settled().in_use, before.in_use);
}

TEST(Allocator, ManyThreadsFreeEachOthersBlocks) {
  constexpr std::size_t kThreads = 16, kBoxes = 64;
  constexpr int kRounds = 20'000;
  const AllocatorStats before = settled();
  struct Box {
    std::mutex mutex;
    std::vector<Piece> pieces;
  };
  std::vector<Box> boxes(kBoxes);
  std::atomic<int> damaged{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<Piece> taken;
      for (int round = 0; round < kRounds; ++round) {
        const std::uint64_t dice = random() % 1000;
        const std::size_t bytes = dice == 0 ? random() % 100'000 : dice < 50 ? random() % 8000 : random() % 600;
        const Piece piece = make(bytes, random());
        Box& box = boxes[random() % kBoxes];
        {
          const std::lock_guard lock(box.mutex);
          box.pieces.push_back(piece);
          if (box.pieces.size() > 100) taken.swap(box.pieces);
        }
        for (const Piece& each : taken) damaged += unmake(each) ? 0 : 1;
        taken.clear();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const Box& box : boxes) {
    for (const Piece& piece : box.pieces) damaged += unmake(piece) ? 0 : 1;
  }
  EXPECT_EQ(damaged.load(), 0);
  EXPECT_EQ(settled().in_use, before.in_use);
}

}  // namespace
}  // namespace cubby::detail
