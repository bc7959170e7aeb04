// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/cubby_cache.hpp"

#include <cubby/error.hpp>
#include <stdexcept>

namespace cubby::cli {

namespace {

Message message_of(const Value& value) {
  const std::optional<Value> sent_at = value.find("sent_at");
  return {static_cast<std::uint32_t>(value["from"].as_int()),
          static_cast<std::uint64_t>(value["number"].as_int()),
          sent_at ? sent_at->as_int() : 0,
          {}};
}

}  // namespace

void CubbyCache::add(const Session& session) { store_.set(session.key, session.fields, kSessionTtl); }

std::int64_t CubbyCache::read(const std::string& key) {
  const std::optional<Value> session = store_.get(key);
  if (!session) throw std::runtime_error("cubby lost " + key);
  return (*session)["seen"].as_int();
}

std::int64_t CubbyCache::look(const std::string& key) {
  std::int64_t seen = 0;
  if (!store_.visit(key, [&](const Value& session) { seen = session["seen"].as_int(); })) {
    throw std::runtime_error("cubby lost " + key);
  }
  return seen;
}

void CubbyCache::touch(const std::string& key) { store_.expire(key, kSessionTtl); }

void CubbyCache::update(const std::string& key, std::int64_t seen, std::string_view status) {
  store_.update(key, Value::object({{"seen", seen}, {"status", status}}));
}

void CubbyCache::count(const std::string& key) { store_.increment(key); }

void CubbyCache::push(const std::string& inbox, const Message& message) {
  if (message.sent_at != 0) {
    store_.push(
        inbox, Value::object(
                   {{"from", message.from}, {"number", message.number}, {"sent_at", message.sent_at}, {"text", message.text}}));
  } else {
    store_.push(inbox, Value::object({{"from", message.from}, {"number", message.number}, {"text", message.text}}));
  }
}

std::optional<Message> CubbyCache::shift_wait(const std::string& inbox, std::chrono::nanoseconds timeout,
                                              std::stop_token stop) {
  try {
    const std::optional<Value> item = store_.shift_wait(inbox, timeout, std::move(stop));
    if (!item) return std::nullopt;
    return message_of(*item);
  } catch (const Error& error) {
    if (error.code() != Errc::cancelled) throw;
    return std::nullopt;
  }
}

std::int64_t CubbyCache::counter(const std::string& key) { return store_.get(key).value_or(Value(0)).as_int(); }

std::vector<Message> CubbyCache::rest(const std::string& inbox) {
  std::vector<Message> messages;
  for (const Value& item : store_.get(inbox).value_or(Value::array({})).elements()) messages.push_back(message_of(item));
  return messages;
}

}  // namespace cubby::cli
