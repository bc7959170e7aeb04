// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <system_error>

#include "storage/json_file.hpp"
#include "store/key_write.hpp"
#include "store/maintenance.hpp"

/// JSON file mode: a consistent cut (cut.hpp) is written while everything goes on.

namespace cubby::detail {

namespace {

/// Lets the errors of files say which operation on which store met them.
template <class F>
auto with_context(const char* operation, const std::string& store, F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw Error(static_cast<Errc>(error.code().value()),
                std::string(operation).append(" of store \"").append(store).append("\": ").append(error.what()),
                error.offset());
  }
}

}  // namespace

/// A key in the cut. Owns a reference to its entry.
struct Store::CutKey {
  /// Takes over a reference. REQUIRES: the cut goes on, so that nobody changes the deadline.
  CutKey(Entry* owned, bool was_left) : entry(owned), value(owned->value()), deadline(owned->deadline()), left(was_left) {}
  CutKey(CutKey&& other) noexcept
      : entry(std::exchange(other.entry, nullptr)), value(std::move(other.value)), deadline(other.deadline), left(other.left) {}
  CutKey& operator=(CutKey&& other) noexcept {
    std::swap(entry, other.entry);
    value.swap(other.value);
    std::swap(deadline, other.deadline);
    std::swap(left, other.left);
    return *this;
  }
  ~CutKey() {
    if (entry != nullptr) Entry::release(entry);
  }

  Entry* entry;
  Value value;
  std::int64_t deadline;
  bool left;  ///< by a writer: newer than what the scan may have found before
};

std::vector<Store::CutKey> Store::take_cut() {
  ThreadRecord& record = thread_record();
  Cut* cut = nullptr;
  const Chain* chain = nullptr;
  {
    const std::lock_guard lock(structure_);
    cut = new Cut(version_.load(std::memory_order_relaxed));
    const EpochGuard guard(record);
    // In this order: who reads the raised version sees the cut.
    cut_.store(cut, std::memory_order_release);
    version_.fetch_add(1, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);  // pairs with the one in CommitStatus::commit()
    chain = table_.chain();                               // a clear() from now on keeps it, for us
  }
  struct End {
    Store& store;
    Cut* cut;
    ThreadRecord& record;
    ~End() {
      std::vector<Chain*> kept;
      {
        const std::lock_guard lock(store.structure_);
        store.cut_.store(nullptr, std::memory_order_release);
        kept.swap(store.kept_chains_);
      }
      for (Chain* each : kept)
        store.dispose_later(each, std::make_unique<Disposal>(Disposal{store.shared_from_this(), nullptr}));
      // Writers that still see the cut are inside now.
      retire(
          cut, [](void* old) { delete static_cast<Cut*>(old); }, Epochs::kBatchBytes);
      tidy(record);
    }
  } const end{*this, cut, record};

  std::vector<CutKey> keys;
  collect(chain, *cut, keys);
  // All that the scan has missed is left by now.
  for (Entry* entry : cut->take_left()) keys.emplace_back(entry, true);
  std::sort(keys.begin(), keys.end(), [](const CutKey& one, const CutKey& other) {
    const int order = one.entry->key().compare(other.entry->key());
    return order != 0 ? order < 0 : one.left > other.left;
  });
  keys.erase(std::unique(keys.begin(), keys.end(),
                         [](const CutKey& one, const CutKey& other) { return one.entry->key() == other.entry->key(); }),
             keys.end());
  return keys;
}

void Store::collect(const Chain* chain, Cut& cut, std::vector<CutKey>& keys) {
  ThreadRecord& record = thread_record();
  for (std::uint64_t position = 0;;) {
    const EpochGuard guard(record);
    position = table_.scan(chain, position, [&](Word word, std::uint64_t) {
      const Entry* entry = nullptr;
      if (kind_of(word) == SlotKind::entry) {
        entry = pointer_of<const Entry>(word);
        if (entry->version() > cut.version) return;
      } else {
        auto* marker = pointer_of<Marker>(word);
        if (marker->status->committed_or_barred() && marker->status->version() <= cut.version) {
          entry = marker->after;
        } else if (marker->before != nullptr && marker->before->version() <= cut.version) {
          entry = marker->before;
        }
      }
      if (entry == nullptr) return;
      entry->retain();
      keys.emplace_back(const_cast<Entry*>(entry), false);
    });
    if (++position == 0) return;
  }
}

void Store::write_file(const char* operation) {
  const std::uint64_t writes = figure(Figure::writes);
  try {
    const std::vector<CutKey> keys = take_cut();
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
    with_context(operation, name_, [&] { write_json_file(real_file_system(), file_, saved); });
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
  if (file_.empty()) fail(Errc::config, "save", {}, "the store has no file: give Options::persist when opening it");
  counters(record).count(Operation::save);
  const std::lock_guard lock(saving_);
  check_writable(Operation::save, {}, record);  // close() may have held it: the file is no longer ours then
  write_file("save");
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
    });
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
  if (file_.empty()) fail(Errc::config, "load", {}, "the store has no file: give Options::persist when opening it");
  counters(record).count(Operation::load);
  const std::lock_guard lock(saving_);
  check_writable(Operation::load, {}, record);
  const std::optional<LoadedFile> file = with_context("load", name_, [&] { return read_json_file(real_file_system(), file_); });
  if (!file) fail(Errc::io, "load", {}, "there is no file " + file_.string());
  put_loaded(file->keys);
}

void Store::start() {
  if (!file_.empty()) {
    const std::optional<LoadedFile> file =
        with_context("open", name_, [&] { return read_json_file(real_file_system(), file_); });
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
  const std::lock_guard lock(saving_);
  const bool saves = !file_.empty() && !options_.read_only;
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
  {
    Wakeups wakeups;
    waiters_.end_all(Errc::closed, wakeups);
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
  if (failure) std::rethrow_exception(failure);
}

}  // namespace cubby::detail
