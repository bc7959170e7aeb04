// SPDX-License-Identifier: Apache-2.0
// Writers that reserve frames in a segment of the log while another ends it: the frames lie without a gap or an overlap, each
// writer has its own, and nothing lies behind the end; and who asks meanwhile is told of a place between two frames.

#include "models/model.hpp"
#include "storage/log_tail.hpp"

namespace cubby::models {
namespace {

/// A segment's words. One is the size of the frame that begins there, and kEnd more for an end.
template <class Policy>
struct Frames {
  static constexpr std::uint64_t kWords = 7, kEnd = 16, kEndSize = 1;

  std::optional<std::uint64_t> append(std::uint64_t size, bool is_end) {
    const auto put = [&](std::uint64_t offset) {
      std::uint64_t found = 0;
      const std::uint64_t head = size + (is_end ? kEnd : 0);
      words[offset].compare_exchange_strong(found, head, std::memory_order_acq_rel, std::memory_order_acquire, "put");
      return found;
    };
    const auto read = [](std::uint64_t word, std::uint64_t) { return detail::ReservedHead{word % kEnd, word >= kEnd}; };
    return tail.append({size, is_end}, is_end ? kEndSize : size + kEndSize, kWords, put, read);
  }

  typename Policy::template Atomic<std::uint64_t> words[kWords];
  detail::LogTail<Policy> tail{0};
};

template <class Policy>
struct TailSuite : rl::test_suite<TailSuite<Policy>, 3>, Frames<Policy> {
  using Frames<Policy>::append, Frames<Policy>::words, Frames<Policy>::tail, Frames<Policy>::kWords, Frames<Policy>::kEnd;

  void thread(unsigned index) {
    if (index == 2) {
      require(append(1, true).has_value(), "there was no room for the end");
      require(!append(1, false), "something was reserved behind the end");
      return;
    }
    for (int frame = 0; frame < 2; ++frame) {
      const auto offset = append(1 + index, false);
      if (!offset) continue;
      require(owner[*offset] == 0, "two writers have one frame");
      owner[*offset] = static_cast<int>(index) + 1;
    }
  }

  void after() {
    std::uint64_t offset = 0;
    int frames = 0;
    for (;;) {
      const std::uint64_t word = words[offset].load(std::memory_order_relaxed);
      require(word != 0, "there is a gap before the end");
      if (word >= kEnd) break;
      require(owner[offset] == static_cast<int>(word), "a frame is another's");
      ++frames;
      offset += word;
    }
    require(tail.offset() == offset, "the tail is not where the end begins");
    for (std::uint64_t behind = offset + 1; behind < kWords; ++behind) {
      require(words[behind].load(std::memory_order_relaxed) == 0, "something lies behind the end");
    }
    for (const int each : owner) frames -= each != 0 ? 1 : 0;
    require(frames == 0, "a frame that a writer has is not there");
  }

  int owner[kWords] = {};  // each written by who has reserved it
};

/// Who asks where the frames end, while one writer reserves and another ends the segment, gets a place between two frames:
/// what is noted as synced up to there is there.
template <class Policy, bool kTailFirst = false>
struct BehindSuite : rl::test_suite<BehindSuite<Policy, kTailFirst>, 3>, Frames<Policy> {
  using Frames<Policy>::append, Frames<Policy>::words, Frames<Policy>::tail, Frames<Policy>::kEnd, Frames<Policy>::kEndSize;

  void thread(unsigned index) {
    if (index == 0) {
      for (int frame = 0; frame < 2; ++frame) append(2, false);
    } else if (index == 1) {
      require(append(kEndSize, true).has_value(), "there was no room for the end");
      tail.set_ended();
    } else if (kTailFirst) {  // the mistake
      const std::uint64_t offset = tail.offset();
      behind = offset + (tail.ended() ? kEndSize : 0);
    } else {
      behind = tail.behind(kEndSize);
    }
  }

  void after() {
    std::uint64_t offset = 0;
    for (;;) {
      if (behind == offset) return;
      const std::uint64_t word = words[offset].load(std::memory_order_relaxed);
      require(word != 0, "it lies behind everything");
      offset += word % kEnd;
      if (word < kEnd) continue;
      require(behind == offset, "it lies within a frame");
      return;
    }
  }

  std::uint64_t behind = 0;  // written by one thread
};

/// Puts a head over another.
struct OverOthers : Faithful {
  static bool forces(std::string_view function) { return function == "put"; }
};

/// Takes a head for written that isn't.
struct NotPut : Faithful {
  static bool only_compares(std::string_view function) { return function == "put"; }
};

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<TailSuite<RelacyAtomics<>>>("two writers and an end", 200000);
  runner.holds_in_all<TailSuite<RelacyAtomics<>>>("two writers and an end, all with three preemptions", 3);
  runner.holds<BehindSuite<RelacyAtomics<>>>("a writer, an end, and who asks where it is", 200000);

  runner.is_found<BehindSuite<RelacyAtomics<>, true>>("the tail read before the end", 200000);
  runner.is_found<TailSuite<RelacyAtomics<OverOthers>>>("heads over others", 200000);
  runner.is_found<TailSuite<RelacyAtomics<NotPut>>>("heads not put", 200000);
  return runner.exit_code();
}
