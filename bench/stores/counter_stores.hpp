// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "stores/replaced_design.hpp"
#include "stores/session_stores.hpp"

namespace bench {

/// Stores of `count` counters, starting at 0: increment(i).

template <template <class> class Map>
class SharedCounters {
 public:
  static constexpr const char* kName = Map<std::int64_t>::kName;
  explicit SharedCounters(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) map_.assign(keys_.emplace_back("counter:" + std::to_string(i)), 0);
  }
  bool increment(std::size_t i) {
    std::int64_t now = 0;
    const bool found = map_.change(keys_[i], [&now](std::int64_t& counter) { now = ++counter; });
    benchmark::DoNotOptimize(now);
    return found;
  }

 private:
  std::vector<std::string> keys_;
  Map<std::int64_t> map_;
};

class ReplacedCounters {
 public:
  static constexpr const char* kName = "replaced: exclusive lock";
  explicit ReplacedCounters(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      design_.set(keys_.emplace_back("counter:" + std::to_string(i)), Tree{std::int64_t{0}});
    }
  }
  bool increment(std::size_t i) {
    std::int64_t now = 0;
    const bool found = design_.change(keys_[i], [&now](Tree& counter) { now = ++std::get<std::int64_t>(counter.node); });
    benchmark::DoNotOptimize(now);
    return found;
  }

 private:
  std::vector<std::string> keys_;
  ReplacedDesign design_;
};

class CubbyCounters : public CubbyStore {
 public:
  explicit CubbyCounters(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) store_.set(keys_.emplace_back("counter:" + std::to_string(i)), 0);
  }
  bool increment(std::size_t i) {
    cubby::Value now = store_.increment(keys_[i]);
    benchmark::DoNotOptimize(now);
    return true;
  }

 private:
  std::vector<std::string> keys_;
};

/// Stores of `count` queues that hold `length` items each, integers or (`text`) strings of 200 bytes: push_shift(i) appends one
/// and takes the oldest.

inline std::string make_item(std::size_t i) {
  std::string item(200, 'x');
  item.replace(0, std::to_string(i).size(), std::to_string(i));
  return item;
}

template <template <class> class Map>
class SharedQueues {
 public:
  using Queue = std::deque<std::int64_t>;
  static constexpr const char* kName = Map<Queue>::kName;
  SharedQueues(std::size_t count, std::size_t length, bool) {
    const Queue queue(length, 7);
    for (std::size_t i = 0; i < count; ++i) map_.assign(keys_.emplace_back("queue:" + std::to_string(i)), queue);
  }
  bool push_shift(std::size_t i) {
    bool found = map_.change(keys_[i], [i](Queue& queue) { queue.push_back(static_cast<std::int64_t>(i)); });
    std::int64_t item = 0;
    found &= map_.change(keys_[i], [&item](Queue& queue) {
      item = queue.front();
      queue.pop_front();
    });
    benchmark::DoNotOptimize(item);
    return found;
  }

 private:
  std::vector<std::string> keys_;
  Map<Queue> map_;
};

class ReplacedQueues {
 public:
  static constexpr const char* kName = "replaced: exclusive lock";
  ReplacedQueues(std::size_t count, std::size_t length, bool) {
    const Tree queue{Tree::Array(length, Tree{std::int64_t{7}})};
    for (std::size_t i = 0; i < count; ++i) design_.set(keys_.emplace_back("queue:" + std::to_string(i)), queue);
  }
  bool push_shift(std::size_t i) {
    bool found = design_.change(
        keys_[i], [i](Tree& queue) { std::get<Tree::Array>(queue.node).push_back(Tree{static_cast<std::int64_t>(i)}); });
    Tree item;
    found &= design_.change(keys_[i], [&item](Tree& queue) {
      Tree::Array& array = std::get<Tree::Array>(queue.node);
      item = std::move(array.front());
      array.erase(array.begin());
    });
    benchmark::DoNotOptimize(item);
    return found;
  }

 private:
  std::vector<std::string> keys_;
  ReplacedDesign design_;
};

class CubbyQueues : public CubbyStore {
 public:
  CubbyQueues(std::size_t count, std::size_t length, bool text) {
    for (std::size_t i = 0; i < 64; ++i) items_.push_back(text ? cubby::Value(make_item(i)) : cubby::Value(i));
    for (std::size_t i = 0; i < count; ++i) {
      keys_.push_back("queue:" + std::to_string(i));
      for (std::size_t item = 0; item < length; ++item) {
        // Of its own memory each, as items that arrived one by one have.
        store_.push(keys_.back(), text ? cubby::Value(make_item(item)) : cubby::Value(item));
      }
    }
  }
  bool push_shift(std::size_t i) {
    store_.push(keys_[i], items_[i % items_.size()]);
    const std::optional<cubby::Value> item = store_.shift(keys_[i]);
    benchmark::DoNotOptimize(item);
    return item.has_value();
  }

 private:
  std::vector<std::string> keys_;
  std::vector<cubby::Value> items_;
};

}  // namespace bench
