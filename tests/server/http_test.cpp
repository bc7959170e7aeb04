// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "server/dashboard_files.hpp"
#include "server/http_handler.hpp"
#include "server/http_history.hpp"
#include "server/http_message.hpp"
#include "server/http_server.hpp"
#include "server/http_sessions.hpp"
#include "server/sign_in_guard.hpp"
#include "server/temporary_folder.hpp"
#include "server/test_client.hpp"

namespace {

/// Whether the disk has come to fail.
std::atomic<bool> disk_fails{false};

}  // namespace

/// In the place of the C library's.
extern "C" int fdatasync(int descriptor) {
  if (!disk_fails) return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
  errno = EIO;
  return -1;
}

namespace cubby::server::testing {

namespace {

using boost::asio::ip::tcp;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
namespace web = boost::beast::http;

/// A server's HTTP port, and a thread behind it.
class HttpPort {
 public:
  explicit HttpPort(Settings settings = {}, const HttpLimits& limits = {})
      : server(std::move(settings)), http_(server.server(), context_, sign_ins_, 0, limits) {
    thread_ = std::thread([this] { context_.run(); });
  }
  ~HttpPort() {
    context_.stop();
    thread_.join();
  }
  HttpPort(const HttpPort&) = delete;
  HttpPort& operator=(const HttpPort&) = delete;

  int port() const { return http_.port(); }
  std::string host() const { return "127.0.0.1:" + std::to_string(port()); }
  Datastore store(const std::string& name = "db0") { return server.server().databases.open(name); }

  TestServer server;

 private:
  boost::asio::io_context context_;
  SignInGuard sign_ins_;
  HttpServer http_;
  std::thread thread_;
};

struct Answer {
  unsigned status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  ///< names in lower case
  Value json() const { return Value::parse(body); }
};

/// A browser: one connection, and a cookie.
class Browser {
 public:
  explicit Browser(const HttpPort& port, const std::string& address = "127.0.0.1") : host_(port.host()), socket_(context_) {
    socket_.connect(tcp::endpoint(boost::asio::ip::make_address(address), static_cast<unsigned short>(port.port())));
  }

  Answer get(const std::string& target, std::map<std::string, std::string> headers = {}) {
    return send("GET", target, "", std::move(headers));
  }
  Answer send(const std::string& method, const std::string& target, const std::string& body = "",
              std::map<std::string, std::string> headers = {}) {
    web::request<web::string_body> request;
    request.version(11);
    request.method_string(method);
    request.target(target);
    request.set(web::field::host, host_);
    if (!cookie_.empty()) request.set(web::field::cookie, cookie_);
    if (!csrf_.empty()) request.set("X-Cubby-CSRF", csrf_);
    for (const auto& [name, value] : headers) request.set(name, value);
    request.body() = body;
    request.prepare_payload();
    web::write(socket_, request);
    return read(method == "HEAD");
  }
  Answer read(bool head_only = false) {
    web::response_parser<web::string_body> parser;
    parser.skip(head_only);
    web::read(socket_, buffer_, parser);
    Answer answer;
    answer.status = parser.get().result_int();
    answer.body = parser.get().body();
    for (const auto& field : parser.get()) {
      std::string name(field.name_string());
      for (char& letter : name) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
      answer.headers[name] = std::string(field.value());
    }
    return answer;
  }
  Answer sign_in(const std::string& user, const std::string& password) {
    Answer answer = send("POST", "/api/session", "user=" + percent_encoded(user) + "&password=" + percent_encoded(password));
    if (answer.status == 200) {
      const std::string& cookie = answer.headers["set-cookie"];
      cookie_ = cookie.substr(0, cookie.find(';'));
      csrf_ = answer.json()["csrf"].as_string();
    }
    return answer;
  }
  void forget_csrf() { csrf_.clear(); }
  tcp::socket& socket() { return socket_; }

 private:
  boost::asio::io_context context_;
  std::string host_;
  tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
  std::string cookie_, csrf_;
};

Settings with_password(const std::string& password) {
  Settings settings;
  settings.requirepass = password;
  return settings;
}

// --- what is there for everybody

TEST(Http, SaysThatItIsWell) {
  const HttpPort port;
  Browser browser(port);
  const Answer answer = browser.get("/healthz");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, "ok\n");
  EXPECT_EQ(browser.send("POST", "/healthz").status, 405U);
}

TEST(Http, SaysWhatIsWrongWithAStore) {
  const TemporaryFolder folder;
  Settings settings;
  settings.dir = folder.path() / "data";
  HttpPort port(settings);
  port.store().set("key", 1);
  // A folder stands where the next checkpoint has to be written.
  std::filesystem::rename(folder.path() / "data" / "db0", folder.path() / "elsewhere");
  EXPECT_ANY_THROW(port.store().save());
  Browser browser(port);
  const Answer answer = browser.get("/healthz");
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, StartsWith("store db0 couldn't be saved: "));
  EXPECT_THAT(browser.get("/metrics").body, HasSubstr("cubby_healthy 0\n"));
  std::filesystem::rename(folder.path() / "elsewhere", folder.path() / "data" / "db0");
  port.store().save();
  EXPECT_EQ(browser.get("/healthz").status, 200U);
}

TEST(Http, SaysThatAStoreRefusesWrites) {
  const TemporaryFolder folder;
  Settings settings;
  settings.dir = folder.path() / "data";
  settings.sync = Sync::always();
  HttpPort port(settings);
  port.store().set("key", 1);
  disk_fails = true;
  EXPECT_ANY_THROW(port.store().set("key", 2));
  disk_fails = false;
  const Answer answer = Browser(port).get("/healthz");
  EXPECT_EQ(answer.status, 503U);
  EXPECT_THAT(answer.body, StartsWith("store db0 can't be written: "));
}

TEST(Http, HasMetrics) {
  HttpPort port;
  const auto client = port.server.connect();
  client->command({"SET", "a", "1"});
  client->command({"GET", "a"});
  client->command({"GET", "missing"});
  client->command({"LPUSH", "a", "1"});
  port.store("other").set("b", 2);
  const Answer answer = Browser(port).get("/metrics");
  EXPECT_EQ(answer.status, 200U);
  EXPECT_THAT(answer.headers.at("content-type"), StartsWith("text/plain; version=0.0.4"));
  for (const char* line :
       {"cubby_healthy 1\n", "cubby_connected_clients 1\n", "cubby_keyspace_hits_total 1\n", "cubby_keyspace_misses_total 1\n",
        "cubby_error_replies_total 1\n", "cubby_commands_total{command=\"get\"} 2\n",
        "cubby_failed_commands_total{command=\"lpush\"} 1\n", "cubby_store_keys{store=\"db0\"} 1\n",
        "cubby_store_keys{store=\"other\"} 1\n", "# TYPE cubby_batch_duration_seconds histogram\n",
        "cubby_batch_duration_seconds_bucket{le=\"+Inf\"} 4\n", "cubby_batch_duration_seconds_count 4\n"}) {
    EXPECT_THAT(answer.body, HasSubstr(line));
  }
}

TEST(Http, ServesTheDashboardAndNothingElse) {
  const HttpPort port;
  Browser browser(port);
  const Answer page = browser.get("/");
  EXPECT_EQ(page.status, 200U);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.headers.at("content-security-policy"), AllOf(HasSubstr("default-src 'none'"), Not(HasSubstr("unsafe"))));
  EXPECT_EQ(page.headers.at("x-content-type-options"), "nosniff");
  EXPECT_EQ(page.headers.at("x-frame-options"), "DENY");
  for (const DashboardFile& file : dashboard_files()) {
    const Answer answer = browser.get("/" + std::string(file.name));
    EXPECT_EQ(answer.status, 200U) << file.name;
    EXPECT_EQ(answer.body, file.text) << file.name;
    EXPECT_EQ(browser.get("/" + std::string(file.name), {{"If-None-Match", answer.headers.at("etag")}}).status, 304U);
    // Nothing comes from outside, and nothing is written into the page that its policy would have to allow. The name of SVG's
    // elements is no address to go to.
    std::string text = answer.body;
    constexpr std::string_view kSvg = "http://www.w3.org/2000/svg";
    if (const std::size_t at = text.find(kSvg); at != std::string::npos) text.erase(at, kSvg.size());
    EXPECT_THAT(text, AllOf(Not(HasSubstr("://")), Not(HasSubstr(" style=\"")), Not(HasSubstr(" onclick=\"")),
                            Not(HasSubstr("innerHTML"))))
        << file.name;
  }
  const Answer head = browser.send("HEAD", "/");
  EXPECT_EQ(head.status, 200U);
  EXPECT_EQ(head.headers.at("content-length"), std::to_string(page.body.size()));
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(browser.get("/nothing").status, 404U);
  EXPECT_EQ(browser.get("/../etc/passwd").status, 404U);
  EXPECT_EQ(browser.get("/api/nothing").status, 404U);
  EXPECT_EQ(browser.send("POST", "/style.css").status, 405U);
}

TEST(Http, KeepsAnswersOfTheApiOutOfCaches) {
  const HttpPort port;
  const Answer answer = Browser(port).get("/api/status");
  EXPECT_EQ(answer.headers.at("cache-control"), "no-store");
  EXPECT_EQ(answer.headers.at("content-type"), "application/json");
  EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
}

// --- reading

TEST(Http, TellsHowTheServerIs) {
  HttpPort port;
  const auto client = port.server.connect();
  client->command({"SET", "a", "1"});
  client->send({"BLPOP", "queue", "0"});
  Browser browser(port);
  const Value status = browser.get("/api/status").json();
  EXPECT_EQ(status["clients"]["connected"], 1);
  EXPECT_EQ(status["clients"]["blocked"], 1);
  EXPECT_EQ(status["waiters"], 1);
  EXPECT_EQ(status["totals"]["commands"], 2);
  EXPECT_EQ(status["problem"], "");
  EXPECT_EQ(status["stores"][0]["name"], "db0");
  EXPECT_EQ(status["stores"][0]["keys"], 1);
  const Value clients = browser.get("/api/clients").json();
  EXPECT_EQ(clients["count"], 1);
  EXPECT_EQ(clients["clients"][0]["blocked"], true);
}

TEST(Http, FindsKeys) {
  HttpPort port;
  for (int number = 0; number < 250; ++number) port.store().set("key:" + std::to_string(number), number);
  port.store().set("list", Value::array({1, 2}));
  port.store().set("\xff\x01", "x");
  Browser browser(port);
  std::size_t seen = 0;
  std::int64_t cursor = 0;
  do {
    const Value page = browser.get("/api/keys?store=db0&cursor=" + std::to_string(cursor)).json();
    seen += page["keys"].size();
    cursor = page["cursor"].as_int();
    if (cursor != 0) {
      EXPECT_GE(page["keys"].size(), 100U);
      EXPECT_LT(page["keys"].size(), 250U);
    }
  } while (cursor != 0);
  EXPECT_EQ(seen, 252U);

  const auto found = [&](const std::string& pattern) {
    return browser.get("/api/keys?store=db0&match=" + percent_encoded(pattern)).json()["keys"];
  };
  EXPECT_EQ(found("key:24?").size(), 10U);
  EXPECT_EQ(found("nothing*").size(), 0U);
  EXPECT_EQ(found("list"), Value::parse(R"([{"key": "list", "type": "array", "ttl_ms": null}])"));
  const Value odd = found("\xff*");
  ASSERT_EQ(odd.size(), 1U);
  EXPECT_EQ(odd[0]["key"], "\\xff\\x01");
  EXPECT_EQ(odd[0]["id"], "%FF%01");
  EXPECT_EQ(browser.get("/api/value?store=db0&key=%FF%01").json()["value"]["text"], "x");
  EXPECT_EQ(browser.get("/api/keys?store=nosuch").status, 404U);
  EXPECT_EQ(browser.get("/api/keys").status, 400U);
  EXPECT_EQ(browser.get("/api/keys?store=db0&cursor=x").status, 400U);
  EXPECT_EQ(browser.get("/api/keys?store=db0&match=%F").status, 400U);
  // A store that nobody has opened isn't by that.
  EXPECT_EQ(port.server.server().databases.all().size(), 1U);
}

TEST(Http, StopsLookingForKeysAfterAWhile) {
  HttpPort port;
  for (int number = 0; number < 50'000; ++number) port.store().set("key:" + std::to_string(number), number);
  const Value page = Browser(port).get("/api/keys?store=db0&match=nothing*").json();
  EXPECT_EQ(page["keys"].size(), 0U);
  EXPECT_GT(page["cursor"].as_int(), 0);
  EXPECT_GE(page["scanned"].as_int(), 20'000);
  EXPECT_LT(page["scanned"].as_int(), 25'000);
}

TEST(Http, ShowsValues) {
  HttpPort port;
  port.store().set("session",
                   Value::parse(R"({"user": {"name": "ann", "id": 9223372036854775807}, "tags": ["a", 1.5, null, true]})"));
  port.store().expire("session", std::chrono::seconds(100));
  Browser browser(port);
  const Value answer = browser.get("/api/value?store=db0&key=session").json();
  EXPECT_EQ(answer["key"], "session");
  EXPECT_GT(answer["ttl_ms"].as_int(), 90'000);
  EXPECT_LE(answer["ttl_ms"].as_int(), 100'000);
  EXPECT_EQ(answer["value"], Value::parse(R"({"type": "object", "size": 2, "from": 0, "members": [
      ["tags", {"type": "array", "size": 4, "from": 0, "items": [{"type": "string", "size": 1, "text": "a"},
        {"type": "real", "text": "1.5"}, {"type": "null"}, {"type": "boolean", "value": true}]}],
      ["user", {"type": "object", "size": 2, "from": 0, "members": [["id", {"type": "integer", "text": "9223372036854775807"}],
        ["name", {"type": "string", "size": 3, "text": "ann"}]]}]]})"));
  EXPECT_EQ(browser.get("/api/value?store=db0&key=session&path=/user/name").json()["value"]["text"], "ann");
  EXPECT_EQ(browser.get("/api/value?store=db0&key=session&path=/tags&from=2").json()["value"]["items"].size(), 2U);
  EXPECT_EQ(browser.get("/api/value?store=db0&key=session&path=/nothing").status, 404U);
  EXPECT_EQ(browser.get("/api/value?store=db0&key=missing").status, 404U);
}

TEST(Http, ShowsNoMoreOfAValueThanFitsAPage) {
  HttpPort port;
  std::vector<Value> numbers;
  for (int number = 0; number < 100'000; ++number) numbers.emplace_back(number);
  port.store().set("numbers", Value::array(numbers));
  port.store().set("nested", Value::object({{"inner", Value::array(numbers)}}));
  port.store().set("text", std::string(5'000'000, 'x') + "\xc3\xa4");
  port.store().set("umlauts", [] {
    std::string text = "x";
    for (int count = 0; count < 2000; ++count) text += "\xc3\xa4";
    return text;
  }());
  port.store().set("bytes", Value::binary(std::as_bytes(std::span("\x00\xff\x10", 3))));
  Value deep = 1;
  for (int level = 0; level < 100; ++level) deep = Value::array({deep});
  port.store().set("deep", deep);
  for (int number = 0; number < 300; ++number) port.store().push("queue", "element " + std::to_string(number));

  Browser browser(port);
  const auto shown = [&](const std::string& rest) { return browser.get("/api/value?store=db0&key=" + rest); };
  for (const char* rest : {"numbers", "nested", "text", "deep", "queue"}) {
    EXPECT_LT(shown(rest).body.size(), 300'000U) << rest;
  }
  EXPECT_EQ(shown("numbers").json()["value"]["size"], 100'000);
  EXPECT_EQ(shown("numbers").json()["value"]["items"].size(), 100U);
  EXPECT_EQ(shown("numbers&from=99990").json()["value"]["items"][9]["text"], "99999");
  EXPECT_EQ(shown("numbers&path=/77777").json()["value"]["text"], "77777");
  EXPECT_EQ(shown("numbers&path=/100000").status, 404U);
  EXPECT_EQ(shown("nested&path=/inner&from=500").json()["value"]["items"][0]["text"], "500");
  EXPECT_EQ(shown("text").json()["value"]["size"], 5'000'002);
  EXPECT_EQ(shown("text").json()["value"]["text"].size(), 2000U);
  EXPECT_EQ(shown("umlauts").json()["value"]["text"].size(), 1999U);
  EXPECT_EQ(shown("bytes").json()["value"], Value::parse(R"({"type": "binary", "size": 3, "text": "00ff10"})"));
  EXPECT_EQ(shown("queue&from=299").json()["value"]["items"][0]["text"], "element 299");
  // What is deep is asked for level by level.
  Value level = shown("deep").json()["value"];
  std::size_t levels = 0;
  while (level.contains("items") && level["items"].size() != 0) {
    level = level["items"][0];
    ++levels;
  }
  EXPECT_EQ(levels, 4U);
  EXPECT_EQ(shown("deep&path=/0/0/0/0").json()["value"]["items"].size(), 1U);
  EXPECT_EQ(browser.get("/api/json?store=db0&key=numbers").status, 413U);
  EXPECT_EQ(browser.get("/api/json?store=db0&key=text").status, 413U);
  EXPECT_EQ(browser.get("/api/json?store=db0&key=queue").status, 200U);
}

TEST(Http, ShowsFieldsThatAreNoText) {
  HttpPort port;
  port.server.connect()->command({"HSET", "hash", "\xfe", "1", "plain", "2"});
  const Value members = Browser(port).get("/api/value?store=db0&key=hash").json()["value"]["members"];
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[1], Value::parse(R"(["\\xfe", {"type": "integer", "text": "1"}, "%FE"])"));
  EXPECT_EQ(Browser(port).get("/api/value?store=db0&key=hash&path=/%FE").json()["value"]["text"], "1");
}

// --- signing in, and changing

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

// --- names, addresses, limits

/// What the other end says next: it has closed the connection.
boost::system::error_code next_byte(Browser& browser) {
  boost::system::error_code error;
  char byte = 0;
  boost::asio::read(browser.socket(), boost::asio::buffer(&byte, 1), error);
  return error;
}

TEST(Http, IsThereForItsOwnNamesOnlyWithoutAPassword) {
  const HttpPort open;
  Browser browser(open);
  for (const char* host : {"evil.example", "evil.example:7380", "127.0.0.1.evil.example", ""}) {
    EXPECT_EQ(browser.get("/api/status", {{"Host", host}}).status, 421U) << host;
    EXPECT_EQ(browser.get("/", {{"Host", host}}).status, 421U) << host;
    EXPECT_EQ(browser.get("/metrics", {{"Host", host}}).status, 421U) << host;
  }
  for (const char* host : {"localhost", "LOCALHOST:7380", "cubby.localhost", "127.0.0.1", "[::1]:7380"}) {
    EXPECT_EQ(browser.get("/api/status", {{"Host", host}}).status, 200U) << host;
  }
  const HttpPort closed(with_password("secret"));
  EXPECT_EQ(Browser(closed).get("/", {{"Host", "cubby.example"}}).status, 200U);
}

TEST(Http, GivesMetricsToOtherMachinesWithAPassword) {
  // A request to an address that isn't a loopback one, as handlers see it.
  TestServer server(with_password("secret"));
  SignInGuard sign_ins;
  HttpHandler handler(server.server(), sign_ins);
  HttpRequest request;
  request.method = "GET";
  request.path = "/metrics";
  request.address = "192.0.2.1";
  EXPECT_EQ(handler.handle(request).status, 401U);
  request.authorization = "Basic ZGVmYXVsdDpzZWNyZXQ=";  // default:secret
  EXPECT_EQ(handler.handle(request).status, 200U);
  for (const char* wrong : {"Basic ZGVmYXVsdDp3cm9uZw==", "Basic ZGVmYXVsdA==", "Basic !", "Basic "}) {
    request.authorization = wrong;
    const HttpResponse response = handler.handle(request);
    EXPECT_EQ(response.status, 401U) << wrong;
    EXPECT_GE(response.delay, SignInGuard::kFirst) << wrong;
  }
  request.authorization = "Bearer x";
  EXPECT_EQ(handler.handle(request).status, 401U);
  request.path = "/healthz";
  EXPECT_EQ(handler.handle(request).status, 200U);
}

TEST(Http, RefusesWhatIsTooLarge) {
  const HttpPort port;
  EXPECT_EQ(Browser(port).send("PUT", "/api/value?store=db0&key=key", std::string(600'000, 'x')).status, 413U);
  EXPECT_EQ(Browser(port).get("/api/keys?store=" + std::string(20'000, 'x')).status, 431U);
}

TEST(Http, RefusesWhatIsNoHttp) {
  const HttpPort port;
  for (const char* text :
       {"SET key value\r\n\r\n", "\x16\x03\x01 hello\r\n\r\n", "GET nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"}) {
    Browser browser(port);
    boost::asio::write(browser.socket(), boost::asio::buffer(std::string(text)));
    EXPECT_EQ(browser.read().status, 400U) << text;
  }
}

TEST(Http, AnswersRequestsThatComeTogetherAndInPieces) {
  const HttpPort port;
  Browser browser(port);
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  boost::asio::write(browser.socket(), boost::asio::buffer(request + request));
  EXPECT_EQ(browser.read().body, "ok\n");
  EXPECT_EQ(browser.read().body, "ok\n");
  for (const char& byte : request) boost::asio::write(browser.socket(), boost::asio::buffer(&byte, 1));
  EXPECT_EQ(browser.read().body, "ok\n");
  boost::asio::write(browser.socket(), boost::asio::buffer(std::string("GET /healthz HTTP/1.0\r\n\r\n")));
  EXPECT_EQ(browser.read().body, "ok\n");
  EXPECT_EQ(next_byte(browser), boost::asio::error::eof);
}

TEST(Http, LetsOnlySoManyIn) {
  const HttpPort port;
  std::vector<std::unique_ptr<Browser>> browsers;
  for (int count = 0; count < 128; ++count) {
    browsers.push_back(std::make_unique<Browser>(port));
    ASSERT_EQ(browsers.back()->get("/healthz").status, 200U);
  }
  EXPECT_EQ(Browser(port).read().status, 503U);
  EXPECT_EQ(browsers.front()->get("/healthz").status, 200U);
}

TEST(Http, WaitsForNobodyForEver) {
  HttpLimits limits;
  limits.request_time = std::chrono::milliseconds(200);
  const HttpPort port({}, limits);
  Browser silent(port);
  EXPECT_TRUE(next_byte(silent));
  Browser slow(port);
  boost::asio::write(slow.socket(), boost::asio::buffer(std::string("GET /healthz HTTP/1.1\r\nHost:")));
  EXPECT_TRUE(next_byte(slow));
}

TEST(Http, SendsToNobodyForEver) {
  HttpLimits limits;
  limits.response_time = std::chrono::milliseconds(200);
  const HttpPort port({}, limits);
  Browser browser(port);
  // So many answers that nobody reads fill the buffers between the two; then no more requests are read, and at last the
  // connection is cut.
  std::string requests;
  for (int count = 0; count < 100; ++count) requests += "GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
  boost::system::error_code error;
  while (!error) boost::asio::write(browser.socket(), boost::asio::buffer(requests), error);
  EXPECT_TRUE(error == boost::asio::error::connection_reset || error == boost::asio::error::broken_pipe) << error.message();
}

// --- its parts

TEST(HttpSessions, EndAfterAWhile) {
  const User user("ann");
  HttpSessions sessions;
  const HttpSessions::Clock::time_point start{};
  const std::string token = sessions.begin(user, start).token;
  EXPECT_EQ(sessions.find("0", start), nullptr);
  auto now = start;
  for (; now <= start + HttpSessions::kLongest; now += HttpSessions::kIdle) ASSERT_NE(sessions.find(token, now), nullptr);
  EXPECT_EQ(sessions.find(token, now), nullptr);
  const std::string idle = sessions.begin(user, start).token;
  EXPECT_EQ(sessions.find(idle, start + HttpSessions::kIdle + std::chrono::seconds(1)), nullptr);
}

TEST(HttpSessions, AreOnlySoMany) {
  const User user("ann");
  HttpSessions sessions;
  HttpSessions::Clock::time_point now{};
  const std::string first = sessions.begin(user, now).token;
  for (std::size_t count = 0; count < HttpSessions::kMost; ++count) sessions.begin(user, now += std::chrono::milliseconds(1));
  EXPECT_EQ(sessions.find(first, now), nullptr);
}

TEST(HttpHistory, ReadsLatenciesFromBuckets) {
  std::array<std::uint64_t, Figures::kLatencyBuckets> buckets{};
  EXPECT_EQ(latency_quantile(buckets, 0.5), 0);
  buckets[0] = 100;  // below a microsecond
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 0.5), 0.5);
  buckets[4] = 100;  // 8 to 15
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 0.5), 1);
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 0.75), 12);
  EXPECT_DOUBLE_EQ(latency_quantile(buckets, 1), 16);
}

TEST(HttpHistory, KeepsTheLastMinutes) {
  TestServer server;
  HttpHistory history(server.server());
  server.connect()->command({"PING"});
  history.sample();
  ASSERT_EQ(history.samples().size(), 1U);
  EXPECT_GT(history.samples().front().commands, 0);
  EXPECT_GT(history.samples().front().p99_us, 0);
  server.server().figures.reset();
  for (std::size_t count = 0; count < HttpHistory::kKept; ++count) history.sample();
  EXPECT_EQ(history.samples().size(), HttpHistory::kKept);
  EXPECT_EQ(history.samples().front().number, 2U);
  EXPECT_EQ(history.samples().back().commands, 0);
}

TEST(HttpMessage, ReadsTargetsCookiesAndBase64) {
  HttpRequest request;
  EXPECT_TRUE(request.set_target("/a/b?x=1&y=%00%ff+&x=2&z"));
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.parameter("x"), "1");
  EXPECT_EQ(request.parameter("y"), std::string_view("\0\xff ", 3));
  EXPECT_EQ(request.parameter("z"), "");
  EXPECT_EQ(request.parameter("w"), std::nullopt);
  for (const char* target : {"", "x", "*", "?x", "http://a/", "/?a=%", "/?a=%1", "/?a=%zz"}) {
    EXPECT_FALSE(request.set_target(target)) << target;
  }
  EXPECT_EQ(cookie_value("a=1; bc=2;c=3", "c"), "3");
  EXPECT_EQ(cookie_value("a=1; bc=2", "b"), "");
  EXPECT_EQ(cookie_value("", "b"), "");
  EXPECT_EQ(base64_decoded("YTpi"), "a:b");
  EXPECT_EQ(base64_decoded("YTo="), "a:");
  EXPECT_EQ(base64_decoded("Y-o="), std::nullopt);
  EXPECT_EQ(percent_encoded("a b\xff/~"), "a%20b%FF%2F~");
}

}  // namespace

}  // namespace cubby::server::testing
