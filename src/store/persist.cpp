// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <system_error>

#include "base/thread.hpp"
#include "storage/json_file.hpp"
#include "store/key_write.hpp"
#include "store/maintenance.hpp"
#include "store/running_cut.hpp"

/// JSON file mode: a consistent cut (cut.hpp) is written while everything goes on.

namespace cubby::detail {

std::vector<Store::CutKey> Store::take_cut() {
  RunningCut cut(*this, [](std::uint32_t) {});
  std::vector<CutKey> keys;
  while (cut.scan(keys)) {
  }
  cut.take_left(keys);
  std::sort(keys.begin(), keys.end(), [](const CutKey& one, const CutKey& other) {
    const int order = one.entry->key().compare(other.entry->key());
    return order != 0 ? order < 0 : one.left > other.left;
  });
  keys.erase(std::unique(keys.begin(), keys.end(),
                         [](const CutKey& one, const CutKey& other) { return one.entry->key() == other.entry->key(); }),
             keys.end());
  return keys;
}

void Store::write_file(const char* operation) {
  const std::uint64_t writes = figure(Figure::writes);
  try {
    const std::vector<CutKey> keys = in_context(operation, name_, [&] { return take_cut(); });
    std::vector<SavedKey> saved;
    saved.reserve(keys.size());
    for (const CutKey& key : keys) {
      std::optional<std::int64_t> expires;
      if (key.deadline != kNoDeadline) {
        if (is_past(key.deadline)) continue;
        expires = to_wall_milliseconds(key.deadline);
      }
      saved.push_back({key.entry->key(), key.value, expires});
    }
    in_context(operation, name_, [&] { write_json_file(real_file_system(), file_, saved); });
  } catch (const std::exception& error) {
    const std::lock_guard lock(save_state_);
    last_save_error_ = error.what();
    throw;
  }
  saved_writes_ = writes;
  const std::lock_guard lock(save_state_);
  ++saves_;
  last_save_error_.clear();
}

void Store::save() {
  ThreadRecord& record = thread_record();
  check_writable(Operation::save, {}, record);
  if (file_.empty()) {
    fail(Errc::config, "save", {}, "the store has no file: give Options::persist or Options::directory when opening it");
  }
  counters(record).count(Operation::save);
  const std::lock_guard lock(saving_);
  check_writable(Operation::save, {}, record);  // close() may have held it: the file is no longer ours then
  durable_ ? write_checkpoint(false) : write_file("save");
}

std::int64_t Store::save_if_due(std::int64_t time) {
  const std::int64_t due = next_save_.load(std::memory_order_acquire);
  if (time < due || (state_.load(std::memory_order_acquire) & kClosed)) return due;
  const auto plan_next = [](Store& store) {
    const std::int64_t next = deadline_after(Duration(store.options_.persist_interval).nanoseconds());
    store.next_save_.store(next, std::memory_order_release);
    return next;
  };
  if (figure(Figure::writes) == saved_writes_) return plan_next(*this);
  // A slow disk must not keep maintenance from its other work.
  next_save_.store(kNever, std::memory_order_release);
  try {
    start_thread("cubby-save", [self = shared_from_this(), plan_next] {
      {
        const std::lock_guard lock(self->saving_);
        if (self->state_.load(std::memory_order_acquire) & kClosed) return;
        try {
          self->write_file("save");
        } catch (const std::exception&) {
          // stats() shows it; tried again at the next interval
        }
      }
      maintenance().wake_at(plan_next(*self));
    }).detach();
    return kNever;
  } catch (const std::system_error& error) {
    const std::lock_guard lock(save_state_);
    last_save_error_ = std::string("no thread to save with: ") + error.what();
    return plan_next(*this);
  }
}

void Store::put_loaded(std::span<const LoadedKey> keys) {
  for (const LoadedKey& loaded : keys) {
    std::int64_t deadline = kNoDeadline;
    if (loaded.expires_ms) {
      deadline = from_wall_milliseconds(*loaded.expires_ms);
      if (is_past(deadline)) continue;
    }
    SingleWrite write(*this, loaded.key);
    write.plan_value(loaded.value, loaded.expires_ms ? Deadline::at(deadline) : Deadline::none());
    write.commit();
  }
}

void Store::load() {
  ThreadRecord& record = thread_record();
  check_writable(Operation::load, {}, record);
  if (options_.persist.empty())
    fail(Errc::config, "load", {}, "load is for JSON files: give Options::persist when opening the store");
  counters(record).count(Operation::load);
  const std::lock_guard lock(saving_);
  check_writable(Operation::load, {}, record);
  const std::optional<LoadedFile> file = in_context("load", name_, [&] { return read_json_file(real_file_system(), file_); });
  if (!file) fail(Errc::io, "load", {}, "there is no file " + file_.string());
  put_loaded(file->keys);
}

void Store::start() {
  if (!options_.directory.empty()) {
    start_durable();
  } else if (!file_.empty()) {
    const std::optional<LoadedFile> file = in_context("open", name_, [&] { return read_json_file(real_file_system(), file_); });
    if (!file && options_.read_only) {
      fail(Errc::io, "open", {}, "there is no file " + file_.string() + ", and a read_only store doesn't make one");
    }
    if (file) put_loaded(file->keys);
    saved_writes_ = figure(Figure::writes);
    if (!options_.read_only && options_.persist_interval.count() > 0) {
      next_save_ = deadline_after(Duration(options_.persist_interval).nanoseconds());
    }
  }
  if (options_.read_only) state_.store(kReadOnly, std::memory_order_release);
}

void Store::close(bool whatever_happens) {
  // Not under the lock: the listener's function may be about to save.
  struct EndListener {
    Store& store;
    ~EndListener() {
      if (store.state_.load(std::memory_order_acquire) & kClosed) store.end_listener();
    }
  } const end_listener{*this};
  const std::lock_guard lock(saving_);
  if (log_ != nullptr) return close_durable(whatever_happens);
  const bool saves = !options_.persist.empty() && !options_.read_only;
  std::exception_ptr failure;
  const auto save_last = [&] {
    try {
      write_file("close");
      failure = nullptr;
    } catch (...) {
      if (!whatever_happens) throw;
      failure = std::current_exception();
    }
  };
  if (saves) save_last();
  const std::uint32_t open = state_.fetch_or(kClosed, std::memory_order_seq_cst);
  wait_for_publishers();
  // What was written while the file was, in calls that had not returned before close began or came after it.
  if (saves && figure(Figure::writes) != saved_writes_) {
    try {
      save_last();
    } catch (...) {
      state_.store(open, std::memory_order_release);
      throw;
    }
  }
  end_calls();
  if (failure) std::rethrow_exception(failure);
}

void Store::end_calls() {
  {
    Wakeups wakeups;
    waiters_.end_all(wakeups);
  }
  // The contents stay for those who found the store open, and go once they have left.
  retire(
      new std::shared_ptr<Store>(shared_from_this()),
      [](void* store) {
        maintenance().free_on_thread(store, [](void* object) {
          const std::unique_ptr<std::shared_ptr<Store>> owned(static_cast<std::shared_ptr<Store>*>(object));
          (*owned)->drop_contents(false);
          tidy(thread_record());
        });
      },
      Epochs::kBatchBytes);
  tidy(thread_record());
}

}  // namespace cubby::detail
