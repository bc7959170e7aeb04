// SPDX-License-Identifier: Apache-2.0
#pragma once

// All that was ever acknowledged on a pair of directories, and the judge of what is recovered from them.

#include <array>
#include <cstdint>
#include <optional>

#include "operation.hpp"
#include "owned_model.hpp"
#include "plan.hpp"
#include "recovered.hpp"
#include "shared_model.hpp"

namespace cubby_crash {

class History {
 public:
  /// Fills a fresh store with what the rounds move about.
  void seed(cubby::Datastore& store) { ledger_.seed(store); }

  /// What the child told, in order. Throws Failure for a result that can't be.
  void feed(const Record& record);

  /// The child died at `killed` at the latest. Throws Failure unless exactly what was acknowledged is there, and any of the
  /// calls in flight; goes on from that.
  void check(Recovered recovered, Recovered epochs, std::int64_t killed);

  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t in_flight() const { return in_flight_at_kill_; }

 private:
  void acknowledge(const Record& start, const Record& done);
  void check_owned(Recovered& recovered, int thread, std::int64_t killed);

  std::int64_t position_ = 0;
  std::array<std::optional<Record>, kThreads> in_flight_;
  std::array<OwnedModel, kWorkers> owned_;
  Ledger ledger_;
  std::array<QueueModel, kQueues> queues_;
  ChainModel chain_;
  BurstModel burst_;
  EpochModel epoch_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t in_flight_at_kill_ = 0;
};

}  // namespace cubby_crash
