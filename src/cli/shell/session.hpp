// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "cli/shell/link.hpp"
#include "cli/shell/signals.hpp"

namespace cubby::cli::shell {

/// Who signs in, and where they go first.
struct Login {
  std::string user;
  std::optional<std::string> password;
  std::string store;  ///< a number or a name; empty: db0
};

/// A client's session over a link: connects when it has to, signs in, and knows what state the commands have left.
///
/// Thread safety: as an int.
class Session {
 public:
  using OnMessage = std::function<void(const RespValue&)>;

  /// `on_message` gets what isn't a reply.
  Session(Link& link, Login login, Signals& signals, OnMessage on_message);

  /// Throws StoreError, UsageError, Interrupted.
  void connect();
  bool connected() const noexcept { return connected_; }

  /// Runs a command, on a new connection if there is none any more; its reply. A subscription is confirmed by messages: then
  /// there is no reply, as after CLIENT REPLY OFF. Throws LinkLost, StoreError, Interrupted; the session connects again for the
  /// next command then.
  std::optional<RespValue> run(std::span<const std::string> command);
  /// One that the user hasn't typed and that changes nothing; empty if it can't be asked now.
  std::optional<RespValue> ask(std::span<const std::string> command);

  /// Readable when take_messages() may have some; -1 without a connection.
  int descriptor() const { return connected_ ? link_.descriptor() : -1; }
  /// Hands over messages that have come. A connection that has been cut is noticed.
  void take_messages();
  /// Waits for some. Throws LinkLost, Interrupted.
  void wait_for_messages();

  bool subscribed() const noexcept { return !channels_.empty() || !patterns_.empty(); }
  bool in_multi() const noexcept { return in_multi_; }
  /// "127.0.0.1:7379[orders](TX)> "
  std::string prompt() const;

 private:
  void forget() noexcept;
  void sign_in();
  void speak_resp3();
  std::optional<RespValue> exchange(std::span<const std::string> command);
  RespValue await();
  bool is_message(const RespValue& value) const;
  void handle_message(const RespValue& value);
  void note(std::span<const std::string> command, const RespValue& reply);

  Link& link_;
  const Login login_;
  Signals& signals_;
  const OnMessage on_message_;

  bool connected_ = false;
  int protocol_ = 2;
  std::string store_;  ///< a number or a name
  bool by_name_ = false;
  bool in_multi_ = false;
  std::optional<std::pair<std::string, bool>> queued_store_;  ///< where EXEC goes to, and whether by name
  std::set<std::string> channels_, patterns_;
  std::size_t confirmations_ = 0;  ///< that are awaited
  enum class Replies { on, off, skip } replies_ = Replies::on;
};

/// In lower case.
std::string lower_case(std::string_view text);

}  // namespace cubby::cli::shell
