// SPDX-License-Identifier: Apache-2.0
#include "store/callback_waiter.hpp"
#include "store/deadlines.hpp"
#include "store/maintenance.hpp"
#include "store/multi_write.hpp"

/// How waits with callbacks begin, and how a line goes on when an attempt has had its turn.

namespace cubby::detail {

namespace {

/// The handle's reference, until there is a handle.
struct Release {
  void operator()(CallbackWaiter* waiter) const noexcept { waiter->release(); }
};

}  // namespace

/// Completes the waiter if what it waits for is there. REQUIRES: the keys held.
bool Store::look_for(CallbackWaiter& waiter, MultiWrite& write, std::span<const std::string_view> keys, Operation operation) {
  if (waiter.kind == Waiter::Kind::attempt) return false;
  for (std::size_t index = 0; index < keys.size(); ++index) {
    KeyWrite& key = write.at(write.index_of(keys[index]));
    waiter.served_by = &waiter.links()[index];
    if (waiter.kind == Waiter::Kind::equal) {
      return key.entry != nullptr && key.entry->value() == *waiter.value;
    }
    if (waiter.kind == Waiter::Kind::change) {
      waiter.value.reset();
      if (key.entry != nullptr) waiter.value = key.entry->value();
      return false;
    }
    if (key.entry == nullptr) continue;
    if (!key.entry->is_array())
      fail(Errc::type_mismatch, name_of(operation), keys[index], "the key holds something else than an array");
    if (key.entry->array_size() == 0) continue;
    const bool last = waiter.kind == Waiter::Kind::last;
    Queue& queue = key.plan_change_of_array();
    Value taken = last ? queue.take_last(key.removed) : queue.take_first(key.removed);
    key.log_as(last ? OperationCode::pop : OperationCode::shift);
    write.commit();
    waiter.value = std::move(taken);
    if (log_ != nullptr) waiter.note_logged({});
    return true;
  }
  return false;
}

Waiting Store::wait_with_callback(Operation operation, Waiter::Kind kind, std::span<const std::string_view> keys,
                                  const Value* expected, Timeout timeout, WaitFunction&& function) {
  if (keys.empty()) fail(Errc::invalid_argument, name_of(operation), {}, "there is no key to wait for");
  std::optional<Value> value;
  if (expected != nullptr) value = *expected;
  std::unique_ptr<CallbackWaiter, Release> waiter(
      CallbackWaiter::make(shared_from_this(), kind, std::move(value), keys.size(), std::move(function)));
  const auto length = timeout.nanoseconds();
  const std::int64_t deadline = length ? deadline_after(*length) : kNever;
  const bool waits = !length || length->count() > 0;
  const bool takes = kind == Waiter::Kind::first || kind == Waiter::Kind::last;
  const auto leave_all = [&] {
    for (WaitLink& link : waiter->links()) waiters_.remove(link);
    note_waiting(-1);
  };
  bool due = true;
  for (bool again = true; again;) {
    again = false;
    MultiWrite write(*this, operation, keys, takes ? MultiWrite::For::writing : MultiWrite::For::waiting);
    waiter->state().settle(true);
    if (look_for(*waiter, write, keys, operation)) {
      waiter->state().settle(false);
    } else if (!waits && kind != Waiter::Kind::attempt) {
      waiter->error = Errc::timeout;
      waiter->state().settle(false);
    } else {
      waiter->served_by = nullptr;
      note_waiting(1);
      bool current = true;
      try {
        for (std::size_t index = 0; index < keys.size(); ++index) {
          KeyWrite& key = write.at(write.index_of(keys[index]));
          WaitLink& link = waiter->links()[index];
          if (key.noted_waiter) continue;  // a key that is named twice
          key.noted_waiter = true;
          link.hash = key.hash;
          current = link_waiter(*key.held, keys[index], link) && current;
        }
      } catch (...) {
        leave_all();
        throw;
      }
      waiter->retain();  // the wait's
      due = kind == Waiter::Kind::attempt;
      if (!current || !waiter->state().arm(due)) {
        leave_all();
        waiter->release();
        again = true;
        continue;
      }
      if (!waits) waiter->state().interrupt(Waiter::State::kTimedOut);  // once it has tried
      if (deadline != kNever && waits) waiter->start_timer(deadline);
      if (due) waiter->deliver();
      return Waiting(waiter.release());
    }
  }
  note_waiting(1);  // until it is called back
  waiter->retain();
  waiter->deliver();
  return Waiting(waiter.release());
}

void Store::note_waiting(int change) noexcept {
  if (change > 0) {
    waiting_.fetch_add(1, std::memory_order_relaxed);
    if (shows_live_figures()) maintenance().wake();
  } else {
    waiting_.fetch_sub(1, std::memory_order_release);
  }
}

void Store::leave_line(WaitLink& link, std::vector<std::string>& behind) {
  if (std::optional<std::string> key = waiters_.remove(link)) behind.push_back(*std::move(key));
}

void Store::serve_line(std::string_view key) noexcept {
  if (state_.load(std::memory_order_acquire) != 0) return;
  try {
    {
      SingleWrite write(*this, key);
      if (write.entry == nullptr || !write.entry->is_array() || write.entry->array_size() == 0) return;
      write.plan_change_of_array();
      write.only_serves();
      write.commit();
    }
    acknowledge();
  } catch (const std::exception&) {
    // Closed, or the log is full: nobody was given anything. Or not synced: those concerned are told.
  }
}

}  // namespace cubby::detail
