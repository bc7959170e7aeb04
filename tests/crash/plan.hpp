// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the two processes of a round agree on: its random choices, and who works on which keys.

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include <cubby/cubby.hpp>

namespace cubby_crash {

/// splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }
  /// In [0, bound).
  int below(int bound) { return static_cast<int>(next() % static_cast<std::uint64_t>(bound)); }
  bool one_in(int number) { return below(number) == 0; }
  /// In [low, high], each order of magnitude as likely as the next.
  double logarithmic(double low, double high) {
    const double part = static_cast<double>(next() >> 11) / 9007199254740992.0;
    return low * std::pow(high / low, part);
  }

 private:
  std::uint64_t state_;
};

/// A seed for each of several rounds or threads.
inline std::uint64_t seed_for(std::uint64_t seed, std::uint64_t number) {
  return Random(seed ^ (number * 0x2545f4914f6cdd1du)).next();
}

// --- threads: workers do all sorts of things, consumers wait for queues, the last two have a store for themselves
// -----------------

inline constexpr int kWorkers = 4;
inline constexpr int kConsumers = 2;
inline constexpr int kEpochWriter = kWorkers + kConsumers;
inline constexpr int kEpochClearer = kEpochWriter + 1;
inline constexpr int kThreads = kEpochClearer + 1;

// --- keys
// ---------------------------------------------------------------------------------------------------------------------------

inline constexpr int kOwnedKeys = 12;  ///< of each worker
inline constexpr int kCounters = 3;
inline constexpr int kAccounts = 5;
inline constexpr int kTokens = 6;
inline constexpr int kPlaces = 3;
inline constexpr int kBelts = 3;
inline constexpr int kItems = 12;   ///< that go from belt to belt
inline constexpr int kQueues = 4;   ///< the first half for push and shift alone, so that they keep the order of arrival
inline constexpr int kBacklog = 8;  ///< of a burst's queue
inline constexpr int kEpochKeys = 16;
inline constexpr std::int64_t kBalance = 1000;

inline std::string numbered(const char* prefix, int number) { return prefix + std::to_string(number); }
inline std::string owned_key(int thread, int index) { return numbered("own.", thread) + numbered(".", index); }
inline std::string counter_key(int counter) { return numbered("counter.", counter); }
inline std::string account_key(int account) { return numbered("account.", account); }
inline std::string token_key(int token, int place) { return numbered("token.", token) + numbered(".at.", place); }
inline std::string belt_key(int belt) { return numbered("belt.", belt); }
inline std::string queue_key(int queue) { return numbered("queue.", queue); }
inline std::string chain_key(int thread) { return numbered("chain.", thread); }
inline std::string burst_key(int thread, const char* part) { return numbered("burst.", thread) + '.' + part; }
inline std::string epoch_key(std::int64_t number) { return numbered("epoch.", static_cast<int>(number % kEpochKeys)); }

inline constexpr bool in_order(int queue) { return queue < kQueues / 2; }

// --- a round
// ------------------------------------------------------------------------------------------------------------------------

/// What a worker draws from.
enum class Work { owned, counters, accounts, tokens, belts, queues, chain, burst, save };
inline constexpr int kWorks = static_cast<int>(Work::save) + 1;

struct Plan {
  cubby::Options options;  ///< without the directory
  std::array<int, kWorks> weights{};
  bool consumers = true;
  bool epochs = true;
};

inline Plan plan_of(std::uint64_t seed, int round, bool encrypted) {
  using std::chrono::milliseconds;
  Random random(seed_for(seed, static_cast<std::uint64_t>(round)));
  Plan plan;
  switch (random.below(4)) {
    case 0:
      plan.options.sync = cubby::Sync::always();
      break;
    case 1:
      plan.options.sync = cubby::Sync::never();
      break;
    default:
      plan.options.sync = cubby::Sync::interval(milliseconds(1 + random.below(20)));
  }
  // Small, so that checkpoints and new segments come all the time.
  plan.options.checkpoint_after = static_cast<std::size_t>(random.logarithmic(64 << 10, 1 << 20));
  if (encrypted) {
    auto& key = plan.options.encryption_key.emplace();
    for (std::size_t index = 0; index < key.size(); ++index) key[index] = static_cast<std::byte>(index * 7 + 1);
  }
  for (int& weight : plan.weights) weight = random.one_in(4) ? 0 : 1 + random.below(random.one_in(3) ? 100 : 20);
  plan.weights[static_cast<int>(Work::owned)] += 10;
  plan.weights[static_cast<int>(Work::save)] = random.below(2);
  plan.consumers = !random.one_in(4);
  plan.epochs = !random.one_in(4);
  return plan;
}

inline std::filesystem::path main_directory(const std::filesystem::path& folder) { return folder / "main"; }
inline std::filesystem::path epoch_directory(const std::filesystem::path& folder) { return folder / "epoch"; }

/// Runs the operations until it is killed.
[[noreturn]] void run_child(const std::filesystem::path& folder, const Plan& plan, std::uint64_t seed, int round, int pipe);

}  // namespace cubby_crash
