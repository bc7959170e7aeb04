// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>

#include "load/latencies.hpp"
#include "load/script.hpp"
#include "server/store.hpp"

namespace chat::load {

/// What was measured in one run; rates are per second.
struct Rates {
  double requests = 0;
  double messages = 0;
  double session_operations = 0;
  double server_microseconds = 0;  // of processor time for each request; 0: not measured
  double offered = 0;              // requests that were to be made; 0: as many as possible
  Latencies latencies;             // of messages, until they are acknowledged
};

/// Calls the handler with `workers` threads, each a client of its own, as fast as it goes. Nothing goes over a network.
Rates run_workers(Store& store, Mix mix, int workers, std::chrono::milliseconds duration, const std::string& title);

/// Connects `connections` WebSockets to a server on this machine and makes requests at a rate that grows step by step until
/// less is answered than is asked, or answers take long. Returns the last step that the server kept up with. `server` is its
/// process, whose processor time is measured.
Rates run_connections(unsigned short port, int server, Mix mix, int connections, std::chrono::milliseconds step,
                      const std::string& title);

/// Shows how it goes on: over and over on one line of a terminal, else not at all.
void show(const std::string& title, const Rates& rates, bool last);

}  // namespace chat::load
