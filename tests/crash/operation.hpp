// SPDX-License-Identifier: Apache-2.0
#pragma once

// The operations, what the child tells of them, and the values they work with. A record is small, and all that an operation
// does follows from its record: values and the steps of a transaction are drawn from `argument`.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <cubby/cubby.hpp>

namespace cubby_crash {

enum class Kind : std::uint8_t {
  // On keys that belong to the calling thread, a and b: their indices.
  set,
  set_ttl,
  set_expired,
  set_once,
  set_once_ttl,
  swap,
  increment,
  decrement,
  push,
  unshift,
  shift,
  pop,
  shift_wait,
  pop_wait,
  erase,
  take,
  rename,
  expire,
  expire_default,
  expire_now,
  remove_expiry,
  update,
  modify,
  modify_remove,
  transact,
  transact_abort,
  // On keys that all share.
  count_increment,  ///< a: counter, argument: how much
  count_decrement,
  count_modify,
  transfer,    ///< a, b: accounts, argument: how much
  move_token,  ///< a, b: places, argument: token
  move_item,   ///< a, b: belts; result: the item, or kNothing
  queue_push,  ///< a: queue, argument: identity of the element
  queue_unshift,
  queue_shift,  ///< a: queue; result: identity of the element, or kNothing
  queue_pop,
  queue_shift_wait,
  queue_pop_wait,
  chain,      ///< argument: what the thread before had
  burst,      ///< argument: first number, b: how many; result: what the thread before had
  epoch_set,  ///< argument: number of the write
  clear,
  save
};

const char* to_text(Kind kind);
inline bool is_owned(Kind kind) { return kind <= Kind::transact_abort; }

inline constexpr std::int64_t kNothing = -1;

enum class Phase : std::uint8_t { start, done };

/// What goes through the pipe, in one write. 32 divides PIPE_BUF, so a record is there whole or not at all.
struct Record {
  Phase phase = Phase::start;
  Kind kind = Kind::set;
  std::uint8_t thread = 0;
  std::uint8_t a = 0;
  std::uint8_t b = 0;
  std::uint8_t error = 0;  ///< cubby::Errc, or 0
  std::uint16_t reserved = 0;
  std::int64_t argument = 0;
  std::int64_t result = 0;  ///< of an owned key: a digest of what the call returned
  std::int64_t time = 0;    ///< nanoseconds since the epoch
};
static_assert(sizeof(Record) == 32);

std::string to_text(const Record& record);
std::int64_t wall_clock();

// --- elements of the shared queues
// -----------------------------------------------------------------------------------------------

/// Identities are unique over all rounds; one says how the element came into its queue.
inline constexpr std::int64_t kFront = std::int64_t{1} << 62;
inline std::int64_t identity(int round, int thread, int number, bool front) {
  return (front ? kFront : 0) | (std::int64_t{round} << 40) | (std::int64_t{thread} << 32) | number;
}
inline bool at_front(std::int64_t identity) { return (identity & kFront) != 0; }

// --- owned keys
// ------------------------------------------------------------------------------------------------------------------

/// The type that key `index` mostly has, so that operations mostly fit it.
enum class Class { any, number, array, object };
inline Class class_of(int index) { return static_cast<Class>(index % 4); }

cubby::Value value_of(std::int64_t argument, Class type);
cubby::Value delta_of(std::int64_t argument);
cubby::Value patch_of(std::int64_t argument);
/// What modify and modify_remove do.
std::optional<cubby::Value> modified(std::int64_t argument, const std::optional<cubby::Value>& old);
std::chrono::minutes ttl_of(std::int64_t argument);

/// One operation on owned keys.
struct Operation {
  Kind kind;
  int a;
  int b;
  std::int64_t argument;
};

Operation random_owned(std::uint64_t random);

/// A transaction: three keys, and what is done to them. A tolerant one goes on when a step throws.
struct Steps {
  int keys[3];
  bool tolerant;
  std::vector<Operation> steps;
};
Steps steps_of(const Operation& transaction);

// --- results
// ---------------------------------------------------------------------------------------------------------------------

/// Distinguishes 5 and 5.0, which are equal.
std::int64_t digest(const cubby::Value& value);
std::int64_t digest(const std::optional<cubby::Value>& value);
inline std::int64_t mix(std::int64_t digest, std::int64_t next) {
  return static_cast<std::int64_t>(
      (static_cast<std::uint64_t>(digest) ^ static_cast<std::uint64_t>(next)) * 0x9fb21c651e98df25u + 0x632be59bd9b4e019u);
}

inline bool same(const cubby::Value& left, const cubby::Value& right) { return digest(left) == digest(right) && left == right; }

/// For messages; long values are cut.
std::string to_text(const cubby::Value& value);

}  // namespace cubby_crash
