// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>

#include "server/dashboard_files.hpp"
#include "server/http_browser.hpp"
#include "server/http_handler.hpp"
#include "server/http_message.hpp"
#include "server/temporary_folder.hpp"

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
  EXPECT_EQ(Browser(port).get("/metrics").status, 503U);
  // A supervisor is let in nevertheless, for this only.
  Browser supervisor(port);
  EXPECT_EQ(supervisor.get("/healthz").status, 200U);
  EXPECT_EQ(next_byte(supervisor), boost::asio::error::eof);
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

}  // namespace

}  // namespace cubby::server::testing
