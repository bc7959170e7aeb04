// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/certificates.hpp"
#include "server/client.hpp"
#include "server/network_support.hpp"
#include "server/resp_text.hpp"
#include "server/transport.hpp"

namespace cubby::server {

namespace {

using testing::Certificate;
using testing::eventually;
using ::testing::HasSubstr;
using testing::NetworkServer;
using testing::request_text;
using testing::Socket;
using testing::TemporaryFolder;

/// A client that speaks TLS.
class TlsSocket {
 public:
  struct Identity {
    std::string authority;         ///< which the server's certificate must be of; empty: any will do
    std::string certificate, key;  ///< its own
  };
  TlsSocket(int port, const Identity& identity)
      : socket_(Socket::to_port(port)), context_(SSL_CTX_new(TLS_client_method())), tls_(nullptr) {
    if (!identity.authority.empty()) {
      SSL_CTX_load_verify_locations(context_.get(), identity.authority.c_str(), nullptr);
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    }
    if (!identity.certificate.empty()) {
      SSL_CTX_use_certificate_file(context_.get(), identity.certificate.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_.get(), identity.key.c_str(), SSL_FILETYPE_PEM);
    }
    tls_.reset(SSL_new(context_.get()));
    SSL_set_fd(tls_.get(), socket_.descriptor());
    ERR_clear_error();
    is_connected_ = SSL_connect(tls_.get()) == 1;
  }

  bool is_connected() const { return is_connected_; }
  bool send(std::string_view bytes) {
    ERR_clear_error();
    return bytes.empty() || SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  /// Fewer bytes if the other side has ended.
  std::string receive(std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t got = 0;
    while (got != count) {
      ERR_clear_error();
      const int more = SSL_read(tls_.get(), bytes.data() + got, static_cast<int>(count - got));
      if (more <= 0) break;
      got += static_cast<std::size_t>(more);
    }
    bytes.resize(got);
    return bytes;
  }
  std::string ask(std::string_view request, std::string_view expected) {
    return send(request) ? receive(expected.size()) : "can't send";
  }
  Socket& socket() { return socket_; }

 private:
  struct Free {
    void operator()(SSL* tls) const { SSL_free(tls); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  Socket socket_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> tls_;
  bool is_connected_ = false;
};

/// What all tests share: making keys takes a while.
class TlsFiles {
 public:
  TlsFiles() {
    const Certificate authority("authority"), stranger("stranger");
    const Certificate server("server", &authority), client("client", &authority), intruder("intruder", &stranger);
    authority.write_certificate(path("authority.crt"));
    stranger.write_certificate(path("stranger.crt"));
    const auto write = [&](const Certificate& certificate, const std::string& name) {
      certificate.write_certificate(path(name + ".crt"));
      certificate.write_key(path(name + ".key"));
    };
    write(server, "server");
    write(client, "client");
    write(intruder, "intruder");
    server.write_key(path("locked.key"), "password");
    folder_.file("nonsense", "this is no certificate");
  }
  std::string path(const std::string& name) const { return folder_.path() / name; }

 private:
  TemporaryFolder folder_;
};

class Tls : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { files_ = std::make_unique<TlsFiles>(); }
  static void TearDownTestSuite() { files_.reset(); }
  static std::string path(const std::string& name) { return files_->path(name); }

  static Settings with_tls() {
    Settings settings;
    settings.tls_port = NetworkServer::kAnyPort;
    settings.tls_cert_file = path("server.crt");
    settings.tls_key_file = path("server.key");
    settings.tls_ca_cert_file = path("authority.crt");
    return settings;
  }
  static std::string error_of(const Settings& settings) {
    try {
      const TlsContext context(settings);
    } catch (const SettingError& error) {
      return error.what();
    }
    return {};
  }
  static TlsSocket::Identity anybody() { return {path("authority.crt"), {}, {}}; }

  static std::unique_ptr<TlsFiles> files_;
};

std::unique_ptr<TlsFiles> Tls::files_;

TEST_F(Tls, Works) {
  NetworkServer server(with_tls());
  EXPECT_THAT(server.network().addresses(), ::testing::Contains("127.0.0.1:" + std::to_string(server.tls_port()) + " (TLS)"));
  TlsSocket socket(server.tls_port(), anybody());
  ASSERT_TRUE(socket.is_connected());
  EXPECT_EQ(socket.ask("PING\r\n", "+PONG\r\n"), "+PONG\r\n");
  EXPECT_EQ(server.connect().ask("PING\r\n", "+PONG\r\n"), "+PONG\r\n") << "the plain port, beside it";
}

TEST_F(Tls, LargeValuesAndPipelines) {
  NetworkServer server(with_tls());
  TlsSocket socket(server.tls_port(), anybody());
  std::string value(5 << 20, '\0');
  for (std::size_t index = 0; index < value.size(); ++index) value[index] = static_cast<char>(index * 11 + index / 777);
  ASSERT_EQ(socket.ask(request_text({"SET", "v", value}), kOkText), kOkText);
  const std::string reply = bulk_text(value);
  EXPECT_TRUE(socket.ask("GET v\r\n", reply) == reply);
  std::string requests, replies;
  for (int index = 0; index < 20'000; ++index) {
    requests += request_text({"ECHO", std::to_string(index)});
    replies += bulk_text(std::to_string(index));
  }
  EXPECT_TRUE(socket.ask(requests, replies) == replies);
}

TEST_F(Tls, WhatComesBehindABlockingCommandInOneRecordIsNotLost) {
  NetworkServer server(with_tls());
  TlsSocket socket(server.tls_port(), anybody());
  // More than the server reads at once, so that some of it stays in the TLS layer.
  std::string requests = "BLPOP l 0\r\n";
  std::string replies = bulks_text({"l", "x"});
  for (int index = 0; index < 1000; ++index) {
    requests += "ECHO " + std::to_string(index) + "\r\n";
    replies += bulk_text(std::to_string(index));
  }
  socket.send(requests);
  ASSERT_TRUE(eventually([&] { return server.server().clients.size() == 1 && server.server().clients.all()[0]->blocked(); }));
  EXPECT_EQ(server.connect().ask("RPUSH l x\r\n", ":1\r\n"), ":1\r\n");
  EXPECT_TRUE(socket.receive(replies.size()) == replies);
}

TEST_F(Tls, ClientsSeeAWrongServer) {
  NetworkServer server(with_tls());
  TlsSocket socket(server.tls_port(), {path("stranger.crt"), {}, {}});
  EXPECT_FALSE(socket.is_connected());
  socket.socket().close();
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 0; }));
}

TEST_F(Tls, PlainTextIsNotUnderstood) {
  NetworkServer server(with_tls());
  Socket plain = Socket::to_port(server.tls_port());
  plain.send("PING\r\nPING\r\nPING\r\n");
  EXPECT_EQ(plain.receive_all().find("PONG"), std::string::npos);
  Socket nonsense = Socket::to_port(server.tls_port());
  nonsense.send(std::string(100'000, '\x16'));
  nonsense.receive_all();
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 0; }));
  EXPECT_TRUE(TlsSocket(server.tls_port(), anybody()).is_connected());
}

TEST_F(Tls, PlainClientsOfThePlainPortMeetNoTls) {
  NetworkServer server(with_tls());
  EXPECT_FALSE(TlsSocket(server.port(), anybody()).is_connected());
}

TEST_F(Tls, ClientCertificates) {
  Settings settings = with_tls();
  settings.tls_auth_clients = "yes";
  NetworkServer server(settings);
  // With TLS 1.3 the client has connected before the server has looked: the first answer tells.
  const auto answer = [&](const TlsSocket::Identity& identity) {
    TlsSocket socket(server.tls_port(), identity);
    return socket.is_connected() && socket.ask("PING\r\n", "+PONG\r\n") == "+PONG\r\n";
  };
  EXPECT_TRUE(answer({path("authority.crt"), path("client.crt"), path("client.key")}));
  EXPECT_FALSE(answer(anybody()));
  EXPECT_FALSE(answer({path("authority.crt"), path("intruder.crt"), path("intruder.key")}));
}

TEST_F(Tls, OptionalClientCertificates) {
  Settings settings = with_tls();
  settings.tls_auth_clients = "optional";
  NetworkServer server(settings);
  const auto answer = [&](const TlsSocket::Identity& identity) {
    TlsSocket socket(server.tls_port(), identity);
    return socket.is_connected() && socket.ask("PING\r\n", "+PONG\r\n") == "+PONG\r\n";
  };
  EXPECT_TRUE(answer(anybody()));
  EXPECT_TRUE(answer({path("authority.crt"), path("client.crt"), path("client.key")}));
  EXPECT_FALSE(answer({path("authority.crt"), path("intruder.crt"), path("intruder.key")}));
}

TEST_F(Tls, PeersThatLeaveRudelyCostNothing) {
  NetworkServer server(with_tls());
  for (int index = 0; index < 20; ++index) {
    TlsSocket socket(server.tls_port(), anybody());
    ASSERT_TRUE(socket.is_connected());
    // Answers to somebody who has gone: a write to such a socket must raise no signal.
    std::string requests;
    for (int ping = 0; ping < 1000; ++ping) requests += "PING\r\n";
    socket.send(requests);
    index % 2 == 0 ? socket.socket().cut() : socket.socket().close();
  }
  EXPECT_TRUE(eventually([&] { return server.server().clients.size() == 0; }));
  EXPECT_TRUE(TlsSocket(server.tls_port(), anybody()).is_connected());
}

TEST_F(Tls, SlowReadersOfLargeAnswersGetAll) {
  NetworkServer server(with_tls());
  TlsSocket socket(server.tls_port(), anybody());
  const std::string value(1 << 20, 'v');
  ASSERT_EQ(socket.ask(request_text({"SET", "v", value}), kOkText), kOkText);
  std::string requests;
  for (int index = 0; index < 30; ++index) requests += "GET v\r\n";
  ASSERT_TRUE(socket.send(requests + "QUIT\r\n"));
  // All of it is waiting before anything is read.
  ASSERT_TRUE(eventually([&] { return server.server().figures.sum(Figures::commands) >= 32; }));
  std::string all = socket.receive(30 * bulk_text(value).size() + 5 + 1);
  EXPECT_EQ(all.size(), 30 * bulk_text(value).size() + 5);
  EXPECT_TRUE(all.ends_with("\r\n+OK\r\n"));
}

TEST_F(Tls, StoppingSaysGoodbye) {
  NetworkServer server(with_tls());
  TlsSocket socket(server.tls_port(), anybody());
  ASSERT_EQ(socket.ask("PING\r\n", "+PONG\r\n"), "+PONG\r\n");
  Socket silent = Socket::to_port(server.tls_port());  // never begins its handshake
  ASSERT_TRUE(eventually([&] { return server.server().clients.size() == 2; }));
  server.stop();
  EXPECT_EQ(socket.receive(1), "");
}

TEST_F(Tls, WrongFilesAreNamed) {
  Settings settings = with_tls();
  EXPECT_EQ(error_of(settings), "");
  settings.tls_cert_file = path("missing");
  EXPECT_THAT(error_of(settings), ::testing::StrEq("tls-cert-file: " + path("missing") + ": No such file or directory"));
  settings.tls_cert_file = path("nonsense");
  EXPECT_THAT(error_of(settings), HasSubstr("tls-cert-file: "));
  settings = with_tls();
  settings.tls_key_file = path("nonsense");
  EXPECT_THAT(error_of(settings), HasSubstr("tls-key-file: "));
  settings.tls_key_file = path("client.key");
  EXPECT_THAT(error_of(settings), HasSubstr("tls-key-file: " + path("client.key")));
  settings = with_tls();
  settings.tls_ca_cert_file = path("missing");
  EXPECT_THAT(error_of(settings), ::testing::StrEq("tls-ca-cert-file: " + path("missing") + ": No such file or directory"));
  settings.tls_ca_cert_file = path("nonsense");
  EXPECT_THAT(error_of(settings), HasSubstr("tls-ca-cert-file: "));
}

/// OpenSSL would ask for the password at the terminal.
TEST_F(Tls, ALockedKeyIsRefused) {
  Settings settings = with_tls();
  settings.tls_key_file = path("locked.key");
  EXPECT_THAT(error_of(settings), HasSubstr("tls-key-file: "));
}

}  // namespace

}  // namespace cubby::server
