// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/list_operations.hpp"
#include "server/values.hpp"

/// Lists, waiting for elements. Each command tries at once, and within a transaction that is all it does; otherwise the client
/// sleeps with an attempt that owns what it needs, as the arguments are gone by then. Attempts work in together(), which waits
/// for the write that has brought the element, as the library demands.

namespace cubby::server {

namespace {

void time_out(Reply& reply) { reply.null_array(); }

/// What BLPOP, BRPOP and BLMPOP wait for.
struct PopWish {
  End end;
  std::size_t count;
  bool several;  ///< replies as LMPOP does
};

bool try_pop(Keyspace& keys, Reply& reply, Events& events, std::span<const std::string_view> names, const PopWish& wish,
             OtherTypes others) {
  const auto popped = pop_first(keys, events, names, wish.end, wish.count, others);
  if (!popped) return false;
  if (wish.several) {
    reply_popped(reply, *popped);
  } else {
    reply.array(2);
    reply.bulk(popped->key);
    reply.bulk(ValueBytes(popped->elements[0]));
  }
  return true;
}

void pop_or_sleep(Call& call, std::span<const std::string_view> names, Timeout timeout, PopWish wish) {
  if (try_pop(call.keys, call.reply, call.events, names, wish, OtherTypes::fail)) return;
  if (call.keys.in_transaction()) return time_out(call.reply);
  std::vector<std::string> owned(names.begin(), names.end());
  call.client.sleep_for_elements(
      names, timeout,
      [owned = std::move(owned), wish](Keyspace& keys, Reply& reply, Events& events) {
        const std::vector<std::string_view> views(owned.begin(), owned.end());
        return try_pop(keys, reply, events, views, wish, OtherTypes::pass_over);
      },
      time_out);
}

void blocking_pop(Call& call, End end) {
  const Timeout timeout = to_timeout(call.arguments.back());
  pop_or_sleep(call, call.arguments.subspan(1, call.count() - 2), timeout, {end, 1, false});
}

void run_blpop(Call& call) { blocking_pop(call, End::first); }
void run_brpop(Call& call) { blocking_pop(call, End::last); }

void run_blmpop(Call& call) {
  const MultiPop pop = read_multi_pop(call.arguments.subspan(2));
  pop_or_sleep(call, pop.names, to_timeout(call[1]), {pop.end, pop.count, true});
}

void find_keys_of_blmpop(Arguments arguments, std::vector<std::size_t>& places) { find_counted_keys(arguments, 2, places); }

void move_or_sleep(Call& call, const ListMove& move, Timeout timeout) {
  if (const auto element = move_element(call.keys, call.events, move, OtherTypes::fail)) {
    return call.reply.bulk(ValueBytes(*element));
  }
  if (call.keys.in_transaction()) return call.reply.null();
  call.client.sleep_for_elements(
      std::span(&move.source, 1), timeout,
      [source = std::string(move.source), destination = std::string(move.destination), from = move.from, to = move.to](
          Keyspace& keys, Reply& reply, Events& events) {
        const auto element = move_element(keys, events, {source, destination, from, to}, OtherTypes::pass_over);
        if (!element) return false;
        reply.bulk(ValueBytes(*element));
        return true;
      },
      time_out);
}

void run_blmove(Call& call) {
  const End from = to_end(call[3]);
  const End to = to_end(call[4]);
  move_or_sleep(call, {call[1], call[2], from, to}, to_timeout(call[5]));
}
void run_brpoplpush(Call& call) { move_or_sleep(call, {call[1], call[2], End::last, End::first}, to_timeout(call[3])); }

constexpr std::uint32_t kBlockingWrite = kWriting | kList | kBlockingCategory;

constexpr CommandSpec kBlockingListCommands[] = {
    {"blpop",
     -3,
     kWrite | kBlocking,
     kBlockingWrite,
     {1, -2, 1},
     run_blpop,
     "list",
     "Takes the first element of the first list that has one, or waits for it",
     "key [key ...] timeout"},
    {"brpop",
     -3,
     kWrite | kBlocking,
     kBlockingWrite,
     {1, -2, 1},
     run_brpop,
     "list",
     "Takes the last element of the first list that has one, or waits for it",
     "key [key ...] timeout"},
    {"blmove",
     6,
     kWrite | kDenyOom | kBlocking,
     kBlockingWrite,
     {1, 2, 1},
     run_blmove,
     "list",
     "Moves an element from one list to another, and returns it, or waits for it",
     "source destination LEFT | RIGHT LEFT | RIGHT timeout"},
    {"blmpop",
     -5,
     kWrite | kBlocking | kMovableKeys,
     kBlockingWrite,
     {0, 0, 0},
     run_blmpop,
     "list",
     "Takes elements from the first list that has some, or waits for them",
     "timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]",
     find_keys_of_blmpop},
    {"brpoplpush",
     4,
     kWrite | kDenyOom | kBlocking,
     kBlockingWrite,
     {1, 2, 1},
     run_brpoplpush,
     "list",
     "Moves the last element of a list to the front of another, and returns it, or waits for it",
     "source destination timeout"},
};

}  // namespace

std::span<const CommandSpec> blocking_list_commands() { return kBlockingListCommands; }

}  // namespace cubby::server
