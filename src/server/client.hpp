// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <cubby/datastore.hpp>

#include "server/byte_buffer.hpp"
#include "server/charged_bytes.hpp"
#include "server/command.hpp"
#include "server/watches.hpp"

namespace cubby::server {

struct User;

/// A request that MULTI has queued: its arguments, kept.
class QueuedCommand {
 public:
  QueuedCommand(const CommandSpec& spec, Arguments arguments);
  const CommandSpec& spec() const noexcept { return *spec_; }
  /// Views into this object, which mustn't move meanwhile.
  std::vector<std::string_view> arguments() const;
  /// Of memory.
  std::size_t bytes() const noexcept { return sizeof *this + text_.capacity() + ends_.capacity() * sizeof(std::size_t); }

 private:
  const CommandSpec* spec_;
  std::string text_;
  std::vector<std::size_t> ends_;
};

/// What other threads may ask of a client (CLIENT LIST, the dashboard).
struct ClientFacts {
  std::uint64_t id = 0;
  std::string address;  ///< its own: "127.0.0.1:52114"
  std::string local_address;
  int descriptor = -1;
  std::string name;
  std::string library_name;
  std::string library_version;
  std::string user;
  std::string store;  ///< "db0"
  std::string command;
  std::chrono::seconds age{0};
  std::chrono::seconds idle{0};
  bool in_multi = false;
  std::size_t queued = 0;  ///< commands in MULTI
  std::size_t channels = 0, patterns = 0, watches = 0;
  bool blocked = false;
  bool no_evict = false, no_touch = false;
  int protocol = 2;
  std::size_t input_bytes = 0;   ///< of a request that hasn't come in full
  std::size_t output_bytes = 0;  ///< that wait to be sent
  std::uint64_t commands = 0;
};

/// Who sends commands: what they have set up, and where their replies go. The network's connection derives from it; so does
/// what the tests use.
///
/// Thread safety: belongs to the thread that serves it, the members below "from any thread" excepted.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Server& server, std::uint64_t id);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client();

  std::uint64_t id() const noexcept { return id_; }
  Server& server() noexcept { return server_; }

  // --- the session
  int protocol = 2;
  const User* user = nullptr;  ///< null: not signed in
  std::string user_name;
  std::string store_name;  ///< "db0"
  Datastore store;
  std::string name, library_name, library_version;
  bool no_evict = false, no_touch = false;
  enum class ReplyMode : std::uint8_t { on, off, skip_next, skip } reply_mode = ReplyMode::on;
  bool closing = false;  ///< once the replies are sent
  std::uint64_t commands = 0;
  const CommandSpec* last_command = nullptr;
  std::uint64_t failed_sign_in = static_cast<std::uint64_t>(-1);  ///< which of `commands` has tried a wrong password last
  /// The command of now has tried a wrong password: nothing behind it is run before its answer is given.
  bool sign_in_failed() const noexcept { return failed_sign_in == commands; }
  std::chrono::steady_clock::time_point last_active;

  // --- MULTI
  bool in_multi = false;
  bool multi_failed = false;  ///< a command couldn't be queued
  std::vector<QueuedCommand> queued;
  ChargedBytes queued_bytes;
  Watches watches;
  /// Leaves MULTI, and forgets the watches.
  void leave_multi();

  // --- subscriptions; the server's PubSub has the other direction
  std::set<std::string, std::less<>> channels, patterns;
  bool subscribed() const noexcept { return !channels.empty() || !patterns.empty(); }

  /// Goes to this store, as SELECT and CUBBY.USE do. Throws CommandError.
  void use(std::string_view store_name);
  /// Makes it as it was after connecting, as RESET does.
  void reset_session();

  // --- blocking
  using Attempt = std::function<bool(Keyspace&, Reply&, Events&)>;
  using Timed = void (*)(Reply&);
  /// Puts the client to sleep until `attempt` has replied and returns true; it is called whenever one of the keys may have an
  /// element, in line with all that wait for it, on any thread. It may throw CommandError, which is the reply then. After
  /// `timeout`, `timed_out` replies. No further request of the client is looked at before that.
  /// REQUIRES: not in a transaction; the attempt was tried in vain.
  void sleep_for_elements(std::span<const std::string_view> keys, Timeout timeout, Attempt attempt, Timed timed_out);
  /// The same until the key has a value unequal to what it holds now, or equal to `expected`: `awake` replies with it.
  void sleep_for_value(std::string_view key, const Value* expected, Timeout timeout,
                       std::function<void(Reply&, const Value&)> awake, Timed timed_out);
  bool blocked() const noexcept { return blocked_.load(std::memory_order_relaxed); }

  // --- from any thread
  /// Sends a message that is no reply; a client whose output grows too large is cut off.
  virtual void deliver(std::shared_ptr<const std::string> message) = 0;
  /// Cuts it off.
  virtual void kill() = 0;
  /// Calls `f` on the client's thread, soon; never, if it is gone by then.
  virtual void post(std::function<void()> f) = 0;
  ClientFacts facts() const;

  /// Brings facts() up to date. The network calls it when it has nothing to do, and after what changes names.
  void publish_facts();
  /// Whether a command has changed what CLIENT LIST and CLIENT KILL go by, and facts() don't say so.
  bool facts_are_old() const noexcept {
    return store_changed_ || in_multi != told_.in_multi || channels.size() != told_.channels ||
           patterns.size() != told_.patterns || watches.size() != told_.watches;
  }

 protected:
  /// Takes what the sleeping client was waiting for: `reply` are bytes for it. On its own thread.
  virtual void awake(ByteBuffer reply) = 0;
  /// Of the network: fills in what it knows of.
  virtual void complete(ClientFacts& facts) const = 0;
  /// Gives up waiting, and everybody's knowledge of it. Of the derived destructor, or before.
  void leave();
  /// Wakes up for nothing, unless what it was waiting for has been taken already: true, and awake() is about to be called. On
  /// its own thread.
  bool stop_waiting();

 private:
  struct SleepState;

  Server& server_;
  const std::uint64_t id_;
  const std::chrono::steady_clock::time_point since_;
  std::atomic<bool> blocked_{false};
  std::atomic<bool> waking_{false};  ///< awake() is about to be called
  std::atomic<bool> gone_{false};    ///< nothing shall be taken for it any more
  Waiting waiting_;
  ChargedBytes buffer_bytes_;  ///< as facts() has them
  mutable std::mutex facts_mutex_;
  ClientFacts facts_;
  /// Of facts_, for the client's own thread.
  struct Told {
    bool in_multi = false;
    std::size_t channels = 0, patterns = 0, watches = 0;
  } told_;
  bool store_changed_ = false;
  std::chrono::steady_clock::time_point published_;
};

}  // namespace cubby::server
