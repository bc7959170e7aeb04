// SPDX-License-Identifier: Apache-2.0
#pragma once

// The atomics policy that runs the library's lock-free code under Relacy: every access is a point at which the scheduler may
// switch threads, and a load may return an old value where its memory order permits.
//
// A `Mutation` changes what the code does, to show that a model would notice. The one that changes nothing is Faithful.
//
// Parking is modelled by a lot with the promises of base/parking_lot.hpp; the parker beneath it is not part of the models.
//
// One translation unit a program: this header defines the aligned allocation functions.

#include <relacy/relacy.hpp>

// Relacy takes these names for itself; the library's code means the ordinary ones.
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#ifdef __clang__
#pragma clang diagnostic ignored "-Wdollar-in-identifier-extension"
#endif

// Relacy's own operators are inline; those of the C++ library, which go on to them, must find them all the same.
[[gnu::used]] static void* (*const kNew[])(std::size_t) = {operator new, operator new[] };
[[gnu::used]] static void (*const kDelete[])(void*) = {operator delete, operator delete[] };
void operator delete(void* object, std::size_t) noexcept { operator delete(object); }
void operator delete[](void* object, std::size_t) noexcept { operator delete[](object); }

// Relacy's own operator new knows no alignment, so objects of whole cache lines would escape its leak check.
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  const auto align = static_cast<std::uintptr_t>(alignment);
  void* block = operator new(bytes + align + sizeof(void*));
  const auto address = (reinterpret_cast<std::uintptr_t>(block) + sizeof(void*) + align - 1) & ~(align - 1);
  reinterpret_cast<void**>(address)[-1] = block;
  return reinterpret_cast<void*>(address);
}
void operator delete(void* object, std::align_val_t) noexcept {
  if (object != nullptr) operator delete(static_cast<void**>(object)[-1]);
}
void operator delete(void* object, std::size_t, std::align_val_t alignment) noexcept { operator delete(object, alignment); }

namespace cubby::models {

/// How a mutation sees an access: by the name of the function it stands in.
struct Faithful {
  static std::memory_order order(std::string_view, std::memory_order order) { return order; }
  template <class T>
  static T loaded(std::string_view, T value) {
    return value;
  }
  /// Whether a compare-and-swap takes place whatever it finds.
  static bool forces(std::string_view) { return false; }
  /// Whether a compare-and-swap only compares.
  static bool only_compares(std::string_view) { return false; }
  static constexpr bool kFences = true;
};

/// Makes every access in the function named relaxed.
template <class Name>
struct Relaxed : Faithful {
  static std::memory_order order(std::string_view function, std::memory_order order) {
    return function == Name::value ? std::memory_order_relaxed : order;
  }
};
#define CUBBY_RELAXED(function)                          \
  struct Relaxed_##function##_name {                     \
    static constexpr std::string_view value = #function; \
  };                                                     \
  using Relaxed_##function = ::cubby::models::Relaxed<Relaxed_##function##_name>

struct Unfenced : Faithful {
  static constexpr bool kFences = false;
};

inline rl::memory_order to_relacy(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return rl::mo_relaxed;
    case std::memory_order_consume:
      return rl::mo_consume;
    case std::memory_order_acquire:
      return rl::mo_acquire;
    case std::memory_order_release:
      return rl::mo_release;
    case std::memory_order_acq_rel:
      return rl::mo_acq_rel;
    case std::memory_order_seq_cst:
      break;
  }
  return rl::mo_seq_cst;
}

/// Where an access stands, by default arguments.
#define CUBBY_HERE \
  const char *function = __builtin_FUNCTION(), const char *file = __builtin_FILE(), unsigned line = __builtin_LINE()
#define CUBBY_INFO ::rl::debug_info(function, file, line)

template <class T, class Mutation>
class RelacyAtomic {
  template <class U, bool kIsEnum>
  struct Underlying {
    using type = U;
  };
  template <class U>
  struct Underlying<U, true> {
    using type = unsigned;
  };
  using Stored = typename Underlying<T, std::is_enum_v<T>>::type;  // Relacy prints values

 public:
  RelacyAtomic() : RelacyAtomic(T{}) {}
  RelacyAtomic(T value) : atomic_(static_cast<Stored>(value)) {}

  T load(std::memory_order order, CUBBY_HERE) const {
    return Mutation::loaded(name(function), static_cast<T>(atomic_.load(at(function, order), CUBBY_INFO)));
  }
  void store(T value, std::memory_order order, CUBBY_HERE) {
    atomic_.store(static_cast<Stored>(value), at(function, order), CUBBY_INFO);
  }
  T exchange(T value, std::memory_order order, CUBBY_HERE) {
    return static_cast<T>(atomic_.exchange(static_cast<Stored>(value), at(function, order), CUBBY_INFO));
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order success, std::memory_order failure, CUBBY_HERE) {
    if (Mutation::forces(name(function))) {
      exchange(value, success, function, file, line);
      return true;
    }
    if (Mutation::only_compares(name(function))) {
      const T found = load(failure, function, file, line);
      return std::exchange(expected, found) == found;
    }
    auto seen = static_cast<Stored>(expected);
    const bool done = atomic_.compare_exchange_strong(seen, static_cast<Stored>(value), at(function, success), CUBBY_INFO,
                                                      at(function, failure), CUBBY_INFO);
    expected = static_cast<T>(seen);
    return done;
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order success, std::memory_order failure, CUBBY_HERE) {
    auto seen = static_cast<Stored>(expected);
    const bool done = atomic_.compare_exchange_weak(seen, static_cast<Stored>(value), at(function, success), CUBBY_INFO,
                                                    at(function, failure), CUBBY_INFO);
    expected = static_cast<T>(seen);
    return done;
  }
  T fetch_add(T value, std::memory_order order, CUBBY_HERE) {
    return atomic_.fetch_add(value, at(function, order), CUBBY_INFO);
  }
  T fetch_sub(T value, std::memory_order order, CUBBY_HERE) {
    return atomic_.fetch_sub(value, at(function, order), CUBBY_INFO);
  }
  T fetch_or(T value, std::memory_order order, CUBBY_HERE) { return atomic_.fetch_or(value, at(function, order), CUBBY_INFO); }
  T fetch_and(T value, std::memory_order order, CUBBY_HERE) {
    return atomic_.fetch_and(value, at(function, order), CUBBY_INFO);
  }

 private:
  /// Without the template arguments that some compilers add.
  static std::string_view name(std::string_view function) { return function.substr(0, function.find('<')); }
  static rl::memory_order at(const char* function, std::memory_order order) {
    return to_relacy(Mutation::order(name(function), order));
  }

  rl::atomic<Stored> atomic_;
};

class RelacyMutex {
 public:
  void lock(CUBBY_HERE) { mutex_.lock(CUBBY_INFO); }
  bool try_lock(CUBBY_HERE) { return mutex_.try_lock(CUBBY_INFO); }
  void unlock(CUBBY_HERE) { mutex_.unlock(CUBBY_INFO); }

 private:
  rl::mutex mutex_;
};

/// Plain memory: Relacy reports a race, and an access after the end of its life. Unlike with rl::var, other threads may run
/// before an access.
template <class T>
class Plain {
 public:
  explicit Plain(T value, CUBBY_HERE) { var_(CUBBY_INFO).store(value); }
  T get(CUBBY_HERE) const {
    rl::ctx().sched();
    return var_(CUBBY_INFO).load();
  }
  void set(T value, CUBBY_HERE) {
    rl::ctx().sched();
    var_(CUBBY_INFO).store(value);
  }

 private:
  mutable rl::var<T> var_;
};

/// Where threads sleep on addresses. A suite that needs one makes it its first member; at most one exists at a time.
class Lot {
 public:
  Lot() { current_ = this; }
  ~Lot() { current_ = nullptr; }
  Lot(const Lot&) = delete;
  Lot& operator=(const Lot&) = delete;
  static Lot& current() { return *current_; }

  template <class Validate>
  bool park(const void* address, Validate&& validate) {
    mutex_.lock($);
    if (!validate()) {
      mutex_.unlock($);
      return false;
    }
    Sleeper sleeper{address};
    Sleeper** last = &first_;
    while (*last != nullptr) last = &(*last)->next;
    *last = &sleeper;
    while (!sleeper.chosen) woken_.wait(mutex_, $);
    mutex_.unlock($);
    return true;
  }
  template <class Callback>
  void unpark_one(const void* address, Callback&& callback) {
    mutex_.lock($);
    Sleeper** from = &first_;
    while (*from != nullptr && (*from)->address != address) from = &(*from)->next;
    Sleeper* found = *from;
    bool more = false;
    if (found != nullptr) {
      *from = found->next;
      for (Sleeper* each = found->next; each != nullptr; each = each->next) more = more || each->address == address;
    }
    callback(found != nullptr, more);
    if (found != nullptr) {
      found->chosen = true;
      woken_.notify_all($);
    }
    mutex_.unlock($);
  }

 private:
  struct Sleeper {
    const void* address;
    Sleeper* next = nullptr;
    bool chosen = false;
  };
  static inline Lot* current_ = nullptr;
  rl::mutex mutex_;
  rl::condition_variable woken_;
  Sleeper* first_ = nullptr;  // all under mutex_
};

template <class Mutation = Faithful>
struct RelacyAtomics {
  using MutationType = Mutation;
  template <class T>
  using Atomic = RelacyAtomic<T, Mutation>;
  using Mutex = RelacyMutex;

  static void full_fence() {
    if (Mutation::kFences) rl::atomic_thread_fence(rl::mo_seq_cst, $);
  }
  static void light_fence() { full_fence(); }
  static void heavy_fence() { rl::atomic_thread_fence(rl::mo_seq_cst, $); }

  static void pause() { rl::yield(1, $); }
  static int spins() { return 1; }
  template <class Validate>
  static bool park(const void* address, Validate&& validate) {
    return Lot::current().park(address, validate);
  }
  template <class Callback>
  static void unpark_one(const void* address, Callback&& callback) {
    Lot::current().unpark_one(address, callback);
  }
};

/// The other pair of fences: nothing on the light side; on the heavy side what membarrier(2) promises.
template <class Mutation = Faithful>
struct AsymmetricAtomics : RelacyAtomics<Mutation> {
  static void light_fence() {}
  static void heavy_fence() {
    if (Mutation::kFences) rl::systemwide_fence($);
  }
};

inline void require(bool condition, const char* what, CUBBY_HERE) {
  if (!condition) rl::ctx().fail_test(what, rl::test_result_user_assert_failed, CUBBY_INFO);
}

}  // namespace cubby::models
