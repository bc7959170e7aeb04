// SPDX-License-Identifier: Apache-2.0
#include "server/http_command.hpp"

#include <memory>

#include "server/dispatch.hpp"
#include "server/server.hpp"
#include "server/users.hpp"

namespace cubby::server {

/// A client for one request: nobody can send it anything.
class HttpCommandRunner::HttpClient final : public Client {
 public:
  explicit HttpClient(Server& its_server) : Client(its_server, its_server.clients.next_id()) {}
  ~HttpClient() override { leave(); }

  void deliver(std::shared_ptr<const std::string> /*message*/) override {}
  void kill() override {}
  void post(std::function<void()> /*f*/) override {}

 private:
  void awake(ByteBuffer /*reply*/) override {}
  void complete(ClientFacts& /*facts*/) const override {}
};

HttpCommandRunner::HttpCommandRunner(Server& server, const User& user) : client_(std::make_shared<HttpClient>(server)) {
  client_->user = &user;
  client_->user_name = user.name;
}

HttpCommandRunner::~HttpCommandRunner() = default;

void HttpCommandRunner::use(std::string_view store_name) { client_->use(store_name); }

std::string HttpCommandRunner::run(const std::vector<std::string_view>& arguments) {
  ByteBuffer out;
  execute(*client_, arguments, out);
  std::string reply(out.view());
  if (!reply.starts_with('-')) return reply;
  throw CommandError(reply.substr(1, reply.find('\r') - 1));
}

}  // namespace cubby::server
