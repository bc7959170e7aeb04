// SPDX-License-Identifier: Apache-2.0
#pragma once

// A linearizability checker: is there an order of the operations of a concurrent history that respects real time (an operation
// that returned before another was called comes first) and that a sequential model allows?
//
// The search is Wing and Gong's (J. M. Wing, C. Gong: Testing and verifying concurrent objects, J. Parallel Distrib. Comput.
// 17, 1993) with Lowe's memory of the configurations already seen (G. Lowe: Testing for linearizability, Concurrency and
// Computation: Practice and Experience 29(4), 2017). Histories are split first into parts that share no key: linearizability is
// local (Herlihy and Wing, TOPLAS 12(3), 1990), which Horn and Kroening (FORTE 2015) call P-compositionality.
//
// What it is not: it takes complete histories only. A call that threw has returned, with the error as its result.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <ostream>
#include <unordered_set>
#include <utility>
#include <vector>

namespace cubby_test {

/// One call, its arguments and result (both in `operation`), and when it was called and returned.
template <class Operation>
struct Event {
  Operation operation;
  std::uint64_t called = 0;
  std::uint64_t returned = 0;
  int thread = 0;
};

template <class Operation>
using History = std::vector<Event<Operation>>;

/// A sequential specification. `apply` does the operation to the state and tells whether its result is what the model gives;
/// after `false` the state is not used again.
template <class Model>
concept SequentialModel =
    std::copyable<typename Model::State> && std::equality_comparable<typename Model::State> &&
    requires(typename Model::State& state, const typename Model::State& seen, const typename Model::Operation& operation) {
      { Model::apply(state, operation) } -> std::same_as<bool>;
      { Model::hash(seen) } -> std::same_as<std::size_t>;
    };

enum class Verdict { linearizable, violated, budget_exceeded };

inline std::ostream& operator<<(std::ostream& out, Verdict verdict) {
  switch (verdict) {
    case Verdict::linearizable:
      return out << "linearizable";
    case Verdict::violated:
      return out << "violated";
    case Verdict::budget_exceeded:
      return out << "search budget exceeded";
  }
  return out;
}

struct Finding {
  Verdict verdict = Verdict::linearizable;
  std::size_t steps = 0;                  ///< operations tried
  std::vector<std::size_t> longest = {};  ///< the longest legal order found, as indices into the history
};

/// Steps that no history of these tests needs. To run out of them is a failure of the test, not a pass.
inline constexpr std::size_t kSearchBudget = 20'000'000;
/// Configurations kept; bounds the memory.
inline constexpr std::size_t kMemoryBudget = 2'000'000;

namespace internal {

/// Which operations are linearized, and the state after them.
template <class Model>
struct Configuration {
  std::vector<std::uint64_t> done;
  typename Model::State state;
  friend bool operator==(const Configuration&, const Configuration&) = default;
};

template <class Model>
struct ConfigurationHash {
  std::size_t operator()(const Configuration<Model>& configuration) const {
    std::size_t hash = Model::hash(configuration.state);
    for (const std::uint64_t word : configuration.done) hash = (hash ^ word) * 0x9e3779b97f4a7c15u + (hash >> 29);
    return hash;
  }
};

/// Calls and returns in the order of time, as a doubly linked list from which a linearized operation is lifted out, and into
/// which it is put back. Node 0 is the head; `match` leads from a call's node to its return's.
class Timeline {
 public:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  template <class Operation>
  explicit Timeline(const History<Operation>& history) : nodes_(2 * history.size() + 1) {
    struct Moment {
      std::uint64_t time;
      bool is_return;  // of equal times calls come first: the permissive reading
      std::size_t event;
    };
    std::vector<Moment> moments;
    for (std::size_t event = 0; event < history.size(); ++event) {
      moments.push_back({history[event].called, false, event});
      moments.push_back({history[event].returned, true, event});
    }
    std::sort(moments.begin(), moments.end(), [](const Moment& left, const Moment& right) {
      return std::pair(left.time, left.is_return) < std::pair(right.time, right.is_return);
    });
    std::vector<std::size_t> call_node(history.size());
    for (std::size_t place = 0; place < moments.size(); ++place) {
      Node& node = nodes_[place + 1];
      node.event = moments[place].event;
      node.previous = place;
      nodes_[place].next = place + 1;
      if (moments[place].is_return) {
        nodes_[call_node[node.event]].match = place + 1;
      } else {
        call_node[node.event] = place + 1;
      }
    }
  }

  std::size_t first() const { return nodes_[0].next; }
  std::size_t next(std::size_t node) const { return nodes_[node].next; }
  std::size_t event(std::size_t node) const { return nodes_[node].event; }
  bool is_call(std::size_t node) const { return nodes_[node].match != kNone; }

  void lift(std::size_t call) {
    unlink(call);
    unlink(nodes_[call].match);
  }
  void put_back(std::size_t call) {
    link(nodes_[call].match);
    link(call);
  }

 private:
  struct Node {
    std::size_t event = 0;
    std::size_t match = kNone;
    std::size_t previous = 0;
    std::size_t next = kNone;
  };
  void unlink(std::size_t node) {
    nodes_[nodes_[node].previous].next = nodes_[node].next;
    if (nodes_[node].next != kNone) nodes_[nodes_[node].next].previous = nodes_[node].previous;
  }
  void link(std::size_t node) {
    nodes_[nodes_[node].previous].next = node;
    if (nodes_[node].next != kNone) nodes_[nodes_[node].next].previous = node;
  }

  std::vector<Node> nodes_;
};

}  // namespace internal

/// Searches an order of `history` that `Model` allows, from `initial` on.
template <SequentialModel Model>
Finding check_linearizable(const History<typename Model::Operation>& history, const typename Model::State& initial = {},
                           std::size_t budget = kSearchBudget) {
  using internal::Timeline;
  Finding finding;
  Timeline timeline(history);
  std::unordered_set<internal::Configuration<Model>, internal::ConfigurationHash<Model>> seen;
  internal::Configuration<Model> now{std::vector<std::uint64_t>((history.size() + 63) / 64), initial};
  struct Choice {
    std::size_t call;
    typename Model::State before;
  };
  std::vector<Choice> chosen;
  const auto flip = [&](std::size_t event) { now.done[event / 64] ^= std::uint64_t{1} << (event % 64); };

  std::size_t node = timeline.first();
  while (timeline.first() != Timeline::kNone) {
    if (timeline.is_call(node)) {
      if (++finding.steps > budget || seen.size() > kMemoryBudget) {
        finding.verdict = Verdict::budget_exceeded;
        return finding;
      }
      const std::size_t event = timeline.event(node);
      typename Model::State before = now.state;
      if (Model::apply(now.state, history[event].operation)) {
        flip(event);
        if (seen.insert(now).second) {
          chosen.push_back({node, std::move(before)});
          timeline.lift(node);
          if (chosen.size() > finding.longest.size()) {
            finding.longest.clear();
            for (const Choice& choice : chosen) finding.longest.push_back(timeline.event(choice.call));
          }
          node = timeline.first();
          continue;
        }
        flip(event);
      }
      now.state = std::move(before);
      node = timeline.next(node);
    } else {
      // An operation returns here that no order so far has taken: the last choice was wrong.
      if (chosen.empty()) {
        finding.verdict = Verdict::violated;
        return finding;
      }
      Choice last = std::move(chosen.back());
      chosen.pop_back();
      now.state = std::move(last.before);
      flip(timeline.event(last.call));
      timeline.put_back(last.call);
      node = timeline.next(last.call);
    }
  }
  return finding;
}

/// Splits a history into parts whose operations share no key, directly or through others. `keys_of(operation)` gives the
/// numbers below `key_count` of the keys that the operation touches.
template <class Operation, class KeysOf>
std::vector<History<Operation>> partition_by_key(const History<Operation>& history, std::size_t key_count, KeysOf&& keys_of) {
  std::vector<std::size_t> group(key_count);
  std::iota(group.begin(), group.end(), std::size_t{0});
  const auto find = [&](std::size_t key) {
    while (group[key] != key) key = group[key] = group[group[key]];
    return key;
  };
  for (const auto& event : history) {
    const auto keys = keys_of(event.operation);
    for (const std::size_t key : keys) group[find(key)] = find(keys[0]);
  }
  std::vector<History<Operation>> parts(key_count);
  for (const auto& event : history) parts[find(keys_of(event.operation)[0])].push_back(event);
  std::erase_if(parts, [](const auto& part) { return part.empty(); });
  return parts;
}

/// Prints a history for a human: one call a line, in the order of calls, with the place each took in the longest legal order.
template <class Operation>
void print_history(std::ostream& out, History<Operation> history, const Finding& finding) {
  std::vector<std::size_t> order(history.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return history[a].called < history[b].called; });
  out << finding.verdict << " after " << finding.steps << " steps; called, returned, place in the longest legal order:\n";
  for (const std::size_t index : order) {
    const auto& event = history[index];
    const auto place = std::find(finding.longest.begin(), finding.longest.end(), index);
    out << "  " << event.called << ".." << event.returned << "  thread " << event.thread << "  " << event.operation << "  ";
    if (place == finding.longest.end()) {
      out << "NO PLACE\n";
    } else {
      out << '#' << place - finding.longest.begin() << '\n';
    }
  }
}

}  // namespace cubby_test
