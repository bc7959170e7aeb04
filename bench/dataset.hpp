// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cubby/cubby.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "stores/replaced_design.hpp"
#include "stores/session.hpp"

namespace bench {

/// Session number `i`, and the same as the other stores hold it. `version` 0 is what is loaded, 1 what a write puts there.
Session make_session(std::size_t i, int version);
cubby::Value make_value(const Session& session);
Tree make_tree(const Session& session);
std::string make_json(const Session& session);

/// "session:123": up to 15 bytes, so that a std::string holds it without an allocation (which favours the peers).
std::string make_key(std::size_t i);

/// All that a run on `size` sessions needs, prepared outside the measured loops. Values are made at first use, by one thread.
class Dataset {
 public:
  explicit Dataset(std::size_t size, std::size_t extra_keys = 0);

  std::size_t size() const noexcept { return size_; }
  /// size() keys that are loaded, then the extra ones.
  const std::vector<std::string>& keys() const noexcept { return keys_; }
  const std::vector<SessionPointer>& sessions(int version);
  const std::vector<cubby::Value>& values(int version);
  /// A pool for writes: they copy the tree, so a small one serves.
  const std::vector<Tree>& trees();
  static constexpr std::size_t kTrees = 4096;

  /// Key numbers by YCSB's Zipfian distribution (theta 0.99): scattered over the keys, and by rank (0 the most popular).
  const std::vector<std::uint32_t>& scrambled_zipfian();
  const std::vector<std::uint32_t>& zipfian_ranks();

 private:
  std::size_t size_;
  std::vector<std::string> keys_;
  std::vector<SessionPointer> sessions_[2];
  std::vector<cubby::Value> values_[2];
  std::vector<Tree> trees_;
  std::vector<std::uint32_t> ranks_;
  std::vector<std::uint32_t> scrambled_;
};

/// A thread's stream of random numbers (xorshift64*).
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {
    for (int i = 0; i < 4; ++i) (*this)();
  }
  std::uint64_t operator()() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }

 private:
  std::uint64_t state_;
};

/// The upper half of `random` as a number below `bound`; the lower half stays free for other choices.
inline std::size_t below(std::uint64_t random, std::size_t bound) noexcept {
  return static_cast<std::size_t>(((random >> 32) * static_cast<std::uint64_t>(bound)) >> 32);
}

}  // namespace bench
