// SPDX-License-Identifier: Apache-2.0

// JSON.*, with the replies and errors of RedisJSON 2.6, on any value. What differs: an object's members come in the order of
// their names; arguments that are too many, or an index that is no number, are errors instead of being overlooked; of matches
// that lie in one another JSON.SET replaces the outermost.

#include <algorithm>
#include <cmath>
#include <cubby/error.hpp>
#include <limits>
#include <string>
#include <utility>

#include "server/arguments.hpp"
#include "server/command.hpp"
#include "server/json_path.hpp"
#include "server/json_text.hpp"
#include "server/lookup.hpp"
#include "value/access.hpp"

namespace cubby::server {

namespace {

using Document = std::optional<Value>;

Value json_argument(std::string_view text) {
  try {
    return Value::parse(text);
  } catch (const Error& error) {
    if (error.code() != Errc::parse) throw;
    throw CommandError(std::string("ERR ") + error.what());
  }
}

[[noreturn]] void fail_no_document() { throw CommandError("ERR could not perform this operation on a key that doesn't exist"); }

[[noreturn]] void fail_path(const std::string& path, std::string_view or_what) {
  throw CommandError("ERR Path '" + path + "' does not exist or " + std::string(or_what));
}

void check_json_count(Arguments arguments, std::size_t most) {
  if (arguments.size() > most) {
    std::string name(arguments[0]);
    std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    fail_arguments(name);
  }
}

/// The path argument that many commands may go without.
JsonPath path_argument(const Call& call, std::size_t index) { return JsonPath(call.count() > index ? call[index] : "."); }

/// Lets `f(Document&)` change the value, at one instant. If it returns false, nothing is written: watchers of the key see none.
template <class F>
bool change_document(Call& call, F&& f) {
  struct Unchanged {};
  try {
    call.keys.modify(call[1], [&](Document document) -> Document {
      if (!f(document)) throw Unchanged();
      return document;
    });
    return true;
  } catch (const Unchanged&) {
    return false;
  }
}

/// Calls `f(const Value&)` with the value; false if there is none. Counts a hit or a miss.
template <class F>
bool look_at_document(Call& call, F&& f) {
  const bool found = call.keys.visit(call[1], f);
  count_lookup(call, found);
  return found;
}

/// Whether a path leads to several places, each of which is to get these bytes: none may make a value without bounds of them.
void check_json_growth(Call& call, std::size_t matches, std::size_t bytes) {
  if (matches < 2) return;
  const std::size_t most = call.server.settings().proto_max_bulk_len;
  if (bytes > most / matches) throw CommandError("ERR the value would grow by more than proto-max-bulk-len");
}

// --- JSON.GET

/// Each stands in the text for every value of it, and once for each level.
std::string_view layout_argument(std::string_view argument, std::string_view option) {
  constexpr std::size_t kLongest = 1024;
  if (argument.size() <= kLongest) return argument;
  throw CommandError("ERR " + std::string(option) + " is longer than " + std::to_string(kLongest) + " bytes");
}

void json_get(Call& call) {
  JsonLayout layout;
  std::vector<JsonPath> paths;
  for (std::size_t index = 2; index < call.count(); ++index) {
    const auto option = [&](std::string_view word) {
      if (!is_word(call[index], word)) return false;
      if (++index == call.count()) fail_arguments("json.get");
      return true;
    };
    if (is_word(call[index], "NOESCAPE")) continue;  // of RedisJSON 1; it means nothing today
    if (option("INDENT")) {
      layout.indent = layout_argument(call[index], "INDENT");
    } else if (option("NEWLINE")) {
      layout.newline = layout_argument(call[index], "NEWLINE");
    } else if (option("SPACE")) {
      layout.space = layout_argument(call[index], "SPACE");
    } else if (option("FORMAT")) {
      if (call.reply.protocol() == 2) throw CommandError("ERR FORMAT argument is not supported on RESP2");
      if (call[index] != "STRING") throw CommandError("ERR wrong reply format");
    } else {
      paths.emplace_back(call[index]);
    }
  }
  if (paths.empty()) paths.emplace_back(".");
  const std::size_t limit = call.server.settings().output_limit;
  const std::size_t most_bytes = limit == 0 ? std::numeric_limits<std::size_t>::max() : limit;
  const bool found =
      look_at_document(call, [&](const Value& document) { call.reply.bulk(json_text(document, paths, layout, most_bytes)); });
  if (!found) call.reply.null();
}

// --- JSON.SET, JSON.MERGE, JSON.DEL

Value with_member(const Value& object, std::string_view name, const Value& value) {
  std::vector<std::pair<std::string_view, Value>> members;
  members.reserve(object.size() + 1);
  for (const auto& [other, member] : object.members()) members.emplace_back(other, member);
  members.emplace_back(name, value);
  return Value::object(members);
}

/// Adds the member that the path ends with, if the object for it is there and has none of that name.
bool add_at(const JsonPath& path, Document& document, const Value& value) {
  if (!path.is_definite()) throw CommandError("Err wrong static path");
  const JsonPath::Step& last = path.steps().back();
  if (last.kind == JsonPath::Kind::element) {
    if (path.find(*document, 1).empty()) throw CommandError("ERR array index out of range");
    return false;
  }
  const JsonPath outer = path.parent();
  const JsonMatches parents(outer, *document);
  if (parents.size() == 0) return false;
  const Value& parent = parents.values().front();
  if (!parent.is_object() || parent.contains(last.name)) return false;
  document = parents.replaced(JsonMatches::Nested::outermost, [&](std::size_t, const Value& object) -> Document {
    return with_member(object, last.name, value);
  });
  return true;
}

void json_set(Call& call) {
  bool only_new = false;
  bool only_there = false;
  for (std::size_t index = 4; index < call.count(); ++index) {
    if (only_new || only_there) fail_syntax();
    only_new = is_word(call[index], "NX");
    only_there = is_word(call[index], "XX");
    if (!only_new && !only_there) fail_syntax();
  }
  const Value value = json_argument(call[3]);
  const JsonPath path(call[2]);
  const bool changed = change_document(call, [&](Document& document) {
    if (!document) {
      if (only_there) return false;
      if (!path.is_root()) throw CommandError("ERR new objects must be created at the root");
      document = value;
      return true;
    }
    if (path.is_root()) {
      if (only_new) return false;
      document = value;
      return true;
    }
    if (!only_new) {
      const JsonMatches matches(path, *document);
      if (matches.size() != 0) {
        check_json_growth(call, matches.size(), detail::ValueAccess::stored_size(value));
        document =
            matches.replaced(JsonMatches::Nested::outermost, [&](std::size_t, const Value&) -> Document { return value; });
        return true;
      }
    }
    return !only_there && add_at(path, document, value);
  });
  if (!changed) return call.reply.null();
  call.events.add('d', "json.set", call[1]);
  call.reply.ok();
}

/// RFC 7396.
Value merged_json(const Value& target, const Value& patch) {
  if (!patch.is_object()) return patch;
  std::map<std::string_view, Value> members;
  if (target.is_object()) {
    for (const auto& [name, member] : target.members()) members.insert_or_assign(name, member);
  }
  for (const auto& [name, change] : patch.members()) {
    if (change.is_null()) {
      members.erase(name);
    } else {
      Value& member = members[name];
      member = merged_json(member, change);
    }
  }
  return Value::object(members);
}

void json_merge(Call& call) {
  const Value patch = json_argument(call[3]);
  const JsonPath path(call[2]);
  const bool changed = change_document(call, [&](Document& document) {
    if (!document) {
      if (!path.is_root()) throw CommandError("ERR new objects must be created at the root");
      document = patch;
      return true;
    }
    const JsonMatches matches(path, *document);
    if (matches.size() == 0) return add_at(path, document, patch);
    check_json_growth(call, matches.size(), detail::ValueAccess::stored_size(patch));
    document = matches.replaced(JsonMatches::Nested::inner_first,
                                [&](std::size_t, const Value& now) -> Document { return merged_json(now, patch); });
    return true;
  });
  if (!changed) return call.reply.null();
  call.events.add('d', "json.merge", call[1]);
  call.reply.ok();
}

void json_del(Call& call) {
  const JsonPath path = path_argument(call, 2);
  std::int64_t deleted = 0;
  if (path.is_root()) {
    deleted = call.keys.erase(call[1]) ? 1 : 0;
  } else {
    change_document(call, [&](Document& document) {
      if (!document) return false;
      const JsonMatches matches(path, *document);
      document = matches.replaced(JsonMatches::Nested::outermost, [&](std::size_t, const Value&) -> Document {
        ++deleted;
        return std::nullopt;
      });
      return deleted != 0;
    });
  }
  if (deleted != 0) call.events.add('d', "json.del", call[1]);
  call.reply.integer(deleted);
}

// --- numbers

Value sum_of(const Value& number, const Value& delta) {
  if (number.is_int() && delta.is_int()) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(number.as_int(), delta.as_int(), &sum)) throw CommandError("ERR numeric overflow");
    return sum;
  }
  const double sum = number.as_double() + delta.as_double();
  if (!std::isfinite(sum)) throw CommandError("ERR result is not a number");
  return sum;
}

void json_numincrby(Call& call) {
  const Value delta = json_argument(call[3]);
  if (!delta.is_number()) throw CommandError("ERR bad input number");
  const JsonPath path(call[2]);
  const bool last_only = path.is_legacy() && call.reply.protocol() == 2;
  std::vector<Document> sums;
  const bool changed = change_document(call, [&](Document& document) {
    if (!document) fail_no_document();
    const JsonMatches matches(path, *document);
    sums.resize(matches.size());
    if (std::ranges::none_of(matches.values(), &Value::is_number)) {
      if (last_only) fail_path(path.full_text(), "does not contains a number");
      return false;
    }
    document = matches.replaced(JsonMatches::Nested::inner_first, [&](std::size_t match, const Value& now) -> Document {
      if (!now.is_number()) return now;
      return sums[match] = sum_of(now, delta);
    });
    return true;
  });
  if (changed) call.events.add('d', "json.numincrby", call[1]);
  if (call.reply.protocol() == 3) {
    call.reply.array(sums.size());
    for (const Document& sum : sums) {
      if (!sum) {
        call.reply.null();
      } else if (sum->is_int()) {
        call.reply.integer(sum->as_int());
      } else {
        call.reply.real(sum->as_double());
      }
    }
  } else if (last_only) {
    const auto last = std::find_if(sums.rbegin(), sums.rend(), [](const Document& sum) { return sum.has_value(); });
    call.reply.bulk((*last)->to_json());
  } else {
    std::vector<Value> values;
    values.reserve(sums.size());
    for (const Document& sum : sums) values.push_back(sum.value_or(Value()));
    call.reply.bulk(Value::array(values).to_json());
  }
}

// --- types and names

/// Of a legacy path the first match, which is what its reply is about.
std::vector<Value> replied_matches(const JsonPath& path, const Value& document) {
  return path.find(document, path.is_legacy() ? 1 : std::numeric_limits<std::size_t>::max());
}

std::string_view json_type_name(const Value& value) {
  switch (value.type()) {
    case Type::null:
      return "null";
    case Type::boolean:
      return "boolean";
    case Type::integer:
      return "integer";
    case Type::real:
      return "number";
    case Type::array:
      return "array";
    case Type::object:
      return "object";
    default:
      return "string";
  }
}

void json_type(Call& call) {
  const JsonPath path = path_argument(call, 2);
  if (call.reply.protocol() == 3) call.reply.array(1);
  const bool found = look_at_document(call, [&](const Value& document) {
    const std::vector<Value> values = replied_matches(path, document);
    if (!path.is_legacy()) {
      call.reply.array(values.size());
      for (const Value& value : values) call.reply.bulk(json_type_name(value));
    } else if (values.empty()) {
      call.reply.null();
    } else {
      call.reply.bulk(json_type_name(values.front()));
    }
  });
  if (!found) call.reply.null();
}

void reply_names(Reply& reply, const Value& object) {
  reply.array(object.size());
  for (const auto& [name, member] : object.members()) reply.bulk(name);
}

void json_objkeys(Call& call) {
  const JsonPath path = path_argument(call, 2);
  const bool found = look_at_document(call, [&](const Value& document) {
    const std::vector<Value> values = replied_matches(path, document);
    if (path.is_legacy()) {
      if (values.empty()) return call.reply.null();
      if (!values.front().is_object()) fail_path(path.full_text(), "not an object");
      return reply_names(call.reply, values.front());
    }
    call.reply.array(values.size());
    for (const Value& value : values) {
      value.is_object() ? reply_names(call.reply, value) : call.reply.null();
    }
  });
  if (found) return;
  if (!path.is_legacy()) fail_no_document();
  call.reply.null();
}

// --- arrays

void json_arrlen(Call& call) {
  const JsonPath path = path_argument(call, 2);
  const bool found = look_at_document(call, [&](const Value& document) {
    const std::vector<Value> values = replied_matches(path, document);
    if (path.is_legacy()) {
      if (values.empty()) fail_no_path(path.text());
      if (!values.front().is_array()) fail_path(path.text(), "not an array");
      return call.reply.integer(static_cast<std::int64_t>(values.front().size()));
    }
    call.reply.array(values.size());
    for (const Value& value : values) {
      value.is_array() ? call.reply.integer(static_cast<std::int64_t>(value.size())) : call.reply.null();
    }
  });
  if (found) return;
  if (!path.is_legacy()) fail_no_document();
  call.reply.null();
}

/// Changes the arrays that a path leads to. `f(match, elements)` changes one and says whether it did; it sees every match
/// before those around it, and adds `added_bytes` to each at most. Fails if the key isn't there, or if a legacy path leads to
/// no array; `array_count` is how many there are.
template <class F>
std::vector<bool> change_arrays(Call& call, const JsonPath& path, const std::string& path_in_error, std::string_view event,
                                std::size_t added_bytes, F&& f) {
  std::vector<bool> is_array;
  const bool changed = change_document(call, [&](Document& document) {
    if (!document) fail_no_document();
    const JsonMatches matches(path, *document);
    check_json_growth(call, matches.size(), added_bytes);
    for (const Value& value : matches.values()) is_array.push_back(value.is_array());
    if (path.is_legacy() && std::ranges::find(is_array, true) == is_array.end()) fail_path(path_in_error, "not an array");
    bool any = false;
    document = matches.replaced(JsonMatches::Nested::inner_first, [&](std::size_t match, const Value& now) -> Document {
      if (!now.is_array()) return now;
      std::vector<Value> elements;
      elements.reserve(now.size() + call.count());
      for (std::size_t index = 0; index < now.size(); ++index) elements.push_back(now[index]);
      if (!f(match, elements)) return now;
      any = true;
      return Value::array(elements);
    });
    return any;
  });
  if (changed) call.events.add('d', event, call[1]);
  return is_array;
}

/// The last match that is an array, which is what a legacy path's reply is about. REQUIRES: there is one.
std::size_t last_array(const std::vector<bool>& is_array) {
  return is_array.size() - 1 -
         static_cast<std::size_t>(std::find(is_array.rbegin(), is_array.rend(), true) - is_array.rbegin());
}

void json_arrappend(Call& call) {
  std::vector<Value> added;
  std::size_t added_bytes = 0;
  for (std::size_t index = 3; index < call.count(); ++index) {
    added.push_back(json_argument(call[index]));
    added_bytes += sizeof(Value) + detail::ValueAccess::stored_size(added.back());
  }
  const JsonPath path(call[2]);
  std::map<std::size_t, std::int64_t> lengths;
  const auto is_array = change_arrays(call, path, path.text(), "json.arrappend", added_bytes,
                                      [&](std::size_t match, std::vector<Value>& elements) {
                                        elements.insert(elements.end(), added.begin(), added.end());
                                        lengths[match] = static_cast<std::int64_t>(elements.size());
                                        return true;
                                      });
  if (path.is_legacy()) return call.reply.integer(lengths.at(last_array(is_array)));
  call.reply.array(is_array.size());
  for (std::size_t match = 0; match < is_array.size(); ++match) {
    is_array[match] ? call.reply.integer(lengths.at(match)) : call.reply.null();
  }
}

void json_arrpop(Call& call) {
  const JsonPath path = path_argument(call, 2);
  const std::int64_t index = call.count() > 3 ? to_integer(call[3]) : -1;
  std::map<std::size_t, std::string> popped;
  const auto is_array =
      change_arrays(call, path, path.full_text(), "json.arrpop", 0, [&](std::size_t match, std::vector<Value>& elements) {
        if (elements.empty()) return false;
        const auto size = static_cast<std::int64_t>(elements.size());
        const std::int64_t place = index < 0 ? (index < -size ? 0 : size + index) : std::min(index, size - 1);
        popped[match] = elements[static_cast<std::size_t>(place)].to_json();
        elements.erase(elements.begin() + place);
        return true;
      });
  const auto reply = [&](std::size_t match) {
    const auto text = popped.find(match);
    text != popped.end() ? call.reply.bulk(text->second) : call.reply.null();
  };
  if (path.is_legacy()) return reply(last_array(is_array));
  call.reply.array(is_array.size());
  for (std::size_t match = 0; match < is_array.size(); ++match) reply(match);
}

// --- the table

void check_three(Arguments arguments) { check_json_count(arguments, 3); }
void check_four(Arguments arguments) { check_json_count(arguments, 4); }

constexpr std::uint32_t kReads = kRead | kJson;
constexpr std::uint32_t kWrites = kWriting | kJson;
constexpr KeyPlaces kFirst{1, 1, 1};

constexpr CommandSpec kJsonCommands[] = {
    {"json.arrappend", -4, kWrite | kDenyOom, kWrites, kFirst, json_arrappend, "module",
     "Appends JSON values to the arrays at a path", "key path value [value ...]"},
    {"json.arrlen", -2, kReadOnly, kReads, kFirst, json_arrlen, "module", "Returns the length of the arrays at a path",
     "key [path]", nullptr, check_three},
    {"json.arrpop", -2, kWrite, kWrites, kFirst, json_arrpop, "module",
     "Removes and returns an element of the arrays at a path, the last one by default", "key [path [index]]", nullptr,
     check_four},
    {"json.del", -2, kWrite, kWrites, kFirst, json_del, "module", "Deletes the values at a path", "key [path]", nullptr,
     check_three},
    {"json.forget", -2, kWrite, kWrites, kFirst, json_del, "module", "Deletes the values at a path", "key [path]", nullptr,
     check_three},
    {"json.get", -2, kReadOnly, kReads, kFirst, json_get, "module", "Returns the values at paths as JSON text",
     "key [INDENT indent] [NEWLINE newline] [SPACE space] [path [path ...]]"},
    {"json.merge", 4, kWrite | kDenyOom, kWrites, kFirst, json_merge, "module",
     "Merges a JSON value into the values at a path; nulls in it delete members", "key path value"},
    {"json.numincrby", 4, kWrite, kWrites, kFirst, json_numincrby, "module", "Adds to the numbers at a path",
     "key path number"},
    {"json.objkeys", -2, kReadOnly, kReads, kFirst, json_objkeys, "module", "Returns the member names of the objects at a path",
     "key [path]", nullptr, check_three},
    {"json.set", -4, kWrite | kDenyOom, kWrites, kFirst, json_set, "module", "Sets the values at a path to a JSON value",
     "key path value [NX | XX]"},
    {"json.type", -2, kReadOnly, kReads, kFirst, json_type, "module", "Returns the types of the values at a path", "key [path]",
     nullptr, check_three},
};

}  // namespace

std::span<const CommandSpec> json_commands() { return kJsonCommands; }

}  // namespace cubby::server
