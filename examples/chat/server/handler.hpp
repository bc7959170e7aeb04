// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cubby/value.hpp>
#include <string>
#include <string_view>

#include "server/hub.hpp"
#include "server/store.hpp"

namespace chat {

/// What the chat does with each message of a client. Knows nothing of the network: it is called with texts, and answers through
/// Peer::send and the hub.
///
/// Thread safety: handle() may be called by any number of threads at once, for different peers.
class Handler {
 public:
  Handler(Store& store, Hub& hub);
  ~Handler();
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  /// `agent` tells what the client is: it is kept with its session.
  void handle(Peer& peer, std::string_view text, std::string_view agent = {});
  /// The peer's connection has ended. To be called once, before the peer goes.
  void closed(Peer& peer) noexcept;

 private:
  void dispatch(Peer& peer, const cubby::Value& request, std::string_view agent);
  void authenticate(const Peer& peer);

  void hello(Peer& peer, const cubby::Value& request, std::string_view agent);
  void open(Peer& peer, const cubby::Value& request);
  void leave(Peer& peer, const cubby::Value& request);
  void say(Peer& peer, const cubby::Value& request);
  void typing(const Peer& peer, const cubby::Value& request);
  void seen(const Peer& peer, const cubby::Value& request);
  void received(const Peer& peer, const cubby::Value& request);
  void ping(Peer& peer);
  void prefer(const Peer& peer, const cubby::Value& request);
  void sign_out(Peer& peer);

  void depart(Peer& peer);
  void subscribe(Peer& peer, const std::string& topic);
  void unsubscribe(Peer& peer);
  void presence(const std::string& name, bool here);
  std::string list_of_rooms(const std::string& name);

  Store& store_;
  Hub& hub_;
};

}  // namespace chat
