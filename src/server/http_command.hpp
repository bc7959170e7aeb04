// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/client.hpp"

namespace cubby::server {

/// A user's commands that come by HTTP: they run as if a client had sent them, with the same permissions, limits, figures and
/// notifications.
///
/// Thread safety: as an int.
class HttpCommandRunner {
 public:
  HttpCommandRunner(Server& server, const User& user);
  ~HttpCommandRunner();
  HttpCommandRunner(const HttpCommandRunner&) = delete;
  HttpCommandRunner& operator=(const HttpCommandRunner&) = delete;

  /// Throws CommandError.
  void use(std::string_view store_name);
  /// The reply, in RESP2. Throws CommandError if it is an error. REQUIRES: no command that blocks.
  std::string run(const std::vector<std::string_view>& arguments);

 private:
  class HttpClient;
  std::shared_ptr<HttpClient> client_;
};

}  // namespace cubby::server
