// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <cubby/value.hpp>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

/// What a chat server asks of its session cache, so that the same workload runs on the design that cubby replaces and on cubby.
namespace cubby::cli {

/// One user's session as it is at the start, and the keys that belong to it.
struct Session {
  std::string key;         ///< "session:<id>", an object
  std::string unread_key;  ///< "unread:<id>", a number
  cubby::Value fields;
};

/// What lies in an inbox.
struct Message {
  std::uint32_t from = 0;    ///< the worker that sent it
  std::uint64_t number = 0;  ///< its number among that worker's messages
  std::int64_t sent_at = 0;  ///< steady clock, in nanoseconds; 0 if this message is not timed
  std::string_view text;     ///< only for sending
};

/// Thread safety: all members may be called from any thread.
class SessionCache {
 public:
  virtual ~SessionCache() = default;

  virtual void add(const Session& session) = 0;
  /// Reads the session as a value of the caller's own, and returns its "seen". Throws if it is not there, as all of these do.
  virtual std::int64_t read(const std::string& key) = 0;
  /// Reads the session where it lies, if the design can, and returns its "seen".
  virtual std::int64_t look(const std::string& key) = 0;
  /// Gives the session half an hour more to live.
  virtual void touch(const std::string& key) = 0;
  /// Merges "seen" and "status" into the session.
  virtual void update(const std::string& key, std::int64_t seen, std::string_view status) = 0;
  /// Adds one to an unread counter.
  virtual void count(const std::string& key) = 0;
  virtual void push(const std::string& inbox, const Message& message) = 0;
  /// Waits for a message; empty on timeout, or when `stop` is requested.
  virtual std::optional<Message> shift_wait(const std::string& inbox, std::chrono::nanoseconds timeout,
                                            std::stop_token stop) = 0;

  /// For the verification: a counter (0 if absent), and what still lies in an inbox.
  virtual std::int64_t counter(const std::string& key) = 0;
  virtual std::vector<Message> rest(const std::string& inbox) = 0;
};

inline constexpr std::chrono::minutes kSessionTtl{30};

enum class ReplacedLock { reader, exclusive };

/// The design that is replaced: one lock around one map, values copied whole under the lock; `reads` says which lock they take.
std::unique_ptr<SessionCache> make_replaced_cache(ReplacedLock reads);

}  // namespace cubby::cli
