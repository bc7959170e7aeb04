// SPDX-License-Identifier: Apache-2.0
#include "history.hpp"

namespace cubby_crash {

namespace {

bool is_ledger(Kind kind) { return kind >= Kind::count_increment && kind <= Kind::move_item; }
bool is_queue(Kind kind) { return kind >= Kind::queue_push && kind <= Kind::queue_pop_wait; }
Operation operation_of(const Record& record) { return {record.kind, record.a, record.b, record.argument}; }

}  // namespace

void History::feed(const Record& record) {
  ++position_;
  if (record.thread >= kThreads || record.kind > Kind::save) throw Failure("  a record that nobody wrote: " + to_text(record));
  std::optional<Record>& pending = in_flight_[record.thread];
  if (record.phase == Phase::start) {
    if (pending) throw Failure("  begun before the last was done: " + to_text(record));
    pending = record;
    if (is_queue(record.kind)) queues_.at(record.a).start(record, position_);
    if (record.kind == Kind::burst) burst_.start(record);
    if (record.kind == Kind::epoch_set || record.kind == Kind::clear) epoch_.start(record, position_);
    return;
  }
  if (!pending || pending->kind != record.kind) throw Failure("  done, but never begun: " + to_text(record));
  acknowledge(*pending, record);
  pending.reset();
  ++acknowledged_;
}

void History::acknowledge(const Record& start, const Record& done) {
  if (is_owned(done.kind)) {
    const OwnedModel::Outcome expected = owned_.at(done.thread).apply(operation_of(start), start.time, done.time);
    if (expected.error == done.error && (expected.error != 0 || expected.result == done.result)) return;
    fail(owned_key(start.thread, start.a),
         "of " + to_text(start) + ": error " + std::to_string(expected.error) + ", result " + std::to_string(expected.result),
         "error " + std::to_string(done.error) + ", result " + std::to_string(done.result));
  }
  if (is_ledger(done.kind)) return ledger_.acknowledge(done);
  if (is_queue(done.kind)) return queues_.at(done.a).acknowledge(done, position_);
  if (done.error != 0) throw Failure("  " + to_text(done));
  if (done.kind == Kind::chain) chain_.acknowledge(done);
  if (done.kind == Kind::burst) burst_.acknowledge(done);
  if (done.kind == Kind::epoch_set || done.kind == Kind::clear) epoch_.acknowledge(done, position_);
}

void History::check_owned(Recovered& recovered, int thread, std::int64_t killed) {
  OwnedModel& model = owned_.at(static_cast<std::size_t>(thread));
  std::string wrong = model.difference(recovered, thread);
  const std::optional<Record>& pending = in_flight_.at(static_cast<std::size_t>(thread));
  if (!wrong.empty() && pending && is_owned(pending->kind)) {
    OwnedModel after = model;
    after.apply(operation_of(*pending), pending->time, killed);
    const std::string wrong_after = after.difference(recovered, thread);
    if (wrong_after.empty()) {
      wrong.clear();
      model = std::move(after);
    } else {
      wrong += "\n            or, with " + to_text(*pending) + " in flight, " + wrong_after;
    }
  }
  if (!wrong.empty()) throw Failure("  expected: " + wrong);
  for (int key = 0; key < kOwnedKeys; ++key) recovered.erase(owned_key(thread, key));
}

void History::check(Recovered recovered, Recovered epochs, std::int64_t killed) {
  InFlight in_flight;
  for (const std::optional<Record>& pending : in_flight_) {
    if (pending) in_flight.push_back(*pending);
  }
  for (int thread = 0; thread < kWorkers; ++thread) check_owned(recovered, thread, killed);
  ledger_.check(recovered, in_flight);
  for (int queue = 0; queue < kQueues; ++queue) queues_.at(static_cast<std::size_t>(queue)).check(recovered, queue, in_flight);
  chain_.check(recovered, in_flight);
  burst_.check(recovered, in_flight);
  epoch_.check(epochs, in_flight);
  for (const auto* left : {&recovered, &epochs}) {
    for (const auto& [key, found] : *left) fail(key, "absent, as nobody wrote it", to_text(found.value));
  }
  in_flight_.fill(std::nullopt);
  in_flight_at_kill_ = in_flight.size();
}

}  // namespace cubby_crash
