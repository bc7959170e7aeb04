// SPDX-License-Identifier: Apache-2.0
#pragma once

// What keys hold that several threads work on. Calls that overlap may have happened in either order, so each of these is made
// such that the order doesn't matter, or can be seen afterwards. Times are positions in the pipe: what was acknowledged before
// another call was announced came before it.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "operation.hpp"
#include "plan.hpp"
#include "recovered.hpp"

namespace cubby_crash {

/// A call in flight when the process died.
using InFlight = std::vector<Record>;

/// Numbers that calls add to: after a kill they are the sum of what was acknowledged and of some of the calls in flight, each
/// whole or not at all. Tokens that are renamed and items that go from belt to belt are numbers of things in a place.
class Ledger {
 public:
  Ledger();
  /// Fills an empty store, and the model.
  void seed(cubby::Datastore& store);
  void acknowledge(const Record& record);
  void check(Recovered& recovered, const InFlight& in_flight);

 private:
  using Deltas = std::vector<std::pair<std::string, std::int64_t>>;
  static Deltas deltas_of(const Record& record);
  static std::map<std::string, std::int64_t> extract(Recovered& recovered);

  std::map<std::string, std::int64_t> numbers_;
};

/// A queue of unique elements: none is lost, none is delivered twice, and they lie in order.
class QueueModel {
 public:
  void start(const Record& record, std::int64_t now);
  void acknowledge(const Record& record, std::int64_t now);
  void check(Recovered& recovered, int queue, const InFlight& in_flight);

 private:
  static constexpr std::int64_t kNever = INT64_MAX;
  struct Element {
    std::int64_t started;
    std::int64_t pushed = kNever;
    bool taken = false;
  };
  void take(std::int64_t element, const std::string& taker);
  void check_order(const std::vector<std::int64_t>& elements, const std::string& key) const;

  bool made_ = false;                                   ///< an empty queue stays
  std::unordered_map<std::int64_t, Element> elements_;  ///< that may be there, or were taken before their push returned
  std::int64_t last_taken_ = INT64_MIN;                 ///< the latest start of an element that was taken in order
};

/// Each thread copies the number of the thread before it, so none may be ahead of that.
class ChainModel {
 public:
  void acknowledge(const Record& record) { numbers_[record.thread] = record.argument; }
  void check(Recovered& recovered, const InFlight& in_flight);

 private:
  std::array<std::int64_t, kWorkers> numbers_{};
};

/// The same as fast as the store can, without a report for each write: i to `a`, i to the end of `q`, which is kept short, what
/// the thread before has in `b` to `seen`, then i to `b`.
class BurstModel {
 public:
  void start(const Record& record) const;
  void acknowledge(const Record& record) {
    numbers_[record.thread] = record.argument + record.b - 1;
    seen_[record.thread] = record.result;
  }
  void check(Recovered& recovered, const InFlight& in_flight);

 private:
  std::array<std::int64_t, kWorkers> numbers_{};
  std::array<std::int64_t, kWorkers> seen_{};
};

/// A store in which one thread writes 1, 2, 3, ... to a circle of keys and another clears all of them: what is there is the end
/// of the sequence, from some clear on.
class EpochModel {
 public:
  void start(const Record& record, std::int64_t now);
  void acknowledge(const Record& record, std::int64_t now);
  void check(Recovered& recovered, const InFlight& in_flight);

 private:
  using State = std::map<std::string, std::int64_t>;
  struct Write {
    std::int64_t number;
    std::int64_t acknowledged;
  };
  struct Bounds {  ///< how many writes may lie before a clear
    std::size_t low;
    std::size_t high;
  };
  bool explains(const State& state, std::size_t count, Bounds cleared) const;
  std::size_t acknowledged_before(std::int64_t time) const;

  std::vector<Write> writes_;  ///< of what was there in the beginning, and of this round; the last may be in flight
  std::int64_t clear_started_ = 0;
  std::optional<Bounds> last_clear_;
};

}  // namespace cubby_crash
