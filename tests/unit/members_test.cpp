// SPDX-License-Identifier: Apache-2.0
#include "store/members.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace cubby::detail {
namespace {

using Model = std::map<std::string, Value>;

/// Names that begin alike, one in another, with zeros and the highest bytes in them, and none at all.
std::string member_name(unsigned number) {
  switch (number % 7) {
    case 0:
      return std::to_string(number);
    case 1:
      return "a common prefix of many bytes:" + std::to_string(number / 7);
    case 2:
      return std::string(number / 7 % 40, 'x');
    case 3:
      return std::string("\0\xff", 2) + std::to_string(number);
    case 4:
      return std::string(number / 7 % 40, '\0');
    case 5:
      return "a common prefix of many bytes, and another that is long:" + std::to_string(number) +
             " and an end that is the same";
    default:
      return "\xff\xfe" + std::to_string(number / 7);
  }
}

/// Of all kinds; many in a node, so that a lost reference is a leak.
Value member_value(unsigned number) {
  switch (number % 6) {
    case 0:
      return static_cast<int>(number);
    case 1:
      return "a value that needs a block of its own, number " + std::to_string(number);
    case 2:
      return number % 12 == 2 ? Value() : Value(0.1 * number);
    case 3:
      return Value::array({1, "a string that is long enough for a node", static_cast<int>(number)});
    case 4:
      return Value::object({{"nested", static_cast<int>(number)}, {"other", "medium text"}});
    default:
      return std::int64_t{1} << 60;
  }
}

Value object_of(const Model& model) { return Value::object(model); }

/// One key's members through its versions, with older ones kept as readers do.
class Versions {
 public:
  explicit Versions(std::size_t kept) : kept_(kept) {}
  ~Versions() {
    while (!old_.empty()) drop_oldest();
    newest_.destroy();
  }
  Versions(const Versions&) = delete;
  Versions& operator=(const Versions&) = delete;

  void start(const Model& model) {
    newest_ = Members::of(object_of(model));
    model_ = model;
  }
  const Members& members() const { return newest_; }
  Model& model() { return model_; }

  /// `edit(members, removed)` makes a version, or is given up.
  template <class Edit>
  void change(Edit&& edit) {
    auto old = std::make_unique<Old>();
    old->members = newest_;
    old->model = model_;
    Members next = newest_.successor();
    edit(next, old->removed);
    newest_ = next;
    old_.push_back(std::move(old));
    if (old_.size() > kept_) drop_oldest();
  }
  template <class Edit>
  void give_up(Edit&& edit) {
    Members next = newest_.successor();
    Removed removed;
    edit(next, removed);
    next.abandon();
    removed.forget();
  }

  static void expect_holds(const Members& members, const Model& model) {
    ASSERT_EQ(members.size(), model.size());
    auto expected = model.begin();
    members.walk(0, members.size(), [&](const Member& member) {
      EXPECT_EQ(member.name(), expected->first);
      EXPECT_EQ(member.value(), expected->second);
      return ++expected != model.end();
    });
    EXPECT_EQ(expected, model.end());
    const Value flat = members.flatten();
    EXPECT_EQ(flat, object_of(model));
    EXPECT_EQ(members.flat_size(), ValueAccess::node_size(flat));
  }
  void expect_right() const {
    expect_holds(newest_, model_);
    for (const auto& each : old_) expect_holds(each->members, each->model);
  }

 private:
  struct Old {
    Members members;
    Model model;
    Removed removed;  ///< what has left when the next one came
  };
  void drop_oldest() {
    old_.front()->removed.free_now();
    old_.pop_front();
  }

  const std::size_t kept_;
  Members newest_;
  Model model_;
  std::deque<std::unique_ptr<Old>> old_;
};

class MembersAtRandom : public ::testing::TestWithParam<unsigned> {};

TEST_P(MembersAtRandom, AreThoseOfAMap) {
  std::mt19937 random(GetParam());
  const unsigned names = GetParam();
  const auto draw = [&](unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(random); };
  Versions versions(3);
  for (int round = 0; round < 3000; ++round) {
    // Growing and shrinking in turn, so that nodes are split and joined.
    const bool grows = round / 500 % 2 == 0;
    const auto edit = [&](Members& members, Removed& removed, Model* model) {
      for (unsigned count = draw(4); count > 0; --count) {
        const std::string name = member_name(draw(names));
        if (draw(10) < (grows ? 8u : 3u)) {
          const Value value = member_value(draw(1000));
          const node::View view = ValueAccess::view(value);
          const std::uint64_t foreseen = members.flat_size_with(name, &view);
          const bool added = members.put(name, view, removed);
          EXPECT_EQ(members.flat_size(), foreseen);
          if (model != nullptr) {
            EXPECT_EQ(added, model->insert_or_assign(name, value).second);
          }
        } else {
          const bool erased = members.erase(name, removed);
          if (model != nullptr) {
            EXPECT_EQ(erased, model->erase(name) != 0);
          }
        }
      }
    };
    if (draw(5) == 0) versions.give_up([&](Members& members, Removed& removed) { edit(members, removed, nullptr); });
    versions.change([&](Members& members, Removed& removed) { edit(members, removed, &versions.model()); });
    const std::string asked = member_name(draw(names));
    const auto found = versions.model().find(asked);
    const Member* const member = versions.members().find(asked);
    ASSERT_EQ(member != nullptr, found != versions.model().end()) << asked;
    if (member != nullptr) {
      ASSERT_EQ(member->value(), found->second);
    }
    if (round % 50 == 0) {
      ASSERT_NO_FATAL_FAILURE(versions.expect_right()) << round;
    }
  }
  versions.expect_right();
}

INSTANTIATE_TEST_SUITE_P(Of, MembersAtRandom, ::testing::Values(3u, 40u, 300u, 5000u));

std::string counted_name(int number) { return "member:" + std::to_string(100000 + number); }

Model counted_model(int count) {
  Model model;
  for (int number = 0; number < count; ++number)
    model.emplace(counted_name(number), member_value(static_cast<unsigned>(number)));
  return model;
}

TEST(MembersInOrder, GrowAndShrinkFromBothEnds) {
  for (const bool grow_up : {false, true}) {
    for (const bool shrink_up : {false, true}) {
      constexpr int kMembers = 5000;
      Members members;
      Removed removed;
      for (int step = 0; step < kMembers; ++step) {
        const int number = grow_up ? step : kMembers - 1 - step;
        const Value value = number;
        EXPECT_TRUE(members.put(counted_name(number), ValueAccess::view(value), removed));
      }
      ASSERT_EQ(members.size(), std::size_t{kMembers});
      for (int step = 0; step < kMembers; ++step) {
        const int number = shrink_up ? step : kMembers - 1 - step;
        ASSERT_NE(members.find(counted_name(number)), nullptr) << number;
        EXPECT_TRUE(members.erase(counted_name(number), removed));
        ASSERT_EQ(members.find(counted_name(number)), nullptr) << number;
      }
      EXPECT_EQ(members.size(), 0u);
      EXPECT_EQ(members.bytes(), 0u) << "what is gone is counted";
      EXPECT_EQ(members.flatten(), Value::object({}));
      members.destroy();
    }
  }
}

TEST(MembersInOrder, WalkBeginsAnywhereAndEndsWhereItIsTold) {
  const Model model = counted_model(1000);
  Members members = Members::of(object_of(model));
  for (const std::size_t first : {0u, 1u, 30u, 31u, 500u, 999u, 1000u, 5000u}) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{100}, ~std::size_t{0}}) {
      std::size_t seen = 0;
      members.walk(first, count, [&](const Member& member) {
        EXPECT_EQ(member.name(), counted_name(static_cast<int>(first + seen)));
        ++seen;
        return true;
      });
      EXPECT_EQ(seen, first >= 1000 ? 0 : std::min<std::size_t>(count, 1000 - first)) << first << ' ' << count;
    }
  }
  int calls = 0;
  members.walk(10, 100, [&](const Member&) { return ++calls < 7; });
  EXPECT_EQ(calls, 7);
  members.destroy();
}

TEST(MembersMerge, IsThatOfObjects) {
  Versions versions(2);
  versions.start(counted_model(200));
  const Value patches[] = {
      Value::object({}),
      Value::object({{"member:100004", Value::parse(R"({"nested": null, "more": {"a": 1, "b": null}})")},
                     {"member:100003", nullptr},
                     {"absent", nullptr},
                     {"new", Value::parse(R"({"a": {"b": null}})")},
                     {"member:100001", 7}}),
      Value::object({{"new", 1}, {"other", "text that is long enough for a node"}}),
  };
  for (const Value& patch : patches) {
    const Value before = versions.members().flatten();
    const Value expected = merge_patch(before, patch);
    const std::uint64_t foreseen = versions.members().flat_size_with(patch);
    MembersChanged changed;
    versions.change([&](Members& members, Removed& removed) { changed = members.merge(patch, removed); });
    EXPECT_EQ(versions.members().flatten(), expected);
    EXPECT_EQ(versions.members().flat_size(), foreseen);
    EXPECT_EQ(changed.size, expected.size());
    EXPECT_EQ(before.size() + changed.added - changed.removed, expected.size());
  }
  EXPECT_EQ(versions.members().find("member:100003"), nullptr);
}

TEST(MembersValues, OutliveTheTree) {
  Members members = Members::of(object_of(counted_model(300)));
  std::vector<Value> taken;
  members.walk(0, 300, [&](const Member& member) {
    taken.push_back(member.value());
    return true;
  });
  Members next = members.successor();
  Removed removed;
  for (int number = 0; number < 300; number += 2) next.erase(counted_name(number), removed);
  removed.free_now();
  next.destroy();
  for (unsigned number = 0; number < 300; ++number) EXPECT_EQ(taken[number], member_value(number));
}

TEST(MembersBytes, CountWhatIsThere) {
  Members members = Members::of(object_of(counted_model(1000)));
  const std::size_t before = members.bytes();
  EXPECT_GT(before, members.flat_size());
  Members next = members.successor();
  Removed removed;
  const Value value = "a value that needs a block of its own";
  next.put("new", ValueAccess::view(value), removed);
  EXPECT_GT(next.bytes(), before);
  next.erase("new", removed);
  EXPECT_EQ(next.bytes(), before);
  removed.free_now();
  next.destroy();
  EXPECT_EQ(next.bytes(), 0u);
}

}  // namespace
}  // namespace cubby::detail
