// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "server/settings.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace cubby::server {

/// Certificate, key and authorities of the TLS port.
///
/// Thread safety: connections may be made of it by any thread.
class TlsContext {
 public:
  /// Throws SettingError that names the file and what is wrong with it.
  explicit TlsContext(const Settings& settings);

 private:
  friend class Transport;
  struct Free {
    void operator()(ssl_ctx_st* context) const noexcept;
  };
  std::unique_ptr<ssl_ctx_st, Free> context_;
};

/// The bytes of one connection: a socket that doesn't block, with TLS over it or without.
///
/// Thread safety: as an int.
class Transport {
 public:
  /// Takes the socket over.
  explicit Transport(int descriptor) noexcept : descriptor_(descriptor) {}
  Transport(int descriptor, const TlsContext& tls);
  Transport(Transport&& other) noexcept;
  Transport& operator=(Transport&&) = delete;
  ~Transport();

  int descriptor() const noexcept { return descriptor_; }
  void close() noexcept;

  enum class Status {
    done,    ///< some bytes
    later,   ///< not now: when the socket is ready
    ended,   ///< the other side has no more to say
    failed,  ///< error() says why
  };
  struct Result {
    Status status;
    std::size_t bytes = 0;
  };
  Result receive(char* to, std::size_t size);
  Result send(std::string_view bytes);
  /// Received bytes that the socket knows nothing of any more.
  bool has_more() const noexcept;
  /// How many bytes the system has received that nobody has read.
  std::size_t received() const noexcept;

  // The end of a conversation, in which the other side may go on talking.
  /// Says that nothing more is sent.
  void end_output() noexcept;
  /// Reads what has come, and forgets it. `failed` if the connection is cut, else `later` or `ended`.
  Status discard_input() noexcept;
  /// Whether closing loses nothing: the other side's system has all that was sent.
  bool all_sent() const noexcept;

  /// TLS may have to write before it can read.
  bool wants_to_write() const noexcept { return wants_to_write_; }
  const std::string& error() const noexcept { return error_; }

 private:
  Result failed();
  Result tls_result(int result);

  struct Free {
    void operator()(ssl_st* tls) const noexcept;
  };
  int descriptor_ = -1;
  bool wants_to_write_ = false;
  std::unique_ptr<ssl_st, Free> tls_;
  std::string error_;
};

}  // namespace cubby::server
