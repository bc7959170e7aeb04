// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>

namespace cubby {

/// A length of time, made from any std::chrono::duration and saturated to what nanoseconds in 64 bits hold (292 years).
class Duration {
 public:
  template <class Rep, class Period>
  constexpr Duration(std::chrono::duration<Rep, Period> length) noexcept : length_(saturate(length)) {}

  constexpr std::chrono::nanoseconds nanoseconds() const noexcept { return length_; }

 private:
  template <class Rep, class Period>
  static constexpr std::chrono::nanoseconds saturate(std::chrono::duration<Rep, Period> length) noexcept {
    using std::chrono::nanoseconds;
    using Wide = std::chrono::duration<long double, std::nano>;
    const Wide wide(length);
    if (wide.count() != wide.count()) return nanoseconds::zero();  // NaN is no time at all
    if (wide.count() >= static_cast<long double>(nanoseconds::max().count())) return nanoseconds::max();
    if (wide.count() <= static_cast<long double>(nanoseconds::min().count())) return nanoseconds::min();
    return std::chrono::duration_cast<nanoseconds>(length);
  }

  std::chrono::nanoseconds length_;
};

/// A moment of the wall clock. Deadlines run on the monotonic clock: they are converted when they are given and asked for.
using TimePoint = std::chrono::system_clock::time_point;

/// How long a call may wait: a Duration (zero or less does not wait at all), or std::nullopt for ever.
class Timeout {
 public:
  constexpr Timeout(std::nullopt_t) noexcept {}
  template <class Rep, class Period>
  constexpr Timeout(std::chrono::duration<Rep, Period> length) noexcept : length_(Duration(length).nanoseconds()) {}
  constexpr Timeout(Duration length) noexcept : length_(length.nanoseconds()) {}
  template <class Rep, class Period>
  constexpr Timeout(const std::optional<std::chrono::duration<Rep, Period>>& length) noexcept {
    if (length) length_ = Duration(*length).nanoseconds();
  }

  /// Empty: for ever.
  constexpr std::optional<std::chrono::nanoseconds> nanoseconds() const noexcept { return length_; }

 private:
  std::optional<std::chrono::nanoseconds> length_;
};

/// When what a durable store has logged goes to the disk. Whatever is chosen, a call that has returned survives the death of
/// the process; this is about the loss of power.
class Sync {
 public:
  /// A call returns once it, and everything before it, is on the disk. Calls that come together share one sync.
  static constexpr Sync always() noexcept { return Sync(Kind::always, std::chrono::nanoseconds::zero()); }
  /// In the background; a power loss costs what was written within this time. Zero or less: as always().
  static constexpr Sync interval(Duration length) noexcept {
    return length.nanoseconds().count() > 0 ? Sync(Kind::interval, length.nanoseconds()) : always();
  }
  /// When the operating system sees fit.
  static constexpr Sync never() noexcept { return Sync(Kind::never, std::chrono::nanoseconds::max()); }

  constexpr bool is_always() const noexcept { return kind_ == Kind::always; }
  constexpr bool is_never() const noexcept { return kind_ == Kind::never; }
  /// Between two syncs; zero for always(), and the longest there is for never().
  constexpr std::chrono::nanoseconds length() const noexcept { return length_; }

  friend constexpr bool operator==(const Sync&, const Sync&) = default;

 private:
  enum class Kind : std::uint8_t { always, interval, never };
  constexpr Sync(Kind kind, std::chrono::nanoseconds length) noexcept : kind_(kind), length_(length) {}
  Kind kind_;
  std::chrono::nanoseconds length_;
};

/// How a store is opened. Options given for a store that is open already must equal those it was opened with; options equal to
/// `Options{}` always join.
struct Options {
  /// JSON file that the store is read from and saved to; empty: in memory only. Its folder must exist.
  std::filesystem::path persist;
  /// Time between automatic saves; 0: only on save() and close.
  std::chrono::milliseconds persist_interval{0};
  /// What expire(key) without a time gives.
  std::chrono::nanoseconds default_ttl = std::chrono::minutes(60);
  /// Largest value, in bytes as stored; 0: no cap.
  std::size_t max_value_bytes = std::size_t{64} << 20;
  /// Refuse every write with Errc::read_only. With `directory`: reads what is there now, and changes not a byte.
  bool read_only = false;

  /// Durable mode: the folder of the store's log and checkpoints, made if it isn't there (the one it lies in must be). One
  /// process writes it at a time (Errc::locked); others may read it. Not together with `persist`.
  std::filesystem::path directory;
  /// When the log goes to the disk.
  Sync sync = Sync::interval(std::chrono::milliseconds(100));
  /// Bytes of log after which a checkpoint is made; not before the log outgrows the last checkpoint.
  std::size_t checkpoint_after = std::size_t{64} << 20;
  /// Encrypts log and checkpoints with AES-256-GCM. Another key, or none, is Errc::wrong_key.
  std::optional<std::array<std::byte, 32>> encryption_key;

  friend bool operator==(const Options&, const Options&) = default;
};

/// A store's figures at one moment; each is exact when no call is running.
struct Stats {
  std::size_t keys = 0;         ///< as Datastore::size()
  std::size_t bytes = 0;        ///< memory held for keys and values
  std::uint64_t reads = 0;      ///< keys looked at by get, visit, exists and ttl
  std::uint64_t hits = 0;       ///< those of them that found the key
  std::uint64_t writes = 0;     ///< calls that changed a key
  std::uint64_t expired = 0;    ///< keys removed because their time had come
  std::size_t waiters = 0;      ///< calls waiting now
  std::uint64_t saves = 0;      ///< saves and checkpoints that succeeded
  std::uint64_t log_bytes = 0;  ///< in the log since the last checkpoint; 0 without Options::directory
  std::string last_save_error;  ///< what the last save failed with; empty once one has succeeded
  std::string write_error;  ///< why a durable store refuses all writes, as its log could not be written; empty if it doesn't
};

}  // namespace cubby
