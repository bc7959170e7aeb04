// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/arguments.hpp"
#include "server/command.hpp"
#include "server/lookup.hpp"

/// Deadlines of keys. A deadline that is past removes the key at once.

namespace cubby::server {

namespace {

/// When EXPIRE and its kin are to change a deadline.
struct ExpireConditions {
  bool if_none = false, if_some = false, if_later = false, if_earlier = false;

  bool any() const noexcept { return if_none || if_some || if_later || if_earlier; }
  bool allow(std::optional<std::int64_t> now_is, std::int64_t wanted) const noexcept {
    if (if_none && now_is) return false;
    if (if_some && !now_is) return false;
    // No deadline is later than any.
    if (if_later && (!now_is || wanted <= *now_is)) return false;
    return !if_earlier || !now_is || wanted < *now_is;
  }
};

ExpireConditions read_conditions(Arguments words) {
  ExpireConditions conditions;
  for (const std::string_view word : words) {
    if (is_word(word, "NX")) {
      conditions.if_none = true;
    } else if (is_word(word, "XX")) {
      conditions.if_some = true;
    } else if (is_word(word, "GT")) {
      conditions.if_later = true;
    } else if (is_word(word, "LT")) {
      conditions.if_earlier = true;
    } else {
      throw CommandError("ERR Unsupported option " + std::string(word));
    }
  }
  if (conditions.if_none && (conditions.if_some || conditions.if_later || conditions.if_earlier)) {
    throw CommandError("ERR NX and XX, GT or LT options at the same time are not compatible");
  }
  if (conditions.if_later && conditions.if_earlier) {
    throw CommandError("ERR GT and LT options at the same time are not compatible");
  }
  return conditions;
}

std::optional<std::int64_t> deadline_ms_of(const Keyspace& keys, std::string_view key) {
  const std::optional<TimePoint> deadline = keys.deadline(key);
  if (!deadline) return std::nullopt;
  return to_ms(*deadline);
}

/// What became of a key that was to be given a deadline.
enum class Expiry : std::uint8_t { unchanged, changed, removed };

Expiry give_deadline(Keyspace& keys, std::string_view key, std::int64_t deadline_ms) {
  if (deadline_ms <= now_ms()) return keys.erase(key) ? Expiry::removed : Expiry::unchanged;
  // Absent keys are common enough to be worth a look; the exception is for those that go in between.
  if (!keys.exists(key)) return Expiry::unchanged;
  try {
    keys.expire_at(key, time_point(deadline_ms));
  } catch (const Error& error) {
    if (error.code() == Errc::key_not_found) return Expiry::unchanged;
    throw;
  }
  return Expiry::changed;
}

void expire_key(Call& call, TimeUnit unit, TimeBase base, std::string_view command) {
  const std::string_view key = call[1];
  const ExpireConditions conditions = read_conditions(call.arguments.subspan(3));
  const std::int64_t deadline_ms = to_deadline_ms(call[2], unit, base, false, command);
  Expiry expiry = Expiry::unchanged;
  if (conditions.any()) {
    // The library's times end in 2262: two that are beyond compare as equal.
    const std::int64_t comparable = to_ms(time_point(deadline_ms));
    expiry = call.keys.together({key}, [&](Keyspace& keys) {
      if (!keys.exists(key) || !conditions.allow(deadline_ms_of(keys, key), comparable)) return Expiry::unchanged;
      return give_deadline(keys, key, deadline_ms);
    });
  } else {
    expiry = give_deadline(call.keys, key, deadline_ms);
  }
  if (expiry != Expiry::unchanged) call.events.add('g', expiry == Expiry::removed ? "del" : "expire", key);
  call.reply.integer(expiry != Expiry::unchanged ? 1 : 0);
}

void run_expire(Call& call) { expire_key(call, TimeUnit::seconds, TimeBase::from_now, "expire"); }
void run_pexpire(Call& call) { expire_key(call, TimeUnit::milliseconds, TimeBase::from_now, "pexpire"); }
void run_expireat(Call& call) { expire_key(call, TimeUnit::seconds, TimeBase::since_epoch, "expireat"); }
void run_pexpireat(Call& call) { expire_key(call, TimeUnit::milliseconds, TimeBase::since_epoch, "pexpireat"); }

void reply_deadline(Call& call, TimeUnit unit, TimeBase base) {
  const std::string_view key = call[1];
  std::optional<std::int64_t> deadline_ms = deadline_ms_of(call.keys, key);
  const bool found = deadline_ms || call.keys.exists(key);
  // A key that came with a deadline just after the first look has one now.
  if (found && !deadline_ms) deadline_ms = deadline_ms_of(call.keys, key);
  count_lookup(call, found);
  if (!found) return call.reply.integer(-2);
  if (!deadline_ms) return call.reply.integer(-1);
  const std::int64_t ms = std::max<std::int64_t>(base == TimeBase::from_now ? *deadline_ms - now_ms() : *deadline_ms, 0);
  call.reply.integer(unit == TimeUnit::milliseconds ? ms : (ms + 500) / 1000);
}

void run_ttl(Call& call) { reply_deadline(call, TimeUnit::seconds, TimeBase::from_now); }
void run_pttl(Call& call) { reply_deadline(call, TimeUnit::milliseconds, TimeBase::from_now); }
void run_expiretime(Call& call) { reply_deadline(call, TimeUnit::seconds, TimeBase::since_epoch); }
void run_pexpiretime(Call& call) { reply_deadline(call, TimeUnit::milliseconds, TimeBase::since_epoch); }

void run_persist(Call& call) {
  const bool dropped = call.keys.remove_expiry(call[1]);
  if (dropped) call.events.add('g', "persist", call[1]);
  call.reply.integer(dropped ? 1 : 0);
}

constexpr KeyPlaces kExpiringKey{1, 1, 1};
constexpr std::uint32_t kExpiryRead = kRead | kKeyspace;
constexpr std::uint32_t kExpiryWrite = kWriting | kKeyspace;

constexpr CommandSpec kExpiryCommands[] = {
    {"expire", -3, kWrite | kFast, kExpiryWrite, kExpiringKey, run_expire, "generic", "Gives a key a time to live in seconds",
     "key seconds [NX | XX | GT | LT]"},
    {"pexpire", -3, kWrite | kFast, kExpiryWrite, kExpiringKey, run_pexpire, "generic",
     "Gives a key a time to live in milliseconds", "key milliseconds [NX | XX | GT | LT]"},
    {"expireat", -3, kWrite | kFast, kExpiryWrite, kExpiringKey, run_expireat, "generic",
     "Sets a key's deadline in seconds since the epoch", "key unix-time-seconds [NX | XX | GT | LT]"},
    {"pexpireat", -3, kWrite | kFast, kExpiryWrite, kExpiringKey, run_pexpireat, "generic",
     "Sets a key's deadline in milliseconds since the epoch", "key unix-time-milliseconds [NX | XX | GT | LT]"},
    {"ttl", 2, kReadOnly | kFast, kExpiryRead, kExpiringKey, run_ttl, "generic", "How many seconds a key has left", "key"},
    {"pttl", 2, kReadOnly | kFast, kExpiryRead, kExpiringKey, run_pttl, "generic", "How many milliseconds a key has left",
     "key"},
    {"expiretime", 2, kReadOnly | kFast, kExpiryRead, kExpiringKey, run_expiretime, "generic",
     "A key's deadline in seconds since the epoch", "key"},
    {"pexpiretime", 2, kReadOnly | kFast, kExpiryRead, kExpiringKey, run_pexpiretime, "generic",
     "A key's deadline in milliseconds since the epoch", "key"},
    {"persist", 2, kWrite | kFast, kExpiryWrite, kExpiringKey, run_persist, "generic", "Drops a key's deadline", "key"},
};

}  // namespace

std::span<const CommandSpec> expiry_commands() { return kExpiryCommands; }

}  // namespace cubby::server
