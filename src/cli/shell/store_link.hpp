// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <set>
#include <string>

#include "cli/invocation.hpp"
#include "cli/shell/link.hpp"

namespace cubby::cli::shell {

/// Stores opened by this process, without a server: a JSON file, the folder of a durable store, or a folder of such folders as
/// `cubby serve` has it. Commands run as in a server, on the calling thread.
///
/// A JSON file is written by SAVE and by finish(), if a command may have changed it. Others that write wait for this object, as
/// they do for each other (shell_store.hpp).
class StoreLink final : public Link {
 public:
  /// The store is the invocation's file or dir. Nothing is opened yet.
  StoreLink(const Invocation& in, bool read_only);
  ~StoreLink() override;

  std::string name() const override;
  void open() override;
  void send(std::span<const std::string> command) override;
  int descriptor() const override;
  std::optional<RespValue> take() override;
  void close() override;
  bool ended() const override;
  void finish() override;

 private:
  class LocalClient;
  class Stores;

  const Invocation in_;
  const bool read_only_;
  std::unique_ptr<Stores> stores_;
  std::shared_ptr<LocalClient> client_;
  RespReader reader_;
};

}  // namespace cubby::cli::shell
