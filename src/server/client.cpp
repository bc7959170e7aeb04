// SPDX-License-Identifier: Apache-2.0
#include "server/client.hpp"

#include <utility>

#include "server/dispatch.hpp"
#include "server/server.hpp"

namespace cubby::server {

// --- QueuedCommand
// ------------------------------------------------------------------------------------------------------------

QueuedCommand::QueuedCommand(const CommandSpec& spec, Arguments arguments) : spec_(&spec) {
  std::size_t size = 0;
  for (const std::string_view argument : arguments) size += argument.size();
  text_.reserve(size);
  ends_.reserve(arguments.size());
  for (const std::string_view argument : arguments) {
    text_ += argument;
    ends_.push_back(text_.size());
  }
}

std::vector<std::string_view> QueuedCommand::arguments() const {
  std::vector<std::string_view> arguments;
  arguments.reserve(ends_.size());
  std::size_t begin = 0;
  for (const std::size_t end : ends_) {
    arguments.push_back(std::string_view(text_).substr(begin, end - begin));
    begin = end;
  }
  return arguments;
}

// --- the session
// --------------------------------------------------------------------------------------------------------------

Client::Client(Server& server, std::uint64_t id)
    : user(server.users.initial()),
      user_name(user == nullptr ? "" : user->name),
      store_name(Databases::name_of(0)),
      store(server.databases.open(store_name)),
      last_active(std::chrono::steady_clock::now()),
      queued_bytes(server.client_memory),
      watches(server),
      server_(server),
      id_(id),
      since_(last_active),
      buffer_bytes_(server.client_memory) {}

Client::~Client() = default;

void Client::leave_multi() {
  in_multi = false;
  multi_failed = false;
  queued.clear();
  queued_bytes.set(0);
  watches.clear();
}

void Client::use(std::string_view wanted) {
  std::string wanted_name(wanted);
  try {
    store = server_.databases.open(wanted_name);
  } catch (const Error& error) {
    throw CommandError(error_text(error));
  }
  store_name = std::move(wanted_name);
  store_changed_ = true;
}

void Client::reset_session() {
  leave_multi();
  for (const std::string& channel : channels) server_.pubsub.unsubscribe(*this, channel);
  for (const std::string& pattern : patterns) server_.pubsub.unsubscribe_pattern(*this, pattern);
  channels.clear();
  patterns.clear();
  use(Databases::name_of(0));
  protocol = 2;
  user = server_.users.initial();
  user_name = user == nullptr ? "" : user->name;
  name.clear();
  reply_mode = ReplyMode::on;
  no_evict = false;
  no_touch = false;
}

void Client::leave() {
  gone_.store(true, std::memory_order_relaxed);
  waiting_ = Waiting();
  blocked_.store(false, std::memory_order_relaxed);
  for (const std::string& channel : channels) server_.pubsub.unsubscribe(*this, channel);
  for (const std::string& pattern : patterns) server_.pubsub.unsubscribe_pattern(*this, pattern);
  channels.clear();
  patterns.clear();
  server_.clients.remove(id_);
}

// --- what others see of it
// ----------------------------------------------------------------------------------------------------

void Client::publish_facts() {
  const auto now = std::chrono::steady_clock::now();
  ClientFacts facts;
  facts.id = id_;
  facts.name = name;
  facts.library_name = library_name;
  facts.library_version = library_version;
  facts.user = user_name;
  facts.store = store_name;
  if (last_command != nullptr) facts.command = last_command->name;
  facts.age = std::chrono::duration_cast<std::chrono::seconds>(now - since_);
  facts.idle = std::chrono::duration_cast<std::chrono::seconds>(now - last_active);
  facts.in_multi = in_multi;
  facts.queued = queued.size();
  facts.channels = channels.size();
  facts.patterns = patterns.size();
  facts.watches = watches.size();
  facts.blocked = blocked();
  facts.no_evict = no_evict;
  facts.no_touch = no_touch;
  facts.protocol = protocol;
  facts.commands = commands;
  complete(facts);
  told_ = {in_multi, channels.size(), patterns.size(), watches.size()};
  store_changed_ = false;
  buffer_bytes_.set(facts.input_bytes + facts.output_bytes);
  const std::lock_guard lock(facts_mutex_);
  facts_ = std::move(facts);
  published_ = now;
}

ClientFacts Client::facts() const {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(facts_mutex_);
  ClientFacts facts = facts_;
  // What has happened since is published soon; till then nothing has.
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(now - published_);
  facts.age += since;
  facts.idle += since;
  return facts;
}

// --- blocking
// -----------------------------------------------------------------------------------------------------------------

/// What a sleeping client has left with those that wake it: they may be other threads, and it may be gone by then.
struct Client::SleepState {
  Server& server;
  std::weak_ptr<Client> client;
  int protocol;
  std::string store_name;
  Datastore store;
  Attempt attempt;
  std::function<void(Reply&, const Value&)> awake;
  Timed timed_out;

  /// `reply` writes what the client gets.
  template <class F>
  void wake(F&& write) const {
    const std::shared_ptr<Client> sleeper = client.lock();
    if (sleeper == nullptr) return;
    // std::function wants what can be copied.
    auto bytes = std::make_shared<ByteBuffer>();
    Reply reply(*bytes, protocol);
    write(reply);
    sleeper->waking_.store(true, std::memory_order_relaxed);
    sleeper->post([sleeper, bytes] {
      sleeper->waking_.store(false, std::memory_order_relaxed);
      sleeper->blocked_.store(false, std::memory_order_relaxed);
      sleeper->awake(std::move(*bytes));
    });
  }
  void wake_with_error(const std::error_code& error) const {
    wake([&](Reply& reply) {
      if (error == Errc::timeout) return timed_out(reply);
      if (error == Errc::type_mismatch) return reply.error("WRONGTYPE Operation against a key holding the wrong kind of value");
      reply.error("UNBLOCKED the wait has ended: " + error.message());
    });
  }
};

bool Client::stop_waiting() {
  // Returns when the callback has, should it be too late to stop it.
  waiting_ = Waiting();
  return waking_.load(std::memory_order_relaxed);
}

void Client::sleep_for_elements(std::span<const std::string_view> keys, Timeout timeout, Attempt attempt, Timed timed_out) {
  const auto state = std::make_shared<SleepState>(
      SleepState{server_, weak_from_this(), protocol, store_name, store, std::move(attempt), nullptr, timed_out});
  blocked_.store(true, std::memory_order_relaxed);
  try {
    waiting_ = store.attempt_async(keys, timeout, [state](std::error_code error) -> bool {
      if (error) {
        state->wake_with_error(error);
        return true;
      }
      // Nothing shall be taken for nobody.
      const std::shared_ptr<Client> sleeper = state->client.lock();
      if (sleeper == nullptr || sleeper->gone_.load(std::memory_order_relaxed)) return true;
      ByteBuffer bytes;
      Reply reply(bytes, state->protocol);
      Events events(state->server.notifications() != 0);
      try {
        Keyspace keyspace(state->store);
        if (!state->attempt(keyspace, reply, events)) return false;
        state->server.notify(state->store_name, events);
      } catch (const CommandError& failed) {
        bytes.clear();
        reply.error(failed.what());
      } catch (const Error& failed) {
        bytes.clear();
        reply.error(error_text(failed));
      } catch (const std::exception& failed) {
        bytes.clear();
        reply.error(std::string("ERR ") + failed.what());
      }
      state->wake([&](Reply& to) { to.out().append(bytes.view()); });
      return true;
    });
  } catch (...) {
    blocked_.store(false, std::memory_order_relaxed);
    throw;
  }
}

void Client::sleep_for_value(std::string_view key, const Value* expected, Timeout timeout,
                             std::function<void(Reply&, const Value&)> awake, Timed timed_out) {
  const auto state = std::make_shared<SleepState>(
      SleepState{server_, weak_from_this(), protocol, store_name, store, nullptr, std::move(awake), timed_out});
  const auto ended = [state](const WaitResult& result) {
    if (!result.value) return state->wake_with_error(result.error);
    state->wake([&](Reply& reply) { state->awake(reply, *result.value); });
  };
  blocked_.store(true, std::memory_order_relaxed);
  try {
    waiting_ = expected == nullptr ? store.wait_async(key, timeout, ended) : store.wait_async(key, *expected, timeout, ended);
  } catch (...) {
    blocked_.store(false, std::memory_order_relaxed);
    throw;
  }
}

}  // namespace cubby::server
