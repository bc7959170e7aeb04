// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include <cubby/error.hpp>

#include "server/client.hpp"
#include "server/command.hpp"

namespace cubby::server {

/// Runs one request of a client and appends its reply, an error if it can't be run. REQUIRES: arguments not empty; the client
/// neither blocked nor closing.
void execute(Client& client, Arguments arguments, ByteBuffer& out);

/// Runs requests that came together, in order, until one of them blocks or closes the client or tries a wrong password, or
/// there is much to be sent; how many were run. Their memory is fetched at once.
std::size_t execute_all(Client& client, std::span<const Arguments> requests, ByteBuffer& out);

/// Runs what MULTI has queued: all of it at one instant, as far as it works on keys of one store. Appends one array of replies.
void execute_transaction(Client& client, Reply& reply);

/// What a client is told of an error of the library.
std::string error_text(const Error& error);

}  // namespace cubby::server
