// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <new>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include <cubby/value.hpp>

namespace cubby {

/// How a wait with a callback has ended: with a value, or with an error (Errc::timeout, closed, type_mismatch, or io: the
/// element was taken, but the log of a durable store can't be synced).
struct WaitResult {
  std::size_t index = 0;       ///< of the key that the value comes from, or that the error is about, in the list that was given
  std::optional<Value> value;  ///< empty: see error
  std::error_code error;       ///< none if there is a value
};

namespace detail {

class CallbackWaiter;
class Store;

/// The user's callback: called by one thread at a time; true once it has had what it waited for.
class WaitFunction {
 public:
  template <class F>
    requires std::is_invocable_r_v<bool, F&, WaitResult&&>
  explicit WaitFunction(F function) {
    if constexpr (fits<F>) {
      new (storage_) F(std::move(function));
    } else {
      new (storage_) F*(new F(std::move(function)));
    }
    operations_ = &kOperations<F>;
  }
  WaitFunction(WaitFunction&& other) noexcept : operations_(std::exchange(other.operations_, nullptr)) {
    if (operations_ != nullptr) operations_->move(other.storage_, storage_);
  }
  WaitFunction& operator=(WaitFunction&&) = delete;
  ~WaitFunction() { reset(); }

  void reset() noexcept {
    if (operations_ != nullptr) std::exchange(operations_, nullptr)->destroy(storage_);
  }
  bool operator()(WaitResult&& result) { return operations_->call(storage_, std::move(result)); }

 private:
  struct Operations {
    bool (*call)(void*, WaitResult&&);
    void (*move)(void*, void*) noexcept;
    void (*destroy)(void*) noexcept;
  };
  static constexpr std::size_t kInside = 32;
  template <class F>
  static constexpr bool fits = sizeof(F) <= kInside && alignof(F) <= alignof(void*) && std::is_nothrow_move_constructible_v<F>;
  template <class F>
  static F& stored(void* storage) noexcept {
    if constexpr (fits<F>) {
      return *std::launder(static_cast<F*>(storage));
    } else {
      return **std::launder(static_cast<F**>(storage));
    }
  }
  template <class F>
  static constexpr Operations kOperations{
      [](void* storage, WaitResult&& result) -> bool { return std::invoke(stored<F>(storage), std::move(result)); },
      [](void* from, void* to) noexcept {
        if constexpr (fits<F>) {
          new (to) F(std::move(stored<F>(from)));
          stored<F>(from).~F();
        } else {
          new (to) F*(&stored<F>(from));
        }
      },
      [](void* storage) noexcept {
        if constexpr (fits<F>) {
          stored<F>(storage).~F();
        } else {
          delete &stored<F>(storage);
        }
      }};

  alignas(void*) std::byte storage_[kInside];
  const Operations* operations_ = nullptr;
};

}  // namespace detail

/// A wait with a callback, as shift_async, wait_async and attempt_async of Datastore begin it. Destroying it cancels.
///
/// The callback is called exactly once, unless the wait is cancelled before: on the thread whose call has brought what was
/// waited for, at the end of that call; on cubby's own thread for a timeout; by close() for Errc::closed; and on the calling
/// thread, before the call returns, if what is waited for is there already. The call that has brought it has let go of its
/// locks by then, and with Sync::always has seen its record, and so the callback's element, on the disk.
///
/// A callback should be short: it keeps another call waiting, or expiry. It may call the store; waiting calls, close and
/// shutdown excepted (Errc::invalid_argument). It must not throw (std::terminate). While one runs, others of the same thread
/// wait for it to return: they don't nest. A call inside the functions of modify and transact calls back when the outermost of
/// these has let go of its keys.
///
/// Thread safety: belongs to one thread at a time; cancel() may be called by another while nobody destroys or assigns it.
class Waiting {
 public:
  /// Of nothing.
  Waiting() noexcept = default;
  Waiting(Waiting&& other) noexcept : waiter_(std::exchange(other.waiter_, nullptr)) {}
  Waiting& operator=(Waiting&& other) noexcept {
    if (this != &other) {
      stop();
      waiter_ = std::exchange(other.waiter_, nullptr);
    }
    return *this;
  }
  /// As cancel(). If that comes too late, returns once the callback has returned, so that what it refers to may go; in the
  /// callback itself, at once. So it must not be destroyed under a lock that the callback takes, nor in another's callback.
  ~Waiting() { stop(); }

  /// True if the callback will not be called: it is destroyed already, and nothing was taken for it. False if it was called, is
  /// being called, or is about to be.
  bool cancel() noexcept;
  /// Whether the callback may still be called.
  bool active() const noexcept;

 private:
  friend class detail::Store;
  explicit Waiting(detail::CallbackWaiter* waiter) noexcept : waiter_(waiter) {}
  void stop() noexcept;

  detail::CallbackWaiter* waiter_ = nullptr;
};

}  // namespace cubby
