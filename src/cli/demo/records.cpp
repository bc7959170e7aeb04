// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/records.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <cubby/error.hpp>
#include <fstream>
#include <iterator>
#include <unordered_set>

#include "cli/demo/random.hpp"
#include "cli/exit_codes.hpp"

namespace cubby::cli {

namespace {

std::string read_file(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) text.assign(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad() || (text.empty() && errno != 0)) {
    const std::string reason = errno != 0 ? std::strerror(errno) : "it can't be read";
    if (path == kDefaultRecords) {
      throw StoreError(
          fmt::format("{}: {}. It belongs to the package iso-codes: install that (apt install iso-codes), or name "
                      "another JSON array of objects with --data",
                      path, reason));
    }
    throw StoreError(fmt::format("--data {}: {}", path, reason));
  }
  return text;
}

bool is_record_array(const Value& value) {
  if (!value.is_array() || value.size() == 0) return false;
  for (const Value& element : value.elements()) {
    if (!element.is_object()) return false;
  }
  return true;
}

Value find_records(const Value& document, const std::string& path) {
  constexpr const char* kWanted = "a JSON array of objects, or an object with one such array in it, is needed";
  if (is_record_array(document)) return document;
  if (!document.is_object()) throw UsageError(fmt::format("--data {} holds no records: {}", path, kWanted));
  std::optional<Value> found;
  for (const auto& [name, member] : document.members()) {
    if (!is_record_array(member)) continue;
    if (found) throw UsageError(fmt::format("--data {} holds more than one array of objects: {}", path, kWanted));
    found = member;
  }
  if (!found) throw UsageError(fmt::format("--data {} holds no records: {}", path, kWanted));
  return *found;
}

/// The first of these members that is a string with something in it; else `otherwise`.
std::string text_member(const Value& record, std::initializer_list<const char*> names, const std::string& otherwise) {
  for (const char* name : names) {
    const Value member = record[name];
    if (member.is_string() && member.size() > 0) return std::string(member.as_string());
  }
  return otherwise;
}

}  // namespace

std::vector<Session> sessions_from(const std::string& path) {
  Value document;
  try {
    document = Value::parse(read_file(path));
  } catch (const Error& error) {
    throw UsageError(fmt::format("--data {} is not JSON, at byte {}: {}", path, error.offset(), error.what()));
  }

  std::vector<Session> sessions;
  std::unordered_set<std::string> ids;
  Random random(0x5e5510);
  for (const Value& record : find_records(document, path).elements()) {
    const std::size_t number = sessions.size() + 1;
    std::string id = text_member(record, {"code", "id", "alpha_3", "alpha_2", "key", "name"}, std::to_string(number));
    if (!ids.insert(id).second) ids.insert(id += fmt::format("#{}", number));
    const std::string name = text_member(record, {"name", "title", "label"}, id);
    const std::string region = text_member(record, {"parent", "region", "country"}, id.substr(0, id.find('-')));
    sessions.push_back({"session:" + id, "unread:" + id,
                        Value::object({{"user", static_cast<std::int64_t>(number)},
                                       {"name", name},
                                       {"room", text_member(record, {"type", "room", "group"}, "lobby")},
                                       {"region", region},
                                       {"unread", 0},
                                       {"seen", 0},
                                       {"status", "online"},
                                       {"token", fmt::format("{:016x}{:016x}", random(), random())}})});
  }
  return sessions;
}

}  // namespace cubby::cli
