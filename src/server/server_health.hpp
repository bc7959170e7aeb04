// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace cubby::server {

class Server;

/// What keeps the server from being well, in words: a store that can't be written or saved. Empty if it is.
///
/// Thread safety: any thread.
std::string server_health(const Server& server);

}  // namespace cubby::server
