// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace cubby::server {

/// What a buffer that has a limit throws when it should grow beyond.
class BufferLimit : public std::length_error {
 public:
  using std::length_error::length_error;
};

/// Bytes that grow at their end: what was received, and what is to be sent. Unlike std::string it hands out room that nobody
/// filled with zeros before.
///
/// Thread safety: as an int.
class ByteBuffer {
 public:
  ByteBuffer() noexcept = default;
  ByteBuffer(ByteBuffer&& other) noexcept
      : bytes_(std::exchange(other.bytes_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)),
        most_(other.most_) {}
  ByteBuffer& operator=(ByteBuffer&& other) noexcept {
    ByteBuffer(std::move(other)).swap(*this);
    return *this;
  }
  ~ByteBuffer() { std::free(bytes_); }

  std::string_view view() const noexcept { return {bytes_, size_}; }
  const char* data() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  std::size_t capacity() const noexcept { return capacity_; }

  /// It holds no more than so many bytes, from now on.
  void limit(std::size_t most) noexcept { most_ = most; }

  /// Room for `count` more bytes; add() says how many of them were used. Throws std::bad_alloc, BufferLimit.
  char* room(std::size_t count) {
    if (capacity_ - size_ < count) [[unlikely]]
      grow(count);
    return bytes_ + size_;
  }
  void add(std::size_t count) noexcept { size_ += count; }

  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(room(bytes.size()), bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void push_back(char byte) {
    *room(1) = byte;
    ++size_;
  }

  /// REQUIRES: not more than there is.
  void truncate(std::size_t size) noexcept { size_ = size; }
  void drop_front(std::size_t count) noexcept {
    if (count == 0) return;
    size_ -= count;
    std::memmove(bytes_, bytes_ + count, size_);
  }
  void clear() noexcept { size_ = 0; }
  /// Gives the memory back too.
  void reset() noexcept {
    const std::size_t most = most_;
    ByteBuffer().swap(*this);
    most_ = most;
  }
  void swap(ByteBuffer& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(most_, other.most_);
  }

 private:
  void grow(std::size_t count) {
    if (count > most_ || size_ > most_ - count) throw BufferLimit("the buffer is full");
    if (count > static_cast<std::size_t>(-1) / 4 - capacity_) throw std::bad_alloc();
    const std::size_t capacity = std::max({size_ + count, capacity_ * 2, std::size_t{256}});
    void* bytes = std::realloc(bytes_, capacity);
    if (bytes == nullptr) throw std::bad_alloc();
    bytes_ = static_cast<char*>(bytes);
    capacity_ = capacity;
  }

  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  std::size_t most_ = static_cast<std::size_t>(-1);
};

}  // namespace cubby::server
