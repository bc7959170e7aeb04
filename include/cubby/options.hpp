// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  /// Refuse every write with Errc::read_only.
  bool read_only = false;

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
  std::uint64_t saves = 0;      ///< saves that succeeded
  std::string last_save_error;  ///< what the last save failed with; empty once one has succeeded
};

}  // namespace cubby
