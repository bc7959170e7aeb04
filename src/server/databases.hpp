// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/datastore.hpp>

#include "server/settings.hpp"

namespace cubby::server {

/// The stores that are served: `db0` to `db15`, and any other by its name. Each is opened when it is asked for; with a folder,
/// what lies in it is opened at once.
///
/// Thread safety: all members, from any thread.
class Databases {
 public:
  /// Throws cubby::Error.
  explicit Databases(const Settings& settings);
  Databases(const Databases&) = delete;
  Databases& operator=(const Databases&) = delete;

  /// Opens it if need be. Throws cubby::Error; Errc::invalid_argument for a name that can't be a folder's.
  Datastore open(const std::string& name);
  /// Those that are open, by name.
  std::vector<std::pair<std::string, Datastore>> all() const;
  /// The number of "db7".
  static std::optional<int> number_of(std::string_view name) noexcept;
  static std::string name_of(int number) { return "db" + std::to_string(number); }

  bool durable() const noexcept { return !dir_.empty(); }
  /// A checkpoint of each. Throws the first error after trying all.
  void save();
  /// When save() has last succeeded, or the stores were opened.
  std::chrono::system_clock::time_point last_save() const;
  std::string last_save_error() const;
  /// Saves (or not: then the log has everything) and closes all. Throws the first error after trying all.
  void close();

 private:
  Datastore open_locked(const std::string& name);

  const std::filesystem::path dir_;
  Options options_;
  mutable std::mutex mutex_;
  std::map<std::string, Datastore> stores_;
  std::chrono::system_clock::time_point last_save_ = std::chrono::system_clock::now();
  std::string last_save_error_;
};

}  // namespace cubby::server
