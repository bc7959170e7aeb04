// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>

#include "cli/exit_codes.hpp"
#include "cli/shell/resp_value.hpp"

namespace cubby::cli::shell {

/// The other end has gone; what was sent last may have been done or not.
struct LinkLost : StoreError {
  using StoreError::StoreError;
};

/// What runs commands: a server, or stores opened by this process.
///
/// Thread safety: as an int.
class Link {
 public:
  virtual ~Link() = default;

  /// For the prompt: "127.0.0.1:7379".
  virtual std::string name() const = 0;
  /// Connects, a second time too: as a new client then. Throws StoreError, Interrupted.
  virtual void open() = 0;
  /// REQUIRES: open, of this and the next two. Throws LinkLost, Interrupted.
  virtual void send(std::span<const std::string> command) = 0;
  /// Readable when take() may have something.
  virtual int descriptor() const = 0;
  /// A reply or a message, without waiting. Throws LinkLost.
  virtual std::optional<RespValue> take() = 0;
  virtual void close() = 0;
  /// Whether SHUTDOWN has ended what can't be opened again.
  virtual bool ended() const { return false; }
  /// At the end: saves what is to be saved. Throws StoreError, cubby::Error.
  virtual void finish() {}
};

}  // namespace cubby::cli::shell
