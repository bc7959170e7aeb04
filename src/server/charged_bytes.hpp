// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>

namespace cubby::server {

/// Memory of one owner that is part of a sum over all of them, which it leaves with its owner.
///
/// Thread safety: changed by one thread at a time; get() from any. The sum has to outlive it.
class ChargedBytes {
 public:
  explicit ChargedBytes(std::atomic<std::size_t>& sum) noexcept : sum_(sum) {}
  ChargedBytes(const ChargedBytes&) = delete;
  ChargedBytes& operator=(const ChargedBytes&) = delete;
  ~ChargedBytes() { set(0); }

  std::size_t get() const noexcept { return own_.load(std::memory_order_relaxed); }
  operator std::size_t() const noexcept { return get(); }
  void set(std::size_t bytes) noexcept {
    const std::size_t before = get();
    if (bytes == before) return;
    own_.store(bytes, std::memory_order_relaxed);
    sum_.fetch_add(bytes - before, std::memory_order_relaxed);  // modulo 2^n: what comes to less is taken away
  }
  void add(std::size_t bytes) noexcept { set(get() + bytes); }

 private:
  std::atomic<std::size_t>& sum_;
  std::atomic<std::size_t> own_{0};
};

}  // namespace cubby::server
