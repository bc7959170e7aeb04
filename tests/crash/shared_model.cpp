// SPDX-License-Identifier: Apache-2.0
#include "shared_model.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace cubby_crash {

using cubby::Value;

// --- numbers
// ---------------------------------------------------------------------------------------------------------------------

namespace {

constexpr auto kTokenTtl = std::chrono::hours(100);
constexpr std::int64_t kTokenTtlSlack = std::int64_t{99} * 3600 * 1'000'000'000;

std::string token_value(std::int64_t token) { return "a token that isn't small, of number " + std::to_string(token); }

}  // namespace

Ledger::Ledger() {
  for (int counter = 0; counter < kCounters; ++counter) numbers_[counter_key(counter)] = 0;
  for (int account = 0; account < kAccounts; ++account) numbers_[account_key(account)] = 0;
  for (int token = 0; token < kTokens; ++token) {
    for (int place = 0; place < kPlaces; ++place) numbers_[token_key(token, place)] = 0;
  }
  for (int belt = 0; belt < kBelts; ++belt) numbers_[belt_key(belt)] = 0;
}

void Ledger::seed(cubby::Datastore& store) {
  const auto put = [&](const std::string& key, const Value& value, std::int64_t number) {
    store.set(key, value);
    numbers_[key] = number;
  };
  for (int counter = 0; counter < kCounters; ++counter) put(counter_key(counter), 0, 0);
  for (int account = 0; account < kAccounts; ++account) put(account_key(account), kBalance, kBalance);
  for (int token = 0; token < kTokens; ++token) {
    put(token_key(token, 0), token_value(token), 1);
    if (token % 2 == 0) store.expire(token_key(token, 0), kTokenTtl);
  }
  for (int belt = 0; belt < kBelts; ++belt) put(belt_key(belt), Value::array({}), 0);
  for (int item = 0; item < kItems; ++item) {
    store.push(belt_key(item % kBelts), item);
    ++numbers_[belt_key(item % kBelts)];
  }
}

Ledger::Deltas Ledger::deltas_of(const Record& record) {
  const std::int64_t amount = record.argument;
  switch (record.kind) {
    case Kind::count_increment:
    case Kind::count_modify:
      return {{counter_key(record.a), amount}};
    case Kind::count_decrement:
      return {{counter_key(record.a), -amount}};
    case Kind::transfer:
      return {{account_key(record.a), -amount}, {account_key(record.b), amount}};
    case Kind::move_token:
      return {{token_key(static_cast<int>(amount), record.a), -1}, {token_key(static_cast<int>(amount), record.b), 1}};
    case Kind::move_item:
      return {{belt_key(record.a), -1}, {belt_key(record.b), 1}};
    default:
      return {};
  }
}

void Ledger::acknowledge(const Record& record) {
  if (record.error != 0) {
    // A token is in one place only, so none is ever in the way.
    if (record.kind == Kind::move_token && record.error == static_cast<int>(cubby::Errc::key_not_found)) return;
    throw Failure("  " + to_text(record));
  }
  if (record.kind == Kind::move_item && record.result == kNothing) return;
  for (const auto& [key, delta] : deltas_of(record)) numbers_[key] += delta;
}

/// The numbers that are there, with what is more to them checked: each token and each item is in exactly one place.
std::map<std::string, std::int64_t> Ledger::extract(Recovered& recovered) {
  std::map<std::string, std::int64_t> numbers;
  for (int counter = 0; counter < kCounters; ++counter) {
    numbers[counter_key(counter)] = extract_integer(recovered, counter_key(counter));
  }
  for (int account = 0; account < kAccounts; ++account) {
    numbers[account_key(account)] = extract_integer(recovered, account_key(account));
  }
  for (int token = 0; token < kTokens; ++token) {
    int places = 0;
    for (int place = 0; place < kPlaces; ++place) {
      const std::string key = token_key(token, place);
      const std::optional<Found> found = cubby_crash::extract(recovered, key);
      numbers[key] = found ? 1 : 0;
      if (!found) continue;
      ++places;
      if (!same(found->value, token_value(token))) fail(key, token_value(token), to_text(found->value));
      const bool deadline = found->deadline && *found->deadline > wall_clock() - kTokenTtlSlack;
      if (deadline != (token % 2 == 0)) fail(key, token % 2 == 0 ? "a deadline" : "no deadline", "the other");
    }
    if (places != 1) fail(numbered("token.", token), "one place", std::to_string(places) + " places");
  }
  std::set<std::int64_t> items;
  for (int belt = 0; belt < kBelts; ++belt) {
    const std::optional<Found> found = cubby_crash::extract(recovered, belt_key(belt));
    if (!found || !found->value.is_array() || found->deadline)
      fail(belt_key(belt), "an array without a deadline", found ? to_text(found->value) : "absent");
    numbers[belt_key(belt)] = static_cast<std::int64_t>(found->value.size());
    for (const Value& item : found->value.elements()) {
      if (!items.insert(item.as_int()).second) fail(belt_key(belt), "each item once", to_text(item) + " twice");
    }
  }
  if (items.size() != kItems) fail("belts", std::to_string(kItems) + " items", std::to_string(items.size()));
  return numbers;
}

void Ledger::check(Recovered& recovered, const InFlight& in_flight) {
  const std::map<std::string, std::int64_t> found = extract(recovered);
  std::vector<Deltas> maybe;
  std::string pending;
  for (const Record& record : in_flight) {
    Deltas deltas = deltas_of(record);
    if (deltas.empty()) continue;
    maybe.push_back(std::move(deltas));
    pending += ", " + to_text(record);
  }
  for (std::size_t subset = 0; subset < std::size_t{1} << maybe.size(); ++subset) {
    auto numbers = numbers_;
    for (std::size_t index = 0; index < maybe.size(); ++index) {
      if ((subset >> index & 1) == 0) continue;
      for (const auto& [key, delta] : maybe[index]) numbers[key] += delta;
    }
    if (numbers != found) continue;
    numbers_ = found;
    return;
  }
  std::string keys, expected, actual;
  for (const auto& [key, number] : numbers_) {
    if (found.at(key) == number) continue;
    keys += ' ' + key;
    expected += std::to_string(number) + ' ';
    actual += std::to_string(found.at(key)) + ' ';
  }
  fail(keys, expected + "(acknowledged; in flight" + (pending.empty() ? ": nothing" : pending) + ')', actual);
}

// --- queues
// ----------------------------------------------------------------------------------------------------------------------

namespace {

bool is_push(Kind kind) { return kind == Kind::queue_push || kind == Kind::queue_unshift; }
bool is_take(Kind kind) { return kind > Kind::queue_unshift && kind <= Kind::queue_pop_wait; }

}  // namespace

void QueueModel::start(const Record& record, std::int64_t now) {
  if (is_push(record.kind)) elements_.emplace(record.argument, Element{now});
}

void QueueModel::take(std::int64_t element, const std::string& taker) {
  const auto place = elements_.find(element);
  if (place == elements_.end() || place->second.taken) {
    fail(taker, "an element that is there", std::to_string(element) + ", which was never pushed, or was taken before");
  }
  if (!at_front(element)) last_taken_ = std::max(last_taken_, place->second.started);
  if (place->second.pushed == kNever) {
    place->second.taken = true;  // handed over, and its push hasn't returned yet
  } else {
    elements_.erase(place);
  }
}

void QueueModel::acknowledge(const Record& record, std::int64_t now) {
  if (record.error != 0) {
    const bool absent = record.error == static_cast<int>(cubby::Errc::key_not_found);
    if (absent && (record.kind == Kind::queue_shift || record.kind == Kind::queue_pop)) return;
    throw Failure("  " + to_text(record));
  }
  if (is_take(record.kind)) {
    if (record.result != kNothing) take(record.result, to_text(record));
    return;
  }
  made_ = true;
  const auto place = elements_.find(record.argument);
  if (place->second.taken) {
    elements_.erase(place);
  } else {
    place->second.pushed = now;
  }
}

/// Whichever of two elements was pushed before the other was begun lies before it.
void QueueModel::check_order(const std::vector<std::int64_t>& elements, const std::string& key) const {
  std::int64_t earliest = kNever;  // return of a push of what lies behind
  for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
    const Element& pushed = elements_.at(*element);
    if (earliest < pushed.started) fail(key, "elements in the order of their pushes", std::to_string(*element) + " too early");
    earliest = std::min(earliest, pushed.pushed);
  }
}

void QueueModel::check(Recovered& recovered, int queue, const InFlight& in_flight) {
  const std::string key = queue_key(queue);
  const std::optional<Found> found = extract(recovered, key);
  if (found && (!found->value.is_array() || found->deadline)) fail(key, "an array without a deadline", to_text(found->value));

  if (!found && made_) fail(key, "an array, if an empty one", "absent");
  made_ = found.has_value();

  // What lies there: all of it pushed, nothing taken.
  std::vector<std::int64_t> front, back;
  std::set<std::int64_t> there;
  for (std::size_t index = 0; found && index < found->value.size(); ++index) {
    const std::int64_t element = found->value[index].as_int();
    const auto place = elements_.find(element);
    if (place == elements_.end()) fail(key, "only what was pushed and not taken", std::to_string(element));
    if (place->second.taken) fail(key, "nothing that was taken", std::to_string(element));
    if (!there.insert(element).second) fail(key, "each element once", std::to_string(element) + " twice");
    if (at_front(element) && !back.empty()) fail(key, "what was unshifted before what was pushed", std::to_string(element));
    (at_front(element) ? front : back).push_back(element);
  }
  std::reverse(front.begin(), front.end());
  check_order(front, key);
  check_order(back, key);

  // What doesn't: taken by the calls in flight. Where elements are only shifted, they are the first ones.
  std::int64_t takers = 0;
  for (const Record& record : in_flight) takers += is_take(record.kind) && record.a == queue ? 1 : 0;
  std::int64_t latest = last_taken_;
  std::string missing;
  for (const auto& [element, pushed] : elements_) {
    if (pushed.pushed == kNever || there.contains(element)) continue;
    missing += ' ' + std::to_string(element);
    latest = std::max(latest, pushed.started);
    if (--takers < 0) fail(key, "what was pushed and not taken", "missing:" + missing);
  }
  for (const std::int64_t element : back) {
    if (!in_order(queue) || elements_.at(element).pushed >= latest) continue;
    fail(key, "first in, first out", std::to_string(element) + " is left behind; missing:" + missing);
  }

  // From now on they are older than anything else.
  elements_.clear();
  last_taken_ = INT64_MIN;
  for (const auto* part : {&front, &back}) {
    std::int64_t position = -static_cast<std::int64_t>(part->size());
    for (const std::int64_t element : *part) {
      elements_.emplace(element, Element{position, position, false});
      ++position;
    }
  }
}

// --- sequences
// -------------------------------------------------------------------------------------------------------------------

void ChainModel::check(Recovered& recovered, const InFlight& in_flight) {
  std::int64_t before = INT64_MAX;
  for (int thread = 0; thread < kWorkers; ++thread) {
    const std::string key = chain_key(thread);
    const std::int64_t found = extract_integer(recovered, key, 0);
    std::int64_t pending = numbers_[static_cast<std::size_t>(thread)];
    for (const Record& record : in_flight) {
      if (record.kind == Kind::chain && record.thread == thread) pending = record.argument;
    }
    std::int64_t& number = numbers_[static_cast<std::size_t>(thread)];
    if (found != number && found != pending) {
      fail(key, std::to_string(number) + " or, in flight, " + std::to_string(pending), std::to_string(found));
    }
    if (found > before) fail(key, "at most what it was copied from, " + std::to_string(before), std::to_string(found));
    number = before = found;
  }
}

void BurstModel::start(const Record& record) const {
  if (record.argument == numbers_[record.thread] + 1) return;
  fail(burst_key(record.thread, "b"), std::to_string(numbers_[record.thread]), std::to_string(record.argument - 1));
}

void BurstModel::check(Recovered& recovered, const InFlight& in_flight) {
  std::int64_t before = INT64_MAX;
  for (int thread = 0; thread < kWorkers; ++thread) {
    std::int64_t& low = numbers_[static_cast<std::size_t>(thread)];
    std::int64_t high = low;
    for (const Record& record : in_flight) {
      if (record.kind == Kind::burst && record.thread == thread) high = record.argument + record.b - 1;
    }
    const std::int64_t a = extract_integer(recovered, burst_key(thread, "a"), 0);
    const std::int64_t b = extract_integer(recovered, burst_key(thread, "b"), 0);
    const std::int64_t seen = extract_integer(recovered, burst_key(thread, "seen"), 0);
    const std::optional<Found> queue = extract(recovered, burst_key(thread, "q"));
    if (b < low || b > high) {
      fail(burst_key(thread, "b"), std::to_string(low) + " to " + std::to_string(high), std::to_string(b));
    }
    if (a != b && a != b + 1) fail(burst_key(thread, "a"), std::to_string(b) + " or one more", std::to_string(a));
    if (seen > before)
      fail(burst_key(thread, "seen"), "at most what it was copied from, " + std::to_string(before), std::to_string(seen));
    std::int64_t& seen_low = seen_[static_cast<std::size_t>(thread)];
    if (seen < seen_low) fail(burst_key(thread, "seen"), "at least " + std::to_string(seen_low), std::to_string(seen));
    if (queue && queue->deadline) fail(burst_key(thread, "q"), "no deadline", "one");
    const std::int64_t length = queue ? static_cast<std::int64_t>(queue->value.size()) : 0;
    const std::int64_t last = length == 0 ? 0 : queue->value[length - 1].as_int();
    if (last < b || last > a) fail(burst_key(thread, "q"), "the last is a or b", to_text(queue ? queue->value : Value()));
    const std::int64_t kept = std::min<std::int64_t>(last, kBacklog);
    if (length != kept && length != kept + 1)
      fail(burst_key(thread, "q"), std::to_string(kept) + " elements", std::to_string(length));
    for (std::int64_t index = 0; index < length; ++index) {
      if (queue->value[index] != Value(last - length + 1 + index))
        fail(burst_key(thread, "q"), "a sequence", to_text(queue->value));
    }
    low = before = b;
    seen_low = seen;
  }
}

// --- clear
// -----------------------------------------------------------------------------------------------------------------------

std::size_t EpochModel::acknowledged_before(std::int64_t time) const {
  const auto after =
      std::partition_point(writes_.begin(), writes_.end(), [&](const Write& write) { return write.acknowledged < time; });
  return static_cast<std::size_t>(after - writes_.begin());
}

void EpochModel::start(const Record& record, std::int64_t now) {
  if (record.kind == Kind::epoch_set) writes_.push_back({record.argument, INT64_MAX});
  if (record.kind == Kind::clear) clear_started_ = now;
}

void EpochModel::acknowledge(const Record& record, std::int64_t now) {
  if (record.error != 0) throw Failure("  " + to_text(record));
  if (record.kind == Kind::epoch_set) writes_.back().acknowledged = now;
  if (record.kind == Kind::clear) last_clear_ = Bounds{acknowledged_before(clear_started_), writes_.size()};
}

/// Whether the first `count` writes, of which a clear removed the first so many, leave `state`.
bool EpochModel::explains(const State& state, std::size_t count, Bounds cleared) const {
  State left;
  for (std::size_t first = count;; --first) {  // the writes from `first` on
    if (first <= cleared.high && left == state) return true;
    if (first == cleared.low || left.size() > state.size()) return false;
    left.emplace(epoch_key(writes_[first - 1].number), writes_[first - 1].number);
  }
}

void EpochModel::check(Recovered& recovered, const InFlight& in_flight) {
  State state;
  for (int key = 0; key < kEpochKeys; ++key) {
    if (recovered.contains(epoch_key(key))) state[epoch_key(key)] = extract_integer(recovered, epoch_key(key));
  }
  bool explained = false;
  const std::size_t acknowledged = acknowledged_before(INT64_MAX);
  for (std::size_t count = acknowledged; count <= writes_.size() && !explained; ++count) {
    const Bounds clear = last_clear_.value_or(Bounds{0, 0});
    explained = explains(state, count, {std::min(clear.low, count), std::min(clear.high, count)});
    for (const Record& record : in_flight) {
      if (record.kind != Kind::clear) continue;
      explained = explained || explains(state, count, {std::min(acknowledged_before(clear_started_), count), count});
    }
  }
  if (!explained) {
    std::string found;
    for (const auto& [key, number] : state) found += key + '=' + std::to_string(number) + ' ';
    std::string expected = "the last acknowledged write is";
    expected += acknowledged > 0 ? ' ' + std::to_string(writes_[acknowledged - 1].number) : " none";
    if (last_clear_) {
      expected += ", the last clear came after " + std::to_string(last_clear_->low) + " to " +
                  std::to_string(last_clear_->high) + " of " + std::to_string(acknowledged) + " writes";
    }
    for (const Record& record : in_flight) expected += ", in flight: " + to_text(record);
    fail("epoch.*", expected, found);
  }

  writes_.clear();
  last_clear_.reset();
  for (const auto& [key, number] : state) writes_.push_back({number, INT64_MIN});
  std::sort(writes_.begin(), writes_.end(), [](const Write& left, const Write& right) { return left.number < right.number; });
}

}  // namespace cubby_crash
