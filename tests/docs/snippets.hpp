// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the code in the documentation takes as given.

#undef NDEBUG  // its assert()s are the test
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <chrono>
#include <cubby/cubby.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

using namespace std::chrono_literals;
using cubby::Value;

/// Each snippet begins in an empty folder, with no store open.
class Docs : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "cubby_docs_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    std::filesystem::current_path(folder_);
  }
  void TearDown() override {
    cubby::shutdown();
    std::filesystem::current_path(folder_.parent_path());
    std::filesystem::remove_all(folder_);
  }

 private:
  std::filesystem::path folder_;
};
