// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/verify.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cubby/cubby.hpp>
#include <filesystem>
#include <map>

#include "cli/text.hpp"

namespace cubby::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

/// A deadline lies between these two times on the steady clock: ttl() was called somewhere between two readings of it.
struct Deadline {
  bool set = false;
  nanoseconds earliest{};
  nanoseconds latest{};
};

Deadline deadline_around(const Datastore& store, const std::string& key) {
  const auto before = Clock::now().time_since_epoch();
  const std::optional<nanoseconds> left = store.ttl(key);
  const auto after = Clock::now().time_since_epoch();
  if (!left) return {};
  return {true, before + *left, after + *left};
}

/// How far two deadlines are apart for certain.
nanoseconds distance(const Deadline& one, const Deadline& other) {
  return std::max({nanoseconds::zero(), one.earliest - other.latest, other.earliest - one.latest});
}

struct Entry {
  Value value;
  Deadline deadline;
};

std::map<std::string, Entry> contents_of(const Datastore& store) {
  std::map<std::string, Entry> contents;
  store.for_each([&](std::string_view key, const Value& value) { contents[std::string(key)].value = value; });
  for (auto& [key, entry] : contents) entry.deadline = deadline_around(store, key);
  return contents;
}

std::uintmax_t bytes_in(const std::filesystem::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) bytes += entry.file_size();
  return bytes;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

std::vector<Check> check_conservation(SessionCache& cache, const Plan& plan, const RunResult& result) {
  std::uint64_t counted = 0;
  for (const Session& session : plan.sessions) counted += static_cast<std::uint64_t>(cache.counter(session.unread_key));
  const std::uint64_t done = result.kinds[kCount].operations;

  std::uint64_t left = 0;
  std::uint64_t left_sum = 0;
  for (const std::string& inbox : plan.inboxes) {
    for (const Message& message : cache.rest(inbox)) {
      ++left;
      left_sum += identity(message);
    }
  }
  const std::uint64_t pushed = result.kinds[kPush].operations;
  const std::uint64_t consumed = result.kinds[kConsumed].operations;
  const bool conserved = pushed == consumed + left && result.pushed_sum == result.consumed_sum + left_sum;

  return {
      {"counters", counted == done, fmt::format("{} increments done, counters add up to {}", grouped(done), grouped(counted))},
      {"messages", conserved,
       fmt::format("{} messages pushed: {} consumed, {} left{}", grouped(pushed), grouped(consumed), grouped(left),
                   conserved ? ", each once" : "; not the same, each once")},
      {"order", result.out_of_order == 0,
       result.out_of_order == 0 ? std::string("each consumer got each sender's messages in order")
                                : fmt::format("{} messages came out of order", grouped(result.out_of_order))},
  };
}

Reopened close_and_reopen(const std::string& name, Options options) {
  // Deadlines go to the file in milliseconds of the wall clock, which may be slewed meanwhile.
  constexpr nanoseconds kTolerance = std::chrono::milliseconds(20);

  Reopened result;
  const bool durable = !options.directory.empty();
  const std::map<std::string, Entry> before = contents_of(open(name));
  const Clock::time_point saving = Clock::now();
  close(name);
  result.save_seconds = seconds_since(saving);
  result.file_bytes = durable ? bytes_in(options.directory) : std::filesystem::file_size(options.persist);

  options.read_only = true;
  const Clock::time_point loading = Clock::now();
  const Datastore reopened = open(name, options);
  result.load_seconds = seconds_since(loading);
  const std::map<std::string, Entry> after = contents_of(reopened);

  std::size_t equal_values = 0;
  std::size_t deadlines = 0;
  std::size_t equal_deadlines = 0;
  nanoseconds furthest{};
  std::string first_difference;
  for (const auto& [key, entry] : before) {
    deadlines += entry.deadline.set ? 1 : 0;
    const auto found = after.find(key);
    const bool same_value = found != after.end() && found->second.value == entry.value;
    bool same_deadline = found != after.end() && found->second.deadline.set == entry.deadline.set;
    if (same_deadline && entry.deadline.set) {
      const nanoseconds apart = distance(entry.deadline, found->second.deadline);
      furthest = std::max(furthest, apart);
      same_deadline = apart <= kTolerance;
      equal_deadlines += same_deadline ? 1 : 0;
    }
    equal_values += same_value ? 1 : 0;
    if ((!same_value || !same_deadline) && first_difference.empty())
      first_difference = "; first difference at key " + in_quotes(key);
  }
  const bool same_keys = before.size() == after.size();
  close(name);

  result.checks = {
      {"values", same_keys && equal_values == before.size(),
       fmt::format("{} of {} values equal after reopening{}", grouped(equal_values), grouped(before.size()),
                   same_keys ? first_difference
                             : fmt::format("; the {} holds {} keys", durable ? "folder" : "file", grouped(after.size())))},
      {"deadlines", equal_deadlines == deadlines,
       fmt::format("{} of {} deadlines equal after reopening, within {}", grouped(equal_deadlines), grouped(deadlines),
                   brief(std::max(furthest, nanoseconds(std::chrono::milliseconds(1)))))},
  };
  return result;
}

}  // namespace cubby::cli
