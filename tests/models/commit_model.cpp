// SPDX-License-Identifier: Apache-2.0
// A write of two keys and a saver: the cut has both or none, and a reader who saw one sees the other.

#include "models/model.hpp"
#include "store/commit_status.hpp"

namespace cubby::models {
namespace {

template <class Policy>
struct CommitSuite : rl::test_suite<CommitSuite<Policy>, 3> {
  template <class T>
  using Atomic = typename Policy::template Atomic<T>;

  struct Entry {
    Plain<unsigned> version{0};
    bool after = false;
  };
  struct Marker {
    Entry* before;
    Entry* after;
  };
  /// A slot as the table's: an entry, or the marker.
  enum : std::uint64_t { kIsMarker = 1 };
  static std::uint64_t word_of(void* pointer, std::uint64_t kind) { return reinterpret_cast<std::uintptr_t>(pointer) | kind; }

  CommitSuite() {
    for (int key = 0; key < 2; ++key) {
      fresh[key].after = true;
      markers[key] = {&old[key], &fresh[key]};
      slots[key].store(word_of(&old[key], 0), std::memory_order_release);
    }
  }

  /// As MultiWrite::commit().
  void write() {
    for (int key = 0; key < 2; ++key) slots[key].store(word_of(&markers[key], kIsMarker), std::memory_order_release);
    const std::uint32_t stamp = status.commit(version);
    for (int key = 0; key < 2; ++key) {
      fresh[key].version.set(stamp);
      // As SingleWrite: what the cut wants is left before it goes.
      if (stamp > kCut) left[key].store(true, std::memory_order_release);
      slots[key].store(word_of(&fresh[key], 0), std::memory_order_release);
    }
  }

  /// As Store::take_cut() and collect(): whether the cut has the key's new value.
  bool has_new(int key) {
    const std::uint64_t word = slots[key].load(std::memory_order_acquire);
    if (word & kIsMarker) return status.committed_or_barred() && status.version() <= kCut;
    auto* entry = reinterpret_cast<Entry*>(word);
    if (entry->version.get() <= kCut) return entry->after;
    require(left[key].load(std::memory_order_acquire), "the cut misses a key");
    return false;
  }
  void save() {
    version.fetch_add(1, std::memory_order_seq_cst);
    Policy::heavy_fence();
    const bool first = has_new(0), second = has_new(1);
    require(first == second, "half of a write is in the cut");
  }

  bool sees_new(int key) {
    const std::uint64_t word = slots[key].load(std::memory_order_acquire);
    return (word & kIsMarker) ? status.committed() : reinterpret_cast<Entry*>(word)->after;
  }
  void read() {
    const bool first = sees_new(1);
    require(!first || sees_new(0), "half of a write is seen");
  }

  void thread(unsigned index) {
    if (index == 0) {
      write();
    } else if (index == 1) {
      save();
    } else {
      read();
    }
  }

  void after() {
    for (Entry& entry : fresh) require(entry.version.get() == status.version(), "the stamps differ");
  }

  static constexpr unsigned kCut = 1;
  Atomic<std::uint32_t> version{kCut};
  detail::BasicCommitStatus<Policy> status;
  Entry old[2], fresh[2];
  Marker markers[2];
  Atomic<std::uint64_t> slots[2];
  Atomic<bool> left[2];
};

CUBBY_RELAXED(commit);

/// The saver's look at an undecided marker leaves no trace.
struct NotBarred : Faithful {
  static bool only_compares(std::string_view function) { return function == "committed_or_barred"; }
};

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<CommitSuite<RelacyAtomics<>>>("a cut through a write of two keys", 300000);
  runner.holds_in_all<CommitSuite<RelacyAtomics<>>>("a cut through a write of two keys, all with two preemptions", 2);

  runner.is_found<CommitSuite<RelacyAtomics<Unfenced>>>("commit without a fence", 300000);
  runner.is_found<CommitSuite<RelacyAtomics<NotBarred>>>("undecided markers are not barred", 300000);
  runner.is_found<CommitSuite<RelacyAtomics<Relaxed_commit>>>("commit relaxed", 300000);
  return runner.exit_code();
}
