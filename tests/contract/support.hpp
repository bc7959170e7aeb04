// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What the contract tests share. No test is decided by time: a condition that must come true is polled with kPatience as the
/// limit, and a wait that something else must end is given kLong.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <cubby/cubby.hpp>

namespace cubby::contract {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

inline constexpr std::chrono::seconds kPatience{30};
inline constexpr std::chrono::seconds kLong{60};
/// "Times to live are exact to a millisecond."
inline constexpr std::chrono::milliseconds kExactness{1};

/// Polls until `condition` holds.
template <class Condition>
testing::AssertionResult eventually(Condition condition) {
  const auto limit = SteadyClock::now() + kPatience;
  while (!condition()) {
    if (SteadyClock::now() > limit)
      return testing::AssertionFailure() << "did not come true within " << kPatience.count() << " s";
    std::this_thread::sleep_for(1ms);
  }
  return testing::AssertionSuccess();
}

/// Polls until exactly `count` calls wait in the store.
inline testing::AssertionResult waiting(const Datastore& store, std::size_t count) {
  return eventually([&] { return store.stats().waiters == count; });
}

inline testing::AssertionResult check_error(Errc code, std::initializer_list<std::string_view> words,
                                            const std::error_code& actual, std::string_view what) {
  if (actual != code) {
    return testing::AssertionFailure() << "threw " << actual << " (" << what << ") and not " << make_error_code(code);
  }
  for (std::string_view word : words) {
    if (what.find(word) == std::string_view::npos) {
      return testing::AssertionFailure() << "what() does not mention '" << word << "': " << what;
    }
  }
  return testing::AssertionSuccess();
}

/// True if `call` throws cubby::Error with `code` and a what() that mentions all `words`.
template <class F>
testing::AssertionResult throws(Errc code, std::initializer_list<std::string_view> words, F call) {
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    return check_error(code, words, error.code(), error.what());
  } catch (const std::exception& error) {
    return testing::AssertionFailure() << "threw something else than cubby::Error: " << error.what();
  }
  return testing::AssertionFailure() << "threw nothing";
}

/// A call that runs on a thread of its own. Its exception, if any, stays on that thread; its outcome is asked for here.
template <class T>
class Call {
 public:
  template <class F>
  explicit Call(F call)
      : state_(std::make_shared<State>()), thread_([state = state_, call = std::move(call)]() mutable {
          try {
            if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
              call();
              state->value.emplace();
            } else {
              state->value.emplace(call());
            }
          } catch (const Error& error) {
            state->code = error.code();
            state->what = error.what();
          } catch (const std::exception& error) {
            state->what = error.what();
          }
          state->done.store(true);
        }) {}

  bool done() const { return state_->done.load(); }

  /// What the call returned, once it has; a failure of the test if it threw.
  T value() {
    join();
    if (state_->value) return *state_->value;
    ADD_FAILURE() << "the call threw: " << state_->what;
    return T();
  }

  /// True if the call threw cubby::Error with `code` and a what() that mentions all `words`.
  testing::AssertionResult threw(Errc code, std::initializer_list<std::string_view> words = {}) {
    join();
    if (state_->value) return testing::AssertionFailure() << "the call returned";
    return check_error(code, words, state_->code, state_->what);
  }

  bool returned() {
    join();
    return state_->value.has_value();
  }

 private:
  struct State {
    std::optional<T> value;
    std::error_code code;
    std::string what;
    std::atomic<bool> done{false};
  };

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  std::shared_ptr<State> state_;
  std::jthread thread_;
};

template <class F>
auto start(F call) {
  using Result = std::invoke_result_t<F&>;
  return Call<std::conditional_t<std::is_void_v<Result>, std::monostate, Result>>(std::move(call));
}

/// Runs `body(index)` on `count` threads that start together, and joins them.
template <class F>
void run_threads(int count, F body) {
  std::latch ready(count);
  std::vector<std::jthread> threads;
  for (int index = 0; index < count; ++index) {
    threads.emplace_back([&ready, &body, index] {
      ready.arrive_and_wait();
      body(index);
    });
  }
}

/// Runs `body()` over and over on a thread of its own until destroyed.
class Repeat {
 public:
  template <class F>
  explicit Repeat(F body)
      : thread_([body = std::move(body)](std::stop_token stop) mutable {
          while (!stop.stop_requested()) body();
        }) {}

 private:
  std::jthread thread_;
};

/// An array of the integers from `first` to `last`.
inline Value integers(int first, int last) {
  std::vector<Value> elements;
  for (int number = first; number <= last; ++number) elements.emplace_back(number);
  return Value::array(elements);
}

template <class T>
std::vector<T> sorted(std::vector<T> items) {
  std::sort(items.begin(), items.end());
  return items;
}

inline bool contains(const std::vector<std::string>& items, std::string_view item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

/// A fresh folder that is removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cubby-contract-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline Value read_json(const std::filesystem::path& path) { return Value::parse(read_text(path)); }

inline void write_text(const std::filesystem::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  ASSERT_TRUE(file.flush()) << path;
}

/// Copies the folder of a durable store as it is at one instant, though the store's threads may be changing it: no file differs
/// from its copy once all have been copied. REQUIRES: nobody writes to the store for long.
inline testing::AssertionResult copy_of_one_instant(const std::filesystem::path& from, const std::filesystem::path& to) {
  namespace fs = std::filesystem;
  // Whoever opens and closes the lock's file has the process's id forgotten there.
  const auto files = [](const fs::path& folder) {
    std::vector<fs::path> names;
    for (const auto& each : fs::directory_iterator(folder)) {
      if (each.path().filename() != "LOCK") names.push_back(each.path().filename());
    }
    return sorted(names);
  };
  const auto bytes = [](const fs::path& path) -> std::optional<std::string> {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  return eventually([&] {
    fs::remove_all(to);
    fs::create_directory(to);
    const auto names = files(from);
    for (const fs::path& name : names) {
      std::error_code gone;
      if (!fs::copy_file(from / name, to / name, gone)) return false;
    }
    for (const fs::path& name : names) {
      if (bytes(from / name) != bytes(to / name)) return false;
    }
    return files(from) == names;
  });
}

inline std::string fresh_store_name() {
  static std::atomic<int> next{1};
  return "contract-store-" + std::to_string(next++);
}

/// A store in memory of the test's own; whatever is open is closed at the end.
class ContractTest : public testing::Test {
 protected:
  ContractTest() : name_(fresh_store_name()), db_(open(name_)) {}

  void TearDown() override {
    for (const std::string& name : names()) EXPECT_NO_THROW(close(name)) << name;
  }

  /// Another store, with options.
  Datastore open_other(const Options& options) { return open(fresh_store_name(), options); }

  /// Waits until the deadline of everything that was armed with `ttl` before this call is past.
  static void outlive(std::chrono::nanoseconds ttl) { std::this_thread::sleep_until(SteadyClock::now() + ttl + kExactness); }

  const std::string name_;
  Datastore db_;
};

/// A store that is saved to a file of the test's own.
class PersistenceTest : public ContractTest {
 protected:
  std::filesystem::path file() const { return folder_.path() / "store.json"; }

  Options options() const {
    Options options;
    options.persist = file();
    return options;
  }

  Datastore open_file() const { return open(file_store_name_, options()); }

  Datastore reopen_file() const {
    close(file_store_name_);
    return open_file();
  }

  TemporaryFolder folder_;
  const std::string file_store_name_ = fresh_store_name();
};

}  // namespace cubby::contract
