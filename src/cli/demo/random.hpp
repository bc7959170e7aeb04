// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace cubby::cli {

/// Scrambles 64 bits (the finaliser of SplitMix64).
constexpr std::uint64_t scramble(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

/// SplitMix64: small, fast, and the same sequence for the same seed everywhere.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed) : state_(seed) {}
  constexpr std::uint64_t operator()() { return scramble(state_ += 0x9e3779b97f4a7c15); }

 private:
  std::uint64_t state_;
};

}  // namespace cubby::cli
