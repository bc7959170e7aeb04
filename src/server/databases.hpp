// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <cubby/datastore.hpp>
#include <cubby/error.hpp>

#include "server/settings.hpp"

namespace cubby::server {

/// Why a store's folder can't be opened or closed. what() is for who runs the server: it names the folder and knows neither the
/// names under which stores are open nor the library's options.
class FolderError : public Error {
 public:
  FolderError(const Error& cause, const std::filesystem::path& folder, const std::string& text);

  /// As the library says it.
  const Error& cause() const noexcept { return *cause_; }
  const std::filesystem::path& folder() const noexcept { return *folder_; }

 private:
  std::shared_ptr<const Error> cause_;  // shared, as copying an exception must not throw
  std::shared_ptr<const std::filesystem::path> folder_;
};

/// The stores that are served: `db0` to `db15`, and others by their names. Each is opened when it is asked for; `db0`, and with
/// a folder what lies in it, is opened at once.
///
/// Names stand in replies, lines of the log and names of channels between other words, so new ones are printable, have no
/// blanks and no `=`, and can't be taken for a database's number. A folder that is there is served whatever its name, but for
/// what `cubby repair` leaves.
///
/// The names are those of this object: the library's have a number before them ("1/db0"), so that several servers in a process
/// have each their own.
///
/// Thread safety: all members, from any thread; close() and its like from one at a time.
class Databases {
 public:
  /// Makes the folder if it isn't there. Throws FolderError, cubby::Error, and SettingError for a key file that holds no key
  /// and a folder that is a store itself.
  explicit Databases(const Settings& settings);
  /// Serves these stores, `db0` among them, and no other; they stay open when this object goes.
  explicit Databases(std::map<std::string, Datastore> given);
  Databases(const Databases&) = delete;
  Databases& operator=(const Databases&) = delete;
  /// As close(), errors excepted.
  ~Databases();

  /// Opens it, and makes it if need be. Throws FolderError and cubby::Error: Errc::invalid_argument for a name that a store
  /// can't be given and if there are as many stores as there may be, Errc::closed after close().
  Datastore open(const std::string& name);
  /// Whether it is open, or is one of the databases, which need no leave to be made.
  bool knows(const std::string& name) const;
  /// How many stores there may be besides the databases. Those that are there stay.
  void limit(std::size_t most) noexcept { most_stores_.store(most, std::memory_order_relaxed); }
  /// Those that are open, by name.
  std::vector<std::pair<std::string, Datastore>> all() const;
  /// Calls `f(name, store)` for each that is open, and for each that will be before anybody gets it. `f` must not call this
  /// object.
  void on_open(std::function<void(const std::string& name, Datastore& store)> f);

  /// The number of "db7".
  static std::optional<int> number_of(std::string_view name) noexcept;
  static std::string name_of(int number) { return "db" + std::to_string(number); }
  /// Whether a folder of this name is a damaged store that `cubby repair` keeps, or one that it hadn't done with.
  static bool is_left_by_repair(std::string_view name) noexcept;
  /// The folders of such names: they lie beside the stores, and aren't served.
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }

  /// Whether there is something to save to.
  bool durable() const noexcept { return !dir_.empty() || given_; }
  const std::filesystem::path& folder() const noexcept { return dir_; }

  /// How saving goes and went.
  struct Saves {
    bool running = false;
    std::chrono::system_clock::time_point last;           ///< success, or when the stores were opened
    std::string last_error;                               ///< of the last save; empty if it succeeded
    std::optional<std::chrono::seconds> last_background;  ///< how long the last one in the background took
    std::optional<std::chrono::seconds> current;          ///< how long the one that is running there has been
  };
  /// A checkpoint of each; nothing, if they are in memory. False if another save is going on. Throws the first error after
  /// trying all; Errc::closed after close().
  bool save();
  /// The same on a thread of its own.
  bool start_save();
  Saves saves() const;

  /// Waits for a background save and closes all, which makes a checkpoint of each. Throws the first error after trying all;
  /// those that failed stay open, and their logs have everything.
  void close();
  /// The same for who can't do anything about an error: it comes again when the process ends, and is printed then.
  void close_quietly() noexcept;

 private:
  void open_folder();
  void refuse_store() const;
  void refuse_interrupted_repair(const std::string& name) const;
  Datastore open_locked(const std::string& name);
  [[noreturn]] void fail(const Error& error, const std::string& name) const;
  bool is_database(std::string_view name) const noexcept;
  void check_may_be_made(const std::string& name) const;
  bool begin_save(bool in_background);
  std::exception_ptr save_all();
  void end_save(const std::exception_ptr& failure);

  const std::filesystem::path dir_;
  const std::string prefix_;
  const std::string key_file_;
  const bool given_;
  const int databases_;
  std::atomic<std::size_t> most_stores_;
  Options options_;
  std::vector<std::string> left_out_;  // doesn't change once it is made

  mutable std::mutex mutex_;
  std::map<std::string, Datastore> stores_;
  std::function<void(const std::string&, Datastore&)> on_open_;
  bool closed_ = false;

  mutable std::mutex saves_mutex_;
  bool saving_ = false;
  bool no_more_saves_ = false;
  std::optional<std::chrono::steady_clock::time_point> background_since_;
  Saves saves_;
  std::thread saver_;
};

}  // namespace cubby::server
