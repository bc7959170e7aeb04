// SPDX-License-Identifier: Apache-2.0

// Transaction has the operations of Datastore: the same script, run on a store call by call, in one transaction, and in one
// transaction of a durable store that is opened again, leaves the same.

#include <random>
#include <sstream>

#include "support.hpp"

namespace cubby::contract {
namespace {

using TransactOperations = ContractTest;

const std::vector<std::string> kKeys{"a", "b", "c", "d"};

std::string shown(const std::optional<Value>& value) { return value ? value->to_json() : "-"; }

std::string shown(const MembersChanged& changed) {
  return std::to_string(changed.added) + '+' + std::to_string(changed.removed) + '-' + std::to_string(changed.size);
}

/// Large enough that it is kept otherwise once members are changed.
Value large_object(int number) {
  std::vector<std::pair<std::string, Value>> members;
  for (int index = 0; index < 60 + number % 20; ++index) members.emplace_back("m" + std::to_string(index), index);
  return Value::object(members);
}

/// One random operation on `on`, a Datastore or a Transaction: what it returned or threw, as text.
template <class On>
std::string random_operation(On& on, std::mt19937& random) {
  const std::string& key = kKeys[random() % kKeys.size()];
  const std::string& other = kKeys[random() % kKeys.size()];
  const int number = static_cast<int>(random() % 100);
  const auto hour = std::chrono::hours(1 + random() % 3);
  const auto has_deadline = [&] { return on.ttl(key).has_value() ? "timed" : "untimed"; };
  std::ostringstream out;
  const auto operation = static_cast<int>(random() % 42);
  out << operation << ' ' << key << ' ';
  try {
    switch (operation) {
      case 0:
        on.set(key, number);
        break;
      case 1:
        on.set(key, Value::array({number, "x"}), hour);
        break;
      case 2:
        on.set(key, Value::object({{"n", number}}), std::nullopt);
        break;
      case 3:
        out << on.set_once(key, number);
        break;
      case 4:
        out << on.set_once(key, number, hour);
        break;
      case 5:
        out << shown(on.swap(key, std::string(40, 's')));
        break;
      case 6:
        out << on.increment(key, number).to_json();
        break;
      case 7:
        out << on.decrement(key, number).to_json();
        break;
      case 8:
      case 9:
        out << on.push(key, number);
        break;
      case 10:
      case 11:
        out << on.unshift(key, std::string(30, 'u') + std::to_string(number));
        break;
      case 12:
      case 13:
        out << shown(on.shift(key));
        break;
      case 14:
      case 15:
        out << shown(on.pop(key));
        break;
      case 16:
        on.rename(key, other);
        break;
      case 17:
        out << on.erase(key);
        break;
      case 18:
        out << shown(on.take(key));
        break;
      case 19:
        on.expire(key, hour);
        break;
      case 20:
        on.expire_at(key, std::chrono::system_clock::now() + hour);
        break;
      case 21:
        out << on.remove_expiry(key);
        break;
      case 22:
        out << on.update(key, Value::object({{"m", number}})).to_json();
        break;
      case 23: {
        const auto f = [&](const std::optional<Value>& old) { return old ? std::optional<Value>() : Value(number); };
        out << shown(on.modify(key, f));
        break;
      }
      case 24:
        out << has_deadline() << ' ' << on.deadline(key).has_value() << ' ' << on.exists(key);
        break;
      case 25:
        on.expire(key, -hour);
        break;
      case 26:
      case 27:
        out << shown(on.shift(key, WhenEmptied::erase));
        break;
      case 28:
      case 29:
        out << shown(on.pop(key, WhenEmptied::erase));
        break;
      case 30:
        out << static_cast<int>(on.type(key).value_or(Type::null)) << ' ' << on.length(key).value_or(0);
        break;
      case 31:
      case 32:
        on.set(key, large_object(number));
        break;
      case 33:
      case 34:
        out << shown(on.change_members(key, Value::object({{"m" + std::to_string(number), nullptr},
                                                           {"m" + std::to_string(number / 2), Value::object({{"x", number}})},
                                                           {"n", std::string(20, 'n')}})));
        break;
      case 35: {
        std::vector<std::pair<std::string, Value>> nulls{{"n", nullptr}, {"m", nullptr}};
        // Nearly all, so that it becomes small or goes.
        for (int index = number % 3 == 0 ? 0 : number / 3; index < 100; ++index)
          nulls.emplace_back("m" + std::to_string(index), nullptr);
        out << shown(on.change_members(key, Value::object(nulls), number % 2 == 0 ? WhenEmptied::erase : WhenEmptied::keep));
        break;
      }
      case 36:
      case 37: {
        const Value values[] = {nullptr, number, Value::object({{"x", nullptr}}), Value::array({nullptr})};
        out << shown(on.modify_member(key, "m" + std::to_string(number / 3), [&](const std::optional<Value>& old) {
          out << shown(old) << ' ';
          return number % 5 == 4 ? std::optional<Value>() : values[number % 4];
        }));
        break;
      }
      case 38:
        out << shown(on.member(key, "m" + std::to_string(number)));
        break;
      case 39: {
        const auto size =
            on.visit_members(key, static_cast<std::size_t>(number), 3,
                             [&](std::string_view name, const Value& value) { out << name << ':' << value << ' '; });
        out << size.value_or(9999);
        break;
      }
      case 40: {
        const auto found = on.visit_members(
            key, {"m1", "m", "m2"}, [&](std::size_t index, const Value& value) { out << index << ':' << value << ' '; });
        out << found.value_or(9999);
        break;
      }
      default:
        out << on.slice(key, static_cast<std::size_t>(number % 4), 3).to_json();
        break;
    }
  } catch (const Error& error) {
    out << error.code().message();
  }
  std::optional<Value> visited;
  const bool there = on.visit(key, [&visited](const Value& value) { visited = value; });
  out << " -> " << shown(on.get(key)) << ' ' << there << ' ' << shown(visited) << ' ' << has_deadline() << '\n';
  return out.str();
}

std::string contents(const Datastore& store) {
  std::ostringstream out;
  for (const std::string& key : kKeys) {
    out << key << ' ' << shown(store.get(key)) << ' ';
    if (const auto ttl = store.ttl(key)) out << std::chrono::round<std::chrono::minutes>(*ttl).count();
    out << '\n';
  }
  return out.str();
}

TEST_F(TransactOperations, AreThoseOfTheStore) {
  TemporaryFolder folder;
  for (unsigned seed = 0; seed < 40; ++seed) {
    Options options;
    options.directory = folder.path() / std::to_string(seed);
    const std::string durable_name = fresh_store_name();
    Datastore durable = open(durable_name, options);
    db_.clear();
    const std::string reference_name = fresh_store_name();
    Datastore one_by_one = open(reference_name);
    std::mt19937 random(seed);
    for (int step = 0; step < 30; ++step) {
      // What was there before comes from single operations too, so that queues and values are met.
      std::string expected, in_memory, in_durable;
      const int length = 1 + static_cast<int>(random() % 6);
      std::mt19937 script = random;
      for (int index = 0; index < length; ++index) expected += random_operation(one_by_one, script);
      const auto run = [&](Datastore& store, std::string& result) {
        std::mt19937 again = random;
        store.transact(kKeys, [&](Transaction& transaction) {
          for (int index = 0; index < length; ++index) result += random_operation(transaction, again);
        });
      };
      run(db_, in_memory);
      run(durable, in_durable);
      random = script;
      ASSERT_EQ(in_memory, expected) << "seed " << seed;
      ASSERT_EQ(in_durable, expected) << "seed " << seed;
      ASSERT_EQ(contents(db_), contents(one_by_one)) << "seed " << seed << "\n" << expected;
    }
    // From the log, not from the checkpoint that close() leaves.
    Options reading;
    reading.directory = folder.path() / "copy";
    reading.read_only = true;
    std::filesystem::copy(options.directory, reading.directory, std::filesystem::copy_options::recursive);
    close(durable_name);
    EXPECT_EQ(contents(open(durable_name, reading)), contents(db_)) << "seed " << seed;
    close(durable_name);
    close(reference_name);
    std::filesystem::remove_all(reading.directory);
  }
}

TEST_F(TransactOperations, RenameOntoAKeyThatWasErasedInTheTransaction) {
  db_.push("from", 1);
  db_.push("from", 2);
  db_.set("to", "old", 1h);
  db_.transact({"from", "to"}, [](Transaction& t) {
    EXPECT_TRUE(throws(Errc::key_exists, {"to"}, [&] { t.rename("from", "to"); }));
    EXPECT_TRUE(throws(Errc::key_exists, {"from"}, [&] { t.rename("from", "from"); }));
    t.erase("to");
    t.rename("from", "to");
    EXPECT_TRUE(throws(Errc::key_not_found, {"from"}, [&] { t.rename("from", "from"); }));
    EXPECT_EQ(t.get("to"), integers(1, 2));
  });
  EXPECT_FALSE(db_.exists("from"));
  EXPECT_EQ(db_.get("to"), integers(1, 2));
  EXPECT_EQ(db_.ttl("to"), std::nullopt);
  EXPECT_EQ(db_.push("to", 3), 3u);
  db_.transact({"from", "to"}, [](Transaction& t) {
    t.rename("to", "from");
    t.set("to", "new");
    EXPECT_EQ(t.push("from", 4), 4u);
  });
  EXPECT_EQ(db_.get("from"), integers(1, 4));
  EXPECT_EQ(db_.get("to"), Value("new"));
}

TEST_F(TransactOperations, NoExpireIsLostToADeadlineThatWasRead) {
  // As EXPIREAT GT does it: the later of two deadlines wins, whoever comes first.
  for (int round = 0; round < 300; ++round) {
    db_.set("key", 1, 1h);
    run_threads(2, [&](int thread) {
      if (thread == 0) {
        db_.expire("key", 3h);
      } else {
        db_.transact({"key"}, [](Transaction& t) {
          if (t.ttl("key") < 2h) t.expire("key", 2h);
        });
      }
    });
    ASSERT_GT(db_.ttl("key"), 150min);
  }
}

TEST_F(TransactOperations, AReadDeadlineIsFreeAgainAfterwards) {
  db_.set("key", 1, 1h);
  db_.transact({"key"}, [](Transaction& t) { EXPECT_TRUE(t.deadline("key").has_value()); });
  db_.expire("key", 2h);
  EXPECT_GT(db_.ttl("key"), 90min);
  EXPECT_THROW(db_.transact({"key"},
                            [](Transaction& t) {
                              t.ttl("key");
                              t.set("key", 2);
                              throw std::runtime_error("function");
                            }),
               std::runtime_error);
  db_.expire("key", 3h);
  EXPECT_GT(db_.ttl("key"), 150min);
}

using Moments = ContractTest;

TEST_F(Moments, ADeadlineReadsBackToTheMillisecond) {
  for (int round = 0; round < 100; ++round) {
    const auto moment = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()) +
                        std::chrono::milliseconds(3'600'000 + round * 977);
    db_.set("a", 1, moment);
    db_.set_once("b" + std::to_string(round), 1, moment);
    db_.set("c", 1, std::nullopt);
    db_.expire_at("c", moment);
    db_.transact({"d"}, [&](Transaction& t) {
      t.set("d", 1, moment);
      EXPECT_EQ(t.deadline("d"), moment);
    });
    const std::string keys[] = {"a", "b" + std::to_string(round), "c", "d"};
    for (const std::string& key : keys) {
      EXPECT_EQ(db_.deadline(key), moment) << key;
    }
  }
}

TEST_F(Moments, APastOneRemovesTheKey) {
  const auto past = std::chrono::system_clock::now() - 1ms;
  db_.set("a", 1);
  db_.expire_at("a", past);
  db_.set("b", 1);
  db_.set("b", 2, past);
  EXPECT_TRUE(db_.set_once("c", 1, past));
  EXPECT_EQ(db_.size(), 0u);
  EXPECT_TRUE(throws(Errc::key_not_found, {"a", "expire_at"}, [&] { db_.expire_at("a", past); }));
  EXPECT_EQ(db_.deadline("a"), std::nullopt);
  db_.set("a", 1, TimePoint::max());
  EXPECT_GT(db_.deadline("a"), std::chrono::system_clock::now());
  db_.set("a", 1, std::nullopt);
  EXPECT_EQ(db_.deadline("a"), std::nullopt);
  EXPECT_EQ(db_.ttl("a"), std::nullopt);
}

}  // namespace
}  // namespace cubby::contract
