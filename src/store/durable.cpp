// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/thread.hpp"
#include "store/callback_waiter.hpp"
#include "store/key_write.hpp"
#include "store/maintenance.hpp"
#include "store/running_cut.hpp"

/// Durable mode: what the log says is carried out when a store is opened; checkpoints are written while everything goes on.
///
/// A checkpoint's cut begins together with a generation of the log. Writes that have read the version before are waited for
/// (they are in the middle of publishing: no user code runs there), and so the cut is exactly what the generations before say.

namespace cubby::detail {

namespace {

Deadline deadline_of(const LoggedOperation& operation) {
  switch (operation.deadline) {
    case LoggedOperation::Deadline::keep:
      return Deadline::keep();
    case LoggedOperation::Deadline::none:
      return Deadline::none();
    case LoggedOperation::Deadline::at:
      break;
  }
  return Deadline::at(from_wall_milliseconds(operation.deadline_ms));
}

}  // namespace

void Store::start_durable() {
  OpeningAgain again;
  const auto load = [&] {
    DurableFolder::Settings settings;
    settings.files = &real_file_system();
    settings.folder = file_;
    settings.key = options_.encryption_key;
    settings.read_only = options_.read_only;
    settings.beside_a_writer = again.beside_a_writer();
    settings.sync = options_.sync;
    settings.checkpoint_after = options_.checkpoint_after;
    settings.wait_for_publishers = wait_for_publishers;
    settings.on_growth = [this] { checkpoint_if_due(); };
    durable_ = std::make_unique<DurableFolder>(std::move(settings));
    const auto sink = [this](const LoggedOperation& operation) { replay(operation); };
    make_room(durable_->keys());
    durable_->load(sink, sink);
  };
  loading_ = true;
  // Whatever fails: the lock must not be given up later, when the folder may be open again.
  struct GiveUp {
    Store* store;
    ~GiveUp() {
      if (store == nullptr) return;
      store->log_ = nullptr;
      store->durable_.reset();
    }
  } give_up{this};
  in_context("open", name_, [&] {
    for (;;) {
      try {
        load();
        break;
      } catch (const Error& error) {
        if (!options_.read_only || !again.helps(durable_.get(), error)) throw;
        drop_contents(false);
        tidy(thread_record());
      }
    }
    if (!options_.read_only) {
      durable_->begin(version_.load(std::memory_order_relaxed));
      log_ = &durable_->log();
    }
  });
  loading_ = false;
  give_up.store = nullptr;
}

void Store::make_room(std::size_t keys) {
  const std::lock_guard lock(structure_);
  const EpochGuard guard(thread_record());
  auto disposal = std::make_unique<Disposal>(Disposal{shared_from_this(), {}});
  dispose_later({table_.reset(table_.make_reset(keys)), 0}, std::move(disposal));
}

void Store::replay(const LoggedOperation& operation) {
  const auto wrong = [](const char* what) -> void { throw Error(Errc::corrupt, what); };
  if (operation.code == OperationCode::clear) {
    drop_contents(false);
    tidy(thread_record());
    return;
  }
  if (operation.code == OperationCode::rename) {
    Value value;
    Deadline deadline = Deadline::none();
    {
      SingleWrite from(*this, operation.key, operation.fresh);
      if (from.entry == nullptr) return wrong("the key to be renamed is absent");
      value = from.entry->value();
      if (from.entry->deadline() != kNoDeadline) deadline = Deadline::at(from.entry->deadline());
      from.plan_removal();
      from.commit();
    }
    SingleWrite to(*this, operation.other_key, true);
    to.plan_value(value, deadline);
    to.commit();
    return;
  }

  SingleWrite write(*this, operation.key, operation.fresh);
  const auto old = [&] { return write.entry != nullptr ? write.entry->value() : Value(); };
  switch (operation.code) {
    case OperationCode::set:
      write.plan_value(*operation.value, deadline_of(operation));
      break;
    case OperationCode::erase:
      if (write.occupant == nullptr) return;
      write.plan_removal();
      break;
    case OperationCode::push:
    case OperationCode::unshift: {
      if (write.entry != nullptr && !write.entry->is_array()) return wrong("it adds to an array, and there is none");
      Queue& queue = write.plan_change_of_array();
      if (operation.code == OperationCode::push) {
        queue.reserve_back(1);
        queue.append_back(*operation.value);
      } else {
        queue.reserve_front(1);
        queue.append_front(*operation.value);
      }
      break;
    }
    case OperationCode::shift:
    case OperationCode::pop: {
      if (write.entry == nullptr || !write.entry->is_array() || write.entry->array_size() == 0) {
        return wrong("it takes an element, and there is none");
      }
      Queue& queue = write.plan_change_of_array();
      operation.code == OperationCode::shift ? queue.take_first(write.removed) : queue.take_last(write.removed);
      break;
    }
    case OperationCode::add:
    case OperationCode::subtract: {
      const Value result = sum(operation.code == OperationCode::add ? Operation::increment : Operation::decrement,
                               operation.key, write.entry != nullptr ? old() : Value(0), *operation.value);
      write.plan_value(result, Deadline::keep());
      write.commit();
      return;
    }
    case OperationCode::merge: {
      if ((write.entry != nullptr && !write.entry->is_object()) || !operation.value->is_object())
        return wrong("it merges, and there are no two objects");
      write.plan_merge(*operation.value);
      break;
    }
    case OperationCode::expire:
      if (write.entry == nullptr) return wrong("it sets a deadline, and the key is absent");
      write.plan_same(deadline_of(operation));
      break;
    default:
      return wrong("there is no such operation");
  }
  write.commit();
}

void Store::acknowledge_logged() {
  ThreadRecord& record = thread_record();
  const LogPlace place{record.appended_segment, record.appended_end};
  record.appended_segment = record.appended_end = 0;
  if (place == LogPlace{} || !log_->waits_for_disk()) return;
  const auto tell = [&](bool succeeded) {
    if (record.due == nullptr) return;
    record.due->for_each([&](CallbackWaiter& each) {
      if (&each.store() == this) each.acknowledge(succeeded);
    });
  };
  try {
    in_context("sync", name_, [&] { log_->acknowledge(place); });
  } catch (const Error&) {
    tell(false);
    throw;
  }
  tell(true);
}

void Store::wait_for_clear(const Chain& chain) const noexcept {
  // A clear that has put its seal waits only for writes that are being published, and for the log.
  while (sealed_.load(std::memory_order_acquire) == &chain) std::this_thread::sleep_for(std::chrono::microseconds(20));
}

void Store::clear_logged() {
  ThreadRecord& record = thread_record();
  Counters& figures = counters(record);
  const std::lock_guard lock(structure_);
  const EpochGuard guard(record);
  // What may fail comes first.
  kept_chains_.reserve(kept_chains_.size() + 1);
  auto disposal = std::make_unique<Disposal>(Disposal{shared_from_this(), {}});
  auto fresh = table_.make_reset();
  struct Seal {
    Store& store;
    explicit Seal(Store& of) : store(of) { store.sealed_.store(store.table_.chain(), std::memory_order_seq_cst); }
    // release: synchronises with standing()
    ~Seal() { store.sealed_.store(nullptr, std::memory_order_release); }
  };
  Dropped old;
  {
    const Seal seal(*this);
    wait_for_publishers();
    // Whoever writes to the old chain from now on sees the seal, and logs nothing: the clear may take its place in the log.
    const PublishingGuard publishing(record);
    check_writable(Operation::clear, {}, record);
    LoggedOperation operation;
    operation.code = OperationCode::clear;
    LogEntry log(*this, Operation::clear, operation, version_.load(std::memory_order_acquire));
    log.complete(operation, record);
    cleared_segment_.store(record.appended_segment, std::memory_order_relaxed);
    cleared_end_.store(record.appended_end, std::memory_order_relaxed);
    old.time = now();
    old.chain = table_.reset(std::move(fresh));
    figures.add(Figure::writes, 1);
  }
  if (cut_.load(std::memory_order_relaxed) != nullptr) {
    kept_chains_.push_back(old);
  } else {
    dispose_later(old, std::move(disposal));
  }
}

void Store::write_checkpoint(bool closing) {
  try {
    in_context(closing ? "close" : "save", name_, [&] {
      const auto checkpoint = durable_->begin_checkpoint([this] { return checkpoint_size(); });
      log_->prepare_generation();
      try {
        fill_checkpoint(*checkpoint);
        durable_->commit(*checkpoint, closing);
      } catch (...) {
        durable_->note_failed(*checkpoint);
        throw;
      }
    });
  } catch (const std::exception& error) {
    const std::lock_guard lock(save_state_);
    last_save_error_ = error.what();
    throw;
  }
  checkpoint_backoff_.succeeded();
  const std::lock_guard lock(save_state_);
  ++saves_;
  last_save_error_.clear();
}

std::uint64_t Store::checkpoint_size() {
  std::uint64_t bytes = kCheckpointStart;
  for (std::uint64_t position = 0;;) {
    const EpochGuard guard(thread_record());
    position = table_.scan(nullptr, position, [&](Word word, std::uint64_t) {
      const Entry* entry = entry_of(word);
      if (entry == nullptr) return;
      const Value value = entry->value();
      LoggedOperation operation;
      operation.code = OperationCode::set;
      operation.key = entry->key();
      operation.value = &value;
      OperationWriter measure;
      measure.write(operation);
      bytes += measure.body_size();
    });
    if (++position == 0) return bytes;
  }
}

void Store::fill_checkpoint(CheckpointWriter& checkpoint) {
  std::optional<RunningCut> cut;
  try {
    cut.emplace(*this, [this](std::uint32_t version) { log_->begin_generation(version + 1); });
  } catch (...) {
    log_->abandon_prepared();
    throw;
  }
  wait_for_publishers();
  log_->end_generation();
  std::vector<CutKey> keys;
  const auto write = [&] {
    for (const CutKey& key : keys) {
      LoggedOperation operation;
      operation.code = OperationCode::set;
      operation.key = key.entry->key();
      operation.value = &key.value;
      // One that has passed meanwhile too: the log may go on from a key that had not expired when it was written.
      if (key.deadline != kNoDeadline) {
        operation.deadline = LoggedOperation::Deadline::at;
        operation.deadline_ms = to_wall_milliseconds(key.deadline);
      }
      checkpoint.add(operation);
    }
    keys.clear();
  };
  constexpr std::size_t kKeysAtOnce = 256;
  for (bool more = true; more;) {
    more = cut->scan(keys);
    if (more && keys.size() < kKeysAtOnce) continue;
    cut->take_left(keys);
    write();
  }
}

void Store::checkpoint_if_due() {
  if (!durable_->checkpoint_due() || now() < next_checkpoint_.load(std::memory_order_relaxed)) return;
  if (checkpointing_.exchange(true, std::memory_order_acq_rel)) return;
  const auto self = weak_from_this().lock();
  if (!self) return;
  try {
    start_thread("cubby-check", [self] {
      const std::lock_guard lock(self->saving_);
      if (!(self->state_.load(std::memory_order_acquire) & kClosed) && self->durable_->checkpoint_due()) {
        try {
          self->write_checkpoint(false);
        } catch (const std::exception&) {
          // stats() shows it; the log goes on
          self->next_checkpoint_.store(deadline_after(self->checkpoint_backoff_.failed()), std::memory_order_relaxed);
        }
      }
      self->checkpointing_.store(false, std::memory_order_release);
    }).detach();
  } catch (const std::system_error&) {
    checkpointing_.store(false, std::memory_order_release);  // no thread to be had: the next growth tries again
  }
}

void Store::close_durable(bool whatever_happens) {
  std::exception_ptr failure;
  const auto attempt = [&](auto&& step) {
    try {
      step();
    } catch (...) {
      if (!whatever_happens) throw;
      failure = std::current_exception();
    }
  };
  // Most of it while calls still go on.
  if (!durable_->log_is_empty()) attempt([&] { write_checkpoint(false); });
  const std::uint32_t open = state_.fetch_or(kClosed, std::memory_order_seq_cst);
  wait_for_publishers();
  try {
    if (!failure) {
      attempt([&] {
        if (!durable_->log_is_empty()) {
          write_checkpoint(true);
        } else {
          in_context("close", name_, [&] { durable_->note_closed(); });
        }
      });
    }
  } catch (...) {
    // What the disk says now is not known: it may be that the store was closed. Then writes must not go on.
    durable_->note_open();
    state_.store(open, std::memory_order_release);
    throw;
  }
  if (!failure) durable_->finish();
  end_calls();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cubby::detail
