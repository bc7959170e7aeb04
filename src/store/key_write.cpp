// SPDX-License-Identifier: Apache-2.0
#include "store/key_write.hpp"

#include <cubby/error.hpp>

#include "store/maintenance.hpp"

namespace cubby::detail {

KeyWrite::~KeyWrite() { give_up(); }

void KeyWrite::give_up() noexcept {
  if (published_) return;
  discard();
  if (!std::exchange(holds_deadline_, false)) return;
  // release: as the store of a deadline
  entry->deadline_word().fetch_and(~kFrozen, std::memory_order_release);
}

std::int64_t KeyWrite::hold_deadline() noexcept {
  if (!entry->has_deadline()) return kNoDeadline;
  holds_deadline_ = true;
  // acq_rel, as in settle(): an expire() that comes now waits for the key's lock
  return entry->deadline_word().fetch_or(kFrozen, std::memory_order_acq_rel) & ~kFrozen;
}

void KeyWrite::discard() noexcept {
  if (fresh_ != nullptr) {
    // What is left of parts that go on, or are borrowed, still belongs to an old entry.
    if (parts_go_on_) {
      fresh_->is_queue() ? fresh_->queue_to_fill().abandon(entry->queue()) : fresh_->members_to_fill().abandon();
    }
    if (parts_go_on_ || parts_borrowed_) {
      removed.forget();
      Entry::drop(fresh_);
    } else if (shown_) {
      removed.drain([](void* object, void (*free)(void*), std::size_t bytes) { retire(object, free, bytes, kSomewhere); });
      Store::retire_entry(fresh_, hash, nullptr, false);
    } else {
      removed.free_now();
      Entry::dispose(fresh_);
    }
  }
  delete new_reminder_;
  fresh_ = nullptr;
  new_reminder_ = nullptr;
  parts_go_on_ = parts_borrowed_ = false;
}

void KeyWrite::look_up() {
  position = store.table_.locate(*held, hash, [this](Word word) {
    prefetch_entry(word);
    return is_key(word, key);
  });
  occupant = position.word != 0 ? pointer_of<Entry>(position.word) : nullptr;
  entry = occupant != nullptr && !occupant->expired() ? occupant : nullptr;
}

void KeyWrite::plan(const Entry::Plan& plan, Deadline deadline, bool goes_on) {
  discard();
  fresh_ = Entry::make(plan);
  parts_go_on_ = goes_on;
  deadline_ = deadline;
  changes_ = true;
  logged_ = OperationCode::end;
  if (deadline.kind == Deadline::Kind::at && deadline.time != kNoDeadline) {
    const auto* old =
        occupant != nullptr && occupant->has_deadline() ? static_cast<KeyReminder*>(occupant->reminder()) : nullptr;
    if (old == nullptr || old->armed_for > deadline.time) new_reminder_ = new KeyReminder(hash);
  }
}

void KeyWrite::plan_value(const Value& value, Deadline deadline) {
  if (value.is_array() && takers_wait()) {
    Queue& queue = plan_queue(deadline, false);
    queue = Queue::of(value);
    log_as(OperationCode::set, &value);
    return;
  }
  plan({key, &value, expires_with(deadline)}, deadline, false);
  log_as(OperationCode::set, &value);
}

bool KeyWrite::expires_with(const Deadline& deadline) const noexcept {
  return deadline.kind == Deadline::Kind::at || (deadline.kind == Deadline::Kind::keep && entry && entry->has_deadline());
}

Queue& KeyWrite::plan_queue(Deadline deadline, bool goes_on) {
  plan({key, nullptr, expires_with(deadline), Form::queue}, deadline, goes_on);
  return fresh_->queue_to_fill();
}

Members& KeyWrite::plan_members(Deadline deadline, bool goes_on) {
  plan({key, nullptr, expires_with(deadline), Form::members}, deadline, goes_on);
  return fresh_->members_to_fill();
}

Queue& KeyWrite::plan_change_of_array() {
  const bool goes_on = entry != nullptr && entry->is_queue();
  Queue& queue = plan_queue(Deadline::keep(), goes_on);
  if (goes_on) {
    queue = entry->queue();
  } else if (entry != nullptr) {
    queue = Queue::of(entry->value());
  }
  return queue;
}

void KeyWrite::plan_same(Deadline deadline) {
  if (entry->is_queue()) {
    plan_queue(deadline, true) = entry->queue();
  } else if (entry->is_members()) {
    plan_members(deadline, true) = entry->members().successor();
  } else {
    plan_value(entry->value(), deadline);
  }
  log_as(OperationCode::expire);
}

void KeyWrite::plan_removal() noexcept {
  discard();
  changes_ = true;
  // What has expired is absent already.
  log_as(entry != nullptr ? OperationCode::erase : OperationCode::end);
}

bool KeyWrite::takers_wait() const {
  if (!store.table_.has_waiters(*held)) return false;
  bool found = false;
  store.waiters_.visit(hash, key, [&found](const KeyWaiters& waiters) { found = waiters.takers.size() != 0; });
  return found;
}

void KeyWrite::serve(Wakeups& wakeups) noexcept {
  if (fresh_ == nullptr || !store.table_.has_waiters(*held)) [[likely]]
    return;  // absence ends no wait
  store.waiters_.visit(hash, key, [&](KeyWaiters& waiters) { serve_all(waiters, wakeups); });
  if (!store.waiters_.any(held->first, held->last)) store.table_.set_waiters(*held, false);
}

void KeyWrite::serve_all(KeyWaiters& waiters, Wakeups& wakeups) {
  for (;;) {
    // Each state of the key is an instant of its own, also if an element is handed over right after it.
    serve_others(waiters.others, wakeups);
    WaitLink* taker = next_taker(waiters.takers, wakeups);
    if (taker == nullptr) return;
    Waiter& waiter = taker->waiter;
    waiters.takers.erase(*taker);
    if (!waiter.claim()) continue;  // it gave up
    waiter.served_by = taker;
    Queue& queue = fresh_->queue_to_fill();
    waiter.value = waiter.kind == Waiter::Kind::first ? queue.take_first(removed) : queue.take_last(removed);
    wakeups.add(waiter);
    if (store.log_ != nullptr) handed_.push_back(&waiter);
    handed_over_ = true;
  }
}

void KeyWrite::serve_others(WaitLine& line, Wakeups& wakeups) {
  const std::uint64_t generation = held->table->chain->number;
  const bool is_queue = fresh_->is_queue();
  std::optional<Value> shown;
  const auto state = [&]() -> const Value& {
    if (!shown) shown = is_queue ? fresh_->queue().flatten() : fresh_->value();
    return *shown;
  };
  for (WaitLink* link = line.first(); link != nullptr;) {
    Waiter& waiter = link->waiter;
    bool ends = false;
    std::optional<Errc> failure;
    if (link->generation > generation) {
      // came after a clear that this write comes before
    } else if (waiter.kind == Waiter::Kind::predicate) {
      watched_ = true;  // told once the value can be seen
    } else if (waiter.kind == Waiter::Kind::absence) {
      waiter.notify();
      link = line.erase(*link);
      continue;
    } else {
      const bool sizes_differ = waiter.value && fresh_->in_parts() &&
                                (waiter.value->type() != fresh_->type() || waiter.value->size() != fresh_->length());
      try {
        const bool same = waiter.value && !sizes_differ && *waiter.value == state();
        ends = waiter.kind == Waiter::Kind::equal ? same : !same;
        if (ends) state();
      } catch (const Error& error) {  // beyond what one value can be
        ends = true;
        failure = static_cast<Errc>(error.code().value());
      }
    }
    if (!ends) {
      link = link->next;
      continue;
    }
    if (waiter.claim()) {
      if (failure) {
        waiter.error = failure;
      } else {
        waiter.value = state();
      }
      wakeups.add(waiter);
    }
    link = line.erase(*link);
  }
}

/// Who is to be given an element, if there is one. Ends those who can't be given any, and tells an attempt whose turn it is.
WaitLink* KeyWrite::next_taker(WaitLine& line, Wakeups& wakeups) {
  const std::uint64_t generation = held->table->chain->number;
  const bool is_array = fresh_->is_array();
  const bool has_elements = is_array && fresh_->array_size() != 0;
  for (WaitLink* link = line.first(); link != nullptr;) {
    Waiter& waiter = link->waiter;
    if (link->generation > generation) {
      link = link->next;
    } else if (waiter.kind == Waiter::Kind::attempt) {
      if (!has_elements) {
        link = link->next;
        continue;
      }
      const Waiter::State::Notice notice = waiter.notify_attempt();
      if (notice == Waiter::State::Notice::first) wakeups.add(waiter);
      if (notice != Waiter::State::Notice::nobody) return nullptr;  // those behind it wait for it
      link = line.erase(*link);
    } else if (!is_array) {
      if (waiter.claim()) {
        waiter.served_by = link;
        waiter.error = Errc::type_mismatch;
        wakeups.add(waiter);
      }
      link = line.erase(*link);
    } else {
      return has_elements && fresh_->is_queue() ? link : nullptr;
    }
  }
  return nullptr;
}

void KeyWrite::tell_watchers() noexcept {
  if (!watched_) return;
  store.waiters_.visit(hash, key, [](KeyWaiters& waiters) {
    for (WaitLink* link = waiters.others.first(); link != nullptr; link = link->next) {
      if (link->waiter.kind == Waiter::Kind::predicate) link->waiter.notify();
    }
  });
}

void KeyWrite::settle() noexcept {
  if (occupant != nullptr && occupant->has_deadline()) {
    // acq_rel: an expire before it is seen, one after it sees it (invariant 2 of entry.hpp)
    frozen_deadline_ = occupant->deadline_word().fetch_or(kFrozen, std::memory_order_acq_rel) & ~kFrozen;
    if (entry != nullptr && deadline_.kind == Deadline::Kind::keep) final_deadline_ = frozen_deadline_;
  }
  if (deadline_.kind == Deadline::Kind::at) {
    final_deadline_ = deadline_from_ != nullptr ? deadline_from_->frozen_deadline() : deadline_.time;
  }
  if (fresh_ != nullptr && fresh_->has_deadline()) fresh_->deadline_word().store(final_deadline_, std::memory_order_relaxed);
}

void KeyWrite::stamp(std::uint32_t version) noexcept {
  if (fresh_ != nullptr) {
    fresh_->set_version(version);
    fresh_->set_created(entry != nullptr ? entry->created() : version);
  }
  if (entry == nullptr || entry->version() == version) return;
  // acquire: a write that has read the raised version sees the cut (invariant 1 of cut.hpp)
  Cut* cut = store.cut_.load(std::memory_order_acquire);
  if (cut != nullptr && cut->wants(entry->version(), version, held->table->chain)) cut->leave(entry);
}

void KeyWrite::publish() noexcept {
  if (fresh_ == nullptr) {
    if (occupant != nullptr) store.table_.remove(*held, position, hash);
  } else if (occupant != nullptr) {
    store.table_.replace(position, make_word(hash, fresh_, SlotKind::entry));
  } else {
    store.table_.insert(*held, position, hash, make_word(hash, fresh_, SlotKind::entry));
  }
  published_ = true;
}

void KeyWrite::finish(ThreadRecord& record) noexcept {
  KeyReminder* old_reminder =
      occupant != nullptr && occupant->has_deadline() ? static_cast<KeyReminder*>(occupant->reminder()) : nullptr;
  if (fresh_ != nullptr && fresh_->has_deadline()) {
    if (new_reminder_ != nullptr) {
      new_reminder_->armed_for = final_deadline_;
      fresh_->reminder() = new_reminder_;
      if (store.wheel_.arm(*new_reminder_, final_deadline_)) maintenance().wake_at(final_deadline_);
    } else {
      fresh_->reminder() = std::exchange(old_reminder, nullptr);
    }
  }
  if (old_reminder != nullptr) store.drop_reminder(*old_reminder);

  Counters& counters = store.counters(record);
  std::uint64_t bytes = fresh_ != nullptr ? fresh_->bytes() : 0;
  if (occupant != nullptr) {
    bytes -= occupant->bytes();
    if (entry == nullptr) {
      counters.add(Figure::expired, 1);
      store.note_expired(record, *occupant);
    }
  }
  counters.add(Figure::bytes, bytes);
  counters.add(Figure::writes, 1);

  Cut* cut = store.cut_.load(std::memory_order_acquire);
  const auto free_later = [cut](void* object, void (*free)(void*), std::size_t size) {
    if (cut != nullptr) {
      cut->defer(object, free, size);
    } else {
      retire(object, free, size, kSomewhere);
    }
  };
  removed.drain(free_later);
  if (occupant != nullptr) Store::retire_entry(occupant, hash, cut, parts_go_on_);
}

void Store::retire_entry(Entry* entry, std::uint64_t hash, Cut* cut, bool parts_go_on) noexcept {
  if (!entry->in_parts() || parts_go_on) {
    const std::size_t bytes = parts_go_on ? bytes_of(*entry) : entry->bytes();
    retire(
        entry, [](void* old) { Entry::drop(static_cast<Entry*>(old)); }, bytes, place_of(hash));
    return;
  }
  const auto dispose = [](void* old) { Entry::dispose(static_cast<Entry*>(old)); };
  if (cut != nullptr) {
    cut->defer(entry, dispose, entry->bytes());  // invariant 3 of cut.hpp
  } else {
    retire(entry, dispose, entry->bytes(), kSomewhere);
  }
}

SingleWrite::SingleWrite(Store& owner, Operation operation, std::string_view name)
    : KeyWrite(owner, name, hash_key(name)), record(thread_record()), operation_(operation) {
  store.check_key(operation, key);
  guard_.emplace(record, place_of(hash));
  store.check_writable(operation, key, record);  // within the epoch: what was open then keeps its contents until we leave
  store.counters(record).count(operation);
  begin();
}

SingleWrite::SingleWrite(Store& owner, std::string_view name, bool fresh) : SingleWrite(owner, name) {
  entry = fresh ? nullptr : occupant;
}

SingleWrite::SingleWrite(Store& owner, std::string_view name)
    : KeyWrite(owner, name, hash_key(name)), record(thread_record()), operation_(Operation::load) {
  guard_.emplace(record, place_of(hash));
  begin();
}

void SingleWrite::begin() {
  bucket_ = store.table_.lock(hash);
  held = &bucket_;
  look_up();
}

SingleWrite::~SingleWrite() {
  give_up();
  store.table_.unlock(bucket_);
  wakeups_.deliver();
  store.help_after_write(record);
  guard_.reset();
  tidy(record);
}

void SingleWrite::commit() {
  if (!changes_) return;
  for (;;) {
    const PublishingGuard publishing(record);
    if (store.state_.load(std::memory_order_acquire) & Store::kClosed)
      store.fail(Errc::closed, name_of(operation_), key, "the store was closed");
    const Store::Standing standing = store.standing(*bucket_.table->chain);
    if (standing != Store::Standing::sealed) {
      if (standing == Store::Standing::unlogged) store.note_clear(record);
      return carry_out(operation_, record, wakeups_, standing == Store::Standing::logged);
    }
    // A clear() is about to take effect: we come before it, and are seen by nobody.
    record.publishing.store(false, std::memory_order_release);
    store.wait_for_clear(*bucket_.table->chain);
  }
}

void KeyWrite::carry_out(Operation operation, ThreadRecord& record, Wakeups& wakeups, bool logged) {
  if (fresh_ != nullptr && occupant == nullptr) position = store.table_.reserve(*held);
  // acquire: see stamp(). Read after all that the write has looked at (cut.hpp).
  std::uint32_t version = store.version_.load(std::memory_order_acquire);
  KeyWrite* const self[] = {this};
  std::optional<LogEntry> log;
  if (logged && (logged_ != OperationCode::end || !also_logged_.empty() || only_serves_))
    log.emplace(store, operation, self, version);
  // From here on nothing fails.
  serve(wakeups);
  if (only_serves_ && !handed_over_) return;
  settle();
  if (log) {
    log->complete(self, record);
  } else {
    note_logged({record.appended_segment, record.appended_end});
    version = store.version_.load(std::memory_order_acquire);
  }
  stamp(version);
  publish();
  tell_watchers();
  finish(record);
}

bool SingleWrite::commit_later_deadline(std::int64_t deadline) {
  for (;;) {
    const PublishingGuard publishing(record);
    if (store.state_.load(std::memory_order_acquire) & Store::kClosed)
      store.fail(Errc::closed, name_of(operation_), key, "the store was closed");
    const Store::Standing standing = store.standing(*bucket_.table->chain);
    if (standing == Store::Standing::sealed) {
      record.publishing.store(false, std::memory_order_release);
      store.wait_for_clear(*bucket_.table->chain);
      continue;
    }
    // In this order: who reads a version that a cut has raised sees the cut, which wants the old deadline.
    const std::uint32_t version = store.version_.load(std::memory_order_acquire);
    if (!entry->has_deadline() || store.cut_wants(*entry)) return false;
    const std::int64_t seen = entry->deadline_word().load(std::memory_order_acquire);
    if (seen == kNoDeadline || seen >= deadline || is_past(seen)) return false;
    if (standing == Store::Standing::logged) {
      LoggedOperation operation;
      operation.code = OperationCode::expire;
      operation.key = key;
      operation.deadline = LoggedOperation::Deadline::at;
      operation.deadline_ms = to_wall_milliseconds(deadline);
      LogEntry log(store, operation_, operation, version);
      if (is_past(seen)) return false;  // the log may have taken its time
      log.complete(operation, record);
    }
    entry->deadline_word().store(deadline, std::memory_order_release);
    store.counters(record).add(Figure::writes, 1);
    return true;
  }
}

}  // namespace cubby::detail
