// SPDX-License-Identifier: Apache-2.0
// A chat server whose state lives in cubby. docs/chat.md walks through it.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <cubby/error.hpp>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/network.hpp"

namespace {

constexpr std::string_view kUsage = R"(usage: cubby_chat [option...]

  --address=A       where to listen (127.0.0.1)
  --port=N          0 takes any that is free (8080)
  --store=S         cubby, or replaced: the design that cubby replaces, which keeps nothing (cubby)
  --data=DIR        the folder of the durable store; empty: all is in memory (chat-data)
  --page=DIR        the folder of the web page
  --threads=N       threads that serve (one for each core)
  --session-ttl=S   seconds that a session lives when nobody uses it (86400)
  --inbox=N         messages that wait for one person at most (1000)
)";

struct Arguments {
  std::string address = "127.0.0.1";
  unsigned short port = 8080;
  std::string store = "cubby";
  std::string page = CHAT_PAGE;
  unsigned threads = std::max(1u, std::thread::hardware_concurrency());
  chat::Settings settings{.directory = "chat-data"};
};

template <class Number>
Number number_of(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) throw std::runtime_error("not a number: " + std::string(text));
  return number;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    const std::string_view name = argument.substr(0, argument.find('='));
    const std::string_view value = name.size() < argument.size() ? argument.substr(name.size() + 1) : std::string_view();
    if (name == "--address") {
      arguments.address = value;
    } else if (name == "--port") {
      arguments.port = number_of<unsigned short>(value);
    } else if (name == "--store" && (value == "cubby" || value == "replaced")) {
      arguments.store = value;
    } else if (name == "--data") {
      arguments.settings.directory = value;
    } else if (name == "--page") {
      arguments.page = value;
    } else if (name == "--threads") {
      arguments.threads = std::max(1u, number_of<unsigned>(value));
    } else if (name == "--session-ttl") {
      arguments.settings.session_ttl = std::chrono::seconds(number_of<unsigned>(value));
    } else if (name == "--inbox") {
      arguments.settings.inbox = number_of<std::size_t>(value);
    } else {
      throw std::runtime_error("unknown: " + std::string(argument) + "\n\n" + std::string(kUsage));
    }
  }
  return arguments;
}

void run(const Arguments& arguments) {
  using namespace chat;
  const std::unique_ptr<Store> store =
      arguments.store == "cubby" ? open_cubby_store(arguments.settings) : make_replaced_store(arguments.settings);
  const StaticFiles files(arguments.page);
  Hub hub;
  Handler handler(*store, hub);
  {
    net::io_context context(static_cast<int>(arguments.threads));
    tcp::acceptor acceptor(context, tcp::endpoint(net::ip::make_address(arguments.address), arguments.port));
    std::cout << "http://" << acceptor.local_endpoint() << "/ on " << arguments.store << std::endl;

    net::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
    net::co_spawn(context, listen(std::move(acceptor), handler, files), net::detached);

    std::vector<std::jthread> threads;
    for (unsigned i = 1; i < arguments.threads; ++i) threads.emplace_back([&] { context.run(); });
    context.run();
    threads.clear();
    store->on_away({});  // nobody is told any more
  }                      // connections end, and then the store is closed
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::cout << kUsage;
    return 0;
  }
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "cubby_chat: " << error.what() << '\n';
    return 1;
  }
}
