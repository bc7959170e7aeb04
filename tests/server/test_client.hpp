// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/client.hpp"
#include "server/dispatch.hpp"
#include "server/server.hpp"

/// A server without a network, and its clients.
namespace cubby::server::testing {

/// A client whose requests are run by the calling thread, and whose replies are bytes to compare.
class TestClient final : public Client {
 public:
  explicit TestClient(Server& server) : Client(server, server.clients.next_id()) {}
  ~TestClient() override { leave(); }

  /// Runs a command and returns what has been sent to the client since: the reply, if it didn't block.
  std::string command(std::initializer_list<std::string_view> arguments) {
    return command(std::span(arguments.begin(), arguments.size()));
  }
  std::string command(const std::vector<std::string>& arguments) {
    const std::vector<std::string_view> views(arguments.begin(), arguments.end());
    return command(views);
  }
  std::string command(std::span<const std::string_view> arguments) {
    send(arguments);
    run_posted();
    return take();
  }
  /// The words of a line, without quotes.
  std::string line(std::string_view text) {
    std::vector<std::string_view> words;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(' ', begin), text.size());
      if (end != begin) words.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return command(words);
  }
  /// Several at once, as a pipeline brings them; those behind one that blocks are not run.
  std::string pipeline(const std::vector<std::vector<std::string_view>>& requests) {
    std::vector<Arguments> all;
    for (const auto& request : requests) all.emplace_back(request);
    execute_all(*this, all, output_);
    run_posted();
    return take();
  }

  /// Runs a command that may block.
  void send(std::initializer_list<std::string_view> arguments) { send(std::span(arguments.begin(), arguments.size())); }
  void send(std::span<const std::string_view> arguments) { execute(*this, arguments, output_); }
  /// What has been sent to the client: waits for something if there is nothing, for twenty seconds at most.
  std::string take_output() {
    if (output_.empty()) {
      std::unique_lock lock(mutex_);
      posted_change_.wait_for(lock, std::chrono::seconds(20), [&] { return !posted_.empty() || !messages_.empty(); });
    }
    run_posted();
    return take();
  }

  void deliver(std::shared_ptr<const std::string> message) override {
    const std::lock_guard lock(mutex_);
    messages_ += *message;
    posted_change_.notify_all();
  }
  void kill() override {
    const std::lock_guard lock(mutex_);
    killed_ = true;
  }
  bool killed() const {
    const std::lock_guard lock(mutex_);
    return killed_;
  }
  void post(std::function<void()> f) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(f));
    posted_change_.notify_all();
  }
  /// What publish_facts() says of the output.
  std::size_t unsent = 0;

  /// Says goodbye, as a connection that is cut.
  void disconnect() { leave(); }

 private:
  void awake(ByteBuffer reply) override { output_.append(reply.view()); }
  void complete(ClientFacts& facts) const override {
    facts.address = "127.0.0.1:1";
    facts.local_address = "127.0.0.1:7379";
    facts.output_bytes = unsent;
  }

  void run_posted() {
    std::vector<std::function<void()>> posted;
    std::string messages;
    {
      const std::lock_guard lock(mutex_);
      posted.swap(posted_);
      messages.swap(messages_);
    }
    for (const auto& f : posted) f();
    output_.append(messages);
  }
  std::string take() {
    std::string bytes(output_.view());
    output_.clear();
    return bytes;
  }

  ByteBuffer output_;
  mutable std::mutex mutex_;
  std::condition_variable posted_change_;
  std::vector<std::function<void()>> posted_;
  std::string messages_;
  bool killed_ = false;
};

class TestServer {
 public:
  explicit TestServer(Settings settings = {}) : server_(std::move(settings)) {}

  Server& server() { return server_; }
  std::shared_ptr<TestClient> connect() {
    auto client = std::make_shared<TestClient>(server_);
    server_.clients.add(client);
    client->publish_facts();
    return client;
  }

 private:
  Server server_;
};

}  // namespace cubby::server::testing
