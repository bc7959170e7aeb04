// SPDX-License-Identifier: Apache-2.0
#include "store/queue.hpp"

#include <algorithm>
#include <new>
#include <span>

#include "base/allocator.hpp"
#include "value/access.hpp"

namespace cubby::detail {

namespace {

constexpr std::size_t kSmallestChunk = 4;
constexpr std::size_t kLargestChunk = 64;

std::size_t chunk_bytes(std::size_t capacity) noexcept { return sizeof(Chunk) + capacity * sizeof(Value); }

Chunk* make_chunk(std::size_t capacity) {
  void* memory = allocate(chunk_bytes(capacity));
  return new (memory) Chunk{nullptr, nullptr, 0, static_cast<std::uint32_t>(capacity), 0};
}

void free_chunk(void* chunk) noexcept { deallocate(chunk, chunk_bytes(static_cast<Chunk*>(chunk)->capacity)); }
void add_chunk(Removed& removed, Chunk* chunk) noexcept { removed.add(chunk, free_chunk, chunk_bytes(chunk->capacity)); }

}  // namespace

std::size_t Queue::End::reserve(std::size_t elements) {
  if (top != nullptr && top_used == top->filled && top->capacity - top_used >= elements) return 0;
  // A queue that is pushed on grows its chunks; one that is pushed and popped at the same end gets small ones.
  const bool grown = top != nullptr && top_used == top->capacity;
  const std::size_t usual =
      grown ? std::clamp<std::size_t>(std::size_t{top->capacity} * 2, kSmallestChunk, kLargestChunk) : kSmallestChunk;
  Chunk* chunk = make_chunk(std::max(usual, elements));
  chunk->inward = top;
  chunk->inward_used = top_used;
  if (top != nullptr) {
    top->outward = chunk;
  } else {
    bottom = chunk;
    bottom_taken = 0;
  }
  top = chunk;
  top_used = 0;
  return chunk_bytes(chunk->capacity);
}

std::size_t Queue::End::append(const Value& element) noexcept {
  new (slot(top, top_used)) Value(element);
  top->filled = ++top_used;
  ++count;
  return ValueAccess::node_size(element);
}

template <class Visit>
void Queue::End::for_each_run(Visit&& visit) const {
  std::uint64_t left = count;
  std::uint32_t used = top_used;
  for (Chunk* chunk = top; left != 0;) {
    const auto run = static_cast<std::uint32_t>(std::min<std::uint64_t>(used, left));
    left -= run;
    if (run != 0 && !visit(slot(chunk, front ? used - 1 : used - run), run)) return;
    used = chunk->inward_used;
    chunk = chunk->inward;
  }
}

void Queue::End::clear(Removed& removed) noexcept {
  for (Chunk* chunk = top; chunk != nullptr;) {
    Chunk* inward = chunk == bottom ? nullptr : chunk->inward;  // below the bottom all is gone
    add_chunk(removed, chunk);
    chunk = inward;
  }
  *this = End(front);
}

Value Queue::take_top(End& end, Removed& removed) noexcept {
  const auto step_inward = [&] {
    Chunk* used_up = end.top;
    end.top_used = used_up->inward_used;
    end.top = used_up->inward;
    bytes_ -= chunk_bytes(used_up->capacity);
    add_chunk(removed, used_up);
  };
  while (end.top_used == 0) step_inward();  // room that was reserved, and not used
  Value& slot = *end.slot(end.top, --end.top_used);
  Value taken = slot;
  removed.add(slot);
  bytes_ -= ValueAccess::node_size(taken);
  if (--end.count == 0) {
    for (Chunk* chunk = end.top;; chunk = chunk->inward) {
      bytes_ -= chunk_bytes(chunk->capacity);
      if (chunk == end.bottom) break;
    }
    end.clear(removed);
  } else if (end.top_used == 0) {
    step_inward();
  }
  return taken;
}

bool Queue::End::reaches(const Chunk* chunk) const noexcept {
  for (const Chunk* each = top; each != nullptr; each = each == bottom ? nullptr : each->inward) {
    if (each == chunk) return true;
  }
  return false;
}

void Queue::End::abandon(const End& base) noexcept {
  Chunk* chunk = top;
  std::uint32_t used = top_used;
  while (chunk != nullptr && !base.reaches(chunk)) {
    for (std::uint32_t place = 0; place < used; ++place) slot(chunk, place)->~Value();
    Chunk* inward = chunk->inward;
    used = chunk->inward_used;
    deallocate(chunk, chunk_bytes(chunk->capacity));
    chunk = inward;
  }
  if (chunk == nullptr) return;
  std::uint32_t kept = base.top_used;
  if (chunk != base.top) {  // elements were taken before; the link to what lies above it led to what is gone now
    Chunk* above = base.top;
    while (above->inward != chunk) above = above->inward;
    chunk->outward = above;
    kept = above->inward_used;
  }
  for (std::uint32_t place = kept; place < used; ++place) slot(chunk, place)->~Value();
  // These slots were never shown to anybody, so they may be written again.
  if (used > kept && chunk == base.top) chunk->filled = kept;
}

void Queue::abandon(const Queue& base) noexcept {
  front_.abandon(base.front_);
  back_.abandon(base.back_);
}

void Queue::drop_used_up(End& end, Removed& removed) noexcept {
  while (end.bottom != end.top && end.bottom_taken == end.bottom->outward->inward_used) {
    Chunk* used_up = end.bottom;
    end.bottom = used_up->outward;
    end.bottom_taken = 0;
    bytes_ -= chunk_bytes(used_up->capacity);
    add_chunk(removed, used_up);
  }
}

Value Queue::take_bottom(End& end, Removed& removed) noexcept {
  drop_used_up(end, removed);  // the last chunk of a queue that was emptied may have been kept, and another put on top of it
  Value& slot = *end.slot(end.bottom, end.bottom_taken++);
  Value taken = slot;
  removed.add(slot);
  bytes_ -= ValueAccess::node_size(taken);
  --end.count;
  drop_used_up(end, removed);
  // The last chunk stays while it has room: a queue that is short most of the time needs no new one for each element.
  if (end.count == 0 && (end.top_used == end.top->capacity || end.top_used != end.top->filled)) {
    bytes_ -= chunk_bytes(end.top->capacity);
    end.clear(removed);
  }
  return taken;
}

Queue Queue::of(const Value& array) {
  Queue queue;
  if (array.size() == 0) return queue;
  queue.reserve_back(std::min(array.size(), kLargestChunk));
  try {
    for (const Value& element : array.elements()) {
      const Value own = ValueAccess::compact(element);  // taking an element out must not keep the whole array alive
      queue.reserve_back(1);
      queue.append_back(own);
    }
  } catch (...) {
    queue.destroy();
    throw;
  }
  return queue;
}

Value Queue::at(std::size_t index) const {
  const bool in_front = index < front_.count;
  // Runs come from the top down: from the first element on in front, from the last one on at the back.
  std::uint64_t steps = in_front ? index : size() - 1 - index;
  const Value* found = nullptr;
  (in_front ? front_ : back_).for_each_run([&](const Value* first, std::uint32_t run) {
    if (steps >= run) {
      steps -= run;
      return true;
    }
    found = in_front ? first + steps : first + (run - 1 - steps);
    return false;
  });
  return *found;
}

void Queue::add_runs(std::size_t first, std::size_t count, std::vector<std::span<const Value>>& runs) const {
  // The places of a run's elements, and what of them is wanted.
  const std::size_t end = first + count;
  const auto add_wanted = [&](std::size_t begin, const Value* elements, std::uint32_t run) {
    const std::size_t from = std::max(first, begin), to = std::min(end, begin + run);
    if (from < to) runs.emplace_back(elements + (from - begin), to - from);
  };
  const auto front_size = static_cast<std::size_t>(front_.count);
  if (first < front_size) {
    std::size_t begin = 0;
    front_.for_each_run([&](const Value* elements, std::uint32_t run) {
      add_wanted(begin, elements, run);
      begin += run;
      return begin < end;
    });
  }
  if (end <= front_size) return;
  const auto back_begin = static_cast<std::ptrdiff_t>(runs.size());
  std::size_t begin = size();
  back_.for_each_run([&](const Value* elements, std::uint32_t run) {
    begin -= run;
    add_wanted(begin, elements, run);
    return begin > first;
  });
  std::reverse(runs.begin() + back_begin, runs.end());
}

Value Queue::flatten() const {
  std::vector<std::span<const Value>> runs;
  add_runs(0, size(), runs);
  return make_array(runs);
}

void Queue::destroy() noexcept {
  for (End* end : {&front_, &back_}) {
    if (end->top == nullptr) continue;
    std::uint64_t left = end->count;
    std::uint32_t used = end->top_used;
    for (Chunk* chunk = end->top; chunk != nullptr;) {
      const auto run = static_cast<std::uint32_t>(std::min<std::uint64_t>(used, left));
      for (std::uint32_t place = used - run; place < used; ++place) end->slot(chunk, place)->~Value();
      left -= run;
      Chunk* inward = chunk == end->bottom ? nullptr : chunk->inward;
      used = chunk->inward_used;
      deallocate(chunk, chunk_bytes(chunk->capacity));
      chunk = inward;
    }
    *end = End(end->front);
  }
  bytes_ = 0;
}

}  // namespace cubby::detail
