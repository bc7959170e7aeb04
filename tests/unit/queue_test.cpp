// SPDX-License-Identifier: Apache-2.0
#include "store/queue.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace cubby::detail {
namespace {

/// Too long to lie in the Value, so that a lost reference is a leak.
Value item(int number) { return {"an element that needs a block of its own, number " + std::to_string(number)}; }

std::vector<Value> items(int from, int count) {
  std::vector<Value> made;
  for (int number = from; number < from + count; ++number) made.push_back(item(number));
  return made;
}

void append(Queue& queue, int from, int count, bool front = false) {
  for (int number = from; number < from + count; ++number) {
    if (front) {
      queue.reserve_front(1);
      queue.append_front(item(number));
    } else {
      queue.reserve_back(1);
      queue.append_back(item(number));
    }
  }
}

/// Changes that were planned and given up: neither the elements, nor the memory, nor what comes after may show it. What they
/// leak, AddressSanitizer finds.
class QueueAbandon : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override { append(queue_, 0, GetParam()); }
  void TearDown() override { queue_.destroy(); }
  void expect_untouched() {
    EXPECT_EQ(queue_.flatten(), Value::array(items(0, GetParam())));
    append(queue_, GetParam(), 70);
    EXPECT_EQ(queue_.flatten(), Value::array(items(0, GetParam() + 70)));
    // From the bottom up, over all links between chunks.
    Removed removed;
    for (int number = 0; number < GetParam() + 70; ++number) ASSERT_EQ(queue_.take_first(removed), item(number));
    removed.free_now();
  }
  Queue queue_;
};

TEST_P(QueueAbandon, FreesWhatWasAppended) {
  for (const int count : {1, 3, 200}) {
    for (const bool front : {false, true}) {
      Queue planned = queue_;
      append(planned, 1000, count, front);
      planned.abandon(queue_);
    }
  }
  expect_untouched();
}

TEST_P(QueueAbandon, FreesRoomThatWasNotUsed) {
  Queue planned = queue_;
  planned.reserve_back(100);
  planned.reserve_front(100);
  planned.abandon(queue_);
  expect_untouched();
}

TEST_P(QueueAbandon, LeavesWhatWasTakenWhereItWas) {
  for (const bool last : {false, true}) {
    Queue planned = queue_;
    Removed removed;
    for (int taken = 0; taken < (GetParam() + 1) / 2; ++taken) last ? planned.take_last(removed) : planned.take_first(removed);
    append(planned, 1000, 10);
    append(planned, 2000, 10, true);
    planned.abandon(queue_);
    removed.forget();
  }
  expect_untouched();
}

TEST_P(QueueAbandon, AfterAllWasTakenFromTheEndThatIsAppendedTo) {
  Queue planned = queue_;
  Removed removed;
  for (int taken = 0; taken < GetParam() * 3 / 4; ++taken) planned.take_last(removed);
  append(planned, 1000, 100);
  planned.abandon(queue_);
  removed.forget();
  expect_untouched();
}

TEST_P(QueueAbandon, OfAQueueThatWasEmptied) {
  Queue planned = queue_;
  Removed removed;
  while (planned.size() != 0) planned.take_first(removed);
  append(planned, 1000, 10);
  planned.abandon(queue_);
  removed.forget();
  expect_untouched();
}

// The last chunk of a queue that was emptied is kept, and may be too small for what comes at once.
TEST(Queue, TakesInOrderWhatWasAppendedAtOnceAfterItWasEmptied) {
  for (int before = 1; before < 6; ++before) {
    for (int at_once = 1; at_once < 8; ++at_once) {
      Queue queue;
      Removed removed;
      append(queue, 0, before);
      for (int number = 0; number < before; ++number) EXPECT_EQ(queue.take_first(removed), item(number));
      queue.reserve_back(static_cast<std::size_t>(at_once));
      for (int number = 0; number < at_once; ++number) queue.append_back(item(100 + number));
      for (int number = 0; number < at_once; ++number) EXPECT_EQ(queue.take_first(removed), item(100 + number));
      EXPECT_EQ(queue.size(), 0U);
      removed.free_now();
      queue.destroy();
    }
  }
}

// Slots that were taken from the bottom, and room that was reserved and not used, lie between the runs.
TEST(Queue, AddsTheRunsOfAnyStretch) {
  Queue queue;
  Removed removed;
  std::vector<Value> expected;
  const auto expect_all = [&] {
    for (std::size_t first = 0; first <= expected.size(); ++first) {
      for (std::size_t count = 0; first + count <= expected.size(); ++count) {
        std::vector<std::span<const Value>> runs;
        queue.add_runs(first, count, runs);
        std::vector<Value> found;
        for (const std::span<const Value> run : runs) {
          EXPECT_FALSE(run.empty());
          found.insert(found.end(), run.begin(), run.end());
        }
        ASSERT_EQ(found, std::vector<Value>(expected.begin() + static_cast<std::ptrdiff_t>(first),
                                            expected.begin() + static_cast<std::ptrdiff_t>(first + count)));
      }
    }
  };
  for (int number = 0; number < 30; ++number) {
    append(queue, number, 1);
    expected.push_back(item(number));
    append(queue, 100 + number, 1, true);
    expected.insert(expected.begin(), item(100 + number));
  }
  ASSERT_NO_FATAL_FAILURE(expect_all());
  for (int taken = 0; taken < 40; ++taken) {
    queue.take_first(removed);
    expected.erase(expected.begin());
  }
  ASSERT_NO_FATAL_FAILURE(expect_all());
  queue.reserve_back(100);
  queue.reserve_front(100);
  ASSERT_NO_FATAL_FAILURE(expect_all());
  append(queue, 200, 10);
  for (int number = 200; number < 210; ++number) expected.push_back(item(number));
  ASSERT_NO_FATAL_FAILURE(expect_all());
  removed.free_now();
  queue.destroy();
}

INSTANTIATE_TEST_SUITE_P(Lengths, QueueAbandon, ::testing::Values(0, 1, 4, 5, 63, 200));

}  // namespace
}  // namespace cubby::detail
