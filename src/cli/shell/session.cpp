// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/session.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <utility>

namespace cubby::cli::shell {

namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_subscription(std::string_view name) { return name == "subscribe" || name == "psubscribe"; }
bool is_unsubscription(std::string_view name) { return name == "unsubscribe" || name == "punsubscribe"; }

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& byte : lower) byte = static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
  return lower;
}

Session::Session(Link& link, Login login, Signals& signals, OnMessage on_message)
    : link_(link), login_(std::move(login)), signals_(signals), on_message_(std::move(on_message)), store_(login_.store) {
  by_name_ = !store_.empty() && !is_number(store_);
}

std::string Session::prompt() const {
  if (!connected_) return "not connected> ";
  const std::string place = store_.empty() || store_ == "0" ? std::string() : fmt::format("[{}]", store_);
  return fmt::format("{}{}{}> ", link_.name(), place, in_multi_ ? "(TX)" : subscribed() ? "(subscribed)" : "");
}

// --- connecting
// ---------------------------------------------------------------------------------------------------------------

void Session::forget() noexcept {
  connected_ = false;
  in_multi_ = false;
  queued_store_.reset();
  channels_.clear();
  patterns_.clear();
  confirmations_ = 0;
  replies_ = Replies::on;
  protocol_ = 2;
}

void Session::connect() {
  forget();
  try {
    link_.open();
    sign_in();
    if (!store_.empty()) {
      const std::array<std::string, 2> go{by_name_ ? "CUBBY.USE" : "SELECT", store_};
      link_.send(go);
      const RespValue reply = await();
      // Who has yet to sign in goes there later.
      if (reply.is_error() && !reply.text.starts_with("NOAUTH")) {
        const std::string asked_for = std::exchange(store_, std::string());
        throw UsageError(fmt::format("store {}: {}", asked_for, reply.text));
      }
    }
  } catch (...) {
    link_.close();
    throw;
  }
  connected_ = true;
}

void Session::sign_in() {
  std::vector<std::string> hello{"HELLO", "3"};
  if (login_.password) {
    hello.insert(hello.end(), {"AUTH", login_.user.empty() ? "default" : login_.user, *login_.password});
  }
  link_.send(hello);
  RespValue reply = await();
  if (!reply.is_error()) {
    protocol_ = 3;
    return;
  }
  const bool unknown = reply.text.starts_with("ERR unknown command") || reply.text.starts_with("NOPROTO");
  if (unknown && login_.password) {
    std::vector<std::string> auth{"AUTH", *login_.password};
    if (!login_.user.empty()) auth.insert(auth.begin() + 1, login_.user);
    link_.send(auth);
    reply = await();
    if (!reply.is_error()) return;
  }
  // Without a password, AUTH can still be typed.
  if (login_.password || !(unknown || reply.text.starts_with("NOAUTH"))) {
    throw StoreError(fmt::format("{}: {}", link_.name(), reply.text));
  }
}

void Session::speak_resp3() {
  const std::array<std::string, 2> hello{"HELLO", "3"};
  link_.send(hello);
  if (!await().is_error()) protocol_ = 3;
}

// --- commands
// -----------------------------------------------------------------------------------------------------------------

std::optional<RespValue> Session::run(std::span<const std::string> command) {
  if (connected_) take_messages();  // notices a connection that has been cut meanwhile
  if (!connected_) connect();
  try {
    return exchange(command);
  } catch (const Interrupted&) {
    forget();
    link_.close();
    throw;
  } catch (const LinkLost&) {
    forget();
    link_.close();
    throw;
  }
}

std::optional<RespValue> Session::ask(std::span<const std::string> command) {
  if (!connected_ || in_multi_ || replies_ != Replies::on || (protocol_ == 2 && subscribed())) return std::nullopt;
  try {
    return exchange(command);
  } catch (const StoreError&) {
    forget();
    link_.close();
  } catch (const Interrupted&) {
    forget();
    link_.close();
  }
  return std::nullopt;
}

std::optional<RespValue> Session::exchange(std::span<const std::string> command) {
  const std::string name = lower_case(command.front());
  if (!in_multi_ && (is_subscription(name) || is_unsubscription(name))) {
    const bool by_pattern = name.front() == 'p';
    const std::size_t all = (by_pattern ? patterns_ : channels_).size();
    confirmations_ = command.size() > 1 ? command.size() - 1 : std::max<std::size_t>(all, is_unsubscription(name) ? 1 : 0);
    if (command.size() == 1 && is_subscription(name)) confirmations_ = 1;  // an error will come
  }
  const Replies before = replies_;
  if (name == "client" && command.size() == 3 && lower_case(command[1]) == "reply") {
    const std::string how = lower_case(command[2]);
    if (how == "off") replies_ = Replies::off;
    if (how == "on") replies_ = Replies::on;
    if (how == "skip" && before == Replies::on) replies_ = Replies::skip;
    link_.send(command);
    if (replies_ != Replies::on) return std::nullopt;
    return await();
  }
  link_.send(command);
  if (before == Replies::skip) replies_ = Replies::on;
  if (before != Replies::on) {
    confirmations_ = 0;
    return std::nullopt;
  }
  if (confirmations_ != 0) {
    RespValue value = await();
    if (std::exchange(confirmations_, 0) == 0) return std::nullopt;
    return value;  // an error instead
  }
  RespValue reply = await();
  note(command, reply);
  return reply;
}

/// The next reply, or the last confirmation. Messages before it are handed over.
RespValue Session::await() {
  for (;;) {
    while (std::optional<RespValue> value = link_.take()) {
      if (!is_message(*value)) return std::move(*value);
      const std::size_t awaited = confirmations_;
      handle_message(*value);
      if (awaited != 0 && confirmations_ == 0) return std::move(*value);
    }
    std::array<pollfd, 2> descriptors{pollfd{link_.descriptor(), POLLIN, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
    if (::poll(descriptors.data(), descriptors.size(), -1) < 0 && errno != EINTR) throw LinkLost("poll has failed");
    signals_.check();
  }
}

// --- messages
// -----------------------------------------------------------------------------------------------------------------

bool Session::is_message(const RespValue& value) const {
  if (value.kind == '>') return true;
  if (protocol_ != 2 || value.kind != '*' || (!subscribed() && confirmations_ == 0) || value.items.size() < 3) return false;
  static constexpr std::array<std::string_view, 6> kKinds{"message",    "pmessage",    "subscribe",
                                                          "psubscribe", "unsubscribe", "punsubscribe"};
  return std::ranges::find(kKinds, std::string_view(value.items[0].text)) != kKinds.end();
}

void Session::handle_message(const RespValue& value) {
  const std::string kind = value.items.empty() ? std::string() : value.items[0].text;
  if (is_subscription(kind) || is_unsubscription(kind)) {
    auto& names = kind.front() == 'p' ? patterns_ : channels_;
    if (value.items.size() > 1 && !value.items[1].is_null()) {
      if (is_subscription(kind)) {
        names.insert(value.items[1].text);
      } else {
        names.erase(value.items[1].text);
      }
    }
    if (confirmations_ != 0) --confirmations_;
  }
  on_message_(value);
}

void Session::take_messages() {
  if (!connected_) return;
  try {
    while (std::optional<RespValue> value = link_.take()) handle_message(*value);
  } catch (const LinkLost&) {
    forget();
    link_.close();
  }
}

void Session::wait_for_messages() {
  std::array<pollfd, 2> descriptors{pollfd{link_.descriptor(), POLLIN, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
  if (::poll(descriptors.data(), descriptors.size(), -1) < 0 && errno != EINTR) throw LinkLost("poll has failed");
  signals_.check();
  take_messages();
  if (!connected_) throw LinkLost(fmt::format("the connection to {} is lost", link_.name()));
}

// --- what the commands have changed
// -------------------------------------------------------------------------------------------

void Session::note(std::span<const std::string> command, const RespValue& reply) {
  const std::string name = lower_case(command.front());
  if (name == "exec" && (!reply.is_error() || reply.text.starts_with("EXECABORT"))) {
    if (reply.kind == '*' && queued_store_) std::tie(store_, by_name_) = *queued_store_;
    in_multi_ = false;
    queued_store_.reset();
  }
  if (reply.is_error()) return;
  if (name == "multi") in_multi_ = true;
  if (name == "discard") {
    in_multi_ = false;
    queued_store_.reset();
  }
  const bool by_name = name == "cubby.use";
  if ((name == "select" || by_name) && command.size() == 2) {
    std::string store = command[1];
    if (in_multi_) {
      queued_store_.emplace(std::move(store), by_name);
    } else {
      store_ = std::move(store);
      by_name_ = by_name;
    }
  }
  if (name == "hello" && command.size() > 1) protocol_ = command[1] == "3" ? 3 : 2;
  if (name == "auth" && protocol_ == 2) speak_resp3();
  if (name == "reset") {
    forget();
    connected_ = true;
    store_.clear();
  }
}

}  // namespace cubby::cli::shell
