// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/options.hpp>

/// The process's stores by name.
///
/// Thread safety: all members, from any thread. Never destroyed, as stores may be used until the very end of the process.

namespace cubby::detail {

class Store;

class Registry {
 public:
  std::shared_ptr<Store> open(std::string_view name, const Options& options);
  void close(std::string_view name) { close(name, false); }
  void shutdown();
  /// Closes all stores whatever happens, and tells standard error what did.
  void close_at_exit() noexcept;
  std::vector<std::string> names();
  std::vector<std::shared_ptr<Store>> stores();

 private:
  struct Slot {
    std::shared_ptr<Store> store;
    std::string file;   ///< identity of its file, if it has one
    bool busy = false;  ///< being opened or closed: others wait
  };

  std::shared_ptr<Store> open_sys(const Options& options);
  static void check(std::string_view name, const Options& options);
  void close(std::string_view name, bool at_exit);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Slot, std::less<>> slots_;
  std::shared_ptr<Store> sys_;
  bool at_exit_ = false;
};

Registry& registry();

}  // namespace cubby::detail
