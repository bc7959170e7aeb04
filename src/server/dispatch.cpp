// SPDX-License-Identifier: Apache-2.0
#include "server/dispatch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "server/arguments.hpp"
#include "server/command_table.hpp"
#include "server/server.hpp"
#include "server/subcommands.hpp"

namespace cubby::server {

std::string error_text(const Error& error) {
  if (error.code() == Errc::type_mismatch) return "WRONGTYPE Operation against a key holding the wrong kind of value";
  if (error.code() == Errc::overflow) return "ERR increment or decrement would overflow";
  if (error.code() == Errc::key_not_found) return "ERR no such key";
  if (error.code() == Errc::io) return std::string("MISCONF The write was refused, nothing has changed: ") + error.what();
  if (error.code() == Errc::read_only) return std::string("READONLY ") + error.what();
  return std::string("ERR ") + error.what();
}

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBatch = 32;
/// Replies of so many bytes go before more requests run.
constexpr std::size_t kMuchOutput = std::size_t{256} << 10;

/// Counts commands and their time. Reading the clock costs as much as a command of the fast ones: these are timed together.
class Meter {
 public:
  Meter(Figures::Part& part, bool each) noexcept : part_(part), each_(each), start_(Clock::now()) {}
  ~Meter() { flush(); }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// Before a command; whether it is timed by itself.
  bool begin(const CommandSpec& spec) {
    const bool alone = each_ || !spec.has(kFast);
    if (alone) flush();
    return alone;
  }
  /// After it. How long it took, if it was timed by itself.
  std::chrono::nanoseconds end(std::size_t index, bool failed, bool alone) {
    commands_[count_++] = {static_cast<std::uint16_t>(index), failed};
    if (!alone && count_ < commands_.size()) return std::chrono::nanoseconds::zero();
    return flush();
  }

 private:
  std::chrono::nanoseconds flush() {
    if (count_ == 0) return std::chrono::nanoseconds::zero();
    const auto now = Clock::now();
    const std::chrono::nanoseconds time = now - start_;
    start_ = now;
    const auto each = static_cast<std::uint64_t>(time.count()) / count_;
    for (std::size_t index = 0; index < count_; ++index) {
      part_.add_command(commands_[index].index, each, commands_[index].failed);
    }
    part_.add_latency(static_cast<std::uint64_t>(time.count()));
    part_.add(Figures::commands, count_);
    count_ = 0;
    return time;
  }

  struct Counted {
    std::uint16_t index;
    bool failed;
  };
  Figures::Part& part_;
  const bool each_;
  Clock::time_point start_;
  std::size_t count_ = 0;
  std::array<Counted, kBatch> commands_;
};

std::string unknown_command(Arguments arguments) {
  std::string text = "ERR unknown command '" + shown_argument(arguments[0]) + "', with args beginning with: ";
  std::size_t shown = 0;
  for (std::size_t index = 1; index < arguments.size() && shown < 128; ++index) {
    // As C text: up to the first zero byte.
    const std::string_view argument = arguments[index].substr(0, std::min(arguments[index].find('\0'), 128 - shown));
    text.append("'").append(argument).append("' ");
    shown += argument.size() + 3;
  }
  return text;
}

/// What the client may not do, as an error's text; empty: it may.
std::string forbidden(const Client& client, const CommandSpec& spec, Arguments arguments) {
  const User& user = *client.user;
  if (user.all_commands && user.all_keys) return {};
  if (!spec.has(kNoAuth) && !user.may_run(spec)) {
    return "NOPERM this user has no permissions to run the '" + std::string(spec.name) + "' command";
  }
  if (user.all_keys) return {};
  std::vector<std::size_t> places;
  try {
    find_keys(spec, arguments, places);
  } catch (const CommandError&) {
    return {};  // the command will say so
  }
  const bool all = std::all_of(places.begin(), places.end(),
                               [&](std::size_t place) { return user.may_use_key(arguments[place], spec.has(kWrite)); });
  return all ? std::string() : "NOPERM this user has no permissions to access one of the keys used as arguments";
}

bool queued_needs_memory(const Client& client) {
  return std::ranges::any_of(client.queued, [](const QueuedCommand& command) { return command.spec().has(kDenyOom); });
}

/// Why a command isn't run at all; empty: nothing is in its way. In Redis's order.
std::string obstacle(Client& client, const CommandSpec& spec, Arguments arguments) {
  if (!spec.takes(arguments.size())) {
    return "ERR wrong number of arguments for '" + std::string(spec.name) + "' command";
  }
  if (spec.check != nullptr) {
    try {
      spec.check(arguments);
    } catch (const CommandError& error) {
      return error.what();
    }
  }
  if (client.user == nullptr) [[unlikely]] {
    if (!spec.has(kNoAuth)) return "NOAUTH Authentication required.";
  } else {
    if (client.in_multi && spec.has(kNoMulti)) return "ERR Command not allowed inside a transaction";
    if (std::string text = forbidden(client, spec, arguments); !text.empty()) return text;
  }
  if (client.server().memory_full() &&
      (spec.has(kDenyOom) || (client.in_multi && spec.name == "exec" && queued_needs_memory(client)))) [[unlikely]] {
    return "OOM command not allowed when used memory > 'maxmemory'.";
  }
  if (client.protocol == 2 && client.subscribed() && !spec.has(kSubscribed)) [[unlikely]] {
    return "ERR Can't execute '" + std::string(spec.name) +
           "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
  }
  return {};
}

/// Calls the command; what it throws becomes its reply. True if it went well: then there may be events.
bool call_command(Client& client, const CommandSpec& spec, Arguments arguments, Keyspace& keys, Reply& reply, Events& events) {
  ByteBuffer& out = reply.out();
  const std::size_t begin = out.size();
  try {
    Call call{client.server(), client, keys, arguments, reply, events};
    spec.run(call);
    return true;
  } catch (const CommandError& error) {
    out.truncate(begin);
    reply.error(error.what());
  } catch (const Error& error) {
    out.truncate(begin);
    reply.error(error_text(error));
  } catch (const std::bad_alloc&) {
    out.truncate(begin);
    reply.error("OOM the server has no memory for this");
  } catch (const BufferLimit&) {
    // It may have changed something; who misses its reply can't go on as if nothing was.
    out.truncate(begin);
    reply.error("ERR the reply is larger than client-output-buffer-limit");
    client.server().figures.mine().add(Figures::output_limit_disconnections);
    client.closing = true;
  } catch (const std::exception& error) {
    out.truncate(begin);
    reply.error(std::string("ERR ") + error.what());
  }
  return false;
}

void refuse(Client& client, const CommandSpec* spec, const std::string& text, Reply& reply) {
  client.server().figures.mine().add(Figures::errors);
  if (spec != nullptr && spec->name == "exec") {
    client.leave_multi();
    const std::size_t code = text.find(' ');
    reply.error("EXECABORT Transaction discarded because of: " + text.substr(code == std::string::npos ? 0 : code + 1));
    return;
  }
  if (client.in_multi) client.multi_failed = true;
  reply.error(text);
}

/// Runs, queues or refuses one. False if it failed.
bool run_one(Client& client, const CommandSpec& spec, Arguments arguments, Reply& reply) {
  if (const std::string text = obstacle(client, spec, arguments); !text.empty()) {
    refuse(client, &spec, text, reply);
    return false;
  }
  if (client.in_multi && !spec.has(kImmediate)) {
    client.queued.emplace_back(spec, arguments);
    client.queued_bytes.add(client.queued.back().bytes());
    reply.simple("QUEUED");
    return true;
  }
  Keyspace keys(client.store);
  Events events(client.server().notifications() != 0);
  if (!call_command(client, spec, arguments, keys, reply, events)) {
    client.server().figures.mine().add(Figures::errors);
    return false;
  }
  if (!events.all().empty()) client.server().notify(client.store_name, events);
  return true;
}

void execute_one(Client& client, const CommandTable::Slot* slot, Arguments arguments, ByteBuffer& out, Meter& meter) {
  const std::size_t begin = out.size();
  const auto mode = client.reply_mode;
  Reply reply(out, client.protocol);
  ++client.commands;
  if (slot == nullptr) [[unlikely]] {
    if (is_word(arguments[0], "POST") || is_word(arguments[0], "HOST:")) {
      // A web page can make its reader's browser send such a request here, with commands in its body.
      spdlog::warn("client closed, as it speaks HTTP client={}", client.id());
      client.closing = true;
      return;
    }
    refuse(client, nullptr, unknown_command(arguments), reply);
  } else {
    const CommandSpec& spec = *slot->spec;
    client.last_command = &spec;
    const bool alone = meter.begin(spec);
    const bool good = run_one(client, spec, arguments, reply);
    const auto time = meter.end(slot->index, !good, alone);
    const std::int64_t slow_after = client.server().slow_after_us();
    if (alone && slow_after >= 0 && time >= std::chrono::microseconds(slow_after) && spec.name != "exec") [[unlikely]] {
      client.server().slow_log.add(arguments, std::chrono::duration_cast<std::chrono::microseconds>(time).count(), client);
    }
  }
  using Mode = Client::ReplyMode;
  if (mode != Mode::on || client.reply_mode != Mode::on) [[unlikely]] {
    // CLIENT REPLY ON answers itself; SKIP is for the command behind it.
    if (client.reply_mode != Mode::on) out.truncate(begin);
    if (client.reply_mode == Mode::skip_next) {
      client.reply_mode = Mode::skip;
    } else if (client.reply_mode == Mode::skip) {
      client.reply_mode = Mode::on;
    }
  }
}

bool timed_each(const Server& server) noexcept {
  const std::int64_t slow_after = server.slow_after_us();
  return slow_after >= 0 && slow_after < 1000;
}

}  // namespace

void execute(Client& client, Arguments arguments, ByteBuffer& out) {
  Meter meter(client.server().figures.mine(), timed_each(client.server()));
  execute_one(client, CommandTable::instance().slot_of(arguments[0]), arguments, out, meter);
}

std::size_t execute_all(Client& client, std::span<const Arguments> requests, ByteBuffer& out) {
  const CommandTable& table = CommandTable::instance();
  Meter meter(client.server().figures.mine(), timed_each(client.server()));
  std::size_t done = 0;
  while (done != requests.size()) {
    const auto batch = requests.subspan(done, std::min(kBatch, requests.size() - done));
    std::array<const CommandTable::Slot*, kBatch> slots;
    std::array<std::string_view, kBatch> keys;
    std::size_t key_count = 0;
    for (std::size_t index = 0; index < batch.size(); ++index) {
      slots[index] = table.slot_of(batch[index][0]);
      if (slots[index] == nullptr) continue;
      const auto first = static_cast<std::size_t>(slots[index]->spec->keys.first);
      if (first != 0 && first < batch[index].size()) keys[key_count++] = batch[index][first];
    }
    if (key_count > 1) client.store.prefetch(std::span<const std::string_view>(keys.data(), key_count));
    for (std::size_t index = 0; index < batch.size(); ++index) {
      execute_one(client, slots[index], batch[index], out, meter);
      ++done;
      if (client.closing || client.blocked() || client.sign_in_failed() || out.size() >= kMuchOutput) return done;
    }
  }
  return done;
}

// --- EXEC
// ---------------------------------------------------------------------------------------------------------------------

namespace {

/// A queued command that is being run.
struct Running {
  const CommandSpec* spec;
  std::vector<std::string_view> arguments;
};

/// Which can't be part of a transaction on keys.
bool stands_alone(const CommandSpec& spec) noexcept { return spec.has(kWholeStore) || spec.has(kAdmin); }

/// As call_command; a user who has become another one since MULTI may not do what the first one may.
bool run_queued(Client& client, const Running& command, Keyspace& keys, Reply& reply, Events& events) {
  if (std::string text = forbidden(client, *command.spec, command.arguments); !text.empty()) [[unlikely]] {
    reply.error("NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
                text.substr(text.find(' ') + 1));
    return false;
  }
  return call_command(client, *command.spec, command.arguments, keys, reply, events);
}

/// Runs commands on keys of the client's store at one instant. `watched`: only if the watches hold; false if they don't.
bool run_together(Client& client, std::span<const Running> commands, bool watched, Reply& reply) {
  ByteBuffer& out = reply.out();
  const std::size_t begin = out.size();
  std::vector<std::string_view> keys;
  std::vector<std::size_t> places;
  for (const Running& command : commands) {
    places.clear();
    try {
      find_keys(*command.spec, command.arguments, places);
    } catch (const CommandError&) {
      places.clear();  // the command will say so
    }
    for (const std::size_t place : places) keys.push_back(command.arguments[place]);
  }
  if (watched) {
    for (const Watch& watch : client.watches) {
      if (watch.store_name == client.store_name) keys.push_back(watch.key);
    }
  }
  const auto run_all = [&](Keyspace& keyspace, Events& events) {
    Figures::Part& figures = client.server().figures.mine();
    for (const Running& command : commands) {
      Events own(client.server().notifications() != 0, true);
      reply.set_protocol(client.protocol);
      if (run_queued(client, command, keyspace, reply, own)) {
        events.take_over(std::move(own));
      } else {
        figures.add(Figures::errors);
      }
    }
  };
  Events events(client.server().notifications() != 0);
  if (keys.empty()) {
    if (watched && !client.watches.hold()) return false;
    Keyspace keyspace(client.store);
    run_all(keyspace, events);
    if (!events.all().empty()) client.server().notify(client.store_name, events);
    return true;
  }
  try {
    Datastore store = client.store;
    const bool held = store.transact(keys, [&](Transaction& transaction) {
      const bool hold = !watched || std::all_of(client.watches.begin(), client.watches.end(), [&](const Watch& watch) {
        return watch.store_name == client.store_name ? transaction.unchanged(watch.key, watch.version)
                                                     : watch.store.unchanged(watch.key, watch.version);
      });
      if (!hold) return false;
      Keyspace keyspace(store, transaction);
      run_all(keyspace, events);
      return true;
    });
    if (!held) return false;
  } catch (const Error& error) {
    // None of it has happened; each command of the client's has to have a reply.
    out.truncate(begin);
    for (std::size_t index = 0; index < commands.size(); ++index) reply.error(error_text(error));
    return true;
  }
  if (!events.all().empty()) client.server().notify(client.store_name, events);
  return true;
}

}  // namespace

void execute_transaction(Client& client, Reply& reply) {
  const std::vector<QueuedCommand> queued = std::move(client.queued);
  client.queued.clear();
  client.in_multi = false;  // what runs now isn't queued again
  std::vector<Running> commands;
  commands.reserve(queued.size());
  for (const QueuedCommand& command : queued) commands.push_back({&command.spec(), command.arguments()});

  ByteBuffer& out = reply.out();
  const std::size_t begin = out.size();
  reply.array(commands.size());
  // The first commands on keys see to it that the watches hold at the instant at which they take effect. Those before them,
  // such as SELECT, run at once; should the watches not hold after all, nothing has happened but that the client is in another
  // store.
  const std::string first_store = client.store_name;
  bool watched = !client.watches.empty();
  bool held = !watched || client.watches.hold();
  for (std::size_t first = 0; first < commands.size() && held;) {
    const CommandSpec& spec = *commands[first].spec;
    if (stands_alone(spec)) {
      Keyspace keyspace(client.store);
      Events events(client.server().notifications() != 0);
      const std::string store_name = client.store_name;
      reply.set_protocol(client.protocol);
      if (run_queued(client, commands[first], keyspace, reply, events)) {
        client.server().notify(store_name, events);
      } else {
        client.server().figures.mine().add(Figures::errors);
      }
      if (spec.has(kWrite) || spec.has(kAdmin)) watched = false;
      ++first;
    } else {
      std::size_t last = first;
      while (last < commands.size() && !stands_alone(*commands[last].spec)) ++last;
      held = run_together(client, std::span(commands).subspan(first, last - first), watched, reply);
      watched = false;
      first = last;
    }
  }
  if (!held) {
    if (client.store_name != first_store) client.use(first_store);
    out.truncate(begin);
    reply.null_array();
  }
  client.leave_multi();
}

}  // namespace cubby::server
