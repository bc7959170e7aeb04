// SPDX-License-Identifier: Apache-2.0
#include "server/transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>
#include <utility>

namespace cubby::server {

namespace {

std::string tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "TLS: the connection was cut";
  // What the system has refused, OpenSSL has no words for.
  if (ERR_GET_LIB(code) == ERR_LIB_SYS) return std::generic_category().message(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return std::string("TLS: ") + (reason == nullptr ? "error " + std::to_string(code) : reason);
}

[[noreturn]] void fail(const std::string& setting, const std::string& file) {
  throw SettingError(setting + ": " + file + ": " + tls_error());
}

}  // namespace

void TlsContext::Free::operator()(ssl_ctx_st* context) const noexcept { SSL_CTX_free(context); }
void Transport::Free::operator()(ssl_st* tls) const noexcept { SSL_free(tls); }

TlsContext::TlsContext(const Settings& settings) : context_(SSL_CTX_new(TLS_server_method())) {
  ssl_ctx_st* context = context_.get();
  if (context == nullptr) throw SettingError("tls-port: " + tls_error());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Somebody else's renegotiations aren't ours to pay for.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  static constexpr unsigned char kSessionContext[] = "cubby";
  SSL_CTX_set_session_id_context(context, kSessionContext, sizeof kSessionContext - 1);
  if (SSL_CTX_use_certificate_chain_file(context, settings.tls_cert_file.c_str()) != 1) {
    fail("tls-cert-file", settings.tls_cert_file);
  }
  // OpenSSL would ask the terminal for the password of a key.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_PrivateKey_file(context, settings.tls_key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail("tls-key-file", settings.tls_key_file);
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    throw SettingError("tls-key-file: " + settings.tls_key_file + " is not the key of the certificate in " +
                       settings.tls_cert_file);
  }
  if (!settings.tls_ca_cert_file.empty() &&
      SSL_CTX_load_verify_locations(context, settings.tls_ca_cert_file.c_str(), nullptr) != 1) {
    fail("tls-ca-cert-file", settings.tls_ca_cert_file);
  }
  if (settings.tls_auth_clients == "yes") {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  } else if (settings.tls_auth_clients == "optional") {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
}

Transport::Transport(int descriptor, const TlsContext& tls) : descriptor_(descriptor), tls_(SSL_new(tls.context_.get())) {
  if (tls_ == nullptr || SSL_set_fd(tls_.get(), descriptor) != 1) {
    const std::string error = tls_error();
    close();
    throw std::runtime_error(error);
  }
  SSL_set_accept_state(tls_.get());
}

Transport::Transport(Transport&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      wants_to_write_(other.wants_to_write_),
      tls_(std::move(other.tls_)),
      error_(std::move(other.error_)) {}

Transport::~Transport() { close(); }

void Transport::close() noexcept {
  if (descriptor_ < 0) return;
  if (tls_ != nullptr) {
    ERR_clear_error();
    if (SSL_is_init_finished(tls_.get()) != 0) SSL_shutdown(tls_.get());  // as end_output(), unless it has said so
    ERR_clear_error();
    tls_.reset();
  }
  ::close(std::exchange(descriptor_, -1));
}

Transport::Result Transport::failed() {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {Status::later};
  error_ = std::generic_category().message(errno);
  return {Status::failed};
}

Transport::Result Transport::tls_result(int result) {
  if (result > 0) return {Status::done, static_cast<std::size_t>(result)};
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {Status::later};
    case SSL_ERROR_WANT_WRITE:
      wants_to_write_ = true;
      return {Status::later};
    case SSL_ERROR_ZERO_RETURN:
      return {Status::ended};
    default:
      error_ = tls_error();
      return {Status::failed};
  }
}

Transport::Result Transport::receive(char* to, std::size_t size) {
  if (tls_ != nullptr) {
    ERR_clear_error();
    wants_to_write_ = false;
    return tls_result(SSL_read(tls_.get(), to, static_cast<int>(std::min<std::size_t>(size, INT_MAX))));
  }
  const ssize_t count = ::recv(descriptor_, to, size, 0);
  if (count > 0) return {Status::done, static_cast<std::size_t>(count)};
  return count == 0 ? Result{Status::ended} : failed();
}

Transport::Result Transport::send(std::string_view bytes) {
  if (tls_ != nullptr) {
    ERR_clear_error();
    return tls_result(SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX))));
  }
  const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return count >= 0 ? Result{Status::done, static_cast<std::size_t>(count)} : failed();
}

std::size_t Transport::received() const noexcept {
  int count = 0;
  return ::ioctl(descriptor_, FIONREAD, &count) == 0 ? static_cast<std::size_t>(std::max(count, 0)) : 0;
}

void Transport::end_output() noexcept {
  if (tls_ != nullptr && SSL_is_init_finished(tls_.get()) != 0) {
    ERR_clear_error();
    SSL_shutdown(tls_.get());  // tells the other side; its answer isn't awaited
    ERR_clear_error();
  }
  ::shutdown(descriptor_, SHUT_WR);
}

Transport::Status Transport::discard_input() noexcept {
  char bytes[4096];
  // Who sends without end is looked at again later.
  for (int piece = 0; piece < 64; ++piece) {
    const ssize_t count = ::recv(descriptor_, bytes, sizeof bytes, MSG_DONTWAIT);
    if (count == 0) return Status::ended;
    if (count < 0) return errno == EAGAIN || errno == EINTR ? Status::later : Status::failed;
  }
  return Status::later;
}

bool Transport::all_sent() const noexcept {
  int domain = 0;
  ::socklen_t size = sizeof domain;
  ::getsockopt(descriptor_, SOL_SOCKET, SO_DOMAIN, &domain, &size);
  if (domain == AF_UNIX) return true;  // what was sent is with the other side at once
  int count = 0;
  return ::ioctl(descriptor_, TIOCOUTQ, &count) != 0 || count == 0;
}

bool Transport::has_more() const noexcept { return tls_ != nullptr && SSL_pending(tls_.get()) > 0; }

}  // namespace cubby::server
