// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/allocator.hpp"
#include "server/resp_text.hpp"
#include "server/test_client.hpp"

/// No command leaves a second copy of a list behind: it would be memory that nothing counts.

namespace cubby::server {

namespace {

class ListCopies : public ::testing::Test {
 protected:
  void SetUp() override {
    for (std::size_t index = 0; index < kElements; ++index) client->command({"RPUSH", "l", element(index)});
    before = in_use();
    if (before == 0) GTEST_SKIP() << "every block comes from malloc";
  }
  static std::string element(std::size_t index) { return std::to_string(index) + std::string(1000, 'x'); }
  static std::size_t in_use() {
    detail::flush_thread_cache();
    return detail::allocator_stats().in_use;
  }
  void expect_no_copy(const std::string& what) {
    EXPECT_LT(in_use(), before + kElements * 1000 / 2) << what;
    before = in_use();
  }

  static constexpr std::size_t kElements = 5000;
  testing::TestServer server;
  const std::shared_ptr<testing::TestClient> client = server.connect();
  std::size_t before = 0;
};

TEST_F(ListCopies, NotByReadingIt) {
  for (const std::string line : {"LRANGE l 0 -1", "LRANGE l 0 4999", "LRANGE l -5000 -1", "LPOS l none", "LPOS l none RANK -1",
                                 "LINSERT l BEFORE none x", "LREM l 0 none", "LREM l -1 none"}) {
    EXPECT_FALSE(client->line(line).starts_with('-')) << line;
    expect_no_copy(line);
  }
}

TEST_F(ListCopies, NotByTakingItForAString) {
  for (const std::string line : {"GET l", "GETEX l", "GETEX l PERSIST", "GETDEL l", "GETSET l x", "SET l x GET", "STRLEN l",
                                 "GETRANGE l 0 1", "APPEND l x", "SETRANGE l 0 x", "INCR l", "DECRBY l 1", "INCRBYFLOAT l 1"}) {
    EXPECT_EQ(client->line(line), kWrongTypeText) << line;
    expect_no_copy(line);
  }
  EXPECT_EQ(client->command({"SETRANGE", "l", "0", ""}), kWrongTypeText);
  expect_no_copy("SETRANGE of nothing");
  client->line("SET s 1");
  const std::string values = array_text({bulk_text("1"), kNullText, kNullText, bulk_text("1")});
  EXPECT_EQ(client->line("MGET s l none s"), values);
  expect_no_copy("MGET");
  client->line("MULTI");
  client->line("MGET s l none s");
  EXPECT_EQ(client->line("EXEC"), array_text({values}));
  expect_no_copy("MGET in a transaction");
}

TEST_F(ListCopies, AndAllOfItIsReadAllTheSame) {
  std::string all = "*" + std::to_string(kElements) + "\r\n";
  for (std::size_t index = 0; index < kElements; ++index) all += bulk_text(element(index));
  EXPECT_EQ(client->line("LRANGE l 0 -1"), all);
  EXPECT_EQ(client->line("LRANGE l -9999 9999"), all);
  for (const std::size_t index : {0U, 63U, 64U, 191U, 192U, 2500U, 4999U}) {
    const auto place = static_cast<long long>(index);
    EXPECT_EQ(client->command({"LPOS", "l", element(index)}), integer_text(place));
    EXPECT_EQ(client->command({"LPOS", "l", element(index), "RANK", "-1"}), integer_text(place));
    EXPECT_EQ(client->command({"LPOS", "l", element(index), "RANK", "-1", "MAXLEN", std::to_string(kElements - index)}),
              integer_text(place));
    EXPECT_EQ(client->command({"LPOS", "l", element(index), "RANK", "-1", "MAXLEN", std::to_string(kElements - index - 1)}),
              index == kElements - 1 ? integer_text(place) : kNullText);
  }
}

TEST_F(ListCopies, ManyKeysAreReadInStretches) {
  std::vector<std::string> words{"MGET"};
  std::string values = "*200\r\n";
  for (int index = 0; index < 200; ++index) {
    const std::string key = index % 7 == 0 ? "l" : "k" + std::to_string(index);
    if (index % 7 != 0 && index % 5 != 0) client->command({"SET", key, std::to_string(index)});
    words.push_back(key);
    values += index % 7 != 0 && index % 5 != 0 ? bulk_text(std::to_string(index)) : kNullText;
  }
  EXPECT_EQ(client->command(words), values);
}

}  // namespace

}  // namespace cubby::server
