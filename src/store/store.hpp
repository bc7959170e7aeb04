// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <cubby/datastore.hpp>
#include <cubby/error.hpp>

#include "base/atomics.hpp"
#include "base/backoff.hpp"
#include "base/hash.hpp"
#include "base/timer_wheel.hpp"
#include "storage/durable_folder.hpp"
#include "store/cut.hpp"
#include "store/entry.hpp"
#include "store/expiry_listener.hpp"
#include "store/marker.hpp"
#include "store/thread_record.hpp"
#include "store/waiters.hpp"
#include "table/hash_table.hpp"
#include "table/memory.hpp"

/// One store: a table of entries, the waiters for its keys, the wheel of its deadlines, and its file.
///
/// How a write works (key_write.hpp has the parts): lock the key's bucket; look at the entry; plan the change, which may fail
/// and has changed nothing then; serve the waiters; freeze the old deadline; take the version; publish; retire what was
/// replaced; unlock; wake who was served. Writes of several keys put markers into their slots before, and take effect when one
/// status word changes (marker.hpp).
///
/// clear() puts an empty table in the place of the old one. A write that entered before goes on with the old table: it takes
/// effect before the clear.
///
/// Lock order: bucket locks (by hash) -> waiter shard, timer shard. Nothing is held while user code runs, but the key's buckets
/// in modify and transact.
///
/// Thread safety: all public members, from any thread.

namespace cubby::detail {

struct KeyReminder;
struct LoadedKey;
struct KeyWrite;
class SingleWrite;
class PlainWrite;
class KeyLook;
class KeyMark;
class ScanBatch;
class CallbackWaiter;
class MultiWrite;

/// What the table needs to know of entries.
class TableTraits {
 public:
  using Bucket = detail::Bucket<StdAtomics>;

  static std::uint64_t hash(Word word) noexcept;
  static void prefetch(Word word) noexcept { __builtin_prefetch(pointer_of<void>(word)); }
  static void prefetch_entry(Word word) noexcept {
    prefetch(word);
    detail::prefetch_entry(word);
  }
  static void dispose(Word word) noexcept;
  static Bucket* make_buckets(std::size_t count) { return static_cast<Bucket*>(allocate_lines(count * sizeof(Bucket))); }
  static void free_buckets(Bucket* buckets, std::size_t count) noexcept { free_lines(buckets, count * sizeof(Bucket)); }
  static void retire(void* object, void (*free)(void*), std::size_t bytes) noexcept { detail::retire(object, free, bytes); }
  static void growing() noexcept;
};

using Table = HashTable<StdAtomics, TableTraits>;

constexpr bool is_scalar(Type type) noexcept { return type != Type::array && type != Type::object; }

/// When a write lets the key expire.
struct Deadline {
  enum class Kind : std::uint8_t { keep, none, at } kind = Kind::keep;
  std::int64_t time = kNoDeadline;  ///< monotonic, `at` only

  static Deadline keep() noexcept { return {}; }
  static Deadline none() noexcept { return {Kind::none, kNoDeadline}; }
  static Deadline at(std::int64_t time) noexcept { return {Kind::at, as_deadline(time)}; }
};

class Store : public std::enable_shared_from_this<Store> {
 public:
  /// `file` is where Options::persist leads, wherever the process goes.
  Store(std::string name, Options options, std::filesystem::path file, bool is_sys);
  /// REQUIRES: closed, and nobody holds it.
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::string& name() const noexcept { return name_; }
  const Options& options() const noexcept { return options_; }

  // --- read.cpp
  std::optional<Value> get(std::string_view key);
  bool visit(std::string_view key, FunctionRef<void(const Value&)> f);
  std::optional<Type> visit_scalar(std::string_view key, FunctionRef<void(const Value&)> f);
  bool exists(std::string_view key);
  std::optional<Type> type(std::string_view key);
  std::optional<std::size_t> length(std::string_view key);
  Value slice(std::string_view key, std::size_t first, std::size_t count);
  std::optional<Value> member(std::string_view key, std::string_view name);
  std::optional<std::size_t> visit_members(std::string_view key, std::span<const std::string_view> names,
                                           FunctionRef<void(std::size_t, const Value&)> f);
  std::optional<std::size_t> visit_members(std::string_view key, std::size_t first, std::size_t count,
                                           FunctionRef<void(std::string_view, const Value&)> f);
  /// kNoDeadline if the key has none, or is absent.
  std::int64_t deadline(Operation operation, std::string_view key);
  std::size_t size();
  Stats stats();
  void check_open(const char* operation);

  // --- batch.cpp
  std::size_t visit_many(std::span<const std::string_view> keys, FunctionRef<void(std::size_t, const Value&)> f);
  void prefetch(std::span<const std::string_view> keys);

  // --- scan.cpp
  std::vector<std::string> keys(std::string_view prefix);
  void scan(const char* operation, std::string_view prefix, FunctionRef<bool(std::string_view, const Value&)> f);
  /// Calls `f` for some `count` keys from the cursor on; the cursor to go on with, 0 at the end.
  std::uint64_t scan_on(std::uint64_t cursor, std::size_t count, bool with_values,
                        FunctionRef<void(std::string_view, Type, const Value&)> f);
  std::optional<std::string> random_key();

  // --- write.cpp
  void set(std::string_view key, const Value& value, Deadline deadline, bool expired_already = false);
  bool set_once(std::string_view key, const Value& value, Deadline deadline, bool expired_already = false);
  std::optional<Value> swap(std::string_view key, const Value& value);
  /// The short way (plain_write.hpp); false if something else is needed. REQUIRES: the value's size checked.
  bool set_plainly(Operation operation, std::string_view key, const Value& value, Deadline deadline);
  Value increment(Operation operation, std::string_view key, const Value& delta);
  std::optional<Value> modify(std::string_view key, FunctionRef<std::optional<Value>(std::optional<Value>)> f);
  bool erase(std::string_view key);
  std::optional<Value> take(std::string_view key);
  void clear();

  // --- objects.cpp
  Value update(std::string_view key, const Value& patch);
  MembersChanged change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied);
  std::optional<Value> modify_member(std::string_view key, std::string_view name,
                                     FunctionRef<std::optional<Value>(std::optional<Value>)> f);

  // --- arrays.cpp
  std::size_t push(std::string_view key, const Value& value, bool at_front);
  std::optional<Value> shift(std::string_view key, bool last, WhenEmptied when_emptied);

  // --- wait.cpp
  std::optional<Value> shift_wait(std::string_view key, bool last, Timeout timeout, const std::stop_token& stop);
  Value wait(std::string_view key, const Value* expected, Timeout timeout, const std::stop_token& stop);
  Value wait_for(std::string_view key, FunctionRef<bool(const Value&)> predicate, Timeout timeout, const std::stop_token& stop);

  // --- callback_wait.cpp
  Waiting wait_with_callback(Operation operation, Waiter::Kind kind, std::span<const std::string_view> keys,
                             const Value* expected, Timeout timeout, WaitFunction&& function);
  void note_waiting(int change) noexcept;
  /// Of an attempt: adds the key to `behind` if others stand behind it.
  void leave_line(WaitLink& link, std::vector<std::string>& behind);
  /// Gives those who stand in line for the key what is there, after an attempt has had its turn.
  void serve_line(std::string_view key) noexcept;

  // --- transact.cpp
  void transact(std::span<const std::string_view> keys, FunctionRef<void(Transaction&)> f);
  void rename(std::string_view from, std::string_view to);

  // --- key_mark.cpp
  KeyVersion version(std::string_view key);
  bool unchanged(std::string_view key, const KeyVersion& version);
  static const KeyMark* mark_of(const KeyVersion& version) noexcept;

  // --- expiry.cpp
  /// Empty: past already, so the key is removed.
  void expire(Operation operation, std::string_view key, std::optional<std::int64_t> deadline);
  bool remove_expiry(std::string_view key);
  /// Removes what has expired, up to `most` keys; how many reminders were looked at.
  std::size_t reap(std::size_t most);
  /// When to reap again.
  std::int64_t next_reminder() const noexcept;

  // --- expiry_listener.cpp
  void on_expired(std::function<void(std::string_view)> f);
  /// Notes that the entry has expired and left the table, to be told at the end of the call. REQUIRES: an EpochGuard, or the
  /// table's reference.
  void note_expired(ThreadRecord& record, const Entry& entry) noexcept;
  void tell_expired(std::string_view key) noexcept;

  // --- persist.cpp
  void save();
  void load();
  /// Reads the file or folder, and lets the store begin.
  void start();
  /// Begins to save, on a thread of its own, if the interval has passed; the time to look again.
  std::int64_t save_if_due(std::int64_t now);

  // --- durable.cpp
  /// Returns once what the running call has logged is as safe as Options::sync asks for. Throws Errc::io if it is not.
  void acknowledge() {
    if (log_ != nullptr) acknowledge_logged();
  }

  // --- closing, by the registry
  /// Final save, then closes. Throws, and leaves the store open, if saving fails; with `whatever_happens` it throws too, but is
  /// closed then.
  void close(bool whatever_happens);

  // --- maintenance
  bool table_moving() {
    const EpochGuard guard(thread_record());
    return table_.moving();
  }
  /// True when nothing is left to move.
  bool move_table();
  /// Brings the figures of "sys" up to date.
  void refresh_sys();
  bool shows_live_figures() const noexcept { return (state_.load(std::memory_order_relaxed) & kSys) != 0; }
  bool has_waiters() const noexcept { return waiting_.load(std::memory_order_relaxed) != 0; }
  /// Sums up a figure of all threads.
  std::uint64_t figure(Figure which) const;
  std::uint64_t operations(Operation which) const;

 private:
  friend struct KeyWrite;
  friend class LogEntry;
  friend class SingleWrite;
  friend class PlainWrite;
  friend class KeyLook;
  friend class TransactionState;
  friend class MultiWrite;
  friend class KeyMark;

  static constexpr std::size_t kBucketsToHelp = 4;
  static constexpr std::uint32_t kWritesBetweenChecks = 32;
  enum StateFlags : std::uint32_t { kClosed = 1, kSys = 2, kReadOnly = 4 };
  using Chain = Table::Chain;

  // --- errors.cpp: checks and the texts of errors
  [[noreturn]] void fail(Errc code, const char* operation, std::string_view key, std::string_view what) const;
  void check_key(Operation operation, std::string_view key) const {
    if (key.size() > kMaxKeyBytes) [[unlikely]]
      fail_key_size(operation, key);
  }
  [[noreturn]] void fail_key_size(Operation operation, std::string_view key) const;
  void check_value_size(Operation operation, std::string_view key, const Value& value) const {
    if (options_.max_value_bytes != 0 && ValueAccess::stored_size(value) > options_.max_value_bytes) [[unlikely]] {
      fail_value_size(operation, key, ValueAccess::stored_size(value));
    }
  }
  /// Of an object by the size of its node, also where that isn't made.
  void check_object_size(Operation operation, std::string_view key, std::uint64_t bytes) const {
    if ((options_.max_value_bytes != 0 && bytes > options_.max_value_bytes) || bytes > node::kMaxNodeSize) [[unlikely]]
      fail_value_size(operation, key, bytes);
  }
  /// Of a write: the key holds an object, or is absent.
  void check_object(Operation operation, std::string_view key, const Entry* entry) const {
    if (entry != nullptr && !entry->is_object()) [[unlikely]]
      fail_object(name_of(operation), key);
  }
  [[noreturn]] void fail_object(const char* operation, std::string_view key) const;
  /// Of an item for an array or object, which adds a level.
  void check_item_depth(Operation operation, std::string_view key, const Value& item) const {
    if (ValueAccess::depth(item) >= node::kMaxDepth) [[unlikely]]
      fail_depth(operation, key);
  }
  [[noreturn]] void fail_length(const char* operation, std::string_view key) const;
  [[noreturn]] void fail_depth(Operation operation, std::string_view key) const;
  [[noreturn]] void fail_value_size(Operation operation, std::string_view key, std::size_t size) const;
  /// Of every read.
  void check_readable(const char* operation, std::string_view key) {
    if (state_.load(std::memory_order_acquire) & (kClosed | kSys)) [[unlikely]]
      check_readable_slow(operation, key);
  }
  void check_readable(Operation operation, std::string_view key) {
    if (state_.load(std::memory_order_acquire) & (kClosed | kSys)) [[unlikely]]
      check_readable_slow(name_of(operation), key);
  }
  void check_readable_slow(const char* operation, std::string_view key);
  /// Of everything but reads of a key: not from within modify or transact.
  void check_not_locked(const char* operation, std::string_view key, const ThreadRecord& record) const {
    for (const LockedStore* each = record.locked; each != nullptr; each = each->outer) {
      if (each->store == this) fail_locked(operation, key);
    }
  }
  [[noreturn]] void fail_locked(const char* operation, std::string_view key) const;
  void check_writable(Operation operation, std::string_view key, const ThreadRecord& record) const {
    if (state_.load(std::memory_order_acquire) != 0) [[unlikely]]
      fail_not_writable(operation, key);
    check_not_locked(name_of(operation), key, record);
  }
  [[noreturn]] void fail_not_writable(Operation operation, std::string_view key) const;
  void check_may_wait(Operation operation, std::string_view key, const ThreadRecord& record) const;

  template <class F>
  std::invoke_result_t<F&, const Entry&, ThreadRecord&> look_at(Operation operation, std::string_view key, F&& f);
  std::uint64_t take_bucket(std::uint64_t position, ScanBatch& batch);
  /// The live entry of the key, or null. REQUIRES: within an epoch.
  const Entry* find(std::uint64_t hash, std::string_view key) const {
    const Entry* found = nullptr;
    table_.find(hash, [&found, key](Word word) {
      prefetch_entry(word);
      if (!is_key(word, key)) return false;
      found = entry_of(word);
      return true;
    });
    return found != nullptr && !found->expired() ? found : nullptr;
  }
  Counters& counters(ThreadRecord& record) { return record.counters(number_); }

  /// An operation on a number, for increment and decrement alike.
  Value sum(Operation operation, std::string_view key, const Value& left, const Value& right) const;
  Value shift_now(SingleWrite& write, bool last);
  /// Calls the user's function of modify or modify_member.
  std::optional<Value> call_locked(ThreadRecord& record, FunctionRef<std::optional<Value>(std::optional<Value>)> f,
                                   std::optional<Value> old);
  std::optional<Value> await(Operation operation, std::string_view key, ThreadWaiter& waiter, std::int64_t deadline,
                             const std::stop_token& stop);
  /// Puts a waiter into the key's line; false if clear() or close() came between, and it has to look again: it stands there all
  /// the same. REQUIRES: the bucket held; the link's hash is set.
  bool link_waiter(const Table::Held& held, std::string_view key, WaitLink& link);
  bool look_for(CallbackWaiter& waiter, MultiWrite& write, std::span<const std::string_view> keys, Operation operation);
  /// Adds a waiter to the key's list; false if clear() came between, and it has to look again. REQUIRES: the bucket held.
  bool add_waiter(const Table::Held& held, std::uint64_t hash, std::string_view key, ThreadWaiter& waiter);
  void help_after_write(ThreadRecord& record) {
    table_.help(kBucketsToHelp);
    if (loading_) return;
    if (++record.writes_to_check % kWritesBetweenChecks == 0) reap_backlog();
  }
  void reap_backlog();
  /// Whether a running cut wants the entry left as it is.
  bool cut_wants(const Entry& entry) const noexcept;
  /// Frees an entry that is out of the table, with its parts unless these go on in another entry.
  static void retire_entry(Entry* entry, std::uint64_t hash, Cut* cut, bool parts_go_on) noexcept;
  /// Removes, or arms again, what has this hash; false if its bucket is busy.
  bool reap_hash(ThreadRecord& record, std::uint64_t hash);
  /// Takes a reminder out of the wheel and frees it later.
  void drop_reminder(Reminder& reminder) noexcept;
  void dispose(Word word, std::int64_t dropped_at) noexcept;
  /// What clear() or close() has put out of use, and when: what had expired by then has expired, and wasn't cleared.
  struct Dropped {
    Chain* chain = nullptr;
    std::int64_t time = 0;
  };
  struct Disposal {
    std::shared_ptr<Store> store;
    Dropped dropped;
    void run();
  };
  void dispose_later(Dropped dropped, std::unique_ptr<Disposal> disposal) noexcept;
  void replace_listener(std::shared_ptr<ExpiryListener> listener, const char* operation);
  void end_listener() noexcept;
  struct CutKey;
  class RunningCut;
  /// All keys at one instant, sorted.
  std::vector<CutKey> take_cut();
  /// REQUIRES: saving_ held.
  void write_file(const char* operation);
  void put_loaded(std::span<const LoadedKey> keys);
  /// After the last save: ends the waiters, and lets the contents go once everybody has left.
  void end_calls();
  /// Lets the errors of files say which operation on which store met them.
  template <class F>
  static auto in_context(const char* operation, const std::string& store, F&& f) {
    try {
      return f();
    } catch (const Error& error) {
      throw Error(static_cast<Errc>(error.code().value()),
                  std::string(operation).append(" of store \"").append(store).append("\": ").append(error.what()),
                  error.offset());
    }
  }

  // --- durable.cpp
  void start_durable();
  /// Carries out what a checkpoint or the log says. REQUIRES: the store is being loaded.
  /// An empty table with room for so many keys. REQUIRES: nobody uses the store.
  void make_room(std::size_t keys);
  void replay(const LoggedOperation& operation);
  void close_durable(bool whatever_happens);
  /// Writes a checkpoint; `closing`: the last one, as nobody writes any more. REQUIRES: saving_ held.
  void write_checkpoint(bool closing);
  /// Of what the store holds now, as it comes.
  std::uint64_t checkpoint_size();
  /// Begins the generation that was prepared, and writes what the store holds at that moment.
  void fill_checkpoint(CheckpointWriter& checkpoint);
  /// Begins one on a thread of its own, if it is due and none is running. Called by the log's thread.
  void checkpoint_if_due();
  void acknowledge_logged();
  void clear_logged();

  /// How a write of this table chain stands to the log. REQUIRES: within a PublishingGuard.
  enum class Standing : std::uint8_t {
    logged,
    unlogged,  ///< the store is in memory only, or a clear() has taken effect already: nobody will see the write
    sealed,    ///< a clear() is about to
  };
  Standing standing(const Chain& chain) const noexcept {
    if (log_ == nullptr) return Standing::unlogged;
    // acquire: synchronises with clear_logged(). Who finds no seal any more finds the new chain.
    if (sealed_.load(std::memory_order_acquire) == &chain) return Standing::sealed;
    return table_.chain() == &chain ? Standing::logged : Standing::unlogged;
  }
  /// For a write that a clear() has overtaken: it is as safe as that is. In memory: nothing.
  void note_clear(ThreadRecord& record) const noexcept {
    if (log_ == nullptr) return;
    record.appended_segment = cleared_segment_.load(std::memory_order_relaxed);
    record.appended_end = cleared_end_.load(std::memory_order_relaxed);
  }
  /// Returns when the chain is not sealed any more.
  void wait_for_clear(const Chain& chain) const noexcept;
  /// Puts an empty table in the place of the contents; `by_user`: as clear() does, unless the store was closed. To be tidied up
  /// after.
  void drop_contents(bool by_user);

  // What reads touch.
  alignas(64) std::atomic<std::uint32_t> state_;
  const std::uint32_t number_;  ///< which counters are ours
  TableTraits traits_;
  Table table_;
  // What writes touch besides.
  alignas(64) std::atomic<std::uint32_t> version_{0};
  std::atomic<Cut*> cut_{nullptr};
  std::atomic<std::size_t> waiting_{0};
  WaiterLists waiters_;
  TimerWheel wheel_;
  Log* log_ = nullptr;  ///< of durable_; null in memory, and while the store is loaded
  std::atomic<const Chain*> sealed_{nullptr};
  std::atomic<std::uint64_t> cleared_segment_{0}, cleared_end_{0};  ///< where the last clear() is in the log

  const std::string name_;
  const Options options_;
  const std::filesystem::path file_;
  std::array<std::uint64_t, kOperations + kFigures> baseline_{};  ///< of counters that another store had before

  std::mutex busy_;                         ///< the next one
  std::vector<std::uint64_t> busy_hashes_;  ///< to be reaped, but their buckets were held
  std::atomic<std::size_t> busy_count_{0};
  std::mutex listening_;                                          ///< the next two
  std::shared_ptr<ExpiryListener> listener_;                      ///< null: nobody is told
  std::vector<std::shared_ptr<ExpiryListener>> ended_listeners_;  ///< whose calls nobody has waited for
  std::atomic<bool> tells_expired_{false};
  std::atomic<std::int64_t> last_horizon_{0};    ///< when a scan raised the version last
  std::mutex structure_;                         ///< clear, and the begin and end of a cut
  std::mutex saving_;                            ///< one save or load at a time
  std::vector<Dropped> kept_chains_;             ///< cleared while there was a cut; under structure_
  std::atomic<std::uint64_t> saved_writes_{0};   ///< figure(writes) when the last save began
  std::atomic<std::int64_t> next_save_{kNever};  ///< when an interval ends; never while such a save is running
  bool loading_ = false;                         ///< deadlines are not looked at yet
  std::unique_ptr<DurableFolder> durable_;       ///< under saving_, but for its log
  std::atomic<bool> checkpointing_{false};
  std::atomic<std::int64_t> next_checkpoint_{0};                                   ///< not before; after one that failed
  Backoff checkpoint_backoff_{std::chrono::seconds(1), std::chrono::seconds(64)};  ///< under saving_
  std::mutex refreshing_;                                                          ///< sys: one refresh at a time
  mutable std::mutex save_state_;                                                  ///< the next two
  std::uint64_t saves_ = 0;
  std::string last_save_error_;
};

}  // namespace cubby::detail
