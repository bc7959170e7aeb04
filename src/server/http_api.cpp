// SPDX-License-Identifier: Apache-2.0
#include "server/http_api.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include <cubby/version.hpp>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command_table.hpp"
#include "server/dispatch.hpp"
#include "server/http_command.hpp"
#include "server/http_value_tree.hpp"
#include "server/server.hpp"
#include "server/server_health.hpp"
#include "server/values.hpp"

namespace cubby::server {

namespace {

constexpr std::size_t kKeysAtOnce = 100;
constexpr std::size_t kClientsAtOnce = 200;
/// What one request for keys looks at at most, so that clients behind it don't wait.
constexpr std::size_t kScannedAtOnce = 20'000;
constexpr std::size_t kEditableBytes = std::size_t{128} << 10;

void require(const User& user, std::string_view command) {
  const CommandSpec* const spec = CommandTable::instance().find(command);
  if (spec != nullptr && user.may_run(*spec)) return;
  throw HttpError(403, "the user " + shown_text(user.name) + " may not run " + std::string(command));
}

bool may(const User& user, std::string_view command) {
  const CommandSpec* const spec = CommandTable::instance().find(command);
  return spec != nullptr && user.may_run(*spec);
}

std::string_view needed(const HttpRequest& request, std::string_view name) {
  if (const auto value = request.parameter(name)) return *value;
  throw HttpError(400, "the parameter " + std::string(name) + " is missing");
}

template <class Number>
Number number_parameter(const HttpRequest& request, std::string_view name, Number otherwise) {
  const auto text = request.parameter(name);
  if (!text || text->empty()) return otherwise;
  Number number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size()) {
    throw HttpError(400, "the parameter " + std::string(name) + " is no number");
  }
  return number;
}

/// One that is open; the user may reach it as by SELECT or CUBBY.USE.
Datastore store_named(Server& server, const User& user, std::string_view name) {
  for (auto& [open, store] : server.databases.all()) {
    if (open != name) continue;
    if (name != Databases::name_of(0)) require(user, Databases::number_of(name) ? "select" : "cubby.use");
    return store;
  }
  throw HttpError(404, "there is no store " + shown_text(name));
}

/// Throws unless the key is there and the user may read it, by what reads any value or what reads values of this type.
void check_reading(const User& user, const Datastore& store, std::string_view key) {
  if (!user.may_use_key(key, false)) throw HttpError(403, "the user " + shown_text(user.name) + " may not read this key");
  const auto type = store.type(key);
  if (!type) throw HttpError(404, "there is no such key");
  if (!may(user, "json.get")) require(user, is_list(*type) ? "lrange" : is_hash(*type) ? "hgetall" : "get");
}

std::string_view shown_type(Type type) noexcept {
  switch (type) {
    case Type::null:
      return "null";
    case Type::boolean:
      return "boolean";
    case Type::integer:
    case Type::real:
      return "number";
    case Type::string:
      return "string";
    case Type::binary:
      return "binary";
    case Type::array:
      return "array";
    case Type::object:
      return "object";
  }
  return "null";
}

using ApiMembers = std::vector<std::pair<std::string_view, Value>>;

/// `key` to show, and `id`, the same percent-encoded, if it can't be shown as it is.
void add_key(ApiMembers& members, std::string_view key) {
  members.emplace_back("key", shown_text(key));
  if (!is_utf8(key)) members.emplace_back("id", percent_encoded(key));
}

Value ttl_of(const User& user, const Datastore& store, std::string_view key) {
  if (!may(user, "pttl")) return {};
  const auto left = store.ttl(key);
  return left ? Value(std::chrono::duration_cast<std::chrono::milliseconds>(*left).count()) : Value();
}

Value sample_value(const HttpSample& sample) {
  return Value::array({sample.number, sample.time_ms, sample.commands, sample.bytes_in, sample.bytes_out, sample.p50_us,
                       sample.p99_us, sample.memory, sample.clients});
}

std::size_t process_memory() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::int64_t milliseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// Those that most time was spent in.
Value busiest_commands(const Server& server) {
  struct Row {
    std::string_view name;
    Figures::CommandFigures figures;
  };
  std::vector<Row> rows;
  const auto commands = CommandTable::instance().all();
  for (std::size_t index = 0; index < commands.size(); ++index) {
    const auto figures = server.figures.of_command(index);
    if (figures.calls != 0) rows.push_back({commands[index]->name, figures});
  }
  std::ranges::sort(rows, std::ranges::greater(), [](const Row& row) { return row.figures.nanoseconds; });
  if (rows.size() > 10) rows.resize(10);
  std::vector<Value> values;
  values.reserve(rows.size());
  for (const Row& row : rows) {
    values.push_back(Value::object({{"name", row.name},
                                    {"calls", row.figures.calls},
                                    {"failed", row.figures.failed},
                                    {"us", static_cast<double>(row.figures.nanoseconds) / 1000}}));
  }
  return Value::array(values);
}

[[noreturn]] void throw_http_error(const CommandError& error) {
  const std::string_view text = error.what();
  const unsigned status = text.starts_with("NOPERM")                                                               ? 403U
                          : text.starts_with("OOM") || text.starts_with("MISCONF") || text.starts_with("READONLY") ? 503U
                                                                                                                   : 400U;
  throw HttpError(status, shown_text(text));
}

std::string version_of(const Value& value) { return "\"" + std::to_string(std::hash<Value>()(value)) + "\""; }

void change_ttl(HttpCommandRunner& commands, std::string_view key, const HttpRequest& request) {
  if (request.method == "DELETE") {
    commands.run({"PERSIST", key});
  } else if (commands.run({"PEXPIRE", key, needed(request, "ms")}) == ":0\r\n") {
    throw HttpError(404, "there is no such key");
  }
}

/// Sets the value if it is still that of If-Match.
void replace_value(HttpCommandRunner& commands, Datastore& store, std::string_view key, const HttpRequest& request) {
  const HttpError changed(412, "the value has changed meanwhile");
  commands.run({"WATCH", key});
  const WholeValue now = whole_value(store, key, kEditableBytes);
  if (!now.found || now.too_large || version_of(now.value) != request.if_match) throw changed;
  commands.run({"MULTI"});
  commands.run({"JSON.SET", key, "$", request.body});
  const std::string reply = commands.run({"EXEC"});
  if (reply == "*-1\r\n") throw changed;
  // An array of one reply.
  if (const std::size_t error = reply.find("\r\n-"); error != std::string::npos) {
    throw CommandError(reply.substr(error + 3, reply.find('\r', error + 3) - error - 3));
  }
}

void change_value(HttpCommandRunner& commands, Datastore& store, std::string_view key, const HttpRequest& request) {
  if (request.method == "DELETE") {
    if (commands.run({"DEL", key}) == ":0\r\n") throw HttpError(404, "there is no such key");
    return;
  }
  if (!is_utf8(request.body)) throw HttpError(400, "the value is no UTF-8 text");
  if (!request.if_match.empty()) return replace_value(commands, store, key, request);
  const bool only_new = request.if_none_match == "*";
  std::vector<std::string_view> set{"JSON.SET", key, "$", request.body};
  if (only_new) set.emplace_back("NX");
  if (commands.run(set) == "$-1\r\n") throw HttpError(412, "the key is there already");
}

}  // namespace

HttpResponse json_response(const Value& value, unsigned status) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  response.body = value.to_json();
  return response;
}

HttpResponse error_response(unsigned status, std::string_view text) {
  return json_response(Value::object({{"error", shown_text(text)}}), status);
}

Value api_status(Server& server, const User& user, const HttpHistory& history, const HttpRequest& request) {
  require(user, "info");
  const auto after = number_parameter<std::uint64_t>(request, "after", 0);
  std::vector<Value> samples;
  for (const HttpSample& sample : history.samples()) {
    if (sample.number > after) samples.push_back(sample_value(sample));
  }
  const auto clients = server.clients.all();
  const auto blocked = std::ranges::count_if(clients, [](const auto& client) { return client->blocked(); });
  std::vector<Value> stores;
  std::size_t waiters = 0;
  std::uint64_t expired = 0;
  for (const auto& [name, store] : server.databases.all()) {
    const Stats stats = store.stats();
    waiters += stats.waiters;
    expired += stats.expired;
    stores.push_back(Value::object({{"name", shown_text(name)},
                                    {"keys", stats.keys},
                                    {"bytes", stats.bytes},
                                    {"waiters", stats.waiters},
                                    {"log_bytes", stats.log_bytes}}));
  }
  const Figures& figures = server.figures;
  const Settings settings = server.settings();
  return Value::object(
      {{"version", CUBBY_VERSION},
       {"started_ms", milliseconds(server.started)},
       {"now_ms", milliseconds(std::chrono::system_clock::now())},
       {"durable", server.databases.durable()},
       {"problem", shown_text(server_health(server))},
       {"memory", Value::object({{"used", server.used_memory.load(std::memory_order_relaxed)},
                                 {"process", process_memory()},
                                 {"limit", server.maxmemory()}})},
       {"clients", Value::object({{"connected", clients.size()}, {"blocked", blocked}, {"limit", settings.maxclients}})},
       {"waiters", waiters},
       {"totals", Value::object({{"commands", figures.sum(Figures::commands)},
                                 {"connections", figures.sum(Figures::connections)},
                                 {"hits", figures.sum(Figures::hits)},
                                 {"misses", figures.sum(Figures::misses)},
                                 {"errors", figures.sum(Figures::errors)},
                                 {"expired", expired}})},
       {"commands", busiest_commands(server)},
       {"stores", Value::array(stores)},
       {"samples", Value::array(samples)}});
}

Value api_clients(Server& server, const User& user) {
  require(user, "client");
  const auto clients = server.clients.all();
  std::vector<Value> rows;
  for (const auto& client : clients) {
    if (rows.size() == kClientsAtOnce) break;
    const ClientFacts facts = client->facts();
    rows.push_back(Value::object({{"id", facts.id},
                                  {"address", shown_text(facts.address)},
                                  {"name", shown_text(facts.name)},
                                  {"library", shown_text(facts.library_name)},
                                  {"user", shown_text(facts.user)},
                                  {"store", shown_text(facts.store)},
                                  {"command", facts.command},
                                  {"age_s", facts.age.count()},
                                  {"idle_s", facts.idle.count()},
                                  {"blocked", client->blocked()},
                                  {"commands", facts.commands}}));
  }
  return Value::object({{"count", clients.size()}, {"clients", Value::array(rows)}});
}

Value api_keys(Server& server, const User& user, const HttpRequest& request) {
  require(user, "scan");
  const Datastore store = store_named(server, user, needed(request, "store"));
  const std::string_view pattern = request.parameter("match").value_or("*");
  auto cursor = number_parameter<std::uint64_t>(request, "cursor", 0);
  struct Found {
    std::string key;
    Type type;
  };
  std::vector<Found> found;
  std::size_t scanned = 0;
  const bool all = pattern == "*";
  do {
    cursor = store.scan(cursor, kKeysAtOnce, [&](std::string_view key, Type type) {
      ++scanned;
      if ((all || matches(pattern, key)) && (user.all_keys || user.may_use_key(key, false))) {
        found.push_back({std::string(key), type});
      }
    });
  } while (cursor != 0 && found.size() < kKeysAtOnce && scanned < kScannedAtOnce);
  std::vector<Value> keys;
  for (const Found& each : found) {
    ApiMembers members;
    add_key(members, each.key);
    members.emplace_back("type", shown_type(each.type));
    members.emplace_back("ttl_ms", ttl_of(user, store, each.key));
    keys.push_back(Value::object(members));
  }
  return Value::object({{"keys", Value::array(keys)}, {"cursor", cursor}, {"scanned", scanned}, {"size", store.size()}});
}

Value api_value(Server& server, const User& user, const HttpRequest& request) {
  Datastore store = store_named(server, user, needed(request, "store"));
  const std::string_view key = needed(request, "key");
  check_reading(user, store, key);
  auto tree = value_tree(store, key, request.parameter("path").value_or(""), number_parameter<std::size_t>(request, "from", 0),
                         TreeLimits{});
  if (!tree) throw HttpError(404, "there is no such value");
  ApiMembers members{{"ttl_ms", ttl_of(user, store, key)}, {"value", std::move(*tree)}};
  add_key(members, key);
  return Value::object(members);
}

Value api_json(Server& server, const User& user, const HttpRequest& request) {
  Datastore store = store_named(server, user, needed(request, "store"));
  const std::string_view key = needed(request, "key");
  check_reading(user, store, key);
  const WholeValue whole = whole_value(store, key, kEditableBytes);
  if (!whole.found) throw HttpError(404, "there is no such key");
  if (whole.too_large) throw HttpError(413, "the value is too large to be edited here");
  try {
    return Value::object({{"json", whole.value.to_json(2)}, {"version", version_of(whole.value)}});
  } catch (const Error&) {
    throw HttpError(409, "the value holds bytes that are no text, which JSON can't show");
  }
}

Value api_change(Server& server, const User& user, const HttpRequest& request, std::string_view what) {
  const std::string_view name = needed(request, "store");
  const std::string_view key = needed(request, "key");
  Datastore store = store_named(server, user, name);
  HttpCommandRunner commands(server, user);
  try {
    commands.use(name);
    if (what == "ttl") {
      change_ttl(commands, key, request);
    } else {
      change_value(commands, store, key, request);
    }
  } catch (const CommandError& error) {
    throw_http_error(error);
  }
  return Value::object({});
}

}  // namespace cubby::server
