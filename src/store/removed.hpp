// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include <cubby/value.hpp>

namespace cubby::detail {

/// What has left a queue or an object's members and may still be read through older headers: whoever has it frees it once no
/// reader can hold one. Short lists need no memory of their own.
///
/// Thread safety: none; belongs to the thread that writes.
class Removed {
 public:
  Removed() = default;
  Removed(const Removed&) = delete;
  Removed& operator=(const Removed&) = delete;

  void add(void* object, void (*free)(void*), std::size_t bytes) noexcept {
    const Item item{object, free, bytes};
    if (count_ < kInline) {
      items_[count_++] = item;
    } else {
      more_.push_back(item);
    }
  }
  /// Takes over a reference to the block.
  void add(Block* block) noexcept;
  /// Takes over a slot's reference.
  void add(const Value& slot) noexcept;
  /// Takes over what the other has, and leaves it empty.
  void take(Removed& other) noexcept {
    other.drain([this](void* object, void (*free)(void*), std::size_t bytes) { add(object, free, bytes); });
  }
  /// All this stays with what it was to leave.
  void forget() noexcept {
    count_ = 0;
    more_.clear();
  }
  /// Frees all. REQUIRES: nobody reads what it has left.
  void free_now() noexcept {
    drain([](void* object, void (*free)(void*), std::size_t) { free(object); });
  }
  /// Calls `visit(void* object, void (*free)(void*), bytes)` for each: freeing is up to it now.
  template <class Visit>
  void drain(Visit&& visit) {
    for (std::size_t index = 0; index < count_; ++index) visit(items_[index].object, items_[index].free, items_[index].bytes);
    for (const Item& item : more_) visit(item.object, item.free, item.bytes);
    forget();
  }

 private:
  struct Item {
    void* object;
    void (*free)(void*);
    std::size_t bytes;
  };
  static constexpr std::size_t kInline = 8;
  Item items_[kInline];  // not initialised: every write has a list, and few use it
  std::size_t count_ = 0;
  std::vector<Item> more_;
};

}  // namespace cubby::detail
