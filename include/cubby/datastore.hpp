// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ranges>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <cubby/error.hpp>
#include <cubby/function_ref.hpp>
#include <cubby/key_version.hpp>
#include <cubby/options.hpp>
#include <cubby/transaction.hpp>
#include <cubby/value.hpp>
#include <cubby/waiting.hpp>

namespace cubby {

namespace detail {

class Store;

}  // namespace detail

/// Which element a queue gives.
enum class End { first, last };

/// A handle to a named store. Cheap to copy; all handles to a name are the same store.
///
/// Keys are byte strings of 0 to 65,535 bytes (longer: Errc::invalid_argument).
///
/// Thread safety: every member may be called from any thread on any handle. Operations on a key are linearizable. get, visit,
/// exists, type, length, slice, member, visit_members, ttl and deadline take no lock and write nothing shared.
///
/// Errors: all calls throw cubby::Error; after the store was closed with Errc::closed. A call that throws has changed nothing.
class Datastore {
 public:
  /// The store's name, as given to open().
  std::string_view name() const noexcept;

  /// Stores `value`. A deadline that the key has is kept.
  void set(std::string_view key, const Value& value);
  /// Stores `value` and gives the key `ttl` to live; zero or less removes the key.
  void set(std::string_view key, const Value& value, Duration ttl);
  /// Stores `value` and lets the key live until then; a time that is past removes the key.
  void set(std::string_view key, const Value& value, TimePoint deadline);
  /// Stores `value` and drops the deadline: the key lives for ever.
  void set(std::string_view key, const Value& value, std::nullopt_t);
  /// Stores only if the key is absent. True if stored.
  bool set_once(std::string_view key, const Value& value);
  bool set_once(std::string_view key, const Value& value, Duration ttl);
  bool set_once(std::string_view key, const Value& value, TimePoint deadline);

  /// The value, or empty if the key is absent. A stored null is a value.
  std::optional<Value> get(std::string_view key) const;

  /// Calls `f(const Value&)` on the value in place; true if the key was there. Keep `f` short: memory that is retired meanwhile
  /// is kept until it returns. It may call the store, waiting calls and close excepted.
  template <class F>
    requires std::invocable<F&, const Value&>
  bool visit(std::string_view key, F&& f) const {
    return visit_impl(key, [&f](const Value& value) { std::invoke(f, value); });
  }
  /// The same, but `f` is called only if the key holds neither an array nor an object, so that none is put together for it. The
  /// type of what is there; empty if the key is absent.
  template <class F>
    requires std::invocable<F&, const Value&>
  std::optional<Type> visit_scalar(std::string_view key, F&& f) const {
    return visit_scalar_impl(key, [&f](const Value& value) { std::invoke(f, value); });
  }

  /// Visits several keys, each at an instant of its own: calls `f(index, const Value&)` for those that are there, in their
  /// order, and returns how many. Their cache misses come at the same time, so it is several times faster than as many calls of
  /// visit on keys that aren't in the cache. `f` as that of visit.
  template <class Keys, class F>
    requires detail::KeyRange<Keys> && std::invocable<F&, std::size_t, const Value&>
  std::size_t visit_many(Keys&& keys, F&& f) const {
    const auto call = [&f](std::size_t index, const Value& value) { std::invoke(f, index, value); };
    if constexpr (std::convertible_to<Keys, std::span<const std::string_view>>) {
      return visit_many_impl(keys, call);
    } else {
      return with_keys(keys, [&](std::span<const std::string_view> views) { return visit_many_impl(views, call); });
    }
  }
  /// Brings what is known of these keys into the cache, for calls of any kind that follow at once: some 32 keys are a good
  /// measure. A hint that changes nothing, whatever becomes of the keys.
  template <class Keys>
    requires detail::KeyRange<Keys>
  void prefetch(Keys&& keys) const {
    if constexpr (std::convertible_to<Keys, std::span<const std::string_view>>) {
      prefetch_impl(keys);
    } else {
      with_keys(keys, [&](std::span<const std::string_view> views) { prefetch_impl(views); });
    }
  }

  /// Stores `value` and returns the old one.
  std::optional<Value> swap(std::string_view key, const Value& value);

  /// Adds to a number; an absent key counts as 0. Returns the new value. Errc::type_mismatch if either side is no number,
  /// Errc::overflow past int64.
  Value increment(std::string_view key, const Value& delta = 1);
  Value decrement(std::string_view key, const Value& delta = 1);

  /// Appends to (prepends to) an array, which is made if absent. Returns its new length. O(1) at any length.
  std::size_t push(std::string_view key, const Value& value);
  std::size_t unshift(std::string_view key, const Value& value);

  /// Takes the first (last) element; empty if the array is. Errc::key_not_found if the key is absent. O(1) at any length.
  /// With WhenEmptied::erase the call that takes the last element removes the key too, at the same instant; one that finds the
  /// array empty removes the key and gives nothing.
  std::optional<Value> shift(std::string_view key, WhenEmptied when_emptied = WhenEmptied::keep);
  std::optional<Value> pop(std::string_view key, WhenEmptied when_emptied = WhenEmptied::keep);

  /// The same, waiting for an element, in order of arrival; the key may be absent. Empty on timeout. With a stop token,
  /// Errc::cancelled once it is stopped. Errc::type_mismatch if the key holds, or comes to hold, something else than an array.
  std::optional<Value> shift_wait(std::string_view key, Timeout timeout, std::stop_token stop = {});
  std::optional<Value> pop_wait(std::string_view key, Timeout timeout, std::stop_token stop = {});

  /// Waits until the key holds a value unequal to the one at the call, or any value if it was absent. Errc::timeout.
  Value wait(std::string_view key, Timeout timeout, std::stop_token stop = {}) const;
  /// Waits until the key equals `expected`, however briefly. Errc::timeout.
  Value wait(std::string_view key, const Value& expected, Timeout timeout, std::stop_token stop = {}) const;
  /// Waits until `predicate(value)` is true; for an array it is given the length. The predicate runs on the calling thread,
  /// under no lock, and may skip values that were overwritten meanwhile. Returns the value. Errc::timeout.
  template <class Predicate>
    requires std::predicate<Predicate&, const Value&>
  Value wait_for(std::string_view key, Predicate&& predicate, Timeout timeout, std::stop_token stop = {}) const {
    return wait_for_impl(
        key, [&predicate](const Value& value) -> bool { return std::invoke(predicate, value); }, timeout, std::move(stop));
  }

  // Waiting with a callback instead of a thread: see Waiting for when, where and how often it is called.

  /// Takes an element from whichever of the keys has one first, in order of arrival with all that wait for it; at the call they
  /// are looked at in the order given. Then calls `callback(WaitResult)`. Errc::type_mismatch, thrown or in the result, if a
  /// key holds, or comes to hold, something else than an array.
  template <class Keys, class F>
    requires detail::KeyRange<Keys> && std::invocable<F&, WaitResult>
  [[nodiscard]] Waiting shift_async(Keys&& keys, End end, Timeout timeout, F callback) {
    return with_keys(keys, [&](std::span<const std::string_view> views) {
      return shift_async_impl(views, end, timeout, ending(std::move(callback)));
    });
  }
  template <class F>
    requires std::invocable<F&, WaitResult>
  [[nodiscard]] Waiting shift_async(std::initializer_list<std::string_view> keys, End end, Timeout timeout, F callback) {
    return shift_async_impl({keys.begin(), keys.size()}, end, timeout, ending(std::move(callback)));
  }

  /// As wait, and then calls `callback(WaitResult)`.
  template <class F>
    requires std::invocable<F&, WaitResult>
  [[nodiscard]] Waiting wait_async(std::string_view key, Timeout timeout, F callback) const {
    return wait_async_impl(key, nullptr, timeout, ending(std::move(callback)));
  }
  template <class F>
    requires std::invocable<F&, WaitResult>
  [[nodiscard]] Waiting wait_async(std::string_view key, const Value& expected, Timeout timeout, F callback) const {
    return wait_async_impl(key, &expected, timeout, ending(std::move(callback)));
  }

  /// For what takes more than shift_async does. Calls `attempt(std::error_code)` without an error at once, and again whenever
  /// one of the keys has elements, until it returns true: it has taken them, say by transact, and the wait is over. It stands
  /// in line as shift_async does: those behind it get no element before it has had its turn. Others may take the element in
  /// between; then it returns false and keeps its place. What it looks at it has to look at by calls that write (transact,
  /// modify, shift): these wait for the write that has brought the element. With an error (Errc::timeout, closed) it is called
  /// for the last time.
  template <class Keys, class F>
    requires detail::KeyRange<Keys> && std::is_invocable_r_v<bool, F&, std::error_code>
  [[nodiscard]] Waiting attempt_async(Keys&& keys, Timeout timeout, F attempt) const {
    return with_keys(keys, [&](std::span<const std::string_view> views) {
      return attempt_async_impl(views, timeout, trying(std::move(attempt)));
    });
  }
  template <class F>
    requires std::is_invocable_r_v<bool, F&, std::error_code>
  [[nodiscard]] Waiting attempt_async(std::initializer_list<std::string_view> keys, Timeout timeout, F attempt) const {
    return attempt_async_impl({keys.begin(), keys.size()}, timeout, trying(std::move(attempt)));
  }

  bool exists(std::string_view key) const;
  /// What kind of value the key holds; empty if it is absent. O(1).
  std::optional<Type> type(std::string_view key) const;
  /// How many elements (members, bytes) its array (object, string or binary) has; empty if the key is absent. O(1).
  /// Errc::type_mismatch for other values.
  std::optional<std::size_t> length(std::string_view key) const;
  /// Copies the elements [first, first + count) of an array, as far as it has them, without copying the others; an absent key
  /// counts as []. Errc::type_mismatch if the key holds something else.
  Value slice(std::string_view key, std::size_t first, std::size_t count) const;

  /// A member of an object, without copying the others; empty if it or the key is absent. Errc::type_mismatch if the key holds
  /// something else. This and what follows take time that is logarithmic in the number of members.
  std::optional<Value> member(std::string_view key, std::string_view name) const;
  /// Visits members at one instant: calls `f(index, const Value&)` for those that are there, in the order of `names`. Returns
  /// how many; empty if the key is absent. `f` as that of visit, errors as those of member.
  template <class Names, class F>
    requires detail::KeyRange<Names> && std::invocable<F&, std::size_t, const Value&>
  std::optional<std::size_t> visit_members(std::string_view key, Names&& names, F&& f) const {
    return detail::with_keys(names, [&](std::span<const std::string_view> views) {
      return visit_members_impl(key, views, [&f](std::size_t index, const Value& value) { std::invoke(f, index, value); });
    });
  }
  template <class F>
    requires std::invocable<F&, std::size_t, const Value&>
  std::optional<std::size_t> visit_members(std::string_view key, std::initializer_list<std::string_view> names, F&& f) const {
    return visit_members(key, std::span<const std::string_view>(names.begin(), names.size()), f);
  }
  /// Calls `f(string_view name, const Value&)` for the members [first, first + count) in the order of their names, as far as
  /// the object has them. Returns how many it has; else as above.
  template <class F>
    requires std::invocable<F&, std::string_view, const Value&>
  std::optional<std::size_t> visit_members(std::string_view key, std::size_t first, std::size_t count, F&& f) const {
    return visit_members_impl(key, first, count,
                              [&f](std::string_view name, const Value& value) { std::invoke(f, name, value); });
  }

  /// Moves value and deadline, at one instant for both keys. `from` absent: Errc::key_not_found; `to` present, or the same key:
  /// Errc::key_exists.
  void rename(std::string_view from, std::string_view to);
  /// Removes the key; true if it was there.
  bool erase(std::string_view key);
  /// Removes the key and returns its value.
  std::optional<Value> take(std::string_view key);
  /// Removes all keys at one instant.
  void clear();

  /// Sets the time to live (Options::default_ttl); zero or less removes the key now. Errc::key_not_found if absent.
  void expire(std::string_view key, Duration ttl);
  void expire(std::string_view key);
  /// Sets the deadline; a time that is past removes the key now. Errc::key_not_found if absent.
  void expire_at(std::string_view key, TimePoint deadline);
  /// Time left; empty if the key has no deadline, or is absent.
  std::optional<std::chrono::nanoseconds> ttl(std::string_view key) const;
  /// The deadline by the wall clock, to the millisecond: what expire_at was given, as long as nobody sets that clock. Empty as
  /// ttl.
  std::optional<TimePoint> deadline(std::string_view key) const;
  /// Drops the deadline; true if there was one.
  bool remove_expiry(std::string_view key);

  /// Deep merge (RFC 7396: a null deletes a member); an absent key counts as {}. Returns the new value. Errc::type_mismatch if
  /// either side is no object.
  Value update(std::string_view key, const Value& patch);
  /// The same without the new value, so that the object isn't copied: each member of the patch takes time that is logarithmic
  /// in the number of members, once the object has been changed by this or modify_member. With WhenEmptied::erase the call that
  /// removes the last member removes the key too, and one that would make an empty object makes none. One that only removes,
  /// and finds none of the members, changes nothing.
  MembersChanged change_members(std::string_view key, const Value& patch, WhenEmptied when_emptied = WhenEmptied::keep);

  /// Atomic read-modify-write: calls `f(optional<Value>)` exactly once and stores what it returns; empty removes the key. `f`
  /// runs under the key's lock: it may read other keys (get, visit, exists, type, length, slice, member, visit_members, ttl,
  /// deadline); any other call of the store throws Errc::invalid_argument. Returns what `f` returned.
  template <class F>
    requires std::is_invocable_r_v<std::optional<Value>, F&, std::optional<Value>>
  std::optional<Value> modify(std::string_view key, F&& f) {
    return modify_impl(key, [&f](std::optional<Value> old) -> std::optional<Value> { return std::invoke(f, std::move(old)); });
  }
  /// The same of one member of an object, at the cost of change_members: `f` is given the member, and what it returns is put in
  /// its place as it is; empty removes it. An absent key counts as {}, and is made with its first member. Errc::type_mismatch
  /// if the key holds something else. (In a durable store a null or an object takes time that is linear in the object's size.)
  template <class F>
    requires std::is_invocable_r_v<std::optional<Value>, F&, std::optional<Value>>
  std::optional<Value> modify_member(std::string_view key, std::string_view name, F&& f) {
    return modify_member_impl(
        key, name, [&f](std::optional<Value> old) -> std::optional<Value> { return std::invoke(f, std::move(old)); });
  }

  /// Calls `f(Transaction&)` with exclusive access to exactly `keys`. All its changes take effect at one instant, or, if `f`
  /// throws, none. Other keys throw Errc::invalid_argument; calls of the store inside `f` as in modify. Returns what `f`
  /// returned.
  template <class Keys, class F>
    requires detail::KeyRange<Keys> && std::invocable<F&, Transaction&>
  std::invoke_result_t<F&, Transaction&> transact(Keys&& keys, F&& f) {
    return with_keys(keys, [&](std::span<const std::string_view> views) { return transact_views(views, f); });
  }
  template <class F>
    requires std::invocable<F&, Transaction&>
  std::invoke_result_t<F&, Transaction&> transact(std::initializer_list<std::string_view> keys, F&& f) {
    return transact_views({keys.begin(), keys.size()}, f);
  }

  /// A mark of what the key holds now: unchanged() and Transaction::unchanged() tell whether it was touched since.
  KeyVersion version(std::string_view key) const;
  /// False once the key was written (an equal value counts), removed or expired, was given another deadline, or, if it was
  /// absent, has come to be, though it be gone again. False for a mark of another key or store.
  bool unchanged(std::string_view key, const KeyVersion& version) const;

  /// All live keys (with a prefix), in no order.
  std::vector<std::string> keys() const { return keys({}); }
  std::vector<std::string> keys(std::string_view prefix) const;
  /// O(1). May count expired keys until their memory is back.
  std::size_t size() const;

  /// Calls `f(string_view key, const Value&)` for every live key; where `f` returns false, the scan stops. Keys there
  /// throughout are seen exactly once, none twice. `f` may call the store, waiting calls and close excepted.
  template <class F>
    requires std::invocable<F&, std::string_view, const Value&>
  void for_each(F&& f) const {
    for_each({}, f);
  }
  template <class F>
    requires std::invocable<F&, std::string_view, const Value&>
  void for_each(std::string_view prefix, F&& f) const {
    scan_impl("for_each", prefix, [&f](std::string_view key, const Value& value) -> bool {
      if constexpr (std::is_void_v<std::invoke_result_t<F&, std::string_view, const Value&>>) {
        std::invoke(f, key, value);
        return true;
      } else {
        return static_cast<bool>(std::invoke(f, key, value));
      }
    });
  }
  /// Walks over all keys bit by bit: calls `f` for some `count` of them (more, where several share a bucket; fewer, where
  /// buckets are empty) and returns the cursor to go on with. 0 begins, and is returned at the end. The cursor is all there is
  /// to the scan, below 2^48, and valid as long as the process. From 0 to 0, keys there throughout are seen exactly once; keys
  /// that come or go meanwhile maybe. `f` is `f(string_view key, const Value&)`, `f(string_view key, Type)` or `f(string_view
  /// key)`; the latter two copy no arrays that are used as queues, and no objects that are changed member by member. It may
  /// call the store as that of for_each.
  template <class F>
    requires std::invocable<F&, std::string_view, const Value&> || std::invocable<F&, std::string_view, Type> ||
             std::invocable<F&, std::string_view>
  std::uint64_t scan(std::uint64_t cursor, std::size_t count, F&& f) const {
    constexpr bool kWithValues = std::invocable<F&, std::string_view, const Value&>;
    return scan_on(cursor, count, kWithValues, [&f](std::string_view key, Type type, const Value& value) {
      if constexpr (kWithValues) {
        std::invoke(f, key, value);
      } else if constexpr (std::invocable<F&, std::string_view, Type>) {
        std::invoke(f, key, type);
      } else {
        std::invoke(f, key);
      }
    });
  }
  /// Any live key, each about as likely as the others; empty if there is none.
  std::optional<std::string> random_key() const;
  /// Collects up to `max` of the values that `f(key, value)` returns as optional<Value>.
  template <class F>
    requires std::is_invocable_r_v<std::optional<Value>, F&, std::string_view, const Value&>
  std::vector<Value> select(F&& f, std::size_t max = static_cast<std::size_t>(-1)) const {
    std::vector<Value> found;
    if (max == 0) {
      check_open("select");
      return found;
    }
    scan_impl("select", {}, [&](std::string_view key, const Value& value) -> bool {
      if (std::optional<Value> picked = std::invoke(f, key, value)) found.push_back(std::move(*picked));
      return found.size() < max;
    });
    return found;
  }
  /// Counts the keys for which `f(key, value)` is true.
  template <class F>
    requires std::predicate<F&, std::string_view, const Value&>
  std::size_t count(F&& f) const {
    std::size_t found = 0;
    scan_impl("count", {}, [&](std::string_view key, const Value& value) -> bool {
      if (std::invoke(f, key, value)) ++found;
      return true;
    });
    return found;
  }

  /// From now on calls `f(string_view key)` after a key has expired, once for each time that one does, on whatever thread finds
  /// out: soon after the deadline if nobody asks for the key, which may be there again by then. Changes that users make (erase,
  /// a ttl of zero) are not told. `f` replaces the one before; an empty one ends it, and so does close().
  ///
  /// `f` may be called by several threads at once. It should be short, as it keeps expiry or another call waiting; it may call
  /// the store as that of for_each, and must not throw (std::terminate), so it has to catch Errc::closed where the store may be
  /// closed meanwhile. None that was given before is running any more when this returns; only in a callback it may be. So
  /// neither this nor close() is to be called under a lock that `f` takes, and `f` doesn't open a store that is being closed.
  void on_expired(std::function<void(std::string_view key)> f);

  /// Writes the file of Options::persist, or a checkpoint into Options::directory: one consistent cut, replacing the old one
  /// atomically. Errc::config if neither is configured, Errc::io if writing fails, Errc::invalid_argument for what JSON can't
  /// hold; the old file stands then.
  void save();
  /// JSON files only: acts as set for each key of the file, its deadline included. Errc::corrupt with path and offset, and
  /// nothing changed, if the file is damaged.
  void load();

  Stats stats() const;

 private:
  friend Datastore open(std::string_view name, const Options& options);
  explicit Datastore(std::shared_ptr<detail::Store> store) noexcept : store_(std::move(store)) {}

  void check_open(const char* operation) const;
  bool visit_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const;
  std::optional<Type> visit_scalar_impl(std::string_view key, detail::FunctionRef<void(const Value&)> f) const;
  std::optional<std::size_t> visit_members_impl(std::string_view key, std::span<const std::string_view> names,
                                                detail::FunctionRef<void(std::size_t, const Value&)> f) const;
  std::optional<std::size_t> visit_members_impl(std::string_view key, std::size_t first, std::size_t count,
                                                detail::FunctionRef<void(std::string_view, const Value&)> f) const;
  Value wait_for_impl(std::string_view key, detail::FunctionRef<bool(const Value&)> predicate, Timeout timeout,
                      std::stop_token stop) const;
  std::optional<Value> modify_impl(std::string_view key, detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f);
  std::optional<Value> modify_member_impl(std::string_view key, std::string_view name,
                                          detail::FunctionRef<std::optional<Value>(std::optional<Value>)> f);
  void transact_impl(std::span<const std::string_view> keys, detail::FunctionRef<void(Transaction&)> f);
  std::uint64_t scan_on(std::uint64_t cursor, std::size_t count, bool with_values,
                        detail::FunctionRef<void(std::string_view, Type, const Value&)> f) const;
  void scan_impl(const char* operation, std::string_view prefix,
                 detail::FunctionRef<bool(std::string_view, const Value&)> f) const;

  std::size_t visit_many_impl(std::span<const std::string_view> keys,
                              detail::FunctionRef<void(std::size_t, const Value&)> f) const;
  void prefetch_impl(std::span<const std::string_view> keys) const;
  Waiting shift_async_impl(std::span<const std::string_view> keys, End end, Timeout timeout, detail::WaitFunction&& function);
  Waiting wait_async_impl(std::string_view key, const Value* expected, Timeout timeout, detail::WaitFunction&& function) const;
  Waiting attempt_async_impl(std::span<const std::string_view> keys, Timeout timeout, detail::WaitFunction&& function) const;

  template <class F>
  static detail::WaitFunction ending(F callback) {
    return detail::WaitFunction([callback = std::move(callback)](WaitResult&& result) mutable -> bool {
      std::invoke(callback, std::move(result));
      return true;
    });
  }
  template <class F>
  static detail::WaitFunction trying(F attempt) {
    return detail::WaitFunction(
        [attempt = std::move(attempt)](WaitResult&& result) mutable -> bool { return std::invoke(attempt, result.error); });
  }

  template <class Keys, class F>
  static decltype(auto) with_keys(Keys& keys, F&& f) {
    return detail::with_keys(keys, std::forward<F>(f));
  }

  template <class F>
  std::invoke_result_t<F&, Transaction&> transact_views(std::span<const std::string_view> keys, F& f) {
    using Result = std::invoke_result_t<F&, Transaction&>;
    if constexpr (std::is_void_v<Result>) {
      transact_impl(keys, [&f](Transaction& transaction) { std::invoke(f, transaction); });
    } else {
      std::optional<Result> result;
      transact_impl(keys, [&](Transaction& transaction) { result.emplace(std::invoke(f, transaction)); });
      return *std::move(result);
    }
  }

  std::shared_ptr<detail::Store> store_;
};

/// Opens the store `name`, or joins it if this process has it open. Options{} always joins; others must equal those it was
/// opened with (Errc::config). Throws Errc::corrupt or Errc::io if what is on disk can't be read; the store is not open then.
/// `open("sys")` is a read-only store of live figures: docs/guide.md lists them.
Datastore open(std::string_view name, const Options& options = {});
/// Saves the store for the last time and closes it: waiting calls throw Errc::closed, and so does every call through an old
/// handle. If saving fails, throws, and the store stays open. An unknown name does nothing.
void close(std::string_view name);
/// Closes all stores; throws the first error after trying all. Also happens at normal process exit.
void shutdown();
/// The open stores, without "sys".
std::vector<std::string> names();
std::size_t count();

}  // namespace cubby
