// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cubby/datastore.hpp>

#include "cli/demo/session_cache.hpp"

namespace cubby::cli {

/// The session cache on cubby: each call is one call of the store.
class CubbyCache final : public SessionCache {
 public:
  explicit CubbyCache(Datastore store) : store_(std::move(store)) {}

  void add(const Session& session) override;
  std::int64_t read(const std::string& key) override;
  std::int64_t look(const std::string& key) override;
  void touch(const std::string& key) override;
  void update(const std::string& key, std::int64_t seen, std::string_view status) override;
  void count(const std::string& key) override;
  void push(const std::string& inbox, const Message& message) override;
  std::optional<Message> shift_wait(const std::string& inbox, std::chrono::nanoseconds timeout, std::stop_token stop) override;
  std::int64_t counter(const std::string& key) override;
  std::vector<Message> rest(const std::string& inbox) override;

 private:
  Datastore store_;
};

}  // namespace cubby::cli
