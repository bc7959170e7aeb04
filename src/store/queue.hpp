// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <cubby/value.hpp>

#include "store/removed.hpp"

/// An array that push, unshift, pop and shift change in constant time, while readers look at it without a lock.
///
/// The elements lie in chunks. A published slot is never written again, so the versions of a queue share chunks, and a version
/// is just a small header (Queue): two ends, each a stack of chunks linked from the outside in. `front` grows at the array's
/// beginning, `back` at its end; when one is empty, its side of the queue is taken from the bottom of the other.
///
///      unshift, shift                              push, pop
///          |                                          |
///     [ f3 f2 f1 | f0 ] front         back [ b0 b1 b2 | b3 b4 ]
///        top  ->  bottom                    bottom  <-  top
///
/// Invariants
///  1. Chunk::inward and inward_used never change. A reader walks from a top inwards and stops after `count` elements, so it
///  never
///     follows a link to a chunk that was used up from the bottom.
///  2. A slot is written once, before a header that covers it is published. A push onto a top that older headers have used
///  further
///     (top_used < filled) opens a new chunk.
///  3. Only the newest version of a key's queue is changed, under the key's lock; it owns the elements in its range and the
///  chunks.
///     What leaves the queue goes to a Removed list, whose owner frees it once no reader can hold an older header.
///  4. Chunk::outward, Chunk::filled and End::bottom are for writers only.
///
/// Thread safety: a version may be read by any threads; changing is the lock holder's.

namespace cubby::detail {

struct Chunk {
  Chunk* inward;              ///< towards the bottom; null at the first
  Chunk* outward;             ///< towards the top
  std::uint32_t inward_used;  ///< slots of `inward` that lie below this chunk
  std::uint32_t capacity;
  std::uint32_t filled;  ///< slots ever written

  Value* slots() noexcept { return reinterpret_cast<Value*>(this + 1); }
  const Value* slots() const noexcept { return reinterpret_cast<const Value*>(this + 1); }
};

class Queue {
 public:
  Queue() noexcept : front_(true), back_(false) {}
  /// A queue of the array's elements. Throws std::bad_alloc.
  static Queue of(const Value& array);

  std::size_t size() const noexcept { return static_cast<std::size_t>(front_.count + back_.count); }

  /// Makes room for more elements, so that appending them can't fail. Throws std::bad_alloc.
  void reserve_back(std::size_t elements) { bytes_ += back_.reserve(elements); }
  void reserve_front(std::size_t elements) { bytes_ += front_.reserve(elements); }
  /// REQUIRES: reserved.
  void append_back(const Value& element) noexcept { bytes_ += back_.append(element); }
  void append_front(const Value& element) noexcept { bytes_ += front_.append(element); }

  /// Takes the first (last) element. REQUIRES: not empty.
  Value take_first(Removed& removed) noexcept {
    return front_.count != 0 ? take_top(front_, removed) : take_bottom(back_, removed);
  }
  Value take_last(Removed& removed) noexcept {
    return back_.count != 0 ? take_top(back_, removed) : take_bottom(front_, removed);
  }

  /// An element by its place. Walks the chunks, from the nearer end. REQUIRES: index < size().
  Value at(std::size_t index) const;
  /// The elements as one array value. Linear.
  Value flatten() const;
  /// Adds the runs of elements that make up [first, first + count), in order. Walks the chunks from the ends. REQUIRES: within
  /// size().
  void add_runs(std::size_t first, std::size_t count, std::vector<std::span<const Value>>& runs) const;

  /// Frees all elements and chunks. REQUIRES: nobody reads any version.
  void destroy() noexcept;
  /// Frees what was appended to this version since it was copied from `base`, which stays the newest one. REQUIRES: this
  /// version was never published; nothing was taken out after the first append.
  void abandon(const Queue& base) noexcept;

  /// Memory of chunks and elements.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  struct End {
    explicit End(bool is_front) noexcept : front(is_front) {}

    Chunk* top = nullptr;
    Chunk* bottom = nullptr;  ///< the innermost chunk that still has elements
    std::uint32_t top_used = 0;
    std::uint32_t bottom_taken = 0;  ///< elements of `bottom` that were taken from below
    std::uint64_t count = 0;
    bool front;  ///< chunks fill downwards, so that every run of elements is in the array's order

    std::size_t reserve(std::size_t elements);
    std::size_t append(const Value& element) noexcept;
    Value* slot(Chunk* chunk, std::uint32_t place) const noexcept {
      return chunk->slots() + (front ? chunk->capacity - 1 - place : place);
    }
    /// `visit(first element in the array's order, how many)`, from the top down, until it returns false.
    template <class Visit>
    void for_each_run(Visit&& visit) const;
    void clear(Removed& removed) noexcept;
    bool reaches(const Chunk* chunk) const noexcept;
    void abandon(const End& base) noexcept;
  };

  Value take_top(End& end, Removed& removed) noexcept;
  Value take_bottom(End& end, Removed& removed) noexcept;
  void drop_used_up(End& end, Removed& removed) noexcept;

  End front_, back_;
  std::size_t bytes_ = 0;
};

}  // namespace cubby::detail
