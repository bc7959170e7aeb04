// SPDX-License-Identifier: Apache-2.0
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "child_process.hpp"
#include "dataset.hpp"
#include "durable.hpp"
#include "stores/boost_concurrent_map.hpp"
#include "stores/flat_map.hpp"
#include "stores/libcuckoo_map.hpp"
#include "stores/shared_mutex_map.hpp"
#include "stores/tbb_map.hpp"
#include "workloads.hpp"

namespace bench {
namespace {

/// Resident bytes, what the allocator holds back given back first.
double resident_bytes() {
  malloc_trim(0);
  std::ifstream in("/proc/self/statm");
  double total = 0;
  double resident = 0;
  in >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Context switches so far of all threads of this process but the calling one.
std::uint64_t context_switches() {
  std::uint64_t sum = 0;
  const std::string self = std::to_string(gettid());
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == self) continue;
    std::ifstream in(task.path() / "status");
    for (std::string line; std::getline(in, line);) {
      const std::size_t colon = line.find("_ctxt_switches:");
      if (colon != std::string::npos) sum += std::stoull(line.substr(line.find(':') + 1));
    }
  }
  return sum;
}

/// Bytes an entry of what `add(i)` stores, over `entries` calls.
template <class Add>
double bytes_an_entry(std::size_t entries, Add add) {
  add(entries);  // what a store needs only once, out of the way
  const double before = resident_bytes();
  for (std::size_t i = 0; i < entries; ++i) add(i);
  return (resident_bytes() - before) / static_cast<double>(entries);
}

template <template <class> class Map>
double peer_bytes(std::size_t entries) {
  Map<SessionPointer> map;
  return bytes_an_entry(entries,
                        [&](std::size_t i) { map.assign(make_key(i), std::make_shared<const Session>(make_session(i, 0))); });
}

double memory_child(const std::string& store, std::size_t entries) {
  if (store == "cubby") {
    cubby::Datastore sessions = cubby::open("memory");
    const double bytes =
        bytes_an_entry(entries, [&](std::size_t i) { sessions.set(make_key(i), make_value(make_session(i, 0))); });
    std::cout << bytes << std::endl;
    _exit(0);  // no need to take it all down again
  }
  if (store == "unordered_map<string, string>, JSON text") {
    std::unordered_map<std::string, std::string> map;
    return bytes_an_entry(entries, [&](std::size_t i) {
      const std::string json = make_json(make_session(i, 0));
      map.emplace(make_key(i), json);  // copied: no byte more than it needs
    });
  }
  if (store == "replaced design") {
    ReplacedDesign design;
    return bytes_an_entry(entries, [&](std::size_t i) { design.set(make_key(i), make_tree(make_session(i, 0))); });
  }
  if (store == SharedMutexMap<SessionPointer>::kName) return peer_bytes<SharedMutexMap>(entries);
  if (store == TbbMap<SessionPointer>::kName) return peer_bytes<TbbMap>(entries);
  if (store == CuckooMap<SessionPointer>::kName) return peer_bytes<CuckooMap>(entries);
  if (store == FlatMap<SessionPointer>::kName) return peer_bytes<FlatMap>(entries);
#if BOOST_VERSION >= 108300
  if (store == BoostConcurrentMap<SessionPointer>::kName) return peer_bytes<BoostConcurrentMap>(entries);
#endif
  throw std::runtime_error("no such store: " + store);
}

/// Resident bytes that `refreshes` re-armed deadlines add to a store of a million sessions with deadlines.
double refresh_child(std::uint64_t refreshes) {
  Dataset data(1'000'000);
  cubby::Datastore sessions = cubby::open("refresh");
  for (std::size_t i = 0; i < data.size(); ++i) {
    sessions.set(data.keys()[i], make_value(make_session(i, 0)), std::chrono::minutes(30));
  }
  const auto refresh = [&](std::uint64_t seed, std::uint64_t times) {
    Random random(seed);
    for (std::uint64_t done = 0; done < times; ++done) {
      sessions.expire(data.keys()[below(random(), data.size())], std::chrono::minutes(30));
    }
  };
  const auto both = [&](std::uint64_t times) {
    std::thread other(refresh, 1, times / 2);
    refresh(2, times / 2);
    other.join();
  };
  both(2 * data.size());  // every thread and structure is warm
  const double before = resident_bytes();
  both(refreshes);
  return resident_bytes() - before;
}

/// Wake-ups in `seconds` of a process with 10,000 keys, half of them with a deadline far off, and 1,000 waiting calls.
double idle_child(int seconds) {
  cubby::Datastore store = cubby::open("idle");
  for (std::size_t i = 0; i < 10'000; ++i) {
    store.set(make_key(i), make_value(make_session(i, 0)));
    if (i % 2 == 0) store.expire(make_key(i), std::chrono::minutes(30 + static_cast<int>(i % 100)));
  }
  std::vector<std::thread> waiters;
  for (std::size_t i = 0; i < 1000; ++i) {
    waiters.emplace_back([&store, i] {
      try {
        if (i % 2 == 0) {
          store.shift_wait("queue:" + std::to_string(i % 10), std::nullopt);
        } else {
          store.wait(make_key(i), std::chrono::hours(1));
        }
      } catch (const cubby::Error&) {  // the store is closed at the end
      }
    });
  }
  while (store.stats().waiters != waiters.size()) std::this_thread::sleep_for(milliseconds(10));
  std::this_thread::sleep_for(milliseconds(1500));  // whatever was still to be done has been
  const std::uint64_t before = context_switches();
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  const auto wake_ups = static_cast<double>(context_switches() - before);
  cubby::close("idle");
  for (std::thread& waiter : waiters) waiter.join();
  return wake_ups;
}

}  // namespace

void run_processes(const RunOptions& options, Results& results) {
  std::vector<std::string> stores = {"cubby", "unordered_map<string, string>, JSON text"};
  if (!options.quick) {
    for (const char* peer : {
           SharedMutexMap<SessionPointer>::kName, TbbMap<SessionPointer>::kName, CuckooMap<SessionPointer>::kName,
#if BOOST_VERSION >= 108300
               BoostConcurrentMap<SessionPointer>::kName,
#endif
               FlatMap<SessionPointer>::kName, "replaced design"
         }) {
      stores.emplace_back(peer);
    }
  }
  const auto measure = [&](const std::string& figure, const std::string& task) {
    if (!std::regex_search(figure, options.filter)) return;
    if (options.list) {
      std::cout << figure << "\n";
      return;
    }
    std::cerr << figure << ": " << std::flush;
    results.figures[figure] = in_child(task);
    std::cerr << results.figures[figure] << "\n";
  };
  for (const std::string& store : stores) measure("bytes an entry/" + store, "memory:1000000:" + store);
  const std::uint64_t refreshes = options.quick ? 5'000'000 : 100'000'000;
  measure("bytes added by refreshing", "refresh:" + std::to_string(refreshes));
  if (results.figures.contains("bytes added by refreshing")) results.figures["refreshes"] = static_cast<double>(refreshes);
  measure("wake-ups while idle", "idle:" + std::to_string(options.quick ? 2 : 10));
}

int run_child(const std::string& task) {
  const std::size_t colon = task.find(':');
  const std::string kind = task.substr(0, colon);
  const std::string rest = task.substr(colon + 1);
  double figure = 0;
  if (kind == "memory") {
    const std::size_t next = rest.find(':');
    figure = memory_child(rest.substr(next + 1), std::stoull(rest.substr(0, next)));
  } else if (kind == "refresh") {
    figure = refresh_child(std::stoull(rest));
  } else if (kind == "idle") {
    figure = idle_child(std::stoi(rest));
  } else if (kind == "durable-open") {
    figure = open_child(rest);
  } else {
    throw std::runtime_error("no such task: " + task);
  }
  std::cout << figure << std::endl;
  return 0;
}

}  // namespace bench
