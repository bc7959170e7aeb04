// SPDX-License-Identifier: Apache-2.0
#include "recovered.hpp"

#include "operation.hpp"

namespace cubby_crash {

Recovered read_all(const cubby::Datastore& store) {
  Recovered recovered;
  store.for_each([&](std::string_view key, const cubby::Value& value) {
    if (!recovered.emplace(key, Found{value, std::nullopt}).second)
      fail(std::string(key), "seen once", "seen twice by for_each");
  });
  if (store.size() != recovered.size()) fail("(all)", std::to_string(recovered.size()) + " keys", std::to_string(store.size()));
  for (auto& [key, found] : recovered) {
    const std::optional<cubby::Value> got = store.get(key);
    if (!got || !same(*got, found.value)) fail(key, to_text(found.value), got ? to_text(*got) : "absent for get");
    if (const auto left = store.ttl(key)) found.deadline = wall_clock() + left->count();
  }
  return recovered;
}

std::int64_t extract_integer(Recovered& recovered, const std::string& key, std::optional<std::int64_t> absent) {
  const std::optional<Found> found = extract(recovered, key);
  if (!found && absent) return *absent;
  if (!found) fail(key, "an integer", "absent");
  if (!found->value.is_int()) fail(key, "an integer", to_text(found->value));
  if (found->deadline) fail(key, "no deadline", "one");
  return found->value.as_int();
}

}  // namespace cubby_crash
