// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cubby/value.hpp>
#include <optional>
#include <string>

#include "cli/demo/verify.hpp"
#include "cli/demo/workload.hpp"

namespace cubby::cli {

struct DesignReport {
  RunResult result;
  std::vector<Check> checks;
};

/// All that the demo found out; what is empty did not take place, as the demo was interrupted.
struct Report {
  Plan plan;
  std::string replaced_lock;  ///< "reader" or "exclusive"
  std::optional<DesignReport> replaced;
  std::optional<DesignReport> cubby;
  std::optional<Reopened> reopened;
  bool durable = false;
  std::string kept;  ///< where the store's file or folder stays; empty if it was temporary

  bool verified() const;
};

/// One table and the verification, for people.
std::string to_text(const Report& report);
/// The same figures for programs; times in nanoseconds.
Value to_value(const Report& report);

}  // namespace cubby::cli
