// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the concurrency tests share: seeds and scale from the environment, threads that start together and report what they
// throw, polling with a generous limit, a store of its own for every test, and a watchdog that turns a lost wake-up into a
// failure.
//
// CUBBY_TEST_SEED   seed of the random choices (schedules stay the machine's own); printed by every test that uses it
// CUBBY_TEST_SCALE  multiplies rounds; 1 by default

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include <cubby/cubby.hpp>

namespace cubby_test {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using cubby::Datastore;
using cubby::Errc;
using cubby::Value;

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#else
inline constexpr bool kThreadSanitizer = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif
#else
inline constexpr bool kAddressSanitizer = false;
#endif

/// No healthy run comes near it, on however busy a machine.
inline constexpr auto kGenerous = 120s;

/// `normal` times CUBBY_TEST_SCALE; the sanitizers, which are several times slower, get a number of their own.
inline int scaled(int normal, int under_sanitizers) {
  static const double scale = [] {
    const char* text = std::getenv("CUBBY_TEST_SCALE");
    const double given = text != nullptr ? std::atof(text) : 1.0;
    return given > 0 ? given : 1.0;
  }();
  return std::max(1, static_cast<int>(scale * (kThreadSanitizer || kAddressSanitizer ? under_sanitizers : normal)));
}

/// splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
  }
  /// In [0, bound).
  int below(int bound) { return static_cast<int>(next() % static_cast<std::uint64_t>(bound)); }
  bool one_in(int number) { return below(number) == 0; }

 private:
  std::uint64_t state_;
};

/// The run's seed: CUBBY_TEST_SEED, or a fresh one.
inline std::uint64_t run_seed() {
  static const std::uint64_t seed = [] {
    if (const char* text = std::getenv("CUBBY_TEST_SEED")) return static_cast<std::uint64_t>(std::strtoull(text, nullptr, 0));
    return (static_cast<std::uint64_t>(std::random_device{}()) << 32) ^ std::random_device{}();
  }();
  return seed;
}

/// A seed for each of several threads or rounds of one test.
inline std::uint64_t seed_for(std::uint64_t number) { return Random(run_seed() ^ (number * 0x2545f4914f6cdd1du)).next(); }

inline Value number(std::int64_t integer) { return Value(integer); }
template <class Suffix>
std::string name_of(std::string prefix, const Suffix& suffix) {
  if constexpr (std::is_arithmetic_v<Suffix>) {
    prefix += std::to_string(suffix);
  } else {
    prefix += suffix;
  }
  return prefix;
}

/// The code that `f` throws a cubby::Error with; empty if it returns.
template <class F>
std::optional<Errc> error_of(F&& f) {
  try {
    f();
    return std::nullopt;
  } catch (const cubby::Error& error) {
    return static_cast<Errc>(error.code().value());
  }
}

/// Passes a little time without giving the core away.
inline void spin(int turns) {
  for (int turn = 0; turn < turns; ++turn) std::atomic_signal_fence(std::memory_order_seq_cst);
}

/// A thread's wait for others: gives its time slice away at first, which is soon over where there are cores to spare, and then
/// tells to sleep: on a busy machine each slice given away costs milliseconds.
class Patience {
 public:
  /// False once it is time to sleep.
  bool yield() {
    if (Clock::now() - start_ > 200us) return false;
    std::this_thread::yield();
    return true;
  }

 private:
  const Clock::time_point start_ = Clock::now();
};

/// Waits for `condition` by looking again and again; false after the limit.
template <class Condition>
bool poll_until(Condition&& condition, std::chrono::nanoseconds limit = kGenerous) {
  const auto end = Clock::now() + limit;
  Patience patience;
  while (!condition()) {
    if (Clock::now() > end) return false;
    if (!patience.yield()) std::this_thread::sleep_for(100us);
  }
  return true;
}

/// Threads that report what they throw as a failure of the test. The destructor tells them to stop, and joins.
class Threads {
 public:
  Threads() = default;
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() { stop(); }

  /// `f(index)` in `count` threads.
  template <class F>
  void start(int count, F f) {
    for (int index = 0; index < count; ++index) {
      threads_.emplace_back([f, index]() mutable { guarded([&] { f(index); }); });
    }
  }
  /// `f()` over and over, in `count` threads, until stop(). `f` runs at least once.
  template <class F>
  void repeat(int count, F f) {
    start(count, [this, f](int index) mutable {
      do {
        if constexpr (std::is_invocable_v<F&, int>) {
          f(index);
        } else {
          f();
        }
      } while (!stopped_.load(std::memory_order_relaxed));
    });
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  /// For threads that loop by themselves: so a test that gives up can end them.
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  void stop() {
    stopped_.store(true, std::memory_order_relaxed);
    join();
  }

  template <class F>
  static void guarded(F&& f) {
    try {
      f();
    } catch (const std::exception& error) {
      ADD_FAILURE() << "a thread threw: " << error.what();
    } catch (...) {
      ADD_FAILURE() << "a thread threw something";
    }
  }

 private:
  std::vector<std::thread> threads_;
  std::atomic<bool> stopped_{false};
};

/// Runs `f(index)` in `count` threads that start together, and waits for them.
template <class F>
void run_threads(int count, F&& f) {
  std::latch ready(count);
  Threads threads;
  threads.start(count, [&](int index) {
    ready.arrive_and_wait();
    f(index);
  });
  threads.join();
}

/// Where the calls of a history take their times from: unique, and increasing in real time.
///
/// The order of tickets is a fact that the threads could know, so a result that contradicts it is wrong by any reading. Under
/// ThreadSanitizer the tickets are relaxed, or they would order, and hide, the races that it is to find.
class Ticket {
 public:
  std::uint64_t take() { return next_.fetch_add(1, kThreadSanitizer ? std::memory_order_relaxed : std::memory_order_acq_rel); }

 private:
  std::atomic<std::uint64_t> next_{1};
};

/// Bytes of this process that lie in memory.
inline std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Aborts the process, naming the test, when the test hangs.
class Watchdog {
 public:
  explicit Watchdog(std::chrono::seconds limit)
      : thread_([this, limit] {
          std::unique_lock lock(mutex_);
          if (finished_.wait_for(lock, limit, [this] { return done_; })) return;
          const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
          std::fprintf(stderr, "%s.%s hangs (CUBBY_TEST_SEED=%llu)\n", info ? info->test_suite_name() : "?",
                       info ? info->name() : "?", static_cast<unsigned long long>(run_seed()));
          std::abort();
        }) {}
  ~Watchdog() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    finished_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable finished_;
  bool done_ = false;
  std::thread thread_;
};

/// Gives each test an empty store, and a folder that goes when the test does.
class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::cout << "CUBBY_TEST_SEED=" << run_seed() << std::endl;
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    name_ = std::string(info->test_suite_name()) + "." + info->name();
    store_.emplace(cubby::open(name_));
  }
  void TearDown() override {
    store_.reset();
    cubby::shutdown();
    // A call that nobody woke returns at its deadline as if nothing had been wrong.
    EXPECT_LT(Clock::now() - started_, kGenerous * scaled(1, 1)) << "some call was ended by its deadline only";
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  Datastore& store() { return *store_; }
  const std::string& name() const { return name_; }

  std::filesystem::path folder() {
    if (folder_.empty()) {
      std::string pattern = (std::filesystem::temp_directory_path() / "cubby-concurrency-XXXXXX").string();
      if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
      folder_ = pattern;
    }
    return folder_;
  }
  /// Another store, saved to `file`.
  Datastore open_persistent(const std::string& store_name, const std::filesystem::path& file) {
    cubby::Options options;
    options.persist = file;
    return cubby::open(store_name, options);
  }
  static Value read_json(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return Value::parse(std::string(std::istreambuf_iterator<char>(in), {}));
  }

 private:
  std::string name_;
  std::optional<Datastore> store_;
  std::filesystem::path folder_;
  const Clock::time_point started_ = Clock::now();
  Watchdog watchdog_{600s};
};

}  // namespace cubby_test
