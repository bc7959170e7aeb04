// SPDX-License-Identifier: Apache-2.0
#pragma once

// What one worker's own keys hold. Nobody else touches them, so each result can be foretold, and after a kill they are as the
// acknowledged calls left them, or as the one call in flight did.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "operation.hpp"
#include "recovered.hpp"

namespace cubby_crash {

class OwnedModel {
 public:
  struct Outcome {
    int error = 0;
    std::int64_t result = 0;
  };

  /// Does what the store does for a call that ran between `from` and `to`.
  Outcome apply(const Operation& operation, std::int64_t from, std::int64_t to);

  /// Empty if these are the keys of `thread` in `recovered`; else what differs.
  std::string difference(const Recovered& recovered, int thread) const;

 private:
  struct Deadline {
    std::int64_t from;
    std::int64_t to;
  };
  /// Arrays are kept as queues, as they are worked on as such.
  struct Entry {
    cubby::Value value;
    std::optional<std::deque<cubby::Value>> items;
    std::optional<Deadline> deadline;

    void assign(const cubby::Value& now);
    cubby::Value current() const { return items ? cubby::Value::array(*items) : value; }
  };

  Outcome apply_basic(const Operation& operation, std::int64_t from, std::int64_t to);
  Outcome add(int key, const cubby::Value& delta, bool subtract);
  Outcome take_item(int key, bool first, bool absent_is_empty);
  Outcome transact(const Operation& operation, std::int64_t from, std::int64_t to);
  std::optional<cubby::Value> current(int key) const;
  void store(int key, const cubby::Value& value);

  std::map<int, Entry> entries_;
};

/// The same operation on a real store, with the same result; errors are thrown.
std::int64_t execute(cubby::Datastore& store, int thread, const Operation& operation);

}  // namespace cubby_crash
