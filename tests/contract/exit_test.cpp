// SPDX-License-Identifier: Apache-2.0

// Section 3: what happens at normal process exit. Each statement runs in a process of its own, which gtest's threadsafe style
// starts by running the test program anew: nothing is forked without exec.

#include "support.hpp"

namespace cubby::contract {
namespace {

constexpr const char* kFolderVariable = "CUBBY_CONTRACT_EXIT_FOLDER";

class ExitDeathTest : public testing::Test {
 protected:
  ExitDeathTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    if (const char* inherited = ::getenv(kFolderVariable)) {
      folder_ = inherited;  // the process under test works where its parent looks
    } else {
      own_.emplace();
      folder_ = own_->path();
      ::setenv(kFolderVariable, folder_.c_str(), 1);
    }
  }
  ~ExitDeathTest() override {
    if (own_) ::unsetenv(kFolderVariable);
  }

  std::filesystem::path file(const char* name) const { return folder_ / name; }

  Datastore open_file(const char* name) const {
    Options options;
    options.persist = file(name);
    return open(name, options);
  }

  std::optional<TemporaryFolder> own_;
  std::filesystem::path folder_;
};

TEST_F(ExitDeathTest, NormalExitSavesEveryStore) {
  EXPECT_EXIT(
      {
        open_file("one.json").set("key", 1);
        open_file("two.json").set("key", 2);
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EQ(read_json(file("one.json")), Value::parse(R"({"key": 1})"));
  EXPECT_EQ(read_json(file("two.json")), Value::parse(R"({"key": 2})"));
}

TEST_F(ExitDeathTest, AFailureAtExitGoesToStderrAndKeepsTheExitStatus) {
  EXPECT_EXIT(
      {
        Datastore bad = open_file("bad.json");
        bad.set("key", 1);
        bad.save();
        bad.set("\xff", 1);
        open_file("good.json").set("key", 1);
        std::exit(7);
      },
      testing::ExitedWithCode(7), "bad.json");
  EXPECT_EQ(read_json(file("bad.json")), Value::parse(R"({"key": 1})"));
  EXPECT_EQ(read_json(file("good.json")), Value::parse(R"({"key": 1})"));
}

TEST_F(ExitDeathTest, CallsThatStillRunAtExitDoNotCrash) {
  EXPECT_EXIT(
      {
        Datastore store = open_file("busy.json");
        store.set("before", 1);
        std::atomic<int> busy{0};
        for (int thread = 0; thread < 4; ++thread) {
          store.set("key " + std::to_string(thread), 0);
          std::thread([store, thread, &busy]() mutable {
            const std::string key = "key " + std::to_string(thread);
            try {
              for (;;) {
                store.increment(key);
                store.push("queue", thread);
                store.shift_wait("queue", 1ms);
                store.visit(key, [](const Value&) {});
                store.for_each([](std::string_view, const Value&) {});
                store.expire(key, 1h);
                busy.fetch_add(1);
              }
            } catch (const Error& error) {
              if (error.code() != Errc::closed) std::abort();
            }
            std::this_thread::sleep_for(kLong);
          }).detach();
          std::thread([store]() mutable {
            try {
              store.shift_wait("nothing comes here", std::nullopt);
            } catch (const Error& error) {
              if (error.code() != Errc::closed) std::abort();
            }
            std::this_thread::sleep_for(kLong);
          }).detach();
        }
        if (!eventually([&] { return busy.load() > 100 && store.stats().waiters >= 4; })) std::abort();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
  const Value saved = read_json(file("busy.json"));
  EXPECT_EQ(saved["before"], Value(1));
  for (int thread = 0; thread < 4; ++thread) EXPECT_TRUE(saved["key " + std::to_string(thread)].is_int());
}

TEST_F(ExitDeathTest, ADamagedFileIsNotOverwrittenAtExit) {
  write_text(file("damaged.json"), "{\"key\": 1, ");
  EXPECT_EXIT(
      {
        try {
          open_file("damaged.json");
        } catch (const Error& error) {
          std::exit(error.code() == Errc::corrupt ? 3 : 4);
        }
        std::exit(5);
      },
      testing::ExitedWithCode(3), "");
  EXPECT_EQ(read_text(file("damaged.json")), "{\"key\": 1, ");
}

TEST_F(ExitDeathTest, ShutdownBeforeExitLeavesNothingToDo) {
  EXPECT_EXIT(
      {
        open_file("shut.json").set("key", 1);
        shutdown();
        std::filesystem::remove(file("shut.json"));
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_FALSE(std::filesystem::exists(file("shut.json")));
}

}  // namespace
}  // namespace cubby::contract
