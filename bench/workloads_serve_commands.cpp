// SPDX-License-Identifier: Apache-2.0
// Processor time a command, in memory.
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "serve.hpp"

namespace bench {
namespace {

constexpr std::size_t kManyHashes = 100'000;
constexpr std::size_t kFieldsOfMany = 10;

std::string twelve_digits(std::size_t i) { return key_name(i).substr(4); }

/// So that no INCR makes a new one, in the first round only.
void fill_counters(ServerProcess& server, std::size_t count) {
  server.control().pipeline(count, [](std::size_t i, std::string& text) {
    RespConnection::append_command(text, {"INCR", "counter:" + twelve_digits(i)});
  });
}

/// Hashes of some 200 bytes, and one of the form of redis-benchmark's own.
void fill_hashes(ServerProcess& server, std::size_t fields_of_one) {
  server.control().pipeline(kManyHashes, [](std::size_t i, std::string& text) {
    const std::string key = "hash:" + twelve_digits(i);
    std::vector<std::string> words;
    for (std::size_t field = 0; field < kFieldsOfMany; ++field) {
      words.push_back("field" + std::to_string(field));
      words.push_back("token-" + twelve_digits(i * kFieldsOfMany + field));
    }
    std::vector<std::string_view> views = {"HSET", key};
    views.insert(views.end(), words.begin(), words.end());
    RespConnection::append_command(text, views);
  });
  server.control().pipeline(fields_of_one, [](std::size_t field, std::string& text) {
    RespConnection::append_command(text, {"HSET", "myhash", "element:" + twelve_digits(field), value_text(field)});
  });
}

}  // namespace

void run_serve_commands(ServeRun& run) {
  const std::size_t keys = run.serve.keys;
  ServerPair servers(run, "commands", false, [&run](ServerProcess& server) {
    run.load(server);
    fill_counters(server, run.serve.keys);
    fill_hashes(server, run.serve.keys);
  });
  const std::size_t deep = run.options.quick ? 512'000 : 1'920'000;
  const std::size_t alone = run.options.quick ? 100'000 : 400'000;

  std::vector<Part> parts;
  const auto add = [&](std::vector<Load> loads, std::size_t operations) {
    for (const ServerKind kind : kServerKinds) {
      parts.push_back({{loads.front().workload, keys, kServedClients, name_of(kind)}, [=, &servers](const Note& note) {
                         for (const Load& load : loads) measure_load(servers[kind], load, operations, keys, false, note);
                       }});
    }
  };
  add({{kGetDeep, {"-t", "get"}, keys, 32}}, deep);
  add({{kSetDeep, {"-t", "set"}, keys, 32}}, deep);
  add({{kGetAlone, {"-t", "get"}, keys, 1}}, alone);
  add({{kSetAlone, {"-t", "set"}, keys, 1}}, alone);
  // One list, which grows by LPUSH and is empty again after as many RPOP.
  add({{kLpush, {"-t", "lpush"}, keys, 32}, {kRpop, {"-t", "rpop"}, keys, 32}}, deep);
  add({{kIncr, {"-t", "incr"}, keys, 32}}, deep);
  add({{kHsetMany, {"HSET", "hash:__rand_int__", "field5", "token-__rand_int__"}, kManyHashes, 32}}, deep);
  add({{kHsetOne, {"-t", "hset"}, keys, 32}}, deep);
  run.rounds("serve, commands:", run.options.rounds, std::move(parts));
}

}  // namespace bench
