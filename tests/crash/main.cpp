// SPDX-License-Identifier: Apache-2.0

// Kills a process that works with durable stores, and checks that what was acknowledged is there: promise 1 of durable mode.
//
// A round: the child (child.cpp) opens the stores and does random operations in several threads until it is killed at a random
// moment; the parent reads what it told (operation.hpp), opens the stores itself, and compares (history.hpp). The next round
// goes on from there.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include <stdlib.h>

#include "history.hpp"
#include "operation.hpp"
#include "plan.hpp"
#include "process.hpp"
#include "recovered.hpp"

namespace cubby_crash {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "usage: cubby_crash [--rounds N] [--seconds S] [--seed X] [--folder DIR]\n"
    "\n"
    "Kills processes that work with durable stores, and checks that nothing acknowledged is lost.\n"
    "\n"
    "  --rounds N    kills; 0: until interrupted. Default: CUBBY_CRASH_ROUNDS, else 20 times CUBBY_TEST_SCALE\n"
    "  --seconds S   stops after this time, whatever the rounds\n"
    "  --seed X      of the random choices; schedules stay the machine's own. Default: CUBBY_TEST_SEED, else a fresh one\n"
    "  --folder DIR  where the stores lie. Default: a new folder for temporary files. It is kept if something is wrong\n";

std::atomic<bool> interrupted{false};

struct Settings {
  long rounds = 20;
  double seconds = 0;
  std::uint64_t seed = 0;
  std::filesystem::path folder;
};

const char* environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0' ? text : nullptr;
}

class Rounds {
 public:
  Rounds(std::uint64_t seed, std::filesystem::path folder) : seed_(seed), folder_(std::move(folder)) {}

  void play(int round) {
    Random random(seed_for(seed_ + 1, static_cast<std::uint64_t>(round)));
    if (!history_ || random.one_in(12)) begin_anew(random, round);
    plan_ = plan_of(seed_, round, encrypted_);
    const bool early = random.one_in(8);  // perhaps while it recovers
    const double longest = random.one_in(30) ? 2000 : 300;
    const std::chrono::duration<double, std::milli> delay(early ? random.below(40) : random.logarithmic(1, longest));
    const auto records = run_and_kill(
        {"cubby_crash", "--child", directory_.string(), std::to_string(seed_), std::to_string(round), encrypted_ ? "1" : "0"},
        std::chrono::duration_cast<std::chrono::nanoseconds>(delay), early);
    const std::int64_t killed = wall_clock();
    for (const Record& record : records) history_->feed(record);

    // Read only, so that what is wrong stays as it was left.
    open(true);
    const Recovered main = read_all(*main_);
    const Recovered epochs = read_all(*epochs_);
    close();
    history_->check(main, epochs, killed);
    // Half of the time the next child has to recover what this one left.
    if (random.one_in(2)) check_writable(main, epochs);
    acknowledged_ += history_->acknowledged() - acknowledged_before_;
    acknowledged_before_ = history_->acknowledged();
    in_flight_ += history_->in_flight();
  }

  std::string summary() const {
    return std::to_string(acknowledged_) + " calls acknowledged, " + std::to_string(in_flight_) + " killed in flight";
  }

  std::string describe() const {
    const cubby::Options& options = plan_.options;
    const std::string sync = options.sync.is_always()  ? "always"
                             : options.sync.is_never() ? "never"
                                                       : std::to_string(options.sync.length().count() / 1'000'000) + " ms";
    return "sync " + sync + ", checkpoint_after " + std::to_string(options.checkpoint_after) +
           (encrypted_ ? ", encrypted" : ", not encrypted") + ", stores in " + directory_.string();
  }

  void remove_folder() const { std::filesystem::remove_all(directory_); }

 private:
  void begin_anew(Random& random, int round) {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
    directory_ = folder_ / std::to_string(round);
    std::filesystem::create_directories(directory_);
    encrypted_ = random.one_in(3);
    plan_ = plan_of(seed_, round, encrypted_);
    history_.emplace();
    acknowledged_before_ = 0;
    open(false);
    history_->seed(*main_);
    close();
  }

  void open(bool read_only) {
    cubby::Options options = plan_.options;
    options.read_only = read_only;
    options.directory = main_directory(directory_);
    main_ = cubby::open("main", options);
    options.directory = epoch_directory(directory_);
    epochs_ = cubby::open("epoch", options);
  }

  void close() {
    main_.reset();
    epochs_.reset();
    cubby::close("main");
    cubby::close("epoch");
  }

  /// A writer recovers the same, and what it leaves when it closes is the same again, and needs no log.
  void check_writable(const Recovered& main, const Recovered& epochs) {
    for (const bool closed_before : {false, true}) {
      const std::string when = closed_before ? " after a clean close" : " when opened for writing";
      open(false);
      check_same(main, read_all(*main_), when);
      check_same(epochs, read_all(*epochs_), when);
      for (const auto* store : {&*main_, &*epochs_}) {
        const auto bytes = store->stats().log_bytes;
        if (closed_before && bytes != 0) fail("stats().log_bytes", "0" + when, std::to_string(bytes));
      }
      close();
    }
  }

  static void check_same(const Recovered& before, const Recovered& after, const std::string& when) {
    for (const auto& [key, found] : before) {
      const auto place = after.find(key);
      if (place == after.end()) fail(key, to_text(found.value), "absent" + when);
      const Found& now = place->second;
      if (!same(found.value, now.value)) fail(key, to_text(found.value), to_text(now.value) + when);
      const bool deadline = found.deadline.has_value() == now.deadline.has_value() &&
                            (!found.deadline || std::abs(*found.deadline - *now.deadline) <= kDeadlineSlack);
      if (!deadline) fail(key, "the same deadline", "another one" + when);
    }
    for (const auto& [key, now] : after) {
      if (!before.contains(key)) fail(key, "absent", to_text(now.value) + when);
    }
  }

  const std::uint64_t seed_;
  const std::filesystem::path folder_;
  std::filesystem::path directory_;
  bool encrypted_ = false;
  Plan plan_;
  std::optional<History> history_;
  std::optional<cubby::Datastore> main_;
  std::optional<cubby::Datastore> epochs_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t acknowledged_before_ = 0;
  std::uint64_t in_flight_ = 0;
};

Settings settings_of(int argc, char** argv) {
  Settings settings;
  std::random_device device;
  settings.seed = (static_cast<std::uint64_t>(device()) << 32) ^ device();
  if (const char* seed = environment("CUBBY_TEST_SEED")) settings.seed = std::strtoull(seed, nullptr, 0);
  if (const char* scale = environment("CUBBY_TEST_SCALE"))
    settings.rounds = std::max(1L, static_cast<long>(20 * std::atof(scale)));
  if (const char* rounds = environment("CUBBY_CRASH_ROUNDS")) settings.rounds = std::atol(rounds);
  for (int index = 1; index < argc; index += 2) {
    const std::string_view name = argv[index];
    if (name == "--help" || name == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    const char* value = index + 1 < argc ? argv[index + 1] : nullptr;
    if (value != nullptr && name == "--rounds") {
      settings.rounds = std::atol(value);
    } else if (value != nullptr && name == "--seconds") {
      settings.seconds = std::atof(value);
    } else if (value != nullptr && name == "--seed") {
      settings.seed = std::strtoull(value, nullptr, 0);
    } else if (value != nullptr && name == "--folder") {
      settings.folder = value;
    } else {
      std::fputs(kUsage, stderr);
      std::exit(2);
    }
  }
  return settings;
}

int run(Settings settings) {
  const bool temporary = settings.folder.empty();
  if (temporary) {
    std::string pattern = (std::filesystem::temp_directory_path() / "cubby-crash-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    settings.folder = pattern;
  }
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  std::printf("seed %llu\n", static_cast<unsigned long long>(settings.seed));
  std::fflush(stdout);

  Rounds rounds(settings.seed, settings.folder);
  const auto start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  double told = 0;
  int round = 0;
  try {
    while (!interrupted && (settings.rounds == 0 || round < settings.rounds) &&
           (settings.seconds <= 0 || elapsed() < settings.seconds)) {
      rounds.play(++round);
      if (elapsed() - told < 10) continue;
      told = elapsed();
      std::printf("%d rounds, %.0f s: %s\n", round, told, rounds.summary().c_str());
      std::fflush(stdout);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "WRONG in round %d, seed %llu: %s\n%s\n", round, static_cast<unsigned long long>(settings.seed),
                 rounds.describe().c_str(), error.what());
    std::_Exit(1);  // the stores stay as they were found
  }
  std::printf("%d rounds, %.1f s: %s, nothing lost\n", round, elapsed(), rounds.summary().c_str());
  rounds.remove_folder();
  if (temporary) std::filesystem::remove_all(settings.folder);
  return 0;
}

}  // namespace
}  // namespace cubby_crash

int main(int argc, char** argv) {
  using namespace cubby_crash;
  if (argc == 6 && std::string_view(argv[1]) == "--child") {
    const std::uint64_t seed = std::strtoull(argv[3], nullptr, 10);
    const int round = std::atoi(argv[4]);
    run_child(argv[2], plan_of(seed, round, argv[5][0] == '1'), seed, round, kPipe);
  }
  try {
    return run(settings_of(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "cubby_crash: %s\n", error.what());
    return 1;
  }
}
