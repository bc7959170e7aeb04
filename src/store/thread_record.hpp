// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/atomics.hpp"
#include "base/epoch.hpp"

/// What a thread owns inside the library: its part in reclamation, its share of each store's counters, and what it is in the
/// middle of. Found through one thread_local pointer; recycled when the thread ends, and never freed, so whoever sums up
/// counters or looks at epochs may walk the list at any time.
///
/// Thread safety: written by the owning thread only. The participant's epoch and the counters are read by others.

namespace cubby::detail {

class DueList;
class Store;

/// A store that a thread is in the function of modify or transact on: only reads of it are allowed. They nest.
struct LockedStore {
  const Store* store;
  const LockedStore* outer;
};

/// The calls of Datastore; also the names under "operations." in the sys store.
enum class Operation : std::uint8_t {
  get,
  visit,
  exists,
  ttl,  // the reads
  set,
  set_once,
  swap,
  increment,
  decrement,
  push,
  unshift,
  shift,
  pop,
  shift_wait,
  pop_wait,
  wait,
  wait_for,
  rename,
  erase,
  take,
  clear,
  expire,
  remove_expiry,
  update,
  modify,
  transact,
  keys,
  for_each,
  save,
  load,
  expire_at,
  deadline,
  version,
  unchanged,
  scan,
  random_key,
  shift_async,
  wait_async,
  attempt_async,
  visit_many,
  type,
  length,
  slice,
  member,
  visit_members,
  change_members,
  modify_member,
  visit_scalar,
};
inline constexpr std::size_t kOperations = static_cast<std::size_t>(Operation::visit_scalar) + 1;
const char* name_of(Operation operation) noexcept;

/// A thread's share of one store's figures; each is the sum over all threads' shares.
enum class Figure : std::uint8_t { hits, writes, expired, bytes };
inline constexpr std::size_t kFigures = 4;

/// On lines of its own, as every operation writes it.
struct alignas(64) Counters {
  std::array<std::atomic<std::uint64_t>, kOperations + kFigures> values{};

  void count(Operation operation) noexcept { add(static_cast<std::size_t>(operation), 1); }
  void add(Figure figure, std::uint64_t amount) noexcept { add(kOperations + static_cast<std::size_t>(figure), amount); }

 private:
  void add(std::size_t index, std::uint64_t amount) noexcept {
    // Nobody else writes it, so it needs no read-modify-write.
    values[index].store(values[index].load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
};

using Epochs = EpochDomain<StdAtomics>;

struct alignas(64) ThreadRecord : Epochs::Participant {
  /// The counters of the store with this number; numbers of closed stores are used again.
  Counters& counters(std::size_t store) {
    CounterTable* table = counters_.load(std::memory_order_relaxed);
    if (table != nullptr && store < table->size && table->cells[store] != nullptr) [[likely]]
      return *table->cells[store];
    return add_counters(store);
  }
  /// The same for other threads; null if the thread has never used the store.
  const Counters* find_counters(std::size_t store) const noexcept;

  const LockedStore* locked = nullptr;
  std::uint32_t callbacks = 0;          ///< user callbacks on the stack: no waiting, no closing
  std::uint32_t writes_to_check = 0;    ///< until the next look at the clock for a backlog of expiry
  std::atomic<bool> publishing{false};  ///< between looking whether a store is closed and having published
  /// The record that the running call has appended to a durable store's log, to be acknowledged before the call returns.
  std::uint64_t appended_segment = 0, appended_end = 0;
  DueList* due = nullptr;     ///< callbacks, and expiries to be told, that the running call owes; null: there never was one
  bool calling_back = false;  ///< they are being called
  ThreadRecord* next_free = nullptr;

 private:
  struct CounterTable {
    std::size_t size;
    std::atomic<Counters*>* cells;
  };
  Counters& add_counters(std::size_t store);

  std::atomic<CounterTable*> counters_{nullptr};
};

/// Never destroyed, as threads may outlive the process's static objects.
union ImmortalEpochs {
  Epochs domain;
  constexpr ImmortalEpochs() : domain() {}
  ~ImmortalEpochs() {}
};
extern constinit ImmortalEpochs immortal_epochs;
inline Epochs& epochs() noexcept { return immortal_epochs.domain; }

/// All records there ever were, for summing up; each in turn by `record->next`.
ThreadRecord* first_record() noexcept;
inline ThreadRecord* next_record(const ThreadRecord* record) noexcept { return static_cast<ThreadRecord*>(record->next); }

namespace this_thread {

// The initial-exec model saves a call for each access in a shared library.
extern thread_local constinit ThreadRecord* record __attribute__((tls_model("initial-exec")));
ThreadRecord& acquire_record();

}  // namespace this_thread

inline ThreadRecord& thread_record() {
  ThreadRecord* record = this_thread::record;
  return record != nullptr ? *record : this_thread::acquire_record();
}

/// Frees `object` later: see EpochDomain::retire.
inline void retire(void* object, void (*free)(void*), std::size_t bytes, Place place = kEverywhere) noexcept {
  epochs().retire(thread_record(), object, free, bytes, place);
}

/// Frees what is free by now, if enough has come together, and sees to it that the rest is freed later. To be called outside of
/// epochs and locks.
void tidy(ThreadRecord& record);

/// The calling thread is inside as long as this lives.
class EpochGuard {
 public:
  explicit EpochGuard(ThreadRecord& record, Place place = kEverywhere) noexcept : record_(record) {
    epochs().enter(record_, place);
  }
  ~EpochGuard() { epochs().leave(record_); }
  EpochGuard(const EpochGuard&) = delete;
  EpochGuard& operator=(const EpochGuard&) = delete;

 private:
  ThreadRecord& record_;
};

/// Marks the part of a write that close() waits for: from its last look at the store's state to its end. No user code runs in
/// it.
class PublishingGuard {
 public:
  explicit PublishingGuard(ThreadRecord& record) noexcept : record_(record) {
    record_.publishing.store(true, std::memory_order_relaxed);
    StdAtomics::light_fence();  // pairs with the heavy fence in wait_for_publishers()
  }
  ~PublishingGuard() { record_.publishing.store(false, std::memory_order_release); }  // (1)
  PublishingGuard(const PublishingGuard&) = delete;
  PublishingGuard& operator=(const PublishingGuard&) = delete;

 private:
  ThreadRecord& record_;
};
/// Returns when every write that has not seen what was stored before this call has published.
void wait_for_publishers() noexcept;

/// While a user's callback runs, calls that wait are refused.
class InCallback {
 public:
  explicit InCallback(ThreadRecord& record) noexcept : record_(record) { ++record_.callbacks; }
  ~InCallback() { --record_.callbacks; }
  InCallback(const InCallback&) = delete;
  InCallback& operator=(const InCallback&) = delete;

 private:
  ThreadRecord& record_;
};

}  // namespace cubby::detail
