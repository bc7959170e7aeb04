// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <cubby/cubby.hpp>
#include <filesystem>

#include "cli/demo/cubby_cache.hpp"
#include "cli/demo/interrupt.hpp"
#include "cli/demo/progress.hpp"
#include "cli/demo/records.hpp"
#include "cli/demo/report.hpp"
#include "cli/demo/verify.hpp"
#include "cli/demo/workload.hpp"
#include "cli/exit_codes.hpp"
#include "cli/invocation.hpp"
#include "cli/text.hpp"

namespace cubby::cli {

namespace {

namespace fs = std::filesystem;

struct DemoOptions {
  std::string data = kDefaultRecords;
  std::size_t workers = 1000;
  double seconds = 10;
  std::string replaced = "reader";
  std::string file;
  std::string dir;
  std::uint32_t seed = 1;
  bool durable = false;
  bool json = false;
};

/// Where the store lies: where the user said, or in a folder of its own that goes when this does.
class DemoPlace {
 public:
  explicit DemoPlace(const DemoOptions& options) {
    const bool durable = options.durable;
    if (durable && !options.file.empty()) throw UsageError("--file is for a demo without --durable; name a folder with --dir");
    if (!durable && !options.dir.empty()) throw UsageError("--dir needs --durable");
    const char* option = durable ? "--dir" : "--file";
    const std::string& named = durable ? options.dir : options.file;
    if (!named.empty()) {
      path_ = fs::absolute(named).lexically_normal();
      if (!path_.has_filename()) path_ = path_.parent_path();
      std::error_code error;
      if (fs::exists(path_, error))
        throw UsageError(fmt::format("{} {} is already there: name another, or remove it", option, named));
      if (!fs::is_directory(path_.parent_path(), error)) {
        throw UsageError(fmt::format("{} {}: its folder does not exist; make it first (mkdir -p)", option, named));
      }
      return;
    }
    // A temporary folder often lies in memory, and a log there would show nothing.
    const fs::path parent = durable ? fs::current_path() : fs::temp_directory_path();
    std::string folder = (parent / "cubby-demo-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) {
      throw StoreError(fmt::format("no temporary folder {}: {}; name one with {}", folder, std::strerror(errno), option));
    }
    temporary_ = folder;
    path_ = temporary_ / (durable ? "sessions" : "sessions.json");
  }
  ~DemoPlace() {
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
  }
  DemoPlace(const DemoPlace&) = delete;
  DemoPlace& operator=(const DemoPlace&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  fs::path temporary_;
};

DesignReport run_design(const std::string& label, SessionCache& cache, const Plan& plan, const std::atomic<bool>& interrupted) {
  DesignReport report;
  {
    Progress progress(label, plan.length.count());
    report.result = run_workload(cache, plan, interrupted,
                                 [&](double seconds, std::uint64_t operations) { progress.show(seconds, operations); });
  }
  report.checks = check_conservation(cache, plan, report.result);
  return report;
}

Result run_sessions(const DemoOptions& options) {
  const std::atomic<bool>& interrupted = watch_for_interrupt();
  const DemoPlace place(options);
  Report report;
  report.plan =
      make_plan(sessions_from(options.data), options.workers, std::chrono::duration<double>(options.seconds), options.seed);
  report.replaced_lock = options.replaced;
  report.durable = options.durable;
  report.kept = options.durable ? options.dir : options.file;
  if (!options.json) {
    fmt::print("{} sessions from {}\n{} workers, {} of them waiting for messages; {} s for each design\n\n",
               grouped(report.plan.sessions.size()), options.data, grouped(options.workers), grouped(report.plan.consumers),
               options.seconds);
    std::fflush(stdout);
  }

  {
    const auto cache = make_replaced_cache(options.replaced == "reader" ? ReplacedLock::reader : ReplacedLock::exclusive);
    report.replaced = run_design("replaced", *cache, report.plan, interrupted);
  }
  if (!interrupted) {
    const std::string name = "sessions";
    Options store_options;
    (options.durable ? store_options.directory : store_options.persist) = place.path();
    CubbyCache cache(open(name, store_options));
    report.cubby = run_design("cubby", cache, report.plan, interrupted);
    report.reopened = close_and_reopen(name, store_options);
  }

  Result result;
  result.out = options.json ? to_value(report).to_json(2) + "\n" : to_text(report);
  result.code = !report.verified() ? kExitUnverified : report.reopened ? kExitOk : kExitInterrupted;
  return result;
}

}  // namespace

void add_demo_command(CLI::App& app, Invocation& invocation) {
  CLI::App* demo = app.add_subcommand("demo", "See cubby at work");
  demo->group("Demonstration");
  demo->require_subcommand(1);
  demo->footer("Examples:\n  cubby demo sessions");

  CLI::App* sessions =
      demo->add_subcommand("sessions", "Play a chat server's session cache: the design cubby replaces, then cubby");
  auto options = std::make_shared<DemoOptions>();
  sessions->add_option("--data", options->data, "JSON array of records; each becomes a user's session")
      ->type_name("FILE")
      ->capture_default_str();
  sessions->add_option("--workers", options->workers, "Threads, one in ten of them waiting for messages")
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(2, 100000).description(""));
  sessions->add_option("--seconds", options->seconds, "Time for each design")
      ->type_name("S")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 86400.0).description(""));
  sessions->add_option("--replaced", options->replaced, "Lock that reads of the replaced design take: reader or exclusive")
      ->type_name("LOCK")
      ->capture_default_str()
      ->check(CLI::IsMember({"reader", "exclusive"}).description(""));
  sessions->add_option("--file", options->file, "Save the store here and keep it (default: a temporary file)")
      ->type_name("FILE");
  sessions->add_flag("--durable", options->durable, "cubby's part on a durable store: each write is logged before it is seen");
  sessions
      ->add_option("--dir", options->dir, "With --durable: the store's folder, which is kept (default: a temporary one here)")
      ->type_name("DIR");
  sessions->add_option("--seed", options->seed, "Seed of the workers' choices")->type_name("N")->capture_default_str();
  sessions->add_flag("--json", options->json, "Print the result as JSON");
  sessions->footer(fmt::format(
      "Each record becomes a session of eight fields under \"session:<id>\". Of 100 operations of a worker {} read a session "
      "by\n"
      "get and {} by visit, {} extend its time to live, {} merge a patch into it, {} count an unread message up, and {} push "
      "a\n"
      "message to an inbox, where the waiting workers take it. Both designs get the same operations from the same seed.\n"
      "At the end the store is saved to a JSON file, opened again and compared. With --durable cubby logs all its writes to\n"
      "a folder, synced every 100 ms, and that is what is opened again.\n"
      "Ctrl-C ends the run early, with the figures so far.\n"
      "\n"
      "Examples:\n"
      "  cubby demo sessions\n"
      "  cubby demo sessions --workers 16 --seconds 3 --replaced exclusive\n"
      "  cubby demo sessions --data /usr/share/iso-codes/json/iso_639-3.json --file sessions.json\n"
      "  cubby demo sessions --durable\n"
      "  cubby demo sessions --json | jq .ratio\n"
      "\n"
      "Exit codes: 0 verified, 4 not verified, 130 interrupted before cubby ran; others as cubby --help lists them.",
      kMix[kRead], kMix[kLook], kMix[kTouch], kMix[kUpdate], kMix[kCount], kMix[kPush]));
  sessions->callback([options, &invocation] { invocation.action = [options] { return run_sessions(*options); }; });
}

}  // namespace cubby::cli
