// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <string>

#include "server/http_browser.hpp"
#include "server/http_handler.hpp"
#include "server/temporary_folder.hpp"

/// Signing in by HTTP, and changing keys.

namespace cubby::server::testing {

namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(Http, IsReadOnlyForWhoHasNotSignedIn) {
  HttpPort port;
  port.store().set("key", 1);
  Browser browser(port);
  EXPECT_EQ(browser.send("DELETE", "/api/value?store=db0&key=key").status, 403U);
  EXPECT_EQ(browser.send("PUT", "/api/value?store=db0&key=key", "2").status, 403U);
  EXPECT_EQ(browser.send("PUT", "/api/ttl?store=db0&key=key&ms=1").status, 403U);
  // Without a password there is nobody to sign in as.
  EXPECT_EQ(browser.get("/api/session").json()["can_sign_in"], false);
  EXPECT_EQ(browser.sign_in("default", "").status, 401U);
  EXPECT_EQ(port.store().get("key"), Value(1));
}

TEST(Http, AsksForThePassword) {
  HttpPort port(with_password("secret"));
  port.store().set("key", 1);
  Browser browser(port);
  for (const char* path :
       {"/api/status", "/api/clients", "/api/keys?store=db0", "/api/value?store=db0&key=key", "/api/json?store=db0&key=key"}) {
    EXPECT_EQ(browser.get(path).status, 401U) << path;
  }
  EXPECT_EQ(browser.send("DELETE", "/api/value?store=db0&key=key").status, 401U);
  EXPECT_EQ(browser.get("/").status, 200U);
  EXPECT_EQ(browser.get("/healthz").status, 200U);
  EXPECT_EQ(browser.get("/metrics").status, 200U);

  const Answer entered = browser.sign_in("default", "secret");
  ASSERT_EQ(entered.status, 200U);
  EXPECT_THAT(entered.headers.at("set-cookie"),
              AllOf(HasSubstr("HttpOnly"), HasSubstr("SameSite=Strict"), HasSubstr("Path=/")));
  EXPECT_EQ(browser.get("/api/session").json()["user"], "default");
  EXPECT_EQ(browser.get("/api/value?store=db0&key=key").json()["value"]["text"], "1");
  EXPECT_EQ(browser.send("DELETE", "/api/session").status, 200U);
  EXPECT_EQ(browser.get("/api/status").status, 401U);
}

TEST(Http, SlowsDownWhoGuesses) {
  HttpPort port(with_password("secret"));
  Browser browser(port);
  const auto began = std::chrono::steady_clock::now();
  for (int guess = 0; guess < 3; ++guess) EXPECT_EQ(browser.sign_in("default", "wrong").status, 401U);
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(700));  // 100, 200 and 400
  EXPECT_EQ(port.server.server().figures.sum(Figures::auth_failures), 3U);
  EXPECT_EQ(browser.sign_in("default", "secret").status, 200U);
}

/// Guesses by the other protocol count, and those of a neighbour.
TEST(Http, LooksAtNoPasswordWhileTooManyAnswersAreOutstanding) {
  TestServer server(with_password("secret"));
  SignInGuard sign_ins;
  HttpHandler handler(server.server(), sign_ins);
  const auto later = SignInGuard::Clock::now() + std::chrono::hours(1);
  for (std::size_t guess = 0; guess < SignInGuard::kMostAtOnce; ++guess) sign_ins.failed("[2001:db8::1]", later);
  HttpRequest request;
  request.method = "POST";
  request.path = "/api/session";
  request.address = "2001:db8::2";
  for (const char* password : {"secret", "wrong"}) {
    request.body = std::string("user=default&password=") + password;
    const HttpResponse response = handler.handle(request);
    EXPECT_EQ(response.status, 429U) << password;
    EXPECT_EQ(response.delay.count(), 0) << "it holds no connection";
    EXPECT_THAT(response.headers, Contains(Pair("Retry-After", ::testing::_)));
  }
  HttpRequest metrics;
  metrics.method = "GET";
  metrics.path = "/metrics";
  metrics.address = request.address;
  metrics.authorization = "Basic ZGVmYXVsdDpzZWNyZXQ=";  // default:secret
  EXPECT_EQ(handler.handle(metrics).status, 429U);
  EXPECT_EQ(server.server().figures.sum(Figures::auth_failures), 0U);
  request.address = metrics.address = "2001:db8:0:1::1";
  request.body = "user=default&password=secret";
  EXPECT_EQ(handler.handle(request).status, 200U) << "another network";
  EXPECT_EQ(handler.handle(metrics).status, 200U);
}

TEST(Http, ChangesWhatWhoHasSignedInSays) {
  HttpPort port(with_password("secret"));
  port.store().set("key", Value::parse(R"({"a": 1})"));
  Browser browser(port);
  ASSERT_EQ(browser.sign_in("", "secret").status, 200U);

  const Value text = browser.get("/api/json?store=db0&key=key").json();
  EXPECT_EQ(text["json"], "{\n  \"a\": 1\n}");
  const std::string version(text["version"].as_string());
  EXPECT_EQ(browser.send("PUT", "/api/ttl?store=db0&key=key&ms=100000").status, 200U);
  EXPECT_EQ(browser.send("PUT", "/api/value?store=db0&key=key", R"({"a": 2})", {{"If-Match", version}}).status, 200U);
  EXPECT_EQ(port.store().get("key"), Value::parse(R"({"a": 2})"));
  EXPECT_TRUE(port.store().ttl("key").has_value());
  EXPECT_EQ(browser.send("DELETE", "/api/ttl?store=db0&key=key").status, 200U);
  EXPECT_FALSE(port.store().ttl("key").has_value());
  // Somebody else has changed it.
  const Answer late = browser.send("PUT", "/api/value?store=db0&key=key", R"({"a": 3})", {{"If-Match", version}});
  EXPECT_EQ(late.status, 412U);
  EXPECT_EQ(port.store().get("key"), Value::parse(R"({"a": 2})"));

  EXPECT_EQ(browser.send("PUT", "/api/value?store=db0&key=new", "[1]", {{"If-None-Match", "*"}}).status, 200U);
  EXPECT_EQ(browser.send("PUT", "/api/value?store=db0&key=new", "[2]", {{"If-None-Match", "*"}}).status, 412U);
  EXPECT_EQ(port.store().get("new"), Value::array({1}));
  EXPECT_EQ(browser.send("PUT", "/api/value?store=db0&key=new", "{").status, 400U);
  EXPECT_EQ(browser.send("PUT", "/api/ttl?store=db0&key=missing&ms=1000").status, 404U);
  EXPECT_EQ(browser.send("PUT", "/api/ttl?store=db0&key=new&ms=soon").status, 400U);
  EXPECT_EQ(browser.send("DELETE", "/api/value?store=db0&key=new").status, 200U);
  EXPECT_EQ(browser.send("DELETE", "/api/value?store=db0&key=new").status, 404U);
  EXPECT_FALSE(port.store().exists("new"));
  EXPECT_EQ(browser.send("POST", "/api/value?store=db0&key=new", "1").status, 405U);
  // They don't count as clients.
  EXPECT_EQ(port.server.server().clients.size(), 0U);
}

TEST(Http, TakesChangesFromItsOwnPageOnly) {
  HttpPort port(with_password("secret"));
  port.store().set("key", 1);
  Browser browser(port);
  ASSERT_EQ(browser.sign_in("default", "secret").status, 200U);
  const std::string target = "/api/value?store=db0&key=key";
  EXPECT_EQ(browser.send("DELETE", target, "", {{"Origin", "http://evil.example"}}).status, 403U);
  EXPECT_EQ(browser.send("DELETE", target, "", {{"Sec-Fetch-Site", "cross-site"}}).status, 403U);
  EXPECT_EQ(browser.send("DELETE", target, "", {{"X-Cubby-CSRF", "0"}}).status, 403U);
  EXPECT_EQ(browser.send("POST", "/api/session", "password=secret", {{"Origin", "http://evil.example"}}).status, 403U);
  browser.forget_csrf();
  EXPECT_EQ(browser.send("DELETE", target).status, 403U);
  EXPECT_EQ(browser.send("DELETE", "/api/session").status, 403U);
  EXPECT_TRUE(port.store().exists("key"));
}

TEST(Http, KeepsToWhatAUserMay) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "users") << "user ann on >pass ~ann:* %R~shared:* +@all -cubby.use\n"
                                            "user bob on >pass ~* +scan +get +ping\n"
                                            "user off off >pass ~* +@all\n";
  Settings settings;
  settings.users = folder.path() / "users";
  HttpPort port(settings);
  port.store().set("ann:1", 1);
  port.store().set("shared:1", 2);
  port.store().set("bob:1", 3);
  port.store().set("list", Value::array({1}));
  port.store("other").set("x", 1);

  Browser nobody(port);
  EXPECT_EQ(nobody.get("/api/status").status, 401U);
  EXPECT_EQ(nobody.sign_in("off", "pass").status, 401U);
  Browser ann(port);
  ASSERT_EQ(ann.sign_in("ann", "pass").status, 200U);
  EXPECT_EQ(ann.get("/api/keys?store=db0").json()["keys"].size(), 2U);
  EXPECT_EQ(ann.get("/api/value?store=db0&key=shared:1").status, 200U);
  EXPECT_EQ(ann.get("/api/value?store=db0&key=bob:1").status, 403U);
  EXPECT_EQ(ann.get("/api/json?store=db0&key=bob:1").status, 403U);
  EXPECT_EQ(ann.get("/api/keys?store=other").status, 403U);
  EXPECT_EQ(ann.send("PUT", "/api/value?store=db0&key=shared:1", "5").status, 403U);
  EXPECT_EQ(ann.send("DELETE", "/api/value?store=db0&key=bob:1").status, 403U);
  EXPECT_EQ(ann.send("PUT", "/api/value?store=db0&key=ann:1", "5").status, 200U);
  EXPECT_EQ(port.store().get("ann:1"), Value(5));

  Browser bob(port);
  ASSERT_EQ(bob.sign_in("bob", "pass").status, 200U);
  EXPECT_EQ(bob.get("/api/status").status, 403U);
  EXPECT_EQ(bob.get("/api/clients").status, 403U);
  EXPECT_EQ(bob.get("/api/value?store=db0&key=bob:1").status, 200U);
  EXPECT_EQ(bob.get("/api/value?store=db0&key=list").status, 403U);
  EXPECT_EQ(bob.send("DELETE", "/api/value?store=db0&key=bob:1").status, 403U);
  EXPECT_EQ(port.store().get("bob:1"), Value(3));
}

TEST(Http, RefusesWritesWhenMemoryIsFull) {
  Settings settings = with_password("secret");
  settings.maxmemory = 1;
  HttpPort port(settings);
  port.store().set("key", "value");
  port.server.server().refresh_memory();
  Browser browser(port);
  ASSERT_EQ(browser.sign_in("default", "secret").status, 200U);
  EXPECT_EQ(browser.send("PUT", "/api/value?store=db0&key=key", "1").status, 503U);
  EXPECT_EQ(browser.send("DELETE", "/api/value?store=db0&key=key").status, 200U);
}

TEST(Http, TellsSubscribersOfItsChanges) {
  Settings settings = with_password("secret");
  settings.notify_keyspace_events = "EA";
  HttpPort port(settings);
  port.store().set("key", 1);
  const auto subscriber = port.server.connect();
  subscriber->command({"AUTH", "secret"});
  subscriber->command({"PSUBSCRIBE", "__keyevent@0__:*"});
  Browser browser(port);
  ASSERT_EQ(browser.sign_in("default", "secret").status, 200U);
  EXPECT_EQ(browser.send("DELETE", "/api/value?store=db0&key=key").status, 200U);
  EXPECT_THAT(subscriber->take_output(), HasSubstr("__keyevent@0__:del\r\n$3\r\nkey\r\n"));
}

}  // namespace

}  // namespace cubby::server::testing
