// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>
#include <vector>

#include "store/store.hpp"

/// A cut (cut.hpp) from its begin to its end, and what it finds.
///
/// Thread safety: belongs to the thread that saves.

namespace cubby::detail {

/// A key in the cut. Owns a reference to its entry.
struct Store::CutKey {
  class Reference {
   public:
    /// Takes the reference over.
    explicit Reference(Entry* entry) noexcept : entry_(entry) {}
    Reference(Reference&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
    Reference& operator=(Reference&& other) noexcept {
      std::swap(entry_, other.entry_);
      return *this;
    }
    ~Reference() {
      if (entry_ != nullptr) Entry::release(entry_);
    }
    Entry* operator->() const noexcept { return entry_; }

   private:
    Entry* entry_;
  };

  /// REQUIRES: the cut goes on, so that nobody changes the deadline.
  CutKey(Reference owned, bool was_left)
      : entry(std::move(owned)), value(entry->value()), deadline(entry->deadline()), left(was_left) {}

  Reference entry;
  Value value;
  std::int64_t deadline;
  bool left;  ///< by a writer: newer than what the scan may have found before
};

class Store::RunningCut {
 public:
  /// Begins. `before_raise(version)` is called right before the store's version is raised from it: what it prepares is seen by
  /// all who read the raised version. If it throws, nothing has begun.
  RunningCut(Store& store, FunctionRef<void(std::uint32_t version)> before_raise);
  /// Ends, and lets go what was kept for it.
  ~RunningCut();
  RunningCut(const RunningCut&) = delete;
  RunningCut& operator=(const RunningCut&) = delete;

  /// Adds the keys of one more bucket; false when there is none. Throws if a value can't be shown.
  bool scan(std::vector<CutKey>& keys);
  /// Adds what writers have left since the last call. After scan() has returned false, nothing else is missing.
  void take_left(std::vector<CutKey>& keys);

 private:
  Store& store_;
  ThreadRecord& record_;
  Cut* cut_ = nullptr;
  const Chain* chain_ = nullptr;
  std::uint64_t position_ = 0;
  bool done_ = false;
};

}  // namespace cubby::detail
