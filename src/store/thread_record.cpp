// SPDX-License-Identifier: Apache-2.0
#include "store/thread_record.hpp"

#include <pthread.h>

#include <chrono>
#include <iterator>
#include <mutex>
#include <thread>

namespace cubby::detail {

namespace {

constexpr const char* kNames[] = {
    "get",       "visit",     "exists",  "ttl",        "set",           "set_once",       "swap",          "increment",
    "decrement", "push",      "unshift", "shift",      "pop",           "shift_wait",     "pop_wait",      "wait",
    "wait_for",  "rename",    "erase",   "take",       "clear",         "expire",         "remove_expiry", "update",
    "modify",    "transact",  "keys",    "for_each",   "save",          "load",           "expire_at",     "deadline",
    "version",   "unchanged", "scan",    "random_key", "shift_async",   "wait_async",     "attempt_async", "visit_many",
    "type",      "length",    "slice",   "member",     "visit_members", "change_members", "modify_member", "visit_scalar",
};
static_assert(std::size(kNames) == kOperations);

struct FreeRecords {
  std::mutex mutex;
  ThreadRecord* first = nullptr;
};

FreeRecords& free_records() {
  static auto* records = new FreeRecords;  // outlives every thread
  return *records;
}

/// Runs after the thread's own thread_local objects are gone, whose destructors may still use stores.
void release_record(void* pointer) {
  auto* record = static_cast<ThreadRecord*>(pointer);
  epochs().hand_over(*record, true);
  epochs().in_use(-1);
  this_thread::record = nullptr;
  FreeRecords& free = free_records();
  const std::lock_guard lock(free.mutex);
  record->next_free = free.first;
  free.first = record;
}

pthread_key_t exit_key() {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    pthread_key_create(&made, release_record);
    return made;
  }();
  return key;
}

}  // namespace

const char* name_of(Operation operation) noexcept { return kNames[static_cast<std::size_t>(operation)]; }

constinit ImmortalEpochs immortal_epochs;

ThreadRecord* first_record() noexcept { return static_cast<ThreadRecord*>(epochs().participants()); }

thread_local constinit ThreadRecord* this_thread::record = nullptr;

ThreadRecord& this_thread::acquire_record() {
  FreeRecords& free = free_records();
  ThreadRecord* found = nullptr;
  {
    const std::lock_guard lock(free.mutex);
    found = free.first;
    if (found != nullptr) free.first = found->next_free;
  }
  if (found != nullptr) {
    epochs().in_use(1);
  } else {
    found = new ThreadRecord;
    epochs().link(*found);
  }
  pthread_setspecific(exit_key(), found);
  record = found;
  return *found;
}

void wait_for_publishers() noexcept {
  heavy_fence();
  for (const ThreadRecord* each = first_record(); each != nullptr; each = next_record(each)) {
    // acquire: synchronises with (1) in PublishingGuard. A few hundred instructions; more only if the thread was descheduled.
    while (each->publishing.load(std::memory_order_acquire)) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

const Counters* ThreadRecord::find_counters(std::size_t store) const noexcept {
  const CounterTable* table = counters_.load(std::memory_order_acquire);  // synchronises with add_counters()
  return table != nullptr && store < table->size ? table->cells[store].load(std::memory_order_acquire) : nullptr;
}

Counters& ThreadRecord::add_counters(std::size_t store) {
  CounterTable* table = counters_.load(std::memory_order_relaxed);
  if (table == nullptr || store >= table->size) {
    const std::size_t old_size = table != nullptr ? table->size : 0;
    std::size_t size = old_size != 0 ? old_size : 8;
    while (size <= store) size *= 2;
    auto* larger = new CounterTable{size, new std::atomic<Counters*>[size]};
    for (std::size_t index = 0; index < size; ++index) {
      larger->cells[index].store(index < old_size ? table->cells[index].load(std::memory_order_relaxed) : nullptr,
                                 std::memory_order_relaxed);
    }
    counters_.store(larger, std::memory_order_release);  // synchronises with find_counters()
    if (table != nullptr) {
      epochs().retire(
          *this, table,
          [](void* old) {
            delete[] static_cast<CounterTable*>(old)->cells;
            delete static_cast<CounterTable*>(old);
          },
          sizeof(CounterTable) + old_size * sizeof(void*));
    }
    table = larger;
  }
  auto* cell = new Counters;
  table->cells[store].store(cell, std::memory_order_release);  // synchronises with find_counters()
  return *cell;
}

}  // namespace cubby::detail
