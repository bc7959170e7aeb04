// SPDX-License-Identifier: Apache-2.0
#include "dataset.hpp"

#include <cmath>
#include <memory>

namespace bench {
namespace {

/// YCSB's generator (Gray et al., "Quickly Generating Billion-Record Synthetic Databases").
std::vector<std::uint32_t> draw_zipfian(std::size_t items) {
  constexpr double kTheta = 0.99;
  constexpr std::size_t kDraws = std::size_t{1} << 20;
  const auto n = static_cast<double>(items);
  double zeta = 0;
  for (std::size_t i = 1; i <= items; ++i) zeta += 1.0 / std::pow(static_cast<double>(i), kTheta);
  const double zeta_two = 1.0 + std::pow(0.5, kTheta);
  const double alpha = 1.0 / (1.0 - kTheta);
  const double eta = (1.0 - std::pow(2.0 / n, 1.0 - kTheta)) / (1.0 - zeta_two / zeta);
  Random random(99);
  std::vector<std::uint32_t> draws(kDraws);
  for (std::uint32_t& draw : draws) {
    const double u = static_cast<double>(random() >> 11) * 0x1.0p-53;
    const double uz = u * zeta;
    if (uz < 1.0) {
      draw = 0;
    } else if (uz < zeta_two) {
      draw = 1;
    } else {
      const double rank = n * std::pow(eta * u - eta + 1.0, alpha);
      draw = static_cast<std::uint32_t>(std::min(rank, n - 1.0));
    }
  }
  return draws;
}

}  // namespace

std::string make_key(std::size_t i) { return "session:" + std::to_string(i); }

Session make_session(std::size_t i, int version) {
  static constexpr char kDigits[] = "0123456789abcdef";
  Random random(2 * i + static_cast<std::size_t>(version));
  std::string token(32, '0');
  for (char& c : token) c = kDigits[random() >> 60];
  return {"user" + std::to_string(i),
          "Ada Lovelace " + std::to_string(i % 97),
          "room-" + std::to_string(i % 311),
          static_cast<std::int64_t>(i % 50) + version,
          1'700'000'000 + static_cast<std::int64_t>(i % 86'400),
          std::move(token)};
}

cubby::Value make_value(const Session& session) {
  return cubby::Value::object({{"user", session.user},
                               {"name", session.name},
                               {"room", session.room},
                               {"unread", session.unread},
                               {"seen", session.seen},
                               {"token", session.token}});
}

Tree make_tree(const Session& session) {
  Tree::Object members;
  members["user"] = Tree{session.user};
  members["name"] = Tree{session.name};
  members["room"] = Tree{session.room};
  members["unread"] = Tree{session.unread};
  members["seen"] = Tree{session.seen};
  members["token"] = Tree{session.token};
  return Tree{std::move(members)};
}

std::string make_json(const Session& session) {
  return R"({"user":")" + session.user + R"(","name":")" + session.name + R"(","room":")" + session.room + R"(","unread":)" +
         std::to_string(session.unread) + R"(,"seen":)" + std::to_string(session.seen) + R"(,"token":")" + session.token +
         "\"}";
}

Dataset::Dataset(std::size_t size, std::size_t extra_keys) : size_(size) {
  keys_.reserve(size + extra_keys);
  for (std::size_t i = 0; i < size + extra_keys; ++i) keys_.push_back(make_key(i));
}

const std::vector<SessionPointer>& Dataset::sessions(int version) {
  std::vector<SessionPointer>& sessions = sessions_[version];
  if (sessions.empty()) {
    sessions.reserve(size_);
    for (std::size_t i = 0; i < size_; ++i) sessions.push_back(std::make_shared<const Session>(make_session(i, version)));
  }
  return sessions;
}

const std::vector<cubby::Value>& Dataset::values(int version) {
  std::vector<cubby::Value>& values = values_[version];
  if (values.empty()) {
    values.reserve(size_);
    for (std::size_t i = 0; i < size_; ++i) values.push_back(make_value(make_session(i, version)));
  }
  return values;
}

const std::vector<Tree>& Dataset::trees() {
  if (trees_.empty()) {
    trees_.reserve(kTrees);
    for (std::size_t i = 0; i < kTrees; ++i) trees_.push_back(make_tree(make_session(i, 1)));
  }
  return trees_;
}

const std::vector<std::uint32_t>& Dataset::zipfian_ranks() {
  if (ranks_.empty()) ranks_ = draw_zipfian(size_);
  return ranks_;
}

const std::vector<std::uint32_t>& Dataset::scrambled_zipfian() {
  if (scrambled_.empty()) {
    scrambled_ = zipfian_ranks();
    // A rank's key number is a hash of it, as in YCSB: popular keys aren't neighbours.
    for (std::uint32_t& number : scrambled_) {
      number = static_cast<std::uint32_t>(XXH3_64bits(&number, sizeof number) % size_);
    }
  }
  return scrambled_;
}

}  // namespace bench
