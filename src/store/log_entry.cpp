// SPDX-License-Identifier: Apache-2.0
#include "store/key_write.hpp"

/// What a write tells the log: room is taken while the write can still fail, and filled when it can't any more.

namespace cubby::detail {

std::size_t KeyWrite::count_takers() const {
  std::size_t takers = 0;
  if (fresh_ == nullptr || !fresh_->is_queue() || !store.table_.has_waiters(*held)) return 0;
  store.waiters_.visit(hash, key, [&takers](const KeyWaiters& waiters) { takers = waiters.takers.size(); });
  return std::min(takers, fresh_->queue().size());
}

void KeyWrite::log_operations(OperationWriter& to) const {
  for (const LoggedOperation& operation : also_logged_) to.write(operation);
  if (logged_ == OperationCode::end) return;
  LoggedOperation operation;
  operation.code = logged_;
  operation.key = key;
  operation.value = logged_value_;
  operation.fresh = entry == nullptr && also_logged_.empty();
  switch (deadline_.kind) {
    case Deadline::Kind::keep:
      break;
    case Deadline::Kind::none:
      operation.deadline = LoggedOperation::Deadline::none;
      break;
    case Deadline::Kind::at:
      operation.deadline = LoggedOperation::Deadline::at;
      operation.deadline_ms = to_wall_milliseconds(deadline_.time);
  }
  to.write(operation);
}

void KeyWrite::measure_log(OperationWriter& to) const {
  log_operations(to);
  LoggedOperation taken;
  taken.code = OperationCode::shift;
  taken.key = key;
  for (std::size_t takers = count_takers(); takers > 0; --takers) to.write(taken);
}

void KeyWrite::write_log(OperationWriter& to) const {
  log_operations(to);
  LoggedOperation taken;
  taken.key = key;
  for (const Waiter* waiter : handed_) {
    taken.code = waiter->kind == Waiter::Kind::first ? OperationCode::shift : OperationCode::pop;
    to.write(taken);
  }
}

void KeyWrite::note_logged(const LogPlace& place) noexcept {
  for (Waiter* waiter : handed_) waiter->note_logged(place);
}

LogEntry::LogEntry(Store& store, Operation operation, std::span<KeyWrite* const> writes, std::uint32_t version)
    : store_(store) {
  OperationWriter measure;
  for (const KeyWrite* write : writes) write->measure_log(measure);
  if (measure.size() != 0) reserve(operation, writes.front()->key, version, measure.body_size());
}

LogEntry::LogEntry(Store& store, Operation operation, const LoggedOperation& logged, std::uint32_t version) : store_(store) {
  OperationWriter measure;
  measure.write(logged);
  reserve(operation, logged.key, version, measure.body_size());
}

void LogEntry::reserve(Operation operation, std::string_view key, std::uint32_t version, std::uint64_t body) {
  try {
    record_ = store_.log_->reserve(version, body);
  } catch (const Error& error) {
    store_.fail(static_cast<Errc>(error.code().value()), name_of(operation), key, error.what());
  }
}

LogEntry::~LogEntry() {
  if (record_) store_.log_->discard(*record_);
}

void LogEntry::complete(std::span<KeyWrite* const> writes, ThreadRecord& record) noexcept {
  if (!record_) return;
  const LogPlace place = record_->end();
  OperationWriter writer(record_->body());
  for (KeyWrite* write : writes) {
    write->write_log(writer);
    write->note_logged(place);
  }
  finish(writer, record);
}

void LogEntry::complete(const LoggedOperation& logged, ThreadRecord& record) noexcept {
  OperationWriter writer(record_->body());
  writer.write(logged);
  finish(writer, record);
}

void LogEntry::finish(OperationWriter& writer, ThreadRecord& record) noexcept {
  Log& log = *store_.log_;
  writer.pad(record_->frame - log.frame_size(0));
  log.complete(*record_);
  const LogPlace place = record_->end();
  record.appended_segment = place.segment;
  record.appended_end = place.end;
  record_.reset();
}

}  // namespace cubby::detail
