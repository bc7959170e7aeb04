// SPDX-License-Identifier: Apache-2.0
#include "durable.hpp"

namespace bench {
namespace {

constexpr std::size_t kSessionBytes = 200;

/// As make_session(), its token so long that the text of the whole has kSessionBytes.
Session make_padded(std::size_t i, int version) {
  static constexpr char kDigits[] = "0123456789abcdef";
  Session session = make_session(i, version);
  Random random(2 * i + static_cast<std::size_t>(version) + 1'000'000'007);
  for (std::size_t size = make_json(session).size(); size < kSessionBytes; ++size) session.token += kDigits[random() >> 60];
  return session;
}

}  // namespace

DurableData::DurableData(std::size_t size) {
  keys_.reserve(size);
  for (std::size_t i = 0; i < size; ++i) keys_.push_back(make_key(i));
  for (const int version : {0, 1}) {
    for (std::size_t i = 0; i < kPool; ++i) {
      const Session session = make_padded(i, version);
      values_[version].push_back(make_value(session));
      texts_[version].push_back(make_json(session));
    }
  }
}

cubby::Value DurableData::make(std::size_t i) { return make_value(make_padded(i, 0)); }

std::string DurableData::make_text(std::size_t i) { return make_json(make_padded(i, 0)); }

}  // namespace bench
