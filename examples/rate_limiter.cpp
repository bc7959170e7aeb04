// SPDX-License-Identifier: Apache-2.0
// Rate limiter: each client may make so many requests in a window. The window is a key that expires; nothing has to be cleaned
// up.

#include <cubby/cubby.hpp>

#include <atomic>
#include <chrono>
#include <iostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using cubby::Value;

namespace {

class RateLimiter {
 public:
  RateLimiter(cubby::Datastore store, int limit, std::chrono::milliseconds window)
      : store_(std::move(store)), limit_(limit), window_(window) {}

  /// True if this client may make a request now. Any number of threads may ask at once.
  bool allow(std::string_view client) {
    const std::string key = "requests:" + std::string(client);
    // The first request of a window makes the counter, with the window's time to live; that is atomic, so one request is the
    // first. increment keeps the deadline. A transaction holds the two together: the counter can't expire between them.
    return store_.transact({key}, [&](cubby::Transaction& transaction) {
      if (!transaction.exists(key)) transaction.set(key, 0, window_);
      return transaction.increment(key).as_int() <= limit_;
    });
  }

 private:
  cubby::Datastore store_;
  int limit_;
  std::chrono::milliseconds window_;
};

/// How many of the requests that eight threads make at once are allowed.
int burst(RateLimiter& limiter, std::string_view client) {
  std::atomic<int> allowed = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int request = 0; request < 50; ++request) allowed += limiter.allow(client) ? 1 : 0;
    });
  }
  threads.clear();  // joins them
  return allowed;
}

}  // namespace

int main() {
  cubby::Datastore store = cubby::open("rate_limiter");

  RateLimiter hourly(store, 100, 1h);
  const int ada = burst(hourly, "ada");
  const int grace = burst(hourly, "grace");
  std::cout << "100 an hour: of 400 requests each, ada got " << ada << " and grace " << grace << '\n';

  // The window ends by itself: its key is gone, and the next request opens a new one.
  RateLimiter brief(store, 1, 50ms);
  const bool first = brief.allow("linus");
  while (store.exists("requests:linus")) std::this_thread::sleep_for(5ms);
  const bool later = brief.allow("linus");
  std::cout << "1 in 50 ms: linus got " << first << ", and after the window " << later << '\n';

  return ada == 100 && grace == 100 && first && later ? 0 : 1;
}
