// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "server/keyspace.hpp"
#include "server/reply.hpp"

/// What a command is: its description, and the function that runs it. The families (commands_*.cpp) have one table each;
/// command_table.hpp puts them together and dispatch.hpp runs them.

namespace cubby::server {

class Client;
class Server;

using Arguments = std::span<const std::string_view>;

/// A reply that is an error: its text with the code in front ("ERR syntax error"). Nothing was changed.
class CommandError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The errors that many commands have.
[[noreturn]] void fail_syntax();
[[noreturn]] void fail_wrong_type();
[[noreturn]] void fail_not_integer();
[[noreturn]] void fail_arguments(std::string_view command);

/// What is told to subscribers of keyspace notifications once the command has taken effect. The classes are Redis's letters:
/// `$` strings, `l` lists, `h` hashes, `g` of any type, `x` expired, `d` modules (JSON).
class Events {
 public:
  struct Event {
    char kind;
    std::string_view name;  ///< a literal
    std::string key;
    std::string message = {};  ///< kPublished: what goes to the channel `key`
  };
  static constexpr char kPublished = 0;
  /// `defers`: of commands in a transaction, which take effect together and may fail together. All is told afterwards.
  explicit Events(bool wanted, bool defers = false) noexcept : wanted_(wanted), defers_(defers) {}

  void add(char kind, std::string_view name, std::string_view key) {
    if (wanted_) [[unlikely]]
      events_.push_back({kind, name, std::string(key)});
  }
  /// A message of PUBLISH, in its place among the events. REQUIRES: defers().
  void publish(std::string_view channel, std::string_view message) {
    events_.push_back({kPublished, {}, std::string(channel), std::string(message)});
  }
  void take_over(Events&& others) {
    events_.insert(events_.end(), std::move_iterator(others.events_.begin()), std::move_iterator(others.events_.end()));
  }
  /// Whether anybody is to be told.
  bool wanted() const noexcept { return wanted_; }
  bool defers() const noexcept { return defers_; }
  std::span<const Event> all() const noexcept { return events_; }
  void clear() noexcept { events_.clear(); }

 private:
  bool wanted_;
  bool defers_;
  std::vector<Event> events_;
};

/// One running command.
struct Call {
  Server& server;
  Client& client;
  Keyspace& keys;
  Arguments arguments;  ///< the command's name first, as the client wrote it
  Reply& reply;
  Events& events;

  std::size_t count() const noexcept { return arguments.size(); }
  std::string_view operator[](std::size_t index) const noexcept { return arguments[index]; }
};

enum CommandFlags : std::uint32_t {
  kWrite = 1U << 0,
  kReadOnly = 1U << 1,
  kDenyOom = 1U << 2,  ///< refused when memory is full
  kAdmin = 1U << 3,
  kPubSub = 1U << 4,
  kNoAuth = 1U << 5,       ///< for those who haven't signed in, too
  kFast = 1U << 6,         ///< takes about the same time whatever the data: not timed by itself
  kBlocking = 1U << 7,     ///< may wait
  kNoMulti = 1U << 8,      ///< not in MULTI
  kImmediate = 1U << 9,    ///< runs at once in MULTI instead of being queued: EXEC, DISCARD, WATCH ...
  kWholeStore = 1U << 10,  ///< works on all keys or on the server: takes effect between the transactions of an EXEC
  kSubscribed = 1U << 11,  ///< a RESP2 subscriber may send it
  kMovableKeys = 1U << 12,
};

/// What users may be allowed; the names are those of Redis's ACL categories.
enum CommandCategories : std::uint32_t {
  kKeyspace = 1U << 0,
  kRead = 1U << 1,
  kWriting = 1U << 2,
  kString = 1U << 3,
  kList = 1U << 4,
  kHash = 1U << 5,
  kJson = 1U << 6,
  kPubSubCategory = 1U << 7,
  kTransaction = 1U << 8,
  kConnection = 1U << 9,
  kAdminCategory = 1U << 10,
  kDangerous = 1U << 11,
  kBlockingCategory = 1U << 12,
};

/// Where a command's keys are among its arguments, as COMMAND INFO says it. `last` counts from the end if negative.
struct KeyPlaces {
  int first = 0;  ///< 0: no keys
  int last = 0;
  int step = 0;
};

struct CommandSpec {
  std::string_view name;  ///< lower case
  /// Arguments with the name; negative: at least as many.
  int arity;
  std::uint32_t flags;
  std::uint32_t categories;
  KeyPlaces keys;
  void (*run)(Call&);
  std::string_view group;    ///< of COMMAND DOCS
  std::string_view summary;  ///< of COMMAND DOCS, and of the shell's help
  std::string_view syntax;   ///< the arguments, of the shell's help: "key [value ...]"
  /// Where `keys` can't say it: puts the places of the keys into `places`. Throws CommandError if they can't be found.
  void (*find_keys)(Arguments arguments, std::vector<std::size_t>& places) = nullptr;
  /// Throws CommandError for arguments that can't be right whatever the data, such as an unknown subcommand or its arity: Redis
  /// says so already when MULTI queues the command.
  void (*check)(Arguments arguments) = nullptr;

  bool has(CommandFlags flag) const noexcept { return (flags & flag) != 0; }
  bool takes(std::size_t arguments) const noexcept {
    return arity >= 0 ? arguments == static_cast<std::size_t>(arity) : arguments >= static_cast<std::size_t>(-arity);
  }
};

/// The places of the keys among the arguments. REQUIRES: spec.takes(arguments.size()).
void find_keys(const CommandSpec& spec, Arguments arguments, std::vector<std::size_t>& places);

/// The subcommands of CLIENT that are for administrators: rules for users are about them, too, though they are no command of
/// their own.
const CommandSpec& client_administration();
/// The same of CUBBY.USE with a store that isn't there.
const CommandSpec& store_making();

// The families, each in a file of its own.
std::span<const CommandSpec> connection_commands();
std::span<const CommandSpec> client_commands();
std::span<const CommandSpec> introspection_commands();
std::span<const CommandSpec> string_commands();
std::span<const CommandSpec> key_commands();
std::span<const CommandSpec> expiry_commands();
std::span<const CommandSpec> scan_commands();
std::span<const CommandSpec> list_commands();
std::span<const CommandSpec> blocking_list_commands();
std::span<const CommandSpec> hash_commands();
std::span<const CommandSpec> json_commands();
std::span<const CommandSpec> transaction_commands();
std::span<const CommandSpec> pubsub_commands();
std::span<const CommandSpec> server_commands();
std::span<const CommandSpec> cubby_commands();

}  // namespace cubby::server
