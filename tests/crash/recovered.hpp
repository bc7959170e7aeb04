// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a store holds after it was opened anew, and how a test says that this is wrong.

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include <cubby/cubby.hpp>

namespace cubby_crash {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const std::string& key, const std::string& expected, const std::string& found) {
  throw Failure("  key:      " + key + "\n  expected: " + expected + "\n  found:    " + found);
}

struct Found {
  cubby::Value value;
  std::optional<std::int64_t> deadline;  ///< nanoseconds since the epoch
};
using Recovered = std::map<std::string, Found>;

/// Takes all keys out of a store at rest; checks that the ways to see them agree.
Recovered read_all(const cubby::Datastore& store);

/// Between what is known of a deadline and what is found lie two conversions between clocks, and a busy machine.
inline constexpr std::int64_t kDeadlineSlack = 500'000'000;

/// Takes `key` out: what stays in the end was invented.
inline std::optional<Found> extract(Recovered& recovered, const std::string& key) {
  auto node = recovered.extract(key);
  if (node.empty()) return std::nullopt;
  return std::move(node.mapped());
}
/// An integer that must be there, or `absent`.
std::int64_t extract_integer(Recovered& recovered, const std::string& key, std::optional<std::int64_t> absent = std::nullopt);

}  // namespace cubby_crash
