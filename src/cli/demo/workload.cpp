// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <latch>
#include <mutex>
#include <numeric>
#include <stop_token>
#include <system_error>
#include <thread>

#include "cli/demo/random.hpp"
#include "cli/exit_codes.hpp"

namespace cubby::cli {

namespace {

using Clock = std::chrono::steady_clock;

std::int64_t now() { return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count(); }

std::uint64_t since(std::int64_t start) { return static_cast<std::uint64_t>(std::max<std::int64_t>(now() - start, 0)); }

static_assert(std::accumulate(kMix.begin(), kMix.end(), 0U) == 100);

constexpr std::array<Kind, 100> kKindOf = [] {
  std::array<Kind, 100> table{};
  std::size_t at = 0;
  for (std::size_t kind = 0; kind < kMix.size(); ++kind) {
    for (unsigned i = 0; i < kMix[kind]; ++i) table[at++] = static_cast<Kind>(kind);
  }
  return table;
}();

/// A number below `limit` from 32 random bits.
std::size_t below(std::uint32_t bits, std::size_t limit) {
  return static_cast<std::size_t>((std::uint64_t{bits} * limit) >> 32);
}

/// What one worker did. It counts in its own cache line, which the observer reads meanwhile.
struct alignas(64) Tally {
  std::array<std::atomic<std::uint64_t>, kKinds> operations{};
  std::array<Histogram, kKinds> latency{};
  std::uint64_t message_sum = 0;
  std::uint64_t out_of_order = 0;

  void add(Kind kind) {
    operations[kind].store(operations[kind].load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

/// Everything the workers share.
struct Floor {
  SessionCache& cache;
  const Plan& plan;
  std::latch start{1};
  std::atomic<bool> stop{false};
  std::mutex failure_mutex{};
  std::exception_ptr failure{};

  void fail(std::exception_ptr exception) {
    const std::lock_guard lock(failure_mutex);
    if (!failure) failure = std::move(exception);
    stop = true;
  }
};

void send(Floor& floor, Tally& tally, std::uint32_t worker) {
  constexpr std::array<std::string_view, 4> kStates{"online", "away", "typing", "busy"};
  const Plan& plan = floor.plan;
  SessionCache& cache = floor.cache;
  Random random(scramble(plan.seed) + worker);
  std::uint64_t done = 0;
  std::uint64_t messages = 0;
  std::int64_t seen_sum = 0;

  while (!floor.stop.load(std::memory_order_relaxed)) {
    const std::uint64_t bits = random();
    const Kind kind = kKindOf[below(static_cast<std::uint32_t>(bits), kKindOf.size())];
    const auto choice = static_cast<std::uint32_t>(bits >> 32);
    const Session& session = plan.sessions[below(choice, plan.sessions.size())];
    const bool timed = ++done % kTimedEvery == 0;
    const std::int64_t start = timed ? now() : 0;
    switch (kind) {
      case kRead:
        seen_sum += cache.read(session.key);
        break;
      case kLook:
        seen_sum += cache.look(session.key);
        break;
      case kTouch:
        cache.touch(session.key);
        break;
      case kUpdate:
        cache.update(session.key, static_cast<std::int64_t>(done), kStates[done % kStates.size()]);
        break;
      case kCount:
        cache.count(session.unread_key);
        break;
      case kPush: {
        const Message message{worker, ++messages, start, session.key};
        cache.push(plan.inboxes[below(choice, plan.inboxes.size())], message);
        tally.message_sum += identity(message);
        break;
      }
      case kConsumed:
        break;
    }
    if (timed) tally.latency[kind].record(since(start));
    tally.add(kind);
  }
  // Makes what was read count for something, so that no compiler drops the reads.
  if (seen_sum < 0) throw std::runtime_error("a session's \"seen\" is negative");
}

void consume(Floor& floor, Tally& tally, const std::string& inbox, const std::stop_token& stop) {
  std::vector<std::uint64_t> last(floor.plan.senders);  // of each sender: the number of its latest message
  while (!stop.stop_requested()) {
    const std::optional<Message> message = floor.cache.shift_wait(inbox, std::chrono::seconds(1), stop);
    if (!message) continue;
    if (message->sent_at != 0) tally.latency[kConsumed].record(since(message->sent_at));
    tally.message_sum += identity(*message);
    std::uint64_t& latest = last.at(message->from);
    if (message->number <= latest) ++tally.out_of_order;
    latest = std::max(latest, message->number);
    tally.add(kConsumed);
  }
}

/// Ends and joins the workers whatever happens in between: first those who send, then those who wait.
class Crew {
 public:
  explicit Crew(Floor& floor) : floor_(floor) {}
  ~Crew() {
    floor_.stop = true;
    open();
    dismiss();
  }
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void hire(std::vector<Tally>& tallies) {
    const Plan& plan = floor_.plan;
    try {
      for (std::size_t i = 0; i < plan.consumers; ++i) {
        Tally& tally = tallies[plan.senders + i];
        const std::string& inbox = plan.inboxes[i % plan.inboxes.size()];
        consumers_.emplace_back([this, &tally, &inbox] { work([&] { consume(floor_, tally, inbox, stop_.get_token()); }); });
      }
      for (std::size_t i = 0; i < plan.senders; ++i) {
        Tally& tally = tallies[i];
        senders_.emplace_back([this, &tally, i] { work([&] { send(floor_, tally, static_cast<std::uint32_t>(i)); }); });
      }
    } catch (const std::system_error& error) {
      throw StoreError(
          fmt::format("only {} of {} workers could be started ({}): lower --workers, or raise the limit (ulimit -u)",
                      consumers_.size() + senders_.size(), plan.consumers + plan.senders, error.what()));
    }
  }

  void open() {
    if (!opened_) floor_.start.count_down();
    opened_ = true;
  }

  void dismiss() {
    floor_.stop = true;
    for (std::thread& thread : senders_) thread.join();
    senders_.clear();
    stop_.request_stop();
    for (std::thread& thread : consumers_) thread.join();
    consumers_.clear();
  }

 private:
  template <class F>
  void work(F&& f) {
    floor_.start.wait();
    try {
      f();
    } catch (...) {
      floor_.fail(std::current_exception());
    }
  }

  Floor& floor_;
  std::stop_source stop_;
  std::vector<std::thread> consumers_;
  std::vector<std::thread> senders_;
  bool opened_ = false;
};

std::uint64_t operations_in(const std::vector<Tally>& tallies) {
  std::uint64_t sum = 0;
  for (const Tally& tally : tallies) {
    for (const auto& operations : tally.operations) sum += operations.load(std::memory_order_relaxed);
  }
  return sum;
}

}  // namespace

std::uint64_t identity(const Message& message) { return scramble((std::uint64_t{message.from} << 40) + message.number); }

std::uint64_t RunResult::operations() const {
  std::uint64_t sum = 0;
  for (const KindResult& kind : kinds) sum += kind.operations;
  return sum;
}

Plan make_plan(std::vector<Session> sessions, std::size_t workers, std::chrono::duration<double> length, std::uint64_t seed) {
  Plan plan;
  plan.sessions = std::move(sessions);
  plan.consumers = std::max<std::size_t>(workers / 10, 1);
  plan.senders = workers - plan.consumers;
  plan.length = length;
  plan.seed = seed;
  const std::size_t inboxes = std::max<std::size_t>(plan.consumers / 2, 1);
  for (std::size_t i = 0; i < inboxes; ++i) plan.inboxes.push_back(fmt::format("inbox:{}", i));
  return plan;
}

RunResult run_workload(SessionCache& cache, const Plan& plan, const std::atomic<bool>& interrupted, const Observer& observe) {
  for (const Session& session : plan.sessions) cache.add(session);

  std::vector<Tally> tallies(plan.senders + plan.consumers);
  Floor floor{cache, plan};
  Crew crew(floor);
  crew.hire(tallies);

  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  crew.open();
  while (elapsed() < plan.length.count() && !interrupted.load() && !floor.stop.load()) {
    const double left = plan.length.count() - elapsed();
    std::this_thread::sleep_for(std::chrono::duration<double>(std::clamp(left, 0.0, 0.1)));
    observe(elapsed(), operations_in(tallies));
  }

  RunResult result;
  result.interrupted = interrupted.load();
  crew.dismiss();
  result.seconds = elapsed();
  if (floor.failure) std::rethrow_exception(floor.failure);

  for (std::size_t worker = 0; worker < tallies.size(); ++worker) {
    const Tally& tally = tallies[worker];
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      result.kinds[kind].operations += tally.operations[kind].load();
      result.kinds[kind].latency.merge(tally.latency[kind]);
    }
    (worker < plan.senders ? result.pushed_sum : result.consumed_sum) += tally.message_sum;
    result.out_of_order += tally.out_of_order;
  }
  return result;
}

}  // namespace cubby::cli
